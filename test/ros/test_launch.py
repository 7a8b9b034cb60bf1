# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""segmentation.launch.py: arguments, rigs and files become the node's command line, where launch is installed."""

import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

_KIT = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("launch_kit.py"))))
FOLDER, actions = _KIT.FOLDER, _KIT.actions
defaults, parameters, remaps = _KIT.defaults, _KIT.parameters, _KIT.remaps
load, launch_file, simulation = _KIT.load, _KIT.launch_file, _KIT.simulation
entities, started = _KIT.entities, _KIT.started


@pytest.mark.parametrize("name", ["segmentation", "simulation"])
def test_every_argument_is_described_and_has_a_default(load, name):
    assert len(defaults(load(name))) > 6
    assert all(len(argument.description) > 10 for argument in load(name).arguments())


def test_the_files_it_names_exist(launch_file):
    assert Path(defaults(launch_file)["fastdds_profile"]).name == "fastdds.xml"
    assert Path(defaults(launch_file)["fastdds_profile"]).is_file()
    assert {"ouster", "zed"} <= set(launch_file.rig_names())


def test_the_arguments_reach_the_node(started):
    command = started(
        checkpoint="untrained", namespace="robot1", name="eyes", rgb_image_topic="/cam/image", python="/venv/bin/python"
    )
    assert command[:3] == ["/venv/bin/python", "-m", "any2seg_ros.main"]
    assert remaps(command) == {**{topic: topic for topic in remaps(command)}, "rgb/image": "/cam/image"}
    assert parameters(command)["inference.checkpoint"] == "untrained"


def test_without_rig_and_params_file_the_packages_own_file_decides(started):
    own = yaml.safe_load((FOLDER.parent / "config" / "segmentation.yaml").read_text())["/**"]["ros__parameters"]
    assert parameters(started()) == own


def test_overrides_keep_their_types(started):
    found = parameters(started(checkpoint="123", autostart="False", use_sim_time="true"))
    assert (found["inference.checkpoint"], found["autostart"], found["use_sim_time"]) == ("123", False, True)


def test_an_override_of_the_wrong_type_stops_the_launch(started):
    with pytest.raises(ValueError, match="maybe"):
        started(autostart="maybe")


def test_further_parameters_win_over_all_and_keep_their_types(started):
    given = "{inference.checkpoint: '7', output.confidence_floor: 0.5, sync.anchors: [lidar], sync.queue_limit: 9}"
    found = parameters(started(rig="robot_ground", checkpoint="other", parameters=given))
    assert {name: found[name] for name in yaml.safe_load(given)} == yaml.safe_load(given)
    with pytest.raises(TypeError, match="found 'much', expected YAML such as"):
        started(parameters="much")


def test_a_params_file_that_is_not_there_stops_the_launch(started):
    with pytest.raises(FileNotFoundError, match=r"found no file '/no/such\.yaml', expected a YAML file"):
        started(params_file="/no/such.yaml")


def test_a_rig_brings_its_topics_and_parameters_in_their_types(started):
    command = started(rig="zed")
    told = yaml.safe_load((FOLDER.parent / "config" / "rigs" / "zed.yaml").read_text())
    assert parameters(command) == told["parameters"]
    assert {name: remaps(command)[name] for name in told["topics"]} == told["topics"]
    assert remaps(command)["lidar/points"] == "lidar/points"


def test_rigs_are_joined_and_an_argument_wins_over_them(started):
    command = started(rig="realsense_d4xx, ouster,prophesee", lidar_points_topic="/other/points")
    found = parameters(command)
    assert found["modalities"] == ["rgb", "depth", "lidar", "event"]
    assert (found["rgb.reliability"], found["lidar.reliability"]) == ("reliable", "best_effort")
    assert remaps(command)["lidar/points"] == "/other/points"
    assert remaps(command)["event/events"] == "event_camera/events"


def test_the_params_file_wins_over_the_rig(started, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("segmentation_node: {ros__parameters: {lidar.max_age_s: 0.5}}")
    found = parameters(started(rig="ouster", params_file=str(file)))
    assert (found["lidar.max_age_s"], found["lidar.time_field"]) == (0.5, "t")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("topics: {rgb/images: a}", "'rgb/images', expected sections topics and parameters, and topics rgb/image,"),
        ("/**: {ros__parameters: {}}", r"'/\*\*', expected sections topics and parameters"),
        ("[1, 2]", "found no mapping"),
        ("topics: [rgb/image]", "found no mapping"),
    ],
)
def test_a_rig_that_is_none_stops_the_launch(started, tmp_path, text, expected):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=expected):
        started(rig=str(file))


def test_an_unknown_rig_and_rigs_that_contradict_each_other_stop_the_launch(started):
    with pytest.raises(FileNotFoundError, match=r"expected the path of a \.yaml file or one of davis, hesai"):
        started(rig="kinect")
    with pytest.raises(ValueError, match="found lidar/points = ouster/points and velodyne_points, expected one value"):
        started(rig="ouster,velodyne")


def test_tf_of_the_namespace_is_heard_only_if_asked_for(started):
    assert "/tf" not in remaps(started(namespace="robot1"))
    found = remaps(started(namespace="robot1", namespaced_tf="true"))
    assert (found["/tf"], found["/tf_static"]) == ("tf", "tf_static")


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
