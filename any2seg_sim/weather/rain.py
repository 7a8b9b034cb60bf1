# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Falling rain: drops with places and speeds of their own, drawn as the streaks that a shutter makes of them.

Where a drop is follows from the time alone, so a streak goes on in the next image where it ended in this one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_core.projection.camera import project_points
from any2seg_sim.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from any2seg_core.frames import CameraModel
    from any2seg_sim.weather.weather import Weather

SHUTTER_S: Final = 0.011
_BOX_M: Final = np.array([12.0, 12.0, 9.0])
"""Drops fill a box around the camera; one that leaves it comes in again on the other side."""
_DROPS_PER_MM_H: Final = 260
_NEAREST_M: Final = 0.6
_STRENGTH: Final = 0.55
_THINNEST_PX: Final = 0.9
_STREAM: Final = 7301


def fall_speed(diameter_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Terminal speed of raindrops, m/s: 9.65 - 10.3 exp(-0.6 D) (Atlas, Srivastava and Sekhon, 1973)."""
    return np.asarray(9.65 - 10.3 * np.exp(-0.6 * diameter_mm))


class Rain:
    """The drops of one drive."""

    def __init__(self, weather: Weather, seed: int) -> None:
        rng = np.random.default_rng([seed, _STREAM])
        count = round(_DROPS_PER_MM_H * weather.rain_mm_h)
        self._places = rng.uniform(0.0, 1.0, (count, 3)) * _BOX_M
        self._diameter_mm = np.clip(rng.exponential(0.7, count) + 1.0, 1.0, 5.0)
        wind = rng.uniform(-1.5, 1.5, 2)
        sway = rng.normal(0.0, 0.25, (count, 2))
        self._velocity = np.column_stack([wind + sway, -fall_speed(self._diameter_mm)])
        self._rgb = (1.05 * weather.sky.cloud_rgb).astype(np.float32)

    def draw(
        self,
        image: NDArray[np.float32],
        distance: NDArray[np.float32],
        camera: CameraModel,
        pose: NDArray[np.float64],
        t_s: float,
        was_at: NDArray[np.float64],
    ) -> None:
        """Draw streaks over linear light.

        Args:
            image: (H, W, 3), changed in place.
            distance: (H * W,) metres to what each pixel shows; drops behind it are hidden.
            camera: intrinsics.
            pose: (4, 4), optical frame to street.
            t_s: time.
            was_at: (3,) where the camera was when the shutter opened, metres from where it is.
        """
        after = self._around(pose[:3, 3], t_s)
        before = after - self._velocity * SHUTTER_S - was_at
        after, before = after @ pose[:3, :3], before @ pose[:3, :3]
        ahead = np.minimum(after[:, 2], before[:, 2]) > _NEAREST_M
        after, before, diameter = after[ahead], before[ahead], self._diameter_mm[ahead]
        tips, valid = project_points(after, camera)
        tails, also = project_points(before, camera)
        seen = valid & also
        away = np.linalg.norm(after[seen], axis=1)
        size = 1e-3 * diameter[seen] * camera.k[0, 0] / away
        fade = np.clip((0.5 * float(np.min(_BOX_M[:2])) - away) / 1.5, 0.0, 1.0)
        lines = np.column_stack([tips[seen], tails[seen], size, away, fade]).astype(np.float32)
        _draw_lines(image, distance.reshape(image.shape[:2]), lines, self._rgb)

    def _around(self, centre: NDArray[np.float64], t_s: float) -> NDArray[np.float64]:
        """Where the drops are, (N, 3) metres from a centre."""
        offset = self._places + self._velocity * t_s - centre
        return np.asarray((offset + _BOX_M / 2) % _BOX_M - _BOX_M / 2)


@compiled
def _draw_lines(
    image: NDArray[np.float32], distance: NDArray[np.float32], lines: NDArray[np.float32], rgb: NDArray[np.float32]
) -> None:
    """Blend lines (N, 7) into an image: u, v of both ends, width in pixels, metres away, strength."""
    height, width = distance.shape
    for k in range(len(lines)):
        au, av, bu, bv, size, away, strength = lines[k]
        half = max(size, _THINNEST_PX) / 2
        alpha = _STRENGTH * strength * min(size / _THINNEST_PX, 1.0)
        left, right = max(math.ceil(min(au, bu) - half - 0.5), 0), min(math.floor(max(au, bu) + half + 0.5), width - 1)
        top, low = max(math.ceil(min(av, bv) - half - 0.5), 0), min(math.floor(max(av, bv) + half + 0.5), height - 1)
        du, dv = bu - au, bv - av
        square = max(du * du + dv * dv, 1e-6)
        for row in range(top, low + 1):
            for column in range(left, right + 1):
                if distance[row, column] < away:
                    continue
                along = min(max(((column - au) * du + (row - av) * dv) / square, 0.0), 1.0)
                off = math.hypot(column - au - along * du, row - av - along * dv)
                share = alpha * min(max(half + 0.5 - off, 0.0), 1.0)
                for c in range(3):
                    image[row, column, c] += share * (rgb[c] - image[row, column, c])
