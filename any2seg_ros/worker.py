# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""One thread that runs the model on the newest frame set; older ones that still wait are replaced and counted."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class LatestWorker(Generic[T]):
    """Runs work(job) for the newest job, one at a time, off the caller's thread.

    Args:
        work: called with each job; what it raises goes to failed, and the next job runs all the same.
        failed: called with the exception, on the worker's thread.
        name: of the thread, as debuggers show it.
    """

    def __init__(self, work: Callable[[T], None], failed: Callable[[Exception], None], name: str) -> None:
        self._work = work
        self._failed = failed
        self._job: T | None = None
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: T) -> bool:
        """Hand over a job; True if it took the place of one that had not begun."""
        with self._changed:
            displaced = self._job is not None
            self._job = job
            self._changed.notify()
        return displaced

    def stop(self, timeout_s: float) -> bool:
        """Forget what waits, let the running job finish, end the thread; False if it did not end in time."""
        with self._changed:
            self._stopping = True
            self._job = None
            self._changed.notify()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopping or self._job is not None)
                if self._stopping:
                    return
                job, self._job = self._job, None
            try:
                self._work(job)  # type: ignore[arg-type]  # wait_for saw to it that there is one
            except Exception as error:  # noqa: BLE001  # whatever it is, the node lives on and reports it
                self._failed(error)
