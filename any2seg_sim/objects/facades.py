# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Walls with windows that are real openings: frames and panes lie behind the wall, sills before it.

All walls stand on y = 0 and face -y, from x = 0 on.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.mesh import Mesh
from any2seg_sim.shapes import slab, slabs

if TYPE_CHECKING:
    from any2seg_sim.shapes import Vec

_GLASS: Final = (0.03, 0.035, 0.04)


def of_building(surface: Surface, rgb: Vec) -> Paint:
    """Paint a part of a building."""
    return Paint(Label.BUILDING, surface, rgb)


GLASS: Final = of_building(Surface.GLASS, _GLASS)


@dataclass(frozen=True)
class Window:
    """A kind of window.

    Attributes:
        width, height: of the opening, as shares of the bay and of the floor.
        sill: height of the opening's lower edge, as a share of the floor.
        panes: side by side and above each other.
        depth: how far the panes lie behind the wall, metres.
        frame: colour of the frame.
        ledge: how far the sill sticks out, metres.
        shutters: colour of shutters, if there are any.
        lintel: colour of a beam above the opening, if there is one.
    """

    width: float
    height: float
    sill: float
    panes: tuple[int, int] = (2, 1)
    depth: float = 0.14
    frame: Vec = (0.6, 0.6, 0.58)
    ledge: float = 0.08
    shutters: Vec | None = None
    lintel: Vec | None = None


def quads(corners: list[list[Vec]], paint: Paint) -> Mesh:
    """Fill rectangles, each given by four corners anticlockwise as its front sees them."""
    points = np.array(corners, np.float64).reshape(-1, 3)
    faces = (4 * np.arange(len(corners))[:, None] + np.array((0, 1, 2, 0, 2, 3))).reshape(-1, 3)
    return Mesh.painted(points, faces, paint)


def upright(x: tuple[float, float], z: tuple[float, float], y: float = 0.0) -> list[Vec]:
    """Give the corners of an upright rectangle for quads."""
    return [(x[0], y, z[0]), (x[1], y, z[0]), (x[1], y, z[1]), (x[0], y, z[1])]


def bay(window: Window, width: float, height: float, wall: Paint) -> Mesh:
    """Build one bay of one floor: wall, opening and window."""
    left, right = (0.5 - window.width / 2) * width, (0.5 + window.width / 2) * width
    low, high = window.sill * height, (window.sill + window.height) * height
    deep = window.depth
    rim = [upright((0, left), (0, height)), upright((right, width), (0, height))]
    rim += [upright((left, right), (0, low)), upright((left, right), (high, height))]
    reveal: list[list[Vec]] = [
        [(left, 0, low), (left, deep, low), (left, deep, high), (left, 0, high)],
        [(right, deep, low), (right, 0, low), (right, 0, high), (right, deep, high)],
        [(left, 0, high), (left, deep, high), (right, deep, high), (right, 0, high)],
        [(left, deep, low), (left, 0, low), (right, 0, low), (right, deep, low)],
    ]
    frame = of_building(Surface.PLAIN, window.frame)
    parts = [quads(rim, wall), quads(reveal, wall), quads([upright((left, right), (low, high), deep)], frame)]
    across, up = np.linspace(left, right, window.panes[0] + 1), np.linspace(low, high, window.panes[1] + 1)
    edge = 0.045
    lights = [
        upright((float(x0) + edge, float(x1) - edge), (float(z0) + edge, float(z1) - edge), deep - 0.012)
        for x0, x1 in itertools.pairwise(across)
        for z0, z1 in itertools.pairwise(up)
    ]
    parts.append(quads(lights, GLASS))
    trim = of_building(Surface.PLAIN, (0.5, 0.48, 0.45))
    if window.ledge > 0:
        parts.append(slab((left - 0.08, right + 0.08), (-window.ledge, 0.02), (low - 0.07, low), trim))
    if window.lintel is not None:
        beam = of_building(Surface.PLAIN, window.lintel)
        parts.append(slab((left - 0.12, right + 0.12), (-0.03, 0.02), (high, high + 0.2), beam))
    if window.shutters is not None:
        paint, wide = of_building(Surface.WOOD, window.shutters), min((right - left) / 2, left - 0.03)
        parts += [slab((x - wide, x), (-0.05, -0.005), (low, high), paint) for x in (left - 0.01, right + wide + 0.01)]
    return Mesh.merged(parts)


def storeys(
    rng: np.random.Generator,
    cell: Mesh,
    width: float,
    height: float,
    columns: int,
    floors: tuple[int, int],
    base: float,
) -> Mesh:
    """Repeat a bay over floors (first, one past last); every window's glass has a shade of its own.

    Whoever paints what lies behind the windows can tell rooms apart by that shade.
    """
    column, floor = (index.reshape(-1) for index in np.mgrid[0:columns, floors[0] : floors[1]])
    wall = cell.repeated(np.stack([column * width, np.zeros_like(column), base + floor * height], 1))
    return own_glass(rng, wall, len(column))


def own_glass(rng: np.random.Generator, mesh: Mesh, count: int = 1) -> Mesh:
    """Shade the glass of each of `count` equal pieces of a mesh differently."""
    shade = np.repeat(rng.uniform(0.6, 1.5, count), len(mesh) // max(count, 1))
    glass = mesh.surface == Surface.GLASS
    return replace(mesh, rgb=np.where(glass[:, None], np.asarray(mesh.rgb * shade[:, None], np.float32), mesh.rgb))


def balcony(width: float, *, glazed: bool) -> Mesh:
    """Build a balcony with its floor at z = 0, from x = 0 on."""
    stone, iron = of_building(Surface.PLAIN, (0.45, 0.44, 0.42)), of_building(Surface.METAL, (0.06, 0.06, 0.065))
    parts = [slab((0, width), (-1.0, 0), (-0.12, 0.0), stone), slab((0, width), (-1.0, -0.95), (0.95, 1.0), iron)]
    if glazed:
        parts.append(slab((0, width), (-0.985, -0.97), (0.05, 0.92), of_building(Surface.GLASS, (0.1, 0.12, 0.12))))
        parts += [slab((x, x + 0.03), (-1.0, 0), (0.95, 1.0), iron) for x in (0.0, width - 0.03)]
        return Mesh.merged(parts)
    bar = np.array((0.025, 0.025, 0.96))
    bars = np.linspace(0, width - 0.03, max(3, round(width / 0.2)))
    low = np.stack([bars, np.full_like(bars, -0.99), np.zeros_like(bars)], 1)
    parts.append(slabs(low, low + bar, iron))
    sides = [(x, y) for x in (0.0, width - 0.025) for y in (-0.75, -0.5, -0.25)]
    low = np.array([(x, y, 0.0) for x, y in sides])
    parts.append(slabs(low, low + bar, iron))
    parts += [slab((x, x + 0.03), (-1.0, 0), (0.95, 1.0), iron) for x in (0.0, width - 0.03)]
    return Mesh.merged(parts)
