# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Rays against the street: nearest hits and shadows through Embree.

What stands still stays in one Embree scene; what moves lies in a second, small one that is built anew for
every moment. A ray is sent through both and keeps the nearer hit.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from any2seg_sim.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from any2seg_sim.mesh import Mesh

NO_HIT_M: Final = 1e6
"""Distances beyond this are Embree's way to say that nothing was hit."""


@dataclass(frozen=True, eq=False)
class Hits:
    """Where N rays ended.

    Attributes:
        distance: (N,) float32 metres along the unit direction, infinite where nothing was hit.
        face: (N,) int32 row of Tracer.rgb, .label and .surface, -1 where nothing was hit.
        normal: (N, 3) float32 unit, smooth across shared vertices, turned towards the origin.
    """

    distance: NDArray[np.float32]
    face: NDArray[np.int32]
    normal: NDArray[np.float32]


@compiled
def _finish(
    face: NDArray[np.int32],
    distance: NDArray[np.float32],
    weights: tuple[NDArray[np.float32], NDArray[np.float32]],
    moving: tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]],
    first_moving: int,
    faces: NDArray[np.int32],
    at_vertex: NDArray[np.float32],
    directions: NDArray[np.float32],
    normal: NDArray[np.float32],
) -> None:
    """Put what moves before what stands still, in place, and interpolate normals (N, 3)."""
    for i in range(len(face)):
        u, v = weights[0][i], weights[1][i]
        if len(moving[0]) and moving[0][i] >= 0:
            face[i] = moving[0][i] + first_moving
            distance[i], u, v = moving[1][i], moving[2][i], moving[3][i]
        if face[i] < 0:
            distance[i] = np.inf
            normal[i] = 0.0
            continue
        a, b, c = faces[face[i], 0], faces[face[i], 1], faces[face[i], 2]
        w = np.float32(1.0) - u - v
        x = w * at_vertex[a, 0] + u * at_vertex[b, 0] + v * at_vertex[c, 0]
        y = w * at_vertex[a, 1] + u * at_vertex[b, 1] + v * at_vertex[c, 1]
        z = w * at_vertex[a, 2] + u * at_vertex[b, 2] + v * at_vertex[c, 2]
        length = max((x * x + y * y + z * z) ** 0.5, 1e-6)
        if x * directions[i, 0] + y * directions[i, 1] + z * directions[i, 2] > 0.0:
            length = -length
        normal[i, 0], normal[i, 1], normal[i, 2] = x / length, y / length, z / length


@compiled
def turned(rays: NDArray[np.float32], pose: NDArray[np.float64]) -> NDArray[np.float32]:
    """Turn directions (N, 3) of a sensor's frame into the street's; a library's matrix product would start threads."""
    out = np.empty_like(rays)
    for i in range(len(rays)):
        for row in range(3):
            total = 0.0
            for column in range(3):
                total += pose[row, column] * rays[i, column]
            out[i, row] = total
    return out


class Tracer:
    """Trace rays through a still mesh and the movers of one moment.

    Attributes:
        rgb, label, surface: per face, those of the still mesh first, then the movers'.
    """

    def __init__(self, still: Mesh) -> None:
        self._still = still
        self._still_scene = _resident(still)
        self._mover_scene: EmbreeScene | None = None
        self._mover_rows = _Rows()
        self._tables = _tables(still)
        self._show(len(still), len(still.vertices))

    def set_movers(self, movers: Mesh | None) -> None:
        """Replace what moves."""
        still = self._still
        self._mover_scene = None if movers is None else _embree_scene(movers, self._mover_rows)
        counts = len(still), len(still.vertices)
        if movers is not None:
            later = movers.faces + np.int32(counts[1])
            counts = counts[0] + len(movers), counts[1] + len(movers.vertices)
            tables = self._tables
            if counts[0] > len(tables[0]) or counts[1] > len(tables[-1]):
                self._tables = tables = _tables(still, 2 * len(movers), 2 * len(movers.vertices))
            moving: tuple[NDArray[Any], ...] = (movers.rgb, movers.label, movers.surface, later, movers.normals)
            starts = (counts[0] - len(movers),) * 4 + (counts[1] - len(movers.vertices),)
            for table, rows, start in zip(tables, moving, starts, strict=True):
                table[start : start + len(rows)] = rows
        self._show(*counts)

    def _show(self, faces: int, vertices: int) -> None:
        rgb, label, surface, corners, normals = self._tables
        self.rgb, self.label, self.surface = rgb[:faces], label[:faces], surface[:faces]
        self._faces, self._normals = corners[:faces], normals[:vertices]

    def nearest(self, origins: NDArray[np.floating], directions: NDArray[np.float32]) -> Hits:
        """Send rays along unit directions (N, 3) from one origin (3,) or an origin each (N, 3)."""
        starts = np.broadcast_to(np.asarray(origins, np.float32), directions.shape)
        found = self._still_scene.run(starts, directions, output=True)
        face, distance = found["primID"], found["tfar"]
        moving = (np.zeros(0, np.int32), *(np.zeros(0, np.float32),) * 3)
        if self._mover_scene is not None:
            met = self._mover_scene.run(starts, directions, dists=distance, output=True)
            moving = (met["primID"], met["tfar"], met["u"], met["v"])
        normal = np.empty((len(directions), 3), np.float32)
        weights, first = (found["u"], found["v"]), len(self._still)
        _finish(face, distance, weights, moving, first, self._faces, self._normals, directions, normal)
        return Hits(distance, face, normal)

    def blocked(
        self, starts: NDArray[np.float32], directions: NDArray[np.float32], reach_m: float = NO_HIT_M
    ) -> NDArray[np.bool_]:
        """Tell for rays whether anything lies within reach_m of their starts (N, 3).

        Directions are (N, 3), or (3,) for all.
        """
        reach = np.full(len(starts), reach_m, np.float32)
        directions = np.broadcast_to(directions, starts.shape)
        hit = self._still_scene.run(starts, directions, dists=reach, query="OCCLUDED") != -1
        if self._mover_scene is not None:
            hit |= self._mover_scene.run(starts, directions, dists=reach, query="OCCLUDED") != -1
        return np.asarray(hit, np.bool_)


class _Rows:
    """Faces as embreex reads them fastest, kept as long as they stay the same.

    It takes numbers out of arrays one by one as Python objects: arrays that hold such objects already, rows of indices
    being tuples, save half of the time.
    """

    def __init__(self) -> None:
        self._faces = np.zeros((0, 3), np.int32)
        self._rows = np.zeros(0, object)

    def of(self, faces: NDArray[np.int32]) -> NDArray[np.object_]:
        """Give faces (F, 3) as an array (F,) of tuples; between two moments mostly the vertices change alone."""
        if not np.array_equal(faces, self._faces):
            self._faces = faces
            self._rows = np.fromiter(zip(*faces.T.tolist(), strict=True), object, len(faces))
        return self._rows


def _embree_scene(mesh: Mesh, rows: _Rows) -> EmbreeScene:
    scene = EmbreeScene()
    TriangleMesh(scene, mesh.vertices.astype(object), rows.of(mesh.faces))
    return scene


@functools.lru_cache(maxsize=1)
def _resident(still: Mesh) -> EmbreeScene:
    """Build what stands still once for all who look at it, under whatever weather."""
    scene = EmbreeScene()
    TriangleMesh(scene, still.vertices, still.faces)
    return scene


def _tables(still: Mesh, faces: int = 0, vertices: int = 0) -> tuple[NDArray[Any], ...]:
    """Copy what a still mesh says of its faces and vertices, with room for so many more."""
    parts = ((still.rgb, faces), (still.label, faces), (still.surface, faces), (still.faces, faces))
    return tuple(
        np.concatenate([rows, np.zeros((more, *rows.shape[1:]), rows.dtype)])
        for rows, more in (*parts, (still.normals, vertices))
    )
