# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""An experiment becomes a run: data sets, teacher, model and scoring are opened, and refused if they do not fit."""

from __future__ import annotations

import functools
import operator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from any2seg_core.data import TrainLoader, eval_loader, open_dataset
from any2seg_core.errors import ConfigError
from any2seg_core.evaluator import evaluate
from any2seg_core.frames import Modality, in_canonical_order
from any2seg_core.losses import Objective
from any2seg_core.metrics import AbsentClasses
from any2seg_core.teacher import TeacherCache, cache_path, expected_fingerprint, file_stamp
from any2seg_core.trainer.processes import gathered
from any2seg_core.trainer.run import Run
from any2seg_core.trainer.start import check_experiment, initial_model

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from accelerate import Accelerator

    from any2seg_core.batch import Batch
    from any2seg_core.data import SegmentationDataset
    from any2seg_core.experiment import Experiment
    from any2seg_core.model import Any2Seg
    from any2seg_core.trainer.folder import RunFolder
    from any2seg_core.trainer.run import EpochBatches

_POLICIES: Final = {"zero": AbsentClasses.ALL_AS_ZERO, "present_only": AbsentClasses.PRESENT}


def prepare_run(experiment: Experiment, folder: RunFolder, accelerator: Accelerator, *, progress: bool = False) -> Run:
    """Open everything that an experiment names.

    Args:
        experiment: settings.
        folder: where the run is written to.
        accelerator: processes, as start_processes gives them.
        progress: show a progress bar.

    Raises:
        ConfigError: settings contradict each other, a data set is missing, empty or does not fit.
        CheckpointError: weights to start from, or the teacher's cache, are missing or do not fit.
        DependencyError: a package is missing.
    """
    check_experiment(experiment)
    modalities = in_canonical_order(Modality(name) for name in experiment.model.modalities)
    opened = functools.partial(open_dataset, experiment.data, experiment.preprocess, modalities)
    learnt, scored = opened(split=experiment.data.train_split), opened(split=experiment.data.eval_split)
    if learnt.classes.names != scored.classes.names:
        msg = (
            f"data: found {len(learnt.classes)} classes to learn and {len(scored.classes)} to score, expected the same"
        )
        raise ConfigError(msg)
    return Run(
        experiment=experiment,
        model=initial_model(experiment, learnt.classes),
        objective=Objective(experiment.loss),
        batches=_train_batches(experiment, learnt, accelerator),
        score=Scoring(experiment, scored, accelerator),
        classes=learnt.classes,
        folder=folder,
        accelerator=accelerator,
        samples=_samples(experiment, scored) if accelerator.is_main_process else (),
        progress=progress,
    )


class Scoring:
    """Scores a model on the evaluation split, each process its share of the samples.

    Args:
        experiment: sizes, subsets and policy.
        dataset: what to score on.
        accelerator: the processes.
    """

    def __init__(self, experiment: Experiment, dataset: SegmentationDataset, accelerator: Accelerator) -> None:
        self._config, self._accelerator, self._classes = experiment.evaluation, accelerator, dataset.classes
        self._policy = _POLICIES[experiment.evaluation.absent]
        self._name = experiment.name
        self._batches = eval_loader(
            dataset,
            experiment.preprocess,
            batch_size=self._config.batch_size,
            workers=experiment.data.workers,
            label_size=self._config.label_size,
            rank=accelerator.process_index,
            world=accelerator.num_processes,
        )

    def __call__(self, model: Any2Seg) -> dict[str, float]:
        """Give "mss" and, where all subsets are scored, "miss", in [0, 1]; the same in all processes."""
        share = []
        if len(self._batches):
            report = evaluate(
                model,
                self._batches,
                self._classes,
                subsets=None if self._config.subsets == "all" else [model.modalities],
                name=self._name,
                label_size=self._config.label_size,
                device=self._accelerator.device,
            )
            share = [report]
        whole = functools.reduce(operator.add, gathered(share))
        scores = {"mss": whole.miou(policy=self._policy)}
        if self._config.subsets == "all":
            scores["miss"] = whole.system_miss(policy=self._policy)
        return scores


class TaughtBatches:
    """Training batches with what the teacher says of them.

    Args:
        batches: without it.
        cache: the teacher's answers.
        modalities: of the batches.
    """

    def __init__(self, batches: EpochBatches, cache: TeacherCache, modalities: Sequence[Modality]) -> None:
        self._batches, self._cache, self._modalities = batches, cache, modalities

    def __len__(self) -> int:
        return len(self._batches)

    def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[Batch]:
        """Give the batches of an epoch, from number `start_batch` on."""
        for batch in self._batches.epoch(epoch, start_batch):
            yield replace(batch, teacher=self._cache.targets(batch.ids, self._modalities))


def _train_batches(experiment: Experiment, dataset: SegmentationDataset, accelerator: Accelerator) -> EpochBatches:
    loader = TrainLoader(
        dataset,
        experiment.augment,
        batch_size=experiment.optim.batch_size,
        workers=experiment.data.workers,
        seed=experiment.train.seed,
        rank=accelerator.process_index,
        world=accelerator.num_processes,
        random_subsets=experiment.subsets.mode == "random",
    )
    if experiment.teacher.kind == "none":
        return loader
    return TaughtBatches(loader, _open_cache(experiment, dataset), dataset.modalities)


def _open_cache(experiment: Experiment, dataset: SegmentationDataset) -> TeacherCache:
    """Open the teacher's cache and see that it speaks of this teacher and of all these samples."""
    cache = TeacherCache.open(
        cache_path(experiment.teacher, experiment.data.root, dataset.split),
        expected_fingerprint(experiment.teacher, dataset.classes.names, experiment.data),
        stamps={files.id: file_stamp(files.paths, files.labels) for files in dataset.samples},
        centre=experiment.teacher.centre,
    )
    cache.targets([files.id for files in dataset.samples], dataset.modalities)
    return cache


def _samples(experiment: Experiment, dataset: SegmentationDataset) -> Sequence[Batch]:
    """Some samples, evenly spread, to draw."""
    count = min(experiment.train.pictures, len(dataset))
    some = dataset.take([index * len(dataset) // count for index in range(count)])
    return list(eval_loader(some, experiment.preprocess, batch_size=1)) if count else ()
