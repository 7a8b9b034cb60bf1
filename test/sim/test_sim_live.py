# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The drive on live topics."""

import itertools
import threading
import time

import pytest

rclpy = pytest.importorskip("rclpy")
pytest.importorskip("sensor_msgs.msg")

from sensor_msgs.msg import Image, PointCloud2  # noqa: E402

from any2seg_core.errors import DependencyError  # noqa: E402
from any2seg_core.frames import Modality  # noqa: E402
from any2seg_ros import compat, qos  # noqa: E402
from any2seg_ros.conversions import image_frame, stamp_ns  # noqa: E402
from any2seg_ros.event_codecs import EventReader  # noqa: E402
from any2seg_sim.live import StreetSimulator  # noqa: E402
from any2seg_sim.messages import MessageWriter  # noqa: E402
from any2seg_sim.rig import Rig  # noqa: E402
from any2seg_sim.settings import DriveSettings  # noqa: E402
from any2seg_sim.simulation import render_drive  # noqa: E402

TINY = DriveSettings(
    seed=4, duration_s=0.5, width=48, height=32, subframes=2, lidar_rings=8, lidar_columns=64, samples=1
)


@pytest.mark.usefixtures("ros")
def test_a_drive_arrives_at_its_own_pace_with_present_stamps():
    drive = list(render_drive(TINY))
    simulator = StreetSimulator(MessageWriter(Rig.of(TINY)))
    listener = rclpy.create_node("listener")
    images, events, arrivals = [], [], []

    def take(message):
        images.append(message)
        arrivals.append(time.monotonic())

    listener.create_subscription(Image, "/camera/image_raw", take, qos.stream("reliable", 100))
    listener.create_subscription(PointCloud2, "/events", events.append, qos.stream("reliable", 100))
    player = threading.Thread(target=simulator.play, args=(drive, TINY.start_ns))
    began_ns = time.time_ns()
    player.start()
    deadline = time.monotonic() + 10
    while (len(images) < 5 or len(events) < 10) and time.monotonic() < deadline:
        rclpy.spin_once(listener, timeout_sec=0.1)
    player.join()
    listener.destroy_node()
    simulator.destroy_node()

    sent = [reading.frame for reading in drive if reading.frame.modality is Modality.RGB]
    assert [image_frame(message, Modality.RGB).data.tobytes() for message in images] == [f.data.tobytes() for f in sent]
    stamps = [stamp_ns(message.header) for message in images]
    assert [b - a for a, b in itertools.pairwise(stamps)] == [100_000_000] * 4
    assert 0 < stamps[0] - began_ns < 5_000_000_000
    assert arrivals[-1] - arrivals[0] == pytest.approx(0.4, abs=0.15)
    reader = EventReader(width=48, height=32)
    assert len(events) == 10
    assert sum(len(reader.frame(message).data) for message in events) > 50


@pytest.mark.usefixtures("ros")
def test_without_the_message_type_it_says_what_is_missing():
    if compat.optional_type("event_packet") is not None:
        pytest.skip("event_camera_msgs is installed")
    with pytest.raises(DependencyError, match="found no 'event_camera_msgs/msg/EventPacket'"):
        StreetSimulator(MessageWriter(Rig.of(TINY), "packet"))
