# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The colour camera: exposure in linear light, noise, vignetting; and rays through every kind of lens."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from any2seg_core.errors import CalibrationError, ConfigError
from any2seg_core.frames import CameraModel
from any2seg_core.projection.camera import project_points
from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.renderer import Renderer, camera_rays
from any2seg_sim.sensors.camera import expose
from any2seg_sim.sensors.lens import undistorted
from any2seg_sim.shapes import slab
from any2seg_sim.weather import Weather

K = np.array([[40.0, 0, 31.5], [0, 42.0, 23.5], [0, 0, 1]])
PINHOLE = CameraModel(64, 48, K)
LENSES = {
    "plumb_bob": (-0.24, 0.07, 0.0006, -0.0004, -0.008),
    "rational_polynomial": (0.10, 0.02, 0.0005, -0.0003, 0.0, 0.30, 0.03, 0.0),
    "equidistant": (-0.02, 0.004, -0.001, 0.0002),
}
LIGHT = arrays.arrays(np.float32, (3, 4, 3), elements=st.floats(0, 3, width=32))


def with_lens(model):
    return dataclasses.replace(PINHOLE, distortion_model=model, d=np.array(LENSES[model]))


@settings(deadline=None, max_examples=30)
@given(LIGHT, st.sampled_from([0.25, 0.5, 2.0, 4.0]))
def test_exposure_is_a_factor_on_linear_light(light, factor):
    np.testing.assert_array_equal(expose(light, exposure=factor), expose(light * np.float32(factor), exposure=1.0))


@settings(deadline=None, max_examples=30)
@given(LIGHT)
def test_codes_are_srgb_of_clipped_light(light):
    signal = np.clip(light.astype(np.float64), 0, 1)
    codes = 255 * np.where(signal <= 0.0031308, 12.92 * signal, 1.055 * signal ** (1 / 2.4) - 0.055)
    assert np.abs(expose(light, exposure=1.0) - codes).max() <= 0.5 + 1e-3


def test_wrong_exposures_lose_what_eight_bits_cannot_give_back():
    ramp = np.linspace(0.0, 0.8, 64, dtype=np.float32)[None, :, None].repeat(3, 2)
    good, bright, dark = (expose(ramp, exposure=factor) for factor in (1.0, 5.0, 0.1))
    assert np.mean(bright == 255) > 0.7
    assert good.max() < 240
    assert dark.max() < 90
    assert len(np.unique(dark)) < len(np.unique(good))


def test_motion_blur_is_a_mean_of_linear_light():
    black, white = np.zeros((1, 1, 3), np.float32), np.ones((1, 1, 3), np.float32)
    # Half the light is sRGB 188, not the middle of the codes.
    assert expose((black + white) / 2, exposure=1.0).tolist() == [[[188, 188, 188]]]


@pytest.mark.parametrize("wrong", [{"exposure": 0.0}, {"gain": -1.0}, {"vignetting": 1.5}, {"exposure": float("nan")}])
def test_impossible_cameras_are_refused(wrong):
    with pytest.raises(ConfigError, match="expected positive ones and a share from 0 to 1"):
        expose(np.zeros((2, 2, 3), np.float32), **wrong)


def test_gain_costs_noise():
    light = np.full((100, 100, 3), 0.02, np.float32)
    clean = expose(light, exposure=4.0).astype(float)
    spread = []
    for gain in (1.0, 2.0, 4.0):
        noisy = expose(light, exposure=4.0, gain=gain, noise=np.random.default_rng(0)).astype(float)
        assert noisy.mean() == pytest.approx(clean.mean(), abs=2)
        spread.append(noisy.std())
    assert spread[0] < spread[1] < spread[2]
    # Linear noise at 0.08: the root of 0.0025^2 + 0.01^2 * 0.08 = 0.0038; the slope of sRGB there is 255 * 1.9 = 489.
    assert spread[0] == pytest.approx(489 * 0.0038, rel=0.1)


def test_vignetting_darkens_the_corners_by_its_share():
    light = np.full((33, 65, 3), 0.5, np.float32)
    image = expose(light, exposure=1.0, vignetting=0.4)
    assert image[16, 32].tolist() == expose(light, exposure=1.0)[0, 0].tolist()
    for corner in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        assert image[corner].tolist() == expose(light, exposure=0.6)[0, 0].tolist()
    np.testing.assert_array_equal(image, image[::-1, ::-1])


@pytest.mark.parametrize("model", LENSES)
def test_rays_project_onto_their_own_pixels(model):
    camera = with_lens(model)
    for offset in ((0.0, 0.0), (0.25, -0.375)):
        rays = camera_rays(camera, offset)
        np.testing.assert_allclose(np.linalg.norm(rays, axis=1), 1, atol=1e-6)
        uv, valid = project_points(rays, camera)
        u, v = np.meshgrid(np.arange(64) + offset[0], np.arange(48) + offset[1])
        assert valid.all()
        assert np.abs(uv - np.stack([u, v], -1).reshape(-1, 2)).max() < 0.01
    assert np.abs(rays - camera_rays(PINHOLE, offset)).max() > 0.01


def test_without_coefficients_every_model_is_a_pinhole():
    expected = camera_rays(PINHOLE).reshape(48, 64, 3)
    assert expected[10, 20] / expected[10, 20, 2] == pytest.approx([(20 - 31.5) / 40, (10 - 23.5) / 42, 1], rel=1e-5)
    flat = dataclasses.replace(PINHOLE, distortion_model="plumb_bob", d=np.zeros(5))
    np.testing.assert_array_equal(camera_rays(flat), camera_rays(PINHOLE))


def test_equidistant_pixels_are_angles():
    camera = dataclasses.replace(PINHOLE, distortion_model="equidistant", d=np.zeros(4))
    rays = undistorted(np.array([[31.5 + 40 * 0.7, 23.5], [31.5, 23.5 - 42 * 0.4]]), camera)
    assert rays[0] == pytest.approx([np.sin(0.7), 0, np.cos(0.7)], abs=1e-4)
    assert rays[1] == pytest.approx([0, -np.sin(0.4), np.cos(0.4)], abs=1e-4)


def test_a_lens_that_does_not_fill_the_image_is_an_error():
    folded = dataclasses.replace(PINHOLE, distortion_model="plumb_bob", d=np.array([-0.9, 0.0, 0, 0, 0]))
    with pytest.raises(CalibrationError, match=r"pixels where its lens \(plumb_bob, .* sees nothing"):
        camera_rays(folded)


def test_equal_cameras_share_their_rays():
    assert camera_rays(with_lens("plumb_bob")) is camera_rays(with_lens("plumb_bob"))
    assert not camera_rays(PINHOLE).flags.writeable


@pytest.mark.parametrize("model", LENSES)
def test_depth_behind_a_lens_is_along_the_axis(model):
    """A wall across the axis has one depth all over, however the lens bends its picture."""
    wall = slab((10, 11), (-90, 90), (-90, 90), Paint(Label.WALL, Surface.PLAIN, (0.5, 0.5, 0.5)))
    drive = SimpleNamespace(pose=lambda t_s: np.eye(4), lamps_at=lambda t_s: ())
    street = SimpleNamespace(still=wall, movers=(), drive=drive, lamps=())
    renderer = Renderer(street, weather=Weather.drawn("cloud", np.random.default_rng(0)))
    renderer.set_time(0.0)
    pose = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
    depth, labels = renderer.truth(with_lens(model), pose)
    np.testing.assert_allclose(depth, 10.0, rtol=1e-4)
    assert np.all(labels == Label.WALL)
