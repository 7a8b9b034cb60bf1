# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Depth sensors: metres along the optical axis, with the errors and holes of a stereo or a time-of-flight camera."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from any2seg_sim.materials import Surface

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from any2seg_sim.settings import DriveSettings

_NOISE_PER_M: Final = 0.0003
"""A stereo camera's error grows with the square of the depth: this many metres at 1 m, 0.12 m at 20 m."""
_BASELINE_M: Final = 0.2
_CLEAR: Final = 0.003
"""Change of the picture along a row, from pixel to pixel and of full scale, that is surely matched."""
_ROUGH: Final = (
    *(Surface.ASPHALT, Surface.PAVING, Surface.GRASS, Surface.LEAVES),
    *(Surface.BRICK_FACADE, Surface.PLASTER_FACADE, Surface.BRICK, Surface.ROOF_TILES),
)
_GRAIN: Final = np.array([0.008 * (surface in _ROUGH) for surface in Surface], np.float32)
"""Structure of rough materials, finer than textures are drawn, where the light is at full scale."""
_BLOTCH: Final = 0.02
"""Holes come in blotches of about this size, in widths of the image."""
_MIRRORS: Final[Mapping[Surface, float]] = {Surface.GLASS: 0.7, Surface.WATER: 0.85, Surface.CAR_PAINT: 0.1}
"""Share of a surface where a stereo camera sees what it mirrors and not the surface."""
_MIRRORED: Final = np.array([_MIRRORS.get(surface, 0.0) for surface in Surface], np.float32)
_TOF_REACH_M: Final = 35.0
"""A perpendicular white surface in the dark is measured up to here by time of flight."""
_TOF_NOISE_M: Final = 0.01
_TOF_SUN: Final = 3.0
"""So much stronger must an echo be beside a white surface in the sun."""
_FLYING: Final = 0.08
"""Neighbouring depths further apart than this share of them are mixed in one pixel by time of flight."""


@dataclass(frozen=True)
class DepthModel:
    """What a depth sensor is built for.

    Attributes:
        kind: "stereo" or "tof".
        min_m, max_m: nearer and farther depth is missing.
    """

    kind: str = "stereo"
    min_m: float = 0.3
    max_m: float = 100.0

    @staticmethod
    def of(settings: DriveSettings) -> DepthModel:
        """Make the depth sensor of a drive."""
        return DepthModel(settings.depth_kind, settings.depth_min_m, settings.depth_max_m)


@dataclass(frozen=True, eq=False)
class DepthView:
    """What lies before a depth sensor, pixel by pixel.

    Attributes:
        depth: (H, W) float32 exact metres along the optical axis, NaN where there is nothing.
        picture: (H, W) float32 brightness that its camera would record, 1 being full scale.
        daylight: (H, W) float32 radiance, 1 being near a white surface in the sun.
        surface: (H, W) uint8 kind of material.
        echo: (H, W) float32 share of its own light that comes back, for white 1: colour times facing.
        focal_px: focal length along a row.
    """

    depth: NDArray[np.float32]
    picture: NDArray[np.float32]
    daylight: NDArray[np.float32]
    surface: NDArray[np.uint8]
    echo: NDArray[np.float32]
    focal_px: float


def in_range(depth: NDArray[np.float32], model: DepthModel) -> NDArray[np.float32]:
    """Keep what lies within a sensor's range; NaN elsewhere."""
    with np.errstate(invalid="ignore"):
        within = (depth >= model.min_m) & (depth <= model.max_m)
    return np.where(within, depth, np.float32(np.nan))


def measure(view: DepthView, model: DepthModel, noise: np.random.Generator) -> NDArray[np.float32]:
    """Measure depth (H, W) in metres, NaN where the sensor finds none."""
    return in_range(_MEASURE[model.kind](view, noise), model)


def stereo(view: DepthView, noise: np.random.Generator) -> NDArray[np.float32]:
    """Measure by matching pictures of two cameras.

    Nothing is found where the second camera, to the right, does not see the place; where the picture has too little
    structure along the row or is over-exposed; and where a surface mirrors.
    """
    depth, size = view.depth, view.depth.shape
    errors = 0.7 * noise.standard_normal(size, np.float32) + 0.7 * _blotches(size, noise)
    chance = _uniform(_blotches(size, noise))
    with np.errstate(invalid="ignore"):
        lost = _shadowed(depth, view.focal_px * _BASELINE_M)
        lost |= _structure(view) < _CLEAR * chance**2
        lost |= _smooth(np.asarray(view.picture >= 1.0, np.float32)) > 0.5
        lost |= 1.0 - chance < _MIRRORED[view.surface]
        measured = depth + errors * np.float32(_NOISE_PER_M) * depth**2
    return np.where(lost, np.float32(np.nan), measured)


def time_of_flight(view: DepthView, noise: np.random.Generator) -> NDArray[np.float32]:
    """Measure by the echo of the sensor's own light.

    Nothing is found where the echo is faint: far away, on dark, grazing or mirroring surfaces, in the sun. At edges
    the echoes of both sides mix, and the depth lies between them.
    """
    depth, size = view.depth, view.depth.shape
    grain, share = noise.standard_normal(size, np.float32), noise.random(size, np.float32)
    with np.errstate(invalid="ignore", divide="ignore"):
        echo = view.echo * (1.0 - _MIRRORED[view.surface]) * np.square(_TOF_REACH_M / depth)
        needed = 1.0 + _TOF_SUN * np.maximum(view.daylight, 0.0)
        beside = cv2.erode(np.nan_to_num(depth, nan=np.inf), np.ones((3, 3), np.uint8))
        mixed = np.where(depth - beside > _FLYING * depth, beside + share * (depth - beside), depth)
        measured = mixed + grain * np.float32(_TOF_NOISE_M) * (1.0 + needed / echo)
        return np.where(echo < needed, np.float32(np.nan), measured).astype(np.float32)


_MEASURE: Final[Mapping[str, Callable[[DepthView, np.random.Generator], NDArray[np.float32]]]] = {
    "stereo": stereo,
    "tof": time_of_flight,
}


def _shadowed(depth: NDArray[np.float32], pixel_metres: float) -> NDArray[np.bool_]:
    """Tell which pixels a camera to the right does not see: something right of them hides them, or the image ends.

    A pixel u of depth z appears there at u - pixel_metres / z; something at the same place or left of it in that
    picture, but right of it in this one, is nearer and stands before it.
    """
    shifted = np.arange(depth.shape[1]) - np.nan_to_num(pixel_metres / depth, nan=0.0)
    least = np.minimum.accumulate(shifted[:, ::-1], axis=1)[:, ::-1]
    hidden = np.zeros(depth.shape, np.bool_)
    hidden[:, :-1] = shifted[:, :-1] >= least[:, 1:]
    return np.asarray(hidden | (shifted < -0.5), np.bool_)


def _structure(view: DepthView) -> NDArray[np.float32]:
    """Mean change of gamma-coded brightness along the row, around every pixel."""
    coded = np.sqrt(np.clip(view.picture, 0.0, 1.0))
    steps = np.abs(np.diff(coded, axis=1, append=coded[:, -1:]))
    return _smooth(steps + _GRAIN[view.surface] * coded)


def _smooth(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean over the window that a matcher compares."""
    side = max(round(image.shape[1] / 320 * 2), 1) * 2 + 1
    return np.asarray(cv2.blur(image, (side, side), borderType=cv2.BORDER_REPLICATE), np.float32)


def _blotches(size: tuple[int, int], noise: np.random.Generator) -> NDArray[np.float32]:
    """Smooth noise (H, W) of mean 0 and deviation 1."""
    sigma = max(_BLOTCH * size[1], 0.8)
    smooth = cv2.GaussianBlur(noise.standard_normal(size, np.float32), (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    # The deviation of white noise behind a Gaussian is 1 / (2 sqrt(pi) sigma).
    return np.asarray(smooth * np.float32(2.0 * np.sqrt(np.pi) * sigma))


def _uniform(normal: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn normal values into values equally spread over 0 to 1, closely enough."""
    return np.asarray(1.0 / (1.0 + np.exp(-1.702 * normal)), np.float32)


def to_millimetres(depth: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Code depth in metres as uint16 millimetres, 0 where there is none or it lies beyond 65.535 m."""
    millimetres = np.rint(np.nan_to_num(depth, nan=0.0, posinf=0.0, neginf=0.0) * 1000.0)
    return np.where((millimetres > 0) & (millimetres <= 65535), millimetres, 0).astype(np.uint16)
