# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Start segmentation_node, spin it, and end cleanly on SIGINT and SIGTERM."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

from any2seg_core.errors import DependencyError

if TYPE_CHECKING:
    from any2seg_ros.node import SegmentationNode


def node_class() -> type[SegmentationNode]:
    """Import the node.

    Raises:
        DependencyError: a package is missing in this interpreter, as torch is where a launch file picks another one.
    """
    try:
        found: type[SegmentationNode] = importlib.import_module("any2seg_ros.node").SegmentationNode
    except ModuleNotFoundError as error:
        msg = (
            f"segmentation_node: {sys.executable} has no package {error.name!r}; install it there with pip, or start "
            "the node with an interpreter that has it (ros2 launch ... python:=/path/to/venv/bin/python)"
        )
        raise DependencyError(msg) from error
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the node until it is told to stop; the exit status is 0 after an orderly end."""
    try:
        segmentation_node = node_class()
    except DependencyError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return run(segmentation_node, arguments)


def run(segmentation_node: type[SegmentationNode], arguments: list[str] | None) -> int:
    """Spin one node of this class."""
    rclpy.init(args=arguments)
    node = segmentation_node()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        if node.autostart:
            node.start()
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.stop()
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
