# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Spinning LiDAR: sweeps of rays with range noise, lost and false echoes, and an intensity from the material."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_core.frames import UNLABELLED, Points
from any2seg_sim.materials import LIDAR_ECHO, LIDAR_RETURNS, Surface
from any2seg_sim.sensors.camera import luminance

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from any2seg_sim.renderer import Cast, Renderer
    from any2seg_sim.settings import DriveSettings
    from any2seg_sim.weather import Weather

MIN_RANGE_M: Final = 0.5
_RANGE_NOISE_M: Final = 0.015
_CORRECTED_M: Final = 80.0
"""Drivers correct intensity for range, but not fully: what is left falls to half at this range."""
_FAINT_M: Final = 250.0
"""A perpendicular white surface in clear air gives the faintest echo that is heard at this range."""
_DROPS_M: Final = 4.0
"""Mean distance of the drops of water that give false echoes."""
_BLOCK: Final = 8
"""Columns that a rolling sweep takes at one time, as a packet of a real one."""
_MOVES: Final = 4
"""How often in a rolling sweep everything else moves on."""
_WET: Final = (Surface.ASPHALT, Surface.PAVING)
_WET_LOSS: Final = 0.6
"""Share of its echo that the ground loses when it is all wet."""


@dataclass(frozen=True)
class LidarModel:
    """What a LiDAR is built for.

    Attributes:
        rings, columns: rays of a sweep.
        lowest_deg, highest_deg: elevation of the outermost rings.
        fov_deg: azimuth that a sweep covers, the middle being ahead.
        max_m: farther echoes are too weak.
        period_s: time of a sweep whose measurements are taken one after another; 0 takes all at once.
    """

    rings: int
    columns: int
    lowest_deg: float = -25.0
    highest_deg: float = 14.0
    fov_deg: float = 360.0
    max_m: float = 100.0
    period_s: float = 0.0

    @staticmethod
    def of(settings: DriveSettings) -> LidarModel:
        """Make the LiDAR of a drive."""
        return LidarModel(
            settings.lidar_rings,
            settings.lidar_columns,
            settings.lidar_lowest_deg,
            settings.lidar_highest_deg,
            settings.lidar_fov_deg,
            settings.lidar_max_m,
            1.0 / settings.lidar_rate_hz if settings.lidar_rolling else 0.0,
        )

    def rays(self) -> NDArray[np.float32]:
        """Unit directions (columns * rings, 3) in the LiDAR's frame: it turns clockwise from behind, by columns."""
        low, high = np.radians([self.lowest_deg, self.highest_deg])
        elevation = np.linspace(low, high, self.rings) if self.rings > 1 else np.array([(low + high) / 2])
        fov = np.radians(self.fov_deg)
        azimuth = fov / 2 - np.arange(self.columns) * (fov / self.columns)
        around, up = np.meshgrid(azimuth, elevation, indexing="ij")
        rays = np.stack([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)], -1)
        return rays.reshape(-1, 3).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Sweep:
    """The echoes of one sweep, N of them.

    Attributes:
        points: positions in the LiDAR's frame of each echo's own time, and intensity, 0 to 255.
        rings: (N,) uint16, 0 is the lowest.
        labels: (N,) uint8 exact class of what was hit, 255 for drops of water.
        after_ns: (N,) int32 time since the sweep began.
    """

    points: Points
    rings: NDArray[np.uint16]
    labels: NDArray[np.uint8]
    after_ns: NDArray[np.int32]


def sweep(
    renderer: Renderer,
    pose_at: Callable[[float], NDArray[np.float64]],
    end_s: float,
    model: LidarModel,
    *,
    weather: Weather,
    noise: np.random.Generator | None = None,
) -> Sweep:
    """Scan once.

    Args:
        renderer: shows what there is; its time is changed.
        pose_at: gives the pose of the LiDAR in the street, (4, 4), at a time in seconds.
        end_s: when the sweep is complete.
        model: the LiDAR.
        weather: attenuates echoes and adds false ones.
        noise: draws errors, lost and false echoes; without it, all is exact.
    """
    rays = model.rays()
    cast, after_ns = _rolled(renderer, pose_at, end_s, model, rays)
    echo = _echo(cast, weather)
    distance, labels = cast.distance, cast.labels
    heard = np.isfinite(distance)
    if noise is not None:
        heard &= _detected(cast, echo, weather, noise)
        distance = distance + noise.standard_normal(len(rays), np.float32) * np.float32(_RANGE_NOISE_M)
        drops = np.minimum(MIN_RANGE_M + noise.exponential(_DROPS_M, len(rays)), model.max_m).astype(np.float32)
        false = (noise.random(len(rays), np.float32) < weather.lidar_clutter) & (drops < cast.distance)
        distance, labels = np.where(false, drops, distance), np.where(false, np.uint8(UNLABELLED), labels)
        echo = np.where(false, np.float32(0.06) / (1 + drops), echo)
        heard |= false
    heard &= (distance > MIN_RANGE_M) & (distance < model.max_m)
    left = 1 / (1 + np.square(np.where(heard, distance, 0.0) / np.float32(_CORRECTED_M)))
    intensity = np.rint(255.0 * np.clip(echo * left, 0.0, 1.0))[heard].astype(np.float32)
    ring = np.tile(np.arange(model.rings, dtype=np.uint16), model.columns)
    points = Points((rays[heard] * distance[heard, None]).astype(np.float32), intensity)
    return Sweep(points, ring[heard], labels[heard], after_ns[heard])


def _rolled(
    renderer: Renderer,
    pose_at: Callable[[float], NDArray[np.float64]],
    end_s: float,
    model: LidarModel,
    rays: NDArray[np.float32],
) -> tuple[Cast, NDArray[np.int32]]:
    """Cast all rays, each from where the LiDAR is at its time; give also the time since the sweep began."""
    if model.period_s == 0.0:
        renderer.set_time(end_s)
        return renderer.cast(pose_at(end_s), rays), np.zeros(len(rays), np.int32)
    blocks = -(-model.columns // _BLOCK)
    begin_s, step = end_s - model.period_s, model.rings * _BLOCK
    parts, times = [], []
    for block in range(blocks):
        after_s = (block + 1) / blocks * model.period_s
        part = rays[block * step : (block + 1) * step]
        if block * _MOVES // blocks != (block - 1) * _MOVES // blocks:
            renderer.set_time(begin_s + after_s)
        parts.append(renderer.cast(pose_at(begin_s + after_s), part))
        times.append(np.full(len(part), round(after_s * 1e9), np.int32))
    names = ("distance", "labels", "surface", "rgb", "facing")
    columns = (np.concatenate([getattr(part, name) for part in parts]) for name in names)
    return type(parts[0])(*columns), np.concatenate(times)


def _echo(cast: Cast, weather: Weather) -> NDArray[np.float32]:
    """Strength of every echo, 1 being near a white surface close by, without its loss by distance in clear air."""
    distance = np.where(np.isfinite(cast.distance), cast.distance, 0.0)
    wet = np.where(np.isin(cast.surface, _WET), 1.0 - _WET_LOSS * weather.wetness, 1.0)
    colour = 0.2 + 0.8 * luminance(cast.rgb)
    facing = 0.25 + 0.75 * cast.facing
    air = weather.lidar_survival(distance)
    return np.asarray(LIDAR_ECHO[cast.surface] * colour * facing * air * wet, np.float32)


def _detected(cast: Cast, echo: NDArray[np.float32], weather: Weather, noise: np.random.Generator) -> NDArray[np.bool_]:
    """Draw which echoes are heard: the fainter, the fewer."""
    distance = np.maximum(np.where(np.isfinite(cast.distance), cast.distance, np.inf), MIN_RANGE_M)
    power = np.minimum(echo * np.square(_FAINT_M / distance), 1.0)
    grazing = 0.6 + 0.4 * np.minimum(cast.facing * 8.0, 1.0)
    chance = LIDAR_RETURNS[cast.surface] * grazing * power * (1.0 - weather.lidar_lost)
    return np.asarray(noise.random(len(echo), np.float32) < chance)
