# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Builders of simple shapes, of which everything in the street is put together."""

from __future__ import annotations

import functools
from dataclasses import replace
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
def _unit_box() -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.int32]]:
    """Corners in [0, 1], normals and faces of a box; its sides share no corners, so that edges stay sharp."""
    corners: list[NDArray[np.float64]] = []
    normals, faces = [], []
    for axis in range(3):
        for end in (0.0, 1.0):
            square = np.zeros((4, 3))
            square[:, axis] = end
            square[:, (axis + 1) % 3], square[:, (axis + 2) % 3] = (0, 1, 1, 0), (0, 0, 1, 1)
            faces += [np.array(row) + 4 * len(corners) for row in ((0, 1, 2), (0, 2, 3))]
            corners.append(square if end else square[::-1])
            normals.append(np.tile(np.eye(3)[axis] * (2 * end - 1), (4, 1)))
    return np.concatenate(corners), np.concatenate(normals).astype(np.float32), np.array(faces, np.int32)


def slabs(low: NDArray[np.floating], high: NDArray[np.floating], paint: Paint) -> Mesh:
    """Build many boxes at once from their lower and upper corners (N, 3)."""
    unit, normals, faces = _unit_box()
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    count, size = len(low), len(unit)
    vertices = low[:, None] + unit * (high - low)[:, None]
    shift = np.arange(count, dtype=np.int32)[:, None, None] * np.int32(size)
    rows = count * len(faces)
    return Mesh(
        vertices.reshape(-1, 3).astype(np.float32),
        np.tile(normals, (count, 1)),
        (faces + shift).reshape(-1, 3),
        np.tile(np.array(paint.rgb, np.float32), (rows, 1)),
        np.full(rows, paint.label, np.uint8),
        np.full(rows, paint.surface, np.uint8),
    )


@functools.cache
def _unit_ball(level: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    solid = trimesh.creation.icosphere(subdivisions=level)
    return np.asarray(solid.vertices, np.float64), np.asarray(solid.faces, np.int64)


def box(size: Vec, centre: Vec, paint: Paint) -> Mesh:
    """Build a box with sharp edges, sides along the axes."""
    half, middle = np.array(size, np.float64) / 2, np.array(centre, np.float64)
    return slabs((middle - half)[None], (middle + half)[None], paint)


def slab(x: tuple[float, float], y: tuple[float, float], z: tuple[float, float], paint: Paint) -> Mesh:
    """Build a box from its bounds."""
    bounds = np.array([x, y, z], np.float64)
    return slabs(bounds[None, :, 0], bounds[None, :, 1], paint)


def bar(
    x: tuple[float, float], y: tuple[float, float], z: tuple[float, float], paint: Paint, *, step: float = 2.0
) -> Mesh:
    """Build a box along x in pieces of about `step` metres, fit to be bent along a street."""
    count = max(1, round((x[1] - x[0]) / step))
    along = np.linspace(x[0], x[1], count + 1)
    section = np.array([(y[1], z[0]), (y[0], z[0]), (y[0], z[1]), (y[1], z[1])])
    rings = np.empty((count + 1, 4, 3))
    rings[..., 0], rings[..., 1:] = along[:, None], section
    return loft(rings, paint, sharp=True)


def ball(centre: Vec, radii: Vec, paint: Paint, *, level: int = 1) -> Mesh:
    """Build an ellipsoid from an icosahedron split `level` times."""
    vertices, faces = _unit_ball(level)
    return Mesh.painted(vertices * np.array(radii) + np.array(centre), faces, paint)


def loft(rings: NDArray[np.floating], paint: Paint, *, sharp: bool = False, capped: bool = True) -> Mesh:
    """Join rings of points (R, P, 3) into a tube, with flat ends if it is to be closed.

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
    if not capped:
        return Mesh.painted(vertices, sides, paint)
    first, last = rings[0][::-1], rings[-1]
    ends = [panel([(p[0], p[1], p[2]) for p in end], paint) for end in (first, last)]
    return Mesh.merged([Mesh.painted(vertices, sides, paint), *ends])


def sheet(
    points: NDArray[np.floating], cells: NDArray[np.integer], paints: Sequence[Paint], *, closed: bool = False
) -> Mesh:
    """Span a smooth surface over a grid of points (R, P, 3) whose cells are painted one by one.

    Args:
        points: seen from the front, rows follow each other to the left of the direction in which points run.
        cells: (R - 1, P - 1) numbers of paints, (R - 1, P) if closed; negative leaves a hole.
        paints: what the numbers mean.
        closed: join the last point of each row to its first.
    """
    rows, width = points.shape[:2]
    columns = width if closed else width - 1
    row, column = (index.reshape(-1) for index in np.mgrid[0 : rows - 1, 0:columns])
    after = (column + 1) % width
    a, b, c, d = row * width + column, row * width + after, (row + 1) * width + after, (row + 1) * width + column
    faces = np.stack([a, b, c, a, c, d], 1).reshape(-1, 3)
    whole = Mesh.painted(points.reshape(-1, 3), faces, paints[0])
    kind = np.repeat(np.asarray(cells).reshape(-1), 2)
    shown = kind[kind >= 0]
    return replace(
        whole,
        faces=whole.faces[kind >= 0],
        rgb=np.array([paint.rgb for paint in paints], np.float32)[shown],
        label=np.array([paint.label for paint in paints], np.uint8)[shown],
        surface=np.array([paint.surface for paint in paints], np.uint8)[shown],
    )


def _cross(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cross product of two vectors; numpy's own is slow for one."""
    (x, y, z), (u, v, w) = a.tolist(), b.tolist()
    return np.array((y * w - z * v, z * u - x * w, x * v - y * u))


def tube(
    start: Vec,
    end: Vec,
    radius: float,
    paint: Paint,
    *,
    end_radius: float | None = None,
    sides: int = 10,
    capped: bool = True,
) -> Mesh:
    """Build a round bar between two points, tapering to end_radius if given, with ends that can be left out."""
    axis = np.subtract(end, start)
    axis = axis / np.linalg.norm(axis)
    helper = np.array([0.0, 0.0, 1.0]) if abs(axis[2]) < 0.9 else np.array([1.0, 0.0, 0.0])
    across = _cross(helper, axis)
    across = across / np.linalg.norm(across)
    up = _cross(axis, across)
    turn = np.arange(sides) * (2 * np.pi / sides)
    circle = np.cos(turn)[:, None] * across + np.sin(turn)[:, None] * up
    far = radius if end_radius is None else end_radius
    return loft(np.stack([circle * radius + np.array(start), circle * far + np.array(end)]), paint, capped=capped)


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
