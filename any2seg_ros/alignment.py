# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Depth made what the model was trained on: measured along the optical axis, and seen from the anchor's camera."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from any2seg_core.errors import CalibrationError
from any2seg_core.frames import Absence, Modality
from any2seg_core.projection.registration import axial_depth, register_depth
from any2seg_ros.calibration import leave_out, same_aspect, stated_extrinsic

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeGuard

    from numpy.typing import NDArray

    from any2seg_core.config import DepthConfig
    from any2seg_core.frames import CameraModel, FrameData, FrameSet, SensorFrame
    from any2seg_ros.calibration import Calibration, TransformLookup

DEPTH = Modality.DEPTH


class _Newest:
    """Keeps the newest result: a depth image that serves several anchors is drawn, and later encoded, once."""

    def __init__(self) -> None:
        self._image: NDArray[np.float32] | None = None
        self._key: tuple[object, ...] = ()
        self._made: NDArray[np.float32] | None = None

    def __call__(
        self, image: NDArray[np.float32], key: tuple[object, ...], make: Callable[[], NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """Give what make made of this very image under an equal key, or have it made."""
        if self._made is None or self._image is not image or self._key != key:
            made = make()
            self._image, self._key, self._made = image, key, made
        return self._made


class DepthAlignment:
    """Brings depth images into the view. One caller at a time.

    Args:
        config: the depth camera.
        calibration: knows the cameras.
        lookup: asks TF; gives None while the transform is not known.

    Raises:
        ConfigError: the extrinsic parameter is no transform.
    """

    def __init__(self, config: DepthConfig, calibration: Calibration, lookup: TransformLookup) -> None:
        self._registered = config.registered
        self._radial = config.geometry == "radial"
        self._extrinsic = stated_extrinsic(config.extrinsic, "depth.extrinsic")
        self._calibration = calibration
        self._lookup = lookup
        self._newest_axial, self._newest_seen = _Newest(), _Newest()

    def measured(self, frames: FrameSet, anchors: Sequence[Modality]) -> tuple[FrameSet, CalibrationError | None]:
        """Turn distances along rays into depth along the axis, where the camera is said to give such.

        Returns:
            The frame set, without depth where that cannot be done; and why.

        Raises:
            FrameError: nothing is left of the frame set.
        """
        depth = frames.frames.get(DEPTH)
        if depth is None or not _is_image(depth.data) or not self._radial:
            return frames, None
        try:
            camera, _ = self._calibration.imaging(depth)
            data = depth.data
            axial = self._newest_axial(data, _key(camera), lambda: axial_depth(data, camera))
        except CalibrationError as error:
            return leave_out(frames, {DEPTH: Absence.NO_CALIBRATION}, anchors), error
        return _with_depth(frames, replace(depth, data=axial)), None

    def registered(self, frames: FrameSet, anchors: Sequence[Modality]) -> tuple[FrameSet, CalibrationError | None]:
        """Draw depth as the view's camera would see it, unless it is so already or is said to be.

        Returns:
            The frame set and, where depth does not match the view and cannot be made to, why. Depth is then left out
            if it is known to be unregistered, and kept as it is if its frame alone tells so.

        Raises:
            FrameError: nothing is left of the frame set.
        """
        depth = frames.frames.get(DEPTH)
        if depth is None or not _is_image(depth.data) or self._registered == "registered":
            return frames, None
        if frames.anchor is DEPTH:
            return frames, _other_view(depth, frames.frames.get(Modality.RGB))
        target = self._calibration.target(frames)
        if self._registered == "auto" and _matches(depth, frames, target):
            return frames, None
        reason = Absence.NO_CALIBRATION
        try:
            view, camera, to_rectified = self._cameras(depth, frames)
            reason = Absence.NO_TRANSFORM
            to_view = self._calibration.rectification(frames) @ self._transform(depth, target)
            pose, data = to_view @ np.linalg.inv(to_rectified), depth.data
            key = (*_key(camera), *_key(view), pose.tobytes())
            image = self._newest_seen(data, key, lambda: register_depth(data, camera, pose, view))
        except CalibrationError as error:
            problem = CalibrationError(f"{_mismatch(depth, frames, target)}, and it cannot be registered here: {error}")
            if self._registered == "auto":
                return frames, problem
            return leave_out(frames, {DEPTH: reason}, anchors), problem
        return _with_depth(frames, replace(depth, data=image, frame_id=target or depth.frame_id)), None

    def _cameras(self, depth: SensorFrame, frames: FrameSet) -> tuple[CameraModel, CameraModel, NDArray[np.float64]]:
        if frames.view is None:
            msg = "no intrinsics of the view; publish the anchor's CameraInfo or set the view parameters"
            raise CalibrationError(msg)
        camera, to_rectified = self._calibration.imaging(depth, fallback=False)
        return frames.view, camera, to_rectified

    def _transform(self, depth: SensorFrame, target: str) -> NDArray[np.float64]:
        if self._extrinsic is not None:
            return self._extrinsic
        if target == depth.frame_id:
            return np.eye(4)
        found = self._lookup(target, depth.frame_id, depth.stamp_ns) if target else None
        if found is None:
            msg = (
                f"no transform from {depth.frame_id!r} to {target!r} close enough to the image's stamp; publish it on "
                "/tf or /tf_static, or set depth.extrinsic"
            )
            raise CalibrationError(msg)
        return found


def _key(camera: CameraModel) -> tuple[object, ...]:
    """All of a camera that its image depends on, by value."""
    return camera.width, camera.height, camera.k.tobytes(), camera.distortion_model, camera.d.tobytes()


def _is_image(data: FrameData) -> TypeGuard[NDArray[np.float32]]:
    """Whether depth is an image of metres, and not a picture of it."""
    return isinstance(data, np.ndarray) and data.ndim == 2


def _with_depth(frames: FrameSet, depth: SensorFrame) -> FrameSet:
    return replace(frames, frames={**frames.frames, DEPTH: depth})


def _matches(depth: SensorFrame, frames: FrameSet, target: str) -> bool:
    """Whether depth is in the view's frame and of its shape, as far as its header tells."""
    anchor = frames.frames[frames.anchor]
    size = anchor.size or (None if frames.view is None else (frames.view.height, frames.view.width))
    in_frame = depth.frame_id in (target, anchor.frame_id) or not target
    return in_frame and (size is None or depth.size is None or same_aspect(depth.size, size))


def _other_view(depth: SensorFrame, rgb: SensorFrame | None) -> CalibrationError | None:
    """What is wrong where depth is the anchor and the camera looks another way."""
    if rgb is None or rgb.frame_id == depth.frame_id:
        return None
    return CalibrationError(
        f"depth, the anchor, is in frame {depth.frame_id!r}, the camera in {rgb.frame_id!r}: pixels do not match; name "
        "rgb before depth in sync.anchors, so that depth is registered to the camera"
    )


def _mismatch(depth: SensorFrame, frames: FrameSet, target: str) -> str:
    height, width = frames.frames[frames.anchor].size or (0, 0)
    of_depth = "{1}x{0}".format(*(depth.size or (0, 0)))
    return f"depth is in frame {depth.frame_id!r}, {of_depth}, the camera in {target!r}, {width}x{height}"
