# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What a replay is told, and the node's settings made to fit a recording."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import yaml

from any2seg_core.config import NodeConfig, nest
from any2seg_core.errors import ConfigError
from any2seg_core.frames import Modality
from any2seg_ros.replay.roles import CAMERA_INFO, EVENT_TYPES
from any2seg_ros.topics import CAMERA_INFO_TOPICS, DATA_TOPICS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from any2seg_ros.replay.bags import Recording
    from any2seg_ros.replay.roles import Roles

_ROLE_OF: Final = {topic: modality.value for modality, topic in DATA_TOPICS.items()} | {
    topic: f"{modality.value} {CAMERA_INFO}" for modality, topic in CAMERA_INFO_TOPICS.items()
}


@dataclass(frozen=True)
class ReplaySettings:
    """What decides a recording's result, as plain values, so that it can go to another process and into a fingerprint.

    Attributes:
        parameters: the node's, flat name -> value.
        topics: role -> topic, asked for.
        faults: text of a fault script, or nothing.
        truth: see truth.open_truth.
        subsets: whether every subset of the sensors is scored.
        ranges: condition -> spans of seconds since the recording's start.
        from_s, to_s: part of the recording that is played.
        threads: CPU threads of the model, which decide how sums round.
        pictures: how many of the worst outputs are drawn.
        film: draw every output.
        labels: write the labels into a new recording.
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    topics: Mapping[str, str] = field(default_factory=dict)
    faults: str = ""
    truth: str = "auto"
    subsets: bool = False
    ranges: Mapping[str, list[list[float]]] = field(default_factory=dict)
    from_s: float = 0.0
    to_s: float = 0.0
    threads: int = 1
    pictures: int = 8
    film: bool = False
    labels: bool = False

    def to_json(self) -> dict[str, Any]:
        """Give plain JSON types."""
        return asdict(self)

    def told(self) -> dict[str, str]:
        """What differs from the defaults, for the report."""
        plain, default = asdict(self), asdict(ReplaySettings())
        return {name: str(value) for name, value in plain.items() if value != default[name] or name == "truth"}


def read_parameters(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Read a file of node parameters, or a rig file.

    Returns:
        Parameters by flat name, and topics by role.

    Raises:
        ConfigError: it is neither.
    """
    values = read_yaml(path)
    if "parameters" in values or "topics" in values:
        unknown = sorted(set(values.get("topics") or {}) - set(_ROLE_OF))
        if unknown:
            msg = f"{path.name}: found topics {', '.join(unknown)}, expected some of {', '.join(_ROLE_OF)}"
            raise ConfigError(msg)
        topics = {_ROLE_OF[name]: f"/{str(topic).lstrip('/')}" for name, topic in (values.get("topics") or {}).items()}
        return dict(_flat(values.get("parameters") or {})), topics
    nodes = [node for node in values.values() if isinstance(node, dict) and "ros__parameters" in node]
    if not nodes:
        msg = f"{path.name}: found neither ros__parameters nor a rig's parameters and topics, expected one of them"
        raise ConfigError(msg)
    return {name: value for node in nodes for name, value in _flat(node["ros__parameters"]).items()}, {}


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Raises:
        ConfigError: it is none.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        msg = f"replay: found {path} not readable ({error}), expected a YAML file"
        raise ConfigError(msg) from error
    if not isinstance(values, dict):
        msg = f"replay: found {type(values).__name__} in {path}, expected names and values"
        raise ConfigError(msg)
    return values


def read_ranges(path: Path) -> dict[str, list[list[float]]]:
    """Read conditions by time: name -> [from, to] in seconds since the recording's start, or a list of such.

    Raises:
        ConfigError: the file holds something else.
    """
    found: dict[str, list[list[float]]] = {}
    for name, spans in read_yaml(path).items():
        rows = spans if isinstance(spans, list) and spans and isinstance(spans[0], list) else [spans]
        if not all(
            isinstance(row, list) and len(row) == 2 and all(isinstance(value, (int, float)) for value in row)
            for row in rows
        ):
            msg = f"{path.name}: found {name}: {spans!r:.80}, expected [from, to] in seconds, or a list of such"
            raise ConfigError(msg)
        found[str(name)] = [[float(value) for value in row] for row in rows]
    return found


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def fitted_config(parameters: Mapping[str, Any], recording: Recording, roles: Roles) -> NodeConfig:
    """Make the node's settings for a recording: what it holds decides which sensors there are and of which type.

    Raises:
        ConfigError: a parameter is unknown or out of bounds, or the recording has no sensor at all.
    """
    found = [modality.value for modality in DATA_TOPICS if modality.value in roles.topics]
    if not found:
        msg = f"replay: found no topic of a sensor in {recording.name}, expected one at least; pass --topic rgb=/name"
        raise ConfigError(msg)
    values = dict(parameters)
    values["modalities"] = [name for name in parameters.get("modalities", found) if name in found]
    types = {topic.name: topic.type for topic in recording.topics}
    if Modality.EVENT.value in found:
        values |= _event_values(values, recording, roles, types)
    if not values["modalities"]:
        msg = f"replay: found sensors {', '.join(found)}, expected one of {parameters.get('modalities')}"
        raise ConfigError(msg)
    return NodeConfig.from_mapping(nest(values), source=f"replay of {recording.name}")


def _event_values(
    values: Mapping[str, Any], recording: Recording, roles: Roles, types: Mapping[str, str]
) -> dict[str, Any]:
    """Type of the events, and the sensor's size from its CameraInfo where messages do not tell it."""
    kind = EVENT_TYPES.get(types[roles.topics[Modality.EVENT.value]], "image")
    found: dict[str, Any] = {"event.message": kind}
    if kind == "point_cloud" and not values.get("event.width_px"):
        info = recording.first(roles.topics.get(f"event {CAMERA_INFO}", ""))
        if info is None:
            known = [name for name in values["modalities"] if name != Modality.EVENT.value]
            found = {"modalities": known, "event.message": "event_packet"}
            roles.missing.append(
                "no size of the event camera: replayed without; set event.width_px and event.height_px"
            )
        else:
            found |= {"event.width_px": int(info.width), "event.height_px": int(info.height)}
    return found
