# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""People who walk, stand or ride, and dogs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.mesh import Mesh
from any2seg_sim.objects.bodies import ANKLE, HIP, KNEE, Look, person
from any2seg_sim.objects.skeleton import Body, Joint, reach
from any2seg_sim.shapes import ball, box, tube

_STRIDE: Final = 0.8
"""Length of a double step as a share of the height."""
_SHELLS: Final = ((0.7, 0.7, 0.72), (0.5, 0.05, 0.05), (0.03, 0.03, 0.03))
_FURS: Final = ((0.25, 0.14, 0.06), (0.05, 0.05, 0.05), (0.45, 0.35, 0.22))


@dataclass(frozen=True, eq=False)
class Walker:
    """A person who walks.

    Attributes:
        body: at rest.
        height: metres.
        ahead: how far before the person what the person pushes reaches, metres.
    """

    body: Body
    height: float
    ahead: float = 0.35

    def posed(self, walked_m: float, *, going: float = 1.0) -> Mesh:
        """Pose the body after so many metres of walking, feet at the origin and facing +x; going 0 stands still."""
        phase = 2 * math.pi * walked_m / (_STRIDE * self.height)
        angles, legs = {"trunk": -0.04 * going}, []
        for side, name in ((1.0, "left"), (-1.0, "right")):
            swing, bend = side * math.sin(phase), max(0.0, side * math.cos(phase))
            thigh, knee = going * (0.44 * swing + 0.06 + 0.12 * bend), -going * (0.08 + 0.85 * bend**1.5)
            angles[f"{name} thigh"], angles[f"{name} shin"] = thigh, knee
            angles[f"{name} arm"] = -0.4 * going * swing
            angles[f"{name} forearm"] = 0.12 + 0.2 * going * (1.0 - swing)
            legs.append((HIP - KNEE) * math.cos(thigh) + KNEE * math.cos(thigh + knee))
        return self.body.posed(angles, lift=self.height * (max(legs) - HIP))


def walker(rng: np.random.Generator, *, height: float = 1.74, fine: bool = True) -> Walker:
    """Make a person in random clothes, about `height` metres tall; simpler ones will do far away."""
    look = Look.drawn(rng, height, sides=8 if fine else 5)
    return Walker(person(look), height, 1.25 if look.bag == "pram" else 0.35)


@dataclass(frozen=True, eq=False)
class Rider:
    """A person who pedals.

    Attributes:
        body: at rest.
        height: metres.
        seat, crank: places (x, z) of the hip and of the axle of the pedals, metres.
        lean: of the trunk, radians forward.
        pedals: radius of their circle; 0 for feet that rest.
    """

    body: Body
    height: float
    seat: tuple[float, float]
    crank: tuple[float, float]
    lean: float
    pedals: float

    def posed(self, ridden_m: float) -> Mesh:
        """Pose the body after so many metres of riding."""
        h, turn = self.height, -ridden_m / 0.85
        angles = {"trunk": -self.lean}
        for side, name in ((0.0, "left"), (math.pi, "right")):
            beside, above = self.pedals * math.cos(turn + side), self.pedals * math.sin(turn + side)
            foot = self.crank[0] + beside, self.crank[1] + above
            thigh, knee = reach(self.seat, (foot[0], foot[1] + ANKLE * h), (HIP - KNEE) * h, (KNEE - ANKLE) * h)
            angles[f"{name} thigh"], angles[f"{name} shin"] = thigh, knee
            angles[f"{name} arm"] = 0.35 + 1.15 * self.lean + 0.35
            angles[f"{name} forearm"] = 0.5
        return self.body.posed(angles, lift=self.seat[1] - HIP * h).moved(self.seat[0])


def rider(
    rng: np.random.Generator, *, seat: tuple[float, float], crank: tuple[float, float], lean: float, pedals: float
) -> Rider:
    """Seat a person with a helmet; the class is Pedestrian, as DELIVER has no riders."""
    height = float(rng.uniform(1.66, 1.82))
    drawn = Look.drawn(rng, height)
    look = Look(height, drawn.skin, drawn.hair, drawn.top, drawn.legs, drawn.shoes, sides=6)
    body = person(look)
    shell = Paint(Label.PEDESTRIAN, Surface.CAR_PAINT, _SHELLS[rng.integers(len(_SHELLS))])
    helmet = ball((-0.004 * height, 0, 0.958 * height), (0.068 * height, 0.054 * height, 0.05 * height), shell)
    count = list(body.joints).index("trunk")
    parts = np.concatenate([body.part, np.full(len(helmet.vertices), count)])
    return Rider(Body(Mesh.merged([body.mesh, helmet]), parts, body.joints), height, seat, crank, lean, pedals)


def dog(rng: np.random.Generator) -> Body:
    """Build a dog, which counts as Dynamic; its legs are parts that swing."""
    fur = Paint(Label.DYNAMIC, Surface.CLOTH, _FURS[rng.integers(len(_FURS))])
    parts: list[tuple[str, Mesh]] = [
        ("trunk", ball((0, 0, 0.42), (0.34, 0.12, 0.14), fur)),
        ("trunk", ball((0.36, 0, 0.58), (0.13, 0.09, 0.1), fur)),
        ("trunk", ball((0.48, 0, 0.55), (0.09, 0.05, 0.05), fur)),
        ("trunk", tube((0.25, 0, 0.45), (0.35, 0, 0.55), 0.07, fur, sides=7)),
        ("trunk", tube((-0.32, 0, 0.46), (-0.52, 0, 0.64), 0.03, fur, sides=5)),
    ]
    parts += [("trunk", box((0.03, 0.04, 0.08), (0.33, y, 0.69), fur)) for y in (-0.05, 0.05)]
    joints = {"trunk": Joint("", 0.0, 0.4)}
    for x in (-0.22, 0.22):
        for y in (-0.07, 0.07):
            name = f"{x} {y}"
            joints[name] = Joint("trunk", x, 0.4)
            parts.append((name, tube((x, y, 0.4), (x, y, 0), 0.04, fur, end_radius=0.03, sides=6)))
    return Body.joined(parts, joints)
