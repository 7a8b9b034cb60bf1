# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Start segmentation_node, spin it, and end cleanly on SIGINT and SIGTERM."""

from __future__ import annotations

import sys

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

from any2seg_ros.node import SegmentationNode


def main(arguments: list[str] | None = None) -> int:
    """Run the node until it is told to stop; the exit status is 0 after an orderly end."""
    rclpy.init(args=arguments)
    node = SegmentationNode()
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
