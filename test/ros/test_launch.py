# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The launch file, where launch and launch_ros are installed (they come with a ROS distribution, not from PyPI)."""

import importlib.util
from collections import defaultdict
from pathlib import Path

import pytest

# Not "launch": from the repository's root, its folder of that name imports as an empty package.
actions = pytest.importorskip("launch.actions")
launch_ros = pytest.importorskip("launch_ros.actions")

PATH = Path(__file__).resolve().parents[2] / "launch" / "segmentation.launch.py"


@pytest.fixture
def launch_file():
    spec = importlib.util.spec_from_file_location("segmentation_launch", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_argument_is_described_and_has_a_default(launch_file):
    arguments = [e for e in launch_file.generate_launch_description().entities if hasattr(e, "default_value")]
    assert {"params_file", "checkpoint", "namespace", "autostart", "log_level", "rgb_image_topic"} <= {
        argument.name for argument in arguments
    }
    assert all(argument.description and argument.default_value is not None for argument in arguments)


def test_the_files_it_names_exist(launch_file):
    assert (launch_file.CONFIG / "segmentation.yaml").is_file()
    assert (launch_file.CONFIG / "fastdds.xml").is_file()


def test_it_makes_one_node_of_the_arguments(launch_file):
    from launch import LaunchContext

    context = LaunchContext()
    for argument in launch_file.arguments():
        argument.execute(context)
    context.launch_configurations.update({"checkpoint": "untrained", "rgb_image_topic": "/cam/image"})
    (node,) = launch_file.segmentation_node(context)
    assert isinstance(node, launch_ros.Node)
    node._perform_substitutions(context)
    # What launch_ros fills in while it executes: the arguments that stand for the node's name and namespace.
    context.extend_locals({"ros_specific_arguments": defaultdict(str)})
    words = " ".join(str(word) for word in (part.perform(context) for group in node.cmd for part in group))
    assert "any2seg_ros.main" in words
    assert "rgb/image:=/cam/image" in words


def test_every_input_of_the_node_can_be_remapped(launch_file):
    from any2seg_ros.topics import CAMERA_INFO_TOPICS, DATA_TOPICS

    assert set(launch_file.INPUTS) == {*DATA_TOPICS.values(), *CAMERA_INFO_TOPICS.values()}
