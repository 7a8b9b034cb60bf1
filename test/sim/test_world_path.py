# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Curves in the plane against circles, lines and clothoids worked out by hand."""

import math

import numpy as np
import pytest

from any2seg_sim.world.frontage import Frontage, Lot
from any2seg_sim.world.measures import FRONT_M
from any2seg_sim.world.path import STEP_M, Path

QUARTER = math.pi / 2


def circle(radius, angle=QUARTER, start=(0.0, 0.0, 0.0)):
    """An arc to the left (or, with a negative radius, to the right)."""
    bend, length = 1 / radius, abs(radius) * angle
    return Path.of_curvature(start, [(0.0, bend), (length, bend)])


def line(length=20.0, start=(0.0, 0.0, 0.0)):
    return Path.of_curvature(start, [(0.0, 0.0), (length, 0.0)])


@pytest.mark.parametrize("radius", [30.0, -30.0, 75.0])
def test_constant_curvature_is_a_circle(radius):
    path = circle(radius)
    assert path.length == pytest.approx(abs(radius) * QUARTER)
    assert np.hypot(path.xy[:, 0], path.xy[:, 1] - radius) == pytest.approx(abs(radius), rel=1e-4)
    assert path.xy[-1] == pytest.approx([abs(radius), radius], rel=1e-3)
    assert path.heading[-1] == pytest.approx(math.copysign(QUARTER, radius))
    assert path.curvature == pytest.approx(1 / radius, rel=1e-6)
    assert np.hypot(*np.diff(path.xy, axis=0).T) == pytest.approx(path.step, rel=1e-6)
    assert path.step <= STEP_M


def test_a_clothoid_turns_by_the_area_below_its_curvature():
    path = Path.of_curvature((1.0, 2.0, 0.5), [(0.0, 0.0), (10.0, 0.02), (30.0, 0.02), (40.0, 0.0)])
    # Two triangles of 10 m and a rectangle of 20 m below 0.02 / m.
    assert path.heading[-1] - path.heading[0] == pytest.approx(0.02 * (5 + 20 + 5), abs=1e-6)
    assert path.curvature.max() == pytest.approx(0.02, rel=1e-6)
    assert path.pose(0.0) == pytest.approx((1.0, 2.0, 0.5))


@pytest.mark.parametrize(("offset", "radius"), [(5.0, 35.0), (-5.0, 45.0)])
def test_a_shifted_circle_is_a_circle_about_the_same_point(offset, radius):
    path = circle(40.0).shifted(offset)
    assert np.hypot(path.xy[:, 0], path.xy[:, 1] - 40.0) == pytest.approx(radius, rel=1e-4)
    assert path.length == pytest.approx(radius * QUARTER, rel=1e-3)


def test_easing_rounds_a_corner_and_leaves_lines_alone():
    straight = line().shifted(1.5, smooth_m=2.0)
    assert straight.xy[:, 1] == pytest.approx(1.5, abs=1e-9)
    assert (straight.xy[0, 0], straight.length) == pytest.approx((0.0, 20.0), abs=1e-6)
    corner = Path.through(
        np.concatenate([np.stack([np.linspace(-9, 0, 37), np.zeros(37)], 1), [(0.0, 0.25), (0.0, 9.0)]])
    )
    sharp, eased = (np.abs(path.curvature).max() for path in (corner.shifted(0.0), corner.shifted(0.0, smooth_m=2.0)))
    assert sharp > 1.5
    # Both coordinates of a blurred corner run as Gaussian integrals: 1 / (sigma sqrt(2 pi)) over (1 / sqrt(2))^3.
    assert eased == pytest.approx(2 * math.sqrt(2) / (2.0 * math.sqrt(2 * math.pi)), rel=0.02)


def test_beyond_its_ends_a_path_goes_on_straight():
    path = circle(20.0)
    x, y, heading = path.pose(path.length + 3.0)
    assert (x, y, heading) == pytest.approx((20.0, 23.0, QUARTER), abs=0.01)
    assert path.pose(-4.0) == pytest.approx((-4.0, 0.0, 0.0), abs=1e-9)
    points, headings = path.at(np.array([-4.0, path.length + 3.0]))
    assert points == pytest.approx(np.array([(-4.0, 0.0), (x, y)]))
    assert headings == pytest.approx([0.0, heading])


def test_one_place_is_the_same_asked_alone_or_among_many():
    path, places = circle(33.0), np.array([-1.0, 0.0, 0.13, 7.77, 51.0, 99.0])
    many = path.beside(places, 2.5)
    for place, point in zip(places.tolist(), many, strict=True):
        assert path.pose(place, 2.5)[:2] == pytest.approx(point.tolist(), abs=1e-9)


def test_the_left_is_left():
    assert line().pose(5.0, 2.0)[:2] == pytest.approx((5.0, 2.0))
    assert line(start=(0.0, 0.0, QUARTER)).pose(5.0, 2.0)[:2] == pytest.approx((-2.0, 5.0))


def test_reversing_swaps_ends_and_sides():
    path = circle(25.0)
    back = path.reversed()
    assert back.pose(0.0, -2.0)[:2] == pytest.approx(path.pose(path.length, 2.0)[:2], abs=1e-6)
    assert back.curvature == pytest.approx(-1 / 25.0, rel=1e-6)
    assert back.length == pytest.approx(path.length)


def test_the_nearest_place_of_a_circle_lies_towards_the_point():
    path = circle(40.0, math.pi)
    for angle in (0.3, 1.2, 2.9):
        for away in (0.5, 1.5):
            x, y = 40 * away * math.sin(angle), 40 - 40 * away * math.cos(angle)
            assert path.nearest(x, y) == pytest.approx(40 * angle, abs=STEP_M)


def test_a_polyline_keeps_its_length_and_its_headings_do_not_jump():
    turn = np.linspace(0.0, 3 * math.pi, 400)
    path = Path.through(np.stack([10 * np.cos(turn), 10 * np.sin(turn)], 1))
    assert path.length == pytest.approx(30 * math.pi, rel=1e-3)
    assert path.heading[-1] - path.heading[0] == pytest.approx(3 * math.pi, rel=0.02)
    assert np.abs(np.diff(path.heading)).max() < 0.1


@pytest.mark.parametrize(("side", "radius"), [(1, 60.0 - FRONT_M), (-1, 60.0 + FRONT_M)])
def test_building_lines_are_shorter_inside_a_bend(side, radius):
    path = circle(60.0)
    front = Frontage(path, side, (0.0, path.length))
    assert front.length == pytest.approx(radius * QUARTER, rel=1e-3)
    # Seen from the road they run from left to right.
    ends = front.station(np.array([0.0, front.length]))
    assert ends.tolist() == pytest.approx([0.0, path.length] if side > 0 else [path.length, 0.0])
    third = front.station(np.array([front.length / 3]))[0] / path.length
    assert third == pytest.approx(1 / 3 if side > 0 else 2 / 3, rel=1e-3)


@pytest.mark.parametrize("side", [1, -1])
def test_a_place_on_a_lot_lies_behind_the_building_line(side):
    lot = Lot(Frontage(line(), side, (4.0, 16.0)), start=3.0, length=6.0)
    x = 4.0 + 3.0 + 2.0 if side > 0 else 16.0 - 3.0 - 2.0
    assert lot.spot(2.0, 1.5) == pytest.approx((x, side * (FRONT_M + 1.5)))
