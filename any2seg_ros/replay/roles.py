# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Which topic of a recording is which sensor, and why: by what is asked for, by type, by content and by name."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from any2seg_core.errors import ConfigError
from any2seg_core.frames import Modality
from any2seg_ros.topics import COMPRESSED_IMAGE, IMAGE, POINT_CLOUD

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from any2seg_ros.replay.bags import Recording, Topic

CAMERA_INFO: Final = "camera_info"
TF: Final = "tf"
TRUTH: Final = "truth"
TRUTH_POINTS: Final = "truth points"
SENSORS: Final = tuple(modality.value for modality in (Modality.RGB, Modality.DEPTH, Modality.EVENT, Modality.LIDAR))
INFOS: Final = tuple(f"{name} {CAMERA_INFO}" for name in SENSORS[:3])
ROLES: Final = (*SENSORS, *INFOS, TRUTH, TRUTH_POINTS)
EVENT_TYPES: Final = {
    "event_camera_msgs/msg/EventPacket": "event_packet",
    "dvs_msgs/msg/EventArray": "event_array",
    "prophesee_event_msgs/msg/EventArray": "event_array",
    POINT_CLOUD: "point_cloud",
    IMAGE: "image",
}
_INFO: Final = "sensor_msgs/msg/CameraInfo"
_TF: Final = "tf2_msgs/msg/TFMessage"
_OLD_TF: Final = "tf/msg/tfMessage"
_DEEP: Final = ("16uc1", "32fc1", "mono16")
_NOT_A_CAMERA: Final = re.compile(
    r"label|semantic|segment|mask|overlay|confidence|colou?ri[sz]ed|disparity|infra|(^|[_/])ir\d?(_|/|$)"
)
_TRUTH: Final = re.compile(r"truth|(^|[_/])gt([_/]|$)|label|semantic")
_COLOUR: Final = re.compile(r"rgb|colou?r")
_BETTER: Final = re.compile(r"align|regist|rect")


@dataclass
class Roles:
    """Topics by role, and of every topic why it has its role or none.

    Attributes:
        topics: role -> topic.
        why: topic -> reason.
        missing: what no topic was found for, and what to pass.
    """

    topics: dict[str, str] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def role(self, topic: str) -> str:
        """Role of a topic, or nothing."""
        return next((role for role, name in self.topics.items() if name == topic), "")


def find_roles(recording: Recording, asked: Mapping[str, str]) -> Roles:
    """Deal the topics of a recording to the sensors.

    Args:
        recording: looked into, at the first message of each image and cloud.
        asked: role -> topic, which wins.

    Raises:
        ConfigError: a role is unknown, or a topic asked for is not in the recording.
    """
    roles = Roles()
    known = {topic.name: topic for topic in recording.topics}
    for role, name in asked.items():
        if role not in ROLES:
            msg = f"replay: found the role {role!r}, expected one of {', '.join(ROLES)}"
            raise ConfigError(msg)
        if name not in known:
            msg = f"replay: found no topic {name!r} for {role}, expected one of {', '.join(sorted(known)) or 'none'}"
            raise ConfigError(msg)
        roles.topics[role], roles.why[name] = name, "asked for"
    offers: dict[str, list[tuple[int, int, str, str]]] = {}
    for topic in recording.topics:
        if topic.name in roles.why:
            continue
        role, rank, why = _offer(recording, topic)
        roles.why[topic.name] = why
        if role and topic.messages:
            offers.setdefault(role, []).append((rank, topic.messages, topic.name, why))
    for role in (*SENSORS, TRUTH, TRUTH_POINTS):
        if role not in roles.topics and role in offers:
            _take(roles, role, offers[role])
    for name in SENSORS[:3]:
        _take_info(roles, name, [topic for topic in known.values() if topic.type == _INFO])
    _name_missing(roles, recording.topics)
    return roles


def _take(roles: Roles, role: str, offers: list[tuple[int, int, str, str]]) -> None:
    """Give a role to the best offer, by rank, then by number of messages, then by name."""
    best = min(offers, key=lambda offer: (-offer[0], -offer[1], offer[2]))
    roles.topics[role] = best[2]
    for _, _, name, why in offers:
        if name != best[2]:
            roles.why[name] = f"{why}, but another topic is taken for {role}; pass --topic '{role}=...' for this one"


def _take_info(roles: Roles, name: str, infos: list[Topic]) -> None:
    """Give a camera the CameraInfo beside its topic."""
    role, sensor = f"{name} {CAMERA_INFO}", roles.topics.get(name)
    if sensor is None or role in roles.topics:
        return
    best = max(infos, key=lambda info: (_shared(sensor, info.name), -len(info.name)), default=None)
    if best is not None and _shared(sensor, best.name):
        roles.topics[role] = best.name
        roles.why[best.name] = f"CameraInfo beside {name}"


def _shared(one: str, other: str) -> int:
    """How many parts of two topics' names are the same, from the front."""
    count = 0
    for first, second in zip(one.strip("/").split("/"), other.strip("/").split("/"), strict=False):
        if first != second:
            break
        count += 1
    return count


def _offer(recording: Recording, topic: Topic) -> tuple[str, int, str]:
    """Say which role a topic could have, how well it fits, and why."""
    if topic.type in EVENT_TYPES and topic.type not in _READERS:
        return Modality.EVENT.value, 3, f"events of type {topic.type}"
    if topic.type not in _READERS:
        return "", 0, _OTHERS.get(topic.type, "no type of a sensor")
    first = recording.first(topic.name)
    if first is None:
        return "", 0, "holds no message that can be read"
    return _READERS[topic.type](topic, first)


_OTHERS: Final = {_TF: "transforms", _OLD_TF: "transforms", _INFO: "CameraInfo of no sensor in use"}


def _cloud(topic: Topic, first: Any) -> tuple[str, int, str]:
    names = {str(one.name) for one in first.fields}
    if {"x", "y", "z"} <= names:
        if "label" in names:
            return TRUTH_POINTS, 1, "points with a field label"
        return Modality.LIDAR.value, 2 - bool(re.search(r"filter|ground|cluster|obstacle", topic.name)), "points x y z"
    if {"x", "y", "t", "p"} <= names:
        return Modality.EVENT.value, 2, "events as a cloud of x y t p"
    return "", 0, f"a cloud without x y z or x y t p: {', '.join(sorted(names))[:80]}"


def _image(topic: Topic, first: Any) -> tuple[str, int, str]:
    name, encoding = topic.name.lower(), str(getattr(first, "encoding", None) or getattr(first, "format", "")).lower()
    raw = hasattr(first, "encoding")
    if encoding in ("mono8", "8uc1") and _TRUTH.search(name):
        return TRUTH, 1, "an image of class ids, by its name"
    if encoding in _DEEP or "compresseddepth" in encoding or (encoding.startswith("16uc1") and not raw):
        return (
            Modality.DEPTH.value,
            2 * raw + 4 * bool(_BETTER.search(name)),
            f"depth by its encoding {encoding[:40]!r}",
        )
    if "event" in name or "dvs" in name:
        return Modality.EVENT.value, 1, "a rendered image of events, by its name"
    if _NOT_A_CAMERA.search(name):
        return "", 0, "an image of something else, by its name"
    rank = 2 * raw + 4 * bool(_COLOUR.search(name)) + bool(_BETTER.search(name))
    return Modality.RGB.value, rank, f"an image of encoding {encoding[:40]!r}"


_READERS: Final = {IMAGE: _image, COMPRESSED_IMAGE: _image, POINT_CLOUD: _cloud}


def _name_missing(roles: Roles, topics: Sequence[Topic]) -> None:
    for name in SENSORS:
        if name not in roles.topics:
            roles.missing.append(
                f"no topic for {name}: replayed without; pass --topic {name}=/its/topic if there is one"
            )
    lidar, camera = Modality.LIDAR.value in roles.topics, f"rgb {CAMERA_INFO}" in roles.topics
    if lidar and not any(topic.type in (_TF, _OLD_TF) for topic in topics):
        roles.missing.append(
            "no transforms (/tf, /tf_static): set lidar.extrinsic in --config, or the LiDAR is left out"
        )
    if lidar and not camera:
        roles.missing.append("no CameraInfo of the camera: set view.* in --config, or the LiDAR is left out")
    if TRUTH not in roles.topics and TRUTH_POINTS not in roles.topics:
        roles.missing.append(
            "no truth: nothing here is accuracy; pass --truth folder:DIR or topic:/name if there is one"
        )


def transform_topics(topics: Sequence[Topic]) -> dict[str, bool]:
    """Topics with transforms, and whether they are static."""
    found = (topic.name for topic in topics if topic.type in (_TF, _OLD_TF))
    return {name: name.rstrip("/").endswith("tf_static") for name in found}
