# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Samples as a picture: what each sensor saw, the truth, and the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
import torch
from torch.nn import functional

from any2seg_core.errors import CheckpointError
from any2seg_core.frames import Modality

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from any2seg_core.batch import Batch
    from any2seg_core.config import PreprocessConfig
    from any2seg_core.frames import ClassTable
    from any2seg_core.model import Any2Seg

_SIDE_PX: Final = 256
_GAP_PX: Final = 4


def draw_samples(
    model: Any2Seg, samples: Sequence[Batch], classes: ClassTable, preprocess: PreprocessConfig
) -> NDArray[np.uint8]:
    """Draw a row per sample: each modality, the target, the prediction of all modalities together.

    Args:
        model: network in evaluation mode.
        samples: batches on the model's device, at least one.
        classes: colours.
        preprocess: what undoes the normalisation of RGB.

    Returns:
        (rows, columns, 3) uint8 RGB.
    """
    rows = [row for batch in samples for row in _rows(model, batch, classes, preprocess)]
    width = max(row.shape[1] for row in rows)
    return np.vstack([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows])


def _rows(
    model: Any2Seg, batch: Batch, classes: ClassTable, preprocess: PreprocessConfig
) -> Iterator[NDArray[np.uint8]]:
    with torch.inference_mode():
        logits = model(batch.pixels, batch.present).logits
        full = functional.interpolate(logits.float(), size=batch.targets.shape[1:], mode="bilinear")
    answers = full.argmax(1).byte().cpu().numpy()
    targets = batch.targets.byte().cpu().numpy()
    for index in range(len(batch)):
        inputs = [
            _visible(batch.pixels[index, slot].float().cpu().numpy(), modality, preprocess)
            for slot, modality in enumerate(model.modalities)
        ]
        painted = [classes.colourize(labels[index]) for labels in (targets, answers)]
        yield np.hstack([_framed(image) for image in (*inputs, *painted)])


def write_picture(path: Path, image: NDArray[np.uint8]) -> None:
    """Write a PNG.

    Raises:
        CheckpointError: the disk refuses.
    """
    _, encoded = cv2.imencode(".png", image[:, :, ::-1])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded.tobytes())
    except OSError as error:
        msg = f"picture {path}: cannot be written ({error}); check space and permissions"
        raise CheckpointError(msg) from error


def _visible(pixels: NDArray[np.float32], modality: Modality, preprocess: PreprocessConfig) -> NDArray[np.uint8]:
    """Model input (3, H, W) to a picture (H, W, 3)."""
    image: NDArray[Any] = pixels.transpose(1, 2, 0)
    if modality is Modality.RGB:
        image = image * np.array(preprocess.rgb_std, np.float32) + np.array(preprocess.rgb_mean, np.float32)
    elif np.min(image) < 0:  # voxel events run from -1 to 1
        image = image / 2 + 0.5
    return np.asarray(np.clip(np.rint(image * 255), 0, 255), np.uint8)


def _framed(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bring a picture to the height of a row, black lines around it."""
    height, width = image.shape[:2]
    size = (max(1, round(width * _SIDE_PX / height)), _SIDE_PX)
    scaled = cv2.resize(image, size, interpolation=cv2.INTER_NEAREST)
    framed = cv2.copyMakeBorder(scaled, _GAP_PX, _GAP_PX, _GAP_PX, _GAP_PX, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    return np.asarray(framed, np.uint8)
