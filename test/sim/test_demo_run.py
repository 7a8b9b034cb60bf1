# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The demo from end to end, small: its own processes, real DDS, sensors dying, a report that adds up."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from any2seg_core.frames import Modality
from any2seg_sim.demo.record import Fault
from any2seg_sim.demo.schedule import SENSORS, alive_intervals, demo_faults, is_silent

ROOT = Path(__file__).resolve().parents[2]


def test_faults_kill_the_camera_then_the_lidar_then_all_but_the_events():
    faults = demo_faults(14.0)
    assert [s for s in SENSORS if is_silent(faults, s, 1.0)] == []
    assert [s for s in SENSORS if is_silent(faults, s, 3.0)] == [Modality.RGB]
    assert [s for s in SENSORS if is_silent(faults, s, 5.0)] == []
    assert [s for s in SENSORS if is_silent(faults, s, 7.0)] == [Modality.LIDAR]
    assert [s for s in SENSORS if is_silent(faults, s, 11.0)] == [Modality.RGB, Modality.DEPTH, Modality.LIDAR]
    assert [s for s in SENSORS if is_silent(faults, s, 13.0)] == []


def test_alive_is_what_faults_leave():
    faults = [Fault(Modality.RGB, 0.0, 1.0, "late start"), Fault(Modality.RGB, 3.0, 4.0, "dies")]
    assert alive_intervals(faults, Modality.RGB, 5.0) == [(1.0, 3.0), (4.0, 5.0)]
    assert alive_intervals(faults, Modality.DEPTH, 5.0) == [(0.0, 5.0)]
    assert alive_intervals([Fault(Modality.RGB, 4.0, 5.0, "dies")], Modality.RGB, 5.0) == [(0.0, 4.0)]


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
    assert report["weights"] == "untrained"
    assert report["frames_in"]["lidar"] < 50
    assert sum(report["outputs_by_modalities"].values()) == report["frames_out"] > 20
    assert {"rgb+depth+event+lidar", "depth+event+lidar", "rgb+depth+event", "event"} <= set(
        report["outputs_by_modalities"]
    )
    assert report["latency_ms"]["p50"] <= report["latency_ms"]["p95"]
    assert len(list((tmp_path / "labels").glob("*.png"))) == report["frames_out"]
    for name in ("report.html", "overlay.mp4", "modalities.png", "drive/metadata.yaml"):
        assert (tmp_path / name).stat().st_size > 0
    assert "untrained" in done.stdout
