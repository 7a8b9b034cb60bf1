# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The sensor models, against hand-computed values and slow references."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from any2seg_core.frames import UNLABELLED
from any2seg_sim.materials import LIDAR_ECHO, Label, Surface
from any2seg_sim.renderer import Cast
from any2seg_sim.sensors.camera import luminance
from any2seg_sim.sensors.depth import DepthModel, DepthView, in_range, measure, to_millimetres
from any2seg_sim.sensors.events import LOG_FLOOR, EventCamera, EventModel
from any2seg_sim.sensors.lidar import LidarModel, sweep
from any2seg_sim.settings import DriveSettings
from any2seg_sim.suite import weather_of
from any2seg_sim.weather import Weather

SUN = weather_of(DriveSettings())


def rng(seed=0):
    return np.random.default_rng(seed)


def test_luminance_weighs_green_most():
    assert luminance(np.eye(3, dtype=np.float32)) == pytest.approx([0.2126, 0.7152, 0.0722])


# Depth


def view(depth, *, picture=None, surface=Surface.PLAIN, echo=0.5, daylight=0.0, focal_px=100.0):
    """What lies before a depth sensor; without a picture, one that is matched everywhere."""
    depth = np.asarray(depth, np.float32)
    if picture is None:
        picture = np.indices(depth.shape).sum(0) % 2 * 0.5 + 0.25
    return DepthView(
        depth,
        np.broadcast_to(np.asarray(picture, np.float32), depth.shape),
        np.broadcast_to(np.float32(daylight), depth.shape),
        np.broadcast_to(np.asarray(surface, np.uint8), depth.shape),
        np.broadcast_to(np.float32(echo), depth.shape),
        focal_px,
    )


STEREO, TOF = DepthModel("stereo", 0.1, 1000.0), DepthModel("tof", 0.1, 1000.0)


def test_stereo_noise_grows_with_the_square_and_leaves_the_sky_empty():
    size = (120, 300)
    near, far, sky = (measure(view(np.full(size, value)), STEREO, rng(1)) for value in (4.0, 40.0, np.nan))
    assert np.nanstd(far) / np.nanstd(near) == pytest.approx(100, rel=0.05)
    assert np.nanstd(far) == pytest.approx(0.0003 * 1600, rel=0.25)
    assert np.isnan(sky).all()


def test_a_stereo_camera_does_not_see_behind_the_left_edge_of_what_is_near():
    """A baseline of 0.2 m and 100 px focal length: 20 px m. A post at 2 m shifts by 10 px, the wall at 10 m by 2 px."""
    depth = np.full((9, 100), 10.0)
    depth[:, 50:60] = 2.0
    found = np.isfinite(measure(view(depth), STEREO, rng()))
    # In the other picture the post covers columns 40 to 50, where the wall's columns 42 to 49 would stand.
    expected = np.ones(100, bool)
    expected[42:50] = False
    expected[:2] = False
    np.testing.assert_array_equal(found, np.tile(expected, (9, 1)))


def test_a_far_background_is_hidden_by_the_full_shift_of_what_is_near():
    depth = np.full((3, 60), np.nan)
    depth[:, 30:33] = 4.0
    found = np.isfinite(measure(view(depth), STEREO, rng()))
    assert found.sum() == 9


def test_stereo_finds_nothing_on_plain_surfaces_and_little_in_the_dark():
    depth = np.full((100, 300), 5.0)
    share = {
        name: np.isfinite(measure(view(depth, **what), STEREO, rng(2))).mean()
        for name, what in {
            "plain wall": {"picture": 0.5},
            "road": {"picture": 0.2, "surface": Surface.ASPHALT},
            "road at night": {"picture": 0.01, "surface": Surface.ASPHALT},
            "texture": {},
            "over-exposed": {"picture": 1.3},
        }.items()
    }
    assert share["plain wall"] < 0.1
    assert share["texture"] > 0.97
    assert share["road"] > 0.85
    assert share["road at night"] < share["road"] - 0.3
    assert share["over-exposed"] == 0


def test_stereo_sees_through_mirrors():
    depth = np.full((100, 300), 5.0)
    share = [
        np.isfinite(measure(view(depth, surface=surface), STEREO, rng(3))).mean()
        for surface in (Surface.PLAIN, Surface.CAR_PAINT, Surface.GLASS, Surface.WATER)
    ]
    assert share == sorted(share, reverse=True)
    assert share[3] < 0.25
    assert share[1] > 0.8


def test_time_of_flight_reaches_as_far_as_its_echo():
    """A white surface is seen up to 35 m in the dark; a quarter of the echo halves that, and so does the sun."""
    depth = np.tile(np.linspace(1, 60, 600), (3, 1))
    reach = [
        np.nanmax(measure(view(depth, echo=echo, daylight=light), TOF, rng()))
        for echo, light in ((1.0, 0.0), (0.25, 0.0), (1.0, 1.0))
    ]
    assert reach == pytest.approx([35, 17.5, 17.5], abs=0.4)
    assert np.isnan(measure(view(depth, surface=Surface.WATER), TOF, rng())[0, 200:]).all()


def test_time_of_flight_mixes_both_sides_of_an_edge():
    depth = np.full((50, 20), 8.0)
    depth[:, 10:] = 4.0
    found = measure(view(depth, echo=1.0), TOF, rng())
    assert np.abs(found[:, 11:] - 4).max() < 0.1
    assert np.abs(found[:, :9] - 8).max() < 0.1
    between = found[:, 9]
    assert between.min() < 4.5
    assert between.max() > 7.5
    assert np.std(between) > 0.8


@pytest.mark.parametrize("model", [STEREO, TOF], ids=["stereo", "tof"])
def test_depth_outside_the_range_is_missing(model):
    depth = np.tile(np.linspace(0.5, 30, 300), (4, 1))
    found = measure(view(depth, echo=1.0), dataclasses.replace(model, min_m=3.0, max_m=9.0), rng())
    assert np.nanmin(found) >= 3
    assert np.nanmax(found) <= 9
    np.testing.assert_array_equal(
        in_range(np.float32([[1.0, 3.0, 9.0, 9.5, np.nan]]), DepthModel("tof", 3.0, 9.0)),
        [[np.nan, 3.0, 9.0, np.nan, np.nan]],
    )


def test_millimetres_code_absence_as_zero():
    depth = np.array([[1.2344, np.nan, 70.0, 65.535, -1.0, np.inf]], np.float32)
    assert to_millimetres(depth).tolist() == [[1234, 0, 0, 65535, 0, 0]]


# LiDAR


def test_lidar_rays_turn_clockwise_from_behind_and_rings_rise():
    rays = LidarModel(3, 4).rays().reshape(4, 3, 3)
    np.testing.assert_allclose(np.linalg.norm(rays, axis=-1), 1, atol=1e-6)
    headings = np.degrees(np.arctan2(rays[:, 1, 1], rays[:, 1, 0]))
    np.testing.assert_allclose(headings[1:], [90, 0, -90], atol=1e-4)
    assert abs(headings[0]) == pytest.approx(180, abs=1e-4)
    np.testing.assert_allclose(np.degrees(np.arcsin(rays[0, :, 2])), [-25, -5.5, 14], atol=1e-4)


def test_a_lidar_of_narrow_view_looks_ahead():
    rays = LidarModel(1, 8, -10.0, 30.0, 120.0).rays()
    headings = np.degrees(np.arctan2(rays[:, 1], rays[:, 0]))
    np.testing.assert_allclose(headings, np.linspace(60, -45, 8), atol=1e-4)
    np.testing.assert_allclose(np.degrees(np.arcsin(rays[:, 2])), 10, atol=1e-4)


class Wall:
    """Stands in for a renderer: a wall across the street at x = 20 m, of one material and colour."""

    def __init__(self, surface=Surface.PLAIN, x_m=20.0, grey=1.0):
        self.surface, self.x_m, self.grey, self.times = surface, x_m, grey, []

    def set_time(self, t_s):
        self.times.append(t_s)

    def cast(self, pose, rays):
        forward = rays @ pose[0, :3].astype(np.float32)
        with np.errstate(divide="ignore"):
            distance = np.where(forward > 0, (self.x_m - pose[0, 3]) / forward, np.inf).astype(np.float32)
        count = len(rays)
        return Cast(
            distance,
            np.full(count, Label.WALL, np.uint8),
            np.full(count, self.surface, np.uint8),
            np.full((count, 3), self.grey, np.float32),
            np.abs(forward),
        )


def driving(speed_mps):
    def pose_at(t_s):
        pose = np.eye(4)
        pose[0, 3] = speed_mps * t_s
        return pose

    return pose_at


AHEAD = LidarModel(4, 64, -5.0, 5.0, 90.0)


def test_a_snapshot_is_taken_from_one_place_at_its_end():
    wall = Wall()
    found = sweep(wall, driving(10.0), 0.5, AHEAD, weather=SUN)
    np.testing.assert_allclose(found.points.xyz[:, 0], 15.0, rtol=1e-5)
    assert wall.times == [0.5]
    assert not found.after_ns.any()
    assert len(found.points) == 4 * 64
    assert found.rings.tolist() == [0, 1, 2, 3] * 64
    assert np.all(found.labels == Label.WALL)


def test_a_rolling_sweep_takes_every_point_from_where_the_lidar_is_at_its_time():
    wall, rolling = Wall(), dataclasses.replace(AHEAD, period_s=0.1)
    found = sweep(wall, driving(10.0), 0.5, rolling, weather=SUN)
    after_s = found.after_ns * 1e-9
    assert np.all(np.diff(found.after_ns) >= 0)
    assert after_s[-1] == pytest.approx(0.1)
    assert 0 < after_s[0] < 0.02
    assert len(np.unique(found.after_ns)) == 8
    np.testing.assert_allclose(found.points.xyz[:, 0], 20 - 10 * (0.4 + after_s), rtol=1e-5)
    assert wall.times == sorted(wall.times)
    assert len(wall.times) == 4


def test_intensity_follows_material_range_and_facing():
    def middle(wall):
        return sweep(wall, driving(0.0), 0.0, LidarModel(1, 1, 0.0, 0.0), weather=SUN).points.intensity[0]

    class Behind(Wall):
        def cast(self, pose, rays):
            return super().cast(pose, -rays)

    # A LiDAR of one column looks behind itself. In clear air, at 20 m: 0.8 * exp(-2 * beta * 20) / (1 + (20 / 80)^2).
    expected = 255 * LIDAR_ECHO[Surface.PLAIN] * np.exp(-40 * SUN.lidar_per_m) / (1 + 1 / 16)
    assert middle(Behind()) == pytest.approx(expected, abs=0.5)
    assert middle(Behind(Surface.WATER)) < middle(Behind(grey=0.1)) < middle(Behind())
    assert middle(Behind(x_m=90.0)) < 0.6 * middle(Behind())
    wide = sweep(Wall(), driving(0.0), 0.0, AHEAD, weather=SUN)
    assert wide.points.intensity[0] < wide.points.intensity[len(wide.points) // 2]


@pytest.mark.parametrize(("name", "lost", "false"), [("sun", 0.01, 0.0), ("rain", 0.12, 0.003), ("fog", 0.15, 0.01)])
def test_water_in_the_air_loses_echoes_and_makes_false_ones(name, lost, false):
    weather = Weather.drawn(name, rng(4))
    model = LidarModel(16, 1024, -5.0, 5.0, 60.0)
    clear = sweep(Wall(grey=0.3, x_m=45.0), driving(0.0), 0.0, model, weather=weather)
    noisy = sweep(Wall(grey=0.3, x_m=45.0), driving(0.0), 0.0, model, weather=weather, noise=rng(5))
    drops = noisy.labels == UNLABELLED
    assert len(clear.points) == 16 * 1024
    assert not np.any(clear.labels == UNLABELLED)
    missing = 1 - np.count_nonzero(~drops) / len(clear.points)
    assert missing < 0.02 if name == "sun" else missing > lost / 2
    assert np.mean(drops) >= false
    if name == "sun":
        assert not np.any(drops)
    else:
        assert np.mean(np.linalg.norm(noisy.points.xyz[drops], axis=1) < 20) > 0.9
        assert noisy.points.intensity[drops].max() < 30


def test_fog_dims_the_echo_there_and_back():
    fog = Weather.drawn("fog", rng(1))
    clear, dim = (
        sweep(Wall(x_m=30.0), driving(0.0), 0.0, LidarModel(1, 1, 0.0, 0.0, 360.0), weather=weather).points
        for weather in (SUN, fog)
    )
    assert len(clear) == len(dim) == 0
    one = LidarModel(1, 2, 0.0, 0.0)
    bright, dim = (
        sweep(Wall(x_m=30.0), driving(0.0), 0.0, one, weather=weather).points.intensity[0] for weather in (SUN, fog)
    )
    assert dim / bright == pytest.approx(np.exp(-60 * (fog.lidar_per_m - SUN.lidar_per_m)), rel=0.02)


def test_range_noise_is_along_the_ray_and_unbiased():
    model = LidarModel(8, 256, -5.0, 5.0, 60.0)
    noisy = sweep(Wall(), driving(0.0), 0.0, model, weather=SUN, noise=rng())
    rays = noisy.points.xyz / np.linalg.norm(noisy.points.xyz, axis=1, keepdims=True)
    error = np.linalg.norm(noisy.points.xyz, axis=1) - 20 / rays[:, 0]
    assert error.mean() == pytest.approx(0, abs=0.002)
    assert error.std() == pytest.approx(0.015, rel=0.1)


def test_echoes_beyond_the_range_are_not_heard():
    assert len(sweep(Wall(), driving(0.0), 0.0, dataclasses.replace(AHEAD, max_m=15.0), weather=SUN).points) == 0


# Events


def camera(threshold=0.5, *, seed=0, running=False, **options):
    model = EventModel(threshold, **options)
    return EventCamera(model, pixels=rng(seed), noise=rng(seed + 1), running=running)


def image(level):
    return np.array([[np.exp(level) - LOG_FLOOR]], np.float32)


def seen(levels, threshold=0.5, step_ns=1_000_000, **options):
    """Events of one pixel whose log intensity (above the floor) runs through the levels."""
    eye = camera(threshold, **options)
    parts = [eye.see(image(level), index * step_ns) for index, level in enumerate(levels)]
    return [(int(t), int(p)) for part in parts for t, p in zip(part.t_ns, part.polarity, strict=True)]


def test_events_fall_where_the_line_crosses_the_thresholds():
    # From 0 to 1.25 in 1 ms: crossings of 0.5 and 1.0 at 0.4 and 0.8 ms; back to 0: 0.5 at 0.6 and 0.0 at 1.0 ms.
    events = seen([0.0, 1.25, 0.001])
    assert [polarity for _, polarity in events] == [1, 1, 0]
    assert [t for t, _ in events] == pytest.approx([400_000, 800_000, 1_600_480], abs=2000)


def test_a_rise_in_small_steps_counts_as_one():
    assert [p for _, p in seen([0.0, 0.2, 0.4, 0.6])] == [1]
    assert seen([0.0, 0.4, 0.0, 0.4, 0.0]) == []


def test_a_deaf_pixel_loses_events_but_not_the_level():
    assert len(seen([0.0, 2.1])) == 4
    # Crossings 0.238 ms apart: with 0.4 ms of deafness every other one is lost; the level still ends at 2.0.
    assert len(seen([0.0, 2.1], refractory_ns=400_000)) == 2
    assert len(seen([0.0, 2.1, 2.4], refractory_ns=400_000)) == 2


def test_thresholds_of_either_polarity_spread_from_pixel_to_pixel():
    eyes = [camera(0.2, seed=7, spread=0.05) for _ in range(2)]
    for eye in eyes:
        assert len(eye.see(np.ones((100, 100), np.float32), 5)) == 0
    np.testing.assert_array_equal(eyes[0].rising, eyes[1].rising)
    for thresholds in (eyes[0].rising, eyes[0].falling):
        assert thresholds.mean() == pytest.approx(0.2, rel=0.01)
        assert thresholds.std() == pytest.approx(0.01, rel=0.1)
        assert thresholds.min() > 0.1
    assert abs(np.corrcoef(eyes[0].rising, eyes[0].falling)[0, 1]) < 0.05


def test_a_running_camera_stands_anywhere_between_its_thresholds():
    """A rise of half a threshold makes half the pixels of a running camera fire, and none of one just switched on."""
    size, rise = (100, 100), np.exp(0.25)
    for running, expected in ((True, 0.5), (False, 0.0)):
        eye = camera(0.5, running=running)
        eye.see(np.ones(size, np.float32), 0)
        brighter = ((1 + LOG_FLOOR) * rise - LOG_FLOOR) * np.ones(size, np.float32)
        events = eye.see(brighter.astype(np.float32), 1_000_000)
        assert np.all(events.polarity == 1)
        # The level is equally spread over both thresholds: a quarter of their distance is half of one.
        assert len(events) / 10_000 == pytest.approx(expected / 2, abs=0.02)


def test_false_events_come_at_their_rate_and_more_in_the_dark():
    counts = []
    for brightness in (10.0, 0.09):
        eye = camera(0.2, noise_hz=2.0)
        eye.see(np.full((100, 100), brightness, np.float32), 0)
        events = eye.see(np.full((100, 100), brightness, np.float32), 1_000_000_000)
        assert np.all((events.t_ns > 0) & (events.t_ns <= 1_000_000_000))
        assert np.all(np.diff(events.t_ns) >= 0)
        assert events.polarity.mean() == pytest.approx(0.5, abs=0.03)
        counts.append(len(events))
    assert counts[0] == pytest.approx(2.0 * 10_000, rel=0.05)
    assert counts[1] == pytest.approx(2 * counts[0], rel=0.05)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.lists(st.floats(0, 2, width=32), min_size=6, max_size=6), min_size=2, max_size=6),
    st.sampled_from([0.1, 0.25, 0.7]),
    st.booleans(),
)
def test_events_add_up_to_the_change_of_log_intensity(film, threshold, running):
    images = [np.array(image, np.float32).reshape(2, 3) for image in film]
    eye = camera(threshold, seed=3, spread=0.03, running=running)
    total = np.zeros(6)
    for index, one in enumerate(images):
        events = eye.see(one, 1000 + 10_000 * index)
        assert np.all(np.diff(events.t_ns) >= 0)
        if index:
            assert np.all((events.t_ns > 1000 + 10_000 * (index - 1)) & (events.t_ns <= 1000 + 10_000 * index))
        pixels = events.y.astype(int) * 3 + events.x
        np.add.at(total, pixels, np.where(events.polarity == 1, eye.rising[pixels], -eye.falling[pixels]))
    change = (np.log(images[-1] + LOG_FLOOR) - np.log(images[0] + LOG_FLOOR)).reshape(-1)
    # A running camera's level may be a threshold off at the start as well as at the end.
    largest = np.maximum(eye.rising, eye.falling) * (2 if running else 1)
    assert np.all(np.abs(change - total) < largest + 1e-4)


@settings(deadline=None, max_examples=30, derandomize=True)
@given(
    st.lists(st.integers(-20, 20), min_size=2, max_size=6, unique=True),
    st.sampled_from([0, 120_000, 700_000]),
    st.sampled_from([0.2, 0.5]),
)
def test_events_are_those_of_a_slow_reference(levels, refractory_ns, threshold):
    """Small steps along the line, in double precision; crossings while the pixel is deaf are lost."""
    step_ns, parts = 1_000_000, 4000
    # No difference of such levels is a multiple of a threshold, so none is met right at an image.
    levels = [0.1371 * level for level in levels]
    reference, level, last = [], levels[0], -(2**62)
    for index in range(len(levels) - 1):
        for part in range(1, parts + 1):
            value = levels[index] + (levels[index + 1] - levels[index]) * part / parts
            while abs(value - level) >= threshold:
                sign = 1 if value > level else -1
                level += sign * threshold
                t_ns = index * step_ns + part / parts * step_ns
                if t_ns - last >= refractory_ns:
                    reference.append((t_ns, int(sign > 0)))
                    last = t_ns
    found = seen(levels, threshold, step_ns, refractory_ns=refractory_ns)
    assert [p for _, p in found] == [p for _, p in reference]
    assert np.abs(np.array([t for t, _ in found]) - np.array([t for t, _ in reference])).max(initial=0) < 500
