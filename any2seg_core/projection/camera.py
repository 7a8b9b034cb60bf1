# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Projection of points by camera models, as sensor_msgs/CameraInfo and OpenCV define them.

Pixel coordinates: an integer coordinate is the centre of a pixel, so an image of width W spans [-0.5, W - 0.5).
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from any2seg_core.errors import CalibrationError
from any2seg_core.projection.kernels import EQUIDISTANT, PINHOLE, POLYNOMIAL, Lens, project

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from any2seg_core.frames import CameraModel

COEFFICIENTS: Final = {"": (0,), "plumb_bob": (0, 4, 5), "rational_polynomial": (0, 8), "equidistant": (0, 4)}
"""Numbers of distortion coefficients per model name of sensor_msgs/CameraInfo; none means a plain pinhole."""

_SCAN_STEPS: Final = 4096
_WIDEST_ANGLE: Final = math.radians(89.9)


def validate(camera: CameraModel) -> None:
    """Check that intrinsics can be used.

    Raises:
        CalibrationError: the camera is not calibrated (K[0] is 0), a size is not positive, a matrix has another
            shape or non-finite values, or the distortion model and its coefficients do not go together.
    """
    if camera.width <= 0 or camera.height <= 0:
        msg = f"camera: found size {camera.width}x{camera.height}, expected positive; fill CameraInfo width and height"
        raise CalibrationError(msg)
    for name, matrix, shape in (("K", camera.k, (3, 3)), ("R", camera.r, (3, 3)), ("P", camera.p, (3, 4))):
        if matrix is not None and (matrix.shape != shape or not np.isfinite(matrix).all()):
            msg = f"camera: found {name} = {matrix.tolist()}, expected {shape} finite numbers; calibrate the camera"
            raise CalibrationError(msg)
    if camera.k[0, 0] == 0:
        msg = "camera: found K[0] = 0, which CameraInfo uses for an uncalibrated camera; calibrate it"
        raise CalibrationError(msg)
    _check_intrinsic("K", camera.k)
    _check_distortion(camera.distortion_model, camera.d)


def scaled(camera: CameraModel, width: int, height: int) -> CameraModel:
    """Describe the same view at another image size.

    A pixel centre u moves to (u + 0.5) * s - 0.5, hence cx' = (cx + 0.5) * s - 0.5 and fx' = fx * s, where s is the
    ratio of the widths; likewise in y.

    Raises:
        CalibrationError: a size is not positive.
    """
    if min(camera.width, camera.height, width, height) <= 0:
        msg = f"camera: found sizes {camera.width}x{camera.height} and {width}x{height}, expected positive ones"
        raise CalibrationError(msg)
    x, y = width / camera.width, height / camera.height
    change = np.array([[x, 0, 0.5 * x - 0.5], [0, y, 0.5 * y - 0.5], [0, 0, 1]])
    p = None if camera.p is None else change @ camera.p
    return replace(camera, width=width, height=height, k=change @ camera.k, p=p)


def project_points(
    points: NDArray[np.floating[Any]], camera: CameraModel, *, rectified: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Project points of the camera's optical frame.

    Args:
        points: (N, 3) metres, x right, y down, z forward.
        camera: intrinsics.
        rectified: project into the rectified image, with R and P and no distortion, instead of the raw one.

    Returns:
        uv (N, 2) float32 in pixels, NaN where not valid; valid (N,) bool: in front of the camera and inside the
        field of view that the lens model holds for. A valid point may still lie outside the image.

    Raises:
        CalibrationError: see validate; or rectified without P.
    """
    uv, _ = projected(points, lens_of(camera, rectified=rectified))
    return uv, np.isfinite(uv[:, 0])


def projected(points: NDArray[np.floating[Any]], lens: Lens) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Project points (N, 3) through a lens: uv (N, 2) float32, NaN where there is no image; depth (N,) float32."""
    xyz = np.require(points, np.float32, ["C", "W"])
    uv, depth = np.empty((len(xyz), 2), np.float32), np.empty(len(xyz), np.float32)
    project(xyz, lens, uv, depth)
    return uv, depth


def cells(uv: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give row and column of the pixels that contain the coordinates uv (N, 2)."""
    column, row = np.floor(uv.astype(np.float64) + 0.5).astype(np.int64).T
    return row, column


def inside(uv: NDArray[np.float32], camera: CameraModel) -> NDArray[np.bool_]:
    """Tell which coordinates uv (N, 2) lie in the image; NaN does not."""
    low, high = np.float32(-0.5), np.array([camera.width - 0.5, camera.height - 0.5], np.float32)
    within: NDArray[np.bool_] = (uv >= low) & (uv < high)
    return within[:, 0] & within[:, 1]


def lens_of(camera: CameraModel, to_view: NDArray[np.float64] | None = None, *, rectified: bool = False) -> Lens:
    """Make a camera ready for the compiled loops.

    Args:
        camera: intrinsics.
        to_view: (4, 4) rigid transform from the points' frame to the camera's optical frame, identity if left out.
        rectified: use R and P instead of K and D.

    Raises:
        CalibrationError: see validate; the transform is not rigid; or rectified without P.
    """
    validate(camera)
    transform = np.eye(4) if to_view is None else np.asarray(to_view, np.float64)
    _check_rigid(transform)
    if rectified:
        k, to_rectified = _rectification(camera)
        transform, model, d = to_rectified @ transform, "", np.zeros(0)
    else:
        k, model, d = camera.k, camera.distortion_model, camera.d
    code = _model_code(model, d)
    padded = np.zeros(8)
    padded[: len(d)] = d
    limit = math.inf if code == PINHOLE else _limit(code, tuple(padded.tolist()), _corner_radius(k, camera))
    rows, pixel = (tuple(map(tuple, matrix.tolist())) for matrix in (transform[:3], np.asarray(k[:2], np.float64)))
    return Lens(cast("Any", rows), cast("Any", pixel), code, cast("Any", tuple(padded.tolist())), limit)


def _model_code(model: str, d: NDArray[np.float64]) -> int:
    if model == "equidistant" and len(d):
        return EQUIDISTANT
    return POLYNOMIAL if np.any(d) else PINHOLE


def _rectification(camera: CameraModel) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Intrinsics of the rectified image and the transform into its frame: R, and the stereo baseline of P[:, 3]."""
    if camera.p is None:
        msg = "camera: found no P, expected it for projection into the rectified image; fill CameraInfo P"
        raise CalibrationError(msg)
    k = camera.p[:, :3]
    _check_intrinsic("P", k)
    transform = np.eye(4)
    transform[:3, :3] = camera.r
    transform[:3, 3] = np.linalg.solve(k, camera.p[:, 3])
    return k, transform


def _corner_radius(k: NDArray[np.float64], camera: CameraModel) -> float:
    """Largest distorted radius, in normalised coordinates, of anything in the image."""
    right, bottom = camera.width - 0.5, camera.height - 0.5
    corners = np.array([[-0.5, right, -0.5, right], [-0.5, -0.5, bottom, bottom], [1, 1, 1, 1]])
    a, b, _ = np.linalg.solve(k, corners)
    return float(np.hypot(a, b).max())


@lru_cache(maxsize=64)
def _limit(model: int, d: tuple[float, ...], corner: float) -> float:
    """Find how far from the axis the lens model may be trusted: up to the image corner or the first fold.

    A distortion polynomial fitted inside the image turns back somewhere outside it and would draw points from
    the side, even from behind the edge of view, into the image. The radius is followed outwards until the
    image's corner is passed, or the mapping stops being one-to-one. With radial part g(r) and tangential
    coefficients of sum p, the tangential shift is at most 3 p r^2 and its derivative at most 6 p r, so that
    the mapping is one-to-one while g' and g / r stay above 6 p r.
    """
    angle = np.linspace(0.0, _WIDEST_ANGLE, _SCAN_STEPS + 1)[1:]
    if model == EQUIDISTANT:
        along, tangential = angle, 0.0
        odd = np.arange(3, 11, 2)[:, None]
        terms = np.array(d[:4])[:, None] * angle ** (odd - 1)
        bent, slope = angle * (1.0 + terms.sum(axis=0)), 1.0 + (odd * terms).sum(axis=0)
    else:
        along, tangential = np.tan(angle), 3.0 * (abs(d[2]) + abs(d[3]))
        bent, slope = _radial(along, d)
    safe = np.minimum(slope, bent / along) > 2.0 * tangential * along
    passed = bent - tangential * along**2 >= corner
    fold = _first(~safe)
    last = max(min(_first(passed), fold - 1), 0)
    return float(along[min(last, len(along) - 1)])


def _radial(radius: NDArray[np.float64], d: tuple[float, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distorted radius and its derivative; minus infinity for both once the denominator has changed sign."""
    k1, k2, _, _, k3, k4, k5, k6 = d
    over, under = np.polynomial.Polynomial([1.0, k1, k2, k3]), np.polynomial.Polynomial([1.0, k4, k5, k6])
    square = radius**2
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = over(square) / under(square)
        slope = ratio + 2.0 * square * (over.deriv()(square) - ratio * under.deriv()(square)) / under(square)
    positive = under(square) > 0.0
    return np.where(positive, radius * ratio, -np.inf), np.where(positive, slope, -np.inf)


def _first(flags: NDArray[np.bool_]) -> int:
    return int(np.argmax(flags)) if np.any(flags) else len(flags)


def _check_intrinsic(name: str, k: NDArray[np.float64]) -> None:
    if not (k[0, 0] > 0 and k[1, 1] > 0 and np.array_equal(k[2], (0, 0, 1))):
        msg = (
            f"camera: found {name} with focal lengths {k[0, 0]}, {k[1, 1]} and last row {k[2].tolist()}, "
            "expected positive ones and 0 0 1; check the calibration file"
        )
        raise CalibrationError(msg)


def _check_distortion(model: str, d: NDArray[np.float64]) -> None:
    known = ", ".join(repr(name) for name in COEFFICIENTS if name)
    if model not in COEFFICIENTS and len(d):
        msg = f"camera: found distortion model {model!r}, expected one of {known}; convert the calibration"
        raise CalibrationError(msg)
    if not np.isfinite(d).all():
        msg = f"camera: found distortion coefficients {d.tolist()}, expected finite numbers; calibrate it"
        raise CalibrationError(msg)
    if model == "" and not np.any(d):
        return
    allowed = COEFFICIENTS.get(model, (0,))
    if d.ndim != 1 or len(d) not in allowed:
        msg = (
            f"camera: found {d.size} distortion coefficients for model {model!r}, expected "
            f"{' or '.join(str(count) for count in allowed)}; the models are {known}"
        )
        raise CalibrationError(msg)


def _check_rigid(transform: NDArray[np.float64]) -> None:
    if transform.shape == (4, 4) and np.isfinite(transform).all() and np.array_equal(transform[3], (0, 0, 0, 1)):
        rotation = transform[:3, :3]
        if np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3) and np.linalg.det(rotation) > 0:
            return
    msg = (
        f"transform to the view: found {transform.tolist()!r:.200}, expected a (4, 4) rotation and translation; "
        "check the extrinsic calibration"
    )
    raise CalibrationError(msg)
