# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Frame sets become model input: one stack of three-channel images, and a mask of who is there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import torch

from any2seg_core.errors import CalibrationError, FrameError
from any2seg_core.frames import CameraModel, Events, Modality, Points, image_problem, subset_key
from any2seg_core.projection.camera import scaled
from any2seg_core.projection.depth import HHA, depth_image, resize_depth, resize_nearest
from any2seg_core.projection.events import event_stack
from any2seg_core.projection.kernels import compiled
from any2seg_core.projection.lidar import lidar_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from any2seg_core.config import PreprocessConfig
    from any2seg_core.errors import Any2SegError
    from any2seg_core.frames import FrameSet, SensorFrame

SIZE_MULTIPLE: Final = 32
"""Sides of the model input are multiples of this, the deepest stride of the encoder."""

SMOOTH: Final = (Modality.RGB, Modality.NIR, Modality.DOLP)
"""Pictures whose neighbouring values may be averaged; an angle of polarisation, for one, may not: it wraps around."""


@dataclass(frozen=True, eq=False)
class ModalityStack:
    """Model input.

    Attributes:
        pixels: (B, M, 3, H, W) float32, zero where a modality is absent.
        present: (B, M) bool.
        modalities: what the M slots hold.
        output_size: height and width of the labels to give back.
    """

    pixels: torch.Tensor
    present: torch.Tensor
    modalities: tuple[Modality, ...]
    output_size: tuple[int, int]


def input_size(output_size: tuple[int, int], short_side_px: int) -> tuple[int, int]:
    """Give height and width of the model input for an image of the given height and width.

    The rule of DELIVER's evaluation: scale the shorter side to short_side_px, then round both sides up to multiples
    of 32 (https://github.com/jamycheung/DELIVER).

    Raises:
        FrameError: the image has no area, or is larger or thinner than any camera's.
    """
    if min(output_size) <= 0:
        msg = f"model input: found an image of {output_size[1]}x{output_size[0]}, expected a positive size; drop it"
        raise FrameError(msg)
    if problem := image_problem(*output_size):
        msg = f"model input: {problem}; correct the view or the driver"
        raise FrameError(msg)
    scale = short_side_px / min(output_size)
    height, width = (math.ceil(round(side * scale) / SIZE_MULTIPLE) * SIZE_MULTIPLE for side in output_size)
    return height, width


class Preprocessor:
    """Turns frames into model input, alike in training and on the robot.

    RGB is normalised with mean and spread; all else is only scaled to [0, 1], as DELIVER's loader does (voxel events
    to [-1, 1]).

    Args:
        config: sizes and fixed constants; belongs to the model.
        modalities: what the model can take, in the order of its slots.

    Raises:
        FrameError: modalities are none or repeated.
    """

    def __init__(self, config: PreprocessConfig, modalities: Sequence[Modality]) -> None:
        if not modalities or len(set(modalities)) != len(modalities):
            names = [modality.value for modality in modalities]
            msg = f"preprocessor: found modalities {names}, expected each once and at least one; fix the model's list"
            raise FrameError(msg)
        self.config = config
        self.modalities = tuple(modalities)
        unit = _table([0.0] * 3, [1.0] * 3)
        self._tables = dict.fromkeys(Modality, unit) | {Modality.RGB: _table(config.rgb_mean, config.rgb_std)}

    def __call__(self, frame_set: FrameSet) -> ModalityStack:
        """Prepare every frame that the model knows; other modalities are left out.

        Returns:
            A stack of B = 1.

        Raises:
            FrameError: the model knows none of the frames, or a frame's data is not what its modality has.
            CalibrationError: points come without a view or transform, or HHA without a view.
        """
        size = input_size(frame_set.output_size, self.config.short_side_px)
        present = [modality in frame_set.frames for modality in self.modalities]
        if not any(present):
            msg = (
                f"preprocessor: found frames of {subset_key(frame_set.frames)!r}, expected at least one of "
                f"{subset_key(self.modalities)!r}, which the model takes; connect one of those sensors"
            )
            raise FrameError(msg)
        pixels = np.zeros((1, len(self.modalities), 3, *size), np.float32)
        for slot, modality in enumerate(self.modalities):
            if present[slot]:
                self._draw(frame_set.frames[modality], frame_set.view, pixels[0, slot])
        return ModalityStack(torch.from_numpy(pixels), torch.tensor([present]), self.modalities, frame_set.output_size)

    def unusable(self, frame_set: FrameSet) -> dict[Modality, Any2SegError]:
        """Look at each frame alone and find those that cannot be prepared or are not finite, and why.

        Raises:
            FrameError: the set as a whole has no output size.
        """
        size = input_size(frame_set.output_size, self.config.short_side_px)
        broken: dict[Modality, Any2SegError] = {}
        for modality in self.modalities:
            if modality in frame_set.frames:
                try:
                    _check_finite(modality, self.prepare(frame_set.frames[modality], size, frame_set.view))
                except (FrameError, CalibrationError) as error:
                    broken[modality] = error
        return broken

    def prepare(
        self, frame: SensorFrame, size: tuple[int, int], view: CameraModel | None = None
    ) -> NDArray[np.float32]:
        """Prepare one frame.

        Args:
            frame: Points, Events, depth (H, W) or a picture (H, W, 3) uint8 of any modality.
            size: height and width of the model input.
            view: camera whose image the model input is, at any scale; only points and HHA need it.

        Returns:
            (3, H, W) float32.

        Raises:
            FrameError: the data is not what the modality has.
            CalibrationError: points come without a view or transform, or HHA without a view.
        """
        pixels = np.zeros((3, *size), np.float32)
        self._draw(frame, view, pixels)
        return pixels

    def _draw(self, frame: SensorFrame, view: CameraModel | None, pixels: NDArray[np.float32]) -> None:
        """Fill pixels (3, H, W), all zero before, in place: copies of model input take longer than making it."""
        data = frame.data
        array = data if isinstance(data, np.ndarray) else None
        if isinstance(data, Points) and frame.modality is Modality.LIDAR:
            self._draw_points(frame, data, view, pixels)
        elif isinstance(data, Events) and frame.modality is Modality.EVENT:
            self._draw_events(frame, data, pixels)
        elif array is not None and array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8:
            self._normalise(frame.modality, array, pixels)
        elif array is not None and array.ndim == 2 and array.dtype.kind == "f" and frame.modality is Modality.DEPTH:
            self._draw_depth(array, view, pixels)
        else:
            found = type(data).__name__ if array is None else f"{array.dtype} {array.shape}"
            msg = (
                f"preprocessor: found {found} in a frame of {frame.modality.value!r}, expected a picture (H, W, 3) "
                "uint8, or Points for lidar, Events for event, (H, W) float metres for depth; convert the message"
            )
            raise FrameError(msg)

    def _draw_points(
        self, frame: SensorFrame, points: Points, view: CameraModel | None, pixels: NDArray[np.float32]
    ) -> None:
        if view is None or frame.to_view is None:
            missing = "camera view" if view is None else f"transform from {frame.frame_id!r} to the view"
            msg = (
                f"preprocessor: found LiDAR points without a {missing}, expected both view and transform; "
                "publish CameraInfo and TF, or set view and extrinsic parameters"
            )
            raise CalibrationError(msg)
        config = self.config
        lidar_image(
            points,
            frame.to_view,
            scaled(view, pixels.shape[2], pixels.shape[1]),
            encoding=config.lidar_encoding,
            min_range_m=config.lidar_min_range_m,
            max_range_m=config.lidar_max_range_m,
            height_min_m=config.lidar_height_min_m,
            height_max_m=config.lidar_height_max_m,
            intensity_scale=config.lidar_intensity_scale,
            splat_px=config.lidar_splat_px,
            out=_channels_last(pixels),
        )

    def _draw_events(self, frame: SensorFrame, events: Events, pixels: NDArray[np.float32]) -> None:
        _, height, width = pixels.shape
        fits = (events.height, events.width) == (height, width)
        image = event_stack(
            events,
            representation=self.config.event_representation,
            start_ns=frame.end_ns - round(self.config.event_window_s * 1e9),
            end_ns=frame.end_ns,
            max_count=self.config.event_max_count,
            out=_channels_last(pixels) if fits else None,
        )
        if not fits:
            _channels_last(pixels)[:] = resize_nearest(image, width, height)

    def _draw_depth(self, depth: NDArray[np.float32], view: CameraModel | None, pixels: NDArray[np.float32]) -> None:
        _, height, width = pixels.shape
        hha = self.config.depth_encoding == HHA
        depth_image(
            resize_depth(depth, width, height),
            encoding=self.config.depth_encoding,
            min_depth_m=self.config.depth_min_m,
            max_depth_m=self.config.depth_max_m,
            camera=scaled(view, width, height) if hha and view is not None else None,
            out=_channels_last(pixels),
        )

    def _normalise(self, modality: Modality, image: NDArray[np.uint8], pixels: NDArray[np.float32]) -> None:
        resized = resize_picture(image, (pixels.shape[1], pixels.shape[2]), smooth=modality in SMOOTH)
        _look_up(np.require(resized, np.uint8, ["C", "W"]), self._tables[modality], pixels)


def resize_picture(image: NDArray[np.uint8], size: tuple[int, int], *, smooth: bool) -> NDArray[np.uint8]:
    """Resize a picture (H, W, 3) uint8 to a height and width.

    Args:
        image: the picture.
        size: height and width to give.
        smooth: average when shrinking and interpolate when growing, instead of taking the nearest pixel.

    Raises:
        FrameError: a size is not positive.
    """
    height, width = size
    if not smooth or image.shape[:2] == size or not image.size:
        return resize_nearest(image, width, height)
    shrinks = height <= image.shape[0] and width <= image.shape[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(np.ascontiguousarray(image), (width, height), interpolation=interpolation), np.uint8)


def _table(mean: Sequence[float], std: Sequence[float]) -> NDArray[np.float32]:
    """Normalised value of each of the 256 values of each channel, (3, 256)."""
    grey = np.arange(256) / 255.0
    return np.asarray((grey - np.array(mean)[:, None]) / np.array(std)[:, None], np.float32)


@compiled
def _look_up(image: NDArray[np.uint8], table: NDArray[np.float32], pixels: NDArray[np.float32]) -> None:
    """Fill pixels (3, H, W) with the table's (3, 256) values of image (H, W, 3)."""
    for row in range(image.shape[0]):
        for channel in range(3):
            for column in range(image.shape[1]):
                pixels[channel, row, column] = table[channel, image[row, column, channel]]


def _check_finite(modality: Modality, pixels: NDArray[np.float32]) -> None:
    if not np.isfinite(pixels).all():
        msg = (
            f"preprocessor: found pixels of {modality.value!r} that are not finite, expected numbers; check the sensor"
        )
        raise FrameError(msg)


def _channels_last(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """See pixels (3, H, W) as an image (H, W, 3) of the same memory."""
    return pixels.transpose(1, 2, 0)
