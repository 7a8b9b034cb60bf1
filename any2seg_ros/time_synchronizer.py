# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The drop-tolerant synchronizer in the call shape of message_filters' ApproximateTimeSynchronizer."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from any2seg_core.errors import ConfigError
from any2seg_core.synchronizer import DropTolerantSynchronizer, StreamPolicy, StreamStatus, SyncPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from any2seg_core.synchronizer import Match


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)


class DropTolerantTimeSynchronizer:
    """Calls back with one message per filter, or None in the place of a sensor that has none.

    It takes the place of message_filters.ApproximateTimeSynchronizer(fs, queue_size, slop): fs are Subscriber, Cache
    or anything else with registerCallback, and it can itself be the input of a further filter. Where that one falls
    silent as soon as one input does, this one goes on with those that live:

        sync = DropTolerantTimeSynchronizer([image, depth, cloud], 50, 0.05)
        sync.registerCallback(on_set)            # on_set(image, depth_or_none, cloud_or_none)
        node.create_timer(0.01, sync.poll)       # closes sets that nothing more arrives for

    A set closes at a message or at a poll, so poll must be called from a timer; 0.01 s is a good period, or the exact
    moments that next_deadline_ns gives. Messages are stamped by header.stamp (sec, nanosec); those without a header
    or with a stamp of zero are refused and counted (states).

    Methods may be called from any thread. Callbacks run one at a time and in order, outside the lock, in the thread
    of one of the callers: a callback may call back into this object, and one that raises lets its exception through
    and leaves the next set to the next call. If callbacks are slower than sets come, the oldest sets waiting are
    dropped and counted.

    Args:
        fs: the filters; the place of each is its place in the callback.
        queue_size: most messages held per filter, and most sets waiting for a slow callback.
        slop: seconds between stamps that count as simultaneous, inclusive.
        anchors: filters whose messages open sets, as places in fs, most preferred first; all in their order where
            not given. The output goes on while one of them lives.
        max_wait: seconds that a set waits for late messages.
        max_age: seconds up to which a message older than the slop may serve (a slow LiDAR), inclusive.
        anchor_timeout: seconds of silence after which the anchor is replaced at latest.
        jump_threshold: seconds; stamps set back by more clear everything.
        min_inputs: a set with fewer messages is dropped.
        names: what states calls the filters; their places where not given.
        clock: steady clock in nanoseconds.

    Raises:
        ConfigError: there is no filter, an anchor is none of them, or the names do not fit.
    """

    def __init__(
        self,
        fs: Sequence[Any],
        queue_size: int,
        slop: float,
        *,
        anchors: Sequence[int] | None = None,
        max_wait: float = 0.05,
        max_age: float = 0.2,
        anchor_timeout: float = 0.5,
        jump_threshold: float = 1.0,
        min_inputs: int = 1,
        names: Sequence[str] | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._names: list[str | int] = list(range(len(fs)) if names is None else names)
        if len(set(self._names)) != len(fs):
            msg = f"time synchronizer: found names {names} for {len(fs)} filters, expected a different one for each"
            raise ConfigError(msg)
        stream = StreamPolicy(slop_ns=_nanoseconds(slop), max_age_ns=_nanoseconds(max_age))
        policy: SyncPolicy[int] = SyncPolicy(
            anchors=tuple(range(len(fs)) if anchors is None else anchors),
            max_wait_ns=_nanoseconds(max_wait),
            anchor_timeout_ns=_nanoseconds(anchor_timeout),
            jump_threshold_ns=_nanoseconds(jump_threshold),
            queue_limit=max(2, queue_size),
            min_modalities=min_inputs,
        )
        self._sync: DropTolerantSynchronizer[int, Any] = DropTolerantSynchronizer(
            dict.fromkeys(range(len(fs)), stream), policy
        )
        self._clock = clock
        self._lock = threading.Lock()
        self._ready: deque[tuple[Any, ...]] = deque()
        self._ready_limit = max(2, queue_size)
        self._delivering = False
        self._dropped = 0
        self._callbacks: dict[int, tuple[Callable[..., Any], tuple[Any, ...]]] = {}
        self.input_connections = [source.registerCallback(self.add, place) for place, source in enumerate(fs)]

    @property
    def dropped(self) -> int:
        """Sets dropped because callbacks were too slow."""
        return self._dropped

    def registerCallback(self, cb: Callable[..., Any], *args: Any) -> int:  # noqa: N802 -- message_filters' name
        """Call cb(message or None per filter, *args) with every set; returns the connection's number."""
        with self._lock:
            connection = len(self._callbacks)
            self._callbacks[connection] = (cb, args)
        return connection

    def signalMessage(self, *messages: Any) -> None:  # noqa: N802 -- message_filters' name
        """Hand one set to every callback."""
        with self._lock:
            callbacks = list(self._callbacks.values())
        for callback, args in callbacks:
            callback(*messages, *args)

    def add(self, message: Any, place: int) -> None:
        """Take in a message of the filter at this place in fs; the filters call this."""
        with self._lock:
            arrival_ns = self._clock()
            stamp = getattr(getattr(message, "header", None), "stamp", None)
            if stamp is None:
                self._sync.reject(place, f"{type(message).__name__} has no header with a stamp")
                return
            stamp_ns = stamp.sec * 1_000_000_000 + stamp.nanosec
            self._enqueue(self._sync.add(place, message, stamp_ns, arrival_ns))
        self._deliver()

    def poll(self) -> None:
        """Close the sets whose time is over; to be called from a timer."""
        with self._lock:
            self._enqueue(self._sync.poll(self._clock()))
        self._deliver()

    def next_deadline_ns(self) -> int | None:
        """When poll is needed next, on the steady clock, if no message comes before; None where it is not."""
        with self._lock:
            return self._sync.next_deadline_ns()

    def reset(self, reason: str = "reset by the caller") -> None:
        """Let go of everything held, as when ROS time jumps."""
        with self._lock:
            self._sync.reset(reason)
            self._ready.clear()

    def states(self) -> dict[str | int, StreamStatus]:
        """Health of every filter, by name."""
        with self._lock:
            states = self._sync.states(self._clock())
        return {self._names[place]: status for place, status in states.items()}

    def _enqueue(self, matches: list[Match[int, Any]]) -> None:
        for match in matches:
            self._ready.append(tuple(match.items[place][0] if place in match.items else None for place in self._places))
        while len(self._ready) > self._ready_limit:
            self._ready.popleft()
            self._dropped += 1

    @property
    def _places(self) -> range:
        return range(len(self._names))

    def _next(self) -> tuple[Any, ...] | None:
        """Take the next set to deliver, and the right to deliver it, or give that right back."""
        with self._lock:
            self._delivering = bool(self._ready)
            return self._ready.popleft() if self._ready else None

    def _deliver(self) -> None:
        """Hand out what is ready, unless another thread (or a caller further up in this one) is at it already."""
        with self._lock:
            if self._delivering:
                return
            self._delivering = True
        try:
            while (messages := self._next()) is not None:
                self.signalMessage(*messages)
        except BaseException:
            with self._lock:
                self._delivering = False
            raise
