# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Play a bag against a running segmentation_node and score what it publishes.

ros2 launch any2seg replay_evaluation.launch.py bag:=/path/to/bag truth_topic:=/labels/truth

Start segmentation.launch.py first. When the bag is over, the figures stand in the file out.
"""

import runpy
from pathlib import Path

from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
    TimerAction,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

SEGMENTATION = runpy.run_path(str(Path(__file__).resolve().with_name("segmentation.launch.py")))
"""The node's launch file: interpreter and Fast DDS profile are found as there."""

PARAMETERS = ("input_topic", "node", "truth_topic", "out")
"""Arguments that are parameters of replay_scorer."""


def arguments() -> list[DeclareLaunchArgument]:
    """All launch arguments with their defaults."""
    told = {
        "rate": ("1.0", "speed of the playing; 1.0 is as recorded"),
        "delay": ("3.0", "seconds between the player's start and its first message, for the nodes to find its topics"),
        "settle": ("3.0", "seconds to wait for the last labels after the bag is over"),
        "clock": ("", "publish /clock at so many Hz, for nodes with use_sim_time; if empty, none is published"),
        "input_topic": ("rgb/image", "sensor whose every message is a frame sent"),
        "node": ("segmentation_node", "name of the node to score"),
        "truth_topic": ("", "label images to compare with; if empty, nothing is compared"),
        "out": ("online.json", "file of the figures"),
        "python": (SEGMENTATION["default_python"](), "Python interpreter that has any2seg"),
        "fastdds_profile": (SEGMENTATION["default_profile"](), "XML profile of Fast DDS, the node's"),
    }
    bag = DeclareLaunchArgument("bag", description="folder or file of the recording to play")
    optional = (
        DeclareLaunchArgument(name, default_value=value, description=text) for name, (value, text) in told.items()
    )
    return [bag, *optional]


def actions_of(context, *_args):
    """Make the scorer, the player, and the end that follows the player's."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    if not Path(value("bag")).exists():
        msg = f"bag: found nothing at {value('bag')!r}, expected a recording; correct the path"
        raise FileNotFoundError(msg)
    clock = ["--clock", value("clock")] if value("clock") else []
    command = ["ros2", "bag", "play", value("bag"), "--rate", value("rate"), "--delay", value("delay"), *clock]
    player = ExecuteProcess(cmd=command, output="screen")
    scorer = Node(
        # The interpreter itself, not the console script: it works for colcon and for pip installs alike.
        executable=value("python"),
        exec_name="replay_scorer",
        arguments=["-m", "any2seg_ros.replay_online"],
        name="replay_scorer",
        parameters=[{name: ParameterValue(LaunchConfiguration(name), value_type=str) for name in PARAMETERS}],
        output="screen",
        emulate_tty=True,
    )
    end = EmitEvent(event=Shutdown(reason="the bag is over"))
    wait = TimerAction(period=float(value("settle")), actions=[end])
    return [scorer, player, RegisterEventHandler(OnProcessExit(target_action=player, on_exit=[wait]))]


def generate_launch_description() -> LaunchDescription:
    """Describe the launch for ros2 launch."""
    profile = LaunchConfiguration("fastdds_profile")
    variables = [SetEnvironmentVariable(name, profile) for name in SEGMENTATION["profile_variables"]()]
    return LaunchDescription([*arguments(), *variables, OpaqueFunction(function=actions_of)])
