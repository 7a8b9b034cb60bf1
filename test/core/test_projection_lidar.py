# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""LiDAR images against a slow reference, hand-computed pixels, and a real scan."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from any2seg_core.errors import CalibrationError, ConfigError
from any2seg_core.frames import CameraModel, Points
from any2seg_core.projection.camera import cells, lens_of, project_points
from any2seg_core.projection.lidar import lidar_image, visible_points

CAMERA = CameraModel(40, 30, np.array([[25.0, 0, 19.5], [0, 25.0, 14.5], [0, 0, 1]]))
BARREL = CameraModel(40, 30, CAMERA.k, "plumb_bob", np.array([-0.2, 0.03, 0.001, -0.001, 0.0]))
# LiDAR axes (x forward, y left, z up) to optical axes (x right, y down, z forward), 0.2 m above and 0.1 m behind.
TO_VIEW = np.array([[0.0, -1, 0, 0], [0, 0, -1, -0.2], [1, 0, 0, -0.1], [0, 0, 0, 1]])
SETTINGS = {
    "min_range_m": 1.0,
    "max_range_m": 50.0,
    "height_min_m": -2.0,
    "height_max_m": 2.0,
    "intensity_scale": 100.0,
}
quick = settings(max_examples=30, deadline=None)


def cloud(rows, intensity=None):
    xyz = np.array(rows, np.float32).reshape(-1, 3)
    return Points(xyz, np.full(len(xyz), 50.0, np.float32) if intensity is None else np.array(intensity, np.float32))


def scene(seed, count=300):
    random = np.random.default_rng(seed)
    xyz = random.uniform([-5, -8, -3], [30, 8, 3], (count, 3)).astype(np.float32)
    return Points(xyz, random.uniform(-10, 150, count).astype(np.float32))


def near(distance, encoding, low, high):
    if encoding == "inverse":
        share = (1 / distance - 1 / high) / (1 / low - 1 / high)
    else:
        share = math.log(high / distance) / math.log(high / low)
    return 1 / 255 + 254 / 255 * share


def pixel(point, camera):
    """Column and row by plumb bob in plain Python, and whether the lens model holds there."""
    x, y = point[0] / point[2], point[1] / point[2]
    k1, k2, p1, p2, k3 = camera.d if len(camera.d) else np.zeros(5)
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    x, y = (
        x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
        y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
    )
    u, v = camera.k[0, 0] * x + camera.k[0, 2], camera.k[1, 1] * y + camera.k[1, 2]
    return math.floor(u + 0.5), math.floor(v + 0.5), r2 <= lens_of(camera).limit ** 2


def reference(points, camera, *, encoding="inverse", splat_px=0, **fixed):
    """One obvious pass: sort far to near, paint over."""
    optical = points.xyz.astype(np.float64) @ TO_VIEW[:3, :3].T + TO_VIEW[:3, 3]
    image = np.zeros((camera.height, camera.width, 3))
    low, high = fixed["min_range_m"], fixed["max_range_m"]
    # Of points at one depth the first wins, so it is painted last.
    for i in sorted(range(len(points)), key=lambda i: (np.float32(optical[i, 2]), i), reverse=True):
        distance = math.hypot(*points.xyz[i].astype(np.float64))
        if optical[i, 2] < 0.01 or not low <= distance <= high:
            continue
        column, row, reachable = pixel(optical[i], camera)
        if not (reachable and 0 <= column < camera.width and 0 <= row < camera.height):
            continue
        n = math.floor(splat_px * math.log(high / distance) / math.log(high / low) + 0.5)
        height = (float(points.xyz[i, 2]) - fixed["height_min_m"]) / (fixed["height_max_m"] - fixed["height_min_m"])
        bright = float(points.intensity[i]) / fixed["intensity_scale"]
        image[max(row - n, 0) : row + n + 1, max(column - n, 0) : column + n + 1] = (
            near(distance, encoding, low, high),
            min(max(height, 0), 1),
            min(max(bright, 0), 1),
        )
    return image


@quick
@given(
    st.integers(0, 10_000), st.sampled_from(["inverse", "log"]), st.integers(0, 3), st.sampled_from([CAMERA, BARREL])
)
def test_the_same_as_the_slow_reference(seed, encoding, splat_px, camera):
    points = scene(seed)
    image = lidar_image(points, TO_VIEW, camera, encoding=encoding, splat_px=splat_px, **SETTINGS)
    expected = reference(points, camera, encoding=encoding, splat_px=splat_px, **SETTINGS)
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, expected, atol=1e-6)
    assert image.min() >= 0
    assert image.max() <= 1


def test_a_pixel_by_hand():
    # 10.1 m ahead is 10 m deep; 2 m to the left; level with the LiDAR, so 0.2 m above the camera's axis.
    image = lidar_image(cloud([[10.1, 2.0, 0.0]], [25.0]), TO_VIEW, CAMERA, **SETTINGS)
    row, column = np.argwhere(image[..., 0] > 0)[0]
    assert (row, column) == (14, 15)  # v = 14.5 - 0.5 = 14.0, u = 19.5 - 5 = 14.5, whose pixel starts at 14.5
    distance = math.hypot(10.1, 2.0)
    expected = 1 / 255 + 254 / 255 * (1 / distance - 0.02) / (1 - 0.02)
    np.testing.assert_allclose(image[14, 15], [expected, 0.5, 0.25], rtol=1e-5)
    assert np.count_nonzero(image[..., 0]) == 1


@pytest.mark.parametrize("encoding", ["inverse", "log"])
def test_range_runs_from_one_to_the_faintest_grey(encoding):
    for distance, expected in ((1.0, 1.0), (50.0, 1 / 255)):
        image = lidar_image(cloud([[distance, 0, 0]]), TO_VIEW, CAMERA, encoding=encoding, **SETTINGS)
        assert image[..., 0].max() == pytest.approx(expected, abs=1e-6)


def test_log_by_hand():
    # Halfway between 1 and 100 in the logarithm is 10.
    fixed = SETTINGS | {"max_range_m": 100.0}
    image = lidar_image(cloud([[10.0, 0, 0]]), TO_VIEW, CAMERA, encoding="log", **fixed)
    assert image[..., 0].max() == pytest.approx(1 / 255 + 254 / 255 / 2, abs=1e-6)


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_the_nearest_point_wins(order):
    both = cloud([[10.1, 0, 0], [20.2, 0, 0.2]], [10, 90])
    image = lidar_image(Points(both.xyz[order], both.intensity[order]), TO_VIEW, CAMERA, **SETTINGS)
    assert image[..., 2].max() == pytest.approx(0.1)


def test_out_of_range_is_dropped():
    rows = [[0.9, 0, 0], [51, 0, 0], [-10, 0, 0], [np.nan, 0, 0], [np.inf, 0, 0]]
    assert not lidar_image(cloud(rows), TO_VIEW, CAMERA, **SETTINGS).any()


def test_odd_values_stay_in_bounds():
    points = cloud([[10, 0, 9], [10, 1, 0], [10, 3, 0], [10, -3, 0]], [50, np.nan, np.inf, -5])
    tall = CameraModel(40, 80, np.array([[25.0, 0, 19.5], [0, 25.0, 39.5], [0, 0, 1]]))
    image = lidar_image(points, TO_VIEW, tall, **SETTINGS)
    assert np.isfinite(image).all()
    found = image[image[..., 0] > 0]
    assert sorted(found[:, 1].tolist()) == [0.5, 0.5, 0.5, 1.0]
    assert sorted(found[:, 2].tolist()) == [0.0, 0.0, 0.5, 1.0]


def test_near_points_are_drawn_larger_and_clipped_at_the_border():
    fixed = SETTINGS | {"splat_px": 2}
    for distance, side in ((2.0, 5), (20.0, 1), (8.0, 3)):  # 2 log(50 / r) / log(50): 1.65, 0.47, 0.94
        image = lidar_image(cloud([[distance, 0, 0]]), TO_VIEW, CAMERA, **fixed)
        assert np.count_nonzero(image[..., 0]) == side**2
    # In pixel (0, 0), 2.8 m away: 1.47, so a square of 3, of which 2 x 2 pixels lie in the image.
    corner = lidar_image(cloud([[2.1, 1.59, 0.95]]), TO_VIEW, CAMERA, **fixed)
    assert np.argwhere(corner[..., 0] > 0).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]


def test_nothing_to_draw():
    assert not lidar_image(cloud([]), TO_VIEW, CAMERA, **SETTINGS).any()
    uv, depth, index = visible_points(cloud([]), TO_VIEW, CAMERA)
    assert (uv.shape, depth.shape, index.shape) == ((0, 2), (0,), (0,))


def test_read_only_and_strided_clouds():
    points = scene(3)
    wide = np.zeros((len(points), 4), np.float32)
    wide[:, :3] = points.xyz
    wide.flags.writeable = False
    image = lidar_image(Points(wide[:, :3], points.intensity), TO_VIEW, CAMERA, **SETTINGS)
    assert np.array_equal(image, lidar_image(points, TO_VIEW, CAMERA, **SETTINGS))


@quick
@given(st.integers(0, 10_000), st.sampled_from([CAMERA, BARREL]))
def test_visible_points_are_those_that_are_drawn(seed, camera):
    points = scene(seed)
    uv, depth, index = visible_points(points, TO_VIEW, camera)
    optical = points.xyz[index] @ TO_VIEW[:3, :3].T + TO_VIEW[:3, 3]
    np.testing.assert_allclose(depth, optical[:, 2], rtol=1e-5)
    assert (np.diff(index) > 0).all()
    row, column = cells(uv)
    drawn = np.zeros((camera.height, camera.width), bool)
    drawn[row, column] = True
    image = lidar_image(points, TO_VIEW, camera, **(SETTINGS | {"min_range_m": 1e-3, "max_range_m": 1e3}))
    assert np.array_equal(image[..., 0] > 0, drawn)
    # Whatever is left out projects outside the image.
    rest = np.setdiff1d(np.arange(len(points)), index)
    again, valid = project_points(points.xyz[rest] @ TO_VIEW[:3, :3].T + TO_VIEW[:3, 3], camera)
    edge = np.array([camera.width, camera.height]) - 0.5 - 1e-3
    assert not (valid & (again > -0.499).all(axis=1) & (again < edge).all(axis=1)).any()


def test_the_rectified_view():
    """R turns the optical frame, after the LiDAR's points have come into it."""
    r = np.array([[0.8, 0, 0.6, 0], [0, 1, 0, 0], [-0.6, 0, 0.8, 0], [0, 0, 0, 1]])
    p = np.array([[30.0, 0, 18, 0], [0, 30, 13, 0], [0, 0, 1, 0]])
    camera = CameraModel(40, 30, BARREL.k, "plumb_bob", BARREL.d, r=r[:3, :3], p=p)
    plain = CameraModel(40, 30, p[:, :3])
    points = scene(5)
    assert np.array_equal(lidar_image(points, TO_VIEW, camera, rectified=True), lidar_image(points, r @ TO_VIEW, plain))
    assert np.array_equal(
        visible_points(points, TO_VIEW, camera, rectified=True)[2], visible_points(points, r @ TO_VIEW, plain)[2]
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoding": "linear"}, "found 'linear', expected one of inverse, log"),
        ({"min_range_m": 0.0}, "found 0.0 to 50.0 m, expected 0 < nearest < farthest"),
        ({"min_range_m": 60.0}, "found 60.0 to 50.0 m"),
        ({"max_range_m": math.inf}, "found 1.0 to inf m"),
        ({"height_min_m": 3.0}, "found height 3.0 to 2.0 m"),
        ({"intensity_scale": 0.0}, "intensity scale 0.0"),
        ({"splat_px": -1}, "splat -1 px, expected .* no negative splat"),
    ],
)
def test_bad_constants_are_named(change, message):
    with pytest.raises(ConfigError, match=message):
        lidar_image(scene(0), TO_VIEW, CAMERA, **(SETTINGS | change))


def test_a_bad_camera_or_transform_is_named():
    with pytest.raises(CalibrationError, match="uncalibrated"):
        lidar_image(scene(0), TO_VIEW, CameraModel(40, 30, np.zeros((3, 3))))
    with pytest.raises(CalibrationError, match="transform to the view"):
        visible_points(scene(0), np.eye(3), CAMERA)


def test_a_real_scan_lands_in_its_picture(shared_data):
    folder = shared_data / "opencalib_camera_lidar"
    lines = [line.partition(":")[2].split() for line in (folder / "calibration.txt").read_text().splitlines()]
    k, d, to_view = (np.array(line, np.float64) for line in lines if line)
    camera = CameraModel(1920, 1200, k.reshape(3, 3), "plumb_bob", d)
    with np.load(folder / "points.npz") as scan:
        points = Points(np.stack([scan[axis] for axis in "xyz"], axis=1), scan["intensity"])
    transform = np.vstack([to_view.reshape(3, 4), [0, 0, 0, 1]])
    uv, depth, index = visible_points(points, transform, camera)
    assert len(points) == 101_340
    assert abs(len(index) - 12_660) < 20
    assert depth.min() > 0
    # Spinning LiDAR with 64 rings: hardly two returns share one of 2.3 million pixels.
    drawn = lidar_image(points, transform, camera, min_range_m=0.5, max_range_m=300.0)[..., 0] > 0
    row, column = cells(uv)
    assert drawn[row, column].all()
    assert 0.95 * len(index) < np.count_nonzero(drawn) <= len(index)
