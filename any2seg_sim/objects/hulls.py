# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Bodywork of vehicles: skins with wheel arches, and wheels; x is forward, wheels stand on z = 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.mesh import Mesh
from any2seg_sim.shapes import panel, sheet, slab

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from any2seg_sim.shapes import Vec

_SIDES: Final = 14
_ARCH: Final = np.array((-1.0, -0.95, -0.66, 0.0, 0.66, 0.95, 1.0))


@dataclass(frozen=True)
class Trim:
    """Paints of a vehicle: body, dark plastics, glass, rubber, rims, lamps and plates."""

    body: Paint
    dark: Paint
    glass: Paint
    rubber: Paint
    rim: Paint
    white: Paint
    red: Paint
    amber: Paint
    plate: Paint

    @staticmethod
    def of(label: Label, rgb: Vec) -> Trim:
        """Mix the paints of a vehicle of a class and a colour."""
        return Trim(
            Paint(label, Surface.CAR_PAINT, rgb),
            Paint(label, Surface.PLAIN, (0.02, 0.02, 0.022)),
            Paint(label, Surface.GLASS, (0.03, 0.035, 0.04)),
            Paint(label, Surface.RUBBER, (0.02, 0.02, 0.02)),
            Paint(label, Surface.METAL, (0.42, 0.42, 0.44)),
            Paint(label, Surface.LAMP, (0.9, 0.9, 0.85)),
            Paint(label, Surface.RETROREFLECTIVE, (0.5, 0.012, 0.012)),
            Paint(label, Surface.RETROREFLECTIVE, (0.6, 0.25, 0.02)),
            Paint(label, Surface.RETROREFLECTIVE, (0.8, 0.8, 0.75)),
        )


def with_arches(x: NDArray[np.floating], axles: Sequence[float], radius: float) -> NDArray[np.float64]:
    """Refine stations along a vehicle where wheel arches of a radius are cut."""
    arches = np.concatenate([axle + radius * _ARCH for axle in axles])
    keep = [place for place in x if all(abs(place - axle) > 1.12 * radius for axle in axles)]
    return np.unique(np.concatenate([keep, arches]))


def arch_height(
    x: NDArray[np.floating], sill: NDArray[np.floating], axles: Sequence[float], radius: float, hub: float
) -> NDArray[np.float64]:
    """Give the height (N,) of a body's lower edge at stations (N,): the sill, or the arch above a wheel."""
    edge = np.array(sill, np.float64)
    for axle in axles:
        inside = np.maximum(radius**2 - (x - axle) ** 2, 0.0)
        edge = np.where(np.abs(x - axle) < 0.999 * radius, np.maximum(edge, hub + np.sqrt(inside)), edge)
    return edge


def skin(
    half: NDArray[np.floating], x: NDArray[np.floating], cells: NDArray[np.integer], paints: Sequence[Paint]
) -> Mesh:
    """Span a body over cross-sections.

    Args:
        half: (N, P, 2) y >= 0 and z of the left half's points, from the underside up and over to the middle (y = 0).
        x: (N,) stations, ascending.
        cells: (N - 1, P - 1) numbers of paints, the same on both sides.
        paints: what the numbers mean.
    """
    right = half[:, -2::-1] * (-1.0, 1.0)
    section = np.concatenate([half, right], 1)
    points = np.concatenate([np.broadcast_to(x[:, None, None], (*section.shape[:2], 1)), section], 2)
    body = sheet(points, np.concatenate([cells, cells[:, ::-1]], 1), paints)
    ends = [panel([(p[0], p[1], p[2]) for p in ring], paints[0]) for ring in (points[0][::-1], points[-1])]
    return Mesh.merged([body, *ends])


def wheel(x: float, y: float, radius: float, width: float, trim: Trim, *, spokes: int = 5) -> Mesh:
    """Build a wheel that stands below (x, y): a rounded tyre and a rim with spokes on the side away from y = 0."""
    outward = 1.0 if y > 0 else -1.0
    turn = np.arange(_SIDES) * (2 * np.pi / _SIDES)
    circle = np.stack([np.cos(turn), np.zeros(_SIDES), np.sin(turn)], 1)[:: int(-outward)] * radius
    hub = np.array((x, y, radius))

    def ring(share: float, reach: float) -> NDArray[np.float64]:
        return np.asarray(hub + reach * circle + (0.0, outward * share * width, 0.0))

    tyre = np.stack([ring(-0.5, 0.9), ring(-0.3, 1.0), ring(0.3, 1.0), ring(0.5, 0.88), ring(0.46, 0.68)])
    rim = np.stack([ring(0.46, 0.68), ring(0.47, 0.58)])
    dish = ring(0.38, 0.6)
    parts = [
        sheet(tyre, np.zeros((4, _SIDES), np.int64), [trim.rubber], closed=True),
        sheet(rim, np.zeros((1, _SIDES), np.int64), [trim.rim], closed=True),
        panel([(p[0], p[1], p[2]) for p in dish], trim.dark),
    ]
    bar = np.array([(-0.1, 0.0, 0.0), (0.1, 0.0, 0.0), (0.07, 0.0, 0.63), (-0.07, 0.0, 0.63)]) * radius
    for index in range(spokes):
        angle = 2 * np.pi * index / spokes
        swing = np.array([(np.cos(angle), 0, -np.sin(angle)), (0, 1, 0), (np.sin(angle), 0, np.cos(angle))])
        corners = bar @ swing + hub + (0.0, outward * 0.44 * width, 0.0)
        parts.append(panel([(p[0], p[1], p[2]) for p in corners[:: int(-outward)]], trim.rim))
    return Mesh.merged(parts)


def pair(one: float, other: float) -> tuple[float, float]:
    """Put two bounds in order."""
    return min(one, other), max(one, other)


def seams(x: Sequence[float], y: float, z: tuple[float, float], paint: Paint) -> list[Mesh]:
    """Draw the gaps of doors on both sides of a vehicle."""
    return [
        slab((place - 0.006, place + 0.006), pair(side * (y - 0.02), side * (y + 0.003)), z, paint)
        for place in x
        for side in (-1.0, 1.0)
    ]
