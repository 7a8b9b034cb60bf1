# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What the street is made of, and that chance alone decides it."""

import dataclasses

import numpy as np
import pytest

from any2seg_core.frames import DELIVER_CLASSES
from any2seg_sim.materials import MATERIALS, Label, Paint, Surface
from any2seg_sim.objects.bikes import bicycle
from any2seg_sim.objects.cars import CAR_SHAPES, car
from any2seg_sim.objects.heavy import bus, truck
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
    low, high = bounds(car(kind, (1, 0, 0)))
    length, width, height = high - low
    assert 3.3 < length < 5.6
    assert 1.6 < width < 2.5
    assert 1.2 < height < 2.6
    assert low[2] == pytest.approx(0, abs=0.02)


def test_big_vehicles_and_bicycles_have_their_size():
    sizes = {name: np.subtract(*bounds(made((1, 0, 0)))[::-1]) for name, made in BUILT.items()}
    assert 9 < sizes["bus"][0] < 19
    assert 2.8 < sizes["bus"][2] < 4.5
    assert 5 < sizes["truck"][0] < 18
    assert 1.5 < sizes["bicycle"][0] < 2.1


BUILT = {"bus": bus, "truck": truck, "bicycle": bicycle}


def bounds(mesh):
    return mesh.vertices.min(0), mesh.vertices.max(0)


def test_streets_have_every_class_but_the_sky():
    labels = set()
    for seed in range(4):
        made = build_scene(np.random.default_rng(seed), duration_s=15.0, speed_mps=8.0)
        labels |= set(made.still.label.tolist())
        for mover in made.movers:
            labels |= set(mover.posed(0.0).label.tolist())
    assert labels == set(range(25)) - {Label.SKY}


def test_the_way_of_the_ego_vehicle_is_clear_of_what_stands(scene):
    still = scene.still
    middle = still.vertices[still.faces].mean(1)
    body = middle[(middle[:, 2] > 0.25) & (middle[:, 2] < 1.9)]
    for t_s in np.arange(0, 4, 0.2):
        local = (body - scene.drive.pose(t_s)[:3, 3]) @ scene.drive.pose(t_s)[:3, :3]
        assert not np.any((np.abs(local[:, 0]) < 2.0) & (np.abs(local[:, 1]) < 0.9)), t_s


def footprint(x, y, heading, reach):
    """Points of a rectangle's outline and inside, (N, 2)."""
    along, across = np.meshgrid(np.linspace(-reach[0], reach[0], 9), np.linspace(-reach[1], reach[1], 5))
    flat = np.stack([along.ravel(), across.ravel()], 1)
    turn = np.array([[np.cos(heading), np.sin(heading)], [-np.sin(heading), np.cos(heading)]])
    return flat @ turn + (x, y)


def inside(points, x, y, heading, reach):
    turn = np.array([[np.cos(heading), -np.sin(heading)], [np.sin(heading), np.cos(heading)]])
    local = np.abs((points - (x, y)) @ turn)
    return bool(np.any((local[:, 0] < reach[0]) & (local[:, 1] < reach[1])))


@pytest.mark.parametrize("seed", [5, 8])
def test_nobody_drives_through_anybody(seed):
    scene = build_scene(np.random.default_rng(seed), duration_s=6.0, speed_mps=8.0)
    for t_s in np.arange(0, 6, 0.25):
        pose = scene.drive.pose(t_s)
        ego = (*pose[:2, 3], np.arctan2(pose[1, 0], pose[0, 0]), (2.2, 0.9))
        there = [mover for mover in scene.movers if mover.present(t_s)]
        places = [(*mover.position(t_s), mover.heading(t_s), mover.reach) for mover in there]
        vehicles = [place for place in places if place[3][0] > 0.6] + [ego]
        for place in vehicles:
            near = [
                other
                for other in [*places, ego]
                if other != place and np.hypot(*np.subtract(other[:2], place[:2])) < 14
            ]
            for other in near:
                assert not inside(footprint(*other), *place), (t_s, place, other)


def test_the_same_generator_draws_the_same_scene(scene):
    again = build_scene(np.random.default_rng(5), duration_s=4.0, speed_mps=8.0)
    for field in dataclasses.fields(scene.still):
        np.testing.assert_array_equal(getattr(scene.still, field.name), getattr(again.still, field.name))
    assert [mover.position(1.5) for mover in scene.movers] == [mover.position(1.5) for mover in again.movers]
    other = build_scene(np.random.default_rng(6), duration_s=4.0, speed_mps=8.0)
    assert len(other.still) != len(scene.still)


@pytest.mark.parametrize("seed", range(5))
def test_the_drive_moves_as_a_car_does(seed):
    drive = build_scene(np.random.default_rng(seed), duration_s=10.0, speed_mps=8.0).drive
    times = np.arange(0, 10, 0.02)
    poses = np.array([drive.pose(t_s) for t_s in times])
    velocity = np.diff(poses[:, :2, 3], axis=0) / 0.02
    speed = np.hypot(*velocity.T)
    assert speed.max() < 9.5
    assert np.abs(np.diff(speed) / 0.02).max() < 6
    travelled = np.array([drive.travelled(t_s) for t_s in times])
    assert travelled[0] == pytest.approx(0, abs=1e-6)
    assert np.all(np.diff(travelled) >= 0)
    turns = poses[:, :3, :3]
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), np.tile(np.eye(3), (len(poses), 1, 1)), atol=1e-12)
    fast = speed > 2
    course, heading = np.arctan2(velocity[:, 1], velocity[:, 0]), np.arctan2(poses[1:, 1, 0], poses[1:, 0, 0])
    off = np.angle(np.exp(1j * (course - heading)))
    assert np.abs(off[fast]).max() < 0.12


def test_streets_bend_and_drives_turn():
    turned = []
    for seed in range(8):
        drive = build_scene(np.random.default_rng(seed), duration_s=15.0, speed_mps=8.0).drive
        headings = np.unwrap([np.arctan2(*drive.pose(t_s)[[1, 0], 0]) for t_s in np.arange(0, 15, 0.25)])
        turned.append(np.ptp(headings))
    assert max(turned) > 1.2  # a corner
    assert sum(angle > 0.15 for angle in turned) >= 4


def test_lamps_stand_above_the_street_and_shine_down(scene):
    assert len(scene.lamps) >= 3
    for lamp in scene.lamps:
        assert np.linalg.norm(lamp.direction) == pytest.approx(1)
        assert 0.3 < lamp.position[2] < 14
    left, right = scene.drive.lamps_at(1.0)
    ahead = scene.drive.pose(1.0)[:3, 0]
    assert np.dot(left.direction, ahead) > 0.9
    assert np.linalg.norm(np.subtract(left.position, right.position)) == pytest.approx(1.3, abs=0.1)
