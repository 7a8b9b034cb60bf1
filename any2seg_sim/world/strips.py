# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What is laid along a path: strips of ground, kerbs and lines."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.mesh import Mesh
from any2seg_sim.shapes import panel, sheet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from any2seg_sim.world.path import Path

ASPHALT: Final = Paint(Label.ROAD, Surface.ASPHALT, (0.17, 0.17, 0.175))
PAVEMENT: Final = Paint(Label.SIDE_WALK, Surface.PAVING, (0.36, 0.35, 0.33))
KERBSTONE: Final = Paint(Label.SIDE_WALK, Surface.PLAIN, (0.42, 0.41, 0.4))
MARKING: Final = Paint(Label.ROAD_LINE, Surface.RETROREFLECTIVE, (0.7, 0.7, 0.68))
MARKING_Z: Final = 0.004


def stations(span: tuple[float, float], step: float) -> NDArray[np.float64]:
    """Places along a span, both ends included, about a step apart."""
    return np.linspace(*span, max(1, math.ceil((span[1] - span[0]) / step - 1e-6)) + 1)


def ribbon(
    path: Path, span: tuple[float, float], section: Sequence[tuple[float, float]], paint: Paint, *, step: float = 2.0
) -> Mesh:
    """Sweep a flat piece of a cross-section along a path.

    Args:
        path: the curve.
        span: arc lengths of both ends.
        section: two points (metres to the left of the path, height); the ribbon's front is seen with the first one
            on the left hand when looking along the path.
        paint: what it is made of.
        step: length of its pieces.
    """
    along = stations(span, step)
    points = np.empty((len(along), 2, 3))
    for column, (offset, height) in enumerate(section):
        points[:, column, :2] = path.beside(along, offset)
        points[:, column, 2] = height
    return sheet(points, np.zeros((len(along) - 1, 1), np.int64), [paint])


def flat(path: Path, span: tuple[float, float], across: tuple[float, float], z: float, paint: Paint) -> Mesh:
    """Lay a level strip between two distances to the left of a path."""
    high, low = max(across), min(across)
    return ribbon(path, span, ((high, z), (low, z)), paint)


def line(path: Path, span: tuple[float, float], middle: float, *, width: float = 0.12) -> Mesh:
    """Paint a line on the road."""
    return flat(path, span, (middle + width / 2, middle - width / 2), MARKING_Z, MARKING)


def bent(mesh: Mesh, where: Callable[[NDArray[np.float64]], tuple[NDArray[np.float64], NDArray[np.float64]]]) -> Mesh:
    """Carry a mesh over to a curve.

    Args:
        mesh: x runs along the curve and y to its left.
        where: gives points (N, 2) and headings (N,) of the curve for x (N,).
    """
    xy, heading = where(mesh.vertices[:, 0].astype(np.float64))
    cos, sin = np.cos(heading), np.sin(heading)
    away = mesh.vertices[:, 1]
    vertices = np.stack([xy[:, 0] - away * sin, xy[:, 1] + away * cos, mesh.vertices[:, 2]], 1)
    nx, ny = mesh.normals[:, 0], mesh.normals[:, 1]
    normals = np.stack([nx * cos - ny * sin, nx * sin + ny * cos, mesh.normals[:, 2]], 1)
    return replace(mesh, vertices=vertices.astype(np.float32), normals=normals.astype(np.float32))


def kerbed(path: Path, span: tuple[float, float], across: tuple[float, float], height: float) -> Mesh:
    """Lay a pavement with its kerb, from the road's edge outwards; both distances have the sign of the side."""
    edge, far = across
    side = math.copysign(1.0, edge)
    top, inner = height + 0.01, edge + side * 0.2
    faces = [((edge, 0.0), (edge, top)), ((edge, top), (inner, top)), ((inner, height), (far, height))]
    paints = (KERBSTONE, KERBSTONE, PAVEMENT)
    parts = []
    for (near, beyond), paint in zip(faces, paints, strict=True):
        section = (beyond, near) if side > 0 else (near, beyond)
        parts.append(ribbon(path, span, section, paint))
    for s in span:
        x, y, _ = path.pose(s, edge)
        u, v, _ = path.pose(s, far)
        parts.append(panel([(x, y, 0.0), (u, v, 0.0), (u, v, height), (x, y, height)], KERBSTONE))
    return Mesh.merged(parts)
