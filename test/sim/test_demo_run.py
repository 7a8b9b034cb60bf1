# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The demo from end to end, small: its own processes, real DDS, sensors dying, a report that adds up."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")

from rosbags.highlevel import AnyReader

from any2seg_core.faults import FaultScript
from any2seg_core.frames import Modality, Points, SensorFrame
from any2seg_ros.conversions import cloud_frame, image_frame, stamp_ns
from any2seg_sim import recording
from any2seg_sim.demo.record import Fault
from any2seg_sim.demo.schedule import SENSORS, alive_intervals, demo_script, happenings_of
from any2seg_sim.demo.source import failing_drive
from any2seg_sim.messages import CAMERA_INFO_TOPIC, CAMERA_TOPIC, LIDAR_TOPIC
from any2seg_sim.readings import Reading
from any2seg_sim.settings import DriveSettings

ROOT = Path(__file__).resolve().parents[2]


def silent_at(moment_s):
    happenings = happenings_of(demo_script(14.0), 14.0)
    alive = {sensor: alive_intervals(happenings, sensor, 14.0) for sensor in SENSORS}
    return [sensor for sensor in SENSORS if not any(start <= moment_s < end for start, end in alive[sensor])]


def test_faults_kill_the_camera_then_the_lidar_then_all_but_the_events():
    assert [silent_at(moment_s) for moment_s in (1.0, 5.0, 9.0, 13.0)] == [[]] * 4
    assert silent_at(3.0) == [Modality.RGB]
    assert silent_at(7.0) == [Modality.LIDAR]
    assert silent_at(11.0) == [Modality.RGB, Modality.DEPTH, Modality.LIDAR]
    told = [happening.told for happening in happenings_of(demo_script(14.0), 14.0)]
    assert told[:2] == [Fault(Modality.RGB, 2.0, 4.0, "camera dies"), Fault(Modality.LIDAR, 6.0, 8.0, "LiDAR dies")]


def script(*faults, **rest):
    return FaultScript.from_mapping({"faults": list(faults), **rest})


def test_alive_is_what_dropouts_leave():
    faults = script(
        {"sensor": "rgb", "kind": "dropout", "end_s": 1.0},
        {"sensor": "rgb", "kind": "dropout", "start_s": 3.0, "end_s": 4.0},
        {"sensor": "rgb", "kind": "dropout", "start_s": 3.5, "duration_s": 0.2},
        {"sensor": "rgb", "kind": "freeze", "start_s": 1.5, "end_s": 2.0},
        {"sensor": "event", "kind": "dropout", "start_s": 4.5},
    )
    happenings = happenings_of(faults, 5.0)
    assert alive_intervals(happenings, Modality.RGB, 5.0) == [(1.0, 3.0), (4.0, 5.0)]
    assert alive_intervals(happenings, Modality.DEPTH, 5.0) == [(0.0, 5.0)]
    assert alive_intervals(happenings, Modality.EVENT, 5.0) == [(0.0, 4.5)]
    assert happenings[3].told == Fault(Modality.RGB, 1.5, 2.0, "freeze")
    # A play may end before its script does.
    assert alive_intervals(happenings_of(faults, 3.2), Modality.RGB, 3.2) == [(1.0, 3.0)]
    assert len(happenings_of(faults, 3.2)) == 3


def test_a_script_that_repeats_is_told_as_often():
    faults = script({"sensor": "depth", "kind": "dropout", "start_s": 1.0}, repeat_s=2.0)
    happenings = happenings_of(faults, 5.0)
    assert [(happening.start_s, happening.end_s) for happening in happenings] == [(1.0, 2.0), (3.0, 4.0)]


DRIVE = DriveSettings(duration_s=0.5, width=32, height=24)
MS = 1_000_000


def made_drive():
    for index in range(5):
        stamp = DRIVE.start_ns + (index + 1) * 100 * MS
        xyz = np.array([[4.0 + index, 0, 0], [0, 4.0 + index, 0]], np.float32)
        points = Points(xyz, np.ones(2, np.float32))
        rings = np.array([3, 5], np.uint16)
        yield Reading(SensorFrame(Modality.LIDAR, stamp, "lidar", points), np.zeros(2, np.uint8), rings)
        image = np.full((24, 32, 3), 20 + index, np.uint8)
        labels = np.full((24, 32), index, np.uint8)
        yield Reading(SensorFrame(Modality.RGB, stamp, "camera_optical_frame", image), labels)


@pytest.fixture
def bag(tmp_path, monkeypatch):
    monkeypatch.setattr(recording, "render_drive", lambda *_, **__: made_drive())
    recording.write_bag(tmp_path / "drive", DRIVE)
    return tmp_path / "drive"


def test_without_faults_the_drive_is_played_byte_for_byte(bag):
    played, gallery = failing_drive(DRIVE, bag, script())
    with AnyReader([bag]) as reader:
        stored = [(c.topic, bytes(raw)) for c, _, raw in reader.messages() if "truth" not in c.topic]
    assert [(message.topic, message.raw) for message in played] == [item for item in stored if item[0] != "/tf_static"]
    assert [message.moment_s for message in played if message.modality is Modality.RGB] == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert [message.topic for message in played[:3]] == [LIDAR_TOPIC, CAMERA_INFO_TOPIC, CAMERA_TOPIC]
    assert [message.modality for message in played[:3]] == [Modality.LIDAR, None, Modality.RGB]
    assert gallery.truth(DRIVE.start_ns + 210 * MS, 20 * MS)[0, 0] == 1


def test_a_failing_drive_is_played_as_the_script_says(bag):
    faults = script(
        {"sensor": "rgb", "kind": "freeze", "start_s": 0.2, "end_s": 0.35},
        {"sensor": "rgb", "kind": "dropout", "start_s": 0.5},
        {"sensor": "lidar", "kind": "latency", "end_s": 0.15, "delay_s": 0.25},
        {"sensor": "lidar", "kind": "sector_loss", "start_s": 0.4, "from_deg": 45.0, "to_deg": 135.0},
    )
    played, gallery = failing_drive(DRIVE, bag, faults)
    assert [message.moment_s for message in played] == sorted(message.moment_s for message in played)
    with AnyReader([bag]) as reader:
        read = [(m, reader.deserialize(m.raw, m.type_name)) for m in played]
    images = [(m, message) for m, message in read if m.topic == CAMERA_TOPIC]
    assert [int(image_frame(message, Modality.RGB).data[0, 0, 0]) for _, message in images] == [20, 20, 20, 23]
    stamps = [DRIVE.start_ns + moment * MS for moment in (100, 200, 300, 400)]
    assert [stamp_ns(message.header) for _, message in images] == [m.stamp_ns for m, _ in images] == stamps
    assert [stamp_ns(message.header) for m, message in read if m.topic == CAMERA_INFO_TOPIC] == stamps
    sweeps = [(m, cloud_frame(message)) for m, message in read if m.topic == LIDAR_TOPIC]
    assert [round(1e3 * m.moment_s) for m, _ in sweeps] == [200, 300, 350, 400, 500]
    assert [len(frame.data) for _, frame in sweeps] == [2, 2, 2, 1, 1]
    # The report shows what the sensor sent, not what it would have seen.
    assert gallery.views({Modality.RGB: stamps[2]})[Modality.RGB][0, 0, 0] == 20


@pytest.mark.slow
def test_a_short_demo_ends_with_a_whole_report(tmp_path):
    environment = {**os.environ, "ROS_DOMAIN_ID": str(101), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    environment.pop("_ROS_WHEELS_BOOTSTRAP_COMPLETE", None)
    command = [sys.executable, "-m", "any2seg_sim.demo", "--out", str(tmp_path), "--duration", "5", "--size", "96x64"]
    command += ["--short-side", "32", "--workers", "1"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads((tmp_path / "report.json").read_text())
    expected = {"frames_in", "frames_out", "outputs_by_modalities", "silent_gaps_s", "latency_ms", "dropped"}
    assert expected | {"weights", "miou_by_subset"} <= set(report)
    assert report["weights"] == "any2seg-b0-street"
    assert report["frames_in"]["lidar"] < 50
    assert sum(report["outputs_by_modalities"].values()) == report["frames_out"] > 20
    assert {"rgb+depth+event+lidar", "depth+event+lidar", "rgb+depth+event", "event"} <= set(
        report["outputs_by_modalities"]
    )
    assert report["latency_ms"]["p50"] <= report["latency_ms"]["p95"]
    assert len(list((tmp_path / "labels").glob("*.png"))) == report["frames_out"]
    for name in ("report.html", "overlay.mp4", "modalities.png", "drive/metadata.yaml"):
        assert (tmp_path / name).stat().st_size > 0
    assert "untrained" not in done.stdout
