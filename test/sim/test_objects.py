# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Every kind of object: sound triangles, sizes that a stranger would give it, its classes, its front."""

import numpy as np
import pytest

from any2seg_sim.gallery import exhibits
from any2seg_sim.materials import Label, Surface
from any2seg_sim.objects import railway
from any2seg_sim.objects.bikes import bicycle, motorcycle, scooter
from any2seg_sim.objects.cars import CAR_SHAPES, car, headlight_places
from any2seg_sim.objects.heavy import BUS_COLOURS, TRUCKS, bus, truck
from any2seg_sim.objects.plants import SPECIES, tree
from any2seg_sim.objects.signals import SIGN_KINDS, traffic_light, traffic_sign
from any2seg_sim.tracer import Tracer

CAR, TRUCK, TREE, SIGN = (Label.CARS,), (Label.TRUCK,), (Label.VEGETATION,), (Label.POLE, Label.TRAFFIC_SIGN)
PERSON, BIKE, RIDDEN = (Label.PEDESTRIAN,), (Label.TWO_WHEELER,), (Label.TWO_WHEELER, Label.PEDESTRIAN)
HOUSE, OTHER, STATIC, DYNAMIC = (Label.BUILDING,), (Label.OTHER,), (Label.STATIC,), (Label.DYNAMIC,)
FENCE, WALL, TRACK, BRIDGE = (Label.FENCE,), (Label.WALL,), (Label.RAIL_TRACK,), (Label.BRIDGE,)
SIZES = {
    # Length along its front's direction, width and height: least and greatest, metres.
    "sedan": ((4.2, 5.0), (1.8, 2.2), (1.35, 1.6), CAR),
    "hatchback": ((3.7, 4.4), (1.7, 2.2), (1.4, 1.6), CAR),
    "estate": ((4.3, 5.0), (1.8, 2.2), (1.4, 1.65), CAR),
    "suv": ((4.2, 5.0), (1.8, 2.3), (1.6, 1.9), CAR),
    "van": ((4.4, 5.3), (1.9, 2.4), (1.8, 2.3), CAR),
    "city": ((3.2, 3.7), (1.6, 2.1), (1.4, 1.6), CAR),
    "coupe": ((4.1, 4.7), (1.8, 2.2), (1.2, 1.4), CAR),
    "bus": ((10.5, 13.0), (2.45, 3.1), (2.9, 3.6), (Label.BUS,)),
    "truck, box": ((7.0, 8.5), (2.3, 3.1), (3.0, 4.0), TRUCK),
    "truck, curtain": ((7.0, 8.5), (2.3, 3.1), (3.0, 4.0), TRUCK),
    "truck, tipper": ((7.0, 8.5), (2.3, 3.1), (2.4, 3.5), TRUCK),
    "bicycle": ((1.6, 2.0), (0.4, 0.75), (0.9, 1.2), BIKE),
    "scooter": ((1.6, 2.1), (0.5, 0.8), (1.0, 1.35), BIKE),
    "motorcycle": ((1.9, 2.3), (0.6, 0.9), (1.0, 1.35), BIKE),
    "bicycle, ridden": ((1.6, 2.0), (0.4, 0.75), (1.5, 2.0), RIDDEN),
    "scooter, ridden": ((1.6, 2.1), (0.5, 0.8), (1.4, 1.9), RIDDEN),
    "motorcycle, ridden": ((1.9, 2.3), (0.6, 0.9), (1.4, 1.9), RIDDEN),
    "standing": ((0.2, 0.45), (0.4, 0.65), (1.7, 1.85), PERSON),
    "walking": ((0.4, 1.1), (0.4, 0.65), (1.65, 1.85), PERSON),
    "shorts, backpack": ((0.5, 1.2), (0.4, 0.7), (1.65, 1.85), PERSON),
    "skirt, handbag": ((0.3, 1.1), (0.4, 0.7), (1.65, 1.85), PERSON),
    "coat, shopping": ((0.4, 1.1), (0.4, 0.7), (1.65, 1.85), PERSON),
    "hood, pram": ((1.2, 1.9), (0.4, 0.75), (1.65, 1.85), (*PERSON, *DYNAMIC)),
    "far away": ((0.3, 2.0), (0.4, 0.75), (1.6, 1.85), (*PERSON,)),
    "dog": ((0.8, 1.3), (0.15, 0.4), (0.5, 0.85), DYNAMIC),
    **{f"sign, {kind}": ((0.05, 0.3), (0.7, 1.15), (2.6, 3.3), SIGN) for kind in SIGN_KINDS},
    "direction board": ((0.05, 0.3), (2.0, 2.6), (3.0, 3.6), SIGN),
    "traffic light": ((0.3, 0.7), (0.5, 0.9), (3.5, 4.3), (Label.POLE, Label.TRAFFIC_LIGHT)),
    "lights on an arm": ((0.3, 0.7), (4.5, 6.0), (5.5, 6.6), (Label.POLE, Label.TRAFFIC_LIGHT)),
    "level crossing": ((0.1, 0.4), (1.2, 1.9), (3.4, 4.2), (*SIGN, Label.TRAFFIC_LIGHT)),
    "street lamp": ((1.6, 2.6), (0.2, 0.6), (6.5, 8.0), (Label.POLE,)),
    "bench": ((0.4, 0.8), (1.3, 2.0), (0.75, 1.1), STATIC),
    "litter bin": ((0.4, 0.7), (0.4, 0.7), (0.7, 1.1), STATIC),
    "hydrant": ((0.2, 0.5), (0.2, 0.5), (0.55, 1.0), STATIC),
    "bus shelter": ((1.0, 1.7), (3.5, 5.5), (2.3, 3.2), (*STATIC, *SIGN)),
    "cabinet": ((0.3, 0.7), (0.8, 1.6), (1.0, 1.6), STATIC),
    "bollards": ((0.08, 0.3), (1.8, 3.6), (0.7, 1.1), STATIC),
    "planter": ((0.5, 1.0), (1.4, 2.4), (0.7, 1.3), (*STATIC, Label.VEGETATION)),
    "skip": ((1.4, 2.1), (3.2, 4.4), (1.0, 1.7), STATIC),
    "terrace table": ((1.8, 2.8), (1.8, 2.8), (2.1, 2.8), STATIC),
    "rubbish": ((0.5, 1.0), (1.5, 2.6), (0.9, 1.3), DYNAMIC),
    "parcels": ((0.4, 0.9), (0.8, 1.5), (0.9, 1.4), DYNAMIC),
    "road works": ((0.5, 1.4), (3.0, 5.5), (0.9, 1.4), DYNAMIC),
    "street works": ((1.8, 2.8), (4.5, 6.2), (0.9, 2.0), (*DYNAMIC, Label.GROUND)),
    "kiosk": ((1.2, 2.0), (1.2, 2.0), (2.8, 4.0), OTHER),
    "phone box": ((0.8, 1.2), (0.8, 1.2), (2.2, 2.8), OTHER),
    "statue": ((0.9, 2.0), (0.9, 2.0), (3.0, 5.0), OTHER),
    "market stall": ((1.6, 2.8), (2.6, 4.0), (2.3, 3.2), OTHER),
    "playground": ((1.8, 4.5), (6.5, 9.0), (2.6, 4.2), OTHER),
    "fountain": ((3.8, 4.2), (3.8, 4.2), (0.9, 2.0), (*STATIC, Label.WATER)),
    "boat": ((5.0, 8.5), (1.8, 3.2), (1.2, 3.0), OTHER),
    **{f"fence, {kind}": ((0.03, 0.2), (4.9, 5.2), (1.2, 1.7), FENCE) for kind in ("pickets", "iron", "boards")},
    "railing": ((0.04, 0.1), (4.9, 5.1), (0.95, 1.15), FENCE),
    "guard rail": ((0.1, 0.3), (4.9, 5.1), (0.7, 1.0), (Label.GROUND_RAIL,)),
    **{f"wall, {kind}": ((0.3, 0.6), (5.9, 6.5), (2.0, 2.6), WALL) for kind in ("brick", "stone", "concrete")},
    "track": ((7.9, 8.1), (2.4, 4.2), (0.3, 0.8), TRACK),
    "street track": ((7.9, 8.1), (1.5, 3.0), (0.02, 0.25), TRACK),
    "tunnels": ((0.6, 1.2), (11.0, 12.5), (5.0, 7.0), WALL),
    "viaduct": ((7.0, 8.5), (47.0, 49.0), (6.5, 9.5), BRIDGE),
    "footbridge": ((10.0, 13.0), (21.0, 22.0), (6.3, 7.5), BRIDGE),
    "plane": ((3.5, 9.0), (3.5, 9.0), (6.5, 12.0), TREE),
    "maple": ((3.5, 7.5), (3.5, 7.5), (5.5, 9.0), TREE),
    "birch": ((2.2, 5.5), (2.2, 5.5), (6.5, 10.5), TREE),
    "poplar": ((2.0, 5.0), (2.0, 5.0), (8.0, 14.0), TREE),
    "cherry": ((3.0, 6.5), (3.0, 6.5), (4.5, 7.5), TREE),
    "spruce": ((2.5, 6.0), (2.5, 6.0), (7.0, 13.0), TREE),
    "bush": ((0.8, 1.9), (0.8, 1.9), (0.7, 1.8), TREE),
    "hedge": ((0.5, 1.5), (4.8, 5.5), (1.1, 1.7), TREE),
    "flower bed": ((1.3, 1.9), (3.8, 4.4), (0.2, 0.8), (*TREE, Label.TERRAIN)),
    **{
        f"{style} house": ((11.5, 13.5), (11.5, 13.0), (11.0, 21.0), HOUSE)
        for style in ("plaster", "brick", "office", "modern", "gabled", "villa")
    },
    "warehouse": ((10.0, 14.0), (15.5, 17.0), (4.5, 8.0), HOUSE),
    "church": ((12.0, 15.0), (11.0, 13.5), (17.0, 28.0), HOUSE),
}
BUILT_OF_LEAVES = {*SPECIES, "spruce", "bush", "hedge", "flower bed", "planter"}
# A ray sees a surface from both sides alike, and bars, thin plates and tyres are wound either way.
WOUND_EITHER_WAY = {name for name in SIZES if name.startswith(("fence", "wall", "sign", "bicycle"))}
WOUND_EITHER_WAY |= {"guard rail", "railing", "level crossing", "track", "street track", "viaduct", "street lamp"}


@pytest.fixture(scope="module")
def meshes():
    return {name: exhibit.turned(np.random.default_rng(0)) for name, exhibit in exhibits().items()}


def size(mesh):
    return np.ptp(mesh.vertices, axis=0).tolist()


def test_every_kind_of_object_has_a_size_here():
    assert set(SIZES) == set(exhibits())


@pytest.mark.parametrize("name", SIZES)
def test_objects_have_the_size_and_the_classes_of_what_they_show(meshes, name):
    *bounds, labels = SIZES[name]
    for axis, ((least, most), found) in enumerate(zip(bounds, size(meshes[name]), strict=True)):
        assert least < found < most, f"axis {axis}"
    assert set(meshes[name].label.tolist()) == set(labels)


@pytest.mark.parametrize("name", SIZES)
def test_triangles_are_sound(meshes, name):
    mesh = meshes[name]
    assert np.isfinite(mesh.vertices).all()
    assert mesh.faces.min() >= 0
    assert mesh.faces.max() < len(mesh.vertices)
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    assert np.mean(area < 1e-8) < 0.03
    used = np.unique(mesh.faces[area > 1e-8])
    assert np.linalg.norm(mesh.normals[used], axis=1) == pytest.approx(1.0, abs=1e-3)
    assert np.all((mesh.rgb >= 0.0) & (mesh.rgb <= 1.0))
    assert set(mesh.surface.tolist()) <= {int(surface) for surface in Surface}


def looked_at(mesh, turn, up):
    """Send parallel rays at a mesh from a direction; give faces that they meet, and whether these look back."""
    ahead = -np.array([np.cos(turn) * np.cos(up), np.sin(turn) * np.cos(up), np.sin(up)])
    side = np.array([-np.sin(turn), np.cos(turn), 0.0])
    over = np.cross(side, ahead)
    middle, reach = (mesh.vertices.min(0) + mesh.vertices.max(0)) / 2, np.linalg.norm(size(mesh)) / 2
    u, v = np.meshgrid(*[np.linspace(-reach, reach, 60) + 0.003] * 2)
    starts = middle + u.ravel()[:, None] * side + v.ravel()[:, None] * over - 3 * reach * ahead
    hits = Tracer(mesh).nearest(starts.astype(np.float32), np.tile(ahead.astype(np.float32), (len(starts), 1)))
    faces = hits.face[hits.face >= 0]
    corners = mesh.vertices[mesh.faces[faces]].astype(np.float64)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return faces, normals @ ahead < 0.0


@pytest.mark.parametrize("name", sorted(SIZES.keys() - BUILT_OF_LEAVES - WOUND_EITHER_WAY))
def test_surfaces_look_outwards(meshes, name):
    for turn, up in ((0.6, 0.4), (2.4, 0.3), (4.1, 0.7)):
        faces, outwards = looked_at(meshes[name], turn, up)
        assert len(faces) > 5
        assert outwards.mean() > 0.97, (turn, up)


@pytest.mark.parametrize(
    "name", sorted(SIZES.keys() - {"track", "street track", "viaduct", "footbridge", "tunnels", "boat"})
)
def test_objects_stand_on_the_ground(meshes, name):
    # Holes and foundations reach below it.
    assert -0.61 < meshes[name].vertices[:, 2].min() < 0.11


WHEELS = {
    **{kind: (car(kind, (0.1, 0.2, 0.3)), 4) for kind in CAR_SHAPES},
    "bus": (bus(BUS_COLOURS[0]), 4),
    **{kind: (truck((0.1, 0.2, 0.3), kind=kind), 4) for kind in TRUCKS},
    "bicycle": (bicycle((0.1, 0.2, 0.3)), 2),
    "scooter": (scooter((0.1, 0.2, 0.3)), 2),
    "motorcycle": (motorcycle((0.1, 0.2, 0.3)), 2),
}


@pytest.mark.parametrize("name", WHEELS)
def test_every_wheel_touches_the_ground(name):
    mesh, least = WHEELS[name]
    rubber = mesh.vertices[mesh.faces[mesh.surface == Surface.RUBBER]].reshape(-1, 3)
    contacts = rubber[rubber[:, 2] < 0.025]
    spots = {(round(float(x) / 0.9), bool(y > 0.2), bool(y < -0.2)) for x, y, _ in contacts}
    assert len(spots) >= least
    assert mesh.vertices[:, 2].min() > -0.03
    ends = mesh.vertices[:, 0].min(), mesh.vertices[:, 0].max()
    assert contacts[:, 0].min() < ends[0] + 0.33 * (ends[1] - ends[0])
    assert contacts[:, 0].max() > ends[1] - 0.33 * (ends[1] - ends[0])


@pytest.mark.parametrize("kind", CAR_SHAPES)
def test_cars_look_like_cars(kind):
    mesh = car(kind, (0.2, 0.3, 0.4))
    middle = mesh.vertices[mesh.faces].mean(1)
    length, width, height = size(mesh)
    assert 1.6 < length / width < 2.5
    assert 0.28 < height / length < 0.48
    glass = middle[mesh.surface == Surface.GLASS]
    assert 0.5 * height < glass[:, 2].min()
    assert glass[:, 2].max() < height
    lamps = middle[mesh.surface == Surface.LAMP]
    assert lamps[:, 0].min() > 0.3 * length
    assert {bool(y > 0) for y in lamps[:, 1]} == {True, False}
    red = middle[(mesh.surface == Surface.RETROREFLECTIVE) & (mesh.rgb[:, 0] > 5 * mesh.rgb[:, 1])]
    assert red[:, 0].max() < -0.3 * length
    for x, y, z in headlight_places(kind):
        assert np.min(np.linalg.norm(lamps - (x, y, z), axis=1)) < 0.35
    # Both halves are alike.
    assert mesh.vertices[:, 1].max() == pytest.approx(-mesh.vertices[:, 1].min(), abs=0.02)


def test_a_car_is_painted_in_the_colour_asked_for():
    for rgb in ((0.5, 0.1, 0.1), (0.02, 0.02, 0.02)):
        mesh = car("sedan", rgb)
        paint = mesh.rgb[mesh.surface == Surface.CAR_PAINT]
        assert np.mean(np.all(np.isclose(paint, rgb), axis=1)) > 0.95


@pytest.mark.parametrize("kind", SIGN_KINDS)
def test_signs_turn_their_face_to_traffic_that_comes_along_x(kind):
    mesh = traffic_sign(kind)
    faces, _ = looked_at(mesh, np.pi, 0.0)
    shown = mesh.rgb[faces[mesh.label[faces] == Label.TRAFFIC_SIGN]]
    assert len(np.unique(shown.round(3), axis=0)) >= 2
    back, _ = looked_at(mesh, 0.0, 0.0)
    assert np.mean(mesh.rgb[back[mesh.label[back] == Label.TRAFFIC_SIGN]].max(1)) < 0.55
    middle = mesh.vertices[mesh.faces[mesh.label == Label.TRAFFIC_SIGN]].mean(1)
    assert middle[:, 2].min() > 1.75


@pytest.mark.parametrize("lit", ["red", "amber", "green"])
def test_one_of_three_lights_is_lit_and_red_is_on_top(lit):
    mesh = traffic_light(lit=lit)
    middle = mesh.vertices[mesh.faces].mean(1)
    ahead = (mesh.surface == Surface.LAMP) & (np.abs(middle[:, 1]) < 0.16) & (middle[:, 0] < -0.25)
    assert ahead.any()
    height = float(middle[ahead, 2].mean())
    assert height == pytest.approx({"red": 3.31, "amber": 2.95, "green": 2.59}[lit], abs=0.05)
    assert np.argmax(mesh.rgb[ahead][0]) == (1 if lit == "green" else 0)


@pytest.mark.parametrize("species", [*SPECIES, "spruce"])
def test_trees_carry_their_crown_on_a_trunk(species):
    mesh = tree(np.random.default_rng(3), species)
    leaves = mesh.vertices[mesh.faces[mesh.surface == Surface.LEAVES]].reshape(-1, 3)
    wood = mesh.vertices[mesh.faces[mesh.surface != Surface.LEAVES]].reshape(-1, 3)
    top = mesh.vertices[:, 2].max()
    assert wood[:, 2].min() < 0.05
    assert np.hypot(*wood[wood[:, 2] < 0.3][:, :2].T).max() < 0.5
    assert leaves[:, 2].max() == pytest.approx(top)
    low = {"spruce": 0.0, "poplar": 0.05}.get(species, 0.15)
    assert np.percentile(leaves[:, 2], 5) > low * top


def test_rails_lie_a_gauge_apart_and_level_with_the_road():
    street = railway.street_track(6.0)
    steel = street.vertices[street.faces[street.surface == Surface.METAL]].reshape(-1, 3)
    assert steel[:, 2].max() < 0.03
    inner = np.abs(steel[:, 1]).min()
    assert 2 * inner == pytest.approx(railway.GAUGE_M, abs=0.12)


def test_bridges_leave_room_for_a_truck():
    for mesh in (railway.viaduct(10.8, 24.0, 24.0), railway.footbridge(10.75)):
        over = mesh.vertices[np.abs(mesh.vertices[:, 1]) < 6.7]
        assert over[:, 2].min() > 4.3
