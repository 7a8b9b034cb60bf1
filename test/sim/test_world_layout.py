# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Plans of streets: they keep apart, are long enough, hold every kind of junction, and come from the seed alone."""

import itertools
import math

import numpy as np
import pytest

from any2seg_sim.cast import ego_drive
from any2seg_sim.world.layout import VIEW_M, lay_out
from any2seg_sim.world.measures import BACK_M, FRONT_M, MARKED_M, MOUTH_M
from any2seg_sim.world.plan import AHEAD, BACK, LEFT, RIGHT, SIGHT_M, START_M, distance

REACH_M, SPEED_MPS = 150.0, 8.0


def drawn(seed, reach_m=REACH_M):
    return lay_out(np.random.default_rng(seed), reach_m)


@pytest.fixture(scope="module")
def plans():
    return [drawn(seed) for seed in range(31)]


def edge(street, away, margin):
    """Places on both sides of a street, without so much at its ends."""
    along = np.arange(margin, street.path.length - margin, 2.0)
    return np.concatenate([street.path.beside(along, side * away) for side in (-1.0, 1.0)])


def test_streets_never_overlap(plans):
    for seed, plan in enumerate(plans):
        for one, other in itertools.permutations(plan.streets, 2):
            line = other.path.xy[::4]
            assert distance(edge(one, FRONT_M, 0.0), line).min() > FRONT_M, (seed, "pavements")
            low, high = one.frontage
            along = np.arange(low, high, 2.0)
            backs = np.concatenate([one.path.beside(along, side * BACK_M) for side in (-1.0, 1.0)])
            assert distance(backs, line).min() > BACK_M - 1.0, (seed, "lots overlap")


def test_drives_have_room_and_a_view_at_their_end(plans):
    for seed, plan in enumerate(plans):
        last = plan.junctions[-1]
        assert plan.route.nearest(last.x, last.y) - plan.start_m > REACH_M + VIEW_M, seed
        drive = ego_drive(np.random.default_rng(seed), plan, SPEED_MPS)
        end_s = REACH_M / SPEED_MPS
        assert drive.path.length - drive.timetable.at(end_s)[0] > VIEW_M, seed
        assert drive.travelled(end_s) > 0.6 * REACH_M, seed


@pytest.mark.parametrize("reach_m", [0.0, 20.0, 320.0])
def test_short_drives_have_few_streets_and_long_ones_many(reach_m):
    plan = drawn(3, reach_m)
    assert plan.route.length - plan.start_m >= reach_m + VIEW_M
    assert plan.route.length < reach_m + 450.0


def test_the_route_passes_the_origin_along_x_and_bends_like_a_road(plans):
    for seed, plan in enumerate(plans):
        assert plan.start_m == START_M
        assert plan.route.pose(START_M) == pytest.approx((0.0, 0.0, 0.0), abs=0.02), seed
        assert np.abs(plan.route.curvature).max() < 1.3 / MOUTH_M, seed
        assert np.hypot(*np.diff(plan.route.xy, axis=0).T).max() < 0.26, seed


def test_every_kind_of_junction_and_of_sight_occurs(plans):
    junctions = [junction for plan in plans for junction in plan.junctions]
    kinds = {frozenset(junction.arms) for junction in junctions}
    assert kinds == {
        frozenset(arms)
        for arms in ((AHEAD, LEFT, BACK, RIGHT), (AHEAD, LEFT, BACK), (AHEAD, BACK, RIGHT), (LEFT, BACK, RIGHT))
    }
    assert {junction.way for junction in junctions} == {AHEAD, LEFT, RIGHT}
    assert {name for plan in plans for street in plan.streets for name, _ in street.sights} == set(SIGHT_M)


def test_no_drive_misses_railway_and_river(plans):
    for seed, plan in enumerate(plans):
        names = {name for street in plan.streets if street.main for name, _ in street.sights}
        assert {"rails", "river"} <= names, seed


def test_sights_keep_off_the_mouths_and_off_each_other(plans):
    for seed, plan in enumerate(plans):
        for street in plan.streets:
            for name, s in street.sights:
                assert s - SIGHT_M[name] > MARKED_M, (seed, name)
                assert s + SIGHT_M[name] < street.path.length - MARKED_M, (seed, name)
            for (one, s), (other, far) in itertools.pairwise(street.sights):
                assert far - s >= SIGHT_M[one] + SIGHT_M[other] - 1e-6, (seed, one, other)


def test_streets_begin_at_the_mouths_of_their_junctions(plans):
    for seed, plan in enumerate(plans):
        ends = [
            pose for street in plan.streets for pose in (street.path.pose(0.0), street.path.pose(street.path.length))
        ]
        for junction in plan.junctions:
            assert BACK in junction.arms
            assert junction.way in junction.arms
            for arm in junction.arms:
                x, y, heading = junction.mouth(arm)
                assert math.dist((x, y), (junction.x, junction.y)) == pytest.approx(MOUTH_M)
                (end,) = [pose for pose in ends if math.dist(pose[:2], (x, y)) < 0.05]
                assert abs(math.sin(end[2] - heading)) < 1e-3, (seed, "a street leaves its junction aslant")


def test_the_same_seed_draws_the_same_bytes():
    for seed in (0, 7):
        one, again = drawn(seed), drawn(seed)
        assert one.route.xy.tobytes() == again.route.xy.tobytes()
        assert [street.path.xy.tobytes() for street in one.streets] == [s.path.xy.tobytes() for s in again.streets]
        assert [street.sights for street in one.streets] == [street.sights for street in again.streets]
        assert [(j.x, j.arms, j.way) for j in one.junctions] == [(j.x, j.arms, j.way) for j in again.junctions]
    assert drawn(0).route.xy.tobytes() != drawn(1).route.xy.tobytes()
