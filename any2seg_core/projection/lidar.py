# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""LiDAR points drawn as an image of range, height and intensity in a camera's view."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from any2seg_core.errors import ConfigError
from any2seg_core.projection.camera import inside, lens_of, projected
from any2seg_core.projection.distances import distance_code
from any2seg_core.projection.kernels import Canvas, Shading, blank, draw_points

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from any2seg_core.frames import CameraModel, Points


def lidar_image(
    points: Points,
    to_view: NDArray[np.float64],
    camera: CameraModel,
    *,
    rectified: bool = False,
    encoding: str = "inverse",
    min_range_m: float = 0.5,
    max_range_m: float = 100.0,
    height_min_m: float = -3.0,
    height_max_m: float = 5.0,
    intensity_scale: float = 255.0,
    splat_px: int = 0,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Draw a point cloud as seen by a camera; of points in one pixel, the one of least depth wins.

    Range r is the distance from the LiDAR; returns outside [min_range_m, max_range_m] are dropped. Its code runs
    from 1 at min_range_m down to 1/255 at max_range_m, so that 0 always means nothing there:
    1/255 + 254/255 * q, where q = (1/r - 1/max) / (1/min - 1/max) for "inverse", log(max/r) / log(max/min) for "log".

    Args:
        points: cloud in the LiDAR's frame.
        to_view: (4, 4) transform from the LiDAR's frame to the camera's optical frame.
        camera: the view; the image has its size.
        rectified: the view is the rectified image (R and P) and not the raw one (K and D).
        encoding: "inverse" or "log" code of the range.
        min_range_m: nearer returns are dropped: the robot itself.
        max_range_m: farther returns are dropped.
        height_min_m: z in the LiDAR's frame whose code is 0; lower is clipped.
        height_max_m: z in the LiDAR's frame whose code is 1; higher is clipped.
        intensity_scale: intensity whose code is 1, in the driver's units; higher is clipped.
        splat_px: points are drawn as squares of side 2 n + 1, n = round(splat_px * log(max/r) / log(max/min)), so
            that far ones shrink to a single pixel; 0 draws single pixels.
        out: (H, W, 3) float32 zeros of any layout to draw into, instead of an array of its own.

    Returns:
        (H, W, 3) float32 in [0, 1]: range, height and intensity code; all zero where no point is.

    Raises:
        CalibrationError: camera or transform are unusable.
        ConfigError: a constant is out of bounds.
    """
    code = distance_code(encoding, min_range_m, max_range_m)
    if not (height_min_m < height_max_m and intensity_scale > 0 and splat_px >= 0):
        msg = (
            f"lidar image: found height {height_min_m} to {height_max_m} m, intensity scale {intensity_scale} and "
            f"splat {splat_px} px, expected ascending heights, a positive scale and no negative splat; fix the settings"
        )
        raise ConfigError(msg)
    lens = lens_of(camera, to_view, rectified=rectified)
    shading = Shading(
        code,
        float(min_range_m),
        float(max_range_m),
        float(height_min_m),
        float(height_max_m),
        float(intensity_scale),
        int(splat_px),
    )
    size = (camera.height, camera.width)
    canvas = Canvas(blank(out, size), np.full(size, np.inf, np.float32))
    xyz, intensity = (np.require(column, np.float32, ["C", "W"]) for column in (points.xyz, points.intensity))
    draw_points(xyz, intensity, lens, shading, canvas)
    return canvas.image


def visible_points(
    points: Points, to_view: NDArray[np.float64], camera: CameraModel, *, rectified: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Find the points that land in the image, hidden ones and those out of drawing range included.

    Args:
        points: cloud in the LiDAR's frame.
        to_view: (4, 4) transform from the LiDAR's frame to the camera's optical frame.
        camera: the view.
        rectified: the view is the rectified image (R and P) and not the raw one (K and D).

    Returns:
        uv (M, 2) float32 pixel coordinates (camera.cells gives their pixels), depth (M,) float32 along the optical
        axis in metres, index (M,) int64 into points, ascending.

    Raises:
        CalibrationError: camera or transform are unusable.
    """
    uv, depth = projected(points.xyz, lens_of(camera, to_view, rectified=rectified))
    index = np.flatnonzero(inside(uv, camera))
    return uv[index], depth[index], index
