# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Scores against values worked out by hand, and against a slow count pixel by pixel."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from any2seg_core.errors import CheckpointError, FrameError
from any2seg_core.frames import DELIVER_CLASSES, ClassTable
from any2seg_core.metrics import AbsentClasses, ConfusionMatrix

PRESENT, ALL_AS_ZERO = AbsentClasses.PRESENT, AbsentClasses.ALL_AS_ZERO


def table(count: int) -> ClassTable:
    return ClassTable(tuple(f"class {k}" for k in range(count)), np.zeros((count, 3), np.uint8))


def ids(*rows: list[int]) -> np.ndarray:
    return np.array(rows, np.uint8)


@pytest.fixture
def worked() -> ConfusionMatrix:
    """Four classes; class 3 occurs nowhere; one pixel is not scored and one is left unlabelled.

    target 0 0 0 1     labels 0 0 1 1
           1 2 2 255          255 2 0 2
    """
    matrix = ConfusionMatrix(table(4))
    matrix.update(ids([0, 0, 1, 1], [255, 2, 0, 2]), ids([0, 0, 0, 1], [1, 2, 2, 255]))
    return matrix


def test_counts_hold_truth_in_rows_and_the_unlabelled_in_the_last_column(worked):
    assert worked.counts.tolist() == [[2, 1, 0, 0, 0], [0, 1, 0, 0, 1], [1, 0, 1, 0, 0], [0, 0, 0, 0, 0]]
    assert worked.pixels == 7


def test_scores_per_class_by_hand(worked):
    # Class 0: 2 hits, 3 predicted, 3 true; class 1: 1, 2, 2; class 2: 1, 1, 2.
    np.testing.assert_allclose(worked.iou(), [2 / 4, 1 / 3, 1 / 2, np.nan])
    np.testing.assert_allclose(worked.f1(), [4 / 6, 2 / 4, 2 / 3, np.nan])
    np.testing.assert_allclose(worked.accuracy(), [2 / 3, 1 / 2, 1 / 2, np.nan])
    assert worked.pixel_accuracy() == pytest.approx(4 / 7)


def test_policy_decides_what_an_absent_class_does_to_the_mean(worked):
    assert worked.miou(PRESENT) == pytest.approx((1 / 2 + 1 / 3 + 1 / 2) / 3)
    assert worked.miou(ALL_AS_ZERO) == pytest.approx((1 / 2 + 1 / 3 + 1 / 2) / 4)
    assert worked.mf1(PRESENT) == pytest.approx((2 / 3 + 1 / 2 + 2 / 3) / 3)
    assert worked.mf1(ALL_AS_ZERO) == pytest.approx((2 / 3 + 1 / 2 + 2 / 3) / 4)
    assert worked.macc(PRESENT) == pytest.approx((2 / 3 + 1 / 2 + 1 / 2) / 3)
    assert worked.macc(ALL_AS_ZERO) == pytest.approx((2 / 3 + 1 / 2 + 1 / 2) / 4)


def test_class_only_in_the_prediction_is_present_with_iou_zero_and_without_accuracy():
    matrix = ConfusionMatrix(table(3))
    matrix.update(ids([0, 2]), ids([0, 0]))
    np.testing.assert_allclose(matrix.iou(), [1 / 2, np.nan, 0])
    np.testing.assert_allclose(matrix.accuracy(), [1 / 2, np.nan, np.nan])
    assert matrix.miou(PRESENT) == pytest.approx(1 / 4)
    assert matrix.macc(PRESENT) == pytest.approx(1 / 2)


def test_perfect_labels_on_two_of_deliver_classes_score_one_or_two_of_25():
    matrix = ConfusionMatrix(DELIVER_CLASSES)
    image = ids([6, 6, 12])
    matrix.update(image, image)
    assert matrix.miou(PRESENT) == 1.0
    assert matrix.miou(ALL_AS_ZERO) == pytest.approx(2 / 25)


def test_all_unlabelled_prediction_is_wrong_everywhere_and_no_false_alarm():
    matrix = ConfusionMatrix(table(2))
    matrix.update(ids([255, 255, 255]), ids([0, 1, 255]))
    np.testing.assert_allclose(matrix.iou(), [0, 0])
    assert matrix.pixel_accuracy() == 0.0


def test_nothing_scored_is_undefined_and_json_says_none():
    matrix = ConfusionMatrix(table(2))
    matrix.update(ids([0, 1]), ids([255, 255]))
    assert matrix.pixels == 0
    assert math.isnan(matrix.miou(PRESENT))
    assert math.isnan(matrix.pixel_accuracy())
    assert matrix.miou(ALL_AS_ZERO) == 0.0
    described = json.loads(json.dumps(matrix.to_json(), allow_nan=False))
    assert described["iou"] == [None, None]
    assert described["pixel_accuracy"] is None
    assert described["miou"] == {"present": None, "all_as_zero": 0.0}


def test_json_names_classes_and_policies(worked):
    described = json.loads(json.dumps(worked.to_json(), allow_nan=False))
    assert described["classes"] == ["class 0", "class 1", "class 2", "class 3"]
    assert described["counts"] == worked.counts.tolist()
    assert described["iou"][3] is None
    assert described["miou"]["present"] == pytest.approx(4 / 9)
    assert set(described["miou"]) == set(described["mf1"]) == set(described["macc"]) == {"present", "all_as_zero"}


def test_merge_equals_counting_all_images_in_one(worked):
    other = ConfusionMatrix(worked.classes)
    other.update(ids([3, 3]), ids([3, 0]))
    both = worked + other
    assert both.pixels == 9
    np.testing.assert_array_equal(both.counts, worked.counts + other.counts)
    assert worked.pixels == 7, "merging changes neither part"


def test_merge_refuses_another_class_table(worked):
    with pytest.raises(CheckpointError, match=r"found matrices over 4 and 2 classes.*expected one class table"):
        worked + ConfusionMatrix(table(2))


@pytest.mark.parametrize(
    ("labels", "target", "message"),
    [
        (ids([0, 1]), ids([0]), r"found labels uint8 \(1, 2\) and target uint8 \(1, 1\).*resize"),
        (ids([0]).astype(np.int64), ids([0]), r"found labels int64.*expected two uint8"),
        (ids([7]), ids([0]), r"found ids \[7\] in the labels, expected 0 to 3 or 255; map"),
        (ids([0]), ids([4]), r"found ids \[4\] in the target"),
    ],
)
def test_bad_input_is_refused_and_nothing_counted(worked, labels, target, message):
    before = worked.counts.copy()
    with pytest.raises(FrameError, match=message):
        worked.update(labels, target)
    np.testing.assert_array_equal(worked.counts, before)


@settings(max_examples=25, deadline=None)
@given(
    hnp.arrays(np.uint8, (2, 3, 4), elements=st.sampled_from([0, 1, 2, 255])),
    hnp.arrays(np.uint8, (2, 3, 4), elements=st.sampled_from([0, 1, 2, 255])),
)
def test_iou_and_f1_agree_with_counting_pixels_one_by_one(labels, target):
    matrix = ConfusionMatrix(table(3))
    matrix.update(labels, target)
    scored = target != 255
    for k in range(3):
        said, true = (labels == k) & scored, target == k
        union = int((said | true).sum())
        hits = int((said & true).sum())
        expected = hits / union if union else math.nan
        assert matrix.iou()[k] == pytest.approx(expected, nan_ok=True)
        assert matrix.f1()[k] == pytest.approx(2 * expected / (1 + expected), nan_ok=True)
