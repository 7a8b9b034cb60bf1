# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Start the street simulator and segmentation_node, in simulated time: ros2 launch any2seg simulation.launch.py.

Takes the arguments of segmentation.launch.py too. The drive is rendered before it starts.
"""

from pathlib import Path

import yaml
from launch import LaunchDescription, Substitution
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

SEGMENTATION = Path(__file__).resolve().with_name("segmentation.launch.py")
FAULTS = Path(__file__).resolve().parent.parent / "config" / "faults"
RIG = "street_simulator"

FLAGS = {"seed": "--seed", "duration": "--duration", "weather": "--weather", "sim_rig": "--rig", "size": "--size"}
"""Argument and the simulator's flag that it is passed on to."""


def arguments() -> list[DeclareLaunchArgument]:
    """All launch arguments beyond those of segmentation.launch.py, and those that have another default here."""
    told = {
        "seed": ("0", "street, traffic, light and noise"),
        "duration": ("10", "length of the drive, seconds"),
        "weather": ("sun", "cloud, fog, night, rain or sun"),
        "sim_rig": ("vehicle", "aligned: camera, depth and events look through one lens; vehicle: each has its place"),
        "size": ("320x256", "images, WIDTHxHEIGHT"),
        "fov": ("87.6", "horizontal field of view, degrees; so objects are as large as the shipped model learnt them"),
        "faults": ("", f"script of what fails when: a path, or one of {', '.join(fault_names())}; if empty, nothing"),
        "loop": ("true", "true or false: drive on and on; else all ends with the drive"),
    }
    return [DeclareLaunchArgument(name, default_value=value, description=text) for name, (value, text) in told.items()]


def fault_names() -> list[str]:
    """List the fault scripts that come with the package."""
    return sorted(path.stem for path in FAULTS.glob("*.yaml"))


class WithSize(Substitution):
    """The argument parameters, and in it the size of the simulator's images, which its events do not tell."""

    def describe(self) -> str:
        """Say what this is."""
        return "WithSize()"

    def perform(self, context) -> str:
        """Give the parameters as YAML."""
        size = context.perform_substitution(LaunchConfiguration("size"))
        try:
            width, height = (int(side) for side in size.split("x"))
        except ValueError:
            msg = f"size: found {size!r}, expected WIDTHxHEIGHT, for example 320x240"
            raise ValueError(msg) from None
        own = {"event.width_px": width, "event.height_px": height}
        own |= {"inference.warm_up_width_px": width, "inference.warm_up_height_px": height}
        given = yaml.safe_load(context.perform_substitution(LaunchConfiguration("parameters", default=""))) or {}
        return yaml.safe_dump({**own, **given}, default_flow_style=True, width=float("inf")).strip()


def segmentation() -> IncludeLaunchDescription:
    """Include the node, set to the simulator's topics and time unless somebody says otherwise."""
    own = {"rig": LaunchConfiguration("rig", default=RIG), "parameters": [WithSize()]}
    own["use_sim_time"] = LaunchConfiguration("use_sim_time", default="true")
    return IncludeLaunchDescription(PythonLaunchDescriptionSource(str(SEGMENTATION)), launch_arguments=own.items())


def simulator(context, *_args):
    """Make the simulator; when it ends, all does."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    command = [value("python"), "-m", "any2seg_sim", "live", "--clock"]
    command += [word for name, flag in FLAGS.items() for word in (flag, value(name))]
    if value("faults"):
        script = value("faults") if value("faults").endswith((".yaml", ".yml")) else FAULTS / f"{value('faults')}.yaml"
        command += ["--faults", str(script)]
    if value("loop").lower() == "true":
        command.append("--loop")
    # It has processes to end and counts to print, which on a busy machine takes longer than launch's own 5 s.
    process = ExecuteProcess(cmd=command, name="street_simulator", output="screen", sigterm_timeout="20")
    ended = EmitEvent(event=Shutdown(reason="the drive is over"))
    return [process, RegisterEventHandler(OnProcessExit(target_action=process, on_exit=[ended]))]


def generate_launch_description() -> LaunchDescription:
    """Describe the launch for ros2 launch; python and the Fast DDS profile are the included file's."""
    return LaunchDescription([*arguments(), segmentation(), OpaqueFunction(function=simulator)])
