# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Train the model of an experiment file, or go on with a run that was interrupted.

Run: python training/train.py training/experiments/tiny.yaml data.root=out/street --out out/runs/tiny
On several GPUs or machines: accelerate launch training/train.py ... ; the number of samples per step is
optim.batch_size x optim.accumulation x processes.

A run goes on by itself when its folder holds an unfinished run of the same experiment. SIGTERM and Ctrl-C end it in
good order. Exit status: 0 trained and scored; 1 failed while training; 2 refused before the first step; 143 (SIGTERM)
or 130 (SIGINT) interrupted and saved, the same command goes on. A launcher of several processes may report a status of
its own.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from any2seg_core.errors import Any2SegError, ConfigError
from any2seg_core.experiment import Experiment, load_experiment
from any2seg_core.trainer import RunFolder, Trainer, prepare_run, start_processes

if TYPE_CHECKING:
    from accelerate import Accelerator

    from any2seg_core.trainer import Outcome, Run

FAILED, REFUSED, SIGNALLED = 1, 2, 128


def enter(
    experiment: Experiment, folder: RunFolder, accelerator: Accelerator, *, fresh: bool, resume: bool
) -> Run | None:
    """Open everything and claim the folder; None if the folder holds this very run, complete.

    Raises:
        Any2SegError: the experiment cannot be run, or not in this folder.
    """
    if fresh and accelerator.is_main_process:
        folder.clear()
    accelerator.wait_for_everyone()
    folder.check(experiment, {})
    if folder.outcome() is not None:
        return None
    if resume and not folder.has_state():
        msg = f"run {folder.path}: found no state to go on from, expected one (--resume); leave --resume out to start"
        raise ConfigError(msg)
    run = prepare_run(experiment, folder, accelerator, progress=sys.stderr.isatty())
    folder.check(experiment, run.circumstances)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        folder.claim(experiment, run.circumstances)
    return run


def introduce(run: Run) -> None:
    """Say what is about to happen."""
    optim = run.experiment.optim
    weights = sum(weight.numel() for weight in run.model.parameters())
    samples = optim.batch_size * optim.accumulation * run.accelerator.num_processes
    begun = "going on" if run.folder.has_state() else "starting"
    print(
        f"{run.experiment.name}: {begun}, {weights / 1e6:.1f} M weights on {run.accelerator.num_processes} x "
        f"{run.accelerator.device.type}, {optim.epochs} epochs of {run.steps_per_epoch} steps of {samples} samples, "
        f"in {run.folder.path}",
        flush=True,
    )


def conclude(outcome: Outcome, folder: RunFolder) -> int:
    """Say how it ended."""
    place = outcome.place
    if not outcome.complete:
        print(f"stopped by signal {place.stopped_by} after step {place.step}; the same command goes on")
        return SIGNALLED + place.stopped_by
    scores = "  ".join(f"{name.upper()} {100 * score:.2f}" for name, score in place.best["scores"].items())
    print(f"done after {place.step} steps; best: epoch {place.best['epoch']}  {scores}  in {folder.best}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("experiment", type=Path, help="YAML file")
    add("overrides", nargs="*", metavar="group.field=value", help="settings that win over the file")
    add("--out", type=Path, help="folder of the run (out/runs/NAME)")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--resume", action="store_true", help="refuse to start anew")
    how.add_argument("--fresh", action="store_true", help="delete what an earlier run left in the folder")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Train; the exit status is described above."""
    options = _parser().parse_intermixed_args(arguments)
    status = REFUSED
    try:
        experiment = load_experiment(options.experiment, options.overrides)
        accelerator = start_processes(experiment.train)
        folder = RunFolder(options.out or Path("out/runs") / experiment.name)
        with folder.held() if accelerator.is_main_process else nullcontext():
            run = enter(experiment, folder, accelerator, fresh=options.fresh, resume=options.resume)
            if run is None:
                print(f"{experiment.name}: complete already, in {folder.path}; --fresh trains it again")
                return 0
            status = FAILED
            if accelerator.is_main_process:
                introduce(run)
            outcome = Trainer(run).fit()
            status = conclude(outcome, folder) if accelerator.is_main_process else 0
            accelerator.end_training()
    except Any2SegError as error:
        print(f"error: {error}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
