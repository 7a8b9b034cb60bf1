# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Depth drawn into another camera against a slow reference, scenes computed by hand, and rays of every lens."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from any2seg_core.errors import CalibrationError
from any2seg_core.frames import CameraModel
from any2seg_core.projection.camera import project_points
from any2seg_core.projection.registration import axial_depth, rays_of, register_depth

LENSES = {
    "pinhole": ("", []),
    "plumb_bob": ("plumb_bob", [-0.3, 0.1, 0.001, -0.002, 0.0]),
    "rational": ("rational_polynomial", [0.1, 0.02, 0.001, 0, 0.01, 0.1, 0.05, 0.01]),
    "fisheye": ("equidistant", [0.02, -0.01, 0.003, -0.001]),
}


def camera(width=40, height=30, focal=35.0, lens="pinhole", skew=0.0):
    model, d = LENSES[lens]
    k = np.array([[focal, skew, width / 2 - 0.5], [0, focal * 1.02, height / 2 - 0.5], [0, 0, 1]])
    return CameraModel(width, height, k, model, np.array(d))


def place(x=0.0, y=0.0, z=0.0, turn=(0.0, 0.0, 0.0)):
    """A small turn and a shift."""
    a, b, c = turn
    rx = np.array([[1, 0, 0], [0, math.cos(a), -math.sin(a)], [0, math.sin(a), math.cos(a)]])
    ry = np.array([[math.cos(b), 0, math.sin(b)], [0, 1, 0], [-math.sin(b), 0, math.cos(b)]])
    rz = np.array([[math.cos(c), -math.sin(c), 0], [math.sin(c), math.cos(c), 0], [0, 0, 1]])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rx @ ry @ rz, (x, y, z)
    return pose


def scene(seed, height=30, width=40):
    """Slanted ground, boxes in front of it, and pixels without measurement."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:height, :width]
    depth = 4.0 + 0.05 * row + 0.02 * column
    for _ in range(4):
        r, c = rng.integers(0, height - 6), rng.integers(0, width - 6)
        depth[r : r + 6, c : c + 6] = rng.uniform(1.5, 3.5)
    depth[rng.random(depth.shape) < 0.05] = np.nan
    return depth.astype(np.float32)


def landing(depth, source, to_view, view):
    """Where each pixel comes to lie, and its depth there, with pinhole cameras."""
    ray, landed = np.linalg.inv(source.k), {}
    for row, column in np.ndindex(depth.shape):
        z = float(depth[row, column])
        if 0 < z < math.inf:
            x, y, far = (to_view @ [*(np.float32(ray @ [column, row, 1]).astype(float) * z), 1.0])[:3]
            if far > 0.01:
                u, v, _ = view.k @ [x / far, y / far, 1]
                landed[row, column] = (float(np.float32(u)), float(np.float32(v)), float(np.float32(far)))
    return landed


def covered(at, bounds, cells):
    """Pixels that a range of coordinates covers, or the one that holds it."""
    low, high = max(min(bounds), at - 8), min(max(bounds), at + 8)
    found = [cell for cell in range(-1, cells + 1) if low <= cell < high]
    if math.ceil(low) >= math.ceil(high):
        found = [math.floor(at + 0.5)]
    return [cell for cell in found if 0 <= cell < cells]


def reference(depth, source, to_view, view):
    """Pixel by pixel, in plain Python."""
    landed = landing(depth, source, to_view, view)
    seen = np.full((view.height, view.width), np.nan, np.float32)
    zoom = math.sqrt(view.k[0, 0] * view.k[1, 1] / (source.k[0, 0] * source.k[1, 1]))
    for (row, column), (u, v, far) in landed.items():
        z = float(depth[row, column])
        half = 0.5 * zoom * z / far
        us, vs = [u - half, u + half], [v - half, v + half]
        for other in itertools.product(range(row - 1, row + 2), range(column - 1, column + 2)):
            if other in landed and abs(depth[other] - z) <= 0.05 * min(depth[other], z):
                us.append((u + landed[other][0]) / 2)
                vs.append((v + landed[other][1]) / 2)
        for r, c in itertools.product(covered(v, vs, view.height), covered(u, us, view.width)):
            seen[r, c] = np.fmin(seen[r, c], far)
    return seen


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 99),
    shift=st.tuples(*[st.floats(-0.4, 0.4)] * 3),
    turn=st.tuples(*[st.floats(-0.2, 0.2)] * 3),
    focal=st.sampled_from([12.0, 35.0, 80.0]),
)
def test_it_agrees_with_the_slow_reference(seed, shift, turn, focal):
    depth, source, view = scene(seed), camera(skew=0.3), camera(50, 36, focal)
    to_view = place(*shift, turn=turn)
    found, expected = register_depth(depth, source, to_view, view), reference(depth, source, to_view, view)
    # Where a border falls on a pixel's centre to the last digit, the order of sums decides.
    same = np.isclose(found, expected, rtol=1e-5, equal_nan=True)
    assert same.mean() > 0.995


@pytest.mark.parametrize("lens", LENSES)
def test_equal_cameras_in_one_place_change_nothing(lens):
    depth = np.where(np.random.default_rng(1).random((30, 40)) < 0.2, np.nan, scene(1)).astype(np.float32)
    depth[0, :3] = np.inf, -1.0, 0.0
    expected = np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(np.nan))
    np.testing.assert_array_equal(register_depth(depth, camera(lens=lens), np.eye(4), camera(lens=lens)), expected)


def test_a_wall_moves_by_focal_length_times_baseline_over_depth():
    """f b / z = 35 x 0.2 / 3.5 = 2 pixels to the left for a camera 0.2 m to the right; behind the border is nothing."""
    wall = np.full((30, 40), 3.5, np.float32)
    wall[10:20, 10:20] = 1.75
    found = register_depth(wall, camera(), place(x=-0.2), camera())
    assert np.isnan(found[:, 38:]).all()
    # The box moves 4 pixels, and uncovers 2 columns of wall that the camera has not seen.
    expected = np.full((30, 38), 3.5, np.float32)
    expected[10:20, 6:16] = 1.75
    expected[10:20, 16:18] = np.nan
    np.testing.assert_allclose(found[:, :38], expected, rtol=1e-6)


def test_nearer_things_hide_farther_ones_whatever_the_order():
    depth = np.full((3, 40), np.nan, np.float32)
    depth[1, 20], depth[1, 23] = 2.0, 5.0
    for shifted in (depth, depth[:, ::-1]):
        found = register_depth(np.ascontiguousarray(shifted), camera(40, 3), np.eye(4), camera(1, 1, 0.01))
        assert found.tolist() == [[2.0]]


@pytest.mark.parametrize("zoom", [0.5, 1.0, 2.0, 3.7])
def test_surfaces_stay_closed_at_any_scale_and_slant(zoom):
    depth = (3.0 + 0.06 * np.mgrid[:30, :40][1]).astype(np.float32)
    view = camera(round(40 * zoom), round(30 * zoom), 35.0 * zoom)
    found = register_depth(depth, camera(), place(x=0.1, turn=(0.05, -0.1, 0.03)), view)
    inner = found[found.shape[0] // 4 : -found.shape[0] // 4, found.shape[1] // 4 : -found.shape[1] // 4]
    assert np.isfinite(inner).all()


def test_a_single_near_pixel_covers_a_bounded_patch():
    depth = np.full((30, 40), np.nan, np.float32)
    depth[15, 20] = 1.0
    found = register_depth(depth, camera(), place(z=-0.98), camera(400, 300, 35.0))
    assert np.isfinite(found).sum() == 16 * 16


@pytest.mark.parametrize("lens", LENSES)
def test_rays_come_back_to_their_pixels(lens):
    model = camera(lens=lens)
    rays = rays_of(model).reshape(-1, 2)
    uv, valid = project_points(np.column_stack([rays, np.ones(len(rays))]), model)
    row, column = np.divmod(np.arange(len(rays)), model.width)
    assert valid.mean() > 0.9
    np.testing.assert_allclose(uv[valid], np.column_stack([column, row])[valid], atol=0.06)
    assert rays_of(model) is rays_of(camera(lens=lens))
    with pytest.raises(ValueError, match=r"read-only"):
        rays_of(model)[0, 0] = 1


def test_distances_along_rays_become_depth():
    """A wall 3 m ahead: the ray of the corner (0, 0) is sqrt(1 + (19.5 / 35)^2 + (14.5 / 35.7)^2) as long as it."""
    rays = rays_of(camera())
    distance = (3 * np.sqrt(1 + np.square(rays).sum(axis=2))).astype(np.float32)
    assert distance[0, 0] == pytest.approx(3 * math.sqrt(1 + (19.5 / 35) ** 2 + (14.5 / 35.7) ** 2))
    np.testing.assert_allclose(axial_depth(distance, camera()), 3.0, rtol=1e-6)
    distance[4, 4] = np.nan
    assert np.isnan(axial_depth(distance, camera())[4, 4])


def test_unusable_cameras_are_refused():
    depth = np.ones((30, 40), np.float32)
    with pytest.raises(CalibrationError, match=r"shape \(30, 40\) with intrinsics for 41x30"):
        register_depth(depth, camera(41), np.eye(4), camera())
    with pytest.raises(CalibrationError, match=r"shape \(30, 40\)"):
        axial_depth(depth, camera(41))
    with pytest.raises(CalibrationError, match=r"K\[0\] = 0"):
        register_depth(depth, CameraModel(40, 30, np.zeros((3, 3))), np.eye(4), camera())
    with pytest.raises(CalibrationError, match=r"rotation and translation"):
        register_depth(depth, camera(), np.zeros((4, 4)), camera())
