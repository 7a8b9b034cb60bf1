# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Train every experiment of a grid with every seed, and print the table.

Run: python training/run_grid.py training/experiments/grids/table6.yaml --out out/grids/table6 [group.field=value ...]
On several GPUs: --launch "accelerate launch --num_processes 8"

Runs that are complete are skipped and interrupted ones go on, so the same command may be given again and again. A run
that fails is named, and the others go on. The table (mean and spread over seeds, in percent) is written to table.md and
table.json after each run. Exit status: 0 all complete; 1 some failed; 2 the grid cannot be run; 128 + N stopped by
signal N.
"""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import statistics
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml
from pydantic import Field, field_validator

from any2seg_core.config import Settings
from any2seg_core.errors import Any2SegError, ConfigError
from any2seg_core.experiment import load_experiment
from any2seg_core.trainer import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from typing_extensions import Self

    from any2seg_core.experiment import Experiment

TRAIN: Final = Path(__file__).resolve().with_name("train.py")
SIGNALLED: Final = 128


class GridRun(Settings):
    """One row of the table."""

    name: str = Field(min_length=1, description="name of the row")
    experiment: str = Field(min_length=1, description="experiment file, beside the grid file")
    overrides: list[str] = Field([], description="group.field=value, which win over the file")


class Grid(Settings):
    """Which experiments, with which seeds."""

    name: str = Field(min_length=1, description="name of the grid")
    description: str = Field("", description="what it shows")
    seeds: list[int] = Field([0], min_length=1, description="values of train.seed")
    columns: list[str] = Field(["mss", "miss"], min_length=1, description="scores in the table")
    overrides: list[str] = Field([], description="group.field=value for all runs")
    runs: list[GridRun] = Field(min_length=1, description="rows")

    @field_validator("runs")
    @classmethod
    def _once(cls, runs: list[GridRun]) -> list[GridRun]:
        names = [slug(run.name) for run in runs]
        if len(set(names)) != len(names):
            msg = "each name once, signs aside"
            raise ValueError(msg)
        return runs


def slug(name: str) -> str:
    """Make a folder's name of a row's name."""
    return "_".join("".join(sign if sign.isalnum() else " " for sign in name).split()).lower()


def load_grid(path: Path) -> Grid:
    """Read a grid file.

    Raises:
        ConfigError: it is missing, not YAML, or holds what is unknown or mistyped.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        msg = f"grid: found {path} not readable ({error}), expected a YAML file"
        raise ConfigError(msg) from error
    if not isinstance(values, dict):
        msg = f"grid: found {type(values).__name__} in {path}, expected name, runs and more"
        raise ConfigError(msg)
    return Grid.from_mapping(values, source=str(path))


class StoppedError(Exception):
    """A run was stopped by a signal."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Relay:
    """While entered, hands SIGTERM on to a process; Ctrl-C reaches it by itself.

    Attributes:
        process: who gets the signals.
        received: number of the last signal, 0 when none came.
    """

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.received = 0
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._former[number] = signal.signal(number, self._hand_on)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _hand_on(self, number: int, _frame: object) -> None:
        self.received = number
        if number == signal.SIGTERM and self.process is not None:
            self.process.terminate()


class Job:
    """One row with one seed.

    Attributes:
        row: name of the row.
        seed: value of train.seed.
        folder: where it is.
        experiment: its settings, checked.
        command: what train.py is told.
    """

    def __init__(self, grid: Grid, run: GridRun, seed: int, path: Path, out: Path, extra: Sequence[str]) -> None:
        self.row, self.seed = run.name, seed
        self.folder = RunFolder(out / slug(run.name) / f"seed_{seed}")
        file = path.parent / run.experiment
        overrides = [*grid.overrides, *run.overrides, *extra, f"train.seed={seed}"]
        self.experiment: Experiment = load_experiment(file, overrides)
        self.command = [str(file), *overrides, "--out", str(self.folder.path)]

    def scores(self) -> dict[str, float] | None:
        """Scores of the best checkpoint, None while the run is not complete.

        Raises:
            ConfigError: the folder holds a run of another experiment.
        """
        self.folder.check(self.experiment, {})
        outcome = self.folder.outcome()
        return None if outcome is None else {name: float(score) for name, score in outcome["best"]["scores"].items()}

    def train(self, launch: Sequence[str]) -> int:
        """Train in a process of its own, and give its exit status.

        Raises:
            StoppedError: a signal asked to stop; it was handed on, and the run has saved itself.
        """
        with Relay() as relay, subprocess.Popen([*launch, str(TRAIN), *self.command]) as process:
            relay.process = process
            status = process.wait()
        stopped = relay.received or (-status if status < 0 else max(0, status - SIGNALLED))
        if stopped:
            raise StoppedError(stopped)
        return status


def run_grid(jobs: Sequence[Job], launch: Sequence[str], done: Callable[[], object]) -> Iterator[str]:
    """Train what is not complete, one run after another, and give the failures in words.

    Args:
        jobs: all of them.
        launch: command that starts train.py.
        done: called after each run.

    Raises:
        StoppedError: a run was stopped by a signal; so is the grid.
    """
    for number, job in enumerate(jobs, 1):
        where = f"[{number}/{len(jobs)}] {job.row}, seed {job.seed}"
        if job.scores() is not None:
            print(f"{where}: complete", flush=True)
            continue
        print(f"{where}: {job.folder.path}", flush=True)
        status = job.train(launch)
        if status or job.scores() is None:
            yield f"{job.row}, seed {job.seed}: exit status {status}, see above and {job.folder.path}"
        done()


def summarise(jobs: Sequence[Job], columns: Sequence[str]) -> list[dict[str, Any]]:
    """Mean and spread of each column over the complete seeds of each row; the spread of one is unknown."""
    rows = []
    for name in dict.fromkeys(job.row for job in jobs):
        seeds = [job for job in jobs if job.row == name]
        scores = [found for job in seeds if (found := job.scores()) is not None]
        row: dict[str, Any] = {"name": name, "seeds": len(seeds), "complete": len(scores)}
        for column in columns:
            values = [found[column] for found in scores if column in found]
            spread = statistics.stdev(values) if len(values) > 1 else None
            row[column] = {"mean": statistics.fmean(values), "spread": spread, "values": values} if values else None
        rows.append(row)
    return rows


def markdown(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Draw the table; the gain is that over the first row."""
    lines = [
        f"| run | seeds | {' | '.join(f'{column.upper()} | gain' for column in columns)} |",
        f"|---|---|{'---:|---:|' * len(columns)}",
    ]
    for row in rows:
        cells = [cell for column in columns for cell in _cells(row[column], rows[0][column])]
        lines.append(f"| {row['name']} | {row['complete']} of {row['seeds']} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cells(value: Mapping[str, Any] | None, first: Mapping[str, Any] | None) -> tuple[str, str]:
    if value is None:
        return "", ""
    spread = "" if value["spread"] is None else f" ± {100 * value['spread']:.2f}"
    gain = "" if first is None or value is first else f"{100 * (value['mean'] - first['mean']):+.2f}"
    return f"{100 * value['mean']:.2f}{spread}", gain


def write_table(out: Path, grid: Grid, jobs: Sequence[Job]) -> str:
    """Write table.md and table.json as far as runs are complete, and give the former."""
    rows = summarise(jobs, grid.columns)
    text = f"# {grid.name}\n\n{grid.description}\n\n{markdown(rows, grid.columns)}"
    content = json.dumps({"name": grid.name, "description": grid.description, "rows": rows}, indent=1) + "\n"
    out.mkdir(parents=True, exist_ok=True)
    for name, written in {"table.md": text, "table.json": content}.items():
        unfinished = out / f".{name}.partial"
        unfinished.write_text(written, encoding="utf-8")
        unfinished.replace(out / name)
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("grid", type=Path, help="YAML file")
    add("overrides", nargs="*", metavar="group.field=value", help="settings of all runs that win over the files")
    add("--out", type=Path, help="folder of the runs and the table (out/grids/NAME)")
    add("--launch", default=sys.executable, help="command that starts train.py (this Python)")
    add("--table", action="store_true", help="train nothing, print the table of what is complete")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the grid; the exit status is described above."""
    options = _parser().parse_intermixed_args(arguments)
    try:
        grid = load_grid(options.grid)
        out = options.out or Path("out/grids") / grid.name
        jobs = [Job(grid, run, seed, options.grid, out, options.overrides) for seed in grid.seeds for run in grid.runs]
        failures: list[str] = []
        if not options.table:
            failures = list(run_grid(jobs, shlex.split(options.launch), lambda: write_table(out, grid, jobs)))
        print(write_table(out, grid, jobs))
    except Any2SegError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except StoppedError as stop:
        print(f"stopped by signal {stop.number}; the same command goes on", file=sys.stderr)
        return SIGNALLED + stop.number
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
