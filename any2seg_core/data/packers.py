# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What happens in a loader process: read, augment, make a batch, and hand it over together with what went wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

import torch
from torch.utils.data import Dataset

from any2seg_core.data.batches import LabelSize, collate, generator_of, random_subset
from any2seg_core.data.transforms import Augmentation
from any2seg_core.errors import Any2SegError, FrameError
from any2seg_core.preprocess import Preprocessor

if TYPE_CHECKING:
    from any2seg_core.batch import Batch
    from any2seg_core.config import PreprocessConfig
    from any2seg_core.data.dataset import Sample, SegmentationDataset
    from any2seg_core.experiment.data import AugmentConfig

ORDER, AUGMENT, SUBSET = 0, 1, 2
"""Streams of random numbers of one epoch."""
_TRIES: Final = 20
"""Unreadable samples in a row after which training stops even if it may skip."""


class Key(NamedTuple):
    """What one batch is made of."""

    epoch: int
    indices: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Parcel:
    """What a loader process hands over."""

    batch: Batch | None
    skipped: tuple[tuple[str, str], ...] = ()
    error: Any2SegError | None = None

    def pin_memory(self) -> Parcel:
        """Move the batch to memory from which a GPU copies asynchronously."""
        if self.batch is None:
            return self
        pinned = {name: getattr(self.batch, name).pin_memory() for name in ("pixels", "present", "targets")}
        return replace(self, batch=replace(self.batch, **pinned))


class Packer(Dataset[Parcel]):
    """Makes whole batches, so that each is written once; errors are handed over, not raised."""

    def __init__(self, dataset: SegmentationDataset, preprocessor: Preprocessor) -> None:
        self.dataset, self.preprocessor = dataset, preprocessor

    def __getitem__(self, key: Key) -> Parcel:
        skipped: dict[str, str] = {}
        try:
            return Parcel(self.pack(key, skipped), tuple(skipped.items()))
        except Any2SegError as error:
            return Parcel(None, tuple(skipped.items()), error)

    def pack(self, key: Key, skipped: dict[str, str]) -> Batch | None:
        """Make a batch, noting what was left out and why; None if nothing is left."""
        raise NotImplementedError


class TrainPacker(Packer):
    """Augments samples."""

    def __init__(
        self, dataset: SegmentationDataset, augment: AugmentConfig, *, seed: int, random_subsets: bool
    ) -> None:
        super().__init__(dataset, Preprocessor(dataset.preprocess, dataset.modalities))
        self._augmentation, self._seed, self._random_subsets = Augmentation(augment), seed, random_subsets

    def pack(self, key: Key, skipped: dict[str, str]) -> Batch | None:
        """Make a batch; unreadable samples are replaced."""
        samples = [self._readable(key.epoch, index, skipped) for index in key.indices]
        crop = self._augmentation.config.crop_px
        return collate(samples, self.preprocessor, size=(crop, crop))

    def _readable(self, epoch: int, index: int, skipped: dict[str, str]) -> Sample:
        """Read and augment a sample, or in its place the next one that can be read."""
        for step in range(min(_TRIES, len(self.dataset))):
            place = (index + step) % len(self.dataset)
            try:
                return self._sample(epoch, place)
            except FrameError as error:
                if not self.dataset.skip_corrupt:
                    raise
                skipped[self.dataset.samples[place].id] = str(error)
        msg = (
            f"data: found {len(skipped)} unreadable samples in a row ({', '.join(list(skipped)[:3])}), expected few; "
            "run training/check_data.py"
        )
        raise FrameError(msg)

    def _sample(self, epoch: int, index: int) -> Sample:
        modalities = self.dataset.modalities
        if self._random_subsets:
            everything = torch.ones((1, len(modalities)), dtype=torch.bool)
            kept = random_subset(everything, generator_of(self._seed, epoch, index, SUBSET))[0].tolist()
            modalities = tuple(modality for modality, keep in zip(modalities, kept, strict=True) if keep)
        sample = self.dataset.load(index, modalities)
        return self._augmentation(sample, generator_of(self._seed, epoch, index, AUGMENT))


class EvalPacker(Packer):
    """Takes samples as they are."""

    def __init__(self, dataset: SegmentationDataset, preprocess: PreprocessConfig, label_size: LabelSize) -> None:
        super().__init__(dataset, Preprocessor(preprocess, dataset.modalities))
        self._label_size = label_size

    def pack(self, key: Key, skipped: dict[str, str]) -> Batch | None:
        """Make a batch; unreadable samples are left out."""
        found = [self._readable(index, skipped) for index in key.indices]
        samples = [sample for sample in found if sample is not None]
        return collate(samples, self.preprocessor, label_size=self._label_size) if samples else None

    def _readable(self, index: int, skipped: dict[str, str]) -> Sample | None:
        try:
            return self.dataset[index]
        except FrameError as error:
            if not self.dataset.skip_corrupt:
                raise
            skipped[self.dataset.samples[index].id] = str(error)
            return None
