# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The one data set class: what is special about a data set stands in its record, not here."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch
from torch.utils.data import Dataset
from torchvision import tv_tensors

from any2seg_core.data.catalog import spec_named
from any2seg_core.data.listing import Folders, chosen, find_samples
from any2seg_core.data.manifest import read_manifest
from any2seg_core.data.readers import READERS, DepthReader, read_labels
from any2seg_core.errors import ConfigError, FrameError
from any2seg_core.frames import Modality, in_canonical_order
from any2seg_core.projection.depth import HHA, resize_nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from any2seg_core.config import PreprocessConfig
    from any2seg_core.data.catalog import DatasetSpec, Source
    from any2seg_core.data.listing import SampleFiles
    from any2seg_core.data.manifest import Manifest
    from any2seg_core.experiment.data import DataConfig

LOGGER: Final = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Sample:
    """One moment: aligned pictures and the class of every pixel, at the size they have on disk until transformed.

    Attributes:
        id: its path below the data root without modality and suffix.
        pictures: (3, H, W) each: uint8, or for metric depth its float32 code in [0, 1]; same H and W for all.
        target: (H, W) uint8 class ids, 255 where unlabelled.
        condition: weather, "" where the data set has none.
        failure: sensor failure, "" where there is none.
    """

    id: str
    pictures: Mapping[Modality, tv_tensors.Image]
    target: tv_tensors.Mask
    condition: str
    failure: str

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, pixels."""
        return int(self.target.shape[-2]), int(self.target.shape[-1])


class SegmentationDataset(Dataset[Sample]):
    """The samples of one split; open_dataset makes it.

    Attributes:
        spec: the data set's record.
        root: its folder.
        split: name of the split.
        samples: where each sample is, in a fixed order.
        modalities: what is read, in the model's order.
        preprocess: how depth is coded, and what the pictures must have been drawn with.
        classes: meaning of the ids.
        skip_corrupt: loaders leave out unreadable samples instead of stopping.
        skipped: ids of the samples left out so far, each once.
        transform: applied to every sample that is indexed.
    """

    def __init__(
        self,
        spec: DatasetSpec,
        root: Path,
        split: str,
        samples: Sequence[SampleFiles],
        manifest: Manifest,
        *,
        preprocess: PreprocessConfig,
        sources: Mapping[Modality, Source],
        skip_corrupt: bool = False,
        transform: Callable[[Sample], Sample] | None = None,
    ) -> None:
        self.spec, self.root, self.split, self.samples = spec, root, split, tuple(samples)
        self.modalities, self.preprocess, self.classes = tuple(sources), preprocess, manifest.classes
        self.skip_corrupt, self.transform = skip_corrupt, transform
        self.skipped: list[str] = []
        self._sources, self._manifest = dict(sources), manifest
        self._depth = DepthReader(
            preprocess, unit_m=manifest.depth_unit_m, limit_m=spec.depth_limit_m, camera=manifest.camera
        )

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        """Read one sample.

        Raises:
            FrameError: one of its files is unreadable, of another size than the labels, or holds unknown ids; the
                message names sample and file.
        """
        sample = self.load(index)
        return sample if self.transform is None else self.transform(sample)

    def load(self, index: int, modalities: Collection[Modality] | None = None) -> Sample:
        """Read one sample as it is on disk, or only some of its modalities.

        Raises:
            FrameError: see __getitem__.
        """
        files = self.samples[index]
        try:
            target = self._cropped(read_labels(files.labels, self.spec.label_ids, len(self.classes)))
            pictures = {
                modality: self._picture(modality, paths, target.shape)
                for modality, paths in files.paths.items()
                if modalities is None or modality in modalities
            }
        except FrameError as error:
            msg = f"sample {files.id!r}: {error}"
            raise FrameError(msg) from error
        return Sample(files.id, pictures, tv_tensors.Mask(torch.from_numpy(target)), files.condition, files.failure)

    def take(self, indices: Sequence[int]) -> SegmentationDataset:
        """Make a data set of some of the samples."""
        return SegmentationDataset(
            self.spec,
            self.root,
            self.split,
            [self.samples[index] for index in indices],
            self._manifest,
            preprocess=self.preprocess,
            sources=self._sources,
            skip_corrupt=self.skip_corrupt,
            transform=self.transform,
        )

    def skip(self, name: str, reason: str) -> None:
        """Note that a sample was left out."""
        if name not in self.skipped:
            self.skipped.append(name)
            LOGGER.warning("left out a sample: %s", reason)

    def _picture(self, modality: Modality, paths: tuple[Path, ...], size: tuple[int, ...]) -> tv_tensors.Image:
        source = self._sources[modality]
        pixels: NDArray[np.generic]
        pixels = self._depth(paths[0]) if source.reader == "depth" else READERS[source.reader](paths)
        pixels = self._cropped(pixels)
        if pixels.shape[:2] != size:
            if not source.resize:
                msg = (
                    f"{paths[0]}: found {pixels.shape[1]}x{pixels.shape[0]} pixels, expected {size[1]}x{size[0]} as "
                    "the labels have; the files do not belong together, restore them or skip_corrupt"
                )
                raise FrameError(msg)
            pixels = resize_nearest(pixels, size[1], size[0])
        planes = torch.from_numpy(pixels)
        # Codes of depth are alike in all channels: one plane is kept and seen three times.
        return tv_tensors.Image(planes.expand(3, -1, -1) if planes.ndim == 2 else planes.permute(2, 0, 1))

    def _cropped(self, pixels: NDArray[np.generic]) -> NDArray[np.generic]:
        return pixels[:, self.spec.crop_left_px :]


def open_dataset(
    config: DataConfig,
    preprocess: PreprocessConfig,
    modalities: Sequence[Modality],
    *,
    split: str,
    transform: Callable[[Sample], Sample] | None = None,
) -> SegmentationDataset:
    """Find the samples of a split and check that the data set fits what is asked of it.

    Args:
        config: which samples.
        preprocess: how the model's input is made; must be how the pictures were drawn, where the set says so.
        modalities: what the model takes.
        split: name of the split.
        transform: applied to every sample that is indexed; the loaders augment by themselves.

    Raises:
        ConfigError: nothing is found, files are missing, or the data set does not fit; the message says what was
            looked for and what there is.
    """
    spec = spec_named(config.dataset)
    hha = config.depth_source == HHA
    _check_choices(spec, config, preprocess, modalities)
    sources = {modality: spec.source(modality, hha=hha) for modality in modalities}
    root, folders = Path(config.root), Folders()
    found = find_samples(spec, root, split, sources, folders)
    samples = chosen(found, conditions=config.conditions, failures=config.failures, limit=0)
    if not samples:
        raise ConfigError(_emptiness(spec, config, split, found, folders))
    manifest = read_manifest(spec, root)
    manifest.check(preprocess, modalities, hha=hha)
    whole = [sample for sample in samples if all(folders.has(path) for path in sample.files())]
    if len(whole) < len(samples) and not (config.skip_corrupt and whole):
        raise ConfigError(_missing(spec, samples, folders))
    dataset = SegmentationDataset(
        spec,
        root,
        split,
        chosen(whole, conditions=(), failures=(), limit=config.limit),
        manifest,
        preprocess=preprocess,
        sources=sources,
        skip_corrupt=config.skip_corrupt,
        transform=transform,
    )
    for sample in samples:
        lost = [path for path in sample.files() if not folders.has(path)]
        if lost:
            dataset.skip(sample.id, f"sample {sample.id!r}: there is no file {lost[0]}")
    return dataset


def _check_choices(
    spec: DatasetSpec, config: DataConfig, preprocess: PreprocessConfig, modalities: Sequence[Modality]
) -> None:
    problems = []
    if not modalities or len(set(modalities)) != len(modalities):
        problems.append(f"modalities {[modality.value for modality in modalities]} (expected each once, at least one)")
    for name, asked, known in (
        ("conditions", config.conditions, spec.conditions),
        ("failures", config.failures, (*spec.failures, "none") if spec.failures else ()),
    ):
        unknown = [value for value in asked if value not in known]
        if unknown:
            problems.append(f"{name} {', '.join(unknown)} (expected {', '.join(known) or 'no choice: there are none'})")
    if Modality.DEPTH in modalities and (config.depth_source == HHA) != (preprocess.depth_encoding == HHA):
        raw_hha = config.depth_source != HHA
        if not (raw_hha and spec.manifest):
            problems.append(
                f"data.depth_source {config.depth_source!r} with preprocess.depth_encoding "
                f"{preprocess.depth_encoding!r} (expected both hha, or raw depth and a coded distance: the robot "
                "draws depth as preprocess says)"
            )
    if problems:
        msg = f"data set {spec.name}: found {'; '.join(problems)}; fix the settings"
        raise ConfigError(msg)


def _emptiness(
    spec: DatasetSpec, config: DataConfig, split: str, found: Sequence[SampleFiles], folders: Folders
) -> str:
    """Say what was looked for in vain, and what there is."""
    if found:
        wanted = ", ".join([*config.conditions, *config.failures])
        there = sorted({f"{sample.condition}/{sample.failure or 'none'}" for sample in found})
        return (
            f"data set {spec.name}: found no sample of {wanted} in split {split!r} of {config.root}, expected some; "
            f"there are {', '.join(there)}; choose data.conditions and data.failures out of them"
        )
    root = Path(config.root)
    others = [f"{name} ({len(find_samples(spec, root, name, {}, folders))})" for name in _readable_splits(spec, root)]
    looked = spec.lists.format(split=split) or spec.labels.files[0].format(folder=f"*/{split}/*", name="*")
    inside = ", ".join(sorted(folders.names(root))[:10]) or "nothing"
    return (
        f"data set {spec.name}: found no sample of split {split!r} in {config.root}, expected labels at {looked}; "
        f"samples by split: {', '.join(others) or 'none'}; the folder holds {inside}; set data.root or the split"
    )


def _readable_splits(spec: DatasetSpec, root: Path) -> list[str]:
    return [name for name in spec.splits if not spec.lists or (root / spec.lists.format(split=name)).is_file()]


def _missing(spec: DatasetSpec, samples: Sequence[SampleFiles], folders: Folders) -> str:
    lost = [(sample.id, path) for sample in samples for path in sample.files() if not folders.has(path)]
    shown = "; ".join(f"sample {name!r} has no {path}" for name, path in lost[:3])
    return (
        f"data set {spec.name}: found {len(lost)} file(s) missing ({shown}), expected every modality of every sample; "
        "run training/check_data.py, unpack the rest, or set data.skip_corrupt to leave such samples out"
    )


def sources_of(spec: DatasetSpec, *, hha: bool) -> dict[Modality, Source]:
    """Give every modality that a data set has."""
    return {modality: spec.source(modality, hha=hha) for modality in in_canonical_order(spec.pictures)}
