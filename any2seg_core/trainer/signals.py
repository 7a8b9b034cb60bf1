# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Ends a run in good order when the system asks for it."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

_HEEDED: Final = (signal.SIGTERM, signal.SIGINT)

_ONE_WISH_S: Final = 1.0
"""Signals within so many seconds say the same: a scheduler's reaches us by itself and again through our launcher."""


class StopRequest:
    """While entered, remembers SIGTERM and SIGINT instead of dying of them; one that comes later acts as always.

    Attributes:
        received: number of the first signal, 0 when none came.
    """

    def __init__(self) -> None:
        self.received = 0
        self._at_s = 0.0
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Self:
        # Python lets only the main thread set handlers; elsewhere the run cannot be interrupted, only killed.
        if threading.current_thread() is threading.main_thread():
            self._former = {number: signal.signal(number, self._remember) for number in _HEEDED}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._restore()

    def _remember(self, number: int, _frame: object) -> None:
        if not self.received:
            self.received, self._at_s = number, time.monotonic()
        elif time.monotonic() - self._at_s >= _ONE_WISH_S:
            self._restore()
            signal.raise_signal(number)

    def _restore(self) -> None:
        for number, handler in self._former.items():  # None: one that was not set from Python, and cannot be set again
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._former = {}
