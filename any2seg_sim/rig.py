# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Where the sensors sit on the vehicle, and what their lenses do.

Frames follow REP 103 and REP 105: base_link on the ground below the vehicle, x forward, y left, z up; optical
frames z forward, x right, y down.

In the "aligned" rig camera and depth are one optical frame, and the event camera looks through the same lens (as
behind a beam splitter), so its frame has another name and the same pose. In the "vehicle" rig every sensor has its
own place and the depth and event cameras their own field of view.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from any2seg_core.errors import ConfigError
from any2seg_core.frames import CameraModel, Modality
from any2seg_core.projection.camera import lens_of, projected, scaled
from any2seg_core.projection.kernels import EQUIDISTANT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from any2seg_sim.settings import DriveSettings

BASE_FRAME: Final = "base_link"
FRAME_IDS: Final[Mapping[Modality, str]] = {
    Modality.RGB: "camera_optical_frame",
    Modality.DEPTH: "camera_optical_frame",
    Modality.EVENT: "event_camera_optical_frame",
    Modality.LIDAR: "lidar",
}
"""Frames of the aligned rig; the vehicle rig's depth sensor has a frame of its own, see Rig.frame_ids."""
_DEPTH_FRAME: Final = "depth_optical_frame"
_EVENT_GRID: Final = 4
"""A low-resolution event camera has pixels so many times as wide and high."""

_CORNER_PX: Final = 2.0
"""A lens model may end so close to a corner: farther out there is next to nothing."""

Pose: TypeAlias = "NDArray[np.float64]"
_Place: TypeAlias = "tuple[tuple[float, float, float], tuple[float, float, float]]"
_CAMERA: Final[_Place] = ((1.3, 0.0, 1.6), (0.0, 0.0, 0.0))
_PLACES: Final[Mapping[str, Mapping[Modality, _Place]]] = {
    "aligned": {
        Modality.RGB: _CAMERA,
        Modality.DEPTH: _CAMERA,
        Modality.EVENT: _CAMERA,
        Modality.LIDAR: ((1.0, 0.0, 1.95), (0.0, 0.0, 0.0)),
    },
    "vehicle": {
        Modality.RGB: ((1.4, 0.0, 1.55), (0.0, 1.5, 0.0)),
        Modality.DEPTH: ((1.45, 0.12, 1.48), (0.0, 2.0, 1.0)),
        Modality.EVENT: ((1.42, -0.10, 1.58), (0.5, 1.0, -1.0)),
        Modality.LIDAR: ((0.6, 0.0, 2.05), (0.0, 1.0, 0.5)),
    },
}
"""Metres in base_link, and roll, pitch (positive looks down) and yaw in degrees, by rig and sensor."""
_ZOOM: Final[Mapping[str, Mapping[Modality, float]]] = {
    "aligned": {Modality.RGB: 1.0, Modality.DEPTH: 1.0, Modality.EVENT: 1.0},
    "vehicle": {Modality.RGB: 1.0, Modality.DEPTH: 0.92, Modality.EVENT: 1.1},
}
"""Focal lengths, as a share of the camera's."""
_LENSES: Final[Mapping[str, tuple[float, ...]]] = {
    "none": (0.0, 0.0, 0.0, 0.0, 0.0),
    "plumb_bob": (-0.24, 0.07, 0.0006, -0.0004, -0.008),
    "rational_polynomial": (0.10, 0.02, 0.0005, -0.0003, 0.0, 0.30, 0.03, 0.0),
    "equidistant": (-0.02, 0.004, -0.001, 0.0002),
}
"""Coefficients of a wide-angle lens by distortion model."""
_OPTICAL: Final = ((0.0, 0.0, 1.0), (-1.0, 0.0, 0.0), (0.0, -1.0, 0.0))
"""Rotation of an optical frame in a frame that looks along x."""


@dataclass(frozen=True, eq=False)
class Rig:
    """The vehicle's sensors.

    Attributes:
        cameras: intrinsics of the camera, the depth sensor and the event camera.
        poses: (4, 4) pose of every sensor's frame in base_link.
        aligned: camera, depth sensor and event camera look through one lens.
    """

    cameras: Mapping[Modality, CameraModel]
    poses: Mapping[Modality, Pose]
    aligned: bool

    @staticmethod
    def of(settings: DriveSettings) -> Rig:
        """Make the rig of a drive.

        Raises:
            ConfigError: the lens model does not reach the corners of the image at this field of view.
        """
        places = _PLACES[settings.rig]
        cameras = {modality: _camera(settings, modality) for modality in (Modality.RGB, Modality.DEPTH, Modality.EVENT)}
        event = cameras[Modality.EVENT]
        if settings.failure == "eventlowres":
            cameras[Modality.EVENT] = scaled(event, event.width // _EVENT_GRID, event.height // _EVENT_GRID)
        poses = {modality: _pose(*place, optical=modality is not Modality.LIDAR) for modality, place in places.items()}
        return Rig(cameras, poses, settings.rig == "aligned")

    @property
    def camera(self) -> CameraModel:
        """Intrinsics of the camera."""
        return self.cameras[Modality.RGB]

    @property
    def camera_in_base(self) -> Pose:
        """(4, 4) pose of the camera's optical frame in base_link."""
        return self.poses[Modality.RGB]

    @property
    def lidar_in_base(self) -> Pose:
        """(4, 4) pose of the LiDAR in base_link."""
        return self.poses[Modality.LIDAR]

    @property
    def lidar_to_camera(self) -> Pose:
        """(4, 4) transform of points of the LiDAR into the camera's optical frame."""
        return np.asarray(np.linalg.inv(self.camera_in_base) @ self.lidar_in_base)

    @property
    def frame_ids(self) -> dict[Modality, str]:
        """Name of every sensor's frame."""
        return {**FRAME_IDS, **{modality: camera.frame_id for modality, camera in self.cameras.items()}}

    @property
    def transforms(self) -> tuple[tuple[str, str, NDArray[np.float64]], ...]:
        """Static transforms: parent frame, child frame, (4, 4) pose of the child in the parent."""
        names = self.frame_ids
        camera, depth, event, lidar = (names[modality] for modality in self.poses)
        chain = [(BASE_FRAME, camera, self.camera_in_base)]
        if self.aligned:
            chain.append((camera, event, np.eye(4)))
        else:
            chain.append((BASE_FRAME, depth, self.poses[Modality.DEPTH]))
            chain.append((BASE_FRAME, event, self.poses[Modality.EVENT]))
        return (*chain, (BASE_FRAME, lidar, self.lidar_in_base))


def _camera(settings: DriveSettings, modality: Modality) -> CameraModel:
    width, height = settings.width, settings.height
    focal = _ZOOM[settings.rig][modality] * width / 2 / math.tan(math.radians(settings.fov_deg) / 2)
    k = np.array([[focal, 0.0, (width - 1) / 2], [0.0, focal, (height - 1) / 2], [0.0, 0.0, 1.0]])
    own_depth = modality is Modality.DEPTH and settings.rig != "aligned"
    frame_id = _DEPTH_FRAME if own_depth else FRAME_IDS[modality]
    model = "plumb_bob" if settings.distortion == "none" else settings.distortion
    d = np.array(_LENSES[settings.distortion])
    camera = CameraModel(width, height, k, model, d, np.eye(3), np.hstack([k, np.zeros((3, 1))]), frame_id)
    _check_lens(camera, settings)
    return camera


def _check_lens(camera: CameraModel, settings: DriveSettings) -> None:
    """Refuse a lens whose model stops to hold before the corners of the image."""
    if settings.distortion == "none":
        return
    lens = lens_of(camera)
    centre = camera.k[:2, 2]
    corners = np.array([[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]]) * (centre + 0.5)
    across = corners / np.linalg.norm(corners, axis=1, keepdims=True)
    angle = (lens.limit if lens.model == EQUIDISTANT else math.atan(lens.limit)) * (1.0 - 1e-6)
    farthest = np.column_stack([math.sin(angle) * across, np.full(4, math.cos(angle))])
    uv, _ = projected(farthest, lens)
    if not np.all(np.abs(uv - centre) > np.abs(corners) - _CORNER_PX):
        msg = (
            f"rig: found a field of view of {settings.fov_deg:g} degrees and a {settings.distortion} lens, whose model "
            "does not reach the corners of such an image; expected a smaller fov_deg, or another distortion"
        )
        raise ConfigError(msg)


def _pose(at_m: tuple[float, float, float], turn_deg: tuple[float, float, float], *, optical: bool) -> Pose:
    roll, pitch, yaw = (math.radians(angle) for angle in turn_deg)
    pose = np.eye(4)
    pose[:3, :3] = rotation_about(2, yaw) @ rotation_about(1, pitch) @ rotation_about(0, roll)
    if optical:
        pose[:3, :3] = pose[:3, :3] @ np.array(_OPTICAL)
    pose[:3, 3] = at_m
    return pose


def rotation_about(axis: int, angle: float) -> Pose:
    """Rotation (3, 3) about the x (0), y (1) or z (2) axis by an angle in radians."""
    turn = np.eye(3)
    a, b = (axis + 1) % 3, (axis + 2) % 3
    turn[a, a] = turn[b, b] = math.cos(angle)
    turn[b, a] = math.sin(angle)
    turn[a, b] = -math.sin(angle)
    return turn
