# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Carriageways, junctions, kerbs and bays: no gaps in the ground, nothing in the way."""

import itertools
import math

import numpy as np
import pytest

from any2seg_sim.kerbside import furnish, kerb_free, street_lamps, verge
from any2seg_sim.materials import Label
from any2seg_sim.mesh import Mesh
from any2seg_sim.parking import bays, park_along
from any2seg_sim.tracer import Tracer
from any2seg_sim.world.junctions import junction_mesh
from any2seg_sim.world.measures import (
    CYCLES_M,
    FRONT_M,
    KERB_M,
    LANE_EDGE_M,
    MARKED_M,
    SIDEWALK_Z,
    WALK_M,
    ZEBRA_M,
)
from any2seg_sim.world.path import Path
from any2seg_sim.world.plan import AHEAD, BACK, LEFT, RIGHT, Junction, Street
from any2seg_sim.world.roads import carriageway, cut
from any2seg_sim.world.sights import FREE_M
from any2seg_sim.world.stock import Stock

SIGHTS = (("zebra", 40.0), ("footbridge", 70.0))
BENT = Path.of_curvature((3.0, -2.0, 0.4), [(0.0, 0.0), (20.0, 0.0), (32.0, 1 / 62), (70.0, 1 / 62), (110.0, 0.0)])
STRAIGHT = Street(
    Path.of_curvature((0.0, 0.0, 0.0), [(0.0, 0.0), (110.0, 0.0)]), (True, False), main=True, sights=SIGHTS
)
ON_ROAD = {Label.ROAD, Label.ROAD_LINE, Label.WATER, Label.GROUND, Label.POLE, Label.TRAFFIC_SIGN, Label.STATIC}


def below(tracer, places, from_z=0.14):
    """Height (N,) and class (N,) of what lies straight below places (N, 2); a height of -inf is a hole."""
    origins = np.column_stack([places, np.full(len(places), from_z)]).astype(np.float32)
    hits = tracer.nearest(origins, np.tile(np.float32([0, 0, -1]), (len(places), 1)))
    return from_z - hits.distance, tracer.label[hits.face]


@pytest.fixture(scope="module", params=["bent", "straight"])
def road(request):
    street = Street(BENT, (True, True), main=True) if request.param == "bent" else STRAIGHT
    return street, Tracer(carriageway(np.random.default_rng(2), street))


def test_the_road_is_closed_from_kerb_to_kerb(road):
    street, tracer = road
    along, across = np.meshgrid(np.arange(0.02, street.path.length, 0.31), np.arange(-KERB_M + 0.01, KERB_M, 0.11))
    heights, labels = below(tracer, street.path.beside(along.ravel(), across.ravel()), from_z=0.5)
    # Islands with their signs stand on the road; all else is flat.
    island = np.isin(labels, (Label.GROUND, Label.POLE, Label.STATIC))
    assert np.mean(island) < 0.02
    assert np.all(np.abs(heights[~island] - 0.003) < 0.025)
    assert heights.min() > -0.001
    assert set(labels.tolist()) <= ON_ROAD
    assert np.mean(labels == Label.ROAD) > 0.8
    assert 0.01 < np.mean(labels == Label.ROAD_LINE) < 0.12


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_pavements_are_closed_from_kerb_to_building_line(road, side):
    street, tracer = road
    along, across = np.meshgrid(np.arange(0.02, street.path.length, 0.31), np.arange(KERB_M + 0.01, FRONT_M, 0.07))
    heights, labels = below(tracer, street.path.beside(along.ravel(), side * across.ravel()), from_z=0.5)
    assert np.all((heights > SIDEWALK_Z - 0.001) & (heights < SIDEWALK_Z + 0.02))
    assert set(labels.tolist()) == {Label.SIDE_WALK}


def test_kerbs_are_upright_walls_that_face_the_road(road):
    street, tracer = road
    along = np.arange(5.0, street.path.length - 5.0, 1.7)
    for side in (-1.0, 1.0):
        xy, heading = street.path.at(along)
        towards = side * np.stack([-np.sin(heading), np.cos(heading), 0 * heading], 1)
        starts = np.column_stack([street.path.beside(along, side * 6.0), np.full(len(xy), 0.08)])
        hits = tracer.nearest(starts, towards.astype(np.float32))
        assert hits.distance == pytest.approx(KERB_M - 6.0, abs=0.02)
        assert np.sum(hits.normal * towards, 1) == pytest.approx(-1.0, abs=1e-3)


@pytest.mark.parametrize(
    "arms", [(AHEAD, LEFT, BACK, RIGHT), (AHEAD, LEFT, BACK), (AHEAD, BACK, RIGHT), (LEFT, BACK, RIGHT)]
)
def test_junctions_are_closed_and_their_missing_side_has_a_pavement(arms):
    junction = Junction(5.0, 1.0, 0.3, arms, next(arm for arm in arms if arm != BACK))
    streets = [
        carriageway(
            np.random.default_rng(0),
            Street(Path.of_curvature(junction.mouth(arm), [(0.0, 0.0), (30.0, 0.0)]), (True, True), main=True),
        )
        for arm in arms
    ]
    tracer = Tracer(Mesh.merged([junction_mesh(junction), *streets]))
    grid = np.arange(-FRONT_M + 0.03, FRONT_M, 0.13)
    local = np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2)
    cos, sin = math.cos(junction.heading), math.sin(junction.heading)
    places = local @ np.array([(cos, sin), (-sin, cos)]) + (junction.x, junction.y)
    heights, labels = below(tracer, places, from_z=0.3)
    assert heights.min() > -0.001
    middle = np.hypot(*local.T) < KERB_M
    assert set(labels[middle].tolist()) == {Label.ROAD}
    for arm in range(4):
        turn = arm * math.pi / 2
        ahead = local @ (math.cos(turn), math.sin(turn))
        beyond = (ahead > KERB_M + 0.3) & (np.abs(local @ (-math.sin(turn), math.cos(turn))) < KERB_M - 0.3)
        expected = {Label.ROAD, Label.ROAD_LINE} if arm in arms else {Label.SIDE_WALK}
        assert set(labels[beyond].tolist()) <= expected | {Label.POLE}, arm


def test_holes_are_cut_in_any_order():
    assert cut((0.0, 10.0), [(6.0, 7.0), (1.0, 2.0)]) == [(0.0, 1.0), (2.0, 6.0), (7.0, 10.0)]
    assert cut((0.0, 10.0), [(-5.0, 3.0), (2.0, 4.0), (9.0, 12.0)]) == [(4.0, 9.0)]
    assert cut((0.0, 10.0), [(-1.0, 11.0)]) == []


@pytest.fixture(scope="module")
def kerbs():
    """What stands at the kerbs of a straight street, whose path is the x axis, over a few draws."""
    found = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        stock = Stock.drawn(rng)
        for side in (-1, 1):
            parked, taken = park_along(rng, STRAIGHT, side, [])
            lit, posts, lamps = street_lamps(STRAIGHT, side)
            standing = furnish(rng, STRAIGHT, side, stock, [*taken, *posts])
            found.append((side, parked, [*lit, *standing], verge(rng, STRAIGHT, side, taken), lamps))
    return found


def test_nothing_at_the_kerb_stands_on_the_road_or_in_the_walk(kerbs):
    for side, _, standing, grass, _ in kerbs:
        assert len(standing) > 8
        for mesh in [*standing, *grass]:
            # Branches may hang over the kerb.
            low = mesh.vertices[mesh.vertices[:, 2] < (0.8 if Label.VEGETATION in mesh.label else 1.9)]
            offset = side * low[:, 1]
            # Parked two-wheelers stand across the kerb, and one post of a direction board in the gutter.
            free = KERB_M - (0.65 if Label.TWO_WHEELER in mesh.label else 0.3)
            assert offset.min() > free
            assert offset.max() < WALK_M[0] + 0.1
            assert low[:, 2].min() > SIDEWALK_Z - 0.35


def test_mouths_and_sights_stay_free(kerbs):
    for _, parked, standing, _, _ in kerbs:
        for mesh in [*parked, *standing]:
            low = mesh.vertices[mesh.vertices[:, 2] < 2.1, 0]
            middle = (low.min() + low.max()) / 2
            assert middle > ZEBRA_M[1] + 1.0
            assert low.min() > ZEBRA_M[1]
            for name, s in SIGHTS:
                assert not s - FREE_M[name] < middle < s + FREE_M[name], name


def test_parked_vehicles_leave_lanes_and_cyclists_alone(kerbs):
    seen = set()
    for side, parked, _, _, _ in kerbs:
        for mesh in parked:
            kinds = set(mesh.label.tolist()) & {Label.CARS, Label.BUS, Label.TRUCK, Label.TWO_WHEELER}
            seen |= kinds
            if not kinds:
                continue
            offset = side * mesh.vertices[:, 1]
            assert offset.min() > CYCLES_M + 0.36
            assert offset.min() > LANE_EDGE_M
            assert offset.max() < KERB_M + (0.35 if kinds == {Label.TWO_WHEELER} else 0.2)
            assert mesh.vertices[:, 2].min() == pytest.approx(0.0, abs=0.02)
    assert seen == {Label.CARS, Label.BUS, Label.TRUCK, Label.TWO_WHEELER}


@pytest.mark.parametrize("side", [-1, 1])
def test_bays_follow_each_other_and_keep_off_what_must_stay_free(side):
    kinds = set()
    for seed in range(12):
        found = sorted(bays(np.random.default_rng(seed), STRAIGHT, side, [(80.0, 95.0)]), key=lambda bay: bay.start)
        kinds |= {bay.kind for bay in found}
        for one, other in itertools.pairwise(found):
            assert one.start + one.length < other.start
        for bay in found:
            assert bay.start > MARKED_M
            assert bay.start + bay.length < STRAIGHT.path.length
            middle = bay.start + bay.length / 2
            for name, s in SIGHTS:
                assert abs(s - middle) > bay.length / 2 + FREE_M[name] or bay.kind == "railing"
            if 80.0 < bay.start < 95.0:
                assert bay.kind in ("rail", "railing", "works", "free")
    assert {"car", "truck", "works", "rail", "skip", "bus", "bikes", "railing"} <= kinds


def test_kerbs_are_free_only_away_from_mouths_and_sights():
    assert kerb_free(STRAIGHT, 20.0, 0.5)
    assert not kerb_free(STRAIGHT, MARKED_M + 1.0, 0.5)
    assert not kerb_free(STRAIGHT, 108.0, 0.5)
    assert not kerb_free(STRAIGHT, 40.0 + FREE_M["zebra"] - 0.1, 0.0)
    assert kerb_free(STRAIGHT, 40.0 + FREE_M["zebra"] + 0.6, 0.5)


def test_lamps_hang_over_the_road(kerbs):
    for side, _, _, _, lamps in kerbs:
        assert len(lamps) >= 3
        for lamp in lamps:
            assert KERB_M - 1.6 < side * float(lamp.position[1]) < KERB_M
            assert 6.5 < lamp.position[2] < 8.0
