# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters through real rclpy nodes: declared from the settings, refused with reasons, changed as a whole."""

import math

import pytest

from any2seg_core.config import NodeConfig, describe
from any2seg_core.errors import ConfigError


@pytest.fixture
def node_with(ros):
    """Makes nodes with overrides, as a YAML file or the command line would give them."""
    from rclpy.node import Node
    from rclpy.parameter import Parameter

    nodes = []

    def make(**overrides):
        wanted = [Parameter(name, value=value) for name, value in overrides.items()]
        node = Node(
            "parameters_under_test",
            parameter_overrides=wanted,
            automatically_declare_parameters_from_overrides=True,
            start_parameter_services=False,
        )
        nodes.append(node)
        return node

    yield make
    for node in nodes:
        node.destroy_node()


def declared(node):
    from any2seg_ros import parameters

    overrides = parameters.take_overrides(node)
    parameters.declare(node, NodeConfig, overrides)
    return parameters.read(node, NodeConfig)


def changes(**values):
    from rclpy.parameter import Parameter

    return [Parameter(name, value=value) for name, value in values.items()]


def test_without_overrides_the_settings_are_the_defaults(node_with):
    assert declared(node_with()) == NodeConfig()


def test_every_setting_becomes_a_described_parameter_of_its_type(node_with):
    from rclpy.parameter import Parameter

    node = node_with()
    declared(node)
    kinds = {bool: "BOOL", int: "INTEGER", float: "DOUBLE", str: "STRING"}
    for setting in describe(NodeConfig):
        found = node.get_parameter(setting.name)
        kind = f"{kinds[type(setting.default[0])]}_ARRAY" if setting.type is list else kinds[setting.type]
        assert found.type_ == Parameter.Type[kind], setting.name
        assert node.describe_parameter(setting.name).description == setting.description


def test_overrides_of_every_type_arrive(node_with):
    values = {
        "autostart": False,
        "sync.queue_limit": 17,
        "sync.max_wait_s": 0.125,
        "inference.device": "cpu",
        "modalities": ["rgb", "lidar"],
        "lidar.extrinsic": [1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 1.0],
    }
    config = declared(node_with(**values))
    found = (config.autostart, config.sync.queue_limit, config.sync.max_wait_s, config.inference.device)
    assert (*found, config.modalities, config.lidar.extrinsic) == tuple(values.values())


def test_whole_numbers_are_taken_for_floats_alone_and_in_lists(node_with):
    node = node_with(**{"sync.max_wait_s": 1, "lidar.extrinsic": [0, 0, 1, 0, 0, 0, 1]})
    config = declared(node)
    assert config.sync.max_wait_s == 1.0
    assert config.lidar.extrinsic == [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    parameters = [node.get_parameter(name).value for name in ("sync.max_wait_s", "lidar.extrinsic")]
    assert all(type(value) is float for value in (parameters[0], *parameters[1]))


REFUSED = {
    "unknown": ({"sync.max_wait": 0.1}, r"'sync.max_wait' is not a setting, the nearest is 'sync.max_wait_s'"),
    "like one of rclpy's": ({"use_sim_time_too": True}, r"'use_sim_time_too' is not a setting"),
    "a group as a number": ({"sync": 3}, r"sync: found 3, input should be a valid dictionary"),
    "a group and a number": ({"sync.max_wait_s": 0.1, "sync": 3}, r"sync: found 3 beside 'sync.max_wait_s'"),
    "a number and a group": ({"sync": 3, "sync.max_wait_s": 0.1}, r"sync: found 3 beside 'sync.max_wait_s'"),
    "a setting as a group": (
        {"autostart.now": True},
        r"autostart: found \{'now': True\}, input should be a valid bool",
    ),
    "float for int": ({"sync.queue_limit": 1.5}, r"sync.queue_limit: found 1.5, input should be a valid integer"),
    "bool for float": ({"sync.max_wait_s": True}, r"sync.max_wait_s: found True, input should be a valid number"),
    "out of bounds": ({"sync.queue_limit": 1}, r"sync.queue_limit: found 1, input should be greater than or equal"),
    "off the step": ({"inference.short_side_px": 100}, r"short_side_px: found 100, input should be a multiple of 32"),
    "no choice": ({"rgb.reliability": "maybe"}, r"rgb.reliability: found 'maybe', input should be 'best_effort'"),
    "NaN": ({"view.cx_px": math.nan}, r"view.cx_px: found nan, input should be a finite number"),
    "infinity in a list": ({"lidar.extrinsic": [math.inf] * 7}, r"extrinsic.0: found inf, input should be a finite"),
    "text for a list": ({"modalities": "rgb"}, r"modalities: found 'rgb', input should be a valid list"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_override_is_refused_with_what_was_expected(node_with, case):
    overrides, expected = REFUSED[case]
    node = node_with(**overrides)
    with pytest.raises(ConfigError, match=expected):
        declared(node)
    # The node can still be looked at: everything is declared, with its default.
    from any2seg_ros import parameters

    assert parameters.read(node, NodeConfig) == NodeConfig()


def test_several_wrong_overrides_are_told_together_with_the_node_they_were_given_to(node_with):
    node = node_with(**{"sync.max_wait_s": 11.0, "foo": 1})
    with pytest.raises(ConfigError, match=r"parameters of /parameters_under_test: 2 problem\(s\): .*max_wait.*'foo'"):
        declared(node)


def test_what_rclpy_declares_for_itself_is_no_unknown_setting(node_with):
    node = node_with(use_sim_time=True)
    assert declared(node) == NodeConfig()
    assert node.get_parameter("use_sim_time").value is True


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("sync.queue_limit", 2, True),
        ("sync.queue_limit", 100_000, True),
        ("sync.queue_limit", 1, False),
        ("sync.queue_limit", 100_001, False),
        ("output.overlay_alpha", 0.0, True),
        ("output.overlay_alpha", 1.0, True),
        ("output.overlay_alpha", -0.01, False),
        ("view.fx_px", 1e9, True),
        ("view.fx_px", -1.0, False),
        ("view.cx_px", -1e9, True),
    ],
)
def test_rclpy_itself_keeps_the_bounds(node_with, name, value, accepted):
    node = node_with()
    declared(node)
    (result,) = node.set_parameters(changes(**{name: value}))
    assert result.successful is accepted


def test_a_change_is_given_whole_and_leaves_the_node_alone(node_with):
    from any2seg_ros import parameters

    node = node_with()
    current = declared(node)
    new = parameters.changed(node, current, changes(**{"output.overlay_alpha": 0.25}), running=True)
    assert (new.output.overlay_alpha, current.output.overlay_alpha) == (0.25, 0.5)
    assert node.get_parameter("output.overlay_alpha").value == 0.5
    untouched = parameters.changed(node, current, changes(use_sim_time=True), running=True)
    assert untouched == current


@pytest.mark.parametrize(
    ("values", "running", "expected"),
    [
        ({"sync.max_wait_s": 0.2}, True, r"sync.max_wait_s is read when the node configures; .* clean up the node"),
        ({"view.width_px": 640}, False, r"width_px 640 needs height_px, fx_px and fy_px above 0 too"),
        ({"sync.anchors": ["nir"]}, False, r"must name at least one of modalities"),
        ({"output.overlay_alpha": None}, True, r"output.overlay_alpha: found None, input should be a valid number"),
    ],
)
def test_a_wrong_change_is_refused(node_with, values, running, expected):
    from any2seg_ros import parameters

    node = node_with()
    current = declared(node)
    with pytest.raises(ConfigError, match=expected):
        parameters.changed(node, current, changes(**values), running=running)


def test_before_configure_everything_may_change(node_with):
    from any2seg_ros import parameters

    node = node_with()
    view = {"view.width_px": 640, "view.height_px": 480, "view.fx_px": 500.0, "view.fy_px": 500.0}
    assert parameters.changed(node, declared(node), changes(**view), running=False).view.width_px == 640
