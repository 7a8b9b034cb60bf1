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

CONFIG = Path(__file__).resolve().parent.parent / "config"

PROFILE_VARIABLES = ["FASTDDS_DEFAULT_PROFILES_FILE"]
if os.environ.get("ROS_DISTRO") in ("humble", "iron", "jazzy"):
    # Fast DDS 2 reads the old name; Fast DDS 3 warns of it.
    PROFILE_VARIABLES.append("FASTRTPS_DEFAULT_PROFILES_FILE")
PROFILE = os.environ.get(PROFILE_VARIABLES[0], str(CONFIG / "fastdds.xml"))

INPUTS = ("rgb/image", "rgb/camera_info", "depth/image", "depth/camera_info")
INPUTS += ("event/events", "event/camera_info", "lidar/points")
"""Topics the node subscribes to, relative to its namespace; each may be remapped by an argument."""


def topic_argument(topic: str) -> str:
    """Name the launch argument of a topic: rgb/image -> rgb_image_topic."""
    return topic.replace("/", "_") + "_topic"


def arguments() -> list[DeclareLaunchArgument]:
    """All launch arguments with their defaults."""
    return [
        DeclareLaunchArgument("params_file", default_value=str(CONFIG / "segmentation.yaml"), description="parameters"),
        DeclareLaunchArgument("checkpoint", default_value="", description="checkpoint folder; overrides params_file"),
        DeclareLaunchArgument("namespace", default_value="", description="namespace of the node"),
        DeclareLaunchArgument("name", default_value="segmentation_node", description="name of the node"),
        DeclareLaunchArgument("autostart", default_value="true", description="configure and activate at start"),
        DeclareLaunchArgument("use_sim_time", default_value="false", description="take time from /clock"),
        DeclareLaunchArgument("respawn", default_value="false", description="start the node again if it ends"),
        DeclareLaunchArgument("log_level", default_value="info", description="debug, info, warn, error or fatal"),
        DeclareLaunchArgument("python", default_value=sys.executable, description="interpreter that has torch"),
        DeclareLaunchArgument("fastdds_profile", default_value=PROFILE, description="XML profile of the transport"),
        *(DeclareLaunchArgument(topic_argument(topic), default_value=topic) for topic in INPUTS),
    ]


def segmentation_node(context, *_args):
    """Make the node from the arguments' values."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    parameters = [
        value("params_file"),
        {"autostart": value("autostart").lower() == "true", "use_sim_time": value("use_sim_time").lower() == "true"},
    ]
    if value("checkpoint"):
        parameters.append({"inference.checkpoint": value("checkpoint")})
    return [
        Node(
            # The interpreter itself, not the console script: it works for colcon and for pip installs alike.
            executable=value("python"),
            arguments=["-m", "any2seg_ros.main", "--ros-args", "--log-level", value("log_level")],
            namespace=value("namespace"),
            name=value("name"),
            parameters=parameters,
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
            *(SetEnvironmentVariable(name, profile) for name in PROFILE_VARIABLES),
            OpaqueFunction(function=segmentation_node),
        ]
    )
