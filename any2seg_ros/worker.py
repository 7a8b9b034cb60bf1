# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""One thread that runs the model on the newest frame set; older ones that still wait are replaced and counted."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

from any2seg_core.synchronizer import LatestSlot

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
        self._handed = self._begun = 0
        self._slot: LatestSlot[T] = LatestSlot()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many jobs wait for the running one to end, 0 or 1."""
        return max(0, self._handed - self._slot.displaced - self._begun)

    def submit(self, job: T) -> bool:
        """Hand over a job; True if it took the place of one that had not begun. After stop it is let go."""
        self._handed += not self._slot.closed
        return self._slot.put(job)

    def stop(self, timeout_s: float) -> bool:
        """Forget what waits, let the running job finish, end the thread; False if it did not end in time."""
        self._slot.close()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (job := self._slot.take()) is not None:
            self._begun += 1
            try:
                self._work(job)
            except Exception as error:  # noqa: BLE001  # whatever it is, the node lives on and reports it
                self._report(error)
            del job  # Frames of a stream that has ended are not held while nothing comes.

    def _report(self, error: Exception) -> None:
        try:
            self._failed(error)
        except Exception:
            logging.getLogger(__name__).exception("the report of a failed job failed itself; going on")
