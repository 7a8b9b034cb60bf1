# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Works out what launch files would start, without starting it; skips where launch, which comes with ROS, is not."""

import importlib.util
import itertools
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

# Not "launch": from the repository's root, its folder of that name imports as an empty package.
actions = pytest.importorskip("launch.actions")
launch_ros = pytest.importorskip("launch_ros.actions")

FOLDER = Path(__file__).resolve().parents[2] / "launch"
VARIABLES = ("VIRTUAL_ENV", "ROS_DISTRO", "FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")


@pytest.fixture
def load(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)

    def module(name):
        spec = importlib.util.spec_from_file_location(f"{name}_launch", FOLDER / f"{name}.launch.py")
        loaded = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded)
        return loaded

    return module


@pytest.fixture
def launch_file(load):
    return load("segmentation")


@pytest.fixture
def simulation(load):
    return load("simulation")


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Makes ament's index know packages, each with an executable of its name."""

    def install(*packages):
        index = tmp_path / "share" / "ament_index" / "resource_index" / "packages"
        index.mkdir(parents=True)
        for package in packages:
            (index / package).touch()
            program = tmp_path / "lib" / package / package
            program.parent.mkdir(parents=True)
            program.touch(mode=0o755)
        monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))

    return install


def visited(entities, context):
    """What launch would start: entities that include, declare or compute others are resolved to those."""
    for entity in entities:
        inner = entity.visit(context) if not isinstance(entity, actions.ExecuteLocal) else None
        yield entity
        yield from visited(inner or [], context)


@pytest.fixture
def entities():
    """Give all entities that a launch file with arguments comes to."""

    def of(module, **given):
        from launch import LaunchContext

        context = LaunchContext()
        context.launch_configurations.update(given)
        return list(visited(module.generate_launch_description().entities, context)), context

    return of


def command_line(process, context):
    """Command line of a node or another process."""
    if isinstance(process, launch_ros.Node):
        process._perform_substitutions(context)
        # What launch_ros fills in while it executes: the arguments that stand for the node's name and namespace.
        context.extend_locals({"ros_specific_arguments": defaultdict(str)})
    return ["".join(part.perform(context) for part in word) for word in process.cmd]


@pytest.fixture
def started(launch_file, entities):
    """Give the command line of the node that arguments lead to."""

    def command(**given):
        found, context = entities(launch_file, **given)
        (node,) = (entity for entity in found if isinstance(entity, launch_ros.Node))
        return command_line(node, context)

    return command


def parameters(command):
    """The parameters of a command line, by the files that give them, the last winning."""
    files = [Path(after) for before, after in itertools.pairwise(command) if before == "--params-file"]
    found = {}
    for file in files:
        # launch_ros writes arrays as Python tuples; to ROS's own parser they are sequences like any other.
        text = file.read_text().replace("!!python/tuple", "")
        found |= next(iter(yaml.safe_load(text).values()))["ros__parameters"]
    return found


def remaps(command):
    rules = [after for before, after in itertools.pairwise(command) if before == "-r" and ":=" in after]
    return dict(rule.split(":=") for rule in rules)


def defaults(launch_file):
    from launch import LaunchContext

    return {
        one.name: "".join(part.perform(LaunchContext()) for part in one.default_value)
        for one in launch_file.arguments()
    }
