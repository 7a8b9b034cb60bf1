# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""simulation.launch.py, viewers and several robots: what is started together, where launch is installed."""

import itertools
import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

_KIT = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("launch_kit.py"))))
FOLDER, actions, launch_ros = _KIT.FOLDER, _KIT.actions, _KIT.launch_ros
CONFIG = FOLDER.parent / "config"
command_line, defaults, parameters, remaps = _KIT.command_line, _KIT.defaults, _KIT.parameters, _KIT.remaps
load, launch_file, simulation = _KIT.load, _KIT.launch_file, _KIT.simulation
entities, installed = _KIT.entities, _KIT.installed


@pytest.fixture
def simulated(simulation, entities):
    """Give the command lines of the node and the simulator that arguments lead to."""

    def commands(**given):
        found, context = entities(simulation, **given)
        node, simulator = (entity for entity in found if isinstance(entity, actions.ExecuteLocal))
        lines = command_line(node, context), command_line(simulator, context)
        assert node.node_name == f"{given.get('namespace', '')}/segmentation_node"
        return lines

    return commands


def test_show_args_of_the_simulation_lists_the_nodes_arguments_too(simulation, launch_file):
    shown = {argument.name for argument in simulation.generate_launch_description().get_launch_arguments()}
    assert shown == {*defaults(simulation), *defaults(launch_file)}


def test_a_viewer_that_is_not_installed_is_told_of_and_the_node_starts(launch_file, entities, installed):
    installed()
    found, context = entities(launch_file, viewer="rviz")
    assert sum(isinstance(entity, launch_ros.Node) for entity in found) == 1
    (told,) = (entity for entity in found if isinstance(entity, actions.LogInfo))
    assert "found no package rviz2" in "".join(part.perform(context) for part in told.msg)
    with pytest.raises(ValueError, match="found 'gazebo', expected none, rviz or foxglove"):
        entities(launch_file, viewer="gazebo")


def test_rviz_looks_at_the_node_and_the_rig_wherever_they_are(launch_file, entities, installed):
    installed("rviz2")
    found, context = entities(launch_file, viewer="rviz", rig="ouster", namespace="robot1", use_sim_time="true")
    node, rviz = (entity for entity in found if isinstance(entity, launch_ros.Node))
    command = command_line(rviz, context)
    layout = Path(command[command.index("-d") + 1])
    assert layout.is_file()
    assert command[command.index("-f") + 1] == "base_link"
    assert parameters(command) == {"use_sim_time": True}
    shown = remaps(command)
    assert shown["/segmentation_node/overlay"] == "/robot1/segmentation_node/overlay"
    assert shown["/lidar/points"] == remaps(command_line(node, context))["lidar/points"] == "ouster/points"
    # Every topic of the layout is one that the launch file knows to rename.
    named = {line.split()[1] for line in layout.read_text().splitlines() if line.strip().startswith("Value: /")}
    assert named <= set(shown)


def test_the_foxglove_bridge_is_started_and_the_layout_named(launch_file, entities, installed):
    installed("foxglove_bridge")
    found, context = entities(launch_file, viewer="foxglove")
    _, bridge = (entity for entity in found if isinstance(entity, launch_ros.Node))
    assert command_line(bridge, context)[0].endswith("/lib/foxglove_bridge/foxglove_bridge")
    (told,) = (entity for entity in found if isinstance(entity, actions.LogInfo))
    text = "".join(part.perform(context) for part in told.msg)
    assert Path(text.split()[-1]) == CONFIG / "foxglove" / "any2seg.json"


def test_foxgloves_layout_names_the_topics_of_a_node_in_a_namespace(launch_file, entities, installed):
    installed("foxglove_bridge")
    found, context = entities(launch_file, viewer="foxglove", namespace="/fleet/robot1", name="eyes")
    (told,) = (entity for entity in found if isinstance(entity, actions.LogInfo))
    layout = Path("".join(part.perform(context) for part in told.msg).split()[-1]).read_text()
    assert json.loads(layout)
    plain = (CONFIG / "foxglove" / "any2seg.json").read_text()
    assert layout.count("/fleet/robot1/eyes/") == plain.count("/segmentation_node/") > 0
    assert "segmentation_node/" not in layout


def test_the_simulation_starts_simulator_and_node_in_simulated_time(simulated):
    node, simulator = simulated(seed="3", weather="rain", sim_rig="aligned", size="64x48", python="/venv/bin/python")
    assert simulator[:5] == ["/venv/bin/python", "-m", "any2seg_sim", "live", "--clock"]
    flags = dict(itertools.pairwise(simulator))
    assert (flags["--seed"], flags["--weather"], flags["--rig"], flags["--size"]) == ("3", "rain", "aligned", "64x48")
    assert simulator[-1] == "--loop"
    assert parameters(node)["use_sim_time"] is True
    assert "inference.checkpoint" not in parameters(node)  # the node's own default, the model that comes with it
    assert (parameters(node)["event.width_px"], parameters(node)["event.height_px"]) == (64, 48)
    assert remaps(node)["event/events"] == "/events"


def test_the_simulators_own_parser_takes_what_the_launch_file_passes(simulated):
    from any2seg_sim.__main__ import _parser
    from any2seg_sim.flags import drive_settings

    _, simulator = simulated(faults="dropouts", duration="4", seed="5", weather="fog", sim_rig="vehicle")
    options = _parser().parse_args(simulator[3:])
    settings = drive_settings(options)
    assert (settings.seed, settings.duration_s, settings.weather, settings.rig) == (5, 4.0, "fog", "vehicle")
    assert (options.clock, options.loop, options.faults.is_file()) == (True, True, True)


def test_the_simulation_passes_on_what_is_the_nodes(simulated):
    node, simulator = simulated(
        namespace="/robot1",
        checkpoint="/model",
        parameters="{output.overlay_alpha: 0.25}",
        loop="false",
        faults="/x.yaml",
    )
    found = parameters(node)
    assert (found["inference.checkpoint"], found["output.overlay_alpha"]) == ("/model", 0.25)
    assert found["event.width_px"] == 320
    assert "--loop" not in simulator
    assert simulator[-2:] == ["--faults", "/x.yaml"]


def test_the_documents_example_starts_several_robots(entities, tmp_path, monkeypatch):
    """The launch file that docs/rigs.md shows, run with this package installed as colcon does."""
    index = tmp_path / "share" / "ament_index" / "resource_index" / "packages"
    index.mkdir(parents=True)
    (index / "any2seg").touch()
    (tmp_path / "share" / "any2seg").symlink_to(FOLDER.parent)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    page = (FOLDER.parent / "docs" / "rigs.md").read_text()
    source = page.partition("```python\n")[2].partition("```")[0]
    example = {}
    exec(compile(source, "docs/rigs.md", "exec"), example)  # noqa: S102  the very text that readers copy
    found, context = entities(SimpleNamespace(**example))
    nodes = [entity for entity in found if isinstance(entity, launch_ros.Node)]
    for number, node in enumerate(nodes, 1):
        command = command_line(node, context)
        assert node.node_name == f"/robot{number}/segmentation_node"
        assert parameters(command)["inference.checkpoint"] == "/models/street"
        assert remaps(command)["/tf"] == "tf"
        assert remaps(command)["lidar/points"] == "ouster/points"
    assert len(nodes) == 2


def test_a_size_that_is_none_stops_the_simulation(simulated):
    with pytest.raises(ValueError, match="size: found 'large', expected WIDTHxHEIGHT"):
        simulated(size="large")
