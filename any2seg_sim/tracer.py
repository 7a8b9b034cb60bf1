# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Rays against the street: nearest hits and shadows through Embree.

What stands still stays in one Embree scene; what moves lies in a second, small one that is built anew for
every moment. A ray is sent through both and keeps the nearer hit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numba import njit

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


@njit(cache=True)
def _normals(
    face: NDArray[np.int32],
    weights: NDArray[np.float32],
    faces: NDArray[np.int32],
    at_vertex: NDArray[np.float32],
    directions: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    for i in range(len(face)):
        if face[i] < 0:
            out[i] = 0.0
            continue
        a, b, c = faces[face[i], 0], faces[face[i], 1], faces[face[i], 2]
        u, v = weights[i, 0], weights[i, 1]
        w = np.float32(1.0) - u - v
        x = w * at_vertex[a, 0] + u * at_vertex[b, 0] + v * at_vertex[c, 0]
        y = w * at_vertex[a, 1] + u * at_vertex[b, 1] + v * at_vertex[c, 1]
        z = w * at_vertex[a, 2] + u * at_vertex[b, 2] + v * at_vertex[c, 2]
        length = max((x * x + y * y + z * z) ** 0.5, 1e-6)
        if x * directions[i, 0] + y * directions[i, 1] + z * directions[i, 2] > 0.0:
            length = -length
        out[i, 0], out[i, 1], out[i, 2] = x / length, y / length, z / length


@njit(cache=True)
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
        self._still_scene = _embree_scene(still)
        self._mover_scene: EmbreeScene | None = None
        self.rgb, self.label, self.surface = still.rgb, still.label, still.surface
        self._faces, self._normals = still.faces, still.normals

    def set_movers(self, movers: Mesh | None) -> None:
        """Replace what moves."""
        still = self._still
        self._mover_scene = None if movers is None else _embree_scene(movers)
        if movers is None:
            self.rgb, self.label, self.surface = still.rgb, still.label, still.surface
            self._faces, self._normals = still.faces, still.normals
            return
        self.rgb = np.concatenate([still.rgb, movers.rgb])
        self.label = np.concatenate([still.label, movers.label])
        self.surface = np.concatenate([still.surface, movers.surface])
        self._faces = np.concatenate([still.faces, movers.faces + np.int32(len(still.vertices))])
        self._normals = np.concatenate([still.normals, movers.normals])

    def nearest(self, origin: NDArray[np.floating], directions: NDArray[np.float32]) -> Hits:
        """Send rays from one origin along unit directions (N, 3)."""
        origins = np.tile(np.asarray(origin, np.float32), (len(directions), 1))
        found = self._still_scene.run(origins, directions, output=True)
        distance, face = found["tfar"], found["primID"]
        weights = np.stack([found["u"], found["v"]], 1)
        if self._mover_scene is not None:
            moving = self._mover_scene.run(origins, directions, dists=distance, output=True)
            nearer = moving["primID"] >= 0
            distance = np.where(nearer, moving["tfar"], distance)
            face = np.where(nearer, moving["primID"] + np.int32(len(self._still)), face)
            weights[nearer] = np.stack([moving["u"], moving["v"]], 1)[nearer]
        distance = np.where(face < 0, np.float32(np.inf), distance)
        normal = np.empty((len(directions), 3), np.float32)
        _normals(face, weights, self._faces, self._normals, directions, normal)
        return Hits(distance, face, normal)

    def blocked(
        self, starts: NDArray[np.float32], directions: NDArray[np.float32], reach_m: float = NO_HIT_M
    ) -> NDArray[np.bool_]:
        """Tell for rays (N, 3) whether anything lies within reach_m of their start."""
        reach = np.full(len(starts), reach_m, np.float32)
        hit = self._still_scene.run(starts, directions, dists=reach, query="OCCLUDED") != -1
        if self._mover_scene is not None:
            hit |= self._mover_scene.run(starts, directions, dists=reach, query="OCCLUDED") != -1
        return np.asarray(hit, np.bool_)


def _embree_scene(mesh: Mesh) -> EmbreeScene:
    scene = EmbreeScene()
    TriangleMesh(scene, mesh.vertices, mesh.faces)
    return scene
