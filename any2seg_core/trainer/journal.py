# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Keeps the books of a run: means over log windows and epochs, speed, progress bar, pictures."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from any2seg_core.trainer.log import RunLog, Sums, grouped
from any2seg_core.trainer.pictures import draw_samples, write_picture
from any2seg_core.trainer.processes import gathered_means

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

    import torch
    from torch import Tensor
    from typing_extensions import Self

    from any2seg_core.model import Any2Seg
    from any2seg_core.trainer.module import StepResult
    from any2seg_core.trainer.run import Place, Run


class Journal:
    """Collects what steps report and writes it out when its turn comes.

    All processes keep one and call the same methods at the same steps; only the main process writes.
    """

    def __init__(self, run: Run) -> None:
        self._run, self._train = run, run.experiment.train
        self._window, self._epoch = Sums(), Sums()
        self._log, self._bar = RunLog(None), tqdm(disable=True)
        self._lines = 0
        self._started = self._waited = 0.0
        self._samples = 0

    def open(self, place: Place) -> Self:
        """Go on from a place: what was logged after it is cut off."""
        main = self._run.accelerator.is_main_process
        folder = self._run.folder
        self._log = RunLog(
            folder.log if main else None,
            folder.tensorboard if self._train.tensorboard else None,
            lines=self._lines,
            step=place.step,
        )
        self._bar = tqdm(
            desc=self._run.experiment.name,
            unit="step",
            total=self._run.experiment.optim.epochs * self._run.steps_per_epoch,
            initial=place.step,
            disable=not (main and self._run.progress),
            dynamic_ncols=True,
        )
        self._restart()
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._log.close()
        self._bar.close()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time inside as waiting for data."""
        before = time.perf_counter()
        yield
        self._waited += time.perf_counter() - before

    def measures(self, step: int) -> bool:
        """Whether the step measures the gradient of each term."""
        return bool(self._train.gradients_every) and step % self._train.gradients_every == 0

    def add(self, place: Place, results: Sequence[StepResult], *, rate: float, norm: Tensor, samples: int) -> None:
        """Note a step that is done, `place` being after it."""
        for result in results:
            for sums in (self._window, self._epoch):
                sums.add({"loss": result.total})
                sums.add(result.terms, "terms")
                sums.add(result.watch, "watch")
        self._samples += samples
        self._bar.update()
        if results[0].gradients:
            measured = Sums()
            for result in results:
                measured.add(result.gradients, "gradients")
            self._write("gradients", place, grouped(gathered_means(measured.means())))
        if place.step % self._train.log_every == 0:
            self._write_step(place, rate, norm)

    def close_epoch(self, place: Place, scores: Mapping[str, float]) -> None:
        """Note the end of an epoch, before `place` moves on to the next."""
        means = grouped(gathered_means(self._epoch.means()))
        self._epoch = Sums()
        values = {**means, "scores": dict(scores), "best": place.best}
        self._write("epoch", place, {**values, "epoch": place.epoch + 1})
        self._restart()

    def draw(self, place: Place, model: Any2Seg) -> None:
        """Draw the sample pictures."""
        run = self._run
        if not (run.samples and run.accelerator.is_main_process):
            return
        samples = [batch.to(run.accelerator.device) for batch in run.samples]
        image = draw_samples(model, samples, run.classes, run.experiment.preprocess)
        write_picture(run.folder.pictures / f"epoch_{place.epoch + 1:04d}.png", image)
        self._log.picture("samples", place.step, image)

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes."""
        return {"window": self._window.state_dict(), "epoch": self._epoch.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any], lines: int, device: torch.device) -> None:
        """Restore what state_dict gave, and how many lines were written then."""
        self._window.load_state_dict(state["window"], device)
        self._epoch.load_state_dict(state["epoch"], device)
        self._lines = lines

    @property
    def lines(self) -> int:
        """Number of lines written so far."""
        return self._log.lines

    def _write_step(self, place: Place, rate: float, norm: Tensor) -> None:
        means = grouped(gathered_means(self._window.means()))
        self._window = Sums()
        passed = max(time.perf_counter() - self._started, 1e-9)
        values = {
            "lr": rate,
            **means,
            "gradient_norm": float(norm),
            "samples_per_s": self._samples * self._run.accelerator.num_processes / passed,
            "data_wait": self._waited / passed,
        }
        self._bar.set_postfix(loss=f"{means['loss']:.4g}", refresh=False)
        self._write("step", place, values)
        self._restart()

    def _write(self, event: str, place: Place, values: Mapping[str, Any]) -> None:
        self._log.write(event, place.step, {"epoch": place.epoch + 1, **values})

    def _restart(self) -> None:
        """Start measuring speed anew: what passed in between was no training."""
        self._started, self._waited, self._samples = time.perf_counter(), 0.0, 0
