# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The drive on live topics, over real DDS."""

import itertools
import threading
import time
from collections import defaultdict

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy")
pytest.importorskip("sensor_msgs.msg")

from rclpy.parameter import Parameter  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image, PointCloud2  # noqa: E402

from any2seg_core.errors import ConfigError, DependencyError  # noqa: E402
from any2seg_core.faults import FaultScript  # noqa: E402
from any2seg_core.frames import Events, Modality, SensorFrame  # noqa: E402
from any2seg_ros import compat, qos  # noqa: E402
from any2seg_ros.conversions import image_frame, stamp_ns  # noqa: E402
from any2seg_ros.event_codecs import EventReader  # noqa: E402
from any2seg_sim.live import CLOCK_TOPIC, StreetSimulator, publish_drive  # noqa: E402
from any2seg_sim.messages import MessageWriter  # noqa: E402
from any2seg_sim.readings import Reading  # noqa: E402
from any2seg_sim.rig import Rig  # noqa: E402
from any2seg_sim.settings import DriveSettings  # noqa: E402

MS = 1_000_000
TINY = DriveSettings(duration_s=0.5, width=48, height=32, subframes=2)


def made_drive():
    """Half a second: five images with labels and ten packets of events, all different; nothing is rendered."""
    for index in range(10):
        end = TINY.start_ns + (index + 1) * 50 * MS
        x = np.arange(8, dtype=np.uint16) + index
        t_ns = end - np.arange(7, -1, -1) * 5 * MS
        events = Events(x, x, np.ones(8, np.uint8), t_ns, 48, 32)
        yield Reading(SensorFrame(Modality.EVENT, int(t_ns[0]), "event_camera_optical_frame", events, end_ns=end))
        if index % 2:
            image = np.full((32, 48, 3), 10 + index, np.uint8)
            labels = np.full((32, 48), index, np.uint8)
            yield Reading(SensorFrame(Modality.RGB, end, "camera_optical_frame", image), labels)


class Listener:
    """Hears topics on a node of its own."""

    def __init__(self, topics, **parameters) -> None:
        wanted = [Parameter(name, value=value) for name, value in parameters.items()]
        self.node = rclpy.create_node("listener", parameter_overrides=wanted)
        self.heard = defaultdict(list)
        self.times = defaultdict(list)
        for topic, kind in topics.items():
            self.node.create_subscription(kind, topic, self._taker(topic), qos.stream("reliable", 1000))

    def _taker(self, topic):
        def take(message):
            self.heard[topic].append(message)
            self.times[topic].append(time.monotonic())

        return take

    def during(self, play):
        """Hear what comes while play runs, and a little after; give what play returns."""
        results = []
        player = threading.Thread(target=lambda: results.append(play()))
        player.start()
        while player.is_alive():
            rclpy.spin_once(self.node, timeout_sec=0.02)
        player.join()
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline:
            rclpy.spin_once(self.node, timeout_sec=0.02)
        return results[0]


@pytest.fixture
def listen(ros):
    made = []

    def start(topics, **parameters):
        made.append(Listener(topics, **parameters))
        return made[-1]

    yield start
    for listener in made:
        listener.node.destroy_node()


@pytest.fixture
def simulate(ros):
    made = []

    def start(**options):
        made.append(StreetSimulator(MessageWriter(Rig.of(TINY)), **options))
        return made[-1]

    yield start
    for node in made:
        node.destroy_node()


def values(images):
    return [int(image_frame(message, Modality.RGB).data[0, 0, 0]) for message in images]


def test_a_drive_arrives_at_its_own_pace_with_present_stamps(simulate, listen):
    simulator, listener = simulate(), listen({"/camera/image_raw": Image, "/events": PointCloud2})
    began_ns = time.time_ns()
    done = listener.during(lambda: simulator.play(list(made_drive()), TINY.start_ns))

    images, events = listener.heard["/camera/image_raw"], listener.heard["/events"]
    assert values(images) == [11, 13, 15, 17, 19]
    stamps = [stamp_ns(message.header) for message in images]
    assert [b - a for a, b in itertools.pairwise(stamps)] == [100 * MS] * 4
    assert 0 < stamps[0] - began_ns < 5_000_000_000
    arrivals = listener.times["/camera/image_raw"]
    assert arrivals[-1] - arrivals[0] == pytest.approx(0.4, abs=0.15)
    reader = EventReader(width=48, height=32)
    assert [len(reader.frame(message).data) for message in events] == [8] * 10
    assert {topic: count for topic, count in done.messages.items() if topic != "/tf_static"} == {
        "/events": 10,
        "/events/camera_info": 10,
        "/camera/image_raw": 5,
        "/camera/camera_info": 5,
        "/truth/labels": 5,
    }


def test_a_script_acts_live_and_truth_goes_on(simulate, listen):
    topics = {"/camera/image_raw": Image, "/camera/camera_info": CameraInfo, "/truth/labels": Image}
    simulator, listener = simulate(), listen(topics)
    faults = FaultScript.from_mapping(
        {"faults": [{"sensor": "rgb", "kind": "dropout", "start_s": 0.2, "end_s": 0.4, "what": "unplugged"}]}
    )
    done = listener.during(lambda: simulator.play(list(made_drive()), TINY.start_ns, faults=faults))
    assert values(listener.heard["/camera/image_raw"]) == [11, 17, 19]
    assert len(listener.heard["/camera/camera_info"]) == 3
    assert len(listener.heard["/truth/labels"]) == 5
    assert [(count.seen, count.lost) for count in done.faults] == [(2, 2)]


def test_simulated_time_leads_those_who_follow_it(simulate, listen):
    clock = pytest.importorskip("rosgraph_msgs.msg").Clock
    simulator = simulate(clock=True, speed_up=0.5)
    listener = listen({CLOCK_TOPIC: clock, "/camera/image_raw": Image}, use_sim_time=True)
    began = time.monotonic()
    listener.during(lambda: simulator.play(list(made_drive()), TINY.start_ns))

    stamps = [stamp_ns(message.header) for message in listener.heard["/camera/image_raw"]]
    assert stamps == [TINY.start_ns + (index + 1) * 100 * MS for index in range(5)]
    arrivals = listener.times["/camera/image_raw"]
    assert arrivals[-1] - arrivals[0] == pytest.approx(0.8, abs=0.2)
    told = [message.clock.sec * 10**9 + message.clock.nanosec for message in listener.heard[CLOCK_TOPIC]]
    assert told == sorted(told)
    assert told[0] < TINY.start_ns
    assert told[-1] == TINY.start_ns + 500 * MS
    assert len(told) > 50
    assert max(b - a for a, b in itertools.pairwise(told)) < 50 * MS
    assert listener.node.get_clock().now().nanoseconds == told[-1]
    assert time.monotonic() - began > 1.0


def test_time_is_told_before_the_message_that_bears_it(simulate):
    pytest.importorskip("rosgraph_msgs.msg")
    simulator, said = simulate(clock=True, speed_up=20.0), []
    now = {"ns": 0}

    class Port:
        def __init__(self, topic) -> None:
            self.topic = topic

        def publish(self, message):
            if self.topic == CLOCK_TOPIC:
                now["ns"] = message.clock.sec * 10**9 + message.clock.nanosec
            elif self.topic != "/tf_static":
                said.append((now["ns"], self.topic, stamp_ns(message.header)))

    simulator._ports = {topic: Port(topic) for topic in simulator._ports}
    simulator._clock_port = Port(CLOCK_TOPIC)
    simulator.play(list(made_drive()), TINY.start_ns)
    assert len(said) == 35
    assert all(told == stamp for told, topic, stamp in said if topic == "/camera/image_raw")
    assert all(told >= stamp for told, _, stamp in said)


def test_a_loop_goes_on_in_time_and_repeats_its_faults(simulate, listen):
    pytest.importorskip("rosgraph_msgs.msg")
    simulator, listener = simulate(clock=True, speed_up=5.0), listen({"/camera/image_raw": Image})
    faults = FaultScript.from_mapping({"faults": [{"sensor": "rgb", "kind": "dropout", "end_s": 0.25}]})
    real, deadline = simulator._wait_until, TINY.start_ns + 1502 * MS

    def until_three_turns(moment_ns, *rest):
        return moment_ns <= deadline and real(moment_ns, *rest)

    simulator._wait_until = until_three_turns
    done = listener.during(lambda: simulator.play(list(made_drive()), TINY.start_ns, faults=faults, loop=True))
    assert values(listener.heard["/camera/image_raw"]) == [15, 17, 19] * 3
    stamps = [stamp_ns(message.header) - TINY.start_ns for message in listener.heard["/camera/image_raw"]]
    assert stamps == [(turn * 501 + moment) * MS for turn in range(3) for moment in (300, 400, 500)]
    assert done.faults[0].lost >= 6


def test_an_interrupted_play_tells_what_went_out(simulate):
    simulator = simulate()

    def interrupted(*_):
        raise KeyboardInterrupt

    simulator._wait_until = interrupted
    assert set(simulator.play(list(made_drive()), TINY.start_ns).messages) <= {"/tf_static"}


def test_an_empty_drive_ends_at_once(simulate):
    assert set(simulate().play([], TINY.start_ns, loop=True).messages) <= {"/tf_static"}


@pytest.mark.usefixtures("ros")
def test_impossible_paces_are_refused():
    with pytest.raises(ConfigError, match=r"found speed-up 2 in present time, expected 1; ask for a clock too"):
        publish_drive(TINY, speed_up=2.0)
    for wrong in (0.0, -1.0, 1e6, float("nan")):
        with pytest.raises(ConfigError, match=r"found speed-up .*, expected 0.01 to 100"):
            StreetSimulator(MessageWriter(Rig.of(TINY)), clock=True, speed_up=wrong)


@pytest.mark.usefixtures("ros")
def test_without_the_message_type_it_says_what_is_missing():
    if compat.optional_type("event_packet") is not None:
        pytest.skip("event_camera_msgs is installed")
    with pytest.raises(DependencyError, match="found no 'event_camera_msgs/msg/EventPacket'"):
        StreetSimulator(MessageWriter(Rig.of(TINY), "packet"))
