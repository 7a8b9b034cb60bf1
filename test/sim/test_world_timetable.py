# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Speeds that roads allow: no jumps, no way back."""

import math

import numpy as np
import pytest

from any2seg_sim.world.path import Path
from any2seg_sim.world.timetable import STEP_S, Timetable


def road(*knots):
    return Path.of_curvature((0.0, 0.0, 0.0), knots or [(0.0, 0.0), (150.0, 0.0)])


BENT = road((0.0, 0.0), (40.0, 0.0), (50.0, 0.06), (75.0, 0.06), (85.0, 0.0), (140.0, 0.0))
"""A bend of 16.7 m radius, where 2.2 m/s^2 to the side allow 6.06 m/s."""
TABLES = {
    "straight": Timetable.along(road(), 10.0, 9.0),
    "bend": Timetable.along(BENT, 0.0, 11.0, sway=2.0),
    "junction": Timetable.along(road(), 20.0, 10.0, slow=[(90.0, 4.0)]),
}


@pytest.mark.parametrize("name", TABLES)
def test_throttle_and_brakes_are_gentle(name):
    table = TABLES[name]
    rate = np.diff(table.speed) / STEP_S
    assert rate.min() > -1.9
    assert rate.max() < 1.4
    assert np.abs(table.accel - np.gradient(table.speed, STEP_S)).max() < 0.6
    assert np.abs(np.diff(table.accel)).max() / STEP_S < 6.0


@pytest.mark.parametrize("name", TABLES)
def test_nobody_drives_backwards_or_faster_than_asked(name):
    table, most = TABLES[name], {"straight": 9.0, "bend": 11.0, "junction": 10.0}[name]
    assert np.all(np.diff(table.way) > 0)
    assert table.speed.min() > 2.0
    assert table.speed.max() <= most
    assert table.speed.max() > 0.93 * most


@pytest.mark.parametrize("name", TABLES)
def test_the_way_is_the_integral_of_the_speed(name):
    table = TABLES[name]
    times = np.linspace(-1.0, table.end_s + 1.0, 4001)
    ways, speeds, _ = np.array([table.at(t_s) for t_s in times.tolist()]).T
    step = times[1] - times[0]
    assert np.diff(ways) / step == pytest.approx((speeds[1:] + speeds[:-1]) / 2, abs=2e-3)
    assert np.abs(np.diff(speeds)).max() < 2.0 * step


def test_bends_and_junctions_are_taken_slowly():
    bend, junction = TABLES["bend"], TABLES["junction"]
    inside = (bend.way > 52.0) & (bend.way < 73.0)
    assert bend.speed[inside].max() < 1.05 * math.sqrt(2.2 / 0.06)
    assert np.interp(90.0, junction.way, junction.speed) < 5.2
    assert np.interp(130.0, junction.way, junction.speed) > 8.0


def test_a_drive_starts_where_it_is_told_to_and_goes_to_the_end_of_the_road():
    for table, start, length in ((TABLES["straight"], 10.0, 150.0), (TABLES["junction"], 20.0, 150.0)):
        assert table.at(0.0)[0] == pytest.approx(start)
        assert table.at(table.end_s)[0] == pytest.approx(length, abs=1.0)


def test_before_and_after_the_table_the_speed_stays():
    table = TABLES["straight"]
    way, speed, accel = table.at(-2.0)
    assert (way, speed, accel) == pytest.approx((10.0 - 2.0 * table.speed[0], table.speed[0], 0.0))
    way, speed, accel = table.at(table.end_s + 3.0)
    assert (way, speed, accel) == pytest.approx((table.way[-1] + 3.0 * table.speed[-1], table.speed[-1], 0.0))


def test_who_does_not_cruise_stands():
    table = Timetable.along(road(), 33.0, 0.0)
    assert [table.at(t_s) for t_s in (-1.0, 0.0, 5.0)] == [(33.0, 0.0, 0.0)] * 3
