# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Broken input through real topics: a counter and a reason in the diagnostics, and output from what remains."""

import array
import itertools
import re
import time

import numpy as np
import pytest

from any2seg_core.frames import CameraModel, Modality
from any2seg_ros import compat
from any2seg_ros.conversions import stamp_ns

SENSORS = (Modality.RGB, Modality.DEPTH, Modality.EVENT, Modality.LIDAR)


def wrong_encoding(message):
    message.encoding = "jpeg9000"


def truncated(message):
    message.data = message.data[: len(message.data) // 2]


def zero_size(message):
    message.width = message.height = message.step = 0
    message.data = array.array("B")


def no_points(message):
    message.width = message.height = message.row_step = 0
    message.data = array.array("B")


def short_step(message):
    message.step = 1


def no_xyz(message):
    for field, name in zip(message.fields, ("a", "b", "c"), strict=False):
        field.name = name


def zero_stamp(message):
    message.header.stamp.sec = message.header.stamp.nanosec = 0


def all_nan(message):
    floats = np.frombuffer(message.data, np.float32).copy()
    floats[:] = np.nan
    message.data = array.array("B", floats.tobytes())


BROKEN = {
    "camera: wrong encoding": (Modality.RGB, wrong_encoding, r"jpeg9000"),
    "camera: cut off": (Modality.RGB, truncated, r"bytes"),
    "camera: zero size": (Modality.RGB, zero_size, r"0x0|size"),
    "camera: step too short": (Modality.RGB, short_step, r"step"),
    "camera: stamp zero": (Modality.RGB, zero_stamp, r"stamp"),
    "depth: wrong encoding": (Modality.DEPTH, wrong_encoding, r"jpeg9000"),
    "depth: cut off": (Modality.DEPTH, truncated, r"bytes"),
    "cloud: no x y z": (Modality.LIDAR, no_xyz, r"x"),
    "cloud: cut off": (Modality.LIDAR, truncated, r"bytes"),
    "cloud: all NaN": (Modality.LIDAR, all_nan, r"return"),
    "cloud: zero size": (Modality.LIDAR, no_points, r"point|return|empty"),
    "events: no x y": (Modality.EVENT, no_xyz, r"x"),
    "events: cut off": (Modality.EVENT, truncated, r"bytes"),
    "events: stamp zero": (Modality.EVENT, zero_stamp, r"stamp"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_sensor_is_counted_and_the_others_go_on(started, case):
    modality, breaks, reason = BROKEN[case]
    _, robot = started
    others = [other for other in SENSORS if other is not modality]

    def outputs_without_it():
        return [used for used, _ in robot.used_sets() if used == "+".join(other.value for other in others)]

    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and len(outputs_without_it()) < 2:
        robot.clock_ns += 50_000_000
        message = robot.message(modality)
        breaks(message)
        robot.send(modality, message)
        for other in others:
            robot.send(other)
        time.sleep(0.05)
    assert len(outputs_without_it()) >= 2, robot.used_sets()
    assert robot.wait(lambda: refusals(robot, modality) > 0)
    _, _, values = robot.health(modality.value)
    assert re.search(reason, values.get("last_problem", "")), values


def refusals(robot, modality):
    health = robot.health(modality.value)
    counts = [int(v) for k, v in health[2].items() if k.startswith("problem.") and v.isdigit()] if health else []
    return sum(counts)


def test_depth_full_of_nan_and_inf_still_gives_finite_answers(started):
    _, robot = started

    def drive():
        robot.clock_ns += 50_000_000
        message = robot.message(Modality.DEPTH)
        depth = np.frombuffer(message.data, np.float32).copy()
        depth[::3], depth[1::3], depth[2::3] = np.nan, np.inf, -np.inf
        message.data = array.array("B", depth.tobytes())
        robot.send(Modality.DEPTH, message)
        time.sleep(0.05)

    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and not robot.heard.confidence:
        drive()
    confidence = np.frombuffer(robot.heard.confidence[-1].data, np.float32)
    assert np.isfinite(confidence).all()


def test_an_uncalibrated_camera_leaves_the_lidar_out_and_says_why(stage):
    node = stage.segmentation_node()
    robot = stage.robot()
    assert node.start()
    assert robot.wait(lambda: robot.camera_ports[Modality.RGB].get_subscription_count())
    uncalibrated = CameraModel(64, 48, np.zeros((3, 3)))
    robot.send_camera_infos([Modality.RGB], uncalibrated)
    assert robot.drive_until(lambda: any(u == "rgb+depth+event" for u, _ in robot.used_sets()), SENSORS)
    values = next(values for used, values in robot.used_sets() if used == "rgb+depth+event")
    assert values["absent.lidar"] == "no_calibration"
    assert robot.wait(lambda: refusals(robot, Modality.RGB) > 0)
    assert "K" in robot.health("rgb")[2]["last_problem"]
    robot.send_camera_infos()
    assert robot.drive_until(lambda: any("lidar" in u for u, _ in robot.used_sets()), SENSORS)


def test_without_a_transform_the_lidar_is_left_out_and_says_why(stage):
    node = stage.segmentation_node(lidar__extrinsic=[0.0] * 7)
    robot = stage.robot()
    assert node.start()
    assert robot.wait(lambda: robot.camera_ports[Modality.RGB].get_subscription_count())
    robot.send_camera_infos()
    assert robot.drive_until(lambda: len(robot.heard.used) >= 2, SENSORS)
    assert {values.get("absent.lidar") for _, values in robot.used_sets()} <= {"no_transform", "late", "never_seen"}
    assert robot.drive_until(lambda: refusals(robot, Modality.LIDAR) > 0, SENSORS)
    assert "lidar.extrinsic" in robot.health("lidar")[2]["last_problem"]


def test_after_a_bag_loop_output_goes_on(started):
    _, robot = started
    assert robot.drive_until(lambda: len(robot.heard.labels) >= 5, SENSORS)
    robot.clock_ns -= 5_000_000_000
    looped_at = robot.clock_ns
    assert robot.drive_until(lambda: any(s > looped_at for s in robot.stamps()[-3:]) and later(robot), SENSORS)


def later(robot):
    stamps = robot.stamps()
    return any(new < old for old, new in itertools.pairwise(stamps))


def test_a_sensor_one_hour_ahead_does_not_stop_the_others(started):
    _, robot = started

    def drive():
        robot.clock_ns += 50_000_000
        robot.send(Modality.DEPTH, robot.message(Modality.DEPTH, robot.clock_ns + 3600 * 10**9))
        for modality in (Modality.RGB, Modality.EVENT, Modality.LIDAR):
            robot.send(modality)
        time.sleep(0.05)

    for _ in range(30):
        drive()
    assert robot.wait(lambda: sum(used == "rgb+event+lidar" for used, _ in robot.used_sets()) >= 10), robot.used_sets()


def test_a_sensor_that_returns_at_another_rate_serves_again(started):
    _, robot = started
    without = (Modality.DEPTH, Modality.EVENT, Modality.LIDAR)
    assert robot.drive_until(lambda: any(u.startswith("rgb") for u, _ in robot.used_sets()), SENSORS)
    assert robot.drive_until(lambda: robot.used_sets()[-1][0] == "depth+event+lidar", without)
    before = len(robot.heard.used)
    for step in range(60):
        robot.tick(SENSORS if step % 3 == 0 else without, 0.05)
    assert sum(used == "rgb+depth+event+lidar" for used, _ in robot.used_sets()[before:]) >= 5


def test_garbage_of_the_wrong_kind_never_ends_the_node(started):
    """A cloud of events on the LiDAR topic, a depth image on the camera's, and the node still answers after."""
    _, robot = started
    for _ in range(5):
        robot.clock_ns += 50_000_000
        robot.send(Modality.LIDAR, robot.message(Modality.EVENT))
        robot.send(Modality.RGB, robot.message(Modality.DEPTH))
        time.sleep(0.02)
    assert robot.drive_until(lambda: any(u == "rgb+depth+event+lidar" for u, _ in robot.used_sets()), SENSORS)


def test_messages_are_made_with_checked_fields():
    """The whole suite relies on this: without it wrong types would turn into garbage in silence."""
    message = compat.message_class("sensor_msgs/msg/Image")()
    with pytest.raises(AssertionError):
        message.height = 1.5
    assert stamp_ns(message.header) == 0
