# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures that the whole suite shares."""

import gc
import os
from pathlib import Path

import pytest

# Wrong field types turn silently into garbage since Jazzy; with this they raise. It must be set before rclpy loads.
os.environ["ROS_PYTHON_CHECK_FIELDS"] = "1"
os.environ.setdefault("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")
# With Fast DDS's small default segment a burst is lost, and what is reliable comes again seconds later.
os.environ.setdefault(
    "FASTDDS_DEFAULT_PROFILES_FILE", str(Path(__file__).resolve().parents[1] / "config" / "fastdds.xml")
)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real recordings, which the project does not ship."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real recordings not found at {folder}")
    return folder


@pytest.fixture(scope="session")
def ros():
    """rclpy, kept to this machine and to a domain of this process' own."""
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
    rclpy = pytest.importorskip("rclpy")
    # Nodes are collected after each test; what all the modules brought along need not be looked through each time.
    gc.collect()
    gc.freeze()
    rclpy.init()
    yield rclpy
    rclpy.try_shutdown()
