# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Light: sun, sky and haze; linear radiance of every ray of an image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numba import njit

from any2seg_sim.materials import Surface
from any2seg_sim.textures import bricks, cell, grain, noise, panes, pulse

if TYPE_CHECKING:
    from numpy.typing import NDArray

HAZE_PER_M: Final = 0.0012
_ASPHALT, _PAVING, _GRASS, _LEAVES = (
    int(kind) for kind in (Surface.ASPHALT, Surface.PAVING, Surface.GRASS, Surface.LEAVES)
)
_BRICK_FACADE, _PLASTER_FACADE, _BRICK = int(Surface.BRICK_FACADE), int(Surface.PLASTER_FACADE), int(Surface.BRICK)
_LAMP, _ROOF = int(Surface.LAMP), int(Surface.ROOF_TILES)


@dataclass(frozen=True, eq=False)
class Daylight:
    """The light of a clear day.

    Attributes:
        sun: (3,) float32 unit vector towards the sun.
        sun_rgb: (3,) float32 irradiance of a surface that faces the sun, over pi.
        ambient_rgb: (3,) float32 irradiance from the open sky, over pi.
    """

    sun: NDArray[np.float32]
    sun_rgb: NDArray[np.float32]
    ambient_rgb: NDArray[np.float32]

    @staticmethod
    def drawn(rng: np.random.Generator) -> Daylight:
        """Place the sun high behind or beside the drive, so that the road lies in its light."""
        azimuth = math.pi + rng.choice([-1.0, 1.0]) * rng.uniform(0.25, 0.75)
        elevation = rng.uniform(0.75, 0.95)
        flat = math.cos(elevation)
        sun = np.array([flat * math.cos(azimuth), flat * math.sin(azimuth), math.sin(elevation)], np.float32)
        return Daylight(sun, np.array([1.25, 1.16, 1.0], np.float32), np.array([0.55, 0.63, 0.76], np.float32))


@njit(cache=True)
def sky_radiance(dx: float, dy: float, dz: float, sun: NDArray[np.float32]) -> tuple[float, float, float]:
    """Radiance of the sky: blue above, pale at the horizon, soft clouds, a glow around the sun."""
    high = max(dz, 0.0)
    pale = math.exp(-4.5 * high)
    red, green, blue = 0.17 + 0.5 * pale, 0.33 + 0.4 * pale, 0.68 + 0.16 * pale
    reach = 1.0 / (high + 0.18)
    x, y = dx * reach, dy * reach
    cover = 0.6 * noise(1.1 * x, 1.1 * y, 3.0) + 0.28 * noise(2.7 * x, 2.7 * y, 7.0) + 0.12 * noise(6 * x, 6 * y, 9.0)
    cloud = min(max((cover - 0.47) * 4.0, 0.0), 0.85) * min(1.0, 7.0 * high)
    glow = 0.35 * max(dx * sun[0] + dy * sun[1] + dz * sun[2], 0.0) ** 24
    white = 0.86
    return (
        red + cloud * (white - red) + glow,
        green + cloud * (white - green) + glow,
        blue + cloud * (white + 0.03 - blue) + 0.8 * glow,
    )


@njit(cache=True)
def _flat_pattern(kind: int, p: tuple[float, float, float], width: float) -> float:
    """Factor on the colour of what lies on the ground or grows."""
    x, y, z = p
    if kind == _ASPHALT:
        patch = noise(0.11 * x, 0.35 * y, 0.0) - 0.5
        return 1.0 + 0.28 * patch + 0.22 * grain(x, y, z, 2.5, width) + 0.25 * grain(x, y, z, 14.0, width)
    if kind == _PAVING:
        joint, other = pulse(x / 0.6, 0.0, 0.05, width / 0.6), pulse(y / 0.6, 0.0, 0.05, width / 0.6)
        tone = 0.16 * (cell(x / 0.6, y / 0.6, 0.0) - 0.5) * max(0.0, 1.0 - 2.0 * width)
        return 1.0 + tone + 0.2 * grain(x, y, z, 1.3, width) - 0.35 * (joint + other - joint * other)
    if kind == _GRASS:
        return 1.0 + 0.5 * grain(x, y, z, 0.5, width) + 0.7 * grain(x, y, z, 5.0, width)
    return 1.0 + 0.8 * grain(x, y, z, 1.6, width) + 1.2 * grain(x, y, z, 6.0, width)


@njit(cache=True)
def _pattern(
    kind: int, p: tuple[float, float, float], n: tuple[float, float, float], width: float
) -> tuple[float, float, float]:
    """Modulate a material's colour at a point: a factor, a share of window frame and a share of glass."""
    x, y, z = p
    along = x if abs(n[1]) > abs(n[0]) else y
    factor, frame, glass = 1.0, 0.0, 0.0
    if kind in (_ASPHALT, _PAVING, _GRASS, _LEAVES):
        factor = _flat_pattern(kind, p, width)
    elif kind in (_BRICK_FACADE, _PLASTER_FACADE):
        factor += 0.18 * grain(x, y, z, 0.35, width) - 0.12 * math.exp(-0.8 * max(z, 0.0))
        if kind == _BRICK_FACADE:
            factor += 0.5 * bricks(along, z, width)
        if abs(n[2]) < 0.5:
            frame, glass = panes(along, z, width)
    elif kind == _BRICK:
        factor += 0.3 * grain(x, y, z, 2.0, width) + 0.6 * bricks(along, z, width)
    elif kind == _ROOF:
        factor += 0.3 * grain(x, y, z, 3.0, width) - 0.3 * pulse(z / 0.2, 0.0, 0.25, width / 0.2)
    return factor, frame, glass


@njit(cache=True)
def _mirrored(
    d: tuple[float, float, float], n: tuple[float, float, float], facing: float, gloss: float, sun: NDArray[np.float32]
) -> tuple[float, float, float, float]:
    """Share and radiance of what a glossy surface mirrors: the sky above, a dim street below."""
    share = gloss + (1.0 - gloss) * (1.0 - facing) ** 5 if gloss > 0.0 else 0.0
    rx, ry, rz = d[0] + 2 * facing * n[0], d[1] + 2 * facing * n[1], d[2] + 2 * facing * n[2]
    if rz < 0.0:
        return share, 0.16, 0.15, 0.14
    red, green, blue = sky_radiance(rx, ry, rz, sun)
    dim = 0.35 + 0.65 * min(1.0, 2.0 * rz)
    return share, dim * red, dim * green, dim * blue


@njit(cache=True, error_model="numpy")
def shade(
    origin: NDArray[np.float32],
    directions: NDArray[np.float32],
    distance: NDArray[np.float32],
    face: NDArray[np.int32],
    normal: NDArray[np.float32],
    rgb: NDArray[np.float32],
    surface: NDArray[np.uint8],
    sunlit: NDArray[np.bool_],
    open_sky: NDArray[np.float32],
    light: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]],
    gloss: NDArray[np.float32],
    ray_width: float,
    out: NDArray[np.float32],
) -> None:
    """Write the linear radiance (N, 3) of N rays from one origin; rgb and surface belong to faces, the rest to rays."""
    sun, sun_rgb, ambient_rgb = light
    for i in range(len(directions)):
        d = (directions[i, 0], directions[i, 1], directions[i, 2])
        if face[i] < 0:
            out[i, 0], out[i, 1], out[i, 2] = sky_radiance(d[0], d[1], d[2], sun)
            continue
        n = (normal[i, 0], normal[i, 1], normal[i, 2])
        far, kind = distance[i], int(surface[face[i]])
        facing = max(-(d[0] * n[0] + d[1] * n[1] + d[2] * n[2]), 0.02)
        p = (origin[0] + far * d[0], origin[1] + far * d[1], origin[2] + far * d[2])
        factor, frame, glass = _pattern(kind, p, n, far * ray_width / max(facing, 0.08))
        lit = max(n[0] * sun[0] + n[1] * sun[1] + n[2] * sun[2], 0.0) if sunlit[i] else 0.0
        if kind == _LEAVES:
            lit = 0.25 * (1.0 if sunlit[i] else 0.0) + 0.75 * lit
        amount, mirror_r, mirror_g, mirror_b = _mirrored(d, n, facing, gloss[kind], sun)
        if glass > 0.0:
            share, window_r, window_g, window_b = _mirrored(d, n, facing, 0.14, sun)
            curtain = 0.22 if cell(p[0] / 3.0, p[1] / 3.0, p[2] / 3.2 + 50.0) > 0.7 else 0.03
        ambient = open_sky[i] * (0.62 + 0.38 * n[2]) + 0.2 * (0.5 - 0.5 * n[2])
        clear = math.exp(-HAZE_PER_M * far)
        for c in range(3):
            light_c = lit * sun_rgb[c] + ambient * ambient_rgb[c]
            albedo = rgb[face[i], c] * max(factor, 0.1)
            if glass > 0.0:
                window = curtain * light_c + share * (window_r if c == 0 else window_g if c == 1 else window_b)
                value = (1 - frame - glass) * albedo * light_c + frame * 0.6 * light_c + glass * window
            else:
                value = albedo * light_c
            mirror = mirror_r if c == 0 else mirror_g if c == 1 else mirror_b
            value = (1 - amount) * value + amount * mirror
            if kind == _LAMP:
                value += 0.9 * rgb[face[i], c]
            hazy = 0.62 if c == 0 else 0.7 if c == 1 else 0.8
            out[i, c] = clear * value + (1 - clear) * hazy
