# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The overlay: colours over what the anchor saw, for every kind of anchor, of any size."""

import numpy as np
import pytest

from any2seg_core.frames import DELIVER_CLASSES, CameraModel, Events, FrameSet, LabelMap, Modality, Points, SensorFrame
from any2seg_ros.overlay import backdrop, overlay

STAMP = 10**18


def labelled(labels, anchor=Modality.RGB):
    confidence = np.ones(labels.shape, np.float32)
    return LabelMap(labels, confidence, STAMP, "frame", anchor, (anchor,), {}, DELIVER_CLASSES)


def anchored(modality, data):
    return FrameSet(modality, {modality: SensorFrame(modality, STAMP, "frame", data)})


def events(height=3, width=5):
    x, y = np.array([0, 4, 4], np.uint16), np.array([0, 2, 2], np.uint16)
    polarity, t_ns = np.array([1, 1, 0], np.uint8), STAMP + np.array([0, 1, 2], np.int64)
    return Events(x, y, polarity, t_ns, width, height)


def no_events(height=3, width=5):
    return Events(*(np.zeros(0, kind) for kind in (np.uint16, np.uint16, np.uint8, np.int64)), width, height)


@pytest.mark.parametrize("alpha", [0.0, 0.25, 0.5, 1.0])
def test_colours_are_mixed_with_the_picture_by_alpha(alpha):
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (7, 5, 3), np.uint8)
    labels = rng.integers(0, 25, (7, 5), np.uint8)
    mixed = overlay(labelled(labels), anchored(Modality.RGB, picture), alpha)
    expected = alpha * DELIVER_CLASSES.colours[labels] + (1 - alpha) * picture
    assert mixed.dtype == np.uint8
    assert np.abs(mixed - expected).max() <= 0.5001


def test_unlabelled_pixels_are_black_under_the_colours():
    picture = np.full((2, 3, 3), 200, np.uint8)
    labels = np.full((2, 3), 255, np.uint8)
    assert np.unique(overlay(labelled(labels), anchored(Modality.RGB, picture), 0.5)).tolist() == [100]


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (33, 65)])
def test_odd_sizes_work_for_every_anchor(size):
    height, width = size
    corner = np.zeros(1, np.uint16)
    data = {
        Modality.RGB: np.zeros((*size, 3), np.uint8),
        Modality.DEPTH: np.full(size, np.nan, np.float32),
        Modality.EVENT: Events(corner, corner, np.ones(1, np.uint8), np.full(1, STAMP), width, height),
    }
    for modality, measured in data.items():
        mixed = overlay(labelled(np.zeros(size, np.uint8), modality), anchored(modality, measured), 0.5)
        assert (mixed.shape, mixed.dtype) == ((*size, 3), np.uint8)


def test_read_only_and_sliced_pictures_are_taken():
    picture = np.zeros((4, 6, 6), np.uint8)[:, :, ::2]
    picture.flags.writeable = False
    assert overlay(labelled(np.zeros((4, 6), np.uint8)), anchored(Modality.RGB, picture), 1.0).shape == (4, 6, 3)


def test_near_depth_is_brighter_than_far_and_unmeasured_is_black():
    depth = np.array([[1.0, 10.0, 80.0, np.nan, np.inf]], np.float32)
    grey = backdrop(anchored(Modality.DEPTH, depth), (1, 5))[0, :, 0].astype(int)
    assert grey[0] > grey[1] > grey[2] > 0
    assert grey[3:].tolist() == [0, 0]


def test_events_are_blue_where_brighter_and_red_where_darker_last():
    picture = backdrop(anchored(Modality.EVENT, events()), (3, 5))
    assert picture[0, 0].tolist() == [0, 0, 255]
    assert picture[2, 4].tolist() == [255, 0, 0]
    assert np.count_nonzero(picture) == 2


def test_no_events_give_a_black_backdrop():
    assert not backdrop(anchored(Modality.EVENT, no_events()), (3, 5)).any()


def test_points_have_no_picture():
    points = Points(np.ones((4, 3), np.float32), np.ones(4, np.float32))
    lidar = SensorFrame(Modality.LIDAR, STAMP, "lidar", points, to_view=np.eye(4))
    frame_set = FrameSet(Modality.LIDAR, {Modality.LIDAR: lidar}, view=CameraModel(6, 4, np.eye(3)))
    labels = np.full((4, 6), 6, np.uint8)
    mixed = overlay(labelled(labels, Modality.LIDAR), frame_set, 0.5)
    np.testing.assert_array_equal(mixed, np.broadcast_to(DELIVER_CLASSES.colours[6] // 2, (4, 6, 3)))
