# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What is known of cameras and extrinsics, and how it completes a frame set so that points can be projected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from any2seg_core.errors import CalibrationError, FrameError
from any2seg_core.frames import Absence, CameraModel, FrameSet, Modality, Points
from any2seg_core.projection.camera import scaled, validate
from any2seg_ros.conversions import matrix_from_xyz_quaternion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from any2seg_core.config import LidarConfig, ViewConfig

TransformLookup: TypeAlias = Callable[[str, str, int], NDArray[np.float64] | None]
"""(target frame, source frame, stamp_ns) -> (4, 4) transform of source into target, or None while it is not known."""

CAMERAS: Final = (Modality.RGB, Modality.DEPTH, Modality.EVENT)
ASPECT_TOLERANCE: Final = 0.01
"""Relative difference of aspect ratios up to which a CameraInfo of another size still describes the same view."""


class Calibration:
    """Cameras by modality, and the LiDAR's place in them.

    Args:
        view: pinhole camera to fall back on where no CameraInfo arrives.
        lidar: holds the extrinsic parameter, which wins over TF.
        lookup: asks TF; gives None while the transform is not known.
    """

    def __init__(self, view: ViewConfig, lidar: LidarConfig, lookup: TransformLookup) -> None:
        self._fallback = _fallback_camera(view)
        self._images_are_rectified = view.rectified
        self._extrinsic = matrix_from_xyz_quaternion(lidar.extrinsic) if any(lidar.extrinsic) else None
        self._lookup = lookup
        self._cameras: dict[Modality, CameraModel] = {}

    def see_camera(self, modality: Modality, camera: CameraModel) -> None:
        """Remember the newest intrinsics of a camera.

        Raises:
            CalibrationError: the intrinsics are unusable; what was known before stays.
        """
        validate(camera)
        self._cameras[modality] = camera

    def complete(self, frame_set: FrameSet, anchors: Sequence[Modality]) -> tuple[FrameSet, list[CalibrationError]]:
        """Add the view and the transform that points need, or leave the points out and say why.

        Returns:
            The frame set, anchored on the next of anchors where the anchor itself had to go; and what was wrong.

        Raises:
            FrameError: nothing is left of the frame set.
        """
        lidar = frame_set.frames.get(Modality.LIDAR)
        needs_view = lidar is not None and isinstance(lidar.data, Points)
        try:
            view, rectify = self._view(frame_set)
        except CalibrationError as error:
            return (
                (_without_lidar(frame_set, Absence.NO_CALIBRATION, anchors), [error]) if needs_view else (frame_set, [])
            )
        frame_set = replace(frame_set, view=view)
        if lidar is None or not needs_view:
            return frame_set, []
        target = view.frame_id or frame_set.frames[frame_set.anchor].frame_id
        to_view = self._extrinsic
        if to_view is None:
            to_view = self._lookup(target, lidar.frame_id, lidar.stamp_ns)
        if to_view is None:
            problem = CalibrationError(
                f"no transform from {lidar.frame_id!r} to {target!r}; publish it on /tf or /tf_static, "
                "or set lidar.extrinsic"
            )
            return _without_lidar(frame_set, Absence.NO_TRANSFORM, anchors), [problem]
        frames = {**frame_set.frames, Modality.LIDAR: replace(lidar, to_view=rectify @ to_view)}
        return replace(frame_set, frames=frames), []

    def _view(self, frame_set: FrameSet) -> tuple[CameraModel, NDArray[np.float64]]:
        """Choose the camera to project into: the anchor's own, or any where the anchor has no image.

        Returns:
            The camera at the size of the anchor's image, and the (4, 4) transform from its optical frame into it.
        """
        size = frame_set.frames[frame_set.anchor].size
        if size is None:
            camera = next(
                (self._cameras[modality] for modality in CAMERAS if modality in self._cameras), self._fallback
            )
        else:
            camera = self._cameras.get(frame_set.anchor, self._fallback)
        if camera is None:
            msg = (
                f"no camera intrinsics for anchor {frame_set.anchor.value!r}; publish its CameraInfo with K[0] above "
                "0, or set the view parameters"
            )
            raise CalibrationError(msg)
        if size is not None:
            camera = _fitted(camera, size)
        return rectified(camera) if self._images_are_rectified else (camera, np.eye(4))


def rectified(camera: CameraModel) -> tuple[CameraModel, NDArray[np.float64]]:
    """Give the pinhole camera of the rectified image, and the (4, 4) transform from the raw optical frame into it.

    The transform holds R, and for the second camera of a stereo pair the baseline that P[:, 3] states
    (sensor_msgs/CameraInfo).
    """
    if camera.p is None or camera.p[0, 0] == 0 or camera.p[1, 1] == 0:
        msg = "view.rectified is set and CameraInfo has no projection matrix P; publish P, or unset view.rectified"
        raise CalibrationError(msg)
    k = camera.p[:, :3]
    transform = np.eye(4)
    transform[:3, :3] = camera.r
    transform[:3, 3] = np.linalg.solve(k, camera.p[:, 3])
    return replace(camera, k=k, distortion_model="", d=np.zeros(0), r=np.eye(3)), transform


def _fitted(camera: CameraModel, size: tuple[int, int]) -> CameraModel:
    """Scale intrinsics to an image of the same view but another size."""
    height, width = size
    if (height, width) == (camera.height, camera.width):
        return camera
    if abs(width * camera.height / (height * camera.width) - 1) > ASPECT_TOLERANCE:
        msg = (
            f"camera intrinsics are for {camera.width}x{camera.height}, the image is {width}x{height}: another aspect "
            "ratio; publish the CameraInfo that belongs to the image"
        )
        raise CalibrationError(msg)
    return scaled(camera, width, height)


def _fallback_camera(view: ViewConfig) -> CameraModel | None:
    if not view.width_px:
        return None
    k = np.array([[view.fx_px, 0, view.cx_px], [0, view.fy_px, view.cy_px], [0, 0, 1]], np.float64)
    p = np.hstack([k, np.zeros((3, 1))])
    return CameraModel(view.width_px, view.height_px, k, p=p, frame_id=view.frame_id)


def _without_lidar(frame_set: FrameSet, reason: Absence, anchors: Sequence[Modality]) -> FrameSet:
    frames = dict(frame_set.frames)
    del frames[Modality.LIDAR]
    absent: Mapping[Modality, Absence] = {**frame_set.absent, Modality.LIDAR: reason}
    if frame_set.anchor in frames:
        return replace(frame_set, frames=frames, absent=absent)
    anchor = next((modality for modality in anchors if modality in frames), None)
    if anchor is None:
        msg = f"the LiDAR is the only sensor alive and cannot be used: {reason.value}; see the calibration messages"
        raise FrameError(msg)
    return replace(frame_set, anchor=anchor, frames=frames, absent=absent)
