# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Patterns on surfaces and in the sky, filtered to the footprint of a ray so that they do not flicker far away."""

from __future__ import annotations

import math

from numba import njit


@njit(cache=True, inline="always")
def _hash(x: int, y: int, z: int) -> float:
    """Turn lattice coordinates into a number in [0, 1), the same on every machine."""
    h = (x * 374761393 + y * 668265263 + z * 2147483647 + 1274126177) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    h = ((h ^ (h >> 16)) * 2246822519) & 0xFFFFFFFF
    return float((h ^ (h >> 15)) & 0xFFFFFF) / 16777216.0


@njit(cache=True)
def cell(x: float, y: float, z: float) -> float:
    """Give every unit cube a random value in [0, 1)."""
    return _hash(math.floor(x), math.floor(y), math.floor(z))


@njit(cache=True)
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


@njit(cache=True)
def grain(x: float, y: float, z: float, frequency: float, width: float) -> float:
    """Give noise around 0 in [-0.5, 0.5) that fades out as the footprint `width` reaches its wavelength."""
    fade = 1.0 - 1.5 * width * frequency
    if fade <= 0.0:
        return 0.0
    return fade * (noise(x * frequency, y * frequency, z * frequency) - 0.5)


@njit(cache=True)
def _pulse_integral(x: float, start: float, end: float) -> float:
    whole = math.floor(x)
    return whole * (end - start) + min(max(x - whole - start, 0.0), end - start)


@njit(cache=True)
def pulse(x: float, start: float, end: float, width: float) -> float:
    """Share of the footprint [x - width/2, x + width/2] that lies in [start, end] of a pattern of period 1."""
    width = max(width, 1e-4)
    return (_pulse_integral(x + width / 2, start, end) - _pulse_integral(x - width / 2, start, end)) / width


@njit(cache=True)
def bricks(u: float, v: float, width: float) -> float:
    """Share of mortar in a brick wall, u along and v up, metres."""
    row = math.floor(v / 0.12)
    joint = pulse(v / 0.12, 0.0, 0.13, width / 0.12)
    upright = pulse(u / 0.36 + 0.5 * (row % 2), 0.0, 0.05, width / 0.36)
    return joint + upright - joint * upright


@njit(cache=True)
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
