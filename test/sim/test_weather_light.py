# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The five weathers: what is drawn, the air between, the sky above, the rain in front."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from any2seg_core.errors import ConfigError
from any2seg_core.frames import CameraModel
from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.renderer import Renderer
from any2seg_sim.shapes import slab
from any2seg_sim.weather import WEATHERS, Weather
from any2seg_sim.weather.rain import SHUTTER_S, Rain, fall_speed
from any2seg_sim.weather.sky import Light, sky_radiance

CAMERA = CameraModel(48, 32, np.array([[40.0, 0, 23.5], [0, 40.0, 15.5], [0, 0, 1]]))
FORWARD = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 1.5], [0, 0, 0, 1]])
GREY = Paint(Label.WALL, Surface.PLAIN, (0.5, 0.4, 0.3))


def drawn(name, seed=0):
    return Weather.drawn(name, np.random.default_rng(seed))


def scene(still):
    drive = SimpleNamespace(pose=lambda t_s: np.eye(4), lamps_at=lambda t_s: ())
    return SimpleNamespace(still=still, movers=(), drive=drive, lamps=())


def wall(x):
    return slab((x, x + 1), (-60, 60), (-30, 60), GREY)


def render(still, weather, t_s=0.0, **options):
    renderer = Renderer(scene(still), weather=weather, samples=1, **options)
    renderer.set_time(t_s)
    return renderer.radiance(CAMERA, FORWARD)


def test_the_names_are_delivers_folders():
    assert WEATHERS == ("cloud", "fog", "night", "rain", "sun")
    assert [drawn(name).name for name in WEATHERS] == list(WEATHERS)


def test_an_unknown_weather_is_refused_by_name():
    with pytest.raises(ConfigError, match="found 'snow', expected one of cloud, fog, night, rain, sun"):
        drawn("snow")


@pytest.mark.parametrize("seed", range(5))
def test_what_sets_each_weather_apart(seed):
    weathers = {name: drawn(name, seed) for name in WEATHERS}
    assert [name for name in WEATHERS if weathers[name].shadows] == ["sun"]
    assert [name for name in WEATHERS if weathers[name].night] == ["night"]
    assert [name for name in WEATHERS if weathers[name].rain_mm_h > 0] == ["rain"]
    assert [name for name in WEATHERS if weathers[name].wetness > 0] == ["rain"]
    assert 0.03 <= weathers["fog"].fog_per_m <= 0.045
    assert all(weathers[name].fog_per_m < 0.01 for name in WEATHERS if name != "fog")
    assert weathers["night"].gain > 2
    for weather in weathers.values():
        assert np.linalg.norm(weather.sun) == pytest.approx(1, abs=1e-6)
        assert weather.sun[2] > 0.4


def test_equal_generators_draw_equal_weathers():
    for name in WEATHERS:
        one, other, third = drawn(name, 3), drawn(name, 3), drawn(name, 4)
        np.testing.assert_array_equal(one.sun, other.sun)
        assert one.fog_per_m == other.fog_per_m
        assert not np.array_equal(one.drift, third.drift)


def test_lidar_light_goes_there_and_back():
    weather = dataclasses.replace(drawn("fog"), lidar_per_m=0.01)
    assert weather.lidar_survival(np.array([0.0, 50.0])) == pytest.approx([1.0, np.exp(-1.0)])
    # 25 mm/h: 1.076 * 25**0.67 = 9.3 dB/km; 9.3 dB are a factor of 8.5, so 2.14 nepers, per kilometre.
    thick = [drawn("rain", seed) for seed in range(40)]
    nearest = min(thick, key=lambda weather: abs(weather.rain_mm_h - 25))
    assert nearest.lidar_per_m == pytest.approx(2.14e-3, rel=0.05)


@pytest.mark.parametrize(("beta", "distance"), [(0.03, 20.0), (0.045, 20.0), (0.045, 60.0)])
def test_fog_follows_koschmieder(beta, distance):
    """A wall's radiance fades as exp(-beta d), and the air's own takes its place."""
    foggy = dataclasses.replace(drawn("fog"), fog_per_m=beta)
    clear = render(wall(distance), dataclasses.replace(foggy, fog_per_m=0.0))
    seen = render(wall(distance), foggy)
    u, v = np.meshgrid(np.arange(48), np.arange(32))
    length = distance * np.sqrt(((u - 23.5) / 40) ** 2 + ((v - 15.5) / 40) ** 2 + 1)[..., None]
    expected = clear * np.exp(-beta * length) + foggy.air_rgb * (1 - np.exp(-beta * length))
    np.testing.assert_allclose(seen, expected, rtol=2e-4)
    if (beta, distance) == (0.045, 20.0):
        # In the middle, by hand: exp(-0.9) = 0.407.
        assert seen[15, 23] == pytest.approx(0.407 * clear[15, 23] + 0.593 * foggy.air_rgb, rel=2e-3)


@pytest.mark.parametrize("name", WEATHERS)
def test_the_sky_has_no_seam(name):
    """All around and from the ground to overhead, neighbouring directions have like colours; the moon aside."""
    light = Light.of(dataclasses.replace(drawn(name), sky=dataclasses.replace(drawn(name).sky, stars=0.0)))
    scale = max(*light.horizon_rgb, *light.cloud_rgb)
    turn = np.linspace(0, 2 * np.pi, 2000)
    for up in (0.05, 0.43, 0.85):
        around = [sky_radiance(np.cos(a) * np.sqrt(1 - up**2), np.sin(a) * np.sqrt(1 - up**2), up, light) for a in turn]
        step = np.abs(np.diff(np.array([*around, around[0]]), axis=0)).max(1)
        assert np.sort(step)[-12] < 0.04 * scale
    rise = np.linspace(-0.2, np.pi / 2, 1500)
    upwards = np.array([sky_radiance(np.cos(a) * 0.6, np.cos(a) * 0.8, np.sin(a), light) for a in rise])
    assert np.sort(np.abs(np.diff(upwards, axis=0)).max(1))[-12] < 0.06 * scale


def test_skies_fit_their_weather():
    up = {name: np.array(sky_radiance(0.3, 0.1, 0.949, Light.of(drawn(name)))) for name in WEATHERS}
    level = {name: np.array(sky_radiance(0.6, 0.8, 0.0, Light.of(drawn(name)))) for name in WEATHERS}
    assert up["night"].max() < 0.1
    for name in ("cloud", "fog", "rain"):
        assert up[name].max() / up[name].min() < 1.2
    assert up["rain"].mean() < up["cloud"].mean()
    for name in WEATHERS:
        # At the horizon there is nothing but air, as before a wall endlessly far away.
        np.testing.assert_allclose(level[name], drawn(name).air_rgb, rtol=1e-3, atol=1e-5)


def test_there_are_stars_at_night_only():
    rng = np.random.default_rng(0)
    rays = rng.normal(size=(20000, 3))
    rays[:, 2] = np.abs(rays[:, 2]) + 0.5
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    for name in ("night", "sun"):
        weather = drawn(name)
        blank = dataclasses.replace(weather, sky=dataclasses.replace(weather.sky, stars=0.0))
        found = [sum(sky_radiance(*ray, Light.of(weather))) - sum(sky_radiance(*ray, Light.of(blank))) for ray in rays]
        assert (max(found) > 0.01) == (name == "night")


def test_night_is_darker_than_any_day():
    seen = {name: render(wall(15.0), drawn(name)).mean() for name in WEATHERS}
    assert all(seen["night"] < 0.1 * seen[name] for name in WEATHERS if name != "night")


def test_big_drops_fall_faster():
    assert fall_speed(np.array([2.0])) == pytest.approx(9.65 - 10.3 * 0.3012, rel=1e-3)
    assert np.all(np.diff(fall_speed(np.linspace(1, 5, 20))) > 0)


def test_drops_fall_and_come_round_again():
    rain = Rain(drawn("rain"), seed=4)
    before, after = (rain._around(np.array([3.0, 1.0, 1.5]), t_s) for t_s in (0.7, 0.7 + SHUTTER_S))
    fallen = after - before
    inside = np.abs(fallen).max(1) < 1
    assert inside.mean() > 0.9
    np.testing.assert_allclose(fallen[inside], rain._velocity[inside] * SHUTTER_S, atol=1e-9)
    assert np.all(fallen[inside][:, 2] < -0.03)
    assert np.abs(after).max() <= 6.0


def test_a_streak_goes_on_where_it_ended():
    """What a shutter draws at t ends where the next one, a shutter's time later, begins: no gap and no jump."""
    rain, still = Rain(drawn("rain"), seed=1), np.zeros(3)
    t_s = 0.4
    tip = rain._around(still, t_s)
    tail_of_next = rain._around(still, t_s + SHUTTER_S) - rain._velocity * SHUTTER_S
    same = np.abs(tip - tail_of_next).max(1) < 1
    np.testing.assert_allclose(tip[same], tail_of_next[same], atol=1e-9)


def test_rain_is_drawn_before_what_is_farther_only():
    weather = drawn("rain")
    dry = dataclasses.replace(weather, rain_mm_h=0.0)
    for distance, hidden in ((30.0, False), (0.5, True)):
        changed = np.any(render(wall(distance), weather) != render(wall(distance), dry), axis=2)
        assert (np.count_nonzero(changed) < 1) == hidden


def test_rain_moves_and_is_the_same_again():
    weather = drawn("rain")
    first, again, later = (render(wall(30.0), weather, t_s, seed=5) for t_s in (1.0, 1.0, 1.01))
    assert first.tobytes() == again.tobytes()
    assert 0.005 < np.mean(np.any(first != later, axis=2)) < 0.9
    assert np.any(render(wall(30.0), weather, 1.0, seed=6) != first)


@settings(deadline=None, max_examples=25)
@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 1), st.sampled_from(WEATHERS))
def test_skies_are_finite_and_positive(x, y, z, name):
    length = np.sqrt(x * x + y * y + z * z)
    if length < 1e-3:
        return
    colour = np.array(sky_radiance(x / length, y / length, z / length, Light.of(drawn(name))))
    assert np.all(np.isfinite(colour))
    assert np.all(colour > 0)
