# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""People: their joints, their steps on the ground, their feet on pedals."""

import itertools
import math

import numpy as np
import pytest

from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.objects.bikes import BICYCLE_CRANK, BICYCLE_SEAT
from any2seg_sim.objects.bodies import ANKLE, HIP, KNEE, Look, person
from any2seg_sim.objects.people import Walker, dog, rider, walker
from any2seg_sim.objects.skeleton import Body, Joint, reach
from any2seg_sim.shapes import tube
from any2seg_sim.traffic import Dog, Pedestrian
from any2seg_sim.world.path import Path

HEIGHT = 1.75
STRIDE_M = 0.8 * HEIGHT
PLAIN = Paint(Label.PEDESTRIAN, Surface.CLOTH, (0.5, 0.5, 0.5))


@pytest.fixture(scope="module")
def someone():
    look = Look(HEIGHT, (0.5, 0.3, 0.2), (0.1, 0.1, 0.1), (0.6, 0.1, 0.1), (0.1, 0.1, 0.4))
    return Walker(person(look), HEIGHT)


def soles(who, walked, **how):
    """The middle of each sole, left and right, (2, 3)."""
    mesh, names = who.posed(walked, **how), list(who.body.joints)
    rest = who.body.mesh.vertices
    found = []
    for side in ("left", "right"):
        mine = (who.body.part == names.index(f"{side} shin")) & (rest[:, 2] < 0.002)
        assert mine.any()
        found.append(mesh.vertices[mine].mean(0))
    return np.array(found)


def test_a_leg_bends_where_its_joints_are():
    parts = [("thigh", tube((0, 0, 1), (0, 0, 0.5), 0.01, PLAIN)), ("shin", tube((0, 0, 0.5), (0, 0, 0), 0.01, PLAIN))]
    body = Body.joined(parts, {"thigh": Joint("", 0.0, 1.0), "shin": Joint("thigh", 0.0, 0.5)})
    mesh = body.posed({"thigh": math.pi / 2, "shin": -math.pi / 2}, lift=0.2)
    # The thigh points ahead from the lifted hip, the shin hangs down from the knee.
    low, high = mesh.vertices.min(0), mesh.vertices.max(0)
    assert [*low, *high] == pytest.approx([0.0, -0.01, 0.7, 0.51, 0.01, 1.21], abs=0.015)
    foot = mesh.vertices[mesh.vertices[:, 2] < 0.72]
    assert foot[:, 0].mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("foot", [(0.1, 0.2), (0.3, 0.45), (-0.25, 0.3), (0.0, 0.05)])
def test_a_foot_reaches_what_it_is_to_reach_with_the_knee_ahead(foot):
    hip, thigh, shin = (-0.2, 0.95), 0.44, 0.42
    first, second = reach(hip, foot, thigh, shin)
    knee = hip[0] + thigh * math.sin(first), hip[1] - thigh * math.cos(first)
    found = knee[0] + shin * math.sin(first + second), knee[1] - shin * math.cos(first + second)
    if math.dist(hip, foot) < thigh + shin:
        assert found == pytest.approx(foot, abs=2e-3)
    else:  # Stretched towards it.
        assert math.dist(hip, found) == pytest.approx(thigh + shin, rel=2e-3)
    assert second <= 0.0


def test_limbs_keep_their_length(someone):
    rest = someone.body.mesh.vertices
    for walked in np.linspace(0.0, STRIDE_M, 7):
        posed = someone.posed(float(walked)).vertices
        for part in range(len(someone.body.joints)):
            mine = np.flatnonzero(someone.body.part == part)
            if not len(mine):  # Hips are a joint alone.
                continue
            before, after = (points[mine] - points[mine[0]] for points in (rest, posed))
            assert np.linalg.norm(after, axis=1) == pytest.approx(np.linalg.norm(before, axis=1), abs=1e-5)


def test_one_foot_is_always_on_the_ground_and_none_below_it(someone):
    for walked in np.linspace(0.0, STRIDE_M, 41):
        feet = soles(someone, float(walked))
        assert -0.03 < feet[:, 2].min() < 0.045
        # The toes of a foot that rolls off dip into the ground.
        assert someone.posed(float(walked)).vertices[:, 2].min() > -0.1


def test_the_foot_on_the_ground_hardly_slides(someone):
    walked = np.linspace(0.0, 2 * STRIDE_M, 400)
    feet = np.array([soles(someone, float(way)) for way in walked])
    on_street = feet[:, :, 0] + walked[:, None]
    lower = np.argmin(feet[:, :, 2], axis=1)
    changes = np.flatnonzero(np.diff(lower)) + 1
    for first, last in itertools.pairwise(changes.tolist()):
        stance, swing = (on_street[first:last, foot] for foot in (lower[first], 1 - lower[first]))
        assert np.ptp(stance) < 0.25
        assert np.ptp(swing) > 1.0
    assert len(changes) == 4


def test_steps_are_as_long_as_people_take_them(someone):
    ahead = np.array([np.diff(soles(someone, float(way))[:, 0])[0] for way in np.linspace(0.0, STRIDE_M, 60)])
    assert 0.55 < np.abs(ahead).max() < 0.95
    # Left and right do the same, half a stride apart.
    half = soles(someone, 0.3 + STRIDE_M / 2)
    assert half[::-1, [0, 2]] == pytest.approx(soles(someone, 0.3)[:, [0, 2]], abs=1e-4)


def test_arms_swing_against_the_legs(someone):
    names = list(someone.body.joints)
    for walked in (0.1, 0.25, 0.8):
        mesh = someone.posed(walked)
        hand, foot = (
            mesh.vertices[someone.body.part == names.index(f"left {part}")][:, 0].mean() for part in ("forearm", "shin")
        )
        other = mesh.vertices[someone.body.part == names.index("right shin")][:, 0].mean()
        if abs(foot - other) > 0.2:
            right = mesh.vertices[someone.body.part == names.index("right forearm")][:, 0].mean()
            assert (hand - right) * (foot - other) < 0


def test_who_stands_stands_straight(someone):
    mesh = someone.posed(0.37, going=0.0)
    assert np.ptp(mesh.vertices[:, 2]) == pytest.approx(HEIGHT, rel=0.03)
    assert soles(someone, 0.37, going=0.0)[:, 2] == pytest.approx(0.0, abs=0.01)


def test_people_have_the_proportions_of_people(someone):
    mesh = someone.posed(0.0, going=0.0)
    skin = mesh.vertices[mesh.faces[np.all(np.isclose(mesh.rgb, (0.5, 0.3, 0.2)), axis=1)]].reshape(-1, 3)
    head = skin[skin[:, 2] > 0.85 * HEIGHT]
    assert 0.1 < np.ptp(head[:, 2]) / HEIGHT < 0.17
    width, legs = np.ptp(mesh.vertices[:, 1]), (HIP - ANKLE) * HEIGHT
    assert 0.22 < width / HEIGHT < 0.36
    assert 0.42 < legs / HEIGHT < 0.55
    assert ANKLE < KNEE < HIP


def test_clothes_differ_and_so_do_people():
    looks = [Look.drawn(np.random.default_rng(seed), 1.7) for seed in range(60)]
    assert {look.dress for look in looks} == {"trousers", "shorts", "skirt", "coat"}
    assert {look.bag for look in looks} == {"none", "backpack", "handbag", "shopping", "pram"}
    assert len({look.top for look in looks}) >= 8


def test_far_people_are_simple_and_look_alike():
    near, far = (walker(np.random.default_rng(3), fine=fine).posed(0.4) for fine in (True, False))
    assert len(far) < 0.75 * len(near)
    for corner in (np.min, np.max):
        assert corner(far.vertices, axis=0) == pytest.approx(corner(near.vertices, axis=0), abs=0.05)


def test_a_cyclist_sits_on_the_seat_with_both_feet_on_the_pedals():
    who = rider(np.random.default_rng(1), seat=BICYCLE_SEAT, crank=BICYCLE_CRANK, lean=0.4, pedals=0.17)
    names = list(who.body.joints)
    soles_at = {
        side: (who.body.part == names.index(f"{side} shin")) & (who.body.mesh.vertices[:, 2] < 0.002)
        for side in ("left", "right")
    }
    for ridden in np.linspace(0.0, 2 * math.pi * 0.85, 9):
        mesh, turn = who.posed(float(ridden)), -float(ridden) / 0.85
        for side, phase in (("left", 0.0), ("right", math.pi)):
            pedal = BICYCLE_CRANK[0] + 0.17 * math.cos(turn + phase), BICYCLE_CRANK[1] + 0.17 * math.sin(turn + phase)
            sole = mesh.vertices[soles_at[side]].mean(0)
            assert math.dist(pedal, (sole[0], sole[2])) < 0.1
        trunk = mesh.vertices[who.body.part == names.index("trunk")]
        assert trunk[:, 2].min() == pytest.approx(BICYCLE_SEAT[1], abs=0.12)
        assert 1.45 < trunk[:, 2].max() < 1.95


def test_who_crosses_steps_off_the_kerb_and_on_it_again(someone):
    path = Path.of_curvature((0.0, 0.0, 0.0), [(0.0, 0.0), (15.0, 0.0)])
    one = Pedestrian(someone, path, 0.0, 1.5, 2.0, 12.0, pavement=0.15, road=(1.0, 14.0))
    lows = {t_s: float(one.posed(t_s).vertices[:, 2].min()) for t_s in (0.0, 2.2, 7.0, 11.8, 20.0)}
    assert [lows[t_s] for t_s in (0.0, 2.2, 11.8, 20.0)] == pytest.approx([0.15] * 4, abs=0.09)
    assert lows[7.0] < 0.02
    assert lows[0.0] == pytest.approx(0.15, abs=0.01)
    assert [one.position(t_s)[0] for t_s in (0.0, 2.0, 7.0, 12.0, 30.0)] == pytest.approx([0, 0, 7.5, 15, 15])


def test_a_dog_trots_on_four_legs():
    body = dog(np.random.default_rng(0))
    assert len(body.joints) == 5
    at_rest, going = (Dog(body).posed(0.1, going=share) for share in (0.0, 1.0))
    assert at_rest.vertices[:, 2].min() == pytest.approx(0.0, abs=0.01)
    assert -0.02 < going.vertices[:, 2].min() < 0.06
    assert set(going.label.tolist()) == {Label.DYNAMIC}
