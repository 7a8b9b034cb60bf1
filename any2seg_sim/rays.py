# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Rays that have met something, and those that go on from there: to the sun, or mirrored by water on the ground."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from any2seg_sim.compiled import compiled
from any2seg_sim.materials import Surface
from any2seg_sim.textures import grain, wet_ground

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WATER = int(Surface.WATER)
_LIFT_M: Final = 0.015
"""Rays go on so far off a surface: above the road markings, which lie that close to the road."""


class Rays(NamedTuple):
    """N rays and where they ended, see tracer.Hits.

    Attributes:
        origins: (N, 3) float32.
        directions: (N, 3) float32, unit.
        distance: (N,) float32 metres.
        face: (N,) int32, -1 for the sky.
        normal: (N, 3) float32.
        width: footprint of a ray, metres per metre.
    """

    origins: NDArray[np.float32]
    directions: NDArray[np.float32]
    distance: NDArray[np.float32]
    face: NDArray[np.int32]
    normal: NDArray[np.float32]
    width: float


@compiled
def leave(rays: Rays, index: NDArray[np.int64]) -> NDArray[np.float32]:
    """Points (M, 3) just off the surfaces where some rays ended, for rays that go on from there."""
    out = np.empty((len(index), 3), np.float32)
    for k in range(len(index)):
        i = index[k]
        for c in range(3):
            reach = rays.distance[i] * rays.directions[i, c]
            out[k, c] = rays.origins[i, c] + reach + _LIFT_M * rays.normal[i, c]
    return out


@compiled
def sunward(rays: Rays, sun: NDArray[np.float32]) -> NDArray[np.int64]:
    """Numbers (M,) of the rays that ended on surfaces turned to the sun."""
    index, found = np.empty(len(rays.face), np.int64), 0
    for i in range(len(rays.face)):
        upright = rays.normal[i, 0] * sun[0] + rays.normal[i, 1] * sun[1] + rays.normal[i, 2] * sun[2]
        if rays.face[i] >= 0 and upright > 0.0:
            index[found] = i
            found += 1
    return index[:found]


@compiled
def mirror_rays(
    rays: Rays, surface: NDArray[np.uint8], wetness: float, index: NDArray[np.int64], out: NDArray[np.float32]
) -> int:
    """Find rays that water on the ground mirrors: their numbers, mirrored directions (M, 3) and M itself."""
    found = 0
    for i in range(len(rays.face)):
        if rays.face[i] < 0 or rays.normal[i, 2] < 0.9:
            continue
        kind = int(surface[rays.face[i]])
        dx, dy, dz = float(rays.directions[i, 0]), float(rays.directions[i, 1]), float(rays.directions[i, 2])
        x, y = rays.origins[i, 0] + rays.distance[i] * dx, rays.origins[i, 1] + rays.distance[i] * dy
        nx, ny, nz = float(rays.normal[i, 0]), float(rays.normal[i, 1]), float(rays.normal[i, 2])
        facing = max(-(dx * nx + dy * ny + dz * nz), 0.02)
        width = rays.distance[i] * rays.width / facing
        wet, pool = wet_ground(kind, x, y, nz, wetness, width)
        if wet <= 0.0 and kind != _WATER:
            continue
        rough = 0.02 if kind == _WATER else 0.012 + 0.05 * (1.0 - pool)
        nx += rough * (grain(x, y, 0.0, 3.0, width) + grain(x, y, 5.0, 11.0, width))
        ny += rough * (grain(x, y, 9.0, 3.0, width) + grain(x, y, 13.0, 11.0, width))
        twice = 2.0 * max(-(dx * nx + dy * ny + dz * nz), 0.01)
        dx, dy, dz = dx + twice * nx, dy + twice * ny, max(dz + twice * nz, 0.004)
        length = math.sqrt(dx * dx + dy * dy + dz * dz)
        out[found, 0], out[found, 1], out[found, 2] = dx / length, dy / length, dz / length
        index[found] = i
        found += 1
    return found
