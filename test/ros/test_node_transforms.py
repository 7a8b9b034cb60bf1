# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Depth from elsewhere and scans of a moving robot through real topics; a stand-in with tf2_ros' calls plays TF."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

from any2seg_core.frames import CameraModel, Modality, Points
from any2seg_ros import compat
from any2seg_ros.conversions import camera_info_fields, cloud_fields, make

RGB, DEPTH, LIDAR = Modality.RGB, Modality.DEPTH, Modality.LIDAR
STEREO = CameraModel(64, 48, np.array([[40.0, 0, 31.5], [0, 40.0, 23.5], [0, 0, 1]]), frame_id="stereo")


class TransformException(Exception):  # noqa: N818  tf2_py's name
    pass


class Buffer:
    """A rig on a robot that drives along x; each pair of frames is known, or it is not."""

    known = frozenset()

    def lookup_transform(self, target, source, time):
        if (target, source) not in self.known:
            raise TransformException(source)
        x = (time.nanoseconds % 10**12) * 1e-8 if target == "odom" else 0.1
        turn = (
            {"x": 0.5, "y": -0.5, "z": 0.5, "w": 0.5} if source == "lidar" else {"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0}
        )
        stamp = SimpleNamespace(sec=time.nanoseconds // 10**9, nanosec=time.nanoseconds % 10**9)
        body = SimpleNamespace(translation=SimpleNamespace(x=x, y=0.0, z=0.0), rotation=SimpleNamespace(**turn))
        return SimpleNamespace(header=SimpleNamespace(stamp=stamp), transform=body)

    def clear(self):
        pass


@pytest.fixture
def rig(stage, monkeypatch):
    listener = lambda *_: SimpleNamespace(unregister=lambda: None)  # noqa: E731
    module = SimpleNamespace(Buffer=Buffer, TransformListener=listener, TransformException=TransformException)
    monkeypatch.setattr(compat, "tf2_ros", lambda: module)
    monkeypatch.setattr(Buffer, "known", {("camera", "stereo"), ("camera", "lidar"), ("odom", "lidar")})
    node = stage.segmentation_node(
        modalities=["rgb", "depth", "lidar"], lidar__extrinsic=[0.0] * 7, lidar__fixed_frame="odom"
    )
    robot = stage.robot()
    assert node.start()
    ports = [robot.ports[m] for m in (RGB, DEPTH, LIDAR)] + [robot.camera_ports[m] for m in (RGB, DEPTH)]
    assert robot.wait(lambda: all(port.get_subscription_count() for port in ports))
    robot.send_camera_infos([RGB])
    stereo = camera_info_fields(STEREO, stamp_ns=robot.clock_ns)
    robot.camera_ports[DEPTH].publish(make(stereo, compat.message_class))
    time.sleep(0.2)
    return robot


def send(robot):
    robot.clock_ns += 50_000_000
    depth = robot.message(DEPTH)
    depth.header.frame_id = "stereo"
    points = Points(np.tile(np.float32([8, 0, 0]), (50, 1)), np.ones(50, np.float32))
    times = {"t": np.arange(50, dtype=np.uint32) * 1_000_000}
    scan = make(cloud_fields(points, stamp_ns=robot.clock_ns, frame_id="lidar", extra=times), compat.message_class)
    robot.send(DEPTH, depth)
    robot.send(LIDAR, scan)
    robot.tick([RGB], 0.0)


def send_until(robot, condition):
    for _ in range(300):
        if condition():
            return True
        time.sleep(0.03)
        send(robot)
    return False


def values(robot, source):
    found = robot.health(source)
    return found[2] if found else {}


def test_depth_is_registered_and_scans_are_straightened_as_long_as_tf_tells_how(rig):
    assert send_until(rig, lambda: any(used == "rgb+depth+lidar" for used, _ in rig.used_sets()))
    assert send_until(rig, lambda: int(values(rig, "lidar").get("deskewed", 0)) > 2)
    assert "problem.not registered" not in values(rig, "depth")
    assert values(rig, "lidar")["not_compensated"] == "0"

    Buffer.known = {("camera", "lidar")}
    assert send_until(rig, lambda: int(values(rig, "lidar").get("not_compensated", 0)) > 2)
    assert send_until(rig, lambda: "problem.not registered" in values(rig, "depth"))
    assert "set depth.extrinsic" in values(rig, "depth")["last_problem"]
    assert "no transform from 'lidar' to 'odom'" in values(rig, "lidar")["last_problem"]
    # What cannot be moved is used as measured.
    before = len(rig.used_sets())
    assert send_until(rig, lambda: any(used == "rgb+depth+lidar" for used, _ in rig.used_sets()[before:]))
