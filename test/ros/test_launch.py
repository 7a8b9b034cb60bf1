# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The launch file, where launch and launch_ros are installed (they come with a ROS distribution, not from PyPI)."""

import importlib.util
import itertools
import sys
from collections import defaultdict
from pathlib import Path

import pytest

# Not "launch": from the repository's root, its folder of that name imports as an empty package.
actions = pytest.importorskip("launch.actions")
launch_ros = pytest.importorskip("launch_ros.actions")

PATH = Path(__file__).resolve().parents[2] / "launch" / "segmentation.launch.py"


@pytest.fixture
def launch_file(monkeypatch):
    for name in ("VIRTUAL_ENV", "ROS_DISTRO", "FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"):
        monkeypatch.delenv(name, raising=False)
    spec = importlib.util.spec_from_file_location("segmentation_launch", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def started(launch_file):
    """Give the command line that arguments lead to, with the contents of the parameter file made of them."""

    def command(**given):
        from launch import LaunchContext

        context = LaunchContext()
        context.launch_configurations.update(given)
        for argument in launch_file.arguments():
            argument.execute(context)
        (node,) = launch_file.segmentation_node(context)
        node._perform_substitutions(context)
        # What launch_ros fills in while it executes: the arguments that stand for the node's name and namespace.
        context.extend_locals({"ros_specific_arguments": defaultdict(str)})
        return ["".join(part.perform(context) for part in word) for word in node.cmd]

    return command


def made_parameters(command):
    """The parameters that the launch file itself sets."""
    import yaml

    files = [Path(after) for before, after in itertools.pairwise(command) if before == "--params-file"]
    made = [file for file in files if file.name != "segmentation.yaml"]
    return [next(iter(yaml.safe_load(file.read_text()).values()))["ros__parameters"] for file in made]


def defaults(launch_file):
    from launch import LaunchContext

    entities = launch_file.generate_launch_description().entities
    arguments = [entity for entity in entities if isinstance(entity, actions.DeclareLaunchArgument)]
    return {one.name: "".join(part.perform(LaunchContext()) for part in one.default_value) for one in arguments}


def test_every_argument_is_described_and_has_a_default(launch_file):
    assert {"params_file", "checkpoint", "namespace", "python", "rgb_image_topic"} <= set(defaults(launch_file))
    assert all(len(argument.description) > 10 for argument in launch_file.arguments())


def test_the_files_it_names_exist(launch_file):
    found = defaults(launch_file)
    assert found["params_file"].endswith("config/segmentation.yaml")
    assert found["fastdds_profile"].endswith("config/fastdds.xml")
    assert Path(found["params_file"]).is_file()
    assert Path(found["fastdds_profile"]).is_file()


def test_the_arguments_reach_the_node(started):
    command = started(
        checkpoint="untrained", namespace="robot1", name="eyes", rgb_image_topic="/cam/image", python="/venv/bin/python"
    )
    assert command[:3] == ["/venv/bin/python", "-m", "any2seg_ros.main"]
    assert {"rgb/image:=/cam/image", "lidar/points:=lidar/points"} <= set(command)
    assert made_parameters(command) == [{"inference.checkpoint": "untrained"}]


def test_what_no_argument_says_is_left_to_the_params_file(started):
    assert made_parameters(started()) == []


def test_overrides_keep_their_types(started):
    (found,) = made_parameters(started(checkpoint="123", autostart="False", use_sim_time="true"))
    assert found == {"inference.checkpoint": "123", "autostart": False, "use_sim_time": True}


def test_an_override_of_the_wrong_type_stops_the_launch(started):
    with pytest.raises(ValueError, match="maybe"):
        started(autostart="maybe")


def test_a_params_file_that_is_not_there_stops_the_launch(started):
    with pytest.raises(FileNotFoundError, match=r"found no file '/no/such\.yaml', expected a YAML file"):
        started(params_file="/no/such.yaml")


def test_an_activated_virtual_environment_is_where_torch_is_looked_for(launch_file, monkeypatch, tmp_path):
    assert launch_file.default_python() == sys.executable
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path))
    assert launch_file.default_python() == sys.executable
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.touch()
    assert launch_file.default_python() == str(python)


def test_a_profile_of_the_users_own_is_kept(launch_file, monkeypatch):
    monkeypatch.setenv("FASTRTPS_DEFAULT_PROFILES_FILE", "/old.xml")
    assert launch_file.default_profile() == str(launch_file.CONFIG / "fastdds.xml")
    monkeypatch.setenv("ROS_DISTRO", "humble")
    assert launch_file.default_profile() == "/old.xml"
    monkeypatch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", "/new.xml")
    assert launch_file.default_profile() == "/new.xml"


@pytest.mark.parametrize(("distribution", "variables"), [("humble", 2), ("jazzy", 2), ("kilted", 1), ("", 1)])
def test_the_old_variable_is_set_only_where_it_is_read(launch_file, monkeypatch, distribution, variables):
    monkeypatch.setenv("ROS_DISTRO", distribution)
    entities = launch_file.generate_launch_description().entities
    assert sum(isinstance(entity, actions.SetEnvironmentVariable) for entity in entities) == variables


def test_every_input_of_the_node_can_be_remapped(launch_file):
    from any2seg_ros.topics import CAMERA_INFO_TOPICS, DATA_TOPICS

    assert set(launch_file.INPUTS) == {*DATA_TOPICS.values(), *CAMERA_INFO_TOPICS.values()}
