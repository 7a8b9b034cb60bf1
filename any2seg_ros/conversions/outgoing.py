# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Core types to messages: images, clouds, calibration, transforms and label meanings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from any2seg_core.errors import FrameError
from any2seg_ros.conversions.buffers import stamp_fields
from any2seg_ros.conversions.geometry import quaternion
from any2seg_ros.conversions.records import Fields, assign, header_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from any2seg_core.frames import CameraModel, ClassTable, Points

_ENCODINGS: Final = {
    "mono8": ("u1", 1), "8UC1": ("u1", 1), "rgb8": ("u1", 3), "bgr8": ("u1", 3), "rgba8": ("u1", 4),
    "bgra8": ("u1", 4), "mono16": ("u2", 1), "16UC1": ("u2", 1), "32FC1": ("f4", 1),
}  # fmt: skip
_DATATYPES: Final = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 8}


def fill_image(msg: Any, pixels: NDArray[Any], encoding: str, *, stamp_ns: int, frame_id: str) -> None:
    """Fill an rclpy sensor_msgs/Image in place; see image_fields for what pixels may be.

    Raises:
        FrameError: the encoding is unknown, or pixels do not fit it.
    """
    fields = image_fields(pixels, encoding, stamp_ns=stamp_ns, frame_id=frame_id)
    assign(msg, {name: value for name, value in fields.values.items() if name != "header"})
    _fill_header(msg.header, stamp_ns, frame_id)


def fill_label_info(
    msg: Any,
    classes: ClassTable,
    *,
    threshold: float,
    vision_class_type: Callable[..., Any],
    stamp_ns: int,
    frame_id: str,
) -> None:
    """Fill a vision_msgs/LabelInfo in place: class_id k is the label k of the label image, 255 stays unlabelled.

    Args:
        msg: the rclpy message.
        classes: meaning of the labels.
        threshold: lowest confidence of a labelled pixel.
        vision_class_type: the class vision_msgs/VisionClass.
        stamp_ns: header stamp.
        frame_id: header frame.
    """
    _fill_header(msg.header, stamp_ns, frame_id)
    msg.class_map = [vision_class_type(class_id=label, class_name=name) for label, name in enumerate(classes.names)]
    msg.threshold = float(threshold)


def image_fields(pixels: NDArray[Any], encoding: str, *, stamp_ns: int, frame_id: str) -> Fields:
    """Describe a sensor_msgs/Image, little-endian and without padding.

    Args:
        pixels: (H, W) or (H, W, C) of the type of the encoding: uint8 for mono8, 8UC1, rgb8, bgr8, rgba8, bgra8;
            uint16 for mono16, 16UC1; float32 for 32FC1. Nothing is scaled or reordered.
        encoding: one of those names.
        stamp_ns: header stamp.
        frame_id: header frame.

    Raises:
        FrameError: the encoding is unknown, or pixels do not fit it.
    """
    if encoding not in _ENCODINGS:
        msg_text = f"image: found encoding {encoding!r}, expected one of {', '.join(_ENCODINGS)}"
        raise FrameError(msg_text)
    kind, channels = _ENCODINGS[encoding]
    fits = pixels.dtype.kind + str(pixels.dtype.itemsize) == kind and 0 not in pixels.shape
    if not fits or pixels.shape[2:] != ((channels,) if channels > 1 else ()) or pixels.ndim < 2:
        msg_text = (
            f"image: found {pixels.dtype} {pixels.shape} for {encoding}, expected {np.dtype(kind)} "
            f"(H, W{f', {channels}' if channels > 1 else ''}); convert it first"
        )
        raise FrameError(msg_text)
    data = np.ascontiguousarray(pixels, np.dtype("<" + kind)).reshape(-1).view(np.uint8)
    return Fields(
        "sensor_msgs/msg/Image",
        {
            "header": header_fields(stamp_ns, frame_id),
            "height": int(pixels.shape[0]),
            "width": int(pixels.shape[1]),
            "encoding": encoding,
            "is_bigendian": 0,
            "step": len(data) // int(pixels.shape[0]),
            "data": data,
        },
    )


def cloud_fields(
    points: Points, *, stamp_ns: int, frame_id: str, extra: Mapping[str, NDArray[Any]] | None = None
) -> Fields:
    """Describe a single-row sensor_msgs/PointCloud2 with x, y, z, intensity and any extra columns.

    Args:
        points: what the LiDAR saw.
        stamp_ns: header stamp.
        frame_id: header frame.
        extra: further (N,) columns by name, such as ring or label, of the number types that PointField knows.

    Raises:
        FrameError: an extra column has another length or number type.
    """
    columns: dict[str, NDArray[Any]] = dict(zip("xyz", points.xyz.T, strict=True))
    columns |= {"intensity": points.intensity, **(extra or {})}
    return columns_fields(columns, stamp_ns=stamp_ns, frame_id=frame_id)


def columns_fields(columns: Mapping[str, NDArray[Any]], *, stamp_ns: int, frame_id: str) -> Fields:
    """Describe a single-row sensor_msgs/PointCloud2 of any columns, (N,) each, little-endian and packed.

    Raises:
        FrameError: the columns differ in length, or a number type has no PointField datatype.
    """
    kinds = {name: column.dtype.kind + str(column.dtype.itemsize) for name, column in columns.items()}
    shapes = {column.shape for column in columns.values()}
    if len(shapes) != 1 or not set(kinds.values()) <= set(_DATATYPES):
        found = ", ".join(f"{name} {column.dtype} {column.shape}" for name, column in columns.items())
        msg_text = f"point cloud: found {found}, expected columns of one length and types {', '.join(_DATATYPES)}"
        raise FrameError(msg_text)
    dtype = np.dtype([(name, "<" + kind) for name, kind in kinds.items()])
    records = np.empty(next(iter(shapes)), dtype)
    for name, column in columns.items():
        records[name] = column
    layout = [
        Fields(
            "sensor_msgs/msg/PointField",
            {"name": name, "offset": int(dtype.fields[name][1]), "datatype": _DATATYPES[kind], "count": 1},
        )
        for name, kind in kinds.items()
        if dtype.fields
    ]
    return Fields(
        "sensor_msgs/msg/PointCloud2",
        {
            "header": header_fields(stamp_ns, frame_id),
            "height": 1,
            "width": len(records),
            "fields": layout,
            "is_bigendian": False,
            "point_step": dtype.itemsize,
            "row_step": dtype.itemsize * len(records),
            "data": records.view(np.uint8).reshape(-1),
            "is_dense": True,
        },
    )


def camera_info_fields(camera: CameraModel, *, stamp_ns: int, frame_id: str | None = None) -> Fields:
    """Describe a sensor_msgs/CameraInfo without binning or region; the frame is the camera's unless given."""
    p = camera.p if camera.p is not None else np.hstack([camera.k, np.zeros((3, 1))])
    region = {"x_offset": 0, "y_offset": 0, "height": 0, "width": 0, "do_rectify": False}
    return Fields(
        "sensor_msgs/msg/CameraInfo",
        {
            "header": header_fields(stamp_ns, camera.frame_id if frame_id is None else frame_id),
            "height": int(camera.height),
            "width": int(camera.width),
            "distortion_model": camera.distortion_model,
            "d": np.asarray(camera.d, np.float64).reshape(-1),
            "k": np.asarray(camera.k, np.float64).reshape(-1),
            "r": np.asarray(camera.r, np.float64).reshape(-1),
            "p": np.asarray(p, np.float64).reshape(-1),
            "binning_x": 0,
            "binning_y": 0,
            "roi": Fields("sensor_msgs/msg/RegionOfInterest", region),
        },
    )


def tf_message_fields(
    matrix: NDArray[np.float64], *, stamp_ns: int, parent_frame_id: str, child_frame_id: str
) -> Fields:
    """Describe a tf2_msgs/TFMessage of one transform, (4, 4), that maps child points into the parent frame."""
    x, y, z = (float(value) for value in matrix[:3, 3])
    transform = Fields(
        "geometry_msgs/msg/Transform",
        {
            "translation": Fields("geometry_msgs/msg/Vector3", {"x": x, "y": y, "z": z}),
            "rotation": Fields("geometry_msgs/msg/Quaternion", quaternion(matrix[:3, :3])),
        },
    )
    header = header_fields(stamp_ns, parent_frame_id)
    stamped = {"header": header, "child_frame_id": child_frame_id, "transform": transform}
    return Fields("tf2_msgs/msg/TFMessage", {"transforms": [Fields("geometry_msgs/msg/TransformStamped", stamped)]})


def _fill_header(header: Any, stamp_ns: int, frame_id: str) -> None:
    header.stamp.sec, header.stamp.nanosec = stamp_fields(stamp_ns)
    header.frame_id = str(frame_id)
