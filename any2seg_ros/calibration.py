# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What is known of cameras and extrinsics, and how it completes a frame set so that points can be projected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from any2seg_core.errors import CalibrationError, ConfigError, FrameError
from any2seg_core.frames import Absence, CameraModel, FrameSet, Modality, Points
from any2seg_core.projection.camera import scaled, validate
from any2seg_core.projection.lidar import visible_points
from any2seg_ros.conversions import matrix_from_xyz_quaternion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from any2seg_core.config import LidarConfig, ViewConfig
    from any2seg_core.frames import SensorFrame

TransformLookup: TypeAlias = Callable[[str, str, int], NDArray[np.float64] | None]
"""(target frame, source frame, stamp_ns) -> (4, 4) transform of source into target, or None while it is not known."""

CAMERAS: Final = (Modality.RGB, Modality.DEPTH, Modality.EVENT)
SAMPLED_POINTS: Final = 2000
"""Points of a scan, at most, that are tried to see if it lands in the view at all."""
ASPECT_TOLERANCE: Final = 0.01
"""Relative difference of aspect ratios up to which a CameraInfo of another size still describes the same view."""


class Calibration:
    """Cameras by modality, and the LiDAR's place in them.

    Args:
        view: pinhole camera to fall back on where no CameraInfo arrives.
        lidar: holds the extrinsic parameter, which wins over TF.
        lookup: asks TF; gives None while the transform is not known.

    Raises:
        ConfigError: the extrinsic parameter is no transform.
    """

    def __init__(self, view: ViewConfig, lidar: LidarConfig, lookup: TransformLookup) -> None:
        self._fallback = _fallback_camera(view)
        self._images_are_rectified = view.rectified
        self._extrinsic = stated_extrinsic(lidar.extrinsic, "lidar.extrinsic")
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

        Points that all lie outside the view stay, as a camera may well look at the sky, but are told of.

        Returns:
            The frame set, anchored on the next of anchors where the anchor itself had to go; and what was wrong.

        Raises:
            FrameError: nothing is left of the frame set.
        """
        lidar = frame_set.frames.get(Modality.LIDAR)
        if lidar is None or not isinstance(lidar.data, Points):
            return self._viewed(frame_set), []
        reason = Absence.NO_CALIBRATION
        try:
            view, rectify = self._view(frame_set)
            reason = Absence.NO_TRANSFORM
            to_view = rectify @ self._to_camera(lidar, self.target(replace(frame_set, view=view)))
            seen = _any_visible(lidar.data, to_view, view)
        except CalibrationError as error:
            return self._viewed(leave_out(frame_set, {Modality.LIDAR: reason}, anchors)), [error]
        frames = {**frame_set.frames, Modality.LIDAR: replace(lidar, to_view=to_view)}
        return replace(frame_set, view=view, frames=frames), [] if seen else [_unseen(lidar, view)]

    def _viewed(self, frame_set: FrameSet) -> FrameSet:
        """Add the view where it is known; depth may need it (HHA), and can be told so better where it does."""
        try:
            view, _ = self._view(frame_set)
        except CalibrationError:
            return replace(frame_set, view=None)
        return replace(frame_set, view=view)

    def _view(self, frame_set: FrameSet) -> tuple[CameraModel, NDArray[np.float64]]:
        """Choose the camera to project into: the anchor's own, or any where the anchor has no image.

        Returns:
            The camera at the size of the anchor's image, and the (4, 4) transform from its optical frame into it.
        """
        return self.imaging(frame_set.frames[frame_set.anchor])

    def imaging(self, frame: SensorFrame, *, fallback: bool = True) -> tuple[CameraModel, NDArray[np.float64]]:
        """Give the camera that took a frame: its own, one in the same frame_id (registered depth), or the fallback.

        Args:
            frame: an image; or points, which any camera may show.
            fallback: whether the view parameters may stand in.

        Returns:
            The camera at the image's size, of the rectified image where images are; and the (4, 4) transform from the
            raw optical frame into its frame.

        Raises:
            CalibrationError: no usable camera is known.
        """
        camera = self._camera(frame) or (self._fallback if fallback else None)
        if camera is None:
            msg = (
                f"no camera intrinsics for {frame.modality.value!r}; publish its CameraInfo with K[0] above 0"
                f"{', or set the view parameters' if fallback else ''}"
            )
            raise CalibrationError(msg)
        if frame.size is not None:
            camera = _fitted(camera, frame.size)
        return rectified(camera) if self._images_are_rectified else (camera, np.eye(4))

    def rectification(self, frame_set: FrameSet) -> NDArray[np.float64]:
        """Give the (4, 4) transform from the raw optical frame of the view into the view's.

        Raises:
            CalibrationError: the view is not known.
        """
        return self._view(frame_set)[1]

    def target(self, frame_set: FrameSet) -> str:
        """The optical frame of the view; "" where nobody tells it."""
        anchor = frame_set.frames[frame_set.anchor]
        return (frame_set.view.frame_id if frame_set.view else "") or ("" if anchor.size is None else anchor.frame_id)

    def _camera(self, frame: SensorFrame) -> CameraModel | None:
        known = [self._cameras[modality] for modality in CAMERAS if modality in self._cameras]
        if frame.size is not None:
            same_frame = [camera for camera in known if camera.frame_id and camera.frame_id == frame.frame_id]
            own = self._cameras.get(frame.modality)
            known = same_frame if own is None else [own]
        return known[0] if known else None

    def _to_camera(self, lidar: SensorFrame, target: str) -> NDArray[np.float64]:
        if self._extrinsic is not None:
            return self._extrinsic
        if not target:
            msg = (
                "the view has no frame_id, so there is no transform to ask for; publish CameraInfo with its optical "
                "frame, or set view.frame_id or lidar.extrinsic"
            )
            raise CalibrationError(msg)
        to_camera = self._lookup(target, lidar.frame_id, lidar.stamp_ns)
        if to_camera is None:
            msg = (
                f"no transform from {lidar.frame_id!r} to {target!r} close enough to the scan's stamp; publish it on "
                "/tf or /tf_static, or set lidar.extrinsic"
            )
            raise CalibrationError(msg)
        return to_camera


def rectified(camera: CameraModel) -> tuple[CameraModel, NDArray[np.float64]]:
    """Give the pinhole camera of the rectified image, and the (4, 4) transform from the raw optical frame into it.

    The transform holds R, and for the second camera of a stereo pair the baseline that P[:, 3] states
    (sensor_msgs/CameraInfo).
    """
    k = None if camera.p is None else camera.p[:, :3]
    if camera.p is None or k is None or not (k[0, 0] > 0 and k[1, 1] > 0 and np.array_equal(k[2], (0, 0, 1))):
        msg = (
            f"view.rectified is set and CameraInfo has P = {None if k is None else k.tolist()}, expected positive "
            "focal lengths and a last row 0 0 1; publish P, or unset view.rectified"
        )
        raise CalibrationError(msg)
    transform = np.eye(4)
    transform[:3, :3] = camera.r
    transform[:3, 3] = np.linalg.solve(k, camera.p[:, 3])
    return replace(camera, k=k, distortion_model="", d=np.zeros(0), r=np.eye(3)), transform


def same_aspect(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two sizes (height, width) may be of the same view."""
    return abs(size[1] * other[0] / (size[0] * other[1]) - 1) <= ASPECT_TOLERANCE


def _fitted(camera: CameraModel, size: tuple[int, int]) -> CameraModel:
    """Scale intrinsics to an image of the same view but another size."""
    height, width = size
    if (height, width) == (camera.height, camera.width):
        return camera
    if not same_aspect(size, (camera.height, camera.width)):
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


def stated_extrinsic(values: Sequence[float], name: str) -> NDArray[np.float64] | None:
    """A sensor's place as the parameter of that name states it; None where all is zero and TF is to be asked.

    Raises:
        ConfigError: it is no transform.
    """
    if not any(values):
        return None
    try:
        return matrix_from_xyz_quaternion(values)
    except CalibrationError as error:
        msg = f"{name}: {error}"
        raise ConfigError(msg) from None


def _any_visible(points: Points, to_view: NDArray[np.float64], view: CameraModel) -> bool:
    """Whether any of a sample of the points lands in the view."""
    stride = -(-len(points) // SAMPLED_POINTS)
    sample = Points(points.xyz[::stride], points.intensity[::stride])
    return len(visible_points(sample, to_view, view)[2]) > 0


def _unseen(lidar: SensorFrame, view: CameraModel) -> CalibrationError:
    return CalibrationError(
        f"none of the {SAMPLED_POINTS} points looked at of a scan in {lidar.frame_id!r} lands in the "
        f"{view.width}x{view.height} view, expected some; check the extrinsic (LiDAR in the optical frame: z forward, "
        "y down) and the intrinsics"
    )


def leave_out(frame_set: FrameSet, reasons: Mapping[Modality, Absence], anchors: Sequence[Modality]) -> FrameSet:
    """Take frames out of a set; where the anchor goes, the next of anchors that is there takes its place.

    Raises:
        FrameError: no anchor is left.
    """
    frames = {modality: frame for modality, frame in frame_set.frames.items() if modality not in reasons}
    candidates = (frame_set.anchor, *anchors)
    anchor = next((modality for modality in candidates if modality in frames), None)
    if anchor is None:
        why = ", ".join(f"{modality.value} {reason.value}" for modality, reason in reasons.items())
        msg = f"no sensor that may be the anchor is left ({why}); see what is reported of these sensors"
        raise FrameError(msg)
    return replace(frame_set, anchor=anchor, frames=frames, absent={**frame_set.absent, **reasons})
