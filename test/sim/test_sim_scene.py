# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What the street is made of, and that chance alone decides it."""

import dataclasses

import numpy as np
import pytest

from any2seg_core.frames import DELIVER_CLASSES
from any2seg_sim.lots import LOTS
from any2seg_sim.materials import MATERIALS, Label, Paint, Surface
from any2seg_sim.objects.people import walker
from any2seg_sim.objects.vehicles import CAR_SHAPES, bicycle, bus, car, truck
from any2seg_sim.scene import build_scene
from any2seg_sim.shapes import ball, box, disc, loft, prism_across, slab, tube

PAINT = Paint(Label.STATIC, Surface.PLAIN, (0.5, 0.5, 0.5))


def volume(mesh):
    """Signed volume by the divergence theorem: positive only where faces look outwards."""
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    return float(np.sum(np.cross(corners[:, 0], corners[:, 1]) * corners[:, 2]) / 6)


@pytest.fixture(scope="module")
def scene():
    return build_scene(np.random.default_rng(5), duration_s=4.0, speed_mps=8.0)


def test_labels_are_those_of_deliver():
    flat = [name.replace("_", "").lower() for name in Label.__members__]
    assert flat == [name.lower() for name in DELIVER_CLASSES.names]
    assert [label.value for label in Label] == list(range(25))
    assert set(MATERIALS) == set(Surface)


@pytest.mark.parametrize(
    ("mesh", "expected"),
    [
        (box((1, 2, 3), (5, 6, 7), PAINT), 6.0),
        (slab((1, 3), (-1, 1), (0, 0.5), PAINT), 2.0),
        (tube((1, 1, 0), (1, 1, 2), 0.5, PAINT, sides=64), np.pi / 2),
        (tube((0, 0, 1), (-3, 0, 1), 0.5, PAINT, sides=64), 0.75 * np.pi),
        (disc((0, 2, 1), (0, -1, 0), 1.0, PAINT, sides=64, thickness=0.1), 0.1 * np.pi),
        (ball((1, 2, 3), (1, 2, 0.5), PAINT, level=4), 4 / 3 * np.pi),
        (prism_across([(-1, 0), (1, 0), (1, 1), (-1, 1)], 0.5, PAINT), 2.0),
        (loft(np.array([[(0, 0, z), (1, 0, z), (1, 1, z), (0, 1, z)] for z in (0, 2)]), PAINT), 2.0),
    ],
)
def test_shapes_are_closed_and_face_outwards(mesh, expected):
    assert volume(mesh) == pytest.approx(expected, rel=0.01)


def test_moving_turns_before_it_shifts():
    mesh = slab((1, 2), (0, 0.1), (0, 0.1), PAINT).moved(10, 20, 1, yaw=np.pi / 2)
    assert mesh.vertices.min(0) == pytest.approx([9.9, 21, 1], abs=1e-5)
    assert mesh.vertices.max(0) == pytest.approx([10, 22, 1.1], abs=1e-5)


def test_swinging_lifts_the_lower_end_forward():
    leg = tube((0, 0, 1), (0, 0, 0), 0.01, PAINT).swung(0.5, (0, 0, 1))
    lowest = leg.vertices[leg.vertices[:, 2].argmin()]
    assert lowest[0] == pytest.approx(np.sin(0.5), abs=0.02)
    assert lowest[2] == pytest.approx(1 - np.cos(0.5), abs=0.02)


@pytest.mark.parametrize("kind", CAR_SHAPES)
def test_cars_have_the_size_of_cars_and_stand_on_their_wheels(kind):
    low, high = (np.array(side) for side in _bounds(car(kind, (1, 0, 0))))
    length, width, height = high - low
    assert 3.9 < length < 5.2
    assert 1.7 < width < 2.4
    assert 1.4 < height < 2.2
    assert low[2] == pytest.approx(0, abs=0.01)


def test_big_vehicles_and_bicycles_have_their_size():
    sizes = {name: np.subtract(*_bounds(mesh)[::-1]) for name, mesh in _others().items()}
    assert sizes["bus"][0] == pytest.approx(11.1, abs=0.2)
    assert sizes["truck"][2] == pytest.approx(3.3, abs=0.1)
    assert sizes["bicycle"][0] < 2.0
    assert sizes["rider"][2] == pytest.approx(1.8, abs=0.15)


def _others():
    return {
        "bus": bus((1, 0, 0)),
        "truck": truck((1, 0, 0)),
        "bicycle": bicycle((1, 0, 0)),
        "rider": bicycle((1, 0, 0), ridden=(0, 1, 0)),
    }


def _bounds(mesh):
    return mesh.vertices.min(0), mesh.vertices.max(0)


def test_people_walk_with_alternating_legs_and_keep_their_height():
    person = walker(np.random.default_rng(0), height=1.8)
    poses = [person.posed(walked) for walked in (0.0, 0.35, 0.7, 1.05)]
    strides = [np.ptp(pose.vertices[pose.vertices[:, 2] < 0.3][:, 0]) for pose in poses]
    assert strides[1] > strides[0] + 0.4
    assert strides[3] == pytest.approx(strides[1], abs=0.02)
    assert all(pose.vertices[:, 2].max() == pytest.approx(1.8, abs=0.06) for pose in poses)


@pytest.mark.parametrize("kind", LOTS)
def test_lots_stay_behind_the_building_line(kind):
    length, lot = LOTS[kind](np.random.default_rng(1))
    on_the_pavement = lot.vertices[(lot.vertices[:, 2] < 2.0)][:, 1]
    assert on_the_pavement.min() > 8.3
    assert length % 3.0 == 0.0


@pytest.mark.parametrize("seed", range(3))
def test_every_street_has_every_class_but_the_sky(seed):
    made = build_scene(np.random.default_rng(seed), duration_s=10.0, speed_mps=8.0)
    labels = set(made.still.label.tolist())
    for mover in made.movers:
        labels |= set(mover.posed(0.0).label.tolist())
    assert labels == set(range(25)) - {Label.SKY}


def test_the_lanes_are_clear_of_what_stands(scene):
    still = scene.still
    middle = still.vertices[still.faces].mean(1)
    in_lanes = (np.abs(middle[:, 1]) < 3.1) & (middle[:, 2] > 0.05) & (middle[:, 2] < 3.5)
    along = (middle[:, 0] > -30) & (middle[:, 0] < 150)
    assert not np.any(in_lanes & along)


def test_nobody_is_run_over(scene):
    for t_s in np.arange(0, 4, 0.1):
        places = np.array([mover.position(t_s) for mover in scene.movers if not hasattr(mover, "walker")])
        people = np.array([mover.position(t_s) for mover in scene.movers if hasattr(mover, "walker")])
        ego = scene.drive.pose(t_s)[:2, 3]
        gaps = np.abs(people[:, None] - places[None])
        on_the_road = np.abs(places[:, 1]) < 5
        assert not np.any((gaps[..., 0] < 1.5) & (gaps[..., 1] < 1.0) & on_the_road)
        ahead = np.abs(people - ego)
        assert not np.any((ahead[:, 0] < 3) & (ahead[:, 1] < 1.5))


def test_the_same_generator_draws_the_same_scene(scene):
    again = build_scene(np.random.default_rng(5), duration_s=4.0, speed_mps=8.0)
    for field in dataclasses.fields(scene.still):
        np.testing.assert_array_equal(getattr(scene.still, field.name), getattr(again.still, field.name))
    assert [mover.position(1.5) for mover in scene.movers] == [mover.position(1.5) for mover in again.movers]
    other = build_scene(np.random.default_rng(6), duration_s=4.0, speed_mps=8.0)
    assert len(other.still) != len(scene.still)


def test_the_drive_moves_smoothly_and_stays_in_its_lane(scene):
    times = np.arange(0, 4, 0.01)
    poses = np.array([scene.drive.pose(t) for t in times])
    speed = np.diff(poses[:, 0, 3]) / 0.01
    assert np.all((speed > 6) & (speed < 10))
    assert np.all(np.abs(poses[:, 1, 3] + 1.75) < 0.1)
    turns = poses[:, :3, :3]
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), np.tile(np.eye(3), (len(poses), 1, 1)), atol=1e-12)
    sideways = np.diff(poses[:, 1, 3]) / np.diff(poses[:, 0, 3])
    np.testing.assert_allclose(np.arctan(sideways), np.arctan2(poses[1:, 1, 0], poses[1:, 0, 0]), atol=2e-3)
