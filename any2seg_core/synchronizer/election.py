# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Which stream is the anchor now, and when another one has to stand in for it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from any2seg_core.synchronizer.policy import SyncPolicy
    from any2seg_core.synchronizer.stream import Entry, Stream

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Election(Generic[K, T]):
    """Keeps the anchor: the most preferred stream that can be trusted to open sets.

    The anchor is replaced in two steps, so that one lost message costs nothing and a dead sensor costs little:

    * Overdue (overdue_periods of its period without a message): once per missed period a less preferred stream
      stands in with an item it already holds, none from after the missed moment. Should the anchor's next message
      come, it finds no output ahead of it and is the anchor as before.
    * Replaced (silent for anchor_timeout_ns, or lost): the next trusted stream is the anchor, and the preferred one
      must send recovery_count messages in a row to be it again if it was lost.

    A preferred stream that was never seen is waited for during anchor_timeout_ns after the first message of any.
    """

    def __init__(self, streams: Mapping[K, Stream[T]], policy: SyncPolicy[K]) -> None:
        self.active: K | None = None
        self._streams = streams
        self._policy = policy
        self._began_ns: int | None = None
        self._stood_in: tuple[K, int | None, int] | None = None

    def rank(self, key: K) -> int:
        """Place in the preference list, 0 the best."""
        return self._policy.anchors.index(key)

    def update(self, now_ns: int) -> bool:
        """Choose the anchor anew; returns whether it changed."""
        if self._began_ns is None and any(stream.last_arrival_ns is not None for stream in self._streams.values()):
            self._began_ns = now_ns
        before = self.active
        self.active = next(iter((*self._trusted(now_ns), *self._heard(now_ns), before)))
        return self.active != before

    def stand_in(self, now_ns: int, after_ns: int | None) -> tuple[K, Entry[T]] | None:
        """Find who stands in for the anchor's overdue message, at most once per missed period.

        Args:
            now_ns: steady clock.
            after_ns: the stamp that the stand-in's must exceed; None where there is no such bound.
        """
        if self.active is None or (newest := self._streams[self.active].newest) is None:
            return None
        anchor, missed = self._streams[self.active], self._missed(now_ns)
        gap = (self.active, anchor.last_arrival_ns, missed)
        if missed == 0 or gap == self._stood_in:
            return None
        period_ns, _ = self._cadence_ns(anchor)
        latest_ns = anchor.moment_ns(newest) + missed * period_ns + period_ns // 2
        for key, stream in self._enabled():
            if key == self.active or stream.lost:
                continue
            for entry in reversed(stream.entries):
                if stream.moment_ns(entry) <= latest_ns and (after_ns is None or entry.stamp_ns > after_ns):
                    self._stood_in = gap
                    return key, entry
        return None

    def next_change_ns(self, now_ns: int) -> int | None:
        """When silence alone will change the anchor or call for a stand-in; None where it will not."""
        if self.active is None:
            return None
        anchor = self._streams[self.active]
        if anchor.last_arrival_ns is None:
            times_ns = [] if self._began_ns is None else [self._began_ns + self._policy.anchor_timeout_ns]
        else:
            times_ns = [self._replaced_ns(anchor)]
        if anchor.last_arrival_ns is not None and anchor.rhythm.known:
            _, interval_ns = self._cadence_ns(anchor)
            times_ns.append(anchor.last_arrival_ns + self._overdue_ns(anchor) + self._missed(now_ns) * interval_ns)
        return min((time_ns for time_ns in times_ns if time_ns > now_ns), default=None)

    def _replaced_ns(self, stream: Stream[T]) -> int:
        return (stream.last_arrival_ns or 0) + min(self._policy.anchor_timeout_ns, stream.dropout_ns)

    def _enabled(self) -> Iterator[tuple[K, Stream[T]]]:
        return ((key, self._streams[key]) for key in self._policy.anchors if self._streams[key].enabled)

    def _trusted(self, now_ns: int) -> Iterator[K]:
        for key, stream in self._enabled():
            if stream.last_arrival_ns is None:
                if self._began_ns is None or now_ns < self._began_ns + self._policy.anchor_timeout_ns:
                    yield key
                else:
                    stream.give_up()
            elif not stream.lost and now_ns < self._replaced_ns(stream):
                yield key

    def _heard(self, now_ns: int) -> Iterator[K]:
        """Streams on their way back, for when there is none to trust."""
        for key, stream in self._enabled():
            if stream.last_arrival_ns is not None and now_ns < self._replaced_ns(stream):
                yield key

    def _cadence_ns(self, stream: Stream[T]) -> tuple[int, int]:
        """Time between the sets that a stream opens as the anchor, on the stamps and on the steady clock."""
        spacing_ns = self._policy.anchor_period_ns if stream.policy.window_ns else 0
        return max(stream.rhythm.period_ns, spacing_ns), max(stream.rhythm.interval_ns, spacing_ns)

    def _overdue_ns(self, stream: Stream[T]) -> int:
        return int(self._policy.overdue_periods * self._cadence_ns(stream)[1])

    def _missed(self, now_ns: int) -> int:
        """How many of the anchor's messages are overdue; 0 while its period is not known."""
        if self.active is None:
            return 0
        anchor = self._streams[self.active]
        silence_ns = anchor.silence_ns(now_ns)
        if silence_ns is None or not anchor.rhythm.known or silence_ns < self._overdue_ns(anchor):
            return 0
        return (silence_ns - self._overdue_ns(anchor)) // self._cadence_ns(anchor)[1] + 1
