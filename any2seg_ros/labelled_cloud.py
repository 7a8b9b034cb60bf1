# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The LiDAR scan of an answer with the label, confidence and colour of the pixel that each point is seen in."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from any2seg_core.frames import UNLABELLED, Modality, Points
from any2seg_core.projection.camera import cells
from any2seg_core.projection.lidar import visible_points
from any2seg_ros import compat
from any2seg_ros.conversions import header_fields, make

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from any2seg_core.frames import LabelMap
    from any2seg_ros.pipeline import Answer

NEARER: Final = 0.9
"""A point is behind another if that one lies nearer than this share of its depth; a smaller step may be one surface."""
WIDEST_GAP_PX: Final = 12
"""Farthest that points of one surface are taken to lie apart in the image, in each direction."""
POINT_FIELD_UINT8, POINT_FIELD_FLOAT32 = 2, 7
"""Datatypes of sensor_msgs/PointField."""
ENCLOSED: Final = 3
"""Quadrants about a point, of four, that must hold something nearer. Ground has nearer ground in the two below it."""


def labelled_columns(answer: Answer) -> dict[str, NDArray[Any]] | None:
    """Label the points of the scan that an answer was made with.

    Points outside the image or behind nearer ones, as seen from the camera, are unlabelled (255) with confidence 0.

    Returns:
        x, y, z, intensity (N,) float32 as measured; rgb (N,) float32 whose bits are 0x00RRGGBB, as RViz and PCL read
        it; confidence (N,) float32; label (N,) uint8. None where no scan served, or the labels have no camera.
    """
    frames, labels, scan = answer.frames, answer.labels, answer.scan
    seen = frames.frames.get(Modality.LIDAR)
    if scan is None or seen is None or seen.to_view is None or frames.view is None:
        return None
    if not isinstance(scan.data, Points) or not isinstance(seen.data, Points):
        return None
    if (frames.view.height, frames.view.width) != labels.labels.shape:
        return None
    # Where the robot's motion was taken out, seen.data is where the points are at the anchor's moment, in scan's order.
    uv, depth, index = visible_points(seen.data, seen.to_view, frames.view)
    at = cells(uv)
    shown = ~hidden(at, depth, labels.labels.shape)
    return _columns(scan.data, labels, index[shown], (at[0][shown], at[1][shown]))


def _columns(
    points: Points, labels: LabelMap, index: NDArray[np.int64], at: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> dict[str, NDArray[Any]]:
    label, confidence = np.full(len(points), UNLABELLED, np.uint8), np.zeros(len(points), np.float32)
    label[index], confidence[index] = labels.labels[at], labels.confidence[at]
    red, green, blue = labels.classes.colourize(label).astype(np.uint32).T
    x, y, z = points.xyz.T
    packed = (red << 16 | green << 8 | blue).view(np.float32)
    return {
        "x": x, "y": y, "z": z, "intensity": points.intensity, "rgb": packed, "confidence": confidence, "label": label,
    }  # fmt: skip


def hidden(
    at: tuple[NDArray[np.int64], NDArray[np.int64]], depth: NDArray[np.float32], size: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Tell which points of a scan lie behind others, as a camera beside the LiDAR sees them.

    A scan is thin: the surface in front shows as points with gaps between them, and what lies behind shines through.
    So a point is behind if nearer ones enclose it, within the distance that this scan's points have from each other.

    Args:
        at: row and column of each point's pixel, (N,) each.
        depth: (N,) metres along the optical axis.
        size: height and width of the image.

    Returns:
        (N,) bool.
    """
    height, width = size
    nearest = np.full((height, width), np.inf, np.float32)
    far_first = np.argsort(-depth, kind="stable")
    nearest[at[0][far_first], at[1][far_first]] = depth[far_first]  # of equal pixels the last one written stays
    gap = min(math.ceil(math.sqrt(height * width / max(len(depth), 1))), WIDEST_GAP_PX)
    window = np.ones((gap + 1, gap + 1), np.uint8)
    # The window's anchor in each of its corners: the quadrants about a pixel, itself and its row and column included.
    quadrants = [cv2.erode(nearest, window, anchor=corner) for corner in ((0, 0), (gap, 0), (0, gap), (gap, gap))]
    sides = [np.asarray(quadrant)[at] < NEARER * depth for quadrant in quadrants]
    return np.asarray(np.count_nonzero(sides, axis=0) >= ENCLOSED)


def cloud_message(columns: dict[str, NDArray[Any]], *, stamp_ns: int, frame_id: str) -> Any:
    """Make a sensor_msgs/PointCloud2 of a row of points from columns, (N,) each."""
    kinds = {"f": POINT_FIELD_FLOAT32, "u": POINT_FIELD_UINT8}
    dtype = np.dtype([(name, column.dtype) for name, column in columns.items()])
    records = np.empty(len(next(iter(columns.values()))), dtype)
    for name, column in columns.items():
        records[name] = column
    field = compat.message_class("sensor_msgs/msg/PointField")
    offsets = np.cumsum([0, *(column.dtype.itemsize for column in columns.values())])
    fields = [
        field(name=name, offset=int(offset), datatype=kinds[column.dtype.kind], count=1)
        for (name, column), offset in zip(columns.items(), offsets, strict=False)
    ]
    header = make(header_fields(stamp_ns, frame_id), compat.message_class)
    message = compat.create_cloud()(header, fields, records)
    message.is_dense = True
    return message
