# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What every message has in common: stamps, and bytes read in place whatever container holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from any2seg_core.errors import FrameError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NS_PER_S: Final = 1_000_000_000
_SEC_RANGE: Final = range(-(2**31), 2**31)


def stamp_ns(header: Any) -> int:
    """Read a std_msgs/Header's stamp as integer nanoseconds.

    Raises:
        FrameError: the object has no stamp with sec and nanosec.
    """
    try:
        return int(header.stamp.sec) * _NS_PER_S + int(header.stamp.nanosec)
    except (AttributeError, TypeError, ValueError):
        msg = f"header: found {type(header).__name__}, expected a std_msgs/Header with stamp.sec and stamp.nanosec"
        raise FrameError(msg) from None


def stamp_fields(stamp_ns: int) -> tuple[int, int]:
    """Split nanoseconds into the (sec, nanosec) of a builtin_interfaces/Time; nanosec is never negative.

    Raises:
        FrameError: the seconds do not fit the message's int32.
    """
    sec, nanosec = divmod(int(stamp_ns), _NS_PER_S)
    if sec not in _SEC_RANGE:
        msg = f"stamp: found {stamp_ns} ns, expected seconds that fit 32 bits; give nanoseconds since the epoch"
        raise FrameError(msg)
    return sec, nanosec


def require(message: Any, names: tuple[str, ...], what: str) -> None:
    """Check that a message has the attributes of the type it is taken for.

    Raises:
        FrameError: naming the attributes that are missing.
    """
    missing = [name for name in names if not hasattr(message, name)]
    if missing:
        msg = (
            f"{what}: found {type(message).__name__} without {', '.join(missing)}, expected a message with "
            f"{', '.join(names)}; check the topic's type"
        )
        raise FrameError(msg)


def byte_view(data: Any) -> NDArray[np.uint8]:
    """View a message's data as (N,) uint8 without copying where the container allows it.

    Takes array.array (rclpy), numpy arrays (rosbags), bytes-like objects and plain lists of integers.

    Raises:
        FrameError: the container holds no bytes.
    """
    try:
        if isinstance(data, np.ndarray):
            return np.ascontiguousarray(data).reshape(-1).view(np.uint8)
        if isinstance(data, (list, tuple)):
            return np.frombuffer(bytes(data), np.uint8)
        return np.frombuffer(memoryview(data).cast("B"), np.uint8)
    except (TypeError, ValueError) as error:
        msg = f"data: found {type(data).__name__}, expected bytes, array('B') or a uint8 array ({error})"
        raise FrameError(msg) from None


def strided_view(
    data: NDArray[np.uint8], shape: tuple[int, ...], dtype: np.dtype[Any], strides: tuple[int, ...], what: str
) -> NDArray[Any]:
    """Lay a read-only array over bytes; strides may leave padding between rows and items, not needed after the last.

    Raises:
        FrameError: the last item would lie past the end of the bytes.
    """
    require_bytes(data, sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True)) + dtype.itemsize, what)
    view: NDArray[Any] = np.ndarray(shape, dtype, buffer=data, strides=strides)
    view.flags.writeable = False
    return view


def require_bytes(data: NDArray[np.uint8], needed: int, what: str) -> None:
    """Check that a message holds as many bytes as its size fields promise.

    Raises:
        FrameError: it does not.
    """
    if len(data) < needed:
        msg = (
            f"{what}: found {len(data)} bytes, expected at least {needed} for its size and step; "
            "the message was cut off or its size fields are wrong"
        )
        raise FrameError(msg)
