# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The training loop: epochs of steps, steps of micro-batches, on any number of processes.

A run that was interrupted goes on exactly where it stopped, on the CPU to the last bit: all that changes is in its
state, and all randomness is derived from the place in the run instead of from what was drawn before. A micro-batch is
seeded by its number among those of all processes, and batch norms' running statistics take the mean of all updates of a
step. So two processes do what one process with twice the accumulation does, to rounding. Only f_ma at t-1, where a
model carries it over, is another: each process has its own.
"""

from __future__ import annotations

import itertools
import math
from contextlib import nullcontext
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import torch
from accelerate.utils import broadcast_object_list

from any2seg_core.data import random_subset
from any2seg_core.errors import Any2SegError, CheckpointError, ConfigError
from any2seg_core.model import save_checkpoint
from any2seg_core.trainer.average import MovingAverage
from any2seg_core.trainer.folder import write_json
from any2seg_core.trainer.journal import Journal
from any2seg_core.trainer.module import TrainingModule
from any2seg_core.trainer.processes import SharedStatistics, agree, gathered
from any2seg_core.trainer.run import Outcome, Place
from any2seg_core.trainer.schedule import build_optimiser, learning_rate
from any2seg_core.trainer.signals import StopRequest
from any2seg_core.trainer.start import DROPOUT, SUBSETS, arrange, derived_seed
from any2seg_core.trainer.state import load_state, save_state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from any2seg_core.batch import Batch
    from any2seg_core.model import Any2Seg
    from any2seg_core.model.segmentor import Maps
    from any2seg_core.trainer.module import StepResult
    from any2seg_core.trainer.run import Run


class DivergedError(Any2SegError, ArithmeticError):
    """A loss or a gradient is not finite."""


class Trainer:
    """Trains one model.

    Args:
        run: what to train, on what, and where to.

    Attributes:
        model: the network that learns.
        average: the moving average of it that is scored and shipped instead, if any.
        place: how far training has come.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.accelerator = run, run.accelerator
        self.optim, self.train = run.experiment.optim, run.experiment.train
        self.model = run.model.to(run.accelerator.device).train()
        self.average = MovingAverage(self.model, self.train.ema_decay) if self.train.ema_decay else None
        self.place = Place()
        arrange(self.model, self.train)
        # In mode "random" the loader leaves modalities out, so that they are not even read.
        self._draws_subsets = run.experiment.subsets.mode == "both"
        self._carries = run.experiment.model.previous == "carry"
        module = TrainingModule(self.model, run.objective)
        self._module, self._optimiser = run.accelerator.prepare(module, build_optimiser(self.model, self.optim))
        self._previous: tuple[list[int], Maps] | None = None
        self._journal = Journal(run)

    def fit(self) -> Outcome:
        """Train until the last epoch is scored, or a signal asks to stop.

        Raises:
            DivergedError: a loss or a gradient is not finite; the state before that step is saved.
            CheckpointError: the disk refuses, or the state to go on from cannot be read.
        """
        self._restore()
        with StopRequest() as stop, self._journal.open(self.place):
            while self.place.epoch < self.optim.epochs:
                self._train_epoch(stop)
                if self.place.stopped_by:
                    return Outcome(complete=False, place=self.place)
                self._close_epoch()
        return self._finish()

    def _train_epoch(self, stop: StopRequest) -> None:
        """Learn from what is left of an epoch."""
        place, count = self.place, len(self.run.batches)
        batches = iter(self.run.batches.epoch(place.epoch, place.batch)) if place.batch < count else iter(())
        while place.batch < count and not place.stopped_by:
            wanted = min(self.optim.accumulation, count - place.batch)
            with self._journal.waiting():
                group = list(itertools.islice(batches, wanted))
            if len(group) < wanted:
                msg = (
                    f"training: the loader ended after {place.batch + len(group)} batches of epoch {place.epoch + 1}, "
                    f"expected {count}; its count must hold for every epoch"
                )
                raise ConfigError(msg)
            self._step(group, stop)
            if place.step % self.train.checkpoint_every == 0 or place.stopped_by:
                self._save()

    def _step(self, group: Sequence[Batch], stop: StopRequest) -> None:
        """Update the weights once, by the mean gradient of a group of micro-batches."""
        place = self.place
        rate = learning_rate(place.step, self.run.steps_per_epoch, self.optim)
        for options in self._optimiser.param_groups:
            options["lr"] = rate
        previous, statistics = self._previous, SharedStatistics(self.model, self.accelerator)
        results = []
        for index, batch in enumerate(group):
            last = index + 1 == len(group)
            with nullcontext() if last else self.accelerator.no_sync(self._module):
                results.append(self._forward(batch, place.batch + index))
                self.accelerator.backward(results[-1].total / len(group))
                statistics.collect()
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), self.optim.clip_norm or math.inf)
        sound = self._is_finite(results, norm)
        broken, stopped_by = agree(self.accelerator, [not sound, stop.received])
        if broken:
            self._previous = previous
            self._fail([] if sound else group, results, norm)
        self._optimiser.step()
        self._optimiser.zero_grad()
        statistics.apply()
        if self.average is not None:
            self.average.update(self.model)
        place.batch, place.step, place.stopped_by = place.batch + len(group), place.step + 1, stopped_by
        self._journal.add(place, results, rate=rate, norm=norm, samples=sum(map(len, group)))

    def _forward(self, batch: Batch, index: int) -> StepResult:
        """Compute the losses of a micro-batch; `index` counts those of this process in this epoch."""
        number = index * self.accelerator.num_processes + self.accelerator.process_index
        here = (self.train.seed, self.place.epoch, number)
        torch.manual_seed(derived_seed(DROPOUT, *here))  # dropout draws from torch's global generator and no other
        subset = None
        if self._draws_subsets:
            generator = torch.Generator().manual_seed(derived_seed(SUBSETS, *here))
            subset = random_subset(batch.present, generator).to(self.accelerator.device)
        batch = batch.to(self.accelerator.device)
        shape, previous = list(batch.pixels.shape), None
        if self._previous is not None and self._previous[0] == shape:
            previous = self._previous[1]
        measure = self._journal.measures(self.place.step)
        result: StepResult = self._module(batch, subset, previous, measure=measure)
        self._previous = (shape, result.state) if self._carries else None
        return result

    def _is_finite(self, results: Sequence[StepResult], norm: Tensor) -> bool:
        checked = [result.total.detach().float() for result in results]
        if self.train.precision != "fp16":  # whose scaler expects overflowing gradients, and skips such steps
            checked.append(norm.float())
        return bool(torch.isfinite(torch.stack(checked)).all())

    def _fail(self, group: Sequence[Batch], results: Sequence[StepResult], norm: Tensor) -> None:
        self._save()
        ids = gathered([name for batch in group for name in batch.ids])
        losses = ", ".join(f"{float(result.total.detach()):.4g}" for result in results)
        msg = (
            f"training: found loss {losses} and gradient norm {float(norm):.4g} in step {self.place.step + 1}, epoch "
            f"{self.place.epoch + 1}, expected finite numbers; samples: {', '.join(ids)}. The state before this step "
            "is saved. Look at the samples, lower optim.lr, set optim.clip_norm or use another train.precision"
        )
        raise DivergedError(msg)

    def _close_epoch(self) -> None:
        """Score an epoch, if its turn has come, and write down how it went."""
        place, number = self.place, self.place.epoch + 1
        scores: dict[str, float] = {}
        if number == self.optim.epochs or (number >= self.train.eval_from and number % self.train.eval_every == 0):
            self._save()  # whoever kills the run while it scores costs it the scoring only
            scores = self._score()
            self._ship(scores)
        self._journal.close_epoch(place, scores)
        place.epoch, place.batch = number, 0

    def _score(self) -> dict[str, float]:
        """Score what is shipped; the main process' answer counts."""
        shipped = self._shipped().eval()
        answer = [dict(self.run.score(shipped))]
        self._journal.draw(self.place, shipped)
        self.model.train()
        broadcast_object_list(answer)
        scores, wanted = answer[0], self.train.select_on
        if wanted not in scores:
            msg = f"training: found scores {', '.join(scores) or 'none'}, expected {wanted!r} (train.select_on) too"
            raise ConfigError(msg)
        return scores

    def _ship(self, scores: dict[str, float]) -> None:
        """Write the last checkpoint, and the best one if this is it."""
        place, score = self.place, scores[self.train.select_on]
        better = not place.best or not score <= place.best["score"]
        if math.isnan(score):
            better = not place.best
        if better:
            place.best = {
                "epoch": place.epoch + 1,
                "score": -math.inf if math.isnan(score) else score,
                "scores": scores,
            }
        if self.accelerator.is_main_process:
            for folder in (self.run.folder.last, self.run.folder.best)[: 1 + better]:
                save_checkpoint(folder, self._shipped(), self.run.describe(scores))
        self.accelerator.wait_for_everyone()

    def _shipped(self) -> Any2Seg:
        return self.model if self.average is None else self.average.model

    def _finish(self) -> Outcome:
        if self.accelerator.is_main_process:
            best = {"scores": {}, **self.place.best}
            write_json(
                self.run.folder.result, {"name": self.run.experiment.name, "steps": self.place.step, "best": best}
            )
        self.accelerator.wait_for_everyone()
        return Outcome(complete=True, place=self.place)

    def _save(self) -> None:
        """Write everything that changes, as it is between two steps."""
        scaler, previous = self.accelerator.scaler, self._previous
        shared = {
            "place": asdict(replace(self.place, stopped_by=0)),
            "lines": self._journal.lines,
            "model": self.model.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
        }
        own = {"previous": None if previous is None else list(previous), "journal": self._journal.state_dict()}
        save_state(self.run.folder.state, shared, own, self.accelerator)

    def _restore(self) -> None:
        """Go on from the saved state, if there is one."""
        found = load_state(self.run.folder.state, self.accelerator.process_index)
        if found is None:
            return
        shared, own = found
        device = self.accelerator.device
        try:
            self.place = Place(**shared["place"])
            self.model.load_state_dict(shared["model"])
            self._optimiser.load_state_dict(shared["optimiser"])
            if self.accelerator.scaler is not None:
                self.accelerator.scaler.load_state_dict(shared["scaler"])
            if self.average is not None:
                self.average.load_state_dict(shared["average"])
            self._journal.load_state_dict(own["journal"], shared["lines"], device)
            if own["previous"] is not None:
                shape, maps = own["previous"]
                self._previous = shape, tuple(state.to(device) for state in maps)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:300]
            msg = f"state {self.run.folder.state}: does not fit this run ({reason}); start over with --fresh"
            raise CheckpointError(msg) from error
