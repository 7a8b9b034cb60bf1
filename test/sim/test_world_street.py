# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Whole streets: ground everywhere, free lanes, people where people walk, and rare classes in sight."""

from dataclasses import dataclass

import numpy as np
import pytest

from any2seg_core.frames import CameraModel
from any2seg_sim.materials import Label
from any2seg_sim.renderer import Renderer
from any2seg_sim.scene import Scene, build_scene
from any2seg_sim.tracer import Tracer
from any2seg_sim.traffic import Pedestrian, Vehicle
from any2seg_sim.weather import Weather
from any2seg_sim.world.layout import lay_out
from any2seg_sim.world.measures import FRONT_M, KERB_M, MOUTH_M, SIDEWALK_Z
from any2seg_sim.world.plan import Plan, distance

SEEDS, DURATION_S, SPEED_MPS = (0, 1, 3), 16.0, 8.0
TIMES_S = np.linspace(0.5, DURATION_S, 10)
CAMERA = CameraModel(96, 96, np.array([(48.0, 0.0, 47.5), (0.0, 48.0, 47.5), (0.0, 0.0, 1.0)]))
MOUNTED = np.array([(0.0, 0.0, 1.0, 1.5), (-1.0, 0.0, 0.0, 0.0), (0.0, -1.0, 0.0, 1.6), (0.0, 0.0, 0.0, 1.0)])


@dataclass(frozen=True)
class Town:
    plan: Plan
    scene: Scene
    tracer: Tracer
    shares: np.ndarray


def built(seed):
    """Plan and scene of a seed; the plan is what a scene's generator draws first."""
    plan = lay_out(np.random.default_rng(seed), SPEED_MPS * DURATION_S)
    scene = build_scene(np.random.default_rng(seed), duration_s=DURATION_S, speed_mps=SPEED_MPS)
    return Town(plan, scene, Tracer(scene.still), shares(scene))


def shares(scene):
    """Share of each class in a few small pictures along the drive, (25,)."""
    renderer = Renderer(scene, weather=Weather.drawn("cloud", np.random.default_rng(0)), samples=1)
    counts = np.zeros(25)
    for t_s in TIMES_S.tolist():
        renderer.set_time(t_s)
        _, labels = renderer.truth(CAMERA, scene.drive.pose(t_s) @ MOUNTED)
        counts += np.bincount(labels.ravel(), minlength=25)
    return counts / counts.sum()


@pytest.fixture(scope="module")
def towns():
    return [built(seed) for seed in SEEDS]


def below(tracer, places, from_z):
    origins = np.column_stack([places, np.full(len(places), from_z)]).astype(np.float32)
    hits = tracer.nearest(origins, np.tile(np.float32([0, 0, -1]), (len(places), 1)))
    return from_z - hits.distance, tracer.label[hits.face]


def test_rare_classes_are_seen_on_every_drive(towns):
    for seed, town in zip(SEEDS, towns, strict=True):
        for label in (Label.TRAFFIC_SIGN, Label.GROUND_RAIL, Label.TRAFFIC_LIGHT, Label.POLE):
            assert town.shares[label] > 0.0015, (seed, label)
        assert town.shares[Label.WATER] > 0.0003, seed
        assert 0.3 < town.shares[Label.ROAD] < 0.45, seed


def test_no_class_is_hardly_ever_seen(towns):
    mean = np.mean([town.shares for town in towns], axis=0)
    for label in Label:
        assert mean[label] > 0.001, label.name
    assert mean[Label.BUILDING] > 0.08


def test_there_is_ground_from_house_to_house(towns):
    rng = np.random.default_rng(0)
    for town in towns:
        for street in town.plan.streets:
            along = rng.uniform(0.02, street.path.length - 0.02, 3000)
            across = rng.uniform(-FRONT_M + 0.03, FRONT_M - 0.03, 3000)
            heights, _ = below(town.tracer, street.path.beside(along, across), 0.7)
            assert heights.min() > -1.0
            # Two known gaps in bends: wedges where a straight railway meets the pavement, and slits along the kerb.
            rails = [s for name, s in street.sights if name == "rails"]
            known = np.abs(np.abs(across) - KERB_M) < 0.03
            for s in rails:
                known |= (np.abs(along - s) < 7.0) & (np.abs(across) > KERB_M - 0.03)
            holes = heights < -0.12
            assert np.mean(holes) < 0.008
            assert not np.any(holes & ~known), along[holes & ~known]
        for junction in town.plan.junctions:
            places = (junction.x, junction.y) + rng.uniform(-MOUTH_M, MOUTH_M, (2000, 2)) / np.sqrt(2)
            assert below(town.tracer, places, 0.7)[0].min() > -0.01


def near(points, line, cell=4.0):
    """Tell which points (N, 2 or more) lie in a square cell that a line (M, 2) runs through, or beside one."""
    around = np.array([(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1)])
    cells, wanted = (np.floor(places[:, :2] / cell).astype(np.int64) for places in (points, line))
    keys = (wanted[:, None] + around).reshape(-1, 2) @ (1, 100_000)
    return np.isin(cells @ (1, 100_000), np.unique(keys))


def test_lanes_of_the_drive_are_free(towns):
    for seed, town in zip(SEEDS, towns, strict=True):
        points = town.scene.still.vertices.astype(np.float64)
        points = points[(points[:, 2] > 0.3) & (points[:, 2] < 2.2)]
        points = points[near(points, town.scene.drive.path.xy)]
        for t_s in np.arange(0.0, DURATION_S, 0.5).tolist():
            pose = town.scene.drive.pose(t_s)
            local = (points - pose[:3, 3]) @ pose[:3, :3]
            ahead = local[(np.abs(local[:, 0]) < 2.5) & (np.abs(local[:, 1]) < 1.2)]
            assert len(ahead) == 0, (seed, t_s, ahead[0])


def people(town):
    found = [mover for mover in town.scene.movers if isinstance(mover, Pedestrian)]
    return [one for one in found if one.loop], [one for one in found if not one.loop]


def test_who_strolls_stays_on_the_pavement(towns):
    for town in towns:
        strolling, _ = people(town)
        assert len(strolling) > 20
        for t_s in (0.0, 5.3, 11.9):
            places = np.array([one.position(t_s) for one in strolling])
            away = town.plan.clearance(places)
            assert away.min() > KERB_M + 0.5
            assert away.max() < FRONT_M


def test_who_crosses_does_it_at_a_crossing_and_starts_and_ends_beside_the_road(towns):
    for town in towns:
        _, crossing = people(town)
        assert crossing
        for one in crossing:
            (start, end), middle = one.path.xy[[0, -1]], one.path.pose(one.path.length / 2)[:2]
            lines = [street.path.xy for street in town.plan.streets]
            assert np.min(distance(np.array([middle]), np.concatenate(lines))) < 0.3
            assert one.path.length == pytest.approx(2 * (KERB_M + 0.75))
            mouths = [junction.mouth(arm)[:2] for junction in town.plan.junctions for arm in junction.arms]
            zebras = [
                street.path.pose(s)[:2] for street in town.plan.streets for name, s in street.sights if name == "zebra"
            ]
            near = min(np.hypot(*np.subtract(middle, place)) for place in (*mouths, *zebras))
            assert near < 4.5
            for t_s, place in ((one.from_s, start), (one.until_s, end)):
                assert one.position(t_s) == pytest.approx(place.tolist(), abs=0.02)


def test_people_walk_at_the_pace_of_people(towns):
    times = np.arange(0.0, DURATION_S, 0.1)
    for town in towns:
        strolling, crossing = people(town)
        for one in [*strolling[::3], *crossing]:
            assert 1.0 < one.speed_mps < 1.7
            spots = np.array([one.position(t_s) for t_s in times.tolist()])
            speed = np.hypot(*np.diff(spots, axis=0).T) / 0.1
            # At the end of a pavement they turn round on a small circle, whose chords are shorter than the way.
            assert speed.max() < 1.15 * one.speed_mps
            if one.loop:
                assert np.median(speed) == pytest.approx(one.speed_mps, rel=0.05)


def test_people_stand_on_what_lies_below_them(towns):
    town = towns[0]
    strolling, crossing = people(town)
    for t_s in (1.0, 8.0):
        for one in [*strolling[::4], *crossing]:
            place = np.array([one.position(t_s)])
            ground, label = below(town.tracer, place, 0.5)
            low = float(one.posed(t_s).vertices[:, 2].min())
            if label[0] in (Label.SIDE_WALK, Label.ROAD, Label.ROAD_LINE):
                assert -0.1 < low - ground[0] < 0.16
            assert low > -0.1
            walks = town.plan.clearance(place)[0] > KERB_M + 0.5
            assert low > SIDEWALK_Z - 0.1 or not walks


def test_vehicles_keep_to_the_road_and_their_speed(towns):
    for town in towns:
        vehicles = [mover for mover in town.scene.movers if isinstance(mover, Vehicle)]
        assert len(vehicles) > 8
        for one in vehicles:
            times = [t_s for t_s in np.arange(0.0, DURATION_S, 0.4).tolist() if one.present(t_s)]
            for t_s in times:
                away = float(np.min(np.hypot(*(town.plan.route.xy - one.position(t_s)).T)))
                assert away < KERB_M - one.reach[1]
                x, y, u, v = *one.position(t_s), *one.position(t_s + 0.1)
                assert np.hypot(u - x, v - y) / 0.1 < 11.0
            if times:
                low = one.posed(times[0]).vertices[:, 2].min()
                assert -0.03 < low < 0.03
