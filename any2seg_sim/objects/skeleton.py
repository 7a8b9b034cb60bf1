# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Bodies whose parts swing about joints, all about the axis that points to their left."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from any2seg_sim.mesh import Mesh

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Joint:
    """Where a part hangs.

    Attributes:
        parent: name of the part that it hangs on; empty for the one that hangs on nothing.
        x, z: place of the joint in the body at rest, metres.
    """

    parent: str
    x: float
    z: float


@dataclass(frozen=True, eq=False)
class Body:
    """A mesh of parts.

    Attributes:
        mesh: at rest.
        part: (V,) number of the part that each vertex belongs to.
        joints: of the parts by name, in the order of their numbers; parents come first.
    """

    mesh: Mesh
    part: NDArray[np.int64]
    joints: Mapping[str, Joint]

    @staticmethod
    def joined(parts: Sequence[tuple[str, Mesh]], joints: Mapping[str, Joint]) -> Body:
        """Join meshes by the names of the parts that they belong to."""
        number = {name: index for index, name in enumerate(joints)}
        part = [np.full(len(mesh.vertices), number[name]) for name, mesh in parts]
        return Body(Mesh.merged([mesh for _, mesh in parts]), np.concatenate(part), joints)

    def posed(self, angles: Mapping[str, float], *, lift: float = 0.0) -> Mesh:
        """Turn parts about their joints by angles (radians, a hanging part's lower end forward) and lift the whole."""
        turns: dict[str, float] = {}
        spots: dict[str, tuple[float, float]] = {}
        for name, joint in self.joints.items():
            parent = joint.parent
            turn = turns.get(parent, 0.0)
            if parent:
                x, z = joint.x - self.joints[parent].x, joint.z - self.joints[parent].z
                cos, sin = math.cos(turn), math.sin(turn)
                spots[name] = spots[parent][0] + x * cos - z * sin, spots[parent][1] + x * sin + z * cos
            else:
                spots[name] = joint.x, joint.z + lift
            turns[name] = turn + angles.get(name, 0.0)
        rows = [
            (math.cos(turns[name]), math.sin(turns[name]), *spots[name], joint.x, joint.z)
            for name, joint in self.joints.items()
        ]
        c, s, to_x, to_z, from_x, from_z = np.array(rows, np.float32)[self.part].T
        vertices, normals = self.mesh.vertices.copy(), self.mesh.normals.copy()
        ahead, up = vertices[:, 0] - from_x, vertices[:, 2] - from_z
        vertices[:, 0], vertices[:, 2] = to_x + ahead * c - up * s, to_z + ahead * s + up * c
        ahead, up = self.mesh.normals[:, 0], self.mesh.normals[:, 2]
        normals[:, 0], normals[:, 2] = ahead * c - up * s, ahead * s + up * c
        return replace(self.mesh, vertices=vertices, normals=normals)


def reach(hip: tuple[float, float], foot: tuple[float, float], thigh: float, shin: float) -> tuple[float, float]:
    """Give the angles of thigh and knee that bring a foot from a hip to a place, the knee bent forward."""
    x, z = foot[0] - hip[0], hip[1] - foot[1]
    far = min(math.hypot(x, z), 0.999 * (thigh + shin))
    inner = math.acos((thigh**2 + far**2 - shin**2) / (2 * thigh * far))
    knee = math.acos((thigh**2 + shin**2 - far**2) / (2 * thigh * shin)) - math.pi
    return math.atan2(x, z) + inner, knee
