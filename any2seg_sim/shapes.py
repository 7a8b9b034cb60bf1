# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Builders of simple shapes, of which everything in the street is put together."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import trimesh

from any2seg_sim.mesh import Mesh

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from any2seg_sim.materials import Paint

    Vec = tuple[float, float, float]


def panel(corners: Sequence[Vec], paint: Paint) -> Mesh:
    """Fill a flat convex polygon, corners given anticlockwise as its front sees them."""
    count = len(corners)
    fan = np.stack([np.zeros(count - 2), np.arange(1, count - 1), np.arange(2, count)], 1).astype(np.int32)
    return Mesh.painted(np.array(corners, np.float64), fan, paint)


@functools.cache
def _unit_box() -> NDArray[np.float64]:
    """Corners of a unit cube's triangles, unshared, so that edges stay sharp."""
    solid = trimesh.creation.box()
    return np.asarray(solid.vertices[solid.faces].reshape(-1, 3), np.float64)


@functools.cache
def _unit_ball(level: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    solid = trimesh.creation.icosphere(subdivisions=level)
    return np.asarray(solid.vertices, np.float64), np.asarray(solid.faces, np.int64)


def box(size: Vec, centre: Vec, paint: Paint) -> Mesh:
    """Build a box with sharp edges, sides along the axes."""
    vertices = _unit_box() * np.array(size) + np.array(centre)
    return Mesh.painted(vertices, np.arange(len(vertices)).reshape(-1, 3), paint)


def slab(x: tuple[float, float], y: tuple[float, float], z: tuple[float, float], paint: Paint) -> Mesh:
    """Build a box from its bounds."""
    bounds = np.array([x, y, z])
    size, centre = bounds[:, 1] - bounds[:, 0], bounds.mean(1)
    return box((size[0], size[1], size[2]), (centre[0], centre[1], centre[2]), paint)


def ball(centre: Vec, radii: Vec, paint: Paint, *, level: int = 1) -> Mesh:
    """Build an ellipsoid from an icosahedron split `level` times."""
    vertices, faces = _unit_ball(level)
    return Mesh.painted(vertices * np.array(radii) + np.array(centre), faces, paint)


def loft(rings: NDArray[np.floating], paint: Paint, *, sharp: bool = False) -> Mesh:
    """Join rings of points (R, P, 3) into a closed tube with flat ends.

    The rings run anticlockwise as seen by someone who looks back from the last ring to the first.
    With `sharp` every facet is flat; otherwise the sides are shaded smoothly.
    """
    count, points = rings.shape[:2]
    here = np.arange(points)
    after = (here + 1) % points
    faces: list[NDArray[np.integer]] = []
    for ring in range(count - 1):
        a, b = ring * points, (ring + 1) * points
        faces += [np.stack([a + here, a + after, b + after], 1), np.stack([a + here, b + after, b + here], 1)]
    sides = np.concatenate(faces)
    vertices = rings.reshape(-1, 3)
    if sharp:
        vertices, sides = vertices[sides].reshape(-1, 3), np.arange(3 * len(sides)).reshape(-1, 3)
    first, last = rings[0][::-1], rings[-1]
    ends = [panel([(p[0], p[1], p[2]) for p in end], paint) for end in (first, last)]
    return Mesh.merged([Mesh.painted(vertices, sides, paint), *ends])


def tube(
    start: Vec, end: Vec, radius: float, paint: Paint, *, end_radius: float | None = None, sides: int = 10
) -> Mesh:
    """Build a round bar between two points, tapering to end_radius if given."""
    axis = np.subtract(end, start)
    axis = axis / np.linalg.norm(axis)
    helper = np.array([0.0, 0.0, 1.0]) if abs(axis[2]) < 0.9 else np.array([1.0, 0.0, 0.0])
    across = np.cross(helper, axis)
    across /= np.linalg.norm(across)
    up = np.cross(axis, across)
    turn = np.arange(sides) * (2 * np.pi / sides)
    circle = np.cos(turn)[:, None] * across + np.sin(turn)[:, None] * up
    far = radius if end_radius is None else end_radius
    return loft(np.stack([circle * radius + np.array(start), circle * far + np.array(end)]), paint)


def disc(centre: Vec, axis: Vec, radius: float, paint: Paint, *, sides: int = 16, thickness: float = 0.02) -> Mesh:
    """Build a thin round (or, with few sides, polygonal) plate whose front faces along the axis."""
    unit = np.array(axis) / np.linalg.norm(axis)
    back, front = np.array(centre) - unit * thickness / 2, np.array(centre) + unit * thickness / 2
    return tube((back[0], back[1], back[2]), (front[0], front[1], front[2]), radius, paint, sides=sides)


def prism_across(profile: Sequence[tuple[float, float]], half_width: float, paint: Paint) -> Mesh:
    """Extrude an outline in the x-z plane, given anticlockwise as seen from -y, across y from -w to +w."""
    outline = np.array(profile)
    rings = np.stack(
        [np.stack([outline[:, 0], np.full(len(outline), side), outline[:, 1]], 1) for side in (half_width, -half_width)]
    )
    return loft(rings, paint, sharp=True)
