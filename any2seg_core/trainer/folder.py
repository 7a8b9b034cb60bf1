# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The folder of a run: what lies where in it, and whether a run may go on there.

run.json        the experiment, and what else must be the same for a run to go on
state/          everything that changes while training: a run goes on from here
best/  last/    checkpoints (any2seg_core.model.checkpoint)
log.jsonl       what happened, a JSON object a line
pictures/       samples with label and prediction, after each scoring
tensorboard/    the same curves and pictures, where TensorBoard is installed
result.json     the outcome; its presence says that the run is complete
lock            locked while a process trains here, and which that is
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import socket
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from any2seg_core.errors import ConfigError
from any2seg_core.experiment import differences

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from any2seg_core.experiment import Experiment

_SHOWN: Final = 8


@dataclass(frozen=True)
class RunFolder:
    """Paths in a run's folder.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def record(self) -> Path:
        """What the run is."""
        return self.path / "run.json"

    @property
    def state(self) -> Path:
        """What a run goes on from."""
        return self.path / "state"

    @property
    def best(self) -> Path:
        """Checkpoint of the highest score."""
        return self.path / "best"

    @property
    def last(self) -> Path:
        """Checkpoint of the last scoring."""
        return self.path / "last"

    @property
    def log(self) -> Path:
        """What happened."""
        return self.path / "log.jsonl"

    @property
    def pictures(self) -> Path:
        """Samples with label and prediction."""
        return self.path / "pictures"

    @property
    def tensorboard(self) -> Path:
        """Event files."""
        return self.path / "tensorboard"

    @property
    def result(self) -> Path:
        """The outcome."""
        return self.path / "result.json"

    @property
    def lock(self) -> Path:
        """Who trains here."""
        return self.path / "lock"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from training here; the lock ends with the process, however that ends.

        It is a POSIX record lock: loader processes, forks of the one that trains, neither have it nor keep it. Where
        the file system has none, a warning says so.

        Raises:
            ConfigError: another process trains here, or the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file = self.lock.open("a+", encoding="utf-8")
        except OSError as error:
            raise self._not_written(error) from error
        with file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in {errno.EACCES, errno.EAGAIN}:
                    file.seek(0)
                    msg = (
                        f"run {self.path}: found it being trained by {file.read().strip() or 'another process'}, "
                        "expected nobody; wait for that, stop it, or choose another folder"
                    )
                    raise ConfigError(msg) from error
                warnings.warn(f"run {self.path}: cannot be locked ({error}); train there once at a time", stacklevel=3)
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            file.flush()
            try:
                yield
            finally:
                if list(self.path.iterdir()) == [self.lock]:  # nothing began here
                    self.lock.unlink()
                    self.path.rmdir()

    def _not_written(self, error: OSError) -> ConfigError:
        return ConfigError(f"run {self.path}: the folder cannot be written ({error}); choose another")

    def clear(self) -> None:
        """Delete everything that a run leaves behind, and nothing else."""
        for path in (self.state, self.best, self.last, self.pictures, self.tensorboard):
            shutil.rmtree(path, ignore_errors=True)
            shutil.rmtree(path.with_name(f"{path.name}.previous"), ignore_errors=True)
        for path in (self.record, self.log, self.result):
            path.unlink(missing_ok=True)

    def check(self, experiment: Experiment, circumstances: Mapping[str, int]) -> None:
        """Refuse to go on with a run of something else.

        Args:
            experiment: what is asked for.
            circumstances: what else decides the sequence of steps, such as the number of processes.

        Raises:
            ConfigError: the folder's run differs, naming in what, or its record cannot be read.
        """
        if not self.record.exists():
            return
        found = _read(self.record)
        changes = differences(found.get("experiment", {}), experiment.model_dump())
        former = found.get("circumstances", {})
        changes += [
            f"{name} {former.get(name)} -> {now}" for name, now in circumstances.items() if former.get(name) != now
        ]
        if changes:
            more = f" and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
            msg = (
                f"run {self.path}: found a run of another experiment, which differs in {'; '.join(changes[:_SHOWN])}"
                f"{more}; choose another folder, make them equal, or start over with --fresh"
            )
            raise ConfigError(msg)

    def claim(self, experiment: Experiment, circumstances: Mapping[str, int]) -> None:
        """Write down what the run is.

        Raises:
            ConfigError: the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            record = {"experiment": experiment.model_dump(), "circumstances": dict(circumstances)}
            write_json(self.record, record)
        except OSError as error:
            raise self._not_written(error) from error

    def has_state(self) -> bool:
        """Whether there is something to go on from."""
        return any(path.is_dir() for path in (self.state, self.state.with_name("state.previous")))

    def outcome(self) -> dict[str, Any] | None:
        """What a complete run left, or None."""
        return _read(self.result) if self.result.exists() else None


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file that is there whole or not at all."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.partial")
    unfinished.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    unfinished.replace(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"run {path.parent}: {path.name} cannot be read ({error}); start over with --fresh or in another folder"
        raise ConfigError(msg) from error
    if not isinstance(content, dict):
        msg = f"run {path.parent}: found {type(content).__name__} in {path.name}, expected an object; start over"
        raise ConfigError(msg)
    return content
