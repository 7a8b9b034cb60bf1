# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Points that a moving sensor measured one after the other, put where they are at one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from any2seg_core.errors import FrameError
from any2seg_core.frames import Points

if TYPE_CHECKING:
    from numpy.typing import NDArray


def deskew(points: Points, start: NDArray[np.float64], end: NDArray[np.float64], at: NDArray[np.float64]) -> Points:
    """Give the points as the sensor would see them, all at once, from another pose.

    Each point is taken to a fixed frame from the pose that the sensor had when it measured the point: between start
    and end the turn is spread evenly about one axis, and the shift evenly along a line. In a sweep of duration T that
    drives an arc with speed v and yaw rate w this errs by v w T^2 / 8: 6 mm at 10 m/s, 0.5 rad/s and 0.1 s.

    Args:
        points: as measured; t_ns tells when. Without t_ns all count as measured at the start.
        start: (4, 4) pose of the sensor in the fixed frame at the first of t_ns.
        end: (4, 4) pose at the last of t_ns.
        at: (4, 4) pose to see them from.

    Returns:
        As many points, in the same order, without t_ns.

    Raises:
        FrameError: there is no point.
    """
    if not len(points):
        msg = "deskew: found no point, expected at least one; leave empty scans out"
        raise FrameError(msg)
    to_anchor = np.linalg.inv(at)
    xyz = points.xyz.astype(np.float64)
    if points.t_ns is None:
        placed = xyz @ start[:3, :3].T + start[:3, 3]
    else:
        first, last = int(np.min(points.t_ns)), int(np.max(points.t_ns))
        share = (points.t_ns - first) / max(last - first, 1)
        turned = _turned(xyz, rotation_vector(start[:3, :3].T @ end[:3, :3]), share)
        placed = turned @ start[:3, :3].T + start[:3, 3] + share[:, None] * (end[:3, 3] - start[:3, 3])
    return Points((placed @ to_anchor[:3, :3].T + to_anchor[:3, 3]).astype(np.float32), points.intensity)


def pose_between(start: NDArray[np.float64], end: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Interpolate between two poses (4, 4) as deskew does: start at 0, end at 1, the motion goes on beyond."""
    vector = rotation_vector(start[:3, :3].T @ end[:3, :3])
    pose = np.eye(4)
    pose[:3, :3] = start[:3, :3] @ _turned(np.eye(3), vector, np.full(3, share)).T
    pose[:3, 3] = start[:3, 3] + share * (end[:3, 3] - start[:3, 3])
    return pose


def rotation_vector(rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Axis times angle (radians, 0 to pi) of a (3, 3) rotation matrix; any axis serves half a turn."""
    across = np.array(
        [rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]]
    )
    sine, cosine = np.linalg.norm(across) / 2, (np.trace(rotation) - 1) / 2
    angle = float(np.arctan2(sine, cosine))
    if sine > 1e-6:
        return np.asarray(across / (2 * sine) * angle)
    if cosine > 0:
        return np.asarray(across / 2)
    # Half a turn: R = 2 a a^T - 1, so any column of R + 1 that is not zero lies along the axis.
    columns = rotation + np.eye(3)
    longest = columns[:, int(np.argmax(np.diag(columns)))]
    return np.asarray(longest / np.linalg.norm(longest) * np.pi)


def _turned(xyz: NDArray[np.float64], vector: NDArray[np.float64], share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn each point (N, 3) by its share (N,) of a rotation vector (Rodrigues' formula)."""
    angle = float(np.linalg.norm(vector))
    if not angle:
        return xyz
    axis = vector / angle
    cosine, sine = np.cos(share * angle)[:, None], np.sin(share * angle)[:, None]
    along = (xyz @ axis)[:, None] * axis
    return np.asarray(xyz * cosine + np.cross(axis, xyz) * sine + along * (1 - cosine))
