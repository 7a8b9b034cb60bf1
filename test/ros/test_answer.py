# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What an answer tells beside its labels: its camera, its sensors' ages, and which pixels are sure enough."""

import numpy as np
import pytest

from any2seg_core.frames import (
    DELIVER_CLASSES,
    UNLABELLED,
    CameraModel,
    Events,
    FrameSet,
    LabelMap,
    Modality,
    Points,
    SensorFrame,
)
from any2seg_ros.pipeline import Answer

RGB, EVENT, LIDAR = Modality.RGB, Modality.EVENT, Modality.LIDAR
STAMP = 1_000_000_000


def answer(anchor=RGB, view=None, size=(2, 3), confidence=0.5):
    nothing = np.zeros(0, np.uint16)
    events = Events(nothing, nothing, nothing.astype(np.uint8), nothing.astype(np.int64), 3, 2)
    points = Points(np.ones((1, 3), np.float32), np.ones(1, np.float32))
    frames = {
        RGB: SensorFrame(RGB, STAMP, "image", np.zeros((2, 3, 3), np.uint8)),
        EVENT: SensorFrame(EVENT, STAMP - 9_000_000, "dvs", events, end_ns=STAMP + 1_000_000),
        LIDAR: SensorFrame(LIDAR, STAMP - 40_000_000, "lidar", points),
    }
    labels = np.arange(np.prod(size), dtype=np.uint8).reshape(size)
    sure = np.broadcast_to(np.float32(confidence), size)
    frame = frames[anchor]
    made = LabelMap(labels, sure, frame.stamp_ns, frame.frame_id, anchor, tuple(frames), {}, DELIVER_CLASSES)
    return Answer(made, FrameSet(anchor, frames, view=view))


VIEW = CameraModel(3, 2, np.diag([5.0, 5.0, 1.0]), frame_id="view")


def test_ages_count_from_the_anchors_stamp_to_the_last_thing_measured():
    assert answer().ages_ns == {RGB: 0, EVENT: -1_000_000, LIDAR: 40_000_000}


def test_the_camera_is_the_views_under_the_labels_own_frame():
    found = answer(view=VIEW).camera
    assert (found.frame_id, found.width, found.height, found.k[0, 0]) == ("image", 3, 2, 5.0)
    # Points have no optical frame of their own.
    assert answer(LIDAR, view=VIEW).camera.frame_id == "view"


def test_without_a_view_of_the_labels_size_there_is_no_camera():
    assert answer().camera is None
    assert answer(view=VIEW, size=(4, 6)).camera is None


@pytest.mark.parametrize(
    ("floor", "expected"),
    [
        (0.0, [[0, 1, 2], [3, 4, 5]]),
        (0.25, [[255, 1, 2], [3, 4, 5]]),
        (0.5, [[255, 255, 255], [3, 4, 5]]),
        (1.0, [[255, 255, 255], [255, 255, 5]]),
    ],
)
def test_pixels_below_the_floor_are_unlabelled(floor, expected):
    given = answer(confidence=[[0.0, 0.25, 0.375], [0.5, 0.75, 1.0]])
    found = given.above(floor).labels
    assert found.labels.tolist() == expected
    assert found.labels.dtype == np.uint8
    assert found.confidence is given.labels.confidence
    assert given.labels.labels.max() < UNLABELLED
