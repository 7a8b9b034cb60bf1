# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Triangle meshes that carry a class, a material and a colour per face."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from any2seg_sim.materials import Paint


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles in metres: x forward, y to the left, z up.

    Attributes:
        vertices: (V, 3) float32.
        normals: (V, 3) float32, unit; faces that share a vertex are shaded smoothly across it.
        faces: (F, 3) int32 rows of vertices.
        rgb: (F, 3) float32 linear albedo.
        label: (F,) uint8 class.
        surface: (F,) uint8 kind of material.
    """

    vertices: NDArray[np.float32]
    normals: NDArray[np.float32]
    faces: NDArray[np.int32]
    rgb: NDArray[np.float32]
    label: NDArray[np.uint8]
    surface: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.faces)

    @staticmethod
    def painted(vertices: NDArray[np.floating], faces: NDArray[np.integer], paint: Paint) -> Mesh:
        """Make a mesh of one paint; its vertex normals are the area-weighted mean of the faces around."""
        a, b, c = (np.asarray(vertices[faces[:, corner]], np.float64) for corner in range(3))
        normals = _cross(b - a, c - a)
        at_vertex = np.stack(
            [np.bincount(faces.reshape(-1), np.repeat(normals[:, axis], 3), len(vertices)) for axis in range(3)], 1
        )
        at_vertex = at_vertex / np.maximum(np.linalg.norm(at_vertex, axis=1, keepdims=True), 1e-12)
        count = len(faces)
        return Mesh(
            vertices.astype(np.float32),
            at_vertex.astype(np.float32),
            faces.astype(np.int32),
            np.tile(np.array(paint.rgb, np.float32), (count, 1)),
            np.full(count, paint.label, np.uint8),
            np.full(count, paint.surface, np.uint8),
        )

    @staticmethod
    def merged(parts: Iterable[Mesh]) -> Mesh:
        """Join meshes into one."""
        meshes = list(parts)
        offsets = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes])
        faces = [mesh.faces + np.int32(offset) for mesh, offset in zip(meshes, offsets, strict=False)]
        return Mesh(
            np.concatenate([mesh.vertices for mesh in meshes]),
            np.concatenate([mesh.normals for mesh in meshes]),
            np.concatenate(faces),
            np.concatenate([mesh.rgb for mesh in meshes]),
            np.concatenate([mesh.label for mesh in meshes]),
            np.concatenate([mesh.surface for mesh in meshes]),
        )

    def moved(self, x: float = 0.0, y: float = 0.0, z: float = 0.0, *, yaw: float = 0.0) -> Mesh:
        """Turn about the vertical axis by yaw (radians), then shift by (x, y, z) metres."""
        cos, sin = math.cos(yaw), math.sin(yaw)
        turn = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]], np.float32)
        shift = np.array([x, y, z], np.float32)
        return replace(self, vertices=self.vertices @ turn + shift, normals=self.normals @ turn)

    def recoloured(self, was: tuple[float, float, float], rgb: tuple[float, float, float]) -> Mesh:
        """Give the faces of one colour another."""
        same = np.all(self.rgb == np.array(was, np.float32), axis=1)
        return replace(self, rgb=np.where(same[:, None], np.array(rgb, np.float32), self.rgb))

    def sized(self, factor: float) -> Mesh:
        """Make it larger or smaller about the origin."""
        return replace(self, vertices=self.vertices * np.float32(factor))

    def repeated(self, shifts: NDArray[np.floating]) -> Mesh:
        """Copy it to every one of the shifts (N, 3), metres."""
        count, size = len(shifts), len(self.vertices)
        vertices = self.vertices[None] + np.asarray(shifts, np.float32)[:, None]
        faces = self.faces[None] + (np.arange(count, dtype=np.int32) * np.int32(size))[:, None, None]
        return Mesh(
            vertices.reshape(-1, 3),
            np.tile(self.normals, (count, 1)),
            faces.reshape(-1, 3),
            np.tile(self.rgb, (count, 1)),
            np.tile(self.label, count),
            np.tile(self.surface, count),
        )

    def swung(self, angle: float, pivot: tuple[float, float, float]) -> Mesh:
        """Swing about the y axis through the pivot by an angle (radians); positive swings the lower end forward."""
        cos, sin = math.cos(angle), math.sin(angle)
        turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]], np.float32)
        centre = np.array(pivot, np.float32)
        return replace(
            self, vertices=np.asarray((self.vertices - centre) @ turn + centre, np.float32), normals=self.normals @ turn
        )


def _cross(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cross product of rows (N, 3); streets are made of thousands of tiny meshes, where numpy's own is slow."""
    x, y, z = a.T
    u, v, w = b.T
    return np.stack([y * w - z * v, z * u - x * w, x * v - y * u], 1)
