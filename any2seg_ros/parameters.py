# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""ROS parameters declared from settings fields, read back into them, and changed as a whole or not at all."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

from any2seg_core.config import Setting, Settings, describe, nest
from any2seg_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rclpy.node import Node
    from rclpy.parameter import Parameter

T = TypeVar("T", bound=Settings)

ROS_OWN = ("use_sim_time", "start_type_description_service")
ROS_OWN_PREFIX = "qos_overrides."
"""Parameters that rclpy declares for itself."""
INT64_MAX = 2**63 - 1


def take_overrides(node: Node) -> dict[str, Any]:
    """Take from a node the values it was started with, known to us or not.

    The node must have been made with automatically_declare_parameters_from_overrides: that is the public way to see
    overrides nobody declared, which rclpy otherwise ignores in silence.
    """
    overrides = {}
    for name, parameter in node.get_parameters_by_prefix("").items():
        if name not in ROS_OWN and not name.startswith(ROS_OWN_PREFIX):
            overrides[name] = _plain(parameter.value)
            node.undeclare_parameter(name)
    return overrides


def declare(node: Node, settings: type[Settings], overrides: Mapping[str, Any]) -> None:
    """Declare one described, range-checked parameter per field.

    Raises:
        ConfigError: naming every override that is unknown, mistyped or out of bounds; all parameters are then
            declared with their defaults, so that the node can still be looked at.
    """
    overrides = {name: _widen(value, settings, name) for name, value in overrides.items()}
    problem: ConfigError | None = None
    try:
        settings.from_mapping(nest(overrides), source=f"parameters of {node.get_fully_qualified_name()}")
    except ConfigError as error:
        problem, overrides = error, {}
    for setting in describe(settings):
        value = overrides.get(setting.name, setting.default)
        node.declare_parameter(setting.name, value, descriptor(setting), ignore_override=True)
    if problem is not None:
        raise problem


def read(node: Node, settings: type[T]) -> T:
    """Read all fields back from the node's parameters, validated as a whole."""
    values = {setting.name: _plain(node.get_parameter(setting.name).value) for setting in describe(settings)}
    return settings.from_mapping(nest(values), source=f"parameters of {node.get_fully_qualified_name()}")


def changed(node: Node, current: T, parameters: Iterable[Parameter[Any]], *, running: bool) -> T:
    """Give the settings as they would be after a change, without applying it.

    Raises:
        ConfigError: if a value is wrong, or the node runs and the setting is read only at configure.
    """
    fields = {setting.name: setting for setting in describe(type(current))}
    values = {name: _plain(node.get_parameter(name).value) for name in fields}
    for parameter in parameters:
        if parameter.name not in fields:
            continue
        if running and not fields[parameter.name].live:
            msg = (
                f"{parameter.name} is read when the node configures; found the node running, expected it unconfigured: "
                "deactivate and clean up the node, set it, then configure again"
            )
            raise ConfigError(msg)
        values[parameter.name] = _plain(parameter.value)
    return type(current).from_mapping(nest(values), source="parameter change")


def descriptor(setting: Setting) -> ParameterDescriptor:
    """Describe a setting as ROS tools show it."""
    notes = [f"one of {', '.join(setting.choices)}"] if setting.choices else []
    notes.append("may change while the node runs" if setting.live else "read when the node configures")
    found = ParameterDescriptor(
        name=setting.name, description=setting.description, additional_constraints="; ".join(notes)
    )
    bounded = setting.lower is not None or setting.upper is not None
    if bounded and setting.type is float:
        lower = -math.inf if setting.lower is None else float(setting.lower)
        upper = math.inf if setting.upper is None else float(setting.upper)
        found.floating_point_range = [FloatingPointRange(from_value=lower, to_value=upper)]
    if bounded and setting.type is int:
        lower_int = -INT64_MAX if setting.lower is None else int(setting.lower)
        upper_int = INT64_MAX if setting.upper is None else int(setting.upper)
        found.integer_range = [IntegerRange(from_value=lower_int, to_value=upper_int)]
    return found


def _widen(value: Any, settings: type[Settings], name: str) -> Any:
    """Take a whole number for a float, as people write it in YAML; rclpy itself would refuse it."""
    kinds = {setting.name: (setting.type, setting.default) for setting in describe(settings)}
    kind, default = kinds.get(name, (type(None), None))
    if kind is float and type(value) is int:
        return float(value)
    if isinstance(default, list) and isinstance(default[0], float) and isinstance(value, list):
        return [float(item) if type(item) is int else item for item in value]
    return value


def _plain(value: Any) -> Any:
    """Turn rclpy's arrays into lists."""
    return list(value) if hasattr(value, "__iter__") and not isinstance(value, (str, bytes)) else value
