# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Augmentation of training samples: geometry for all modalities together, photometry for each by itself.

Pictures stay 8-bit; every random number comes from the generator that is given, so a sample's augmentation depends on
nothing else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import torch
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional

from any2seg_core.frames import UNLABELLED, Modality
from any2seg_core.preprocess import SMOOTH, resize_picture
from any2seg_core.projection.depth import resize_nearest

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Generator, Tensor

    from any2seg_core.data.dataset import Sample
    from any2seg_core.experiment.data import AugmentConfig

_FULL: Final = 255
_SINE_CHANNELS: Final = (0, 2)
"""Channels of an AoLP picture that hold sin(2 angle); the other one holds cos(2 angle)."""
_BLUR_SPREAD: Final = 0.8
"""Spread that torchvision gives to a kernel of 3 pixels, 0.3 ((3 - 1) / 2 - 1) + 0.8."""
_SPARSE: Final = (Modality.DEPTH, Modality.LIDAR)
"""Pictures in which 0 means that nothing was measured there."""


class Augmentation:
    """DELIVER's training augmentation, in its order (https://github.com/jamycheung/DELIVER), and sensor faults.

    Colour jitter (RGB), mirroring, blur (RGB and NIR), random resized crop, then lost pixels and noise. Unlike there,
    a mirrored picture of polarisation has its angles mirrored too, and pictures that the robot's node resizes by
    nearest pixel are resized so here.
    """

    def __init__(self, config: AugmentConfig) -> None:
        self.config = config

    def __call__(self, sample: Sample, generator: Generator) -> Sample:
        """Augment a sample.

        Returns:
            A sample of crop_px by crop_px pixels.
        """
        config = self.config
        if _happens(config.jitter_p, generator):
            sample = _each(sample, lambda picture: self._jittered(picture, generator), (Modality.RGB,))
        if _happens(config.flip_p, generator):
            sample = mirrored(sample)
        if _happens(config.blur_p, generator):
            sample = _each(sample, _blurred, (Modality.RGB, Modality.NIR))
        sample = self._resized_crop(sample, generator)
        if config.missing_pixels_p or config.noise_p:
            sample = self._faulty(sample, generator)
        return sample

    def _jittered(self, picture: Tensor, generator: Generator) -> Tensor:
        strength = self.config.jitter_strength
        for adjust in (functional.adjust_brightness, functional.adjust_contrast, functional.adjust_saturation):
            picture = adjust(picture, _uniform(1 - strength, 1 + strength, generator))
        return picture

    def _resized_crop(self, sample: Sample, generator: Generator) -> Sample:
        """Resize so that the short side is a random multiple of the crop's, and cut out a crop anywhere.

        Only what will be seen is resized. What the picture does not fill, on the right and below, is 0 in pictures and
        unlabelled.
        """
        crop = self.config.crop_px
        factor = _uniform(self.config.resize_min, self.config.resize_max, generator) * crop / min(sample.size)
        top, height, rows = _window(sample.size[0], factor, crop, generator)
        left, width, columns = _window(sample.size[1], factor, crop, generator)
        box = (slice(None), slice(top, top + height), slice(left, left + width))
        padding = [0, 0, crop - columns, crop - rows]

        def cut(modality: Modality | None, picture: Tensor, fill: int) -> Tensor:
            seen = _resized(picture[box], (rows, columns), smooth=modality in SMOOTH)
            return functional.pad(seen, padding, fill=[fill]) if any(padding) else seen

        pictures = {
            modality: tv_tensors.Image(_planewise(picture, lambda part, key=modality: cut(key, part, 0)))  # type: ignore[misc]
            for modality, picture in sample.pictures.items()
        }
        target = cut(None, sample.target.as_subclass(torch.Tensor)[None], UNLABELLED)[0]
        return replace(sample, pictures=pictures, target=tv_tensors.Mask(target))

    def _faulty(self, sample: Sample, generator: Generator) -> Sample:
        config = self.config
        for modality in sample.pictures:
            if _happens(config.missing_pixels_p, generator):
                share = _uniform(0, config.missing_pixels_max, generator)
                kept = torch.rand(sample.size, generator=generator) >= share
                sample = _each(sample, lambda picture, kept=kept: picture * kept, (modality,))  # type: ignore[misc]
            if _happens(config.noise_p, generator):
                spread = _uniform(0, config.noise_max, generator)
                noise = torch.randn((3, *sample.size), generator=generator) * spread
                sparse = modality in _SPARSE
                sample = _each(sample, lambda picture, n=noise, s=sparse: _noisy(picture, n, sparse=s), (modality,))  # type: ignore[misc]
        return sample


def mirrored(sample: Sample) -> Sample:
    """Mirror a sample left to right.

    A mirror turns a polariser's angle a, measured from the horizontal, into pi - a: sin(2a) changes its sign and
    cos(2a) does not.
    """
    pictures = {}
    for modality, picture in sample.pictures.items():
        flipped = _planewise(picture, functional.horizontal_flip)
        if modality is Modality.AOLP:
            flipped = flipped.clone()
            for channel in _SINE_CHANNELS:
                flipped[channel] = _FULL - flipped[channel]
        pictures[modality] = tv_tensors.Image(flipped)
    return replace(sample, pictures=pictures, target=functional.horizontal_flip(sample.target))


def _each(sample: Sample, change: Callable[[Tensor], Tensor], modalities: tuple[Modality, ...]) -> Sample:
    """Change some of the pictures."""
    changed = {
        modality: tv_tensors.Image(change(sample.pictures[modality].as_subclass(torch.Tensor)))
        for modality in modalities
        if modality in sample.pictures
    }
    return replace(sample, pictures={**sample.pictures, **changed})


def _planewise(picture: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Change a picture; where one plane is seen three times, change that plane alone."""
    planes = picture.as_subclass(torch.Tensor)
    return change(planes) if planes.stride(0) else change(planes[:1]).expand(3, -1, -1)


def _blurred(picture: Tensor) -> Tensor:
    rows = np.ascontiguousarray(picture.permute(1, 2, 0).numpy())
    # Ten times as fast as torchvision's, and the same kernel: 3 x 3 of spread 0.8, mirrored at the border.
    return torch.from_numpy(cv2.GaussianBlur(rows, (3, 3), _BLUR_SPREAD, borderType=cv2.BORDER_REFLECT_101)).permute(
        2, 0, 1
    )


def _noisy(picture: Tensor, noise: Tensor, *, sparse: bool) -> Tensor:
    full = 1.0 if picture.is_floating_point() else float(_FULL)
    changed = (picture + noise * full).clamp(0, full)
    changed = changed if picture.is_floating_point() else changed.round().to(torch.uint8)
    return changed * (picture != 0) if sparse else changed


def _window(side: int, factor: float, crop: int, generator: Generator) -> tuple[int, int, int]:
    """Choose what to see along one axis: start and length in the picture, and the length it is resized to."""
    seen = min(max(round(crop / factor), 1), side)
    start = int(torch.randint(side - seen + 1, (), generator=generator))
    return start, seen, crop if seen < side else min(max(round(side * factor), 1), crop)


def _resized(picture: Tensor, size: tuple[int, int], *, smooth: bool) -> Tensor:
    """Resize (C, H, W) as the robot's node does."""
    rows = picture.permute(1, 2, 0).numpy()
    small = resize_picture(rows, size, smooth=True) if smooth else resize_nearest(rows, size[1], size[0])
    return torch.from_numpy(small).permute(2, 0, 1)


def _uniform(low: float, high: float, generator: Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _happens(probability: float, generator: Generator) -> bool:
    return float(torch.rand((), generator=generator)) < probability
