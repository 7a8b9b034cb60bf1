# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Start segmentation_node: ros2 launch any2seg segmentation.launch.py checkpoint:=/path/to/checkpoint."""

import os
import sys
from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

CONFIG = Path(__file__).resolve().parent.parent / "config"

INPUTS = ("rgb/image", "rgb/camera_info", "depth/image", "depth/camera_info")
INPUTS += ("event/events", "event/camera_info", "lidar/points")
"""Topics the node subscribes to, relative to its namespace; each may be remapped by an argument."""

OVERRIDES = (("checkpoint", "inference.checkpoint", str), ("autostart", "autostart", bool))
OVERRIDES += (("use_sim_time", "use_sim_time", bool),)
"""Argument, parameter that it sets where it is not empty (else params_file decides), and type."""

FAST_DDS_2 = ("humble", "iron", "jazzy")
"""Distributions whose Fast DDS reads the old name of the variable; Fast DDS 3 warns of it."""


def topic_argument(topic: str) -> str:
    """Name the launch argument of a topic: rgb/image -> rgb_image_topic."""
    return topic.replace("/", "_") + "_topic"


def default_python() -> str:
    """Find the interpreter that has torch: an activated virtual environment's, else the one that runs this."""
    activated = Path(os.environ.get("VIRTUAL_ENV", "")) / "bin" / "python"
    return str(activated) if activated.is_absolute() and activated.exists() else sys.executable


def profile_variables() -> list[str]:
    """Name the environment variables through which this distribution's Fast DDS finds a profile."""
    old = ["FASTRTPS_DEFAULT_PROFILES_FILE"] if os.environ.get("ROS_DISTRO") in FAST_DDS_2 else []
    return ["FASTDDS_DEFAULT_PROFILES_FILE", *old]


def default_profile() -> str:
    """Find the Fast DDS profile: the user's own where one is set, else ours."""
    own = [os.environ[name] for name in profile_variables() if os.environ.get(name)]
    return own[0] if own else str(CONFIG / "fastdds.xml")


def arguments() -> list[DeclareLaunchArgument]:
    """All launch arguments with their defaults."""
    told = {
        "params_file": (str(CONFIG / "segmentation.yaml"), "YAML file of the node's parameters"),
        "checkpoint": ("", "folder of the model, or 'untrained'; if empty, params_file decides"),
        "namespace": ("", "namespace of the node"),
        "name": ("segmentation_node", "name of the node"),
        "autostart": ("", "true or false: configure and activate at start; if empty, params_file decides"),
        "use_sim_time": ("", "true or false: take time from /clock; if empty, params_file decides"),
        "respawn": ("false", "true or false: start the node again if it dies"),
        "log_level": ("info", "debug, info, warn, error or fatal"),
        "python": (default_python(), "Python interpreter that has torch and the rest"),
        "fastdds_profile": (default_profile(), "XML profile of Fast DDS; give it to the drivers too"),
    }
    for topic in INPUTS:
        told[topic_argument(topic)] = (topic, f"topic to take for {topic}")
    return [DeclareLaunchArgument(name, default_value=value, description=text) for name, (value, text) in told.items()]


def segmentation_node(context, *_args):
    """Make the node from the arguments' values."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    if not Path(value("params_file")).is_file():
        # launch_ros would only warn, and the node run on defaults.
        msg = (
            f"params_file: found no file {value('params_file')!r}, expected a YAML file of parameters; correct the path"
        )
        raise FileNotFoundError(msg)
    overrides = {
        parameter: ParameterValue(LaunchConfiguration(argument), value_type=kind)
        for argument, parameter, kind in OVERRIDES
        if value(argument)
    }
    return [
        Node(
            # The interpreter itself, not the console script: it works for colcon and for pip installs alike.
            executable=value("python"),
            exec_name=value("name"),
            arguments=["-m", "any2seg_ros.main", "--ros-args", "--log-level", value("log_level")],
            namespace=value("namespace"),
            name=value("name"),
            parameters=[value("params_file"), *([overrides] if overrides else [])],
            remappings=[(topic, value(topic_argument(topic))) for topic in INPUTS],
            respawn=value("respawn").lower() == "true",
            respawn_delay=2.0,
            output="screen",
            emulate_tty=True,
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """Describe the launch for ros2 launch."""
    profile = LaunchConfiguration("fastdds_profile")
    return LaunchDescription(
        [
            *arguments(),
            *(SetEnvironmentVariable(name, profile) for name in profile_variables()),
            OpaqueFunction(function=segmentation_node),
        ]
    )
