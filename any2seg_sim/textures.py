# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Patterns on surfaces and in the sky, filtered to the footprint of a ray so that they do not flicker far away."""

from __future__ import annotations

import math

from numba import njit

from any2seg_sim.compiled import compiled
from any2seg_sim.materials import Surface

_ASPHALT, _PAVING, _GRASS, _LEAVES, _WATER = (
    int(kind) for kind in (Surface.ASPHALT, Surface.PAVING, Surface.GRASS, Surface.LEAVES, Surface.WATER)
)
_BRICK_FACADE, _PLASTER_FACADE, _BRICK = int(Surface.BRICK_FACADE), int(Surface.PLASTER_FACADE), int(Surface.BRICK)
_ROOF, _PLAIN, _MARKING = int(Surface.ROOF_TILES), int(Surface.PLAIN), int(Surface.RETROREFLECTIVE)


@njit(cache=True, inline="always")
def _hash(x: int, y: int, z: int) -> float:
    """Turn lattice coordinates into a number in [0, 1), the same on every machine."""
    h = (x * 374761393 + y * 668265263 + z * 2147483647 + 1274126177) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    h = ((h ^ (h >> 16)) * 2246822519) & 0xFFFFFFFF
    return float((h ^ (h >> 15)) & 0xFFFFFF) / 16777216.0


@compiled
def cell(x: float, y: float, z: float) -> float:
    """Give every unit cube a random value in [0, 1)."""
    return _hash(math.floor(x), math.floor(y), math.floor(z))


@compiled
def noise(x: float, y: float, z: float) -> float:
    """Interpolate random lattice values smoothly; mean 0.5, range [0, 1)."""
    fx, fy, fz = math.floor(x), math.floor(y), math.floor(z)
    ix, iy, iz = int(fx), int(fy), int(fz)
    tx, ty, tz = x - fx, y - fy, z - fz
    tx, ty, tz = tx * tx * (3 - 2 * tx), ty * ty * (3 - 2 * ty), tz * tz * (3 - 2 * tz)
    total = 0.0
    for corner in range(8):
        dx, dy, dz = corner & 1, (corner >> 1) & 1, corner >> 2
        weight = (tx if dx else 1 - tx) * (ty if dy else 1 - ty) * (tz if dz else 1 - tz)
        total += weight * _hash(ix + dx, iy + dy, iz + dz)
    return total


@compiled
def grain(x: float, y: float, z: float, frequency: float, width: float) -> float:
    """Give noise around 0 in [-0.5, 0.5) that fades out as the footprint `width` reaches its wavelength."""
    fade = 1.0 - 1.5 * width * frequency
    if fade <= 0.0:
        return 0.0
    return fade * (noise(x * frequency, y * frequency, z * frequency) - 0.5)


@compiled
def _pulse_integral(x: float, start: float, end: float) -> float:
    whole = math.floor(x)
    return whole * (end - start) + min(max(x - whole - start, 0.0), end - start)


@compiled
def pulse(x: float, start: float, end: float, width: float) -> float:
    """Share of the footprint [x - width/2, x + width/2] that lies in [start, end] of a pattern of period 1."""
    width = max(width, 1e-4)
    return (_pulse_integral(x + width / 2, start, end) - _pulse_integral(x - width / 2, start, end)) / width


@compiled
def bricks(u: float, v: float, width: float) -> float:
    """Share of mortar in a brick wall, u along and v up, metres."""
    row = math.floor(v / 0.12)
    joint = pulse(v / 0.12, 0.0, 0.13, width / 0.12)
    upright = pulse(u / 0.36 + 0.5 * (row % 2), 0.0, 0.05, width / 0.36)
    return joint + upright - joint * upright


@compiled
def panes(u: float, v: float, width: float) -> tuple[float, float]:
    """Share of window frame and of glass on a facade of windows 3 m apart and floors of 3.2 m."""
    if v < 3.2:
        return 0.0, 0.0
    across, up = u / 3.0, v / 3.2
    wide, high = width / 3.0, width / 3.2
    frame = pulse(across, 0.29, 0.71, wide) * pulse(up, 0.24, 0.82, high)
    left, right = pulse(across, 0.31, 0.49, wide), pulse(across, 0.51, 0.69, wide)
    glass = (left + right) * (pulse(up, 0.27, 0.6, high) + pulse(up, 0.62, 0.79, high))
    return frame - glass, glass


@compiled
def _ground_pattern(kind: int, p: tuple[float, float, float], width: float) -> float:
    """Factor on the colour of what lies on the ground or grows."""
    x, y, z = p
    if kind == _ASPHALT:
        mended = 0.1 if cell(x / 9.0 + 0.3, y / 2.7 + 0.1, 0.5) < 0.07 and width < 1.0 else 0.0
        patch = (noise(0.11 * x, 0.35 * y, 0.0) - 0.5) * max(0.0, 1.0 - 0.3 * width)
        return 1.0 - mended + 0.25 * patch + 0.12 * grain(x, y, z, 2.5, width) + 0.11 * grain(x, y, z, 16.0, width)
    if kind == _PAVING:
        joint, other = pulse(x / 0.6, 0.0, 0.05, width / 0.6), pulse(y / 0.6, 0.0, 0.05, width / 0.6)
        tone = 0.14 * (cell(x / 0.6, y / 0.6, 0.0) - 0.5) * max(0.0, 1.0 - 2.0 * width)
        return 1.0 + tone + 0.2 * grain(x, y, z, 1.3, width) - 0.3 * (joint + other - joint * other)
    if kind == _GRASS:
        return (
            1.0 + 0.3 * grain(x, y, z, 0.2, width) + 0.4 * grain(x, y, z, 0.9, width) + 0.6 * grain(x, y, z, 6.0, width)
        )
    return 1.0 + 0.7 * grain(x, y, z, 1.6, width) + 0.9 * grain(x, y, z, 6.0, width)


@compiled
def pattern(
    kind: int, p: tuple[float, float, float], n: tuple[float, float, float], width: float
) -> tuple[float, float, float]:
    """Modulate a material's colour at a point: a factor, a share of window frame and a share of glass.

    Walls are measured along themselves, whatever way they face, and from the ground up.
    """
    x, y, z = p
    factor, frame, glass = 1.0, 0.0, 0.0
    if kind in (_ASPHALT, _PAVING, _GRASS, _LEAVES):
        return _ground_pattern(kind, p, width), 0.0, 0.0
    if kind in (_BRICK_FACADE, _PLASTER_FACADE, _BRICK):
        along = y * n[0] - x * n[1]
        if kind == _BRICK:
            return 1.0 + 0.3 * grain(x, y, z, 2.0, width) + 0.6 * bricks(along, z, width), 0.0, 0.0
        factor += 0.18 * grain(x, y, z, 0.35, width) - 0.12 * math.exp(-0.8 * max(z, 0.0))
        if kind == _BRICK_FACADE:
            factor += 0.5 * bricks(along, z, width)
        if abs(n[2]) < 0.5:
            frame, glass = panes(along, z, width)
    elif kind == _ROOF:
        factor += 0.3 * grain(x, y, z, 3.0, width) - 0.3 * pulse(z / 0.2, 0.0, 0.25, width / 0.2)
    return factor, frame, glass


@compiled
def wet_ground(kind: int, x: float, y: float, nz: float, wetness: float, width: float) -> tuple[float, float]:
    """How wet the ground is, and how much of it lies under water, at a point."""
    if wetness <= 0.0 or nz < 0.9 or kind not in (_ASPHALT, _PAVING, _PLAIN, _MARKING):
        return 0.0, 0.0
    hollow = 0.65 * noise(0.22 * x, 0.22 * y, 31.0) + 0.35 * noise(0.9 * x, 0.9 * y, 37.0) + 0.3 * (wetness - 1.0)
    return wetness, min(max((hollow - 0.52) * 7.0, 0.0), 1.0) if width < 1.5 else 0.3
