# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Calibration messages: sensor_msgs/CameraInfo to a camera model, geometry_msgs/Transform to a matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from any2seg_core.errors import CalibrationError
from any2seg_core.frames import CameraModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_MODEL_NAMES: Final = {"Brown Conrady": "plumb_bob", "Kannala Brandt4": "equidistant", "fisheye": "equidistant"}
"""Other spellings found in recordings (RealSense's own recorder, ROS 1 calibrations) of sensor_msgs' names."""


def camera_model(msg: Any) -> CameraModel:
    """Read a sensor_msgs/CameraInfo, ROS 2 (k, d, r, p) or ROS 1 (K, D, R, P), for the image as published.

    CameraInfo states K and P for the full sensor; region of interest and binning are applied here, with pixel
    centres at integer coordinates, so the model's size is the image's. An all-zero R or P means not set: R
    becomes the identity, P None. Values are not judged here (the projection's validate does that), except
    that the region must lie in the image.

    Raises:
        CalibrationError: a matrix has the wrong number of values, or the region or binning is impossible.
    """
    k, d, r, p = (_values(msg, name) for name in "kdrp")
    model = str(msg.distortion_model)
    width, height = int(msg.width), int(msg.height)
    x, y, width, height = _region(msg, width, height)
    bin_x, bin_y = max(int(msg.binning_x), 1), max(int(msg.binning_y), 1)
    if width // bin_x < 1 or height // bin_y < 1:
        msg_text = (
            f"camera info: found size {width}x{height} with binning {bin_x}x{bin_y}, expected at least one pixel; "
            "the camera is not calibrated or its driver does not fill CameraInfo"
        )
        raise CalibrationError(msg_text)
    # A binned pixel's centre lies between the centres of those it is made of, hence the half pixels.
    published = np.array(
        [[1 / bin_x, 0, (0.5 - x) / bin_x - 0.5], [0, 1 / bin_y, (0.5 - y) / bin_y - 0.5], [0, 0, 1]], np.float64
    )
    return CameraModel(
        width=width // bin_x,
        height=height // bin_y,
        k=published @ k.reshape(3, 3),
        distortion_model=_MODEL_NAMES.get(model, model),
        d=d,
        r=r.reshape(3, 3) if r.any() else np.eye(3),
        p=published @ p.reshape(3, 4) if p.any() else None,
        frame_id=str(msg.header.frame_id),
    )


_COUNTS: Final = {"k": 9, "r": 9, "p": 12}


def _values(msg: Any, name: str) -> NDArray[np.float64]:
    found = getattr(msg, name, None)
    if found is None:
        found = getattr(msg, name.upper(), ())
    values = np.array(found, np.float64).reshape(-1)
    expected = _COUNTS.get(name, len(values))
    if len(values) != expected:
        msg_text = f"camera info: found {len(values)} values in {name}, expected {expected}; check the topic's type"
        raise CalibrationError(msg_text)
    return values


def _region(msg: Any, width: int, height: int) -> tuple[int, int, int, int]:
    roi = msg.roi
    x, y, roi_width, roi_height = (int(value) for value in (roi.x_offset, roi.y_offset, roi.width, roi.height))
    if not (roi_width or roi_height):
        roi_width, roi_height = width - x, height - y
    if roi_width <= 0 or roi_height <= 0 or x + roi_width > width or y + roi_height > height:
        msg_text = (
            f"camera info: found a region of {roi_width}x{roi_height} at ({x}, {y}) in an image of {width}x{height}, "
            "expected it inside; the region is given in unbinned pixels of the full image"
        )
        raise CalibrationError(msg_text)
    return x, y, roi_width, roi_height


def transform_matrix(transform: Any) -> NDArray[np.float64]:
    """Turn a geometry_msgs/Transform into a (4, 4) float64 matrix that maps child points into the parent frame.

    Raises:
        CalibrationError: the quaternion is zero, or a number is not finite.
    """
    t, q = transform.translation, transform.rotation
    return matrix_from_xyz_quaternion([t.x, t.y, t.z, q.x, q.y, q.z, q.w])


def matrix_from_xyz_quaternion(values: Sequence[float]) -> NDArray[np.float64]:
    """Turn x, y, z (metres) and a quaternion qx, qy, qz, qw of any length into a (4, 4) float64 matrix.

    Raises:
        CalibrationError: not seven numbers, the quaternion is zero, or a number is not finite.
    """
    numbers = np.array(values, np.float64).reshape(-1)
    length = float(np.linalg.norm(numbers[3:])) if len(numbers) == 7 else 0.0
    if len(numbers) != 7 or not np.isfinite(numbers).all() or not 1e-6 < length < 1e6:
        msg_text = (
            f"transform: found {numbers.tolist()}, expected seven finite numbers x y z qx qy qz qw with a quaternion "
            "that is not zero; publish a unit quaternion (0, 0, 0, 1 is no rotation)"
        )
        raise CalibrationError(msg_text)
    x, y, z, w = numbers[3:] / length
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, 3] = numbers[:3]
    return matrix


def quaternion(rotation: NDArray[np.float64]) -> dict[str, float]:
    """Turn a (3, 3) rotation matrix into the unit quaternion x, y, z, w with w >= 0, geometry_msgs' field names."""
    r = rotation
    # The eigenvector of the largest eigenvalue of this symmetric matrix is the quaternion, with no case split
    # (I. Y. Bar-Itzhack, "New method for extracting the quaternion from a rotation matrix", 2000).
    symmetric = np.array(
        [
            [r[0, 0] - r[1, 1] - r[2, 2], r[0, 1] + r[1, 0], r[0, 2] + r[2, 0], r[2, 1] - r[1, 2]],
            [r[0, 1] + r[1, 0], r[1, 1] - r[0, 0] - r[2, 2], r[1, 2] + r[2, 1], r[0, 2] - r[2, 0]],
            [r[0, 2] + r[2, 0], r[1, 2] + r[2, 1], r[2, 2] - r[0, 0] - r[1, 1], r[1, 0] - r[0, 1]],
            [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], r[0, 0] + r[1, 1] + r[2, 2]],
        ]
    )
    values = np.linalg.eigh(symmetric)[1][:, -1]
    values = values if values[3] >= 0 else -values
    return {name: float(value) for name, value in zip("xyzw", values, strict=True)}
