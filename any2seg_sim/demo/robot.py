# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The segmentation node of the demo: its own process, started and stopped as on a robot."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import yaml

from any2seg_core.errors import Any2SegError
from any2seg_core.frames import Modality
from any2seg_ros.conversions.geometry import quaternion

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from any2seg_sim.rig import Rig

NODE_NAME: Final = "/segmentation_node"
STOP_TIMEOUT_S: Final = 20.0
_GUARD: Final = "_ROS_WHEELS_BOOTSTRAP_COMPLETE"
"""Set by rclpy's wheels in their own process; a child must make its own start."""


class NodeDiedError(Any2SegError, RuntimeError):
    """The node ended, or never came up; the message says where its log is."""


def node_parameters(rig: Rig, checkpoint: str, short_side_px: int) -> dict[str, Any]:
    """Give the parameters that fit the simulated robot, as a user would write them in YAML."""
    # The transform goes in as a parameter, since tf2_ros does not come with a plain pip install.
    transform = rig.lidar_to_camera
    turn = quaternion(transform[:3, :3])
    return {
        "inference.checkpoint": checkpoint,
        "inference.short_side_px": short_side_px,
        "inference.warm_up_width_px": rig.camera.width,
        "inference.warm_up_height_px": rig.camera.height,
        "event.message": "point_cloud",
        "event.width_px": rig.cameras[Modality.EVENT].width,
        "event.height_px": rig.cameras[Modality.EVENT].height,
        "lidar.extrinsic": [*transform[:3, 3].tolist(), *(turn[axis] for axis in "xyzw")],
    }


@contextmanager
def running_node(
    folder: Path, parameters: Mapping[str, Any], remaps: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run segmentation_node in a process of its own, its parameters and log in a folder.

    Args:
        folder: takes segmentation.yaml and node.log.
        parameters: the node's, by flat name.
        remaps: the node's topic name -> the robot's.
    """
    file = folder / "segmentation.yaml"
    file.write_text(yaml.safe_dump({"/**": {"ros__parameters": dict(parameters)}}), encoding="utf-8")
    rules = [word for source, target in remaps.items() for word in ("-r", f"{source}:={target}")]
    command = [sys.executable, "-m", "any2seg_ros.main", "--ros-args", "--params-file", str(file), *rules]
    environment = {name: value for name, value in os.environ.items() if name != _GUARD}
    with (folder / "node.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
