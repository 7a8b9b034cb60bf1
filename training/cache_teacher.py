# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Describe the scenes of a split, and embed its pictures and texts with the teacher, once, for all trainings to come.

Run: python training/cache_teacher.py training/experiments/deliver_b0.yaml data.root=data/DELIVER
Writes the scene descriptions (JSONL) and the embedding cache (safetensors) where teacher.captions and teacher.cache
say, or beside the data set. Interrupted, the same command goes on. Exit status: 0 done; 1 refused or failed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from tqdm import tqdm

from any2seg_core.config import PreprocessConfig
from any2seg_core.data import open_dataset
from any2seg_core.errors import Any2SegError, FrameError
from any2seg_core.experiment import Experiment, load_experiment
from any2seg_core.experiment.teacher import DEPTH
from any2seg_core.frames import UNLABELLED, Modality, in_canonical_order
from any2seg_core.inference.device import choose_device
from any2seg_core.projection.kernels import FAINTEST
from any2seg_core.teacher import SampleView, build_cache, cache_path, captions_path, file_stamp
from any2seg_core.teacher.captions import (
    Captioner,
    CaptionFile,
    TemplateCaptioner,
    import_captions,
    write_captions,
)
from any2seg_core.teacher.kinds import DTYPES, open_teacher
from any2seg_core.teacher.names import class_phrases
from any2seg_core.teacher.view import NEAREST_M

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from any2seg_core.frames import ClassTable
    from any2seg_core.teacher import Teacher


class DatasetSource:
    """Samples of a split as the teacher sees them, whatever the student is shown.

    Args:
        experiment: data and teacher.
        split: which split.
        modalities: what to embed.
        shown: what to read besides labels; all that is embedded if left out.
    """

    def __init__(
        self,
        experiment: Experiment,
        split: str,
        modalities: Sequence[Modality],
        shown: Sequence[Modality] | None = None,
    ) -> None:
        teacher, data, preprocess = experiment.teacher, experiment.data, experiment.preprocess
        self._nearest_m, self._farthest_m = NEAREST_M, teacher.depth_max_m
        self._metric = (
            Modality.DEPTH in modalities
            and teacher.tower_of()[Modality.DEPTH] == DEPTH
            and teacher.depth_input == "metres"
        )
        if self._metric:  # taken out of a code whose bounds are the teacher's, not the student's
            data = data.model_copy(update={"depth_source": "raw"})
            coding = {"depth_encoding": "log", "depth_min_m": NEAREST_M, "depth_max_m": teacher.depth_max_m}
        elif data.depth_source == "raw":
            usual = PreprocessConfig()
            coding = {name: getattr(usual, name) for name in ("depth_encoding", "depth_min_m", "depth_max_m")}
        else:
            coding = {"depth_encoding": "hha"}
        ordered = in_canonical_order(modalities)
        self._dataset = open_dataset(data, preprocess.model_copy(update=coding), ordered, split=split)
        self._shown = ordered if shown is None else tuple(shown)
        self.ids = [files.id for files in self._dataset.samples]

    @property
    def stamps(self) -> list[str]:
        """Sizes of each sample's files; metric depth has a name of its own, for the student may see other files."""
        stamps = [file_stamp(files.paths, files.labels) for files in self._dataset.samples]
        return [stamp.replace("depth=", "metres=") for stamp in stamps] if self._metric else stamps

    @property
    def classes(self) -> ClassTable:
        """Class names."""
        return self._dataset.classes

    @property
    def skipped(self) -> list[str]:
        """Samples that were left out because they are unreadable."""
        return self._dataset.skipped

    def __getitem__(self, index: int) -> SampleView:
        """Read one sample; one that is unreadable, where it may be skipped, is seen as empty."""
        files = self._dataset.samples[index]
        try:
            sample = self._dataset.load(index, self._shown)
        except FrameError as error:
            if not self._dataset.skip_corrupt:
                raise
            self._dataset.skip(files.id, str(error))
            return SampleView(files.id, {}, None, np.full((1, 1), UNLABELLED, np.uint8), files.condition)
        pictures: dict[Modality, Tensor] = dict(sample.pictures)
        depth = pictures.pop(Modality.DEPTH, None) if self._metric else None
        return SampleView(
            id=sample.id,
            pictures=pictures,
            depth_m=None if depth is None else self._metres(depth[0].as_subclass(torch.Tensor)),
            labels=sample.target.numpy(),
            condition=sample.condition,
        )

    def _metres(self, code: Tensor) -> Tensor:
        """Undo the code of any2seg_core.projection.depth; 0 stays not measured."""
        part = (code - FAINTEST) / (1 - FAINTEST)
        metres = self._farthest_m * (self._nearest_m / self._farthest_m) ** part
        return torch.where(code > 0, metres, torch.nan)


def describe(experiment: Experiment, teacher: Teacher, options: argparse.Namespace) -> dict[str, str]:
    """Write the scene descriptions that are missing, or take those made elsewhere."""
    config, split = experiment.teacher, options.split
    modalities = _modalities(experiment)
    asks = config.caption_source == "model"
    source = DatasetSource(experiment, split, (Modality.RGB,) if asks else modalities[:1], None if asks else ())
    file = CaptionFile(captions_path(config, experiment.data.root, split))
    if config.caption_source == "jsonl":
        return import_captions(file, source.ids)
    phrases = class_phrases(source.classes.names, config)
    captioner: Captioner = TemplateCaptioner(phrases, condition=config.caption_condition)
    if asks:
        from any2seg_core.teacher.captioner import ModelCaptioner  # noqa: PLC0415  (slow to import)

        dtype = DTYPES[config.precision]
        captioner = ModelCaptioner(config, phrases, device=choose_device(options.device), dtype=dtype)
    with tqdm(total=len(source.ids), desc="captions", unit="scene") as bar:
        return write_captions(
            captioner,
            source,
            file,
            classes=len(source.classes),
            count=teacher.count_tokens,
            limit=teacher.max_tokens,
            batch_size=options.caption_batch if asks else 64,
            done=bar.update,
        )


def embed(experiment: Experiment, teacher: Teacher, captions: dict[str, str], options: argparse.Namespace) -> None:
    """Compute the cache, and say what is in it."""
    modalities = _modalities(experiment)
    source = DatasetSource(experiment, options.split, modalities)
    path = cache_path(experiment.teacher, experiment.data.root, options.split)
    with tqdm(total=len(source.ids), desc="embeddings", unit="sample") as bar:
        cache = build_cache(
            teacher,
            source,
            source.classes,
            experiment.teacher,
            path,
            captions=captions,
            modalities=modalities,
            data=experiment.data,
            batch_size=options.batch_size,
            workers=experiment.data.workers if options.workers is None else options.workers,
            rebuild=options.rebuild,
            done=bar.update,
        )
    lost = int((~cache.valid.any(dim=1)).sum())
    print(f"{len(cache)} samples in {path}" + (f", {lost} of them unreadable and empty" if lost else ""))
    for column, modality in enumerate(cache.modalities):
        cosines = cache.correlation[:, column][cache.valid[:, column]]
        if len(cosines):
            print(f"  {modality.value}: cosine to the text {cosines.mean():.3f} +- {cosines.std(correction=0):.3f}")


def _modalities(experiment: Experiment) -> tuple[Modality, ...]:
    return in_canonical_order(Modality(name) for name in experiment.model.modalities)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("experiment", type=Path, help="YAML file")
    add("overrides", nargs="*", metavar="group.field=value", help="settings that win over the file")
    add("--split", help="split to embed (data.train_split)")
    add("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    add("--batch-size", type=int, default=32, help="samples embedded together (32)")
    add("--caption-batch", type=int, default=4, help="pictures that a caption model is asked about together (4)")
    add("--workers", type=int, help="processes that read pictures (data.workers)")
    add("--captions-only", action="store_true", help="write the scene descriptions and stop")
    add("--rebuild", action="store_true", help="replace a cache that comes from other settings")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Describe and embed; the exit status is described above."""
    options = _parser().parse_intermixed_args(arguments)
    cv2.setNumThreads(1)  # its threads do not survive into the processes that read pictures
    try:
        experiment = load_experiment(options.experiment, options.overrides)
        options.split = options.split or experiment.data.train_split
        teacher = open_teacher(experiment.teacher, choose_device(options.device))
        captions = describe(experiment, teacher, options)
        if not options.captions_only:
            embed(experiment, teacher, captions, options)
    except Any2SegError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
