# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Trees of several kinds, bushes and hedges."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.mesh import Mesh
from any2seg_sim.shapes import ball, bar, loft, tube

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from any2seg_sim.shapes import Vec

BARK: Final = (0.12, 0.085, 0.06)
_BIRCH: Final = (0.5, 0.48, 0.44)
GREENS: Final = ((0.07, 0.16, 0.03), (0.1, 0.2, 0.04), (0.05, 0.12, 0.03), (0.14, 0.2, 0.04))


@dataclass(frozen=True)
class Species:
    """How a kind of tree grows.

    Attributes:
        height: lowest and greatest, metres.
        fork: share of the height where the crown begins.
        spread: radius of the crown, as a share of the height.
        lumps: of which the crown is made.
        leaf: size of a leaf, metres.
        bark: colour.
        greens: colours of the leaves.
    """

    height: tuple[float, float]
    fork: float
    spread: float
    lumps: int
    leaf: float
    bark: Vec
    greens: tuple[Vec, ...]


SPECIES: Final = {
    "plane": Species((7.5, 10.0), 0.36, 0.27, 8, 0.14, BARK, GREENS),
    "maple": Species((6.0, 7.8), 0.42, 0.3, 7, 0.13, BARK, ((0.12, 0.17, 0.03), (0.2, 0.16, 0.03), (0.22, 0.09, 0.03))),
    "birch": Species((7.0, 9.5), 0.3, 0.17, 8, 0.115, _BIRCH, ((0.15, 0.22, 0.05), (0.18, 0.22, 0.05))),
    "poplar": Species((9.0, 13.0), 0.14, 0.11, 9, 0.125, BARK, ((0.06, 0.14, 0.03), (0.08, 0.15, 0.04))),
    "cherry": Species((5.0, 6.2), 0.46, 0.32, 6, 0.12, BARK, ((0.4, 0.17, 0.2), (0.1, 0.18, 0.05))),
}


def _foliage(rgb: Vec) -> Paint:
    return Paint(Label.VEGETATION, Surface.LEAVES, rgb)


def _leaves(rng: np.random.Generator, middle: NDArray[np.floating], size: float, paint: Paint) -> Mesh:
    """Scatter small triangles, each of a shade of its own, about places (N, 3)."""
    count = len(middle)
    corners = middle[:, None] + rng.normal(0, size, (count, 3, 3))
    tufts = Mesh.painted(corners.reshape(-1, 3), np.arange(3 * count).reshape(-1, 3), paint)
    shade = rng.uniform(0.65, 1.4, (count, 1)) * rng.uniform(0.92, 1.08, (count, 3))
    return replace(tufts, rgb=np.asarray(tufts.rgb * shade, np.float32))


def _outside(
    rng: np.random.Generator, centre: NDArray[np.floating], radii: NDArray[np.floating], count: int
) -> NDArray[np.float64]:
    """Draw places (count, 3) about the surface of an ellipsoid."""
    out = rng.normal(size=(count, 3))
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    return np.asarray(centre + out * radii * rng.uniform(0.85, 1.18, (count, 1)))


def _trunk(top: float, radius: float, paint: Paint) -> Mesh:
    """Build a trunk that widens towards its roots."""
    turn = np.arange(9) * (2 * np.pi / 9)
    rows = ((-0.1, 1.9), (0.15, 1.25), (0.8, 1.0), (top, 0.7))
    rings = [
        np.stack([radius * wide * np.cos(turn), radius * wide * np.sin(turn), np.full(9, z)], 1) for z, wide in rows
    ]
    return loft(np.stack(rings), paint)


def tree(rng: np.random.Generator, species: str = "plane", *, leaves: int = 190, lumps: int = 0) -> Mesh:
    """Build a tree of one of SPECIES, or a "spruce".

    Args:
        rng: draws its shape.
        species: name.
        leaves: how many each lump of the crown has.
        lumps: of which the crown is made, if not as many as the species has.
    """
    if species == "spruce":
        return _spruce(rng, leaves)
    kind = SPECIES[species]
    height = float(rng.uniform(*kind.height))
    bark = Paint(Label.VEGETATION, Surface.PLAIN, kind.bark)
    paint = _foliage(kind.greens[rng.integers(len(kind.greens))])
    core = _foliage((0.55 * paint.rgb[0], 0.55 * paint.rgb[1], 0.55 * paint.rgb[2]))
    fork, spread = kind.fork * height, kind.spread * height
    parts = [_trunk(fork + 0.3, 0.024 * height, bark)]
    lumps = lumps or kind.lumps
    size = kind.leaf * (190 / leaves) ** 0.3
    for index in range(lumps):
        turn = index * 2.4 + rng.uniform(-0.4, 0.4)
        level = (index + 0.5) / lumps
        away = spread * rng.uniform(0.35, 0.8) * np.sqrt(max(1.0 - (1.7 * level - 0.7) ** 2, 0.0))
        z = fork + (height - fork) * (0.1 + 0.72 * level)
        centre = np.array([away * np.cos(turn), away * np.sin(turn), z])
        radii = spread * rng.uniform(0.55, 0.75, 3)
        radii[2] = max(0.85 * radii[2], 0.62 * (height - fork) / lumps)
        parts.append(
            tube((0, 0, fork - 0.1), tuple(centre), 0.009 * height, bark, end_radius=0.02, sides=5, capped=False)
        )
        parts.append(ball(tuple(centre), tuple(0.86 * radii), core, level=1))
        parts.append(_leaves(rng, _outside(rng, centre, radii, leaves), size, paint))
    return Mesh.merged(parts)


def _spruce(rng: np.random.Generator, leaves: int) -> Mesh:
    """Build a conifer: whorls of drooping boughs round a straight trunk."""
    height = float(rng.uniform(6.0, 11.0))
    green = _foliage((0.03, 0.09, 0.04))
    bark = Paint(Label.VEGETATION, Surface.PLAIN, BARK)
    parts = [tube((0, 0, -0.1), (0, 0, 0.95 * height), 0.02 * height, bark, end_radius=0.02, sides=7)]
    turn = np.arange(11) * (2 * np.pi / 11)
    for level in np.linspace(0.12, 0.88, 9):
        reach = 0.24 * height * (1.03 - level) * rng.uniform(0.92, 1.08)
        ragged = reach * (1.0 + 0.2 * (np.arange(11) % 2) + rng.uniform(-0.08, 0.08, 11))
        low, high = level * height, (level + 0.2) * height
        rings = [
            np.stack([wide * np.cos(turn), wide * np.sin(turn), np.full(11, z)], 1)
            for wide, z in (
                (ragged, low - 0.1 * reach),
                (0.45 * ragged, low + 0.4 * (high - low)),
                (0.03 * ragged, high),
            )
        ]
        parts.append(loft(np.stack(rings), green))
        place = rng.uniform(0, 2 * np.pi, leaves)
        share = rng.uniform(0.0, 1.0, leaves)
        out = reach * (1.12 - 0.9 * share)
        middle = np.stack([out * np.cos(place), out * np.sin(place), low + share * (high - low) - 0.1 * reach], 1)
        parts.append(_leaves(rng, middle, 0.12, green))
    return Mesh.merged(parts)


def bush(rng: np.random.Generator, *, size: float = 0.7) -> Mesh:
    """Build a round bush."""
    paint = _foliage(GREENS[rng.integers(len(GREENS))])
    core = _foliage((0.5 * paint.rgb[0], 0.5 * paint.rgb[1], 0.5 * paint.rgb[2]))
    parts = []
    for _ in range(3):
        centre = np.array([rng.uniform(-0.4, 0.4), rng.uniform(-0.4, 0.4), 0.55]) * size
        radii = size * rng.uniform(0.55, 0.8, 3)
        parts.append(ball(tuple(centre), tuple(0.85 * radii), core, level=1))
        parts.append(_leaves(rng, _outside(rng, centre, radii, 110), 0.09, paint))
    return Mesh.merged(parts)


def hedge(rng: np.random.Generator, length: float, *, height: float = 1.3) -> Mesh:
    """Build a clipped hedge along x, from the origin on."""
    paint = _foliage(GREENS[rng.integers(len(GREENS))])
    core = _foliage((0.6 * paint.rgb[0], 0.6 * paint.rgb[1], 0.6 * paint.rgb[2]))
    count = int(75 * length)
    middle = rng.uniform((0, -0.42, 0.1), (length, 0.42, height + 0.04), (count, 3))
    outer = rng.random(count) < 0.35
    middle[outer, 1] = -0.42 + rng.normal(0, 0.03, int(outer.sum()))
    return Mesh.merged([bar((0, length), (-0.38, 0.38), (0, height), core), _leaves(rng, middle, 0.09, paint)])


def flower_bed(rng: np.random.Generator, length: float, depth: float) -> Mesh:
    """Plant flowers on a bed of soil, from the origin on."""
    soil = Paint(Label.TERRAIN, Surface.PLAIN, (0.09, 0.06, 0.04))
    green, count = _foliage((0.09, 0.18, 0.05)), int(28 * length * depth)
    parts = [bar((0, length), (0, depth), (0, 0.05), soil)]
    places = rng.uniform((0.1, 0.1, 0.08), (length - 0.1, depth - 0.1, 0.35), (count, 3))
    parts.append(_leaves(rng, places, 0.07, green))
    bloom = _foliage(((0.6, 0.05, 0.1), (0.7, 0.5, 0.05), (0.5, 0.2, 0.55))[rng.integers(3)])
    return Mesh.merged([*parts, _leaves(rng, places[: count // 2] + np.array((0, 0, 0.1)), 0.05, bloom)])
