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
UNTRAINED = ["-p", "inference.checkpoint:=untrained", "-p", "inference.short_side_px:=32", "-p", "inference.threads:=1"]
UNTRAINED += ["-p", "inference.warm_up_width_px:=64", "-p", "inference.warm_up_height_px:=48"]
UNTRAINED += ["-p", "event.message:=point_cloud", "-p", "event.width_px:=64", "-p", "event.height_px:=48"]
WITHOUT = """
import sys

class Blocked:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == "{package}":
            raise {error}

sys.meta_path.insert(0, Blocked())
from any2seg_ros.main import main
sys.exit(main())
"""

SWALLOWING = """
import os, signal, sys
from any2seg_ros import main, node

class Node(node.SegmentationNode):
    def start(self):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except KeyboardInterrupt:
            pass
        return super().start()

node.SegmentationNode = Node
sys.exit(main.main(sys.argv[1:]))
"""


@pytest.fixture
def start():
    running = []

    def begin(*arguments, code=None):
        # The wheels of rclpy mark their own process; a child has to make its own start.
        environment = {k: v for k, v in os.environ.items() if k != "_ROS_WHEELS_BOOTSTRAP_COMPLETE"}
        environment |= {"ROS_DOMAIN_ID": "98", "PYTHONFAULTHANDLER": "1"}
        program = ["-m", "any2seg_ros.main"] if code is None else ["-c", code]
        command = [sys.executable, "-u", *program, "--ros-args", *arguments]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        running.append(process)
        return process

    yield begin
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def ended(process, timeout_s=20):
    """Exit status and all that the process still wrote to stderr; one that does not end shows where it is."""
    try:
        _, said = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        _, said = process.communicate()
        pytest.fail(f"did not end in {timeout_s} s:\n{said.decode()}")
    return process.returncode, said.decode()


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


def wait_until_loaded(process, library, timeout_s=60.0):
    """Wait until a process has begun to load a library."""
    maps, deadline = Path(f"/proc/{process.pid}/maps"), time.monotonic() + timeout_s
    while library not in maps.read_text():
        assert time.monotonic() < deadline, f"{library} was not loaded"
        time.sleep(0.01)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_running_node_ends_in_order_when_told_to(start, stop):
    process = start(*UNTRAINED)
    assert "configured: rgb+depth+event+lidar" in text_until(process, "the weights are untrained")
    time.sleep(0.3)
    process.send_signal(stop)
    time.sleep(0.02)
    process.send_signal(signal.SIGINT)  # as under ros2 launch, where Ctrl-C comes from the terminal and from launch
    status, said = ended(process)
    assert status == 0
    assert "Traceback" not in said


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_signal_during_the_imports_ends_it_in_order(start):
    process = start(*UNTRAINED)
    wait_until_loaded(process, "libtorch")
    process.send_signal(signal.SIGINT)
    assert ended(process) == (0, "")


def test_a_signal_while_it_configures_ends_it_in_order(start):
    # The first use of the model at full size takes a while.
    process = start("-p", "inference.checkpoint:=untrained", "--log-level", "rcl:=debug")
    text_until(process, "Initializing service")
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    status, said = ended(process)
    assert status == 0
    assert "Traceback" not in said
    assert "context is invalid" not in said


def test_a_signal_whose_exception_a_library_swallows_ends_it_in_order(start):
    process = start(*UNTRAINED, code=SWALLOWING)
    assert "configured: rgb+depth+event+lidar" in text_until(process, "the weights are untrained")
    status, said = ended(process)
    assert status == 0
    assert "Traceback" not in said


def test_an_idle_node_hears_a_signal_although_simulated_time_stands_still(start):
    process = start("-p", "use_sim_time:=true", "-p", "inference.checkpoint:=''")
    said = text_until(process, "check the wiring")
    assert "not configured: inference.checkpoint is empty, expected the folder of a checkpoint; set it" in said
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 0


def test_a_params_file_that_is_not_there_ends_it_with_one_clear_line(start):
    process = start("--params-file", "/no/such/file.yaml")
    status, said = ended(process, 30)
    assert status == 1
    assert "segmentation_node cannot start: found ROS arguments that rcl refuses" in said
    assert "/no/such/file.yaml" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("package", "error", "found", "todo"),
    [
        ("torch", "ModuleNotFoundError('No module named', name='torch')", "has no package 'torch'", "python:=/path"),
        ("torch", "OSError('libcudart.so.13: not there')", "any2seg_ros.node: libcudart.so.13", "python:=/path"),
        ("rclpy", "ModuleNotFoundError('No module named', name='rclpy')", "has no package 'rclpy'", "source the ROS"),
    ],
)
def test_without_a_package_it_names_the_interpreter_and_what_to_do(package, error, found, todo):
    code = WITHOUT.format(package=package, error=error)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"segmentation_node cannot start: {sys.executable} ")
    assert found in done.stderr
    assert todo in done.stderr
    assert "Traceback" not in done.stderr
