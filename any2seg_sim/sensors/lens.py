# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Rays of a camera whose lens distorts: the projection of any2seg_core turned round."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_core.errors import CalibrationError
from any2seg_core.projection.camera import project_points, validate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from any2seg_core.frames import CameraModel

_STEPS: Final = 30
_PROBE_RAD: Final = 1e-3
_LONGEST_RAD: Final = 0.2
_CLOSE_PX: Final = 0.001
_RIM_PX: Final = 4.0
"""A lens model may end this far inside a corner; what is farther out then looks at the lens's rim."""


def undistorted(uv: NDArray[np.floating], camera: CameraModel) -> NDArray[np.float32]:
    """Give the unit directions (N, 3) float32, in the optical frame, that a camera sees at pixel coordinates uv (N, 2).

    Raises:
        CalibrationError: the camera is not usable (see projection.camera.validate), or sees nothing at some of them.
    """
    validate(camera)
    k = camera.k
    y = (uv[:, 1] - k[1, 2]) / k[1, 1]
    x = (uv[:, 0] - k[0, 2] - k[0, 1] * y) / k[0, 0]
    if np.any(camera.d) or camera.distortion_model == "equidistant":
        return _solved(np.asarray(uv, np.float64), _bent(np.stack([x, y], 1)), camera)
    rays = np.stack([x, y, np.ones_like(x)], 1)
    return np.asarray(rays / np.linalg.norm(rays, axis=1, keepdims=True), np.float32)


def _bent(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points of the image plane at distance 1 (N, 2) as angles from the axis (N, 2), radians, in their direction."""
    radius = np.linalg.norm(plane, axis=1, keepdims=True)
    return np.asarray(plane * np.where(radius > 1e-9, np.arctan(radius) / np.maximum(radius, 1e-9), 1.0))


def _directions(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit vectors (N, 3) so far off the axis (N, 2)."""
    angle = np.linalg.norm(angles, axis=1, keepdims=True)
    return np.hstack([angles * np.sinc(angle / np.pi), np.cos(angle)])


def _solved(uv: NDArray[np.float64], angles: NDArray[np.float64], camera: CameraModel) -> NDArray[np.float32]:
    """Newton's method on the angles, starting at those of a plain pinhole; steps that leave the lens are halved."""
    left, best = np.full(len(uv), np.inf), angles.copy()
    for _ in range(_STEPS):
        here, valid = project_points(_directions(angles), camera)
        missing = np.where(valid[:, None], uv - here, 0.0)
        away = np.where(valid, np.linalg.norm(missing, axis=1), np.inf)
        better = away < left
        left[better], best[better] = away[better], angles[better]
        if np.max(left) < _CLOSE_PX:
            break
        step = np.linalg.solve(_jacobian(angles, here, camera), missing[..., None])[..., 0]
        length = np.linalg.norm(step, axis=1, keepdims=True)
        step *= np.minimum(1.0, _LONGEST_RAD / np.maximum(length, 1e-12))
        angles = np.where(
            valid[:, None], angles + step, np.where(np.isfinite(left)[:, None], angles + best, angles) / 2
        )
    angles = best
    if np.max(left) > _RIM_PX:
        msg = (
            f"camera: found {np.count_nonzero(left > _RIM_PX)} of {len(uv)} pixels where its lens "
            f"({camera.distortion_model}, {camera.d.tolist()}) sees nothing, expected an image that the lens fills; "
            "choose weaker distortion or a narrower field of view"
        )
        raise CalibrationError(msg)
    return np.asarray(_directions(angles), np.float32)


def _jacobian(angles: NDArray[np.float64], here: NDArray[np.float32], camera: CameraModel) -> NDArray[np.float64]:
    """Pixels per radian (N, 2, 2), by differences; the identity where these have no meaning."""
    columns = []
    for axis in range(2):
        inwards = np.where(angles[:, axis] > 0, -_PROBE_RAD, _PROBE_RAD)
        probe = angles.copy()
        probe[:, axis] += inwards
        there, _ = project_points(_directions(probe), camera)
        columns.append((there.astype(np.float64) - here) / inwards[:, None])
    found = np.stack(columns, -1)
    usable = np.isfinite(found).all((1, 2)) & (np.abs(np.linalg.det(np.nan_to_num(found))) > 1e-3)
    return np.where(usable[:, None, None], found, np.eye(2) * camera.k[0, 0])
