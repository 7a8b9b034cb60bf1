# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Compressed cameras through real topics: image_transport's topic names, and damage that is counted and told."""

import array
import struct
import time

import cv2
import numpy as np
import pytest

from any2seg_core.frames import Modality
from any2seg_ros import compat

RGB, DEPTH = Modality.RGB, Modality.DEPTH


class Compressor:
    """Publishes both cameras compressed."""

    def __init__(self, robot) -> None:
        kind = compat.message_class("sensor_msgs/msg/CompressedImage")
        self.robot, self.kind = robot, kind
        topics = {RGB: "rgb/image/compressed", DEPTH: "depth/image/compressedDepth"}
        self.ports = {modality: robot.node.create_publisher(kind, topic, 10) for modality, topic in topics.items()}

    def connected(self):
        return all(port.get_subscription_count() for port in self.ports.values())

    def send(self, cut=0):
        self.robot.clock_ns += 50_000_000
        rng = np.random.default_rng(self.robot.clock_ns)
        picture = cv2.imencode(".jpg", rng.integers(0, 256, (48, 64, 3), np.uint8))[1].tobytes()
        counts = cv2.imencode(".png", rng.integers(500, 9000, (48, 64)).astype(np.uint16))[1].tobytes()
        bodies = {
            RGB: ("rgb8; jpeg compressed bgr8", picture[: len(picture) - cut]),
            DEPTH: ("16UC1; compressedDepth png", struct.pack("<iff", 0, 0, 0) + counts),
        }
        for modality, (text, data) in bodies.items():
            message = self.kind(format=text, data=array.array("B", data))
            message.header = self.robot.message(modality).header
            self.ports[modality].publish(message)
        time.sleep(0.03)

    def drive_until(self, condition, cut=0, timeout_s=10.0):
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and not condition():
            self.send(cut)
        return condition()


@pytest.fixture
def compressor(stage):
    settings = {"rgb__transport": "compressed", "depth__transport": "compressedDepth", "modalities": ["rgb", "depth"]}
    node, robot = stage.segmentation_node(**settings), stage.robot()
    assert node.start()
    made = Compressor(robot)
    assert robot.wait(made.connected)
    return made


def test_compressed_cameras_serve_and_a_cut_off_picture_is_told(compressor):
    robot = compressor.robot
    assert compressor.drive_until(lambda: any(used == "rgb+depth" for used, _ in robot.used_sets()))
    assert {(m.height, m.width) for m in robot.heard.labels} == {(48, 64)}
    assert compressor.drive_until(lambda: robot.used_sets()[-1][0] == "depth", cut=200)
    assert robot.wait(lambda: "cut off" in robot.health("rgb")[2].get("last_problem", ""))
    assert int(robot.health("rgb")[2]["problem.refused"]) > 0


def test_the_suffix_goes_behind_what_the_image_topic_is_remapped_to(stage):
    node = stage.segmentation_node(
        rgb__transport="compressed", modalities=["rgb"], cli_args=["--ros-args", "-r", "rgb/image:=/front/image_raw"]
    )
    assert node.start()
    assert "/front/image_raw/compressed" in {subscription.topic_name for subscription in node.subscriptions}
