# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The online scorer: figures by hand, and a scorer that hears a robot and a segmentation node over DDS."""

import importlib.util
import json
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from any2seg_core.errors import ConfigError, FrameError
from any2seg_core.frames import Modality
from any2seg_ros import compat
from any2seg_ros.conversions import image_fields, make
from any2seg_ros.replay.show import online as figures

ROOT = Path(__file__).resolve().parents[2]
MS = 1_000_000
INPUT = "rgb/image"


@pytest.fixture
def online(ros):
    return pytest.importorskip("any2seg_ros.replay_online")


def image(pixels, stamp=5, encoding="mono8"):
    fields = image_fields(np.asarray(pixels, np.uint8), encoding, stamp_ns=stamp, frame_id="camera")
    return make(fields, compat.message_class)


def test_the_figures_follow_the_definitions_of_ros2_benchmark():
    sent = {1: 0, 2: 100 * MS, 3: 200 * MS, 4: 300 * MS}
    received = {1: 30 * MS, 2: 150 * MS, 4: 340 * MS}
    found = figures.performance(sent, received)
    expected = {
        "NUM_FRAMES_SENT": 4, "NUM_MISSED_FRAMES": 1, "MEAN_PLAYBACK_FRAME_RATE": 4 / 0.3, "RECEIVED_DURATION": 310.0,
        "MEAN_FRAME_RATE": 3 / 0.31, "FIRST_SENT_RECEIVED_LATENCY": 30.0, "LAST_SENT_RECEIVED_LATENCY": 40.0,
        "FIRST_INPUT_LATENCY": 30.0, "LAST_INPUT_LATENCY": 40.0, "MAX_LATENCY": 50.0, "MIN_LATENCY": 30.0,
        "MEAN_LATENCY": 40.0, "MAX_JITTER": 70.0, "MIN_JITTER": 70.0, "MEAN_JITTER": 70.0, "STD_DEV_JITTER": 0.0,
    }  # fmt: skip
    assert found == pytest.approx({"BasicPerformanceMetrics." + name: value for name, value in expected.items()})


def test_what_too_few_frames_leave_undefined_is_left_out():
    assert figures.performance({}, {}) == {
        figures.PREFIX + "NUM_FRAMES_SENT": 0,
        figures.PREFIX + "NUM_MISSED_FRAMES": 0,
    }
    one = figures.performance({7: 0}, {7: 10 * MS})
    assert one[figures.PREFIX + "MEAN_LATENCY"] == 10.0
    assert figures.PREFIX + "MEAN_FRAME_RATE" not in one


def test_labels_and_truth_meet_by_stamp_whichever_comes_first():
    scores = figures.OnlineScores()
    scores.add("labels", image([[0, 1], [1, 1]], stamp=1))
    scores.add("truth", image([[3, 3], [3, 3]], stamp=2))  # its labels never come
    scores.add("truth", image([[0, 0], [1, 255]], stamp=1))
    found = scores.to_json()
    assert found["compared"] == 1
    assert found["iou"] == {"0": 0.5, "1": 0.5}  # one hit each, one true 0 taken for 1
    assert found["miou"] == 0.5
    assert found["pixel_acc"] == pytest.approx(2 / 3)


def test_images_that_are_no_labels_or_of_another_size_are_counted():
    scores = figures.OnlineScores()
    scores.add("labels", image([[0, 1]], stamp=1))
    scores.add("truth", image([[0], [1]], stamp=1))
    scores.add("truth", image(np.zeros((2, 2, 3)), encoding="rgb8"))
    assert scores.compared == 0
    assert sorted(scores.refused.values()) == [1, 1]
    assert scores.to_json()["miou"] is None


def test_rows_may_be_padded_and_short_data_is_refused():
    padded = SimpleNamespace(encoding="mono8", height=2, width=2, step=3, data=b"\x01\x02\x00\x03\x04")
    assert figures.label_ids(padded).tolist() == [[1, 2], [3, 4]]
    with pytest.raises(FrameError, match="labels"):
        figures.label_ids(SimpleNamespace(encoding="mono8", height=2, width=2, step=3, data=b"\x01\x02\x00\x03"))
    with pytest.raises(FrameError, match="expected an image"):
        figures.label_ids(SimpleNamespace(encoding="mono8", height=2, width=4, step=3, data=bytes(6)))


def test_a_memory_of_waiting_images_is_bounded():
    scores = figures.OnlineScores()
    for stamp in range(200):
        scores.add("labels", image([[0]], stamp=stamp))
    for stamp in range(200):
        scores.add("truth", image([[0]], stamp=stamp))
    assert 0 < scores.compared < 100


def scorer_of(online, stage, tmp_path, **parameters):
    from rclpy.parameter import Parameter

    values = {"out": str(tmp_path / "figures" / "online.json"), **parameters}
    return stage.add(online.ReplayScorer(parameter_overrides=[Parameter(name, value=v) for name, v in values.items()]))


def test_it_scores_a_live_node(online, stage, started, tmp_path):
    """Camera frames go in; every stamp whose labels come out is matched, with truth that says class 0 everywhere."""
    from rclpy.node import Node

    _, robot = started
    teacher = stage.add(Node("teacher"))
    port = teacher.create_publisher(compat.message_class("sensor_msgs/msg/Image"), "truth", 50)
    scorer = scorer_of(online, stage, tmp_path, truth_topic="truth")
    assert robot.wait(lambda: not scorer.waiting_for)
    assert robot.wait(lambda: port.get_subscription_count() and robot.ports[Modality.RGB].get_subscription_count() > 1)
    zeros = np.zeros((48, 64), np.uint8)

    def drive():
        message = robot.send(Modality.RGB)
        stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        port.publish(make(image_fields(zeros, "mono8", stamp_ns=stamp, frame_id="camera"), compat.message_class))
        robot.clock_ns += 100 * MS
        time.sleep(0.1)

    deadline = time.monotonic() + 15
    while scorer.scores.compared < 4 and time.monotonic() < deadline:
        drive()
    scorer.write()
    found = json.loads(scorer.out.read_text())
    sent, missed = (found[figures.PREFIX + name] for name in ("NUM_FRAMES_SENT", "NUM_MISSED_FRAMES"))
    assert sent >= 4
    assert sent - missed == len(set(scorer.sent_ns) & set(scorer.received_ns)) >= 4
    assert 0 < found[figures.PREFIX + "MIN_LATENCY"] <= found["latency_p50_ms"] <= found["latency_p95_ms"]
    assert found["node_latency_p50_ms"] > 0
    assert found["outputs_by_sensors"]["rgb"] >= 4
    assert found["scores"]["compared"] >= 4
    assert found["scores"]["refused"] == {}
    assert 0 <= found["scores"]["pixel_acc"] <= 1
    assert found["topics_never_published"] == []
    assert [path.name for path in scorer.out.parent.iterdir()] == ["online.json"]


def test_a_topic_of_another_type_is_refused_by_name(online):
    assert online._checked("rgb/image", "sensor_msgs/msg/Image", "").__name__ == "Image"
    with pytest.raises(ConfigError, match=r"truth: found std_msgs/msg/String, expected sensor_msgs/msg/Image"):
        online._checked("truth", "std_msgs/msg/String", "sensor_msgs/msg/Image")
    with pytest.raises(ConfigError, match="begin with a header"):
        online._checked("rgb/image", "std_msgs/msg/String", "")


def test_the_program_writes_its_figures_when_it_is_stopped(online, tmp_path):
    out = tmp_path / "online.json"
    command = [sys.executable, "-m", "any2seg_ros.replay_online", "--ros-args", "-p", f"out:={out}"]
    process = subprocess.Popen(command, cwd=ROOT)
    deadline = time.monotonic() + 20
    while not out.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    found = json.loads(out.read_text())
    assert found[figures.PREFIX + "NUM_FRAMES_SENT"] == 0
    assert INPUT in found["topics_never_published"]


def test_a_place_that_cannot_be_written_is_told(online, stage, tmp_path):
    (tmp_path / "file").write_text("")
    scorer = online.ReplayScorer()
    scorer.out = tmp_path / "file" / "online.json"
    with pytest.raises(ConfigError, match=r"cannot write .*; give the path"):
        scorer.write()
    scorer.destroy_node()


LAUNCH = ROOT / "launch" / "replay_evaluation.launch.py"


@pytest.fixture
def launch_file():
    pytest.importorskip("launch.actions")
    pytest.importorskip("launch_ros.actions")
    spec = importlib.util.spec_from_file_location("replay_evaluation_launch", LAUNCH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_launch_file_plays_the_bag_and_starts_the_scorer(launch_file, tmp_path):
    from launch import LaunchContext

    context = LaunchContext()
    given = {"bag": str(tmp_path), "rate": "0.5", "truth_topic": "/truth"}
    context.launch_configurations.update(given)
    for argument in launch_file.arguments():
        argument.execute(context)
    scorer, player, *_ = launch_file.actions_of(context)
    words = ["".join(part.perform(context) for part in word) for word in player.cmd]
    assert words[:4] == ["ros2", "bag", "play", str(tmp_path)]
    assert words[words.index("--rate") + 1] == "0.5"
    scorer._perform_substitutions(context)
    context.extend_locals({"ros_specific_arguments": defaultdict(str)})
    words = ["".join(part.perform(context) for part in word) for word in scorer.cmd]
    assert words[1:3] == ["-m", "any2seg_ros.replay_online"]


def test_a_bag_that_is_not_there_stops_the_launch(launch_file):
    from launch import LaunchContext

    context = LaunchContext()
    context.launch_configurations["bag"] = "/no/such/bag"
    with pytest.raises(FileNotFoundError, match="correct the path"):
        launch_file.actions_of(context)


def test_every_argument_of_the_launch_file_is_described(launch_file):
    assert {argument.name for argument in launch_file.arguments()} >= {"bag", "rate", "truth_topic", "node", "out"}
    assert all(len(argument.description) > 10 for argument in launch_file.arguments())
