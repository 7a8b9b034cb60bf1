# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Bodies and clothes of people; the class of all they wear and carry is Pedestrian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.mesh import Mesh
from any2seg_sim.objects.skeleton import Body, Joint
from any2seg_sim.shapes import ball, box, loft, tube

if TYPE_CHECKING:
    from collections.abc import Sequence

    from any2seg_sim.shapes import Vec

SKIN: Final = ((0.55, 0.33, 0.22), (0.4, 0.22, 0.13), (0.16, 0.08, 0.05), (0.6, 0.4, 0.3))
HAIR: Final = ((0.02, 0.015, 0.01), (0.12, 0.06, 0.02), (0.35, 0.25, 0.1), (0.3, 0.3, 0.3), (0.2, 0.06, 0.02))
CLOTHES: Final = (
    (0.55, 0.05, 0.05),
    (0.05, 0.12, 0.4),
    (0.6, 0.55, 0.45),
    (0.08, 0.09, 0.1),
    (0.1, 0.3, 0.12),
    (0.75, 0.6, 0.1),
    (0.35, 0.12, 0.3),
    (0.7, 0.7, 0.7),
    (0.2, 0.35, 0.5),
    (0.65, 0.3, 0.12),
)
_FEWEST_SIDES: Final = 5
TROUSERS: Final = ((0.03, 0.05, 0.12), (0.05, 0.05, 0.055), (0.25, 0.2, 0.13), (0.12, 0.16, 0.25), (0.3, 0.3, 0.3))
HIP, KNEE, ANKLE, SHOULDER, ELBOW = 0.525, 0.285, 0.045, 0.815, 0.64
"""Heights of joints, as shares of a person's height."""


def _wear(rgb: Vec) -> Paint:
    return Paint(Label.PEDESTRIAN, Surface.CLOTH, rgb)


def _oval(rows: Sequence[tuple[float, float, float, float]], paint: Paint, sides: int) -> Mesh:
    """Loft ovals given by height, half depth, half width and place along x, from the lowest up."""
    turn = np.arange(sides) * (2 * np.pi / sides)
    rings = [
        np.stack([x + deep * np.cos(turn), wide * np.sin(turn), np.full(sides, z)], 1) for z, deep, wide, x in rows
    ]
    return loft(np.stack(rings), paint)


@dataclass(frozen=True)
class Look:
    """How a person looks.

    Attributes:
        height: metres.
        skin, hair, top, legs, shoes: colours.
        dress: trousers, shorts, skirt or coat.
        hairdo: short, long, bun, cap or hood.
        sleeves: whether forearms are covered.
        bag: none, backpack, handbag, shopping or pram.
        broad: factor on the width of the trunk.
        sides: of limbs; fewer make a body that will do far away.
    """

    height: float
    skin: Vec
    hair: Vec
    top: Vec
    legs: Vec
    shoes: Vec = (0.03, 0.03, 0.03)
    dress: str = "trousers"
    hairdo: str = "short"
    sleeves: bool = True
    bag: str = "none"
    broad: float = 1.0
    sides: int = 8

    @property
    def level(self) -> int:
        """How often round parts are split."""
        return int(self.sides > _FEWEST_SIDES)

    @staticmethod
    def drawn(rng: np.random.Generator, height: float, *, sides: int = 8) -> Look:
        """Dress someone at random."""

        def some(choices: Sequence[Vec]) -> Vec:
            return choices[int(rng.integers(len(choices)))]

        dress = ("trousers", "trousers", "trousers", "shorts", "skirt", "coat")[rng.integers(6)]
        return Look(
            height,
            some(SKIN),
            some(HAIR),
            some(CLOTHES),
            some(TROUSERS),
            ((0.03, 0.03, 0.03), (0.5, 0.5, 0.5), (0.15, 0.08, 0.04))[rng.integers(3)],
            dress,
            ("short", "short", "long", "bun", "cap", "hood")[rng.integers(6)],
            bool(rng.random() < 0.7) or dress == "coat",
            ("none", "none", "none", "backpack", "backpack", "handbag", "shopping", "pram")[rng.integers(8)],
            float(rng.uniform(0.92, 1.15)),
            sides,
        )


def _trunk(look: Look) -> list[Mesh]:
    h, wide = look.height, look.broad * look.height
    top = _wear(look.top)
    rows = [
        (0.49 * h, 0.06 * h, 0.088 * wide, 0.0),
        (0.54 * h, 0.066 * h, 0.096 * wide, 0.0),
        (0.62 * h, 0.058 * h, 0.084 * wide, 0.0),
        (0.73 * h, 0.07 * h, 0.104 * wide, 0.004),
        (0.79 * h, 0.062 * h, 0.114 * wide, 0.0),
        (0.825 * h, 0.045 * h, 0.095 * wide, -0.005),
        (0.85 * h, 0.03 * h, 0.035 * h, 0.0),
    ]
    parts = [_oval(rows, top, look.sides)]
    if look.dress == "coat":
        hem = [(0.32 * h, 0.085 * h, 0.12 * wide, 0.0), (0.53 * h, 0.072 * h, 0.1 * wide, 0.0)]
        parts.append(_oval(hem, top, look.sides))
    elif look.dress == "skirt":
        hem = [(0.3 * h, 0.1 * h, 0.135 * wide, 0.0), (0.55 * h, 0.066 * h, 0.092 * wide, 0.0)]
        parts.append(_oval(hem, _wear(look.legs), look.sides))
    return parts


def _head(look: Look) -> list[Mesh]:
    h = look.height
    skin, hair = _wear(look.skin), _wear(look.hair)
    z = 0.932 * h
    parts = [
        ball((0.008 * h, 0, z), (0.056 * h, 0.045 * h, 0.068 * h), skin, level=look.level),
        tube((-0.004 * h, 0, 0.835 * h), (0, 0, 0.9 * h), 0.03 * h, skin, sides=look.sides, capped=False),
        ball((0.062 * h, 0, z - 0.01 * h), (0.012 * h, 0.009 * h, 0.014 * h), skin, level=0),
    ]
    if look.hairdo == "cap":
        cloth = _wear(look.top)
        parts.append(ball((0.0, 0, z + 0.03 * h), (0.06 * h, 0.05 * h, 0.045 * h), cloth, level=look.level))
        parts.append(box((0.06 * h, 0.07 * h, 0.006 * h), (0.075 * h, 0, z + 0.028 * h), cloth))
    elif look.hairdo == "hood":
        parts.append(
            ball((-0.016 * h, 0, z - 0.002 * h), (0.062 * h, 0.056 * h, 0.075 * h), _wear(look.top), level=look.level)
        )
    else:
        parts.append(ball((-0.012 * h, 0, z + 0.02 * h), (0.056 * h, 0.05 * h, 0.058 * h), hair, level=look.level))
    if look.hairdo == "long":
        fall = [(0.8 * h, 0.02 * h, 0.05 * h, -0.05 * h), (0.94 * h, 0.035 * h, 0.05 * h, -0.03 * h)]
        parts.append(_oval(fall, hair, look.sides))
    elif look.hairdo == "bun":
        parts.append(ball((-0.062 * h, 0, z + 0.025 * h), (0.025 * h, 0.025 * h, 0.025 * h), hair, level=0))
    return parts


_SOLE: Final = ((-0.035, -0.022), (0.105, -0.024), (0.105, 0.024), (-0.035, 0.022))
_INSTEP: Final = ((-0.032, -0.02), (0.05, -0.022), (0.05, 0.022), (-0.032, 0.02))


def _leg(look: Look, side: float) -> list[tuple[str, Mesh]]:
    h, y = look.height, side * 0.048 * look.height * look.broad
    legs, skin = _wear(look.legs), _wear(look.skin)
    below = skin if look.dress in ("shorts", "skirt") else legs
    name = "left" if side > 0 else "right"
    thigh = tube(
        (0, y, 0.53 * h), (0.004 * h, y, 0.28 * h), 0.05 * h, legs, end_radius=0.034 * h, sides=look.sides, capped=False
    )
    shin = tube(
        (0.004 * h, y, 0.295 * h), (-0.008 * h, y, 0.04 * h), 0.034 * h, below, end_radius=0.024 * h, sides=look.sides
    )
    rings = [[(x * h, y + b * h, z * h) for x, b in ring] for ring, z in ((_SOLE, 0.0), (_INSTEP, 0.047))]
    foot = loft(np.array(rings), _wear(look.shoes))
    return [(f"{name} thigh", thigh), (f"{name} shin", shin), (f"{name} shin", foot)]


def _arm(look: Look, side: float) -> list[tuple[str, Mesh]]:
    h = look.height
    shoulder, y = side * 0.11 * h * look.broad, side * 0.125 * h * look.broad
    sleeve, skin = _wear(look.top), _wear(look.skin)
    name = "left" if side > 0 else "right"
    upper = tube(
        (0, shoulder, 0.8 * h),
        (0, y, 0.63 * h),
        0.035 * h,
        sleeve,
        end_radius=0.026 * h,
        sides=look.sides,
        capped=False,
    )
    ends: tuple[Vec, Vec] = (0, y, 0.645 * h), (0.004 * h, y, 0.49 * h)
    lower = tube(
        *ends, 0.026 * h, sleeve if look.sleeves else skin, end_radius=0.019 * h, sides=look.sides, capped=False
    )
    hand = ball((0.006 * h, y, 0.465 * h), (0.022 * h, 0.015 * h, 0.036 * h), skin, level=0)
    joint = ball((0, 0.95 * shoulder, 0.8 * h), (0.042 * h, 0.038 * h, 0.04 * h), sleeve, level=0)
    return [(f"{name} arm", upper), (f"{name} arm", joint), (f"{name} forearm", lower), (f"{name} forearm", hand)]


def _bag(look: Look) -> list[tuple[str, Mesh]]:
    h = look.height
    cloth = _wear({"handbag": (0.12, 0.1, 0.08), "shopping": (0.6, 0.58, 0.5)}.get(look.bag, look.legs))
    if look.bag == "backpack":
        shares = ((0.55, 0.05, 0.085, -0.1), (0.7, 0.06, 0.09, -0.105), (0.8, 0.03, 0.07, -0.085))
        return [
            ("trunk", _oval([(z * h, deep * h, wide * h, x * h) for z, deep, wide, x in shares], cloth, look.sides))
        ]
    if look.bag == "none":
        return []
    if look.bag == "pram":
        return [("pelvis", _pram(look.top))]
    low = 0.24 if look.bag == "shopping" else 0.34
    y = -0.125 * h * look.broad
    bag = box((0.15 * h, 0.05 * h, 0.15 * h), (0.0, y, (low + 0.075) * h), cloth)
    strap = tube((0, y, (low + 0.14) * h), (0, y, 0.46 * h), 0.006 * h, cloth, sides=4)
    return [("right forearm", Mesh.merged([bag, strap]))]


def _pram(rgb: Vec) -> Mesh:
    """Build what someone pushes with a baby in it, which counts as Dynamic."""
    cloth, dark = (Paint(Label.DYNAMIC, Surface.CLOTH, shade) for shade in (rgb, (0.03, 0.03, 0.03)))
    parts = [
        ball((0.78, 0, 0.72), (0.42, 0.24, 0.2), cloth, level=1),
        ball((0.62, 0, 0.9), (0.26, 0.25, 0.24), dark, level=1),
    ]
    parts += [
        tube((x, side * 0.25, 0.16), (x, side * 0.29, 0.16), 0.16, dark, sides=9)
        for x in (0.55, 1.05)
        for side in (-1, 1)
    ]
    parts += [tube((0.55, s * 0.24, 0.16), (0.95, s * 0.22, 0.65), 0.02, dark, sides=4) for s in (-1, 1)]
    return Mesh.merged(
        [*parts, *(tube((0.3, s * 0.2, 1.02), (0.6, s * 0.22, 0.65), 0.02, dark, sides=4) for s in (-1, 1))]
    )


def person(look: Look) -> Body:
    """Build a person who stands at the origin and looks along +x."""
    h = look.height
    joints = {
        "pelvis": Joint("", 0.0, HIP * h),
        "trunk": Joint("pelvis", 0.0, HIP * h),
        **{f"{side} thigh": Joint("pelvis", 0.0, HIP * h) for side in ("left", "right")},
        **{f"{side} shin": Joint(f"{side} thigh", 0.004 * h, KNEE * h) for side in ("left", "right")},
        **{f"{side} arm": Joint("trunk", 0.0, SHOULDER * h) for side in ("left", "right")},
        **{f"{side} forearm": Joint(f"{side} arm", 0.0, ELBOW * h) for side in ("left", "right")},
    }
    parts = [("trunk", mesh) for mesh in (*_trunk(look), *_head(look))]
    for side in (1.0, -1.0):
        parts += [*_leg(look, side), *_arm(look, side)]
    return Body.joined([*parts, *_bag(look)], joints)
