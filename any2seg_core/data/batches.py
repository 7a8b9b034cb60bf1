# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Samples become a batch of model input, by the very code that prepares frames on the robot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from any2seg_core.batch import Batch
from any2seg_core.errors import ConfigError
from any2seg_core.frames import SensorFrame
from any2seg_core.preprocess import Preprocessor, input_size
from any2seg_core.projection.depth import resize_nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Generator, Tensor

    from any2seg_core.data.dataset import Sample
    from any2seg_core.frames import Modality

LabelSize = Literal["input", "native"]


def collate(
    samples: Sequence[Sample],
    preprocessor: Preprocessor,
    *,
    size: tuple[int, int] | None = None,
    label_size: LabelSize = "input",
) -> Batch:
    """Make a batch of samples; modalities that a sample lacks are absent.

    Args:
        samples: at least one.
        preprocessor: makes model input, in the model's order of modalities.
        size: height and width of the model input; None: as the robot chooses it, from the samples' own.
        label_size: "input" resizes labels to the model input by nearest pixel, "native" leaves them.

    Raises:
        ConfigError: the samples' sizes cannot share a batch.
    """
    sizes = {size or input_size(sample.size, preprocessor.config.short_side_px) for sample in samples}
    label_sizes = {sample.size for sample in samples} if label_size == "native" else sizes
    if len(sizes) != 1 or len(label_sizes) != 1:
        found = sorted({f"{sample.size[1]}x{sample.size[0]}" for sample in samples})
        msg = f"batch: found samples of {', '.join(found)} pixels, expected one size; score with batch_size 1"
        raise ConfigError(msg)
    (shape,), (label_shape,) = sizes, label_sizes
    modalities = preprocessor.modalities
    pixels = torch.zeros((len(samples), len(modalities), 3, *shape))
    present = torch.zeros((len(samples), len(modalities)), dtype=torch.bool)
    targets = torch.empty((len(samples), *label_shape), dtype=torch.int64)
    for row, sample in enumerate(samples):
        for slot, modality in enumerate(modalities):
            if modality in sample.pictures:
                present[row, slot] = True
                pixels[row, slot] = _input(preprocessor, modality, sample.pictures[modality], shape)
        labels = resize_nearest(sample.target.numpy(), label_shape[1], label_shape[0])
        targets[row] = torch.from_numpy(labels)
    return Batch(
        pixels,
        present,
        targets,
        ids=tuple(sample.id for sample in samples),
        conditions=tuple(sample.condition for sample in samples),
        failures=tuple(sample.failure for sample in samples),
    )


def _input(preprocessor: Preprocessor, modality: Modality, picture: Tensor, size: tuple[int, int]) -> Tensor:
    """Give (3, H, W) float32; depth is coded already, its nearest pixels are those that the robot takes."""
    planes = picture.as_subclass(torch.Tensor)
    if planes.is_floating_point():
        once = planes if planes.stride(0) else planes[:1]
        rows = once.permute(1, 2, 0).numpy()
        return torch.from_numpy(resize_nearest(rows, size[1], size[0])).permute(2, 0, 1)
    rows = planes.permute(1, 2, 0).numpy()
    return torch.from_numpy(preprocessor.prepare(SensorFrame(modality, 0, "", rows), size))


def random_subset(present: Tensor, generator: Generator) -> Tensor:
    """Draw, for each sample, a non-empty subset of what is present: its size uniformly, then its members.

    Args:
        present: (B, M) bool.
        generator: on the CPU.

    Returns:
        (B, M) bool on the same device; all False only for a sample that has nothing.
    """
    there = present.cpu()
    count = there.sum(dim=1)
    wanted = (torch.rand(len(there), generator=generator) * count).long() + 1
    lots = torch.rand(there.shape, generator=generator).masked_fill(~there, float("inf"))
    rank = lots.argsort(dim=1).argsort(dim=1)
    return (there & (rank < wanted[:, None])).to(present.device)


def generator_of(*numbers: int) -> Generator:
    """Give a generator on the CPU that depends on these numbers, 0 or above, and on nothing else."""
    (state,) = np.random.SeedSequence(numbers).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state))
