# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Segmentation nodes in this process, each on a thread of its own as separate programs would be."""

from __future__ import annotations

import gc
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from any2seg_core.config import UNTRAINED
from any2seg_ros.node import SegmentationNode
from any2seg_sim.demo.robot import node_parameters

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rclpy.node import Node

    from any2seg_sim.rig import Rig

JOIN_TIMEOUT_S: Final = 5.0


@contextmanager
def spinning(node: Node) -> Iterator[threading.Thread]:
    """Run a node's callbacks on a thread, and take the node down at the end."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        executor.shutdown()
        thread.join(JOIN_TIMEOUT_S)
        if isinstance(node, SegmentationNode):
            node.stop()
        node.destroy_node()
        # Nodes hold themselves in cycles; a dead one that lingers would go on receiving.
        gc.collect()


def trial_parameters(rig: Rig, short_side_px: int) -> dict[str, Any]:
    """Give parameters for random weights on one thread, with diagnostics ten times a second."""
    return {
        **node_parameters(rig, UNTRAINED, short_side_px),
        "inference.threads": 1,
        "autostart": False,
        "diagnostics.period_s": 0.1,
    }


def segmentation_node(name: str, namespace: str, parameters: Mapping[str, Any]) -> SegmentationNode:
    """Make a segmentation node that has not been configured."""
    overrides = [Parameter(key, value=value) for key, value in parameters.items()]
    return SegmentationNode(name, namespace=namespace, parameter_overrides=overrides)
