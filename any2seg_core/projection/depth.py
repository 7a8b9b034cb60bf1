# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Depth drawn as three-channel images: coded distance, or HHA."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from any2seg_core.errors import CalibrationError, ConfigError, FrameError
from any2seg_core.projection.camera import validate
from any2seg_core.projection.distances import CODES, distance_code
from any2seg_core.projection.kernels import blank, draw_depth

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from any2seg_core.frames import CameraModel

HHA: Final = "hha"
HHA_HEIGHT_M: Final = 5.0
"""Height above ground whose code is 1 in HHA."""
GROUND_PERCENTILE: Final = 1.0
"""Share of the lowest points, in percent, taken for measurement errors when HHA looks for the ground."""


def depth_image(
    depth: NDArray[np.float32],
    *,
    encoding: str = "inverse",
    min_depth_m: float = 0.5,
    max_depth_m: float = 100.0,
    camera: CameraModel | None = None,
    gravity: NDArray[np.float64] | None = None,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Draw depth as an image.

    "inverse" and "log" code the depth, clipped to the bounds, as lidar.lidar_image codes range, in all three channels.
    "hha" gives horizontal disparity, height above ground and angle with gravity, see hha_channels.

    Args:
        depth: (H, W) float32 metres along the optical axis; NaN, infinity and values up to 0 mean not measured.
        encoding: "inverse", "log" or "hha".
        min_depth_m: depth whose code is 1; nearer is clipped.
        max_depth_m: depth whose code is 1/255; farther is clipped.
        camera: intrinsics of the depth image, for "hha".
        gravity: (3,) direction of gravity in the optical frame, for "hha"; straight down in the image if left out.
        out: (H, W, 3) float32 of any layout to draw into, instead of an array of its own.

    Returns:
        (H, W, 3) float32 in [0, 1]; zero in all channels where depth is not measured.

    Raises:
        FrameError: depth is not a two-dimensional floating-point array.
        CalibrationError: "hha" without a usable camera of the same size, or with a gravity that has no direction.
        ConfigError: unknown encoding, or bounds not in order.
    """
    if depth.ndim != 2 or depth.dtype.kind != "f":
        msg = f"depth: found {depth.dtype} of shape {depth.shape}, expected float metres (H, W); convert the message"
        raise FrameError(msg)
    if encoding not in (*CODES, HHA):
        msg = f"depth encoding: found {encoding!r}, expected one of {', '.join((*CODES, HHA))}; choose one of them"
        raise ConfigError(msg)
    code = distance_code("inverse" if encoding == HHA else encoding, min_depth_m, max_depth_m)
    metres = np.require(depth, np.float32, ["C", "W"])
    image = blank(out, (depth.shape[0], depth.shape[1]))
    grey = image[:, :, 0]
    draw_depth(metres, code, float(min_depth_m), float(max_depth_m), grey)
    if encoding != HHA:
        image[:, :, 1:] = grey[:, :, None]
        return image
    for channel, values in enumerate(hha_channels(metres, camera, gravity), 1):
        image[:, :, channel] = np.where(grey > 0, values, np.float32(0))
    return image


def hha_channels(
    depth: NDArray[np.float32], camera: CameraModel | None, gravity: NDArray[np.float64] | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Compute the second and third channel of HHA (Gupta et al., ECCV 2014) from depth and a known gravity.

    A pixel (u, v) of depth z is the point p = z K^-1 (u, v, 1) of a pinhole camera: lens distortion is not undone,
    so give depth of a rectified or simulated camera. With the unit vector up = -gravity:

    height = clip((up.p - h0) / 5 m, 0, 1), where h0 is the 1st percentile of up.p over the image: the ground.
    angle = acos(up.n) / pi, where n is the unit normal of the surface, turned towards the camera: 0 for a floor,
    0.5 for a wall, 1 for a ceiling. n is the cross product of the differences of p to the neighbour below or above,
    and right or left, whichever is nearer in depth; a pixel without measured neighbours counts as facing the camera.

    The HHA files that come with DELIVER stem from another implementation, which estimates gravity and ground from each
    image: a model trained on those files must be fed such files.

    Returns:
        height and angle, (H, W) float32 in [0, 1]; without meaning where depth is not measured.

    Raises:
        CalibrationError: see depth_image.
    """
    if camera is None or (camera.height, camera.width) != depth.shape:
        found = "none" if camera is None else f"one of {camera.width}x{camera.height}"
        msg = (
            f"depth encoding hha: found {found} for the camera, expected intrinsics of the {depth.shape[1]}x"
            f"{depth.shape[0]} depth image; publish its CameraInfo or choose another encoding"
        )
        raise CalibrationError(msg)
    validate(camera)
    down = np.array([0.0, 1.0, 0.0]) if gravity is None else np.asarray(gravity, np.float64)
    if down.shape != (3,) or not np.isfinite(down).all() or not np.any(down):
        msg = f"depth encoding hha: found gravity {down.tolist()}, expected a direction of 3 numbers, not all zero"
        raise CalibrationError(msg)
    up = (-down / np.linalg.norm(down)).astype(np.float32)
    points = _unprojected(depth, camera)
    elevation = points @ up
    measured = np.isfinite(elevation)
    ground = np.percentile(elevation[measured], GROUND_PERCENTILE) if measured.any() else 0.0
    height = np.clip((elevation - np.float32(ground)) / np.float32(HHA_HEIGHT_M), 0, 1)
    angle = np.arccos(np.clip(_normals(points) @ up, -1, 1)) / np.float32(np.pi)
    return height, angle


def resize_depth(depth: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """Resize depth (H, W) without ever mixing measurements, so that missing pixels and edges stay what they are."""
    return resize_nearest(depth, width, height)


def resize_nearest(image: NDArray[Any], width: int, height: int) -> NDArray[Any]:
    """Resize an image (H, W, ...) by taking for each pixel the source pixel that its centre falls in.

    Raises:
        FrameError: a size is not positive.
    """
    rows, columns = image.shape[:2]
    if min(rows, columns, width, height) <= 0:
        msg = f"resize: found sizes {columns}x{rows} and {width}x{height}, expected positive ones; drop empty images"
        raise FrameError(msg)
    if (rows, columns) == (height, width):
        return image
    # The centre of pixel i is at (i + 0.5) * rows / height; integers keep exact halves exact.
    row = (2 * np.arange(height) + 1) * rows // (2 * height)
    column = (2 * np.arange(width) + 1) * columns // (2 * width)
    # A whole row, then a whole column at a time: several times as fast as pairs of indices.
    resized: NDArray[Any] = image.take(row, 0).take(column, 1)
    return resized


def _unprojected(depth: NDArray[np.float32], camera: CameraModel) -> NDArray[np.float32]:
    """Points (H, W, 3) of a pinhole camera, NaN where depth is not measured."""
    rows, columns = depth.shape
    metres = np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(np.nan))
    inverse = np.linalg.inv(camera.k).astype(np.float32)
    u, v = np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32)[:, None]
    rays = [inverse[axis, 0] * u + inverse[axis, 1] * v + inverse[axis, 2] for axis in range(3)]
    return np.stack([metres * ray for ray in rays], axis=2)


def _normals(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unit normals (H, W, 3) from the neighbours that are nearest in depth, towards the camera.

    Down times right points back along the ray for any two surface points below and beside: no sign is to be chosen.
    """
    normals = np.cross(_differences(points, 0), _differences(points, 1))
    length = np.linalg.norm(normals, axis=2, keepdims=True)
    ray = points / np.linalg.norm(points, axis=2, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        unit: NDArray[np.float32] = np.where(length > 0, normals / length, -ray)
    return unit


def _differences(points: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Difference (H, W, 3) to the next or from the previous pixel along an axis, whichever jumps less in depth."""
    ahead = np.full_like(points, np.nan)
    behind = np.full_like(points, np.nan)
    step = np.diff(points, axis=axis)
    first, last = (slice(None),) * axis + (slice(None, -1),), (slice(None),) * axis + (slice(1, None),)
    ahead[first], behind[last] = step, step
    jump_ahead, jump_behind = (np.nan_to_num(np.abs(part[..., 2:]), nan=np.inf) for part in (ahead, behind))
    return np.where(jump_behind < jump_ahead, behind, ahead)
