# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Messages that a broken driver or network would send: functions from a message to what arrives in its place."""

from __future__ import annotations

import array
import copy
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from any2seg_ros.conversions import stamp_fields, stamp_ns

if TYPE_CHECKING:
    from collections.abc import Callable

_NUMBERS: Final = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
"""sensor_msgs/PointField datatypes."""
_FLOATS: Final = "f"


def wrong_encoding(message: Any) -> Any:
    """Give an image of an encoding that there is not, or a cloud without the fields that it needs."""
    if hasattr(message, "encoding"):
        message.encoding = "jpeg9000"
    else:
        for place, field in enumerate(message.fields):
            field.name = f"unknown_{place}"
    return message


def truncated(message: Any) -> Any:
    """Cut the data in half."""
    message.data = message.data[: len(message.data) // 2]
    return message


def all_nan(message: Any) -> Any:
    """Make every floating point number NaN; a picture of whole numbers becomes one of NaN."""
    if hasattr(message, "fields"):
        return _cloud_of_nan(message)
    if message.encoding != "32FC1":
        message.encoding = "32FC3"
    channels = int(message.encoding[-1])
    pixels = np.full((message.height, message.width, channels), np.nan, np.float32)
    message.step = message.width * channels * pixels.itemsize
    message.data = array.array("B", pixels.tobytes())
    return message


def _cloud_of_nan(message: Any) -> Any:
    points = np.frombuffer(message.data, np.uint8).reshape(-1, message.point_step).copy()
    for field in message.fields:
        number = np.dtype(_NUMBERS[field.datatype])
        if number.kind == _FLOATS:
            points[:, field.offset : field.offset + number.itemsize] = np.frombuffer(
                np.array(np.nan, number).tobytes(), np.uint8
            )
    message.data = array.array("B", points.tobytes())
    return message


def unstamped(message: Any) -> Any:
    """Take the stamp away."""
    message.header.stamp.sec = message.header.stamp.nanosec = 0
    return message


def stamped_later(by_s: float) -> Callable[[Any], Any]:
    """Make a function that moves stamps."""

    def move(message: Any) -> Any:
        moved = stamp_ns(message.header) + round(by_s * 1e9)
        message.header.stamp.sec, message.header.stamp.nanosec = stamp_fields(moved)
        return message

    return move


def repeated(message: Any, period_ns: int, times: int = 3) -> list[tuple[int, Any]]:
    """Give so many messages per period in place of one, each with a stamp of its own."""
    steps_ns = [step * period_ns // times for step in range(times)]
    return [(step_ns, stamped_later(step_ns * 1e-9)(copy.deepcopy(message))) for step_ns in steps_ns]
