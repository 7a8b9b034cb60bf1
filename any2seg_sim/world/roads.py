# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Carriageways with pavements and markings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.mesh import Mesh
from any2seg_sim.objects.signals import traffic_sign
from any2seg_sim.shapes import bar, disc, panel, tube
from any2seg_sim.world.measures import (
    DEPTH_M,
    FRONT_M,
    KERB_M,
    LANE_EDGE_M,
    LANE_M,
    MARKED_M,
    SIDEWALK_Z,
    STOP_M,
    ZEBRA_M,
)
from any2seg_sim.world.strips import ASPHALT, MARKING, MARKING_Z, bent, flat, kerbed, line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from any2seg_sim.world.path import Path
    from any2seg_sim.world.plan import Street

RAILWAY_M: Final = 10.4
"""Width of a railway with two tracks."""
_IRON: Final = Paint(Label.ROAD, Surface.PLAIN, (0.09, 0.085, 0.08))
_PUDDLE_Z: Final = 0.003
_DRY: Final = 0.4
"""Share of streets without puddles."""
_ISLAND_M: Final = (7.5, 13.5)
_ISLAND_STREET_M: Final = 60.0
_UNMARKED_M: Final = {"rails": RAILWAY_M / 2 + 1.5, "zebra": 3.4}


def on_road(path: Path, mesh: Mesh, s: float, offset: float, z: float = 0.0, *, yaw: float = 0.0) -> Mesh:
    """Place a mesh built along +x beside a path, turned with it."""
    x, y, heading = path.pose(s, offset)
    return mesh.moved(x, y, z, yaw=heading + yaw)


def along(path: Path, mesh: Mesh, start: float, length: float, side: int, away: float, z: float = 0.0) -> Mesh:
    """Bend a mesh, built along x from the origin with its front to -y, along a road that it faces."""

    def where(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        xy, heading = path.at(start + x if side > 0 else start + length - x)
        return xy, heading if side > 0 else heading + math.pi

    return bent(mesh.moved(y=away, z=z), where)


def cut(span: tuple[float, float], holes: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Cut holes out of a span and return what is left, in order."""
    left, start = [], span[0]
    for low, high in sorted(holes):
        if low > start:
            left.append((start, min(low, span[1])))
        start = max(start, high)
    left.append((start, span[1]))
    return [(low, high) for low, high in left if high > low]


def gaps(street: Street, half_widths: dict[str, float], span: tuple[float, float]) -> list[tuple[float, float]]:
    """Cut a span of a street where sights of some names lie, so wide to both sides, and return what is left."""
    return cut(
        span, [(s - half_widths[name], s + half_widths[name]) for name, s in street.sights if name in half_widths]
    )


def _stripe(x: tuple[float, float], y: tuple[float, float]) -> Mesh:
    z = MARKING_Z
    return panel([(x[0], y[0], z), (x[1], y[0], z), (x[1], y[1], z), (x[0], y[1], z)], MARKING)


def zebra(width: float = ZEBRA_M[1] - ZEBRA_M[0]) -> Mesh:
    """Paint a zebra crossing over the road, its middle at the origin, the road along x."""
    bars = [_stripe((-width / 2, width / 2), (y, y + 0.5)) for y in np.arange(-KERB_M + 0.4, KERB_M - 0.4, 1.0)]
    return Mesh.merged(bars)


def stop_line() -> Mesh:
    """Paint the line at which traffic along +x stops, at the origin."""
    return _stripe((-0.2, 0.2), (-LANE_EDGE_M, -0.1))


def arrow(turn: int) -> Mesh:
    """Paint an arrow along +x on the lane: straight on (0), to the left (1) or to the right (-1)."""
    parts = [_stripe((-1.6, 0.6), (-0.08, 0.08))]
    z = MARKING_Z
    if turn == 0:
        parts.append(panel([(0.5, -0.32, z), (1.7, 0.0, z), (0.5, 0.32, z)], MARKING))
        return Mesh.merged(parts)
    side = float(turn)
    low, high = sorted((side * 0.08, side * 0.5))
    tip = [(0.2, side * 0.45, z), (0.95, side * 0.45, z), (0.55, side * 1.25, z)]
    parts += [_stripe((0.45, 0.65), (low, high)), panel(tip if side > 0 else tip[::-1], MARKING)]
    return Mesh.merged(parts)


def _markings(street: Street) -> list[Mesh]:
    """Paint lane lines, kept off mouths and sights, and what is painted at the mouths."""
    path, length = street.path, street.path.length
    first, last = (MARKED_M if joined else 1.0 for joined in street.joins)
    parts = []
    for span in gaps(street, _UNMARKED_M, (first, length - last)):
        if span[1] - span[0] > 1.0:
            parts += [line(path, span, side * LANE_EDGE_M) for side in (-1.0, 1.0)]
            parts += [line(path, (s, min(s + 3.0, span[1])), 0.0) for s in np.arange(span[0], span[1] - 1.0, 6.0)]
    middle = sum(ZEBRA_M) / 2
    for end, joined in enumerate(street.joins):
        if joined:
            yaw = 0.0 if end else math.pi
            parts.append(on_road(path, zebra(), abs(length * end - middle), 0.0))
            parts.append(on_road(path, stop_line(), abs(length * end - STOP_M), 0.0, yaw=yaw))
    for name, s in street.sights:
        if name == "zebra":
            parts.append(on_road(path, zebra(), s, 0.0))
        if name in _UNMARKED_M:
            parts += [
                on_road(path, stop_line(), s - side * _UNMARKED_M[name], 0.0, yaw=yaw)
                for side, yaw in ((1.0, 0.0), (-1.0, math.pi))
            ]
    return parts


def _puddles(rng: np.random.Generator, street: Street) -> list[Mesh]:
    """Leave puddles in hollows of some roads."""
    water = Paint(Label.WATER, Surface.WATER, (0.035, 0.04, 0.04))
    if rng.random() < _DRY:
        return []
    turn = np.linspace(0.0, 2 * math.pi, 17)[:-1]
    parts = []
    for s in np.arange(float(rng.uniform(8.0, 24.0)), street.path.length - 8.0, 13.0):
        reach = 1.0 + 0.22 * np.sin(2 * turn + rng.uniform(0, 6)) + 0.12 * np.sin(3 * turn + rng.uniform(0, 6))
        x = float(rng.uniform(1.0, 1.9)) * reach * np.cos(turn)
        y = float(rng.uniform(0.45, 0.75)) * reach * np.sin(turn)
        pool = panel([(float(a), float(b), _PUDDLE_Z) for a, b in zip(x, y, strict=True)], water)
        offset = float(rng.choice((-1.0, 1.0))) * float(rng.uniform(2.0, 3.6))
        parts.append(on_road(street.path, pool, float(s), offset))
    return parts


def _islands(street: Street) -> list[Mesh]:
    """Part the lanes behind the mouths by narrow islands with a sign and a bollard at each end."""
    path = street.path
    if path.length < _ISLAND_STREET_M:
        return []
    stone = Paint(Label.GROUND, Surface.PAVING, (0.4, 0.38, 0.34))
    post = Paint(Label.STATIC, Surface.RETROREFLECTIVE, (0.75, 0.55, 0.03))
    low, high = _ISLAND_M
    parts = [bar((low, high), (-0.36, 0.36), (-0.1, 0.16), stone)]
    for s, yaw in ((low + 0.35, 0.0), (high - 0.35, math.pi)):
        parts += [tube((s, 0, 0.1), (s, 0, 0.95), 0.16, post, sides=10)]
        parts += [traffic_sign("keep_right").moved(s + (0.5 if yaw == 0.0 else -0.5), 0.0, 0.1, yaw=yaw)]
    island = Mesh.merged(parts)
    places = [
        abs(path.length * end - (0.0 if end == 0 else high + low)) for end, joined in enumerate(street.joins) if joined
    ]
    return [
        bent(island.moved(place), path.at)
        for place in places
        if all(
            abs(s - place - (low + high) / 2) > (high - low) / 2 + _UNMARKED_M.get(name, 0.0)
            for name, s in street.sights
        )
    ]


def carriageway(rng: np.random.Generator, street: Street) -> Mesh:
    """Build a street's road with everything that is painted on it, and its pavements."""
    path, length = street.path, street.path.length
    parts = [flat(path, (0.0, length), (-KERB_M, KERB_M), 0.0, ASPHALT)]
    for side in (-1.0, 1.0):
        across = (side * KERB_M, side * FRONT_M)
        parts += [
            kerbed(path, span, across, SIDEWALK_Z) for span in gaps(street, {"rails": RAILWAY_M / 2}, (0.0, length))
        ]
    parts += [*_markings(street), *_islands(street), *_puddles(rng, street)]
    parts += [
        on_road(path, disc((0, 0, 0), (0, 0, 1), 0.32, _IRON, thickness=0.006), s, -0.6 * LANE_M)
        for s in np.arange(13.0, length - 6.0, 24.0)
    ]
    for end, joined in enumerate(street.joins):
        if not joined:
            parts.append(_dead_end(path, length if end else 0.0, outward=1.0 if end else -1.0))
    return Mesh.merged(parts)


def _dead_end(path: Path, s: float, *, outward: float) -> Mesh:
    """Close a road by a pavement across it."""
    x, y, heading = path.pose(s)
    turned = heading + (math.pi / 2 if outward > 0 else -math.pi / 2)
    start = (x + FRONT_M * math.cos(turned - math.pi), y + FRONT_M * math.sin(turned - math.pi))
    across = type(path).of_curvature((*start, turned), [(0.0, 0.0), (2 * FRONT_M, 0.0)])
    return kerbed(across, (0.0, 2 * FRONT_M), (-0.0, -DEPTH_M / 3), SIDEWALK_Z)
