# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Sweeps of a moving sensor made straight: a wall, single points by hand, and poses against matrix powers."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from any2seg_core.errors import FrameError
from any2seg_core.frames import Points
from any2seg_core.projection.deskew import deskew, pose_between, rotation_vector

SWEEP_S = 0.1


def about(axis, angle):
    """Rodrigues' formula, written out for one rotation."""
    x, y, z = np.asarray(axis, float) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross


def pose(shift, axis=(0, 0, 1), angle=0.0):
    made = np.eye(4)
    made[:3, :3], made[:3, 3] = about(axis, angle), shift
    return made


def driven(t_s, speed=15.0, yaw_rate=0.3):
    """A sensor that drives an arc, 1.8 m above ground."""
    yaw = yaw_rate * t_s
    return pose((speed / yaw_rate * math.sin(yaw), speed / yaw_rate * (1 - math.cos(yaw)), 1.8), angle=yaw)


def sweep_of_a_wall(distance=30.0, count=400):
    """One turn's share of rays to a wall across the road, each cast from where the sensor is by then."""
    t_s = np.linspace(0, SWEEP_S, count)
    seen = []
    for t, azimuth in zip(t_s, np.linspace(-0.8, 0.8, count), strict=True):
        at = driven(t)
        ray = at[:3, :3] @ [math.cos(azimuth), math.sin(azimuth), 0.1]
        hit = at[:3, 3] + ray * (distance - at[0, 3]) / ray[0]
        seen.append(np.linalg.inv(at) @ [*hit, 1])
    stamps = 1_700_000_000_000_000_000 + np.round(t_s * 1e9).astype(np.int64)
    return Points(np.array(seen)[:, :3].astype(np.float32), np.arange(count, dtype=np.float32), stamps)


@pytest.mark.parametrize("anchor_s", [0.0, SWEEP_S, 0.13])
def test_a_wall_that_a_moving_sensor_swept_is_straight_again_to_a_centimetre(anchor_s):
    points = sweep_of_a_wall()
    anchor = driven(anchor_s)
    straight = deskew(points, driven(0), driven(SWEEP_S), anchor)
    wall = straight.xyz @ anchor[:3, :3].T + anchor[:3, 3]
    np.testing.assert_allclose(wall[:, 0], 30.0, atol=0.01)
    as_measured = points.xyz @ anchor[:3, :3].T + anchor[:3, 3]
    assert np.abs(as_measured[:, 0] - 30.0).max() > 0.5
    assert straight.t_ns is None
    np.testing.assert_array_equal(straight.intensity, points.intensity)


def test_points_by_hand():
    """A quarter turn and 2 m in a sweep: the last of three points counts whole, the middle one half."""
    points = Points(np.tile(np.float32([1, 0, 0]), (3, 1)), np.zeros(3, np.float32), np.array([30, 10, 20]))
    found = deskew(points, np.eye(4), pose((2, 0, 0), angle=math.pi / 2), np.eye(4)).xyz
    half = math.sqrt(0.5)
    np.testing.assert_allclose(found, [[2, 1, 0], [1, 0, 0], [1 + half, half, 0]], atol=1e-6)


def test_without_times_the_whole_scan_moves():
    points = Points(np.float32([[1, 2, 3], [4, 5, 6]]), np.zeros(2, np.float32))
    start, at = pose((1, 0, 0)), pose((3, 0, 0), angle=math.pi / 2)
    # In the fixed frame (2, 2, 3): from (3, 0, 0), looking along y, that is 2 ahead and 1 to the left.
    found = deskew(points, start, start, at).xyz
    np.testing.assert_allclose(found, [[2, 1, 3], [5, -2, 6]], atol=1e-6)


def test_a_sensor_that_stands_changes_nothing():
    points = sweep_of_a_wall()
    still = driven(0.05)
    np.testing.assert_allclose(deskew(points, still, still, still).xyz, points.xyz, atol=1e-5)
    one = Points(points.xyz[:1], points.intensity[:1], points.t_ns[:1])
    np.testing.assert_allclose(deskew(one, still, still, still).xyz, points.xyz[:1], atol=1e-5)


def test_no_points_are_refused():
    with pytest.raises(FrameError, match=r"found no point"):
        deskew(Points(np.zeros((0, 3), np.float32), np.zeros(0, np.float32)), np.eye(4), np.eye(4), np.eye(4))


AXES = st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda axis: np.linalg.norm(axis) > 0.1)


@settings(max_examples=80, deadline=None)
@given(axis=AXES, angle=st.floats(0, math.pi) | st.sampled_from([0.0, 1e-9, 1e-5, math.pi - 1e-7, math.pi]))
def test_rotation_vectors_are_axis_times_angle(axis, angle):
    rotation = about(axis, angle)
    vector = rotation_vector(rotation)
    assert np.linalg.norm(vector) == pytest.approx(angle, abs=1e-6)
    if angle > 1e-9:
        np.testing.assert_allclose(about(vector, np.linalg.norm(vector)), rotation, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(axis=AXES, angle=st.floats(0, 3), share=st.sampled_from([-1.0, 0.0, 0.25, 1.0, 2.0]))
def test_poses_between_are_on_the_way(axis, angle, share):
    start, end = pose((1, 2, 3), (1, 1, 0), 0.4), np.eye(4)
    end[:3, :3], end[:3, 3] = start[:3, :3] @ about(axis, angle), (5, 4, 3)
    found = pose_between(start, end, share)
    np.testing.assert_allclose(found[:3, :3], start[:3, :3] @ about(axis, angle * share), atol=1e-6)
    np.testing.assert_allclose(found[:3, 3], [1 + 4 * share, 2 + 2 * share, 3], atol=1e-12)


def test_times_must_be_as_many_as_points():
    with pytest.raises(FrameError, match=r"found \(1,\) times for \(2,\) points"):
        Points(np.zeros((2, 3), np.float32), np.zeros(2, np.float32), np.zeros(1, np.int64))
