# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""A keep-latest hand-over between the thread that makes sets and the worker that consumes them."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class LatestSlot(Generic[T]):
    """Holds at most one item: a newer one displaces an older one nobody has taken, and that is counted.

    Safe to use from any thread. A slow worker thus always gets the newest set and its lag never grows.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: list[T] = []
        self._closed = False
        self._displaced = 0

    @property
    def displaced(self) -> int:
        """How many items were displaced before anyone took them."""
        return self._displaced

    @property
    def closed(self) -> bool:
        """Whether close was called."""
        return self._closed

    def put(self, item: T) -> bool:
        """Offer an item; returns whether it displaced another. A closed slot takes nothing and returns False."""
        with self._changed:
            if self._closed:
                return False
            displaced = bool(self._items)
            self._displaced += displaced
            self._items = [item]
            self._changed.notify()
            return displaced

    def take(self, timeout_s: float | None = None) -> T | None:
        """Wait for an item and remove it; None when the time is over or the slot is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._items, timeout_s)
            return None if self._closed or not self._items else self._items.pop()

    def close(self) -> None:
        """Let go of the item held and wake every taker; closing twice is harmless."""
        with self._changed:
            self._closed = True
            self._items = []
            self._changed.notify_all()
