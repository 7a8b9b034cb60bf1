# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Rays against boxes, with distances worked out by hand."""

import numpy as np
import pytest

from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.shapes import ball, slab
from any2seg_sim.tracer import Tracer, turned

WALL = slab((10, 11), (-5, 5), (-5, 5), Paint(Label.WALL, Surface.BRICK, (1, 0, 0)))
CAR = Paint(Label.CARS, Surface.CAR_PAINT, (0, 0, 1))


def hit(tracer, ray):
    hits = tracer.nearest(np.zeros(3), np.array([ray], np.float32) / np.float32(np.linalg.norm(ray)))
    label = None if hits.face[0] < 0 else Label(tracer.label[hits.face[0]])
    return float(hits.distance[0]), label, hits.normal[0].tolist()


def test_a_ray_ends_at_the_wall_which_faces_it():
    distance, label, normal = hit(Tracer(WALL), (1, 0.3, 0.1))
    assert distance == pytest.approx(10 * np.sqrt(1 + 0.09 + 0.01), rel=1e-6)
    assert label is Label.WALL
    assert normal == pytest.approx([-1, 0, 0])


def test_a_ray_past_everything_has_no_end():
    distance, label, normal = hit(Tracer(WALL), (-1, 0, 0))
    assert distance == np.inf
    assert label is None
    assert normal == [0, 0, 0]


@pytest.mark.parametrize(("x", "expected"), [(4.0, (4.0, Label.CARS)), (20.0, (10.0, Label.WALL))])
def test_the_nearer_of_wall_and_mover_is_seen(x, expected):
    tracer = Tracer(WALL)
    tracer.set_movers(slab((x, x + 2), (-1, 1), (-1, 1), CAR))
    distance, label, _ = hit(tracer, (1, 0, 0))
    assert (distance, label) == (pytest.approx(expected[0]), expected[1])
    assert tracer.surface[-1] == Surface.CAR_PAINT
    assert tracer.rgb[-1].tolist() == [0, 0, 1]


def test_movers_move_and_leave():
    tracer = Tracer(WALL)
    for x in (3.0, 5.0):
        tracer.set_movers(slab((x, x + 1), (-1, 1), (-1, 1), CAR))
        assert hit(tracer, (1, 0, 0))[0] == pytest.approx(x)
    tracer.set_movers(None)
    assert hit(tracer, (1, 0, 0))[:2] == (pytest.approx(10.0), Label.WALL)
    assert len(tracer.label) == len(WALL)


def test_balls_are_shaded_smoothly():
    tracer = Tracer(ball((10, 0, 0), (2, 2, 2), CAR, level=3))
    for y in (-0.15, 0.03, 0.1):
        ray = np.array([1, y, 0.02]) / np.linalg.norm([1, y, 0.02])
        distance, _, normal = hit(tracer, ray)
        outward = ray * distance - [10, 0, 0]
        # A flat facet of this ball would be up to 4 degrees off.
        assert normal == pytest.approx(outward / np.linalg.norm(outward), abs=0.01)


def test_shadow_rays_see_both_and_respect_their_reach():
    tracer = Tracer(WALL)
    tracer.set_movers(slab((-6, -5), (-1, 1), (-1, 1), CAR))
    starts = np.zeros((3, 3), np.float32)
    rays = np.array([[1, 0, 0], [-1, 0, 0], [0, 0, 1]], np.float32)
    assert tracer.blocked(starts, rays).tolist() == [True, True, False]
    assert tracer.blocked(starts, rays, 7.0).tolist() == [False, True, False]
    assert tracer.blocked(starts, rays, 4.0).tolist() == [False, False, False]


def test_turning_is_a_matrix_product():
    rng = np.random.default_rng(0)
    rays, pose = rng.normal(size=(20, 3)).astype(np.float32), rng.normal(size=(4, 4))
    np.testing.assert_allclose(turned(rays, pose), rays @ pose[:3, :3].T, atol=1e-5)


def test_rays_may_have_an_origin_each():
    tracer = Tracer(WALL)
    tracer.set_movers(slab((4, 5), (-1, 1), (-1, 1), CAR))
    origins = np.array([[0, 0, 0], [6, 0, 0], [0, 3, 0]], np.float32)
    hits = tracer.nearest(origins, np.tile(np.float32([1, 0, 0]), (3, 1)))
    assert hits.distance.tolist() == pytest.approx([4, 4, 10])
    assert [Label(tracer.label[face]) for face in hits.face] == [Label.CARS, Label.WALL, Label.WALL]


def test_one_direction_serves_all_shadow_rays():
    starts = np.array([[0, 0, 0], [0, 20, 0]], np.float32)
    assert Tracer(WALL).blocked(starts, np.float32([1, 0, 0])).tolist() == [True, False]


def test_many_movers_find_room_and_few_leave_nothing_behind():
    tracer = Tracer(WALL)
    for level in (0, 3, 1):
        mover = ball((4, 0, 0), (1, 1, 1), CAR, level=level)
        tracer.set_movers(mover)
        assert len(tracer.label) == len(tracer.rgb) == len(tracer.surface) == len(WALL) + len(mover)
        assert hit(tracer, (1, 0.01, 0.02))[:2] == (pytest.approx(3, abs=0.25), Label.CARS)
        assert np.all(tracer.label[: len(WALL)] == Label.WALL)
