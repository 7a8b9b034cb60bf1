# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Pedestrians who walk, riders, and a dog."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.mesh import Mesh
from any2seg_sim.shapes import ball, box, loft, tube

if TYPE_CHECKING:
    from any2seg_sim.shapes import Vec

SKIN: Final = ((0.55, 0.33, 0.22), (0.4, 0.22, 0.13), (0.16, 0.08, 0.05))
HAIR: Final = ((0.02, 0.015, 0.01), (0.12, 0.06, 0.02), (0.35, 0.25, 0.1), (0.3, 0.3, 0.3))
CLOTHES: Final = (
    (0.55, 0.05, 0.05),
    (0.05, 0.12, 0.4),
    (0.6, 0.55, 0.45),
    (0.08, 0.09, 0.1),
    (0.1, 0.3, 0.12),
    (0.75, 0.6, 0.1),
    (0.35, 0.12, 0.3),
    (0.7, 0.7, 0.7),
)


def _cloth(rgb: tuple[float, float, float]) -> Paint:
    return Paint(Label.PEDESTRIAN, Surface.PLAIN, rgb)


def _torso(centre: Vec, top: float, paint: Paint) -> Mesh:
    """Loft hips, waist, chest and shoulders between the heights of the hips and the neck."""
    x, y, low = centre
    rows = ((0.0, 0.1, 0.16), (0.25, 0.095, 0.15), (0.7, 0.12, 0.19), (0.92, 0.1, 0.2), (1.0, 0.06, 0.08))
    turn = np.arange(12) * (2 * np.pi / 12)
    rings = [
        np.stack([x + deep * np.cos(turn), y + wide * np.sin(turn), np.full(12, low + share * (top - low))], 1)
        for share, deep, wide in rows
    ]
    return loft(np.stack(rings), paint)


def _head(centre: Vec, skin: Paint, hair: Paint) -> list[Mesh]:
    x, y, z = centre
    return [
        ball((x, y, z), (0.105, 0.085, 0.125), skin),
        ball((x - 0.025, y, z + 0.035), (0.105, 0.095, 0.115), hair),
        tube((x - 0.02, y, z - 0.2), (x - 0.01, y, z - 0.08), 0.05, skin, sides=8),
    ]


@dataclass(frozen=True, eq=False)
class Limb:
    """A part of a body that swings with the step: positive phase goes forward with the left leg."""

    mesh: Mesh
    pivot: Vec
    phase: float
    reach: float


@dataclass(frozen=True, eq=False)
class Walker:
    """A person made of a still trunk and swinging limbs.

    Attributes:
        trunk: what does not swing.
        limbs: thighs, shins and arms.
        stride_m: length of a double step.
    """

    trunk: Mesh
    limbs: tuple[Limb, ...]
    stride_m: float = 1.4

    def posed(self, walked_m: float) -> Mesh:
        """Pose the body after so many metres of walking, feet at the origin and facing +x."""
        swing = math.sin(2 * math.pi * walked_m / self.stride_m)
        limbs = [limb.mesh.swung(limb.phase * limb.reach * swing, limb.pivot) for limb in self.limbs]
        bob = 0.03 * abs(swing)
        return Mesh.merged([self.trunk, *limbs]).moved(z=-bob)


def _leg(side: float, hip: float, trousers: Paint, shoe: Paint) -> Mesh:
    y = side * 0.095
    return Mesh.merged(
        [
            tube((0, y, hip + 0.04), (0.01, y, 0.48), 0.095, trousers, end_radius=0.07, sides=8),
            tube((0.01, y, 0.49), (-0.02, y, 0.08), 0.07, trousers, end_radius=0.05, sides=8),
            box((0.27, 0.1, 0.09), (0.05, y, 0.045), shoe),
        ]
    )


def _arm(side: float, shoulder: float, sleeve: Paint, skin: Paint) -> Mesh:
    y = side * 0.235
    return Mesh.merged(
        [
            tube((0, side * 0.2, shoulder), (-0.02, y, shoulder - 0.3), 0.06, sleeve, end_radius=0.048, sides=7),
            tube((-0.02, y, shoulder - 0.29), (0.06, y, shoulder - 0.55), 0.047, sleeve, end_radius=0.038, sides=7),
            ball((0.07, y, shoulder - 0.6), (0.045, 0.035, 0.06), skin, level=0),
        ]
    )


def walker(rng: np.random.Generator, *, height: float = 1.74) -> Walker:
    """Make a person in random clothes, about `height` metres tall."""
    skin = _cloth(SKIN[rng.integers(len(SKIN))])
    hair = _cloth(HAIR[rng.integers(len(HAIR))])
    jacket, trousers = (_cloth(CLOTHES[index]) for index in rng.choice(len(CLOTHES), 2, replace=False))
    shoe = _cloth((0.03, 0.03, 0.03))
    hip, neck = 0.5 * height, 0.845 * height
    trunk = [_torso((0, 0, hip - 0.08), neck, jacket), *_head((0.02, 0, height - 0.12), skin, hair)]
    if rng.random() < 0.35:
        trunk.append(box((0.17, 0.3, 0.42), (-0.19, 0, neck - 0.3), _cloth(CLOTHES[rng.integers(len(CLOTHES))])))
    limbs = []
    for side, phase in ((1.0, 1.0), (-1.0, -1.0)):
        limbs.append(Limb(_leg(side, hip, trousers, shoe), (0, side * 0.095, hip), phase, 0.5))
        limbs.append(Limb(_arm(side, neck - 0.07, jacket, skin), (0, side * 0.2, neck - 0.07), -phase, 0.45))
    return Walker(Mesh.merged(trunk), tuple(limbs))


def rider(jacket: tuple[float, float, float]) -> Mesh:
    """Build a person who sits on a bicycle; the class is Pedestrian, as DELIVER has no rider."""
    coat, skin = _cloth(jacket), _cloth(SKIN[0])
    trousers = _cloth((0.05, 0.06, 0.1))
    parts = [tube((-0.2, 0, 0.95), (0.05, 0, 1.42), 0.14, coat, end_radius=0.17, sides=10)]
    parts += _head((0.12, 0, 1.66), skin, _cloth((0.7, 0.7, 0.72)))
    for side, lift in ((1, 0.16), (-1, -0.1)):
        knee, foot = (0.18, side * 0.12, 0.72 + lift * 0.6), (-0.02, side * 0.12, 0.32 + lift)
        parts.append(tube((-0.2, side * 0.1, 0.97), knee, 0.09, trousers, end_radius=0.065, sides=8))
        parts.append(tube(knee, foot, 0.065, trousers, end_radius=0.045, sides=8))
        parts.append(box((0.26, 0.09, 0.08), (foot[0] + 0.06, foot[1], foot[2]), _cloth((0.03, 0.03, 0.03))))
        parts.append(tube((0.05, side * 0.2, 1.36), (0.38, side * 0.26, 1.06), 0.05, coat, end_radius=0.04, sides=7))
    return Mesh.merged(parts)


def dog() -> Mesh:
    """Build a dog, which counts as Dynamic."""
    fur = Paint(Label.DYNAMIC, Surface.PLAIN, (0.25, 0.14, 0.06))
    parts = [
        ball((0, 0, 0.42), (0.34, 0.12, 0.14), fur),
        ball((0.36, 0, 0.58), (0.13, 0.09, 0.1), fur),
        ball((0.48, 0, 0.55), (0.09, 0.05, 0.05), fur),
        tube((0.25, 0, 0.45), (0.35, 0, 0.55), 0.07, fur, sides=7),
        tube((-0.32, 0, 0.46), (-0.52, 0, 0.64), 0.03, fur, sides=5),
    ]
    parts += [tube((x, y, 0.38), (x, y, 0), 0.04, fur, sides=6) for x in (-0.22, 0.22) for y in (-0.07, 0.07)]
    parts += [box((0.03, 0.04, 0.08), (0.33, y, 0.69), fur) for y in (-0.05, 0.05)]
    return Mesh.merged(parts)
