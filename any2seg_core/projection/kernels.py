# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Compiled loops of the projection: camera lenses, the point z-buffer, depth seen from elsewhere, distances.

They stand in one file because numba's cache on disk looks at the time stamp of the calling function's file
only: with callees elsewhere, an edit there would leave stale machine code in use. Single-threaded, without
the GIL, in double precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar, cast

import numba
import numpy as np

from any2seg_core.errors import FrameError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Function = TypeVar("Function", bound=Callable[..., object])

Row3 = tuple[float, float, float]
Row4 = tuple[float, float, float, float]
Row8 = tuple[float, float, float, float, float, float, float, float]

PINHOLE: Final = 0
POLYNOMIAL: Final = 1
EQUIDISTANT: Final = 2

INVERSE: Final = 0
LOG: Final = 1

MIN_DEPTH_M: Final = 0.01
"""Points must lie farther than this in front of the camera; nearer, the projection means nothing."""

FAINTEST: Final = 1.0 / 255.0
"""Code of the farthest distance: above zero, which means nothing there, even after storage in 8 bits."""


class Lens(NamedTuple):
    """A camera made ready for the loops: plain numbers, for each look into an array would count its references.

    Attributes:
        transform: 3 rows of 4, from the points' frame to the optical frame.
        pixel: 2 rows of 3, from distorted normalised coordinates to pixels.
        model: PINHOLE, POLYNOMIAL or EQUIDISTANT.
        d: 8 coefficients in OpenCV's order, zeros behind the last.
        limit: largest undistorted radius (POLYNOMIAL) or angle in radians (EQUIDISTANT) that the lens model holds for.
    """

    transform: tuple[Row4, Row4, Row4]
    pixel: tuple[Row3, Row3]
    model: int
    d: Row8
    limit: float


class Shading(NamedTuple):
    """Fixed constants that turn a return into a pixel; see lidar.lidar_image."""

    encoding: int
    min_range_m: float
    max_range_m: float
    height_min_m: float
    height_max_m: float
    intensity_scale: float
    splat_px: int


class Canvas(NamedTuple):
    """What points are drawn into.

    Attributes:
        image: (H, W, 3) float32.
        depth: (H, W) float32, metres of what is drawn so far, infinite where nothing is.
    """

    image: NDArray[np.float32]
    depth: NDArray[np.float32]


SAME_SURFACE: Final = 0.05
"""Neighbouring pixels whose depths differ by less than this share of the nearer one lie on one surface."""

WIDEST_FOOTPRINT_PX: Final = 8.0
"""Farthest that a pixel of depth reaches out in another view, in each direction."""


def compiled(function: Function) -> Function:
    """Compile at the first call, and keep the machine code on disk where any place for it can be written.

    numba looks beside the source, then in the user's cache folder, and refuses to import the module where
    both are read-only (a sealed container); then the function compiles anew in each process instead.

    Division by zero gives infinity or NaN, as NumPy has it: asking before each division would keep loops from being
    computed several values at a time.
    """
    try:
        return cast("Function", numba.njit(nogil=True, cache=True, error_model="numpy")(function))
    except RuntimeError:
        return cast("Function", numba.njit(nogil=True, error_model="numpy")(function))


def blank(out: NDArray[np.float32] | None, size: tuple[int, int]) -> NDArray[np.float32]:
    """Give zeros (H, W, 3) to draw into: those of the caller, if any.

    Raises:
        FrameError: the caller's are of another shape or type; the loops would write elsewhere.
    """
    if out is None:
        return np.zeros((*size, 3), np.float32)
    if out.shape != (*size, 3) or out.dtype != np.float32:
        msg = f"drawing: found room of {out.dtype} {out.shape}, expected float32 {(*size, 3)}; give it the image's size"
        raise FrameError(msg)
    return out


@compiled
def distorted(x: float, y: float, z: float, lens: Lens) -> tuple[float, float]:
    """Normalised image coordinates of a point in the optical frame; NaN outside what the lens model holds for."""
    if lens.model == PINHOLE:
        return x / z, y / z
    k1, k2, p1, p2, k3, k4, k5, k6 = lens.d
    if lens.model == EQUIDISTANT:
        # Kannala-Brandt: the four coefficients fill the first four places.
        radius = math.hypot(x, y)
        angle = math.atan2(radius, z)
        if angle > lens.limit:
            return math.nan, math.nan
        square = angle * angle
        bent = angle * (1.0 + square * (k1 + square * (k2 + square * (p1 + square * p2))))
        scale = bent / radius if radius > 1e-12 else 1.0 / z
        return x * scale, y * scale
    a, b = x / z, y / z
    square = a * a + b * b
    if square > lens.limit * lens.limit:
        return math.nan, math.nan
    radial = 1.0 + square * (k1 + square * (k2 + square * k3))
    radial /= 1.0 + square * (k4 + square * (k5 + square * k6))
    return (
        a * radial + 2.0 * p1 * a * b + p2 * (square + 2.0 * a * a),
        b * radial + p1 * (square + 2.0 * b * b) + 2.0 * p2 * a * b,
    )


@compiled
def pixel_of_point(x: float, y: float, z: float, lens: Lens) -> tuple[float, float, float]:
    """Pixel coordinates and depth; NaN coordinates where there is no image of the point.

    All are rounded to single precision, so that whoever works on stored float32 values finds the same pixel.
    """
    t = lens.transform
    depth = t[2][0] * x + t[2][1] * y + t[2][2] * z + t[2][3]
    if not depth > MIN_DEPTH_M:
        return math.nan, math.nan, float(np.float32(depth))
    right = t[0][0] * x + t[0][1] * y + t[0][2] * z + t[0][3]
    down = t[1][0] * x + t[1][1] * y + t[1][2] * z + t[1][3]
    a, b = distorted(right, down, depth, lens)
    k = lens.pixel
    u = np.float32(k[0][0] * a + k[0][1] * b + k[0][2])
    v = np.float32(k[1][0] * a + k[1][1] * b + k[1][2])
    return float(u), float(v), float(np.float32(depth))


@compiled
def project(xyz: NDArray[np.float32], lens: Lens, uv: NDArray[np.float32], depth: NDArray[np.float32]) -> None:
    """Fill uv (N, 2) and depth (N,) for points (N, 3)."""
    for i in range(len(xyz)):
        u, v, z = pixel_of_point(float(xyz[i, 0]), float(xyz[i, 1]), float(xyz[i, 2]), lens)
        uv[i, 0] = u
        uv[i, 1] = v
        depth[i] = z


@compiled
def nearness(distance: float, encoding: int, nearest: float, farthest: float) -> float:
    """Code a distance: 1 at the nearest, FAINTEST at the farthest, linear in 1 / distance or in its logarithm."""
    if encoding == LOG:
        part = math.log(farthest / distance) / math.log(farthest / nearest)
    else:
        part = (1.0 / distance - 1.0 / farthest) / (1.0 / nearest - 1.0 / farthest)
    return FAINTEST + (1.0 - FAINTEST) * part


@compiled
def fraction(value: float, low: float, high: float) -> float:
    """Where a value lies between two bounds, clipped to [0, 1]; 0 for NaN."""
    part = (value - low) / (high - low)
    if not part > 0.0:
        return 0.0
    return min(part, 1.0)


@compiled
def draw_points(
    xyz: NDArray[np.float32], intensity: NDArray[np.float32], lens: Lens, shading: Shading, canvas: Canvas
) -> None:
    """Draw points (N, 3) and their intensity (N,) in front of what is on the canvas."""
    image, drawn = canvas.image, canvas.depth
    height, width = drawn.shape
    span = math.log(shading.max_range_m / shading.min_range_m)
    for i in range(len(xyz)):
        x, y, z = float(xyz[i, 0]), float(xyz[i, 1]), float(xyz[i, 2])
        distance = math.sqrt(x * x + y * y + z * z)
        if not shading.min_range_m <= distance <= shading.max_range_m:
            continue
        u, v, depth = pixel_of_point(x, y, z, lens)
        if not (-0.5 <= u < width - 0.5 and -0.5 <= v < height - 0.5):
            continue
        column, row = math.floor(u + 0.5), math.floor(v + 0.5)
        radius = 0
        if shading.splat_px > 0:
            radius = math.floor(shading.splat_px * math.log(shading.max_range_m / distance) / span + 0.5)
        elif not depth < drawn[row, column]:
            continue  # most points of a dense scan: not worth their code
        near = nearness(distance, shading.encoding, shading.min_range_m, shading.max_range_m)
        high = fraction(z, shading.height_min_m, shading.height_max_m)
        bright = fraction(float(intensity[i]), 0.0, shading.intensity_scale)
        for at_row in range(max(row - radius, 0), min(row + radius + 1, height)):
            for at_column in range(max(column - radius, 0), min(column + radius + 1, width)):
                if depth < drawn[at_row, at_column]:
                    drawn[at_row, at_column] = depth
                    image[at_row, at_column, 0] = near
                    image[at_row, at_column, 1] = high
                    image[at_row, at_column, 2] = bright


@compiled
def draw_depth(
    depth: NDArray[np.float32], encoding: int, nearest: float, farthest: float, grey: NDArray[np.float32]
) -> None:
    """Code depth (H, W) into grey (H, W), clipped to the bounds; 0 where depth is not a positive number."""
    for row in range(depth.shape[0]):
        for column in range(depth.shape[1]):
            value = float(depth[row, column])
            code = nearness(min(max(value, nearest), farthest), encoding, nearest, farthest)
            grey[row, column] = code if 0.0 < value < math.inf else 0.0


@compiled
def land(depth: NDArray[np.float32], rays: NDArray[np.float32], lens: Lens, landed: NDArray[np.float64]) -> None:
    """Fill landed (H, W, 3) with where depth (H, W) along rays (H, W, 2) comes to lie: pixel coordinates and depth.

    NaN where depth is no positive number, has no ray or no image.
    """
    for row in range(depth.shape[0]):
        for column in range(depth.shape[1]):
            z = float(depth[row, column])
            u, v, far = math.nan, math.nan, math.nan
            if 0.0 < z < math.inf:
                right, down = float(rays[row, column, 0]), float(rays[row, column, 1])
                if math.isfinite(right) and math.isfinite(down):
                    u, v, far = pixel_of_point(right * z, down * z, z, lens)
            landed[row, column, 0] = u
            landed[row, column, 1] = v
            landed[row, column, 2] = far


@compiled
def reach(at: float, low: float, high: float, cells: int) -> tuple[int, int]:
    """First and one past the last pixel whose centre lies in [low, high); the pixel of at where there is none."""
    first = math.ceil(max(low, at - WIDEST_FOOTPRINT_PX))
    end = math.ceil(min(high, at + WIDEST_FOOTPRINT_PX))
    if end <= first:
        first = math.floor(at + 0.5)
        end = first + 1
    return max(first, 0), min(end, cells)


@compiled
def cover(depth: NDArray[np.float32], landed: NDArray[np.float64], zoom: float, seen: NDArray[np.float32]) -> None:
    """Draw each landed pixel as large as it is in the other view, nearest in front, into seen (infinite to begin with).

    A pixel reaches half way to where its eight neighbours on the same surface landed, and at least half of its own
    size, zoom x depth here / depth there.
    """
    height, width = depth.shape
    for row in range(height):
        for column in range(width):
            u, v, far = landed[row, column]
            wide, high = seen.shape[1] + WIDEST_FOOTPRINT_PX, seen.shape[0] + WIDEST_FOOTPRINT_PX
            if not (-WIDEST_FOOTPRINT_PX <= u <= wide and -WIDEST_FOOTPRINT_PX <= v <= high):
                continue
            z = float(depth[row, column])
            half = 0.5 * zoom * z / far
            left, right, top, bottom = u - half, u + half, v - half, v + half
            for at_row in range(max(row - 1, 0), min(row + 2, height)):
                for at_column in range(max(column - 1, 0), min(column + 2, width)):
                    other = float(depth[at_row, at_column])
                    other_u, other_v = landed[at_row, at_column, 0], landed[at_row, at_column, 1]
                    if not math.isnan(other_u) and abs(other - z) <= SAME_SURFACE * min(other, z):
                        left, right = min(left, 0.5 * (u + other_u)), max(right, 0.5 * (u + other_u))
                        top, bottom = min(top, 0.5 * (v + other_v)), max(bottom, 0.5 * (v + other_v))
            first_column, end_column = reach(u, left, right, seen.shape[1])
            first_row, end_row = reach(v, top, bottom, seen.shape[0])
            for at_row in range(first_row, end_row):
                for at_column in range(first_column, end_column):
                    seen[at_row, at_column] = min(seen[at_row, at_column], np.float32(far))
