# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Spinning LiDAR: one sweep of rays with range noise, lost echoes and an intensity from the material."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_core.frames import Points
from any2seg_sim.materials import LIDAR_ECHO, LIDAR_RETURNS
from any2seg_sim.sensors.camera import luminance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from any2seg_sim.renderer import Renderer

MIN_RANGE_M: Final = 0.5
MAX_RANGE_M: Final = 100.0
_LOWEST_DEG: Final = -25.0
_HIGHEST_DEG: Final = 14.0
_RANGE_NOISE_M: Final = 0.015


@dataclass(frozen=True, eq=False)
class Sweep:
    """The echoes of one turn, N of them.

    Attributes:
        points: positions in the LiDAR's frame and intensity, 0 to 255.
        rings: (N,) uint16, 0 is the lowest.
        labels: (N,) uint8 exact class of what was hit.
    """

    points: Points
    rings: NDArray[np.uint16]
    labels: NDArray[np.uint8]


def sweep_rays(rings: int, columns: int) -> NDArray[np.float32]:
    """Unit directions (columns * rings, 3) in the LiDAR's frame: it turns clockwise from behind, column by column."""
    elevation = np.radians(np.linspace(_LOWEST_DEG, _HIGHEST_DEG, rings) if rings > 1 else np.zeros(1))
    azimuth = np.pi - np.arange(columns) * (2 * np.pi / columns)
    around, up = np.meshgrid(azimuth, elevation, indexing="ij")
    rays = np.stack([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)], -1)
    return rays.reshape(-1, 3).astype(np.float32)


def sweep(
    renderer: Renderer,
    pose: NDArray[np.float64],
    *,
    rings: int,
    columns: int,
    noise: np.random.Generator | None = None,
) -> Sweep:
    """Scan once from a pose (LiDAR to street, (4, 4)); the whole turn is taken at that moment."""
    rays = sweep_rays(rings, columns)
    cast = renderer.cast(pose, rays)
    intensity = LIDAR_ECHO[cast.surface] * (0.2 + 0.8 * luminance(cast.rgb)) * (0.25 + 0.75 * cast.facing)
    intensity = np.rint(255.0 * np.clip(intensity, 0.0, 1.0))
    distance = cast.distance
    heard = (distance > MIN_RANGE_M) & (distance < MAX_RANGE_M)
    if noise is not None:
        faint = 0.6 + 0.4 * np.minimum(cast.facing * 8.0, 1.0)
        heard &= noise.random(len(rays), np.float32) < LIDAR_RETURNS[cast.surface] * faint
        distance = distance + noise.standard_normal(len(rays), np.float32) * np.float32(_RANGE_NOISE_M)
    ring = np.tile(np.arange(rings, dtype=np.uint16), columns)
    points = Points(rays[heard] * distance[heard, None], intensity[heard].astype(np.float32))
    return Sweep(points, ring[heard], cast.labels[heard])
