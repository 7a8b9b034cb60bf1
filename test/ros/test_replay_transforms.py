# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Stamped transforms without ROS: chains, interpolation, what is not known, against hand-computed values."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from any2seg_ros.replay.transforms import KEPT_NS, TransformBuffer

S = 1_000_000_000


def place(x=0.0, y=0.0, z=0.0, yaw_deg=0.0):
    half = math.radians(yaw_deg) / 2
    return np.array([x, y, z, 0, 0, math.sin(half), math.cos(half)])


@pytest.fixture
def buffer():
    found = TransformBuffer(0.2)
    found.add("base", "camera", 0, place(1, 0, 2), static=True)
    found.add("base", "lidar", 0, place(0, 0, 3, 90), static=True)
    for second, x, yaw in ((10, 0.0, 0.0), (11, 4.0, 90.0)):
        found.add("odom", "base", second * S, place(x, 0, 0, yaw))
    return found


def test_a_chain_goes_up_and_down_again(buffer):
    matrix = buffer("camera", "lidar", 123 * S)  # static links hold at any time
    # A point 1 m ahead of the LiDAR, which looks left, is at (0, 1, 3) of the base and at (-1, 1, 1) of the camera.
    np.testing.assert_allclose(matrix @ [1, 0, 0, 1], [-1, 1, 1, 1], atol=1e-12)
    np.testing.assert_allclose(buffer("lidar", "camera", 123 * S), np.linalg.inv(matrix), atol=1e-12)
    np.testing.assert_array_equal(buffer("lidar", "lidar", 1), np.eye(4))


def test_between_two_stamps_places_and_turns_are_interpolated(buffer):
    matrix = buffer.exact("odom", "base", 10 * S + S // 4)
    angle = math.radians(22.5)
    np.testing.assert_allclose(matrix[:3, 3], [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(matrix[:2, 0], [math.cos(angle), math.sin(angle)], atol=1e-12)


def test_the_short_way_round_is_taken():
    buffer = TransformBuffer(0.0)
    buffer.add("a", "b", 0, place(yaw_deg=10))
    buffer.add("a", "b", 2, -place(yaw_deg=30))  # the same turn, all signs turned
    np.testing.assert_allclose(buffer.exact("a", "b", 1)[0, 0], math.cos(math.radians(20)), atol=1e-9)


def test_beyond_what_is_known_the_newest_serves_within_the_tolerance(buffer):
    assert buffer.exact("odom", "base", 11 * S + 1) is None
    np.testing.assert_allclose(buffer("odom", "base", 11 * S + S // 10)[:3, 3], [4, 0, 0])
    assert buffer("odom", "base", 11 * S + S) is None
    assert buffer("odom", "base", 9 * S) is None
    assert buffer("odom", "moon", 10 * S) is None
    assert buffer("moon", "mars", 10 * S) is None


def test_static_wins_and_old_transforms_are_forgotten(buffer):
    buffer.add("base", "camera", 50 * S, place(9, 9, 9))
    np.testing.assert_allclose(buffer("base", "camera", 50 * S)[:3, 3], [1, 0, 2])
    buffer.add("odom", "base", 11 * S + KEPT_NS, place(5))
    assert buffer.exact("odom", "base", 10 * S + 1) is None


def test_loops_of_frames_end():
    buffer = TransformBuffer(0.2)
    buffer.add("a", "b", 0, place(1), static=True)
    buffer.add("b", "a", 0, place(1), static=True)
    assert buffer("a", "nowhere", 0) is None


def message(*transforms):
    rows = []
    for parent, child, values in transforms:
        names = ("x", "y", "z", "w")
        move = SimpleNamespace(**dict(zip(names, values[:3], strict=False)))
        turn = SimpleNamespace(**dict(zip(names, values[3:], strict=True)))
        header = SimpleNamespace(frame_id=parent, stamp=SimpleNamespace(sec=1, nanosec=5))
        transform = SimpleNamespace(translation=move, rotation=turn)
        rows.append(SimpleNamespace(header=header, child_frame_id=child, transform=transform))
    return SimpleNamespace(transforms=rows)


def test_messages_are_taken_and_what_is_no_transform_is_counted():
    buffer = TransformBuffer(0.2)
    good = ("/base", "camera", [1, 2, 3, 0, 0, 0, 1.0])
    bad = [
        ("base", "lidar", [0, 0, 0, 0, 0, 0, 0]),
        ("base", "lidar", [math.nan, 0, 0, 0, 0, 0, 1]),
        ("base", "base", [0, 0, 0, 0, 0, 0, 1]),
        ("", "lidar", [0, 0, 0, 0, 0, 0, 1]),
    ]
    buffer.add_message(message(good, *bad), static=False)
    assert buffer.refused == len(bad)
    np.testing.assert_allclose(buffer("base", "/camera", S + 5)[:3, 3], [1, 2, 3])
    assert buffer("base", "lidar", S + 5) is None
