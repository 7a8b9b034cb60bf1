# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Depth images seen from another camera, and distances along rays made depth along the optical axis."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from any2seg_core.errors import CalibrationError
from any2seg_core.frames import CameraModel
from any2seg_core.projection.camera import lens_of, project_points, validate
from any2seg_core.projection.kernels import EQUIDISTANT, PINHOLE, cover, land

if TYPE_CHECKING:
    from numpy.typing import NDArray

CACHED_CAMERAS: Final = 4
RAY_ERROR_PX: Final = 0.05
"""A ray that does not come back to its pixel this closely is none: the lens model does not hold there."""


def register_depth(
    depth: NDArray[np.float32], camera: CameraModel, to_view: NDArray[np.float64], view: CameraModel
) -> NDArray[np.float32]:
    """Draw a depth image as another camera would have measured it.

    Every pixel becomes a point, and is drawn in the view as large as the pixel is there, reaching half way to where
    its neighbours on the same surface (depth within 5 %) land, so that surfaces seen larger or at a slant stay closed.
    Nearer ones hide farther ones; what only the view sees is NaN. With equal cameras in one place nothing changes.

    Args:
        depth: (H, W) float32 metres along the camera's optical axis; NaN, infinity and values up to 0 not measured.
        camera: intrinsics of the depth image, of its size.
        to_view: (4, 4) transform from the depth camera's optical frame to the view's.
        view: the other camera.

    Returns:
        (view.height, view.width) float32 metres along the view's optical axis, NaN where nothing is seen.

    Raises:
        CalibrationError: a camera or the transform is unusable, or the camera is not of the image's size.
    """
    rays = rays_of(_of_size(camera, depth))
    lens = lens_of(view, to_view)
    metres = np.require(depth, np.float32, ["C", "W"])
    landed = np.empty((*depth.shape, 3))
    land(metres, rays, lens, landed)
    seen = np.full((view.height, view.width), np.inf, np.float32)
    zoom = float(np.sqrt(view.k[0, 0] * view.k[1, 1] / (camera.k[0, 0] * camera.k[1, 1])))
    cover(metres, landed, zoom, seen)
    seen[np.isinf(seen)] = np.nan
    return seen


def axial_depth(distance: NDArray[np.float32], camera: CameraModel) -> NDArray[np.float32]:
    """Turn distances along the rays (H, W), as a range camera measures them, into depth along the optical axis.

    Raises:
        CalibrationError: the camera is unusable, or not of the image's size.
    """
    rays = rays_of(_of_size(camera, distance))
    return np.asarray(distance / np.sqrt(1 + np.sum(np.square(rays), axis=2)), np.float32)


def rays_of(camera: CameraModel) -> NDArray[np.float32]:
    """Give where each pixel's ray pierces the plane one metre ahead.

    Returns:
        (H, W, 2) float32, read-only and remembered: x right, y down; NaN where the lens model does not hold.

    Raises:
        CalibrationError: the camera is unusable.
    """
    validate(camera)
    k, d = np.asarray(camera.k, np.float64), np.asarray(camera.d, np.float64)
    return _rays(camera.width, camera.height, k.tobytes(), camera.distortion_model, d.tobytes())


@lru_cache(maxsize=CACHED_CAMERAS)
def _rays(width: int, height: int, k_bytes: bytes, model: str, d_bytes: bytes) -> NDArray[np.float32]:
    k, d = np.frombuffer(k_bytes).reshape(3, 3), np.frombuffer(d_bytes)
    camera = CameraModel(width, height, k, model, d)
    column, row = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    pixels = np.stack([column, row], axis=2).reshape(-1, 2)
    rays = _undistorted(pixels, camera)
    ahead = np.column_stack([rays, np.ones(len(rays))])
    back, _ = project_points(np.nan_to_num(ahead, nan=1e6, posinf=1e6, neginf=-1e6), camera)
    rays[~(np.max(np.abs(back - pixels), axis=1) < RAY_ERROR_PX)] = np.nan
    found = rays.astype(np.float32).reshape(height, width, 2)
    found.flags.writeable = False
    return found


def _undistorted(pixels: NDArray[np.float64], camera: CameraModel) -> NDArray[np.float64]:
    """Rays (N, 2) of pixels (N, 2), not yet checked."""
    lens = lens_of(camera)
    if lens.model == PINHOLE:
        homogeneous = np.column_stack([pixels, np.ones(len(pixels))])
        pinhole: NDArray[Any] = np.linalg.solve(camera.k, homogeneous.T).T[:, :2]
        return np.ascontiguousarray(pinhole)
    points, d = pixels[:, None], np.array(lens.d)
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-12)
    if lens.model == EQUIDISTANT:
        return np.array(cv2.fisheye.undistortPoints(points, camera.k, d[:4], criteria=stop)[:, 0], np.float64)
    return np.array(cv2.undistortPoints(points, camera.k, d, criteria=stop)[:, 0], np.float64)


def _of_size(camera: CameraModel, image: NDArray[Any]) -> CameraModel:
    if image.shape != (camera.height, camera.width):
        msg = (
            f"depth: found an image of shape {image.shape} with intrinsics for {camera.width}x{camera.height}, "
            "expected one size; scale the intrinsics to the image"
        )
        raise CalibrationError(msg)
    return camera
