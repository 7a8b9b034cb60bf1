# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The program as its users start and stop it: a process of its own, signals, and what it says when it cannot work."""

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNTRAINED = ["-p", "inference.checkpoint:=untrained", "-p", "inference.short_side_px:=32"]
UNTRAINED += ["-p", "event.message:=point_cloud", "-p", "event.width_px:=64", "-p", "event.height_px:=48"]


@pytest.fixture
def start():
    running = []

    def begin(*arguments):
        # The wheels of rclpy mark their own process; a child has to make its own start.
        environment = {k: v for k, v in os.environ.items() if k != "_ROS_WHEELS_BOOTSTRAP_COMPLETE"}
        environment["ROS_DOMAIN_ID"] = "98"
        command = [sys.executable, "-u", "-m", "any2seg_ros.main", "--ros-args", *arguments]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        running.append(process)
        return process

    yield begin
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def text_until(process, expected, timeout_s=60.0):
    """What the process wrote to stderr, up to and with an expected text."""
    deadline, seen = time.monotonic() + timeout_s, b""
    while time.monotonic() < deadline and expected.encode() not in seen:
        ready, _, _ = select.select([process.stderr], [], [], 0.2)
        part = os.read(process.stderr.fileno(), 65536) if ready else b""
        if ready and not part:
            break
        seen += part
    return seen.decode()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_running_node_ends_in_order_when_told_to(start, stop):
    process = start(*UNTRAINED)
    before = text_until(process, "the weights are untrained")
    assert "configured: rgb+depth+event+lidar" in before
    time.sleep(0.5)
    process.send_signal(stop)
    assert process.wait(20) == 0
    assert b"Traceback" not in process.stderr.read()


def test_without_a_checkpoint_it_says_what_to_do_and_waits_unconfigured(start):
    process = start("--params-file", "config/segmentation.yaml", "-p", "event.message:=image")
    text = text_until(process, "not configured")
    assert "inference.checkpoint is empty, expected the folder of a checkpoint" in text + text_until(
        process, "wiring", 5
    )
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0


def test_without_torch_it_names_the_interpreter_and_what_to_do():
    code = "import sys; sys.modules['torch'] = None; from any2seg_ros.main import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert f"{sys.executable} has no package 'torch'" in done.stderr
    assert "Traceback" not in done.stderr
