# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Depth images: hand-computed codes, planes of known height and slope for HHA, and what is missing stays missing."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from any2seg_core.errors import CalibrationError, ConfigError, FrameError
from any2seg_core.frames import CameraModel
from any2seg_core.projection.depth import HHA_HEIGHT_M, depth_image, resize_depth, resize_nearest

CAMERA = CameraModel(48, 36, np.array([[40.0, 0, 23.5], [0, 40.0, 17.5], [0, 0, 1]]))
MISSING = [np.nan, 0.0, -1.0, np.inf, -np.inf]
quick = settings(max_examples=30, deadline=None)


def surface(normal, distance, camera=CAMERA):
    """Depth of the plane n.p = distance, NaN where a ray misses it."""
    v, u = np.mgrid[: camera.height, : camera.width].astype(np.float64)
    rays = np.stack([u, v, np.ones_like(u)], axis=2) @ np.linalg.inv(camera.k).T
    with np.errstate(divide="ignore"):
        depth = distance / (rays @ np.array(normal, np.float64))
    return np.where((depth > 0) & (depth < 1e4), depth, np.nan).astype(np.float32)


def row(*values):
    return np.array([values], np.float32)


def test_inverse_by_hand():
    # (1/r - 1/100) / (1/0.5 - 1/100): r = 1 gives 0.99 / 1.99.
    image = depth_image(row(0.5, 1.0, 100.0, 0.1, 500.0))
    expected = [1.0, 1 / 255 + 254 / 255 * 0.99 / 1.99, 1 / 255, 1.0, 1 / 255]
    np.testing.assert_allclose(image[0], np.repeat(np.array(expected)[:, None], 3, axis=1), rtol=1e-6)
    assert image.dtype == np.float32


def test_log_by_hand():
    image = depth_image(row(1.0, 10.0, 100.0), encoding="log", min_depth_m=1.0, max_depth_m=100.0)
    np.testing.assert_allclose(image[0, :, 0], [1.0, 1 / 255 + 254 / 255 / 2, 1 / 255], rtol=1e-6)


@pytest.mark.parametrize("encoding", ["inverse", "log", "hha"])
def test_what_is_not_measured_is_zero(encoding):
    depth = surface([0, 0, 1], 4.0)
    depth[3, : len(MISSING)] = MISSING
    image = depth_image(depth, encoding=encoding, camera=CAMERA)
    assert not image[3, : len(MISSING)].any()
    assert (image[..., 0] > 0).sum() == depth.size - len(MISSING)
    assert np.isfinite(image).all()


@quick
@given(
    arrays(np.float32, (5, 7), elements=st.sampled_from([*MISSING, 1e-3, 0.7, 3.0, 3.1, 50.0, 1e6])),
    st.sampled_from(["inverse", "log", "hha"]),
)
def test_any_depth_stays_in_bounds(depth, encoding):
    camera = CameraModel(7, 5, np.array([[6.0, 0, 3], [0, 6.0, 2], [0, 0, 1]]))
    image = depth_image(depth, encoding=encoding, camera=camera)
    assert image.shape == (5, 7, 3)
    assert np.isfinite(image).all()
    assert image.min() >= 0
    assert image.max() <= 1
    with np.errstate(invalid="ignore"):
        assert np.array_equal(image[..., 0] > 0, np.isfinite(depth) & (depth > 0))


@quick
@given(st.floats(0.01, 500), st.floats(0.01, 500), st.sampled_from(["inverse", "log"]))
def test_nearer_is_never_darker(one, other, encoding):
    near, far = depth_image(row(*sorted((one, other))), encoding=encoding)[0, :, 0]
    assert near >= far


def test_hha_of_a_level_floor():
    """A camera 1.5 m above the ground: height 0, and the normal points up."""
    depth = surface([0, 1, 0], 1.5)
    image = depth_image(depth, encoding="hha", camera=CAMERA)
    seen = np.isfinite(depth)
    assert 0.4 < seen.mean() < 0.6
    np.testing.assert_allclose(image[seen][:, 0], depth_image(depth)[seen][:, 0])
    np.testing.assert_allclose(image[seen][:, 1], 0, atol=1e-4)
    np.testing.assert_allclose(image[seen][:, 2], 0, atol=2e-3)


def test_hha_of_a_wall_on_a_floor():
    """Up the wall the height grows from the ground; its normal is level."""
    floor, wall = surface([0, 1, 0], 1.5), surface([0, 0, 1], 6.0)
    depth = np.fmin(floor, wall)
    image = depth_image(depth, encoding="hha", camera=CAMERA)
    on_wall = depth == wall
    v = np.mgrid[: CAMERA.height, : CAMERA.width][0]
    height = 1.5 - 6.0 * (v - 17.5) / 40.0
    np.testing.assert_allclose(image[..., 1][on_wall], np.clip(height[on_wall] / HHA_HEIGHT_M, 0, 1), atol=1e-3)
    inner = on_wall & np.roll(on_wall, -1, axis=0)
    np.testing.assert_allclose(image[..., 2][inner], 0.5, atol=1e-3)


def test_hha_of_a_ceiling():
    depth = surface([0, -1, 0], 2.0)
    image = depth_image(depth, encoding="hha", camera=CAMERA)
    np.testing.assert_allclose(image[np.isfinite(depth)][:, 2], 1, atol=2e-3)


@quick
@given(st.floats(-0.6, 0.6))
def test_hha_follows_gravity(pitch):
    """Pitching the camera and its gravity alike leaves the floor a floor."""
    down = np.array([0.0, math.cos(pitch), math.sin(pitch)])
    depth = surface(down, 1.5)
    seen = np.isfinite(depth) & (depth < 30)
    image = depth_image(depth, encoding="hha", camera=CAMERA, gravity=9.81 * down)
    assert image[seen][:, 2].max(initial=0) < 0.02
    assert image[seen][:, 1].max(initial=0) < 0.02


def test_hha_does_not_look_across_depth_edges():
    """The last column of the near wall and the first of the far one both keep a level normal, as does a lone pixel."""
    depth = np.full((36, 48), 3.0, np.float32)
    depth[:, 24:] = 9.0
    depth[:, 40:] = np.nan
    depth[2, 44] = 5.0
    angle = depth_image(depth, encoding="hha", camera=CAMERA)[..., 2]
    np.testing.assert_allclose(angle[:, :40], 0.5, atol=1e-3)
    # Alone, it counts as facing the camera: opposite to its ray (0.5125, -0.3875, 1), which climbs.
    climb = 0.3875 / math.hypot(0.5125, 0.3875, 1)
    assert angle[2, 44] == pytest.approx(math.acos(-climb) / math.pi, abs=1e-4)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"encoding": "jet"}, ConfigError, "found 'jet', expected one of inverse, log, hha"),
        ({"min_depth_m": 200.0}, ConfigError, "found 200.0 to 100.0 m"),
        ({"encoding": "hha"}, CalibrationError, "found none for the camera, expected intrinsics of the 2x1 depth"),
        ({"encoding": "hha", "camera": CAMERA}, CalibrationError, "found one of 48x36 for the camera"),
        (
            {"encoding": "hha", "camera": CameraModel(2, 1, np.zeros((3, 3)))},
            CalibrationError,
            "uncalibrated",
        ),
        (
            {"encoding": "hha", "camera": CameraModel(2, 1, CAMERA.k), "gravity": np.zeros(3)},
            CalibrationError,
            r"found gravity \[0.0, 0.0, 0.0\], expected a direction",
        ),
        (
            {"encoding": "hha", "camera": CameraModel(2, 1, CAMERA.k), "gravity": np.ones(2)},
            CalibrationError,
            r"found gravity \[1.0, 1.0\], expected a direction",
        ),
    ],
)
def test_bad_arguments_are_named(change, error, message):
    with pytest.raises(error, match=message):
        depth_image(row(1, 2), **change)


@pytest.mark.parametrize("depth", [np.zeros((2, 3, 3), np.float32), np.zeros((2, 3), np.uint16)])
def test_only_metres_are_depth(depth):
    with pytest.raises(FrameError, match=r"depth: found (float32|uint16) of shape \(2, 3.*expected float metres"):
        depth_image(depth)


def test_resize_by_hand():
    depth = np.array([[1, 2], [3, np.nan]], np.float32)
    assert np.array_equal(resize_depth(depth, 4, 2), [[1, 1, 2, 2], [3, 3, np.nan, np.nan]], equal_nan=True)
    # Centres of three pixels over six: 1, 3, 5 in half-open source pixels.
    assert resize_depth(np.arange(6, dtype=np.float32)[None], 3, 1).tolist() == [[1, 3, 5]]
    # Centres of two pixels over three: 0.75 and 2.25.
    assert resize_depth(np.arange(3, dtype=np.float32)[None], 2, 1).tolist() == [[0, 2]]


@quick
@given(
    arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.sampled_from([1.0, 2.0, np.nan])),
    st.integers(1, 20),
    st.integers(1, 20),
)
def test_resizing_takes_the_pixel_under_the_centre(depth, width, height):
    found = resize_depth(depth, width, height)
    rows, columns = depth.shape
    for i in range(height):
        for j in range(width):
            source = depth[math.floor((i + 0.5) * rows / height), math.floor((j + 0.5) * columns / width)]
            assert np.array_equal(found[i, j], source, equal_nan=True)


def test_resizing_keeps_channels_and_refuses_nothing():
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert resize_nearest(image, 2, 1).tolist() == [[image[1, 1].tolist(), image[1, 3].tolist()]]
    with pytest.raises(FrameError, match="found sizes 4x2 and 0x1, expected positive"):
        resize_nearest(image, 0, 1)
    with pytest.raises(FrameError, match="found sizes 0x2 and 1x1"):
        resize_nearest(image[:, :0], 1, 1)
