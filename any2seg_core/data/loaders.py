# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Loaders: processes that read, augment and batch samples, in an order that nothing but seed and epoch decides."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import cv2
import torch
from torch.utils.data import DataLoader, Sampler

from any2seg_core.data.batches import LabelSize, generator_of
from any2seg_core.data.packers import ORDER, EvalPacker, Key, Packer, TrainPacker
from any2seg_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from any2seg_core.batch import Batch
    from any2seg_core.config import PreprocessConfig
    from any2seg_core.data.dataset import SegmentationDataset
    from any2seg_core.data.packers import Parcel
    from any2seg_core.experiment.data import AugmentConfig


_DEATHS: Final = ("exited unexpectedly", "killed by signal")
"""What torch says of a loader process that died."""

_NEWS_S: Final = 1.0
"""How long the signal of a death may come after the connection broke, seconds."""


class _Keys(Sampler[Key]):
    """Batches to make, set anew before each pass."""

    def __init__(self) -> None:
        self.keys: Sequence[Key] = ()

    def __iter__(self) -> Iterator[Key]:
        return iter(self.keys)

    def __len__(self) -> int:
        return len(self.keys)


class _Loader:
    """A DataLoader of batches whose errors are ours."""

    def __init__(self, packer: Packer, workers: int, *, pin_memory: bool | None) -> None:
        self._dataset, self._keys = packer.dataset, _Keys()
        pinned = torch.cuda.is_available() if pin_memory is None else pin_memory
        self._loader: DataLoader[Any] = DataLoader(
            packer,
            batch_size=None,
            sampler=self._keys,
            num_workers=workers,
            pin_memory=pinned,
            persistent_workers=workers > 0,
            worker_init_fn=_start_worker,
            # Without one of its own it would draw from the global random numbers, and a resumed run would differ.
            generator=torch.Generator(),
        )

    def batches(self, keys: Sequence[Key]) -> Iterator[Batch]:
        """Make batches in this order."""
        self._keys.keys = keys
        with _single_threaded_opencv():
            parcels = iter(self._loader)
        while True:
            parcel = _next(parcels)
            if parcel is None:
                return
            for name, reason in parcel.skipped:
                self._dataset.skip(name, reason)
            if parcel.error is not None:
                raise parcel.error
            if parcel.batch is not None:
                yield parcel.batch


class TrainLoader:
    """Training batches, epoch after epoch, by processes that live on between them.

    Sample i of epoch e is augmented by (seed, e, i) alone. With a batch size of b, process r of n sees the batches
    r, r + n, r + 2n ... that a single process would see; the last ones of an epoch that do not go round are left out.
    An unreadable sample, where it may be skipped, is replaced by the next one.

    Args:
        dataset: what to learn from.
        augment: how samples are augmented.
        batch_size: samples of a batch.
        workers: loader processes; 0: the calling one.
        seed: decides order, augmentation and subsets.
        rank: which training process this is.
        world: how many there are.
        random_subsets: give each sample a random non-empty subset of its modalities; the others are not even read.
        pin_memory: None: where there is a GPU.
    """

    def __init__(
        self,
        dataset: SegmentationDataset,
        augment: AugmentConfig,
        *,
        batch_size: int,
        workers: int = 0,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        random_subsets: bool = False,
        pin_memory: bool | None = None,
    ) -> None:
        self.dataset, self._batch_size, self._seed, self._rank, self._world = dataset, batch_size, seed, rank, world
        packer = TrainPacker(dataset, augment, seed=seed, random_subsets=random_subsets)
        self._loader = _Loader(packer, workers, pin_memory=pin_memory)

    def __len__(self) -> int:
        """Batches of an epoch, the same for every process; a data set too small for one goes round."""
        return max(len(self.dataset) // (self._batch_size * self._world), 1)

    def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[Batch]:
        """Give the batches of an epoch, from the start or from where a run was broken off, without reading the others.

        Raises:
            FrameError: a sample is unreadable.
            ConfigError: a loader process died.
        """
        return self._loader.batches([self._key(epoch, batch) for batch in range(start_batch, len(self))])

    def _key(self, epoch: int, batch: int) -> Key:
        order = self._order(epoch)
        first = (batch * self._world + self._rank) * self._batch_size
        return Key(epoch, tuple(order[place % len(order)] for place in range(first, first + self._batch_size)))

    def _order(self, epoch: int) -> list[int]:
        generator = generator_of(self._seed, epoch, 0, ORDER)
        order: list[int] = torch.randperm(len(self.dataset), generator=generator).tolist()
        return order


class EvalLoader:
    """Every sample once, in the data set's order, at the size that the robot would choose; eval_loader makes it."""

    def __init__(
        self,
        dataset: SegmentationDataset,
        preprocess: PreprocessConfig,
        *,
        batch_size: int = 1,
        workers: int = 0,
        label_size: LabelSize = "input",
        rank: int = 0,
        world: int = 1,
        pin_memory: bool | None = None,
    ) -> None:
        self.dataset = dataset
        mine = range(rank, len(dataset), world)
        self._keys = [Key(0, tuple(mine[i : i + batch_size])) for i in range(0, len(mine), batch_size)]
        self._loader = _Loader(EvalPacker(dataset, preprocess, label_size), workers, pin_memory=pin_memory)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Batch]:
        return self._loader.batches(self._keys)


def eval_loader(
    dataset: SegmentationDataset,
    preprocess: PreprocessConfig,
    *,
    batch_size: int = 1,
    workers: int = 0,
    label_size: LabelSize = "input",
    rank: int = 0,
    world: int = 1,
) -> EvalLoader:
    """Give every sample once; process r of n sees the samples r, r + n, r + 2n ...

    Args:
        dataset: what to score on; its transform is applied.
        preprocess: how model input is made; only its size may differ from the data set's own.
        batch_size: samples of a batch.
        workers: loader processes; 0: the calling one.
        label_size: "input" or "native", see collate.
        rank: which process this is.
        world: how many there are.

    Raises:
        ConfigError: preprocess draws pictures otherwise than the data set was opened with.
    """
    same = preprocess.model_copy(update={"short_side_px": dataset.preprocess.short_side_px})
    if same != dataset.preprocess:
        mine, theirs = same.model_dump(), dataset.preprocess.model_dump()
        names = [name for name in mine if mine[name] != theirs[name]]
        msg = (
            f"eval loader: found other preprocess settings ({', '.join(names)}) than the data set was opened with, "
            "expected the same save short_side_px; open the data set with the model's settings"
        )
        raise ConfigError(msg)
    return EvalLoader(
        dataset, preprocess, batch_size=batch_size, workers=workers, label_size=label_size, rank=rank, world=world
    )


def _next(parcels: Iterator[Parcel]) -> Parcel | None:
    """Take the next parcel; None: there are no more.

    Raises:
        ConfigError: a loader process died.
    """
    try:
        try:
            return next(parcels, None)
        except (ConnectionError, EOFError) as error:
            # A process that dies while it sends breaks the connection first. The signal of its death, from which
            # torch raises wherever it finds us, may come after that: it must find us here.
            time.sleep(_NEWS_S)
            msg = f"a loader process exited unexpectedly: {type(error).__name__}"
            raise RuntimeError(msg) from error
    except RuntimeError as error:
        if not any(words in str(error) for words in _DEATHS):
            raise
        msg = (
            f"data: found a loader process that died ({error}), expected it to live; "
            "use fewer data.workers or give the machine more (shared) memory"
        )
        raise ConfigError(msg) from error


@contextmanager
def _single_threaded_opencv() -> Iterator[None]:
    """Stop OpenCV's threads while processes fork: they do not live on in the new ones, which would wait for them."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def _start_worker(_: int) -> None:
    """Keep libraries of a loader process from starting threads of their own, and leave signals to the training process.

    Ctrl-C and a job scheduler's SIGTERM reach every process at once. The one that trains ends its step, saves and stops
    its loaders; if they died before it, the step would be lost.
    """
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # not on macOS
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # also in threads that begin later
        threading.Thread(target=_heed_parent, args=(os.getppid(),), daemon=True).start()


def _heed_parent(parent: int) -> None:
    """End this process at the parent's own SIGTERM, by which Python ends what is left when a program exits."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
