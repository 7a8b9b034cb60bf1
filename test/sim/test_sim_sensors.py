# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The sensor models, against hand-computed values and slow references."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from any2seg_sim.sensors.camera import expose, luminance
from any2seg_sim.sensors.depth import measure, to_millimetres
from any2seg_sim.sensors.events import LOG_FLOOR, EventCamera
from any2seg_sim.sensors.lidar import sweep_rays
from any2seg_sim.textures import noise, panes, pulse


def test_exposure_is_srgb_of_clipped_linear_light():
    light = np.array([[[0.0, 0.214, 0.5], [1.0, 7.0, 0.002]]], np.float32)
    # sRGB: 0.214 is middle grey 127 or 128, 0.5 is 188, 0.002 lies on the straight part: 12.92 * 0.002 * 255 = 6.6
    assert expose(light, exposure=1.0).tolist() == [[[0, 127, 188], [255, 255, 7]]]
    assert expose(light, exposure=2.0)[0, 0, 2] == 255


def test_camera_noise_is_small_and_unbiased():
    light = np.full((200, 200, 3), 0.3, np.float32)
    noisy = expose(light, exposure=1.0, noise=np.random.default_rng(0)).astype(float)
    assert noisy.mean() == pytest.approx(expose(light, exposure=1.0).mean(), abs=0.5)
    assert 0.5 < noisy.std() < 4


def test_luminance_weighs_green_most():
    assert luminance(np.eye(3, dtype=np.float32)) == pytest.approx([0.2126, 0.7152, 0.0722])


def test_depth_noise_grows_with_the_square_and_leaves_the_sky_empty():
    near, far, sky = (np.full((100, 100), value, np.float32) for value in (2.0, 20.0, np.nan))
    spread = [np.std(measure(depth, noise=np.random.default_rng(1)) - depth) for depth in (near, far)]
    assert spread[1] / spread[0] == pytest.approx(100, rel=0.05)
    assert np.isnan(measure(sky, noise=np.random.default_rng(1))).all()
    assert measure(near) is near


def test_millimetres_code_absence_as_zero():
    depth = np.array([[1.2344, np.nan, 70.0, 65.535, -1.0, np.inf]], np.float32)
    assert to_millimetres(depth).tolist() == [[1234, 0, 0, 65535, 0, 0]]


def test_lidar_rays_turn_clockwise_from_behind_and_rings_rise():
    rays = sweep_rays(3, 4).reshape(4, 3, 3)
    np.testing.assert_allclose(np.linalg.norm(rays, axis=-1), 1, atol=1e-6)
    headings = np.degrees(np.arctan2(rays[:, 1, 1], rays[:, 1, 0]))
    np.testing.assert_allclose(headings[1:], [90, 0, -90], atol=1e-4)
    assert abs(headings[0]) == pytest.approx(180, abs=1e-4)
    np.testing.assert_allclose(np.degrees(np.arcsin(rays[0, :, 2])), [-25, -5.5, 14], atol=1e-4)


def seen(levels, threshold=0.5, step_ns=1_000_000, **options):
    """Events of one pixel whose log intensity (above the floor) runs through the levels."""
    camera = EventCamera(threshold=threshold, rng=np.random.default_rng(0), spread=0.0, **options)
    films = [np.array([[np.exp(level) - LOG_FLOOR]], np.float32) for level in levels]
    parts = [camera.see(film, index * step_ns) for index, film in enumerate(films)]
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


def test_thresholds_spread_from_pixel_to_pixel_and_come_from_the_generator():
    cameras = [EventCamera(threshold=0.2, rng=np.random.default_rng(7), spread=0.05) for _ in range(2)]
    for camera in cameras:
        assert len(camera.see(np.ones((100, 100), np.float32), 5)) == 0
    np.testing.assert_array_equal(cameras[0].thresholds, cameras[1].thresholds)
    assert cameras[0].thresholds.std() == pytest.approx(0.01, rel=0.1)
    assert cameras[0].thresholds.min() > 0.1


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.lists(st.floats(0, 2, width=32), min_size=6, max_size=6), min_size=2, max_size=6),
    st.sampled_from([0.1, 0.25, 0.7]),
)
def test_events_add_up_to_the_change_of_log_intensity(film, threshold):
    images = [np.array(image, np.float32).reshape(2, 3) for image in film]
    camera = EventCamera(threshold=threshold, rng=np.random.default_rng(3), refractory_ns=0)
    total = np.zeros(6)
    for index, image in enumerate(images):
        events = camera.see(image, 1000 + 10_000 * index)
        assert np.all(np.diff(events.t_ns) >= 0)
        if index:
            assert np.all((events.t_ns > 1000 + 10_000 * (index - 1)) & (events.t_ns <= 1000 + 10_000 * index))
        pixels = events.y.astype(int) * 3 + events.x
        np.add.at(total, pixels, np.where(events.polarity == 1, 1.0, -1.0) * camera.thresholds[pixels])
    change = (np.log(images[-1] + LOG_FLOOR) - np.log(images[0] + LOG_FLOOR)).reshape(-1)
    assert np.all(np.abs(change - total) < camera.thresholds + 1e-4)


@settings(deadline=None, max_examples=30)
@given(st.floats(-5, 5), st.floats(0, 0.9), st.floats(0.01, 0.1), st.floats(0.01, 3))
def test_a_filtered_pulse_is_the_mean_over_its_footprint(x, start, length, width):
    end = start + length
    samples = x - width / 2 + (np.arange(20000) + 0.5) / 20000 * width
    inside = np.mean((samples % 1.0 >= start) & (samples % 1.0 < end))
    assert pulse(x, start, end, width) == pytest.approx(inside, abs=2e-3)


def test_windows_cover_part_of_the_upper_floors_only():
    assert panes(1.5, 1.0, 0.01) == (0.0, 0.0)
    assert panes(1.2, 3.2 * 1.5, 0.01) == pytest.approx((0.0, 1.0))
    assert panes(0.1, 3.2 * 1.5, 0.01) == pytest.approx((0.0, 0.0))
    frame, glass = panes(700.0, 500.0, 300.0)
    assert 0.1 < glass < 0.3
    assert 0 < frame < 0.1


def test_noise_is_continuous_and_centred():
    points = np.random.default_rng(0).uniform(-50, 50, (2000, 3))
    values = np.array([noise(*point) for point in points])
    nearby = np.array([noise(*(point + 1e-4)) for point in points])
    assert values.mean() == pytest.approx(0.5, abs=0.02)
    assert 0.1 < values.std() < 0.3
    assert np.abs(values - nearby).max() < 2e-3
