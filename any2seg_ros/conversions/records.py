# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Descriptions of messages, made into messages of rclpy or of rosbags.

A Fields record names a message type and its values, numpy arrays and nested records among them. `make` turns
it into a message of whichever library the given `types` function (type name -> class) comes from. In rclpy a
byte sequence must be an array('B') (bytes, lists and numpy arrays are checked item by item) and numbers must be
plain Python numbers; in rosbags sequences are numpy arrays.
"""

from __future__ import annotations

import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from any2seg_ros.conversions.buffers import stamp_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True)
class Fields:
    """Description of one message.

    Attributes:
        type: ROS 2 type name, for example "sensor_msgs/msg/Image".
        values: value per field: plain Python values, 1-D numpy arrays for sequences of numbers, Fields for
            nested messages, lists of Fields for sequences of messages. A missing field keeps its default.
    """

    type: str
    values: Mapping[str, Any]


def make(fields: Fields, types: Callable[[str], type]) -> Any:
    """Make the message that fields describe, of the class that types gives for each type name.

    For rclpy types is compat.message_class; for rosbags it is `typestore.types.__getitem__`, whose classes need
    every field to be given.
    """
    message_class: Any = types(fields.type)
    values = {name: _nested(value, types) for name, value in fields.values.items()}
    if hasattr(message_class, "get_fields_and_field_types"):
        message = message_class()
        assign(message, values)
        return message
    return message_class(**values)


def header_fields(stamp_ns: int, frame_id: str) -> Fields:
    """Describe a std_msgs/Header.

    Raises:
        FrameError: the stamp does not fit.
    """
    sec, nanosec = stamp_fields(stamp_ns)
    time = Fields("builtin_interfaces/msg/Time", {"sec": sec, "nanosec": nanosec})
    return Fields("std_msgs/msg/Header", {"stamp": time, "frame_id": str(frame_id)})


def _nested(value: Any, types: Callable[[str], type]) -> Any:
    if isinstance(value, Fields):
        return make(value, types)
    if isinstance(value, list):
        return [_nested(item, types) for item in value]
    return value


def assign(message: Any, values: Mapping[str, Any]) -> None:
    """Set fields of an rclpy message: numpy arrays as array.array where that is what the default holds."""
    for name, value in values.items():
        sequence = getattr(message, name)
        if isinstance(value, np.ndarray) and isinstance(sequence, array.array):
            filled = array.array(sequence.typecode)
            filled.frombytes(np.ascontiguousarray(value, sequence.typecode).view(np.uint8).data)
            setattr(message, name, filled)
        else:
            setattr(message, name, value)
