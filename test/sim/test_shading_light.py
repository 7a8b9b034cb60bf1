# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Light on surfaces: sun and shadow, open sky, lamps, wet ground, windows; and that nothing changes by itself."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from any2seg_core.frames import CameraModel
from any2seg_sim.edges import blend_corners, corner_numbers, find_edges
from any2seg_sim.lighting import lamplight, packed
from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.mesh import Mesh
from any2seg_sim.occlusion import SkyMap, openness
from any2seg_sim.rays import Rays, mirror_rays
from any2seg_sim.renderer import Renderer
from any2seg_sim.shapes import slab
from any2seg_sim.textures import pattern
from any2seg_sim.weather import WEATHERS, Weather

CAMERA = CameraModel(64, 48, np.array([[50.0, 0, 31.5], [0, 50.0, 23.5], [0, 0, 1]]))
FORWARD = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 1.5], [0, 0, 0, 1]])
DOWN = np.array([[0.0, -1, 0, 5], [-1, 0, 0, 0], [0, 0, -1, 8], [0, 0, 0, 1]])
"""From 8 m above the point (5, 0), looking straight down: u to the right is -y, v down is -x."""
PLAIN = Paint(Label.ROAD, Surface.PLAIN, (0.4, 0.4, 0.4))
GROUND = slab((-30, 60), (-40, 40), (-0.5, 0.0), PLAIN)
ROAD = slab((-30, 60), (-40, 40), (-0.5, 0.0), Paint(Label.ROAD, Surface.ASPHALT, (0.17, 0.17, 0.17)))
RED = Paint(Label.BUILDING, Surface.PLAIN, (0.8, 0.05, 0.05))


def drawn(name, seed=0):
    return Weather.drawn(name, np.random.default_rng(seed))


class Box:
    def __init__(self, y_per_s=0.0):
        self.y_per_s = y_per_s

    def present(self, t_s):
        return True

    def position(self, t_s):
        return 5.0, self.y_per_s * t_s

    def posed(self, t_s):
        return slab((4.5, 5.5), (-0.5, 0.5), (0.5, 1.5), Paint(Label.CARS, Surface.PLAIN, (0.5, 0.5, 0.5))).moved(
            y=self.y_per_s * t_s
        )

    def lamps_at(self, t_s):
        return ()


def lamp(position, direction=(0, 0, -1), rgb=(1, 1, 1), cone_cos=-1.0):
    unit = np.array(direction, np.float64) / np.linalg.norm(direction)
    return SimpleNamespace(position=np.array(position, float), direction=unit, rgb=np.array(rgb), cone_cos=cone_cos)


def render(still, weather, pose=DOWN, *, movers=(), lamps=(), headlights=(), t_s=0.0, samples=1):
    drive = SimpleNamespace(pose=lambda t_s: np.eye(4), lamps_at=lambda t_s: headlights)
    renderer = Renderer(
        SimpleNamespace(still=still, movers=movers, drive=drive, lamps=lamps), weather=weather, samples=samples
    )
    renderer.set_time(t_s)
    return renderer.radiance(CAMERA, pose)


def at(image, x, y):
    """Pixel of DOWN's image that shows the ground at (x, y)."""
    return image[round(23.5 - (x - 5) * 50 / 8), round(31.5 - y * 50 / 8)]


def test_a_box_throws_its_shadow_away_from_the_sun():
    weather = dataclasses.replace(drawn("sun"), sun=np.array([0.0, 0.6, 0.8], np.float32), fog_per_m=0.0)
    empty = render(GROUND, weather)
    shaded = render(GROUND, weather, movers=(Box(),))
    # Its corner at height 1.5 throws a shadow 1.5 * 0.6 / 0.8 = 1.1 m far, towards -y; at +y the sun shines.
    assert at(shaded, 5.0, -1.2).max() < 0.6 * at(empty, 5.0, -1.2).min()
    assert at(shaded, 5.0, 1.2) == pytest.approx(at(empty, 5.0, 1.2), rel=0.25)
    assert at(shaded, 5.0, -2.5) == pytest.approx(at(empty, 5.0, -2.5), rel=0.1)
    # Open level ground: albedo 0.4 times sun at cosine 0.8 and the whole sky.
    expected = 0.4 * (0.8 * weather.sun_rgb + weather.ambient_rgb)
    assert at(empty, 5.0, 1.2) == pytest.approx(expected, rel=1e-3)


def test_clouds_leave_no_shadow_but_dim_what_lies_beneath():
    weather = dataclasses.replace(drawn("cloud"), fog_per_m=0.0)
    empty, box = render(GROUND, weather), render(GROUND, weather, movers=(Box(),))
    sides = [at(box, 5.0, y).mean() / at(empty, 5.0, y).mean() for y in (-0.72, 0.72)]
    assert sides[0] == pytest.approx(sides[1], rel=0.15)
    assert 0.2 < sides[0] < 0.95
    assert at(box, 5.0, 3.0) == pytest.approx(at(empty, 5.0, 3.0), rel=0.05)


def test_the_sky_is_open_in_the_plain_half_so_beside_a_wall_and_hardly_under_a_table():
    level = (0.0, 0.0, 1.0)
    plain = SkyMap(GROUND).heights
    assert openness((5.0, 0.0, 0.0), level, *plain) == 1.0
    high = Mesh.merged([GROUND, slab((-30, 60), (10, 20), (0, 100), RED)])
    heights = SkyMap(high).heights
    assert 0.3 < openness((5.0, 9.7, 0.0), level, *heights) < 0.65
    assert openness((5.0, -2.0, 0.0), level, *heights) == pytest.approx(1.0)
    # The wall itself sees the sky, low down and high up alike.
    for z in (1.0, 50.0):
        assert openness((5.0, 10.0, z), (0.0, -1.0, 0.0), *heights) > 0.8
    table = Mesh.merged([GROUND, slab((0, 6), (0, 6), (0.5, 1.0), RED)])
    assert openness((3.0, 3.0, 0.0), level, *SkyMap(table).heights) < 0.2


def test_what_moves_leaves_no_trace_in_the_map():
    sky = SkyMap(GROUND)
    before = sky.heights.solid.copy()
    box = Box(1.0)
    for t_s in (0.0, 3.0):
        sky.set_movers(box.posed(t_s))
        row, _ = np.nonzero(sky.heights.solid > 1)
        assert len(row) == pytest.approx(16, abs=9)  # one square metre of quarter-metre cells
        assert sky.heights.y_m + np.mean(row) / sky.heights.per_m == pytest.approx(t_s, abs=0.2)
    sky.set_movers(None)
    np.testing.assert_array_equal(sky.heights.solid, before)


def test_lamplight_falls_with_the_square_and_the_cosine():
    lamps = packed([lamp((0, 0, 4.0), rgb=(1600.0, 800.0, 0.0))])
    # Straight below, 4 m: 1600 / 16 = 100; 3 m aside, 5 m away, cosine 0.8: 1600 * 0.8 / 25 = 51.2.
    assert lamplight((0.0, 0.0, 0.0), (0.0, 0.0, 1.0), lamps) == pytest.approx((100, 50, 0), rel=1e-3)
    assert lamplight((3.0, 0.0, 0.0), (0.0, 0.0, 1.0), lamps) == pytest.approx((51.2, 25.6, 0), rel=1e-3)
    assert lamplight((0.0, 0.0, 0.0), (0.0, 0.0, -1.0), lamps) == (0, 0, 0)
    assert lamplight((0.0, 0.0, 5.0), (0.0, 0.0, 1.0), lamps) == (0, 0, 0)


def test_a_cone_ends_softly():
    cone = packed([lamp((0, 0, 4.0), rgb=(1600.0,) * 3, cone_cos=0.8)])
    around = packed([lamp((0, 0, 4.0), rgb=(1600.0,) * 3)])
    share = [
        lamplight((x, 0.0, 0.0), (0.0, 0.0, 1.0), cone)[0] / lamplight((x, 0.0, 0.0), (0.0, 0.0, 1.0), around)[0]
        for x in (0.0, 1.5, 2.0, 2.5, 2.9, 3.1, 6.0)
    ]
    assert share[0] == pytest.approx(1)
    assert share[-2:] == [0, 0]
    assert np.all(np.diff(share) <= 1e-6)
    assert 0 < share[4] < 0.1


def test_lamps_burn_at_night_only():
    lights = {"lamps": [lamp((5, 0, 6), rgb=(10, 9, 7))], "headlights": [lamp((5, 3, 1), rgb=(5, 5, 5))]}
    for name in WEATHERS:
        dark, lit = render(GROUND, drawn(name)), render(GROUND, drawn(name), **lights)
        if name == "night":
            assert at(lit, 5, 0).min() > 5 * at(dark, 5, 0).max()
            assert lit[0, 0].mean() < at(lit, 5, 0).mean()
        else:
            np.testing.assert_array_equal(dark, lit)


def test_wet_roads_mirror_what_stands_behind_and_are_darker():
    still = Mesh.merged([ROAD, slab((25, 30), (-40, 40), (0, 20), RED)])
    wet = dataclasses.replace(drawn("rain"), rain_mm_h=0.0, wetness=1.0, fog_per_m=0.0)
    dry = dataclasses.replace(wet, wetness=0.0)
    one, other = render(still, dry, FORWARD), render(still, wet, FORWARD)
    far, near = slice(27, 30), slice(44, 48)
    # Seen flat, the road shows the red wall; seen steeply it is but darker.
    assert (other[far, ..., 0] / other[far, ..., 2]).mean() > 1.3 * (one[far, ..., 0] / one[far, ..., 2]).mean()
    assert other[near].mean() < 0.9 * one[near].mean()
    np.testing.assert_array_equal(one[:20], other[:20])


def test_windows_are_lit_at_night_as_a_whole():
    front = slab((15, 20), (-30, 30), (0, 20), Paint(Label.BUILDING, Surface.PLASTER_FACADE, (0.5, 0.5, 0.5)))
    still = Mesh.merged([GROUND, front])
    night = dataclasses.replace(drawn("night"), fog_per_m=0.0)
    seen = render(still, night, FORWARD)[..., 0]
    bright = seen > 0.03
    assert 0.01 < bright.mean() < 0.2
    day = render(still, drawn("cloud"), FORWARD)
    assert day.mean() > 5 * seen.mean()


@pytest.mark.parametrize("name", [name for name in WEATHERS if name != "rain"])
def test_nothing_changes_by_itself(name):
    """What stands still before a camera that stands still gives no event: every image is made in the same way."""
    still = Mesh.merged([ROAD, slab((12, 14), (2, 8), (0, 9), RED)])
    drive = SimpleNamespace(pose=lambda t_s: np.eye(4), lamps_at=lambda t_s: ())
    street = SimpleNamespace(still=still, movers=(Box(),), drive=drive, lamps=(lamp((8, -3, 6)),))
    renderer = Renderer(street, weather=drawn(name), samples=2)
    images = []
    for t_s in (0.0, 0.01, 3.0):
        renderer.set_time(t_s)
        images.append(renderer.radiance(CAMERA, FORWARD))
    np.testing.assert_array_equal(images[0], images[1])
    np.testing.assert_array_equal(images[0], images[2])


@pytest.mark.parametrize("name", WEATHERS)
def test_equal_renderers_give_equal_bytes_whatever_they_rendered_before(name):
    still = Mesh.merged([ROAD, slab((12, 14), (2, 8), (0, 9), RED)])
    drive = SimpleNamespace(pose=lambda t_s: np.eye(4), lamps_at=lambda t_s: ())
    street = SimpleNamespace(still=still, movers=(Box(1.0),), drive=drive, lamps=(lamp((8, -3, 6)),))
    fresh, used = (Renderer(street, weather=drawn(name), samples=4, seed=2) for _ in range(2))
    used.set_time(5.0)
    used.radiance(CAMERA, DOWN)
    for renderer in (fresh, used):
        renderer.set_time(0.5)
    assert fresh.radiance(CAMERA, FORWARD).tobytes() == used.radiance(CAMERA, FORWARD).tobytes()


def test_truth_does_not_depend_on_the_weather():
    still = Mesh.merged([ROAD, slab((12, 14), (2, 8), (0, 9), RED)])
    found = []
    for name in WEATHERS:
        drive = SimpleNamespace(pose=lambda t_s: np.eye(4), lamps_at=lambda t_s: ())
        renderer = Renderer(SimpleNamespace(still=still, movers=(), drive=drive, lamps=()), weather=drawn(name))
        renderer.set_time(0.0)
        frame = renderer.frame(CAMERA, FORWARD)
        cast = renderer.cast(np.eye(4), np.array([[0.6, 0, -0.8]], np.float32))
        found.append((frame.depth.tobytes(), frame.labels.tobytes(), cast.distance.tobytes(), cast.labels.tobytes()))
    assert len(set(found)) == 1
    assert set(np.unique(frame.labels)) == {Label.ROAD, Label.BUILDING, Label.SKY}


def test_more_samples_smooth_outlines_and_nothing_else():
    still = Mesh.merged([GROUND, slab((12, 14), (2, 8), (0, 9), RED)])
    weather = drawn("cloud")
    one, four = (render(still, weather, FORWARD, samples=samples) for samples in (1, 4))
    changed = np.any(np.abs(one - four) > 1e-6, axis=2)
    assert 0.01 < changed.mean() < 0.2
    assert np.abs(np.diff(four, axis=1)).max() < 0.8 * np.abs(np.diff(one, axis=1)).max()
    assert four.mean() == pytest.approx(one.mean(), rel=0.02)


def test_edges_lie_where_neighbours_differ():
    face = np.array([0, 0, 1, -1, 0, 0, 1, -1], np.int32)
    normal = np.tile(np.array([[0, 0, 1]], np.float32), (8, 1))
    lit, distance = np.zeros(8, bool), np.ones(8, np.float32)
    rgb = np.array([[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]], np.float32)
    assert find_edges(face, distance, normal, lit, rgb, 4).tolist() == [False, False, True, True] * 2
    rgb[1, 2] = 0.6
    assert find_edges(face, distance, normal, lit, rgb, 4).tolist() == [False, True, True, True] * 2
    lit[0] = True
    assert find_edges(face, distance, normal, lit, rgb, 4).tolist() == [True, True, True, True, True, True, True, True]


def test_pixels_share_their_corners():
    """Of 2 x 3 pixels the last two of the upper row are chosen; they have six corners, two of them in common."""
    edges = np.array([False, True, True, False, False, False])
    number = corner_numbers(edges, 3)
    assert number.reshape(3, 4).tolist() == [[-1, 0, 1, 2], [-1, 3, 4, 5], [-1, -1, -1, -1]]
    flat = np.ones((6, 3), np.float32)
    seen = np.arange(6, dtype=np.float32)[:, None].repeat(3, 1)
    blend_corners(flat, edges, 3, number, seen)
    # Half of 1 and an eighth of 0 + 1 + 3 + 4, or of 1 + 2 + 4 + 5.
    assert flat[:, 0].tolist() == [1, 1.5, 2, 1, 1, 1]


def test_water_mirrors_at_the_angle_of_incidence():
    down = np.array([[0.6, 0, -0.8], [0.6, 0, -0.8], [0.0, 0.28, -0.96], [1, 0, 0]], np.float32)
    hits = (np.full(4, 2, np.float32), np.array([0, 1, 0, -1], np.int32), np.tile(np.float32([0, 0, 1]), (4, 1)))
    rays = Rays(np.zeros((4, 3), np.float32), down, *hits, 10.0)  # rays so wide that ripples even out
    index, out = np.empty(4, np.int64), np.empty((4, 3), np.float32)
    surface = np.array([Surface.WATER, Surface.ASPHALT], np.uint8)
    for wetness, expected in ((0.0, [0, 2]), (1.0, [0, 1, 2])):
        count = mirror_rays(rays, surface, wetness, index, out)
        assert index[:count].tolist() == expected
        np.testing.assert_allclose(out[:count], down[expected] * [1, 1, -1], atol=1e-6)


@pytest.mark.parametrize("kind", [Surface.ASPHALT, Surface.PAVING, Surface.GRASS, Surface.LEAVES, Surface.BRICK])
def test_textures_fade_with_the_footprint_of_a_ray(kind):
    points = np.random.default_rng(0).uniform(-20, 20, (400, 3))
    normal = (0.6, 0.8, 0.0)
    spread = [np.std([pattern(int(kind), tuple(p), normal, width)[0] for p in points]) for width in (0.002, 0.1, 5.0)]
    assert spread[0] > 0.02
    assert spread[2] < 0.6 * spread[0]
    assert spread[2] < 0.06


def test_road_grain_is_too_faint_for_an_event_camera():
    """A threshold of 0.2 in log intensity must not be crossed from one grain to the next."""
    rng = np.random.default_rng(0)
    for width in (0.005, 0.02):
        steps = []
        for _ in range(500):
            x, y = rng.uniform(-50, 50, 2)
            here, there = (
                pattern(int(Surface.ASPHALT), (x + dx, y, 0.0), (0.0, 0.0, 1.0), width)[0] for dx in (0, 0.08)
            )
            steps.append(abs(np.log(there / here)))
        assert np.quantile(steps, 0.99) < 0.2
