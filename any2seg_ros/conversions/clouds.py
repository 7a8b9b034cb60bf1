# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/PointCloud2 to points, read by field name: any layout, padding, byte order and number type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from any2seg_core.errors import FrameError
from any2seg_core.frames import Modality, Points, SensorFrame
from any2seg_ros.conversions.buffers import byte_view, require, require_bytes, stamp_ns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from any2seg_ros.conversions.point_times import PointTime

_CLOUD_FIELDS: Final = ("header", "height", "width", "fields", "is_bigendian", "point_step", "row_step", "data")
_DATATYPES: Final = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
"""sensor_msgs/PointField datatype constants."""
_INTENSITIES: Final = ("reflectivity", "intensity", "intensities", "remission", "i")
"""Names that drivers use, the calibrated one first."""


def cloud_frame(msg: Any, *, intensity_field: str = "", time: PointTime | None = None) -> SensorFrame:
    """Read a LiDAR's sensor_msgs/PointCloud2 as Points, row by row when the cloud is organized.

    Points that are NaN, Inf (REP 117) or exactly (0, 0, 0) are no returns and left out; is_dense is not
    trusted. Intensity keeps the driver's units; it comes from intensity_field, or by default from the first of
    reflectivity, intensity, intensities, remission, i that there is, or is 0; a non-finite one becomes 0. Where time
    is given, the points are timed if the cloud tells times that make sense (see PointTime).

    Raises:
        FrameError: x, y, z or the named intensity is missing, the layout contradicts itself, there are too few
            bytes, or no point is a valid return, so that a blind LiDAR counts as rejected, not as an empty view.
    """
    require(msg, _CLOUD_FIELDS, "point cloud")
    names = field_names(msg)
    chosen = intensity_field or next((name for name in _INTENSITIES if name in names), "")
    timed = "" if time is None else time.name(names)
    columns = cloud_columns(msg, ["x", "y", "z", *filter(None, (chosen, timed))])
    xyz = np.empty((len(columns["x"]), 3), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for axis, name in enumerate("xyz"):
            xyz[:, axis] = columns[name]
        x, y, z = xyz.T  # column by column: reductions over three values take ten times as long
        valid = np.isfinite(x) & np.isfinite(y) & np.isfinite(z) & ((x != 0) | (y != 0) | (z != 0))
    count = int(np.count_nonzero(valid))
    if not count:
        msg_text = f"point cloud: found no valid return among {len(xyz)} points, expected one; check the LiDAR"
        raise FrameError(msg_text)
    intensity = _intensity(columns[chosen]) if chosen else np.zeros(len(xyz), np.float32)
    if count < len(xyz):
        xyz, intensity = xyz[valid], intensity[valid]
    stamp = stamp_ns(msg.header)
    t_ns = time.read(columns[timed][valid], stamp) if time is not None and timed else None
    return SensorFrame(Modality.LIDAR, stamp, str(msg.header.frame_id), Points(xyz, intensity, t_ns))


def field_names(msg: Any) -> list[str]:
    """Names of a cloud's fields, in order."""
    return [str(field.name) for field in msg.fields]


def cloud_columns(msg: Any, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Read named fields as (N,) columns of their own number types, N = height x width.

    Of a field with several values the first is read. Padding that row_step leaves is honoured, also where it
    is missing after the last row; in a single-row cloud row_step says nothing and is not looked at.

    Raises:
        FrameError: a field is missing or of an unknown type, lies outside its point, or bytes are missing.
    """
    height, width = int(msg.height), int(msg.width)
    point_step, row_step = int(msg.point_step), int(msg.row_step)
    layout = _layout(msg, names, point_step)
    if height <= 0 or width <= 0:
        return {name: np.zeros(0, number) for name, (_, number) in layout.items()}
    if height == 1:
        row_step = 0
    elif row_step < width * point_step:
        msg_text = (
            f"point cloud: found row_step {row_step}, expected at least {width} points x {point_step} bytes; "
            "the publisher must set row_step to the length of a row"
        )
        raise FrameError(msg_text)
    data = byte_view(msg.data)
    require_bytes(data, (height - 1) * row_step + width * point_step, "point cloud")
    return {
        name: np.ndarray((height, width), number, data, offset, (row_step, point_step)).reshape(-1)
        for name, (offset, number) in layout.items()
    }


def _layout(msg: Any, names: Sequence[str], point_step: int) -> dict[str, tuple[int, np.dtype[Any]]]:
    """Offset and number type of each named field; of fields with one name the first counts."""
    fields = {str(field.name): field for field in reversed(list(msg.fields))}
    missing = [name for name in names if name not in fields]
    if missing:
        msg_text = (
            f"point cloud: found fields {', '.join(field_names(msg)) or 'none'}, expected {', '.join(names)} too; "
            f"{', '.join(missing)} missing: check the driver's point type"
        )
        raise FrameError(msg_text)
    order = ">" if msg.is_bigendian else "<"
    layout = {}
    for name in names:
        datatype, offset = int(fields[name].datatype), int(fields[name].offset)
        if datatype not in _DATATYPES:
            msg_text = f"point cloud: found datatype {datatype} for {name!r}, expected 1 to 8 (sensor_msgs/PointField)"
            raise FrameError(msg_text)
        number = np.dtype(order + _DATATYPES[datatype])
        if offset < 0 or offset + number.itemsize > point_step:
            msg_text = (
                f"point cloud: found {name!r} at bytes {offset} to {offset + number.itemsize} of a point of "
                f"{point_step}, expected it inside; the publisher must set point_step to the size of a point"
            )
            raise FrameError(msg_text)
        layout[name] = (offset, number)
    return layout


def _intensity(column: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore", invalid="ignore"):
        intensity = column.astype(np.float32)
    intensity[~np.isfinite(intensity)] = 0
    return intensity
