# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Where the sensors sit on the vehicle, and what the camera's lens does.

Frames follow REP 103 and REP 105: base_link on the ground below the vehicle, x forward, y left, z up; optical
frames z forward, x right, y down. Camera and depth are one optical frame; the event camera looks through the
same lens (as behind a beam splitter), so its frame has another name and the same pose.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_core.frames import CameraModel, Modality

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
_CAMERA_AT_M: Final = (1.3, 0.0, 1.6)
_LIDAR_AT_M: Final = (1.0, 0.0, 1.95)


def _placed(rotation: NDArray[np.float64], at_m: tuple[float, float, float]) -> NDArray[np.float64]:
    pose = np.eye(4)
    pose[:3, :3] = rotation
    pose[:3, 3] = at_m
    return pose


def _camera_pose() -> NDArray[np.float64]:
    """Optical axes in base_link: z looks forward, x right, y down."""
    return _placed(np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]), _CAMERA_AT_M)


@dataclass(frozen=True, eq=False)
class Rig:
    """The vehicle's sensors.

    Attributes:
        camera: intrinsics of the camera, which depth and event camera share but for the frame's name.
        camera_in_base: (4, 4) pose of the optical frame in base_link.
        lidar_in_base: (4, 4) pose of the LiDAR in base_link.
    """

    camera: CameraModel
    camera_in_base: NDArray[np.float64] = field(default_factory=_camera_pose)
    lidar_in_base: NDArray[np.float64] = field(default_factory=lambda: _placed(np.eye(3), _LIDAR_AT_M))

    @staticmethod
    def of(settings: DriveSettings) -> Rig:
        """Make the rig of a drive: an ideal pinhole camera of the asked size and field of view."""
        width, height = settings.width, settings.height
        focal = width / 2 / math.tan(math.radians(settings.fov_deg) / 2)
        k = np.array([[focal, 0.0, (width - 1) / 2], [0.0, focal, (height - 1) / 2], [0.0, 0.0, 1.0]])
        p = np.hstack([k, np.zeros((3, 1))])
        frame_id = FRAME_IDS[Modality.RGB]
        return Rig(CameraModel(width, height, k, "plumb_bob", np.zeros(5), np.eye(3), p, frame_id))

    @property
    def lidar_to_camera(self) -> NDArray[np.float64]:
        """(4, 4) transform of points of the LiDAR into the camera's optical frame."""
        return np.asarray(np.linalg.inv(self.camera_in_base) @ self.lidar_in_base)

    @property
    def transforms(self) -> tuple[tuple[str, str, NDArray[np.float64]], ...]:
        """Static transforms: parent frame, child frame, (4, 4) pose of the child in the parent."""
        camera, event = FRAME_IDS[Modality.RGB], FRAME_IDS[Modality.EVENT]
        return (
            (BASE_FRAME, camera, self.camera_in_base),
            (camera, event, np.eye(4)),
            (BASE_FRAME, FRAME_IDS[Modality.LIDAR], self.lidar_in_base),
        )
