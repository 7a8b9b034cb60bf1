# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Real recordings through a bag, real topics and the node, to a label image."""

import time

import numpy as np
from rosbags.highlevel import AnyReader

from any2seg_core.frames import Modality
from any2seg_ros import compat
from any2seg_ros.conversions import stamp_ns

STAMP_NS = 1_600_000_000_123_456_789
IMAGE_HEIGHT, IMAGE_WIDTH = 1200, 1920


def test_a_real_camera_and_lidar_bag_becomes_a_label_image(stage, camera_lidar_bag):
    path, extrinsic = camera_lidar_bag
    node = stage.segmentation_node(lidar__extrinsic=extrinsic, rgb__reliability="reliable", inference__short_side_px=64)
    robot = stage.robot()
    assert node.start()
    topics = {
        "/camera/image_raw": "rgb/image",
        "/camera/camera_info": "rgb/camera_info",
        "/lidar/points": "lidar/points",
    }
    with AnyReader([path]) as bag:
        messages = [(connection.topic, connection.msgtype, bytes(raw)) for connection, _, raw in bag.messages()]
    ports = {
        topic: robot.node.create_publisher(compat.message_class(kind), topics[topic], 10) for topic, kind, _ in messages
    }
    assert robot.wait(lambda: all(port.get_subscription_count() for port in ports.values()))
    order = ["/camera/camera_info", "/lidar/points", "/camera/image_raw"]
    for topic, _, raw in sorted(messages, key=lambda message: order.index(message[0])):
        ports[topic].publish(raw)
        time.sleep(0.3)

    assert robot.wait(lambda: robot.heard.labels and robot.heard.used)
    assert robot.used_sets()[-1][0] == "rgb+lidar"
    label_image = robot.heard.labels[-1]
    assert (label_image.height, label_image.width) == (IMAGE_HEIGHT, IMAGE_WIDTH)
    assert (stamp_ns(label_image.header), label_image.header.frame_id) == (STAMP_NS, "camera")
    assert len(np.unique(np.frombuffer(label_image.data, np.uint8))) > 1


def test_a_real_event_camera_bag_becomes_label_images_offline(shared_data):
    """The same pipeline without DDS: EventPacket's package is not on PyPI, rosbags' messages stand in."""
    from any2seg_core.config import InferenceConfig, NodeConfig
    from any2seg_core.inference import open_segmenter
    from any2seg_ros.pipeline import Pipeline

    config = NodeConfig.from_mapping({"modalities": ["event"], "sync": {"anchors": ["event"]}})
    settings = InferenceConfig(checkpoint="untrained", short_side_px=32, threads=1, device="cpu")
    problems = []
    segmenter = open_segmenter(settings, [Modality.EVENT])
    pipeline = Pipeline(config, segmenter, lookup=lambda *_: None, report=lambda *problem: problems.append(problem))
    matches = []
    with AnyReader([shared_data / "event_camera_evt3" / "bag"]) as bag:
        for connection, log_ns, raw in bag.messages():
            message = bag.deserialize(raw, connection.msgtype)
            matches += pipeline.take(Modality.EVENT, message, log_ns)
    answers = [pipeline.answer(match) for match in matches]
    assert problems == []
    # 2.08 s of packets, at most one answer per 40 ms.
    assert 40 <= len(answers) <= 52
    assert {answer.labels.labels.shape for answer in answers} == {(480, 640)}
    stamps = [answer.labels.stamp_ns for answer in answers]
    assert stamps == sorted(set(stamps))
