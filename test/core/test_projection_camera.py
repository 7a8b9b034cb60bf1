# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Camera models against OpenCV, hand-computed pixels, and the guarantee that nothing folds back into the image."""

from dataclasses import replace

import cv2
import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from any2seg_core.errors import CalibrationError
from any2seg_core.frames import CameraModel
from any2seg_core.projection.camera import cells, inside, lens_of, project_points, scaled, validate
from any2seg_core.projection.kernels import MIN_DEPTH_M, compiled

K = np.array([[400.0, 0, 310.5], [0, 420.0, 250.0], [0, 0, 1]])
PLUMB_BOB = np.array([-0.28, 0.07, 0.0012, -0.0007, 0.002])
RATIONAL = np.array([4.1, 1.9, 0.0003, -0.0002, 0.08, 4.4, 3.1, 0.4])
EQUIDISTANT = np.array([0.04, -0.01, 0.006, -0.0015])
DISTORTED = [
    ("plumb_bob", PLUMB_BOB),
    ("plumb_bob", PLUMB_BOB[:4]),
    ("rational_polynomial", RATIONAL),
    ("equidistant", EQUIDISTANT),
    ("equidistant", np.zeros(4)),
]
quick = settings(max_examples=25, deadline=None)


def camera(model="", d=(), **fields):
    return CameraModel(640, 480, K, model, np.array(d, np.float64), **fields)


def rays(count=400, *, seed=0, spread=0.6):
    """Points all over the field of view of the cameras above, and somewhat beyond."""
    random = np.random.default_rng(seed)
    flat = random.uniform(-spread, spread, (count, 2))
    return (np.column_stack([flat, np.ones(count)]) * random.uniform(0.5, 60, (count, 1))).astype(np.float32)


def opencv(points, model, d):
    points = points.astype(np.float64).reshape(-1, 1, 3)
    project = cv2.fisheye.projectPoints if model == "equidistant" else cv2.projectPoints
    uv, _ = project(points, np.zeros(3), np.zeros(3), K, np.array(d, np.float64))
    return uv.reshape(-1, 2)


def undistorted(uv, model, d):
    uv = uv.astype(np.float64).reshape(-1, 1, 2)
    d = np.array(d, np.float64)
    if model == "equidistant":
        return cv2.fisheye.undistortPoints(uv, K, d).reshape(-1, 2)
    exact = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 500, 1e-12)
    return cv2.undistortPoints(uv, K, d, criteria=exact).reshape(-1, 2)


def test_a_pinhole_by_hand():
    points = np.array([[0, 0, 2], [1, 0, 2], [0, -1, 4], [1, 1, -2], [0, 0, 0], [np.nan, 0, 1]], np.float32)
    uv, valid = project_points(points, camera())
    assert valid.tolist() == [True, True, True, False, False, False]
    assert uv[:3].tolist() == [[310.5, 250.0], [510.5, 250.0], [310.5, 145.0]]
    assert np.isnan(uv[3:]).all()
    assert uv.dtype == np.float32


def test_points_at_the_lens_are_no_points():
    depths = [MIN_DEPTH_M / 2, MIN_DEPTH_M * 1.01]
    _, valid = project_points(np.array([[0, 0, depth] for depth in depths]), camera())
    assert valid.tolist() == [False, True]


@pytest.mark.parametrize("name", ["", "plumb_bob", "rational_polynomial", "equidistant"])
def test_no_coefficients_mean_a_pinhole(name):
    assert np.array_equal(project_points(rays(), camera(name))[0], project_points(rays(), camera())[0])


def test_plumb_bob_by_hand():
    # x = 0.5, y = 0.25, r2 = 0.3125, radial = 1 + 0.1 * 0.3125 = 1.03125, p1 = 0.01, p2 = 0.02
    # x' = 0.515625 + 2 * 0.01 * 0.125 + 0.02 * (0.3125 + 0.5) = 0.534375
    # y' = 0.2578125 + 0.01 * (0.3125 + 0.125) + 2 * 0.02 * 0.125 = 0.2671875
    uv, valid = project_points(np.array([[1.0, 0.5, 2.0]]), camera("plumb_bob", [0.1, 0, 0.01, 0.02]))
    assert valid.all()
    np.testing.assert_allclose(uv, [[310.5 + 400 * 0.534375, 250 + 420 * 0.2671875]], rtol=1e-6)


@pytest.mark.parametrize(("model", "d"), DISTORTED)
def test_the_same_as_opencv(model, d):
    points = rays()
    uv, valid = project_points(points, camera(model, d))
    expected = opencv(points, model, d)
    image = inside(expected.astype(np.float32), camera())
    assert valid.sum() > 150
    np.testing.assert_allclose(uv[valid], expected[valid], atol=1e-3)
    # With these mild lenses every point that OpenCV sees inside the image is valid.
    assert valid[image].all()


@quick
@given(
    st.floats(-0.4, 0.3), st.floats(-0.1, 0.15), st.floats(-0.005, 0.005), st.floats(-0.005, 0.005), st.integers(0, 99)
)
def test_any_plumb_bob_is_the_same_as_opencv(k1, k2, p1, p2, seed):
    d = [k1, k2, p1, p2, 0.0]
    points = rays(100, seed=seed)
    uv, valid = project_points(points, camera("plumb_bob", d))
    np.testing.assert_allclose(uv[valid], opencv(points, "plumb_bob", d)[valid], atol=2e-3)


@pytest.mark.parametrize(("model", "d"), DISTORTED)
def test_every_pixel_projects_back_onto_itself(model, d):
    u, v = np.meshgrid(np.linspace(-0.49, 639.49, 40), np.linspace(-0.49, 479.49, 30))
    pixels = np.column_stack([u.ravel(), v.ravel()]).astype(np.float32)
    flat = undistorted(pixels, model, d)
    uv, valid = project_points(np.column_stack([flat, np.ones(len(flat))]) * 7.0, camera(model, d))
    assert valid.all()
    np.testing.assert_allclose(uv, pixels, atol=0.02)


def wide_points():
    """Directions all round the optical axis, from 0 to just under 90 degrees off it."""
    angle, turn = np.meshgrid(np.radians(np.arange(0, 89.95, 0.05)), np.radians(np.arange(0, 360, 7.0)))
    direction = [np.sin(angle) * np.cos(turn), np.sin(angle) * np.sin(turn), np.cos(angle)]
    return np.stack([part.ravel() for part in direction], axis=1) * 5.0


@pytest.mark.parametrize(
    ("model", "d"),
    [
        ("plumb_bob", [-0.35, 0.08, 0.001, -0.002, 0]),  # turns back outside the corner
        ("plumb_bob", [-0.5, 0.0, 0, 0, 0]),  # turns back inside the image: peak at r = sqrt(2/3)
        ("plumb_bob", [-0.3, 0.2, 0.0, 0.02, -0.15]),
        ("rational_polynomial", [0.3, 0.02, 0.001, 0.002, 0.0, 1.1, 0.4, 0.01]),
        ("rational_polynomial", [0.0, 0.0, 0.0, 0.0, 0.0, -0.8, 0.0, 0.0]),  # pole at r = 1.118
        ("equidistant", [0.1, -0.4, 0.1, -0.05]),
    ],
)
def test_nothing_folds_back_into_the_image(model, d):
    """Neighbouring directions stay neighbours: along each turn, the image radius of valid points only grows."""
    lens = camera(model, d)
    points = wide_points()
    uv, valid = project_points(points, lens)
    drawn = valid & inside(uv, lens)
    folded = inside(opencv(points, model, d).astype(np.float32), lens)
    angle = np.arctan2(np.hypot(points[:, 0], points[:, 1]), points[:, 2])
    turn = np.round(np.arctan2(points[:, 1], points[:, 0]), 4)
    for value in np.unique(turn[angle > 0]):
        line = np.flatnonzero((turn == value) & (angle > 0) & valid)
        line = line[np.argsort(angle[line])]
        radius = np.hypot(*((uv[line] - K[:2, 2]) / K[[0, 1], [0, 1]]).T)
        assert (np.diff(radius) > 0).all()
        # Valid directions are those up to a limit, without gaps.
        assert valid[(turn == value) & (angle > 0) & (angle <= angle[line].max())].all()
    assert not (drawn & ~folded).any()
    assert drawn.sum() > 1000


def test_the_guard_is_needed():
    """The formula alone would draw what lies to the side into the image: the case above has something to prevent."""
    strong = [-0.5, 0, 0, 0, 0]
    side = np.array([[1.2, 0.0, 1.0]])  # 50 degrees off the axis; g(1.2) = 1.2 * (1 - 0.5 * 1.44) = 0.336
    np.testing.assert_allclose(opencv(side, "plumb_bob", strong), [[310.5 + 400 * 0.336, 250.0]])
    _, valid = project_points(side, camera("plumb_bob", strong))
    assert not valid.any()


def test_the_first_maximum_is_the_limit():
    # g(r) = r (1 - r^2 / 2): g' = 1 - 3/2 r^2 is 0 at r = 0.81650. The corner is farther than g there, 0.5443.
    limit = lens_of(camera("plumb_bob", [-0.5, 0, 0, 0, 0])).limit
    assert limit == pytest.approx(np.sqrt(2 / 3), abs=1e-3)
    assert limit <= np.sqrt(2 / 3)


def test_the_corner_is_the_limit_where_nothing_folds():
    # An ideal fisheye: the angle of the corner is its distance from the principal point over the focal length.
    corner = np.hypot((639.5 - 310.5) / 400, 250.5 / 420)
    limit = lens_of(camera("equidistant", np.zeros(4))).limit
    assert corner <= limit < corner + 0.001


def test_rectified_uses_r_and_p_and_no_distortion():
    angle = 0.1
    r = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    p = np.array([[500.0, 0, 320, -60], [0, 500, 240, 0], [0, 0, 1, 0]])
    lens = camera("plumb_bob", PLUMB_BOB, r=r, p=p)
    points = rays(50, spread=0.3)
    uv, valid = project_points(points, lens, rectified=True)
    turned = points.astype(np.float64) @ r.T
    homogeneous = np.column_stack([turned, np.ones(len(turned))]) @ p.T
    assert valid.all()
    np.testing.assert_allclose(uv, homogeneous[:, :2] / homogeneous[:, 2:], atol=1e-3)


@quick
@given(st.integers(1, 2000), st.integers(1, 2000))
def test_scaling_keeps_the_view(width, height):
    """A point keeps its relative place: pixel edges map to pixel edges."""
    p = np.column_stack([K, [-40.0, 0, 0]])
    small = scaled(camera("plumb_bob", PLUMB_BOB, p=p), width, height)
    points = rays(50)
    for rectified in (False, True):
        uv, _ = project_points(points, camera("plumb_bob", PLUMB_BOB, p=p), rectified=rectified)
        found, _ = project_points(points, small, rectified=rectified)
        expected = (uv + 0.5) * [width / 640, height / 480] - 0.5
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
    assert (small.width, small.height) == (width, height)


def test_scaling_by_hand():
    half = scaled(camera(), 320, 240)
    assert half.k.tolist() == [[200, 0, 155.0], [0, 210, 124.75], [0, 0, 1]]
    assert half.p is None
    with pytest.raises(CalibrationError, match="found sizes 640x480 and 0x240, expected positive"):
        scaled(camera(), 0, 240)


def test_cells_are_around_integer_coordinates():
    row, column = cells(np.array([[-0.5, 0.49], [0.5, 2.5], [1.49, 3.0]], np.float32))
    assert column.tolist() == [0, 1, 1]
    assert row.tolist() == [0, 3, 3]


def test_inside_ends_at_pixel_edges():
    uv = np.array([[-0.5, -0.5], [639.49, 479.49], [639.5, 0], [0, 479.5], [-0.51, 0], [np.nan, np.nan]], np.float32)
    assert inside(uv, camera()).tolist() == [True, True, False, False, False, False]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": np.zeros((3, 3))}, r"K\[0\] = 0, which CameraInfo uses for an uncalibrated camera"),
        ({"width": 0}, "found size 0x480, expected positive"),
        ({"height": -1}, "found size 640x-1, expected positive"),
        ({"k": K * np.nan}, r"found K = \[\[nan.*expected \(3, 3\) finite"),
        ({"k": K[:2]}, r"found K = .*expected \(3, 3\)"),
        ({"k": -K}, "focal lengths -400.0, -420.0 .* expected positive ones"),
        ({"k": K.T}, "last row .*310.5, 250.0, 1.0"),
        ({"r": np.full((3, 3), np.inf)}, "found R = .*expected"),
        ({"p": np.eye(3)}, r"found P = .*expected \(3, 4\)"),
        ({"distortion_model": "plumb_bob", "d": np.ones(3)}, "3 distortion coefficients .* 'plumb_bob', .* 4 or 5"),
        ({"distortion_model": "rational_polynomial", "d": np.ones(5)}, "found 5 .* expected 0 or 8"),
        ({"distortion_model": "equidistant", "d": np.ones(5)}, "found 5 .* expected 0 or 4"),
        ({"distortion_model": "", "d": np.ones(5)}, "found 5 .* model '', expected 0; the models are 'plumb_bob', "),
        ({"distortion_model": "plumb_bob", "d": np.full(5, np.nan)}, r"coefficients \[nan.*finite"),
        (
            {"distortion_model": "thin_prism", "d": np.ones(12)},
            "model 'thin_prism', expected one of 'plumb_bob', 'rational_polynomial', 'equidistant'",
        ),
    ],
)
def test_unusable_intrinsics_are_named(change, message):
    with pytest.raises(CalibrationError, match=message):
        validate(replace(camera(), **change))


def test_usable_intrinsics_pass():
    for model, d in [*DISTORTED, ("", np.zeros(5)), ("unheard_of", np.zeros(0))]:
        validate(camera(model, d))


@pytest.mark.parametrize(
    ("p", "message"),
    [
        (None, "found no P, expected it for projection into the rectified image"),
        (np.zeros((3, 4)), "found P with focal lengths 0.0, 0.0"),
    ],
)
def test_rectified_needs_p(p, message):
    with pytest.raises(CalibrationError, match=message):
        project_points(rays(3), camera(p=p), rectified=True)


@pytest.mark.parametrize(
    "transform",
    [np.eye(3), np.diag([1.0, 1, 1, np.nan]), np.diag([2.0, 2, 2, 1]), np.diag([1.0, 1, -1, 1]), np.ones((4, 4))],
)
def test_a_transform_must_be_rigid(transform):
    with pytest.raises(CalibrationError, match=r"transform to the view: found .*expected a \(4, 4\) rotation"):
        lens_of(camera(), transform)


def test_a_sealed_machine_compiles_without_a_cache(monkeypatch):
    """Where numba finds no folder to cache in, it raises while the module is imported; that must not stop anybody."""
    real, asked = numba.njit, []

    def njit(**options):
        asked.append(options.get("cache", False))
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return real(**options)

    monkeypatch.setattr(numba, "njit", njit)
    assert compiled(lambda x: x + 1)(2) == 3
    assert asked == [True, False]
