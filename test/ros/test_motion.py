# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Times of points as drivers tell them, and scans moved to the anchor's moment where transforms are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from any2seg_core.errors import CalibrationError
from any2seg_core.frames import FrameSet, Modality, Points, SensorFrame
from any2seg_ros import compat
from any2seg_ros.conversions import PointTime, cloud_fields, cloud_frame, make
from any2seg_ros.motion import MotionCompensation

RGB, LIDAR = Modality.RGB, Modality.LIDAR
STAMP = 1_700_000_000_250_000_000
MS = 1_000_000
SPEED_M_PER_NS = 10e-9
# Offsets of five points from the stamp, and how each driver tells them.
OFFSETS_NS = np.array([0, 25, 50, 75, 100], np.int64) * MS
ABSOLUTE_S = (STAMP + OFFSETS_NS) / 1e9
DRIVERS = {
    "ouster": ("t", OFFSETS_NS.astype(np.uint32), ""),
    "velodyne": ("time", (OFFSETS_NS / 1e9).astype(np.float32), ""),
    "velodyne, stamped at the end": ("time", ((OFFSETS_NS - 100 * MS) / 1e9).astype(np.float32), ""),
    "hesai, robosense": ("timestamp", ABSOLUTE_S, ""),
    "livox": ("timestamp", ABSOLUTE_S * 1e9, ""),
    "microseconds": ("timestamp", ABSOLUTE_S * 1e6, ""),
    "milliseconds": ("timestamp", ABSOLUTE_S * 1e3, ""),
    "autoware": ("time_stamp", OFFSETS_NS.astype(np.uint32), ""),
    "told unit": ("t", (OFFSETS_NS // 1000).astype(np.uint32), "us"),
    "clock of its own, s": ("timestamp", 5000.0 + OFFSETS_NS / 1e9, ""),
    "clock of its own, ns": ("t", (3_000_000_000 + OFFSETS_NS).astype(np.uint32), ""),
}


def cloud(extra, count=5):
    xyz = np.float32([[10, index, 0] for index in range(count)])
    fields = cloud_fields(Points(xyz, np.ones(count, np.float32)), stamp_ns=STAMP, frame_id="lidar", extra=extra)
    return make(fields, compat.message_class)


@pytest.mark.parametrize("driver", DRIVERS)
def test_times_are_read_as_each_driver_tells_them(driver):
    pytest.importorskip("sensor_msgs.msg")
    name, column, unit = DRIVERS[driver]
    found = cloud_frame(cloud({name: column}), time=PointTime("", unit)).data.t_ns
    start = STAMP - 100 * MS if driver.endswith("end") else STAMP
    assert found.dtype == np.int64
    np.testing.assert_allclose(found - start, OFFSETS_NS, atol=2000)


def test_times_are_read_only_on_request_from_the_field_asked_for_and_of_valid_points():
    pytest.importorskip("sensor_msgs.msg")
    message = cloud({"t": OFFSETS_NS.astype(np.uint32), "mine": (OFFSETS_NS * 2).astype(np.uint32)})
    assert cloud_frame(message).data.t_ns is None
    assert cloud_frame(message, time=PointTime("mine")).data.t_ns.tolist() == (STAMP + 2 * OFFSETS_NS).tolist()
    assert cloud_frame(message, time=PointTime("absent")).data.t_ns is None
    view = np.ndarray((5, 3), np.float32, message.data, strides=(message.point_step, 4))
    view[1] = 0
    assert cloud_frame(message, time=PointTime()).data.t_ns.tolist() == (STAMP + OFFSETS_NS[[0, 2, 3, 4]]).tolist()


SENSELESS = {
    "NaN": np.array([0, np.nan]),
    "Inf": np.array([0, np.inf]),
    "far apart": np.array([0.0, 1e18]),
    "two seconds": np.array([0, 2_000_000_000], np.uint32),
    "beyond all times": np.full(2, 1e305),
    "none": np.zeros(0),
}


@pytest.mark.parametrize("column", SENSELESS.values(), ids=SENSELESS)
def test_times_that_make_no_sense_are_none(column):
    assert PointTime().read(column, STAMP) is None


@settings(max_examples=100, deadline=None)
@given(
    column=arrays(np.float64, st.integers(0, 6)) | arrays(np.int32, st.integers(0, 6)),
    unit=st.sampled_from(["", "s", "ms", "us", "ns"]),
)
def test_whatever_times_are_found_lie_in_one_sweep_near_the_stamp(column, unit):
    found = PointTime("", unit).read(column, STAMP)
    if found is not None:
        assert found.max() - found.min() <= 1_000_000_000
        assert np.abs(found - STAMP).max() <= 2_000_000_000


class Odometry:
    """A robot that drives along x; TF knows it from one time to another."""

    def __init__(self, known_ns=(STAMP, STAMP + 200 * MS)):
        self.known_ns, self.asked = known_ns, []

    def __call__(self, target, source, stamp_ns):
        self.asked.append((target, source, stamp_ns))
        if not self.known_ns[0] <= stamp_ns <= self.known_ns[1]:
            return None
        pose = np.eye(4)
        pose[0, 3] = (stamp_ns - STAMP) * SPEED_M_PER_NS
        return pose


def frames(anchor_ns, *, timed=True, anchor=RGB):
    points = Points(
        np.tile(np.float32([10, 0, 0]), (5, 1)), np.ones(5, np.float32), STAMP + OFFSETS_NS if timed else None
    )
    made = {LIDAR: SensorFrame(LIDAR, STAMP, "lidar", points)}
    if anchor is RGB:
        made[RGB] = SensorFrame(RGB, anchor_ns, "camera", np.zeros((3, 4, 3), np.uint8))
    return FrameSet(anchor, made)


def ahead(frame_set):
    return frame_set.frames[LIDAR].data.xyz[:, 0].tolist()


def test_points_are_moved_from_their_own_time_to_the_anchors():
    """10 m/s: 50 ms on, what was 10 m ahead at the stamp is 9.5 m ahead; what was so 100 ms after the stamp, 10.5 m."""
    odometry = Odometry()
    motion = MotionCompensation("odom", odometry)
    found, problem = motion.compensated(frames(STAMP + 50 * MS))
    assert problem is None
    assert ahead(found) == pytest.approx([9.5, 9.75, 10.0, 10.25, 10.5])
    assert odometry.asked == [("odom", "lidar", STAMP + offset * MS) for offset in (0, 100, 50)]
    assert vars(motion.counts) == {"deskewed": 1, "moved_whole": 0, "not_compensated": 0}


def test_the_lidar_as_the_anchor_is_straightened_to_its_own_stamp():
    found, _ = MotionCompensation("odom", Odometry()).compensated(frames(0, anchor=LIDAR))
    assert ahead(found) == pytest.approx([10.0, 10.25, 10.5, 10.75, 11.0])


def test_without_times_a_scan_is_moved_as_one():
    motion = MotionCompensation("odom", Odometry())
    found, problem = motion.compensated(frames(STAMP + 50 * MS, timed=False))
    assert problem is None
    assert ahead(found) == pytest.approx([9.5] * 5)
    assert motion.counts.moved_whole == 1


def test_where_tf_is_behind_the_anchor_the_motion_goes_on_for_a_sweep_at_most():
    motion = MotionCompensation("odom", Odometry((STAMP, STAMP + 100 * MS)))
    found, problem = motion.compensated(frames(STAMP + 200 * MS))
    assert problem is None
    assert ahead(found) == pytest.approx([8.0, 8.25, 8.5, 8.75, 9.0])
    _, problem = motion.compensated(frames(STAMP + 201 * MS))
    assert "at the LiDAR's rate or faster" in str(problem)
    _, problem = motion.compensated(frames(STAMP + 101 * MS, timed=False))
    assert problem is not None


@pytest.mark.parametrize("known_ns", [(0, 0), (STAMP, STAMP + 99 * MS), (STAMP + 1, STAMP + 200 * MS)])
def test_without_transforms_the_scan_is_used_as_it_is_and_the_reason_told(known_ns):
    motion = MotionCompensation("odom", Odometry(known_ns))
    given = frames(STAMP + 50 * MS)
    found, problem = motion.compensated(given)
    assert found is given
    with pytest.raises(CalibrationError, match=r"no transform from 'lidar' to 'odom' at \d+ ns"):
        raise problem
    assert vars(motion.counts) == {"deskewed": 0, "moved_whole": 0, "not_compensated": 1}


def test_without_a_fixed_frame_or_points_nothing_is_asked():
    odometry = Odometry()
    given = frames(STAMP)
    assert MotionCompensation("", odometry).compensated(given) == (given, None)
    camera_only = FrameSet(RGB, {RGB: given.frames[RGB]})
    assert MotionCompensation("odom", odometry).compensated(camera_only) == (camera_only, None)
    assert odometry.asked == []
