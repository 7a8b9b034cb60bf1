# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Through real topics: the camera of the labels, sensors' ages, and a floor of confidence that is set while it runs."""

import itertools

import numpy as np

from any2seg_core.frames import UNLABELLED, CameraModel, Modality
from any2seg_ros import compat
from any2seg_ros.conversions import camera_model, stamp_ns

SENSORS = (Modality.RGB, Modality.DEPTH, Modality.EVENT, Modality.LIDAR)


def test_the_camera_of_the_labels_has_their_header_and_size_and_follows_a_change(started):
    _, robot = started
    heard = []
    kind = compat.message_class("sensor_msgs/msg/CameraInfo")
    robot.node.create_subscription(kind, "/segmentation_node/camera_info", heard.append, 50)
    # Intrinsics of an image twice as large: the camera of the labels is of the labels' size all the same.
    double = CameraModel(128, 96, np.array([[80.0, 0, 63.5], [0, 80.0, 47.5], [0, 0, 1]]), frame_id="camera")
    assert robot.drive_until(lambda: heard and robot.heard.labels, SENSORS)
    robot.send_camera_infos([Modality.RGB], double)
    assert robot.drive_until(lambda: camera_model(heard[-1]).k[0, 0] == 40.0, SENSORS)
    assert camera_model(heard[0]).k[0, 0] == 50.0
    assert {(info.width, info.height, info.header.frame_id) for info in heard} == {(64, 48, "camera")}
    assert robot.wait(lambda: {stamp_ns(info.header) for info in heard} <= set(robot.stamps()))


def test_the_ages_of_sensors_go_with_every_output(started):
    _, robot = started

    def drive():
        robot.clock_ns += 50_000_000
        robot.send(Modality.LIDAR, robot.message(Modality.LIDAR, robot.clock_ns - 30_000_000))
        robot.tick([Modality.RGB], 0.05)

    for _ in itertools.takewhile(lambda _: not ages(robot), range(200)):
        drive()
    assert {values["age_ms.rgb"] for values in ages(robot)} == {"0.0"}
    assert {float(values["age_ms.lidar"]) for values in ages(robot)} <= {80.0, 30.0, -20.0}


def ages(robot):
    return [values for used, values in robot.used_sets() if used == "rgb+lidar"]


def test_a_floor_of_confidence_that_is_set_while_the_node_runs_takes_labels_away(started):
    from rclpy.parameter import Parameter

    node, robot = started
    assert robot.drive_until(lambda: robot.heard.labels, SENSORS)
    assert UNLABELLED not in robot.heard.labels[-1].data
    assert node.set_parameters([Parameter("output.confidence_floor", value=1.0)])[0].successful
    assert robot.drive_until(lambda: set(robot.heard.labels[-1].data) == {UNLABELLED}, SENSORS)
    assert node.set_parameters([Parameter("output.confidence_floor", value=0.0)])[0].successful
    assert robot.drive_until(lambda: UNLABELLED not in robot.heard.labels[-1].data, SENSORS)
