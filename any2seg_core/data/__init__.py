# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Data sets: what they look like on disk, samples, augmentation, batches."""

from any2seg_core.data.batches import collate, generator_of, random_subset
from any2seg_core.data.catalog import CATALOG, DatasetSpec, Source, spec_named
from any2seg_core.data.dataset import Sample, SegmentationDataset, open_dataset
from any2seg_core.data.listing import SampleFiles
from any2seg_core.data.loaders import EvalLoader, TrainLoader, eval_loader
from any2seg_core.data.transforms import Augmentation, mirrored

__all__ = [
    "CATALOG",
    "Augmentation",
    "DatasetSpec",
    "EvalLoader",
    "Sample",
    "SampleFiles",
    "SegmentationDataset",
    "Source",
    "TrainLoader",
    "collate",
    "eval_loader",
    "generator_of",
    "mirrored",
    "open_dataset",
    "random_subset",
    "spec_named",
]
