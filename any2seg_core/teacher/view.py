# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures as the towers want them: metric depth as grey, the right size, the right mean and spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import torch
from torch.nn import functional

from any2seg_core.errors import FrameError
from any2seg_core.experiment.teacher import DEPTH
from any2seg_core.frames import Modality

if TYPE_CHECKING:
    from torch import Tensor

    from any2seg_core.experiment import TeacherConfig
    from any2seg_core.teacher.base import SampleView

OPENAI_MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD: Final = (0.26862954, 0.26130258, 0.27577711)
"""Mean and spread of CLIP's pictures, also of its depth tower (https://github.com/PKU-YuanGroup/LanguageBind)."""

NEAREST_M: Final = 0.01
"""Depth is clipped here from below, as LanguageBind does."""

_SLACK: Final = 1e-3
"""How far outside [0, 1] rounding may push a picture."""


@dataclass(frozen=True)
class ImageView:
    """Bringing pictures to a tower's size.

    Resizing is antialiased: sparse pictures of events and points keep their energy. LanguageBind's published
    environment did not antialias; on photographs the difference is 0.001.

    Attributes:
        size: side of the square that the tower sees, pixels.
        short_side: what the shorter side is resized to before a centre crop, pixels.
        resize: "crop" keeps the proportions and cuts the middle out; "squash" keeps everything.
        interpolation: "bicubic" or "bilinear".
        mean, std: subtracted from and divided by, per channel, in [0, 1].
    """

    size: int = 224
    short_side: int = 224
    resize: Literal["crop", "squash"] = "crop"
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    mean: tuple[float, ...] = OPENAI_MEAN
    std: tuple[float, ...] = OPENAI_STD

    def fit(self, images: Tensor) -> Tensor:
        """Resize (B, 3, H, W) to (B, 3, size, size); what has the size already stays as it is."""
        height, width = images.shape[-2:]
        if (height, width) == (self.size, self.size):
            return images
        if self.resize == "squash":
            return self._resized(images, self.size, self.size)
        short = min(height, width)
        rows, columns = (int(self.short_side * side / short) for side in (height, width))
        resized = self._resized(images, rows, columns)
        top, left = (round((side - self.size) / 2) for side in (rows, columns))
        return resized[..., top : top + self.size, left : left + self.size]

    def normalise(self, images: Tensor) -> Tensor:
        """Subtract the mean, divide by the spread."""
        mean, std = (torch.tensor(value, device=images.device)[:, None, None] for value in (self.mean, self.std))
        return (images - mean) / std

    def describe(self) -> dict[str, Any]:
        """List everything that changes pixels, in plain JSON types."""
        return {
            "size": self.size,
            "short_side": self.short_side,
            "resize": self.resize,
            "interpolation": self.interpolation,
            "antialias": True,
            "mean": list(self.mean),
            "std": list(self.std),
        }

    def _resized(self, images: Tensor, rows: int, columns: int) -> Tensor:
        return functional.interpolate(images, (rows, columns), mode=self.interpolation, antialias=True)


def tower_picture(sample: SampleView, modality: Modality, tower: str, config: TeacherConfig) -> Tensor | None:
    """Draw what a tower is shown of a sample.

    The depth tower knows linear metric depth, dark where near, in three equal channels. Where depth was not measured
    it is black or white as depth_holes says; pictures stay black where they are. Other towers see the picture as it is.

    Returns:
        (3, H, W) float32 in [0, 1], or None where the sample lacks the modality.

    Raises:
        FrameError: the sample has no metric depth though asked for, or a picture is of the wrong shape or range.
    """
    if tower == DEPTH and modality is Modality.DEPTH and config.depth_input == "metres":
        return _metric(sample, config)
    picture = sample.pictures.get(modality)
    if picture is None:
        return None
    image = _unit(picture, f"{sample.id}, {modality.value}")
    if tower != DEPTH:
        return image
    grey = image[:1]
    if modality.value in config.inverted:
        grey = torch.where(grey > 0, 1 - grey, 0.0)
    if modality is Modality.LIDAR and config.lidar_dilate_px:
        radius = config.lidar_dilate_px
        grey = functional.max_pool2d(grey, 2 * radius + 1, stride=1, padding=radius)
    return grey.expand(3, -1, -1)


def _metric(sample: SampleView, config: TeacherConfig) -> Tensor | None:
    if sample.depth_m is None:
        if Modality.DEPTH not in sample.pictures:
            return None
        msg = (
            f"teacher: found no metric depth in sample {sample.id}, expected metres for the depth tower; set "
            "data.depth_source raw, or teacher.depth_input picture"
        )
        raise FrameError(msg)
    metres = sample.depth_m.float()
    hole = float(config.depth_holes == "far")
    measured = metres > 0  # false for NaN too
    grey = torch.where(measured, metres.clamp(NEAREST_M, config.depth_max_m) / config.depth_max_m, hole)
    return grey[None].expand(3, -1, -1)


def _unit(picture: Tensor, name: str) -> Tensor:
    """Scale to float32 in [0, 1]."""
    image = picture.as_subclass(torch.Tensor)
    image = image.float() / 255 if image.dtype == torch.uint8 else image.float()
    low, high = (float(value) for value in torch.aminmax(image)) if image.numel() else (0.0, 0.0)
    if image.ndim != 3 or image.shape[0] != 3 or not image.numel() or not -_SLACK <= low <= high <= 1 + _SLACK:
        msg = (
            f"teacher: found a picture {tuple(image.shape)} from {low:g} to {high:g} in {name}, "
            "expected (3, H, W) uint8, or float32 in [0, 1]"
        )
        raise FrameError(msg)
    return image
