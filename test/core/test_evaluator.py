# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Scores of all subsets: equal to plain counting, cell by cell, and nothing encoded twice."""

import json

import numpy as np
import pytest
import torch
from torch.nn import functional

from any2seg_core.batch import Batch
from any2seg_core.config import ModelConfig
from any2seg_core.errors import CheckpointError, ConfigError, FrameError
from any2seg_core.evaluator import Cell, EvalReport, all_subsets, evaluate, markdown, short_name
from any2seg_core.frames import ClassTable, Modality, subset_key
from any2seg_core.metrics import AbsentClasses, ConfusionMatrix
from any2seg_core.model.segmentor import build_model

CLASSES = ClassTable(("a", "b", "c"), np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.uint8))
RGB, DEPTH, EVENT, LIDAR = (Modality(name) for name in ("rgb", "depth", "event", "lidar"))


def small_model(**settings):
    torch.manual_seed(1)
    model = build_model(ModelConfig(embed_dim=16, **settings), len(CLASSES))
    with torch.no_grad():
        model.head.classifier.weight.normal_(0, 1)
    return model.eval()


def a_batch(seed, present=None, count=2, size=64):
    generator = torch.Generator().manual_seed(seed)
    return Batch(
        torch.randn(count, 4, 3, size, size, generator=generator),
        torch.ones(count, 4, dtype=torch.bool) if present is None else torch.tensor(present),
        torch.randint(0, 4, (count, size, size), generator=generator).apply_(
            lambda label: 255 if label == 3 else label
        ),
        tuple(f"{seed}/{index}" for index in range(count)),
        tuple("sun" if index % 2 else "night" for index in range(count)),
        tuple("motionblur" if seed % 2 else "" for _ in range(count)),
    )


def naive_counts(model, batches, subset, protocol):
    """Each image by itself, the whole model, full-size logits, and a loop over classes."""
    counts = np.zeros((3, 3), np.int64)
    wanted = torch.tensor([modality in subset for modality in model.modalities])
    for batch in batches:
        for index in range(len(batch)):
            present = batch.present[index : index + 1] & wanted
            if not present.any():
                continue
            pixels = torch.where(present[..., None, None, None], batch.pixels[index : index + 1], torch.zeros(()))
            if protocol == "zero":
                present = torch.ones_like(present)
            with torch.no_grad():
                logits = model(pixels, present).logits
            target = batch.targets[index]
            labels = functional.interpolate(logits, target.shape, mode="bilinear").argmax(1)[0]
            for true in range(3):
                for answer in range(3):
                    counts[true, answer] += int(((target == true) & (labels == answer)).sum())
    return counts


@pytest.mark.parametrize("level", ["embedding", "stages", "logits"])
@pytest.mark.parametrize("protocol", ["drop", "zero"])
def test_shared_features_give_the_counts_of_one_whole_pass_per_image_and_subset(level, protocol):
    model = small_model(fusion_level=level)
    holes = [[True, False, True, True], [False, False, True, False]]
    batches = [a_batch(0), a_batch(1, holes)]
    report = evaluate(model, batches, CLASSES, protocols=[protocol])
    assert report.images == 4
    assert len(report.subsets) == 15
    for subset in all_subsets(model.modalities):
        found = report.matrix(subset, protocol).counts[:, :3]
        np.testing.assert_array_equal(found, naive_counts(model, batches, subset, protocol), err_msg=str(subset))


def test_sharing_changes_nothing_but_how_often_the_encoder_runs():
    model = small_model()
    rows = []
    model.encoder.register_forward_hook(lambda _module, inputs, _output: rows.append(len(inputs[0])))
    shared = evaluate(model, [a_batch(0)], CLASSES, protocols=["drop", "zero"])
    # Four modalities of two images, and one picture of zeros for each modality.
    assert sum(rows) == 4 * 2 + 4
    rows.clear()
    whole = evaluate(model, [a_batch(0)], CLASSES, protocols=["drop", "zero"], share=False)
    # Dropped: a modality is in 8 of 15 subsets. Filled with zeros: all four in each of them.
    assert sum(rows) == 2 * (4 * 8) + 2 * (4 * 15)
    assert shared.to_json() == whole.to_json()


def test_a_dropped_modality_leaves_no_trace_and_a_zero_filled_one_does():
    model = small_model()
    clean, dirty = a_batch(0), a_batch(0)
    dirty.pixels[:, 3] = torch.nan
    dropped = [evaluate(model, [batch], CLASSES, subsets=[[RGB, DEPTH]]).to_json() for batch in (clean, dirty)]
    assert dropped[0] == dropped[1]
    zero = evaluate(model, [clean], CLASSES, subsets=[[RGB, DEPTH]], protocols=["zero"])
    assert (
        zero.matrix([RGB, DEPTH], "zero").counts != evaluate(model, [clean], CLASSES).matrix([RGB, DEPTH]).counts
    ).any()


def test_targets_larger_than_the_input_are_compared_at_their_own_size():
    model = small_model()
    batch = a_batch(3, count=1)
    larger = Batch(batch.pixels, batch.present, batch.targets.repeat(1, 2, 3), ("x",), ("",), ("",))
    report = evaluate(model, [larger], CLASSES, subsets=[model.modalities], label_size="native")
    assert report.matrix().pixels == int((larger.targets != 255).sum())
    np.testing.assert_array_equal(
        report.matrix().counts[:, :3], naive_counts(model, [larger], model.modalities, "drop")
    )


def hand_made():
    """Two cells of RGB alone and one of everything, with counts that are easy to add."""
    report = EvalReport("m", CLASSES, (RGB, DEPTH), images=3)
    for cell, diagonal, off in (
        (Cell("drop", "rgb", "sun", ""), (8, 2, 0), 0),
        (Cell("drop", "rgb", "night", "motionblur"), (0, 2, 0), 4),
        (Cell("drop", "depth", "sun", ""), (4, 4, 0), 0),
        (Cell("drop", "rgb+depth", "sun", ""), (10, 10, 0), 0),
    ):
        matrix = ConfusionMatrix(CLASSES)
        matrix.counts[range(3), range(3)] = diagonal
        matrix.counts[0, 1] = off
        report.cells[cell] = matrix
    return report


def test_scores_of_hand_made_counts():
    report = hand_made()
    # RGB: class a has 8 of 12 pixels, b gets 4 wrong ones: 4 / 8; c never occurs.
    assert report.miou([RGB], policy=AbsentClasses.PRESENT) == pytest.approx((8 / 12 + 4 / 8) / 2)
    assert report.miou([RGB]) == pytest.approx((8 / 12 + 4 / 8) / 3)
    assert report.mss == pytest.approx(2 / 3)
    assert report.miss == pytest.approx((report.miou([RGB]) + 2 / 3 + 2 / 3) / 3)
    assert report.conditions == ("night", "sun")
    assert report.by_condition([RGB], AbsentClasses.PRESENT) == pytest.approx(
        {"night": (0 + 2 / 6) / 2, "sun": 1.0, "motionblur": (0 + 2 / 6) / 2}
    )


def test_reports_survive_json_and_add_up():
    report = hand_made()
    again = EvalReport.from_json(json.loads(json.dumps(report.to_json())))
    assert again.to_json() == report.to_json()
    twice = report + again
    assert twice.images == 6
    np.testing.assert_array_equal(twice.matrix([RGB]).counts, 2 * report.matrix([RGB]).counts)
    other = EvalReport("other", CLASSES, (RGB, DEPTH))
    with pytest.raises(CheckpointError, match=r"found 'm' .* and 'other'.*expected parts of one scoring"):
        report + other


def test_tables_hold_the_scores_and_say_how_absent_classes_count():
    text = markdown([hand_made()])
    assert "| Model | R | D | RD | Mean |" in text
    assert "| m | 38.89 | 66.67 | 66.67 | 57.41 |" in text
    assert "| m | 58.33 | 100.00 | 100.00 | 86.11 |" in text
    assert "counts as 0" in text
    assert "| c | - | - | - |" in text


def test_subsets_stand_in_the_order_of_the_papers_table():
    names = [short_name(subset) for subset in all_subsets([LIDAR, EVENT, DEPTH, RGB])]
    assert names == ["R", "D", "E", "L", "RD", "RE", "RL", "DE", "DL", "EL", "RDE", "RDL", "REL", "DEL", "RDEL"]
    assert short_name([Modality.AOLP, Modality.DOLP, RGB, Modality.NIR]) == "RNAP"


def test_what_cannot_be_scored_is_refused():
    model = small_model()
    with pytest.raises(ConfigError, match=r"protocols \['guess'\].*drop, zero"):
        evaluate(model, [a_batch(0)], CLASSES, protocols=["guess"])
    with pytest.raises(ConfigError, match=r"subset 'nir'.*rgb"):
        evaluate(model, [a_batch(0)], CLASSES, subsets=[[Modality.NIR]])
    with pytest.raises(ConfigError, match="subset ''"):
        evaluate(model, [a_batch(0)], CLASSES, subsets=[[]])
    with pytest.raises(ConfigError, match="no sample"):
        evaluate(model, [], CLASSES)
    batch = a_batch(0)
    batch.targets[0, 0, 0] = 7
    with pytest.raises(FrameError, match=r"ids \[7\] in the target"):
        evaluate(model, [batch], CLASSES)
    with pytest.raises(ConfigError, match=r"nothing scored for zero rgb.*drop rgb"):
        hand_made().matrix([RGB], "zero")
    with pytest.raises(ConfigError, match="format 9"):
        EvalReport.from_json({**hand_made().to_json(), "format": 9})
    with pytest.raises(ConfigError, match="no report"):
        EvalReport.from_json({"format": 1})


def test_a_sample_without_any_of_a_subset_is_not_scored():
    model = small_model()
    report = evaluate(model, [a_batch(0, [[True, True, True, True], [False, True, False, False]])], CLASSES)
    one = int((a_batch(0).targets[0] != 255).sum())
    both = int((a_batch(0).targets != 255).sum())
    assert report.matrix([RGB]).pixels == one
    assert report.matrix([DEPTH]).pixels == both
    assert subset_key([RGB]) in {cell.subset for cell in report.cells}
