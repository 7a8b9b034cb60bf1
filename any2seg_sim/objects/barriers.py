# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Fences, walls and rails along x, from the origin on, fit to be bent along a street."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.mesh import Mesh
from any2seg_sim.shapes import bar, slab, slabs

if TYPE_CHECKING:
    from any2seg_sim.shapes import Vec

FENCES: Final = ("pickets", "iron", "boards")


def _row(length: float, pitch: float, low: Vec, high: Vec, paint: Paint) -> Mesh:
    """Repeat a box along x."""
    x = np.arange(0.0, length - 0.05, pitch)
    shift = np.stack([x, np.zeros_like(x), np.zeros_like(x)], 1)
    return slabs(shift + np.array(low), shift + np.array(high), paint)


def fence(length: float, *, kind: str = "pickets", height: float = 1.4) -> Mesh:
    """Build a fence of one of FENCES."""
    if kind == "iron":
        paint = Paint(Label.FENCE, Surface.METAL, (0.04, 0.045, 0.05))
        rails = [bar((0, length), (-0.02, 0.02), (z, z + 0.04), paint) for z in (0.12, height - 0.2)]
        posts = _row(length, 2.4, (0, -0.04, 0), (0.08, 0.04, height + 0.1), paint)
        return Mesh.merged([_row(length, 0.13, (0, -0.012, 0.05), (0.025, 0.012, height), paint), posts, *rails])
    rgb = (0.3, 0.19, 0.1) if kind == "pickets" else (0.22, 0.17, 0.12)
    paint = Paint(Label.FENCE, Surface.WOOD, rgb)
    wide, pitch = (0.11, 0.17) if kind == "pickets" else (0.15, 0.155)
    rails = [bar((0, length), (0.02, 0.07), (z - 0.05, z + 0.05), paint) for z in (0.35, height - 0.3)]
    return Mesh.merged([_row(length, pitch, (0, -0.02, 0.04), (wide, 0.02, height), paint), *rails])


def railing(length: float, *, label: Label = Label.FENCE, height: float = 1.05) -> Mesh:
    """Build a hand rail on posts with bars between."""
    paint = Paint(label, Surface.METAL, (0.16, 0.2, 0.2))
    parts = [bar((0, length), (-0.03, 0.03), (z, z + 0.05), paint) for z in (height - 0.05, 0.5, 0.15)]
    return Mesh.merged([*parts, _row(length, 1.5, (0, -0.03, 0), (0.06, 0.03, height), paint)])


def guard_rail(length: float) -> Mesh:
    """Build a crash barrier: a beam with two folds, whose front faces -y, on posts."""
    paint = Paint(Label.GROUND_RAIL, Surface.METAL, (0.5, 0.51, 0.52))
    parts = [_row(length, 1.8, (0, 0.06, 0), (0.1, 0.16, 0.78), paint)]
    parts += [bar((0, length), (-0.03, 0.03), (z, z + 0.13), paint) for z in (0.5, 0.69)]
    parts += [bar((0, length), (0.02, 0.05), (0.44, 0.88), paint)]
    return Mesh.merged(parts)


def wall(length: float, *, height: float = 2.2, kind: str = "brick") -> Mesh:
    """Build a wall of brick, stone or concrete with a coping."""
    looks = {"brick": (Surface.BRICK, (0.36, 0.15, 0.1)), "stone": (Surface.BRICK, (0.4, 0.37, 0.31))}
    surface, rgb = looks.get(kind, (Surface.PLASTER, (0.45, 0.44, 0.42)))
    stone = Paint(Label.WALL, Surface.PLAIN, (0.45, 0.43, 0.4))
    parts = [bar((0, length), (-0.15, 0.15), (0, height), Paint(Label.WALL, surface, rgb))]
    parts.append(bar((0, length), (-0.2, 0.2), (height, height + 0.1), stone))
    if kind == "brick":
        parts.append(_row(length, 4.5, (0, -0.24, 0), (0.45, 0.24, height + 0.18), Paint(Label.WALL, surface, rgb)))
    return Mesh.merged(parts)


def quay_wall(length: float, low: float) -> Mesh:
    """Build a wall that holds the street above water: its outer side looks to +y."""
    stone = Paint(Label.WALL, Surface.BRICK, (0.34, 0.32, 0.29))
    return bar((0, length), (-0.3, 0.0), (low, 0.02), stone)


def boundary(depth: float, low: float) -> Mesh:
    """Build a wall across a lot, along y from the origin on."""
    stone = Paint(Label.WALL, Surface.BRICK, (0.34, 0.32, 0.29))
    return slab((-0.15, 0.15), (0, depth), (low, 0.25), stone)
