# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""One stream of the synchronizer: its bounded queue, its liveness, which items serve and what is worth waiting for."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from any2seg_core.frames import Absence
from any2seg_core.synchronizer.policy import StreamPolicy, StreamState, StreamStatus, SyncPolicy
from any2seg_core.synchronizer.rhythm import Rhythm

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Entry(Generic[T]):
    """An item in its queue; stamps are on the headers' clock, the arrival on the steady one."""

    item: T
    stamp_ns: int
    end_ns: int
    arrival_ns: int
    serves: bool = False

    @property
    def order(self) -> tuple[int, int]:
        """Place in the queue, and what makes an entry a duplicate of another."""
        return self.stamp_ns, self.end_ns


@dataclass(slots=True)
class Counts:
    """Message counters of a stream, as StreamStatus explains them."""

    received: int = 0
    used: int = 0
    dropped: int = 0
    late: int = 0
    duplicates: int = 0
    rejected: int = 0


class Stream(Generic[T]):
    """Queue and liveness of one stream; times come from the caller.

    A stream that fell silent for dropout_ns is lost, and stays lost until recovery_count messages came in a row:
    its items serve at once, but nobody waits for it and it anchors nothing while another stream can.
    """

    def __init__(self, policy: StreamPolicy, sync: SyncPolicy[Any]) -> None:
        self.policy = policy
        self.rhythm = Rhythm(policy.period_ns)
        self.counts = Counts()
        self.entries: list[Entry[T]] = []
        self.enabled = True
        self.lost = False
        self.last_arrival_ns: int | None = None
        self._sync = sync
        self._in_a_row = 0
        self._refusal = ""
        self._refused_at_ns: int | None = None

    # Liveness, by the steady clock.

    @property
    def dropout_ns(self) -> int:
        """Silence after which nobody waits for the stream."""
        if not self.rhythm.known:
            return self._sync.dropout_default_ns
        return max(self._sync.dropout_min_ns, int(self._sync.dropout_periods * self.rhythm.interval_ns))

    def silence_ns(self, now_ns: int) -> int | None:
        """Time since the last usable message; None before the first."""
        return None if self.last_arrival_ns is None else now_ns - self.last_arrival_ns

    def expire(self, now_ns: int) -> None:
        """Mark the stream lost once its silence is long enough."""
        silence_ns = self.silence_ns(now_ns)
        if silence_ns is not None and silence_ns >= self.dropout_ns:
            self.give_up()

    def give_up(self) -> None:
        """Mark the stream lost: it must send recovery_count messages in a row to count as live again."""
        self.lost = True
        self._in_a_row = 0

    def state(self, now_ns: int) -> StreamState:
        """Never seen, live, stale or absent."""
        silence_ns = self.silence_ns(now_ns)
        if silence_ns is None:
            return StreamState.NEVER_SEEN
        if silence_ns >= self.dropout_ns:
            return StreamState.ABSENT
        overdue_ns = self._sync.overdue_periods * self.rhythm.interval_ns
        overdue = self.rhythm.known and silence_ns >= overdue_ns
        return StreamState.STALE if self.lost or overdue else StreamState.LIVE

    # The queue.

    @property
    def newest(self) -> Entry[T] | None:
        """The entry with the latest stamp; the queue never lets go of it, save when it is cleared."""
        return self.entries[-1] if self.entries else None

    def position_ns(self, entry: Entry[T]) -> int:
        """Where an entry lies on the stream's stamps: at the end of a packet, else at its stamp."""
        return entry.end_ns if self.policy.window_ns else entry.stamp_ns

    def moment_ns(self, entry: Entry[T]) -> int:
        """Where an entry lies on the time line common to all streams: its position without the stream's offset."""
        return self.position_ns(entry) - self.policy.offset_ns

    def jumped(self, stamp_ns: int) -> bool:
        """Whether a stamp lies so far behind the newest that time itself must have been set back."""
        newest = self.newest
        return newest is not None and stamp_ns < newest.stamp_ns - self._sync.jump_threshold_ns

    def refuse(self, reason: str, now_ns: int | None) -> None:
        """Count a message that cannot be used; it is no sign of life."""
        self.counts.rejected += 1
        self._refusal = reason
        self._refused_at_ns = now_ns

    def accept(self, entry: Entry[T]) -> bool:
        """Take an entry in; False where it repeats one or lies behind the horizon."""
        place = bisect_left(self.entries, entry.order, key=lambda held: held.order)
        if place < len(self.entries) and self.entries[place].order == entry.order:
            self.counts.duplicates += 1
            return False
        self._hear(entry)
        if not self.enabled:
            self.counts.dropped += 1
            return False
        if self.entries and entry.end_ns < self._horizon_ns(self.entries[-1]):
            self.counts.late += 1
            return False
        self.entries.insert(place, entry)
        self._let_go_before(self._horizon_ns(self.entries[-1]))
        while len(self.entries) > self._sync.queue_limit:
            self._let_go(1)
        return True

    def _hear(self, entry: Entry[T]) -> None:
        newest, self._refused_at_ns = self.newest, None
        self.rhythm.learn(
            entry.stamp_ns - newest.stamp_ns if newest else None,
            self.silence_ns(entry.arrival_ns),
        )
        self.last_arrival_ns = entry.arrival_ns
        self.counts.received += 1
        self._in_a_row += 1
        if self._in_a_row >= self._sync.recovery_count:
            self.lost = False

    def _horizon_ns(self, newest: Entry[T]) -> int:
        return newest.stamp_ns - self.policy.reach_ns - self._sync.horizon_ns

    def settle(self, moment_ns: int) -> None:
        """Let go of what no set after this moment can use."""
        self._let_go_before(moment_ns + self.policy.offset_ns - self.policy.reach_ns)

    def _let_go_before(self, stamp_ns: int) -> None:
        kept = next((i for i, entry in enumerate(self.entries[:-1]) if entry.end_ns >= stamp_ns), len(self.entries) - 1)
        self._let_go(max(kept, 0))

    def _let_go(self, count: int) -> None:
        self.counts.dropped += sum(not entry.serves for entry in self.entries[:count])
        del self.entries[:count]

    def clear(self) -> None:
        """Empty the queue; rhythm, liveness and counters stay."""
        self._let_go(len(self.entries))

    # Matching.

    def select(self, moment_ns: int) -> list[Entry[T]]:
        """The entries that serve an anchor at this moment, in order of stamp; none where nothing fits."""
        target_ns, policy = moment_ns + self.policy.offset_ns, self.policy
        if policy.window_ns:
            start_ns = target_ns - policy.window_ns
            return [entry for entry in self.entries if entry.end_ns > start_ns and entry.stamp_ns <= target_ns]
        free = [entry for entry in self.entries if policy.reuse or not entry.serves]
        near = [entry for entry in free if abs(entry.stamp_ns - target_ns) <= policy.slop_ns]
        if near:
            return [min(near, key=lambda entry: abs(entry.stamp_ns - target_ns))]
        held = [entry for entry in free if 0 < target_ns - entry.stamp_ns <= policy.max_age_ns]
        return held[-1:] if policy.reuse else []

    def absence(self, moment_ns: int, now_ns: int) -> Absence:
        """Why the stream has nothing for an anchor at this moment."""
        if self._refused_at_ns is not None and now_ns - self._refused_at_ns < self.dropout_ns:
            return Absence.REJECTED
        if self.last_arrival_ns is None:
            return Absence.NEVER_SEEN
        if not self.enabled or now_ns - self.last_arrival_ns >= self.dropout_ns:
            return Absence.ABSENT
        newest = self.newest
        oldest_ns = moment_ns + self.policy.offset_ns - max(self.policy.max_age_ns, self.policy.slop_ns)
        return Absence.STALE if newest and self.position_ns(newest) < oldest_ns else Absence.LATE

    def wait_until_ns(self, moment_ns: int, deadline_ns: int) -> int | None:
        """Until when an anchor at this moment should wait for this stream; None where it need not.

        The deadline is the anchor's own: nobody waits longer, whatever is answered here. The rule, in order:

        * Nobody waits for a stream that is disabled, was never seen, or is lost.
        * Nobody waits once the stream holds an item at or past the moment: nothing nearer will follow.
        * While the period is not known, an anchor waits until the stream would count as absent.
        * Otherwise the newest item and the period predict the stream's next items, to within a quarter period.
          Worth waiting for is the last one taken no later than a quarter period after the moment (such an item is
          always nearer than those held), or, of packets, the first one that reaches the moment. So a 30 Hz camera
          does not wait for a 10 Hz LiDAR scan yet to be taken, and does wait for the one on its way.
        * If that item cannot arrive by the deadline, the last one that can takes its place.
        * It is waited for only if it can be used, that is, come within the slop; and only until it is overdue, as
          its successor would be no nearer. The successor of a packet serves as well, so packets are waited for
          until the stream would count as absent.
        """
        if not self.enabled or self.last_arrival_ns is None or self.lost:
            return None
        absent_ns = self.last_arrival_ns + self.dropout_ns
        newest, target_ns = self.newest, moment_ns + self.policy.offset_ns
        if newest is not None and self.position_ns(newest) >= target_ns:
            return None
        if newest is None or not self.rhythm.known:
            return absent_ns
        ahead_ns = target_ns - self.position_ns(newest)
        period_ns, interval_ns, sync = self.rhythm.period_ns, self.rhythm.interval_ns, self._sync
        tolerance_ns, packets = period_ns // 4, self.policy.window_ns > 0
        # Items to come are numbered from 1; the last one in time arrives by the deadline, or soon enough after.
        last = (deadline_ns + interval_ns // 4 - newest.arrival_ns) // interval_ns
        wanted = min(last, -(-ahead_ns // period_ns) if packets else (ahead_ns + tolerance_ns) // period_ns)
        if wanted < 1 or ahead_ns - wanted * period_ns > self.policy.slop_ns + tolerance_ns:
            return None
        if packets:
            return absent_ns
        overdue_ns = int((sync.overdue_periods + wanted - 1) * interval_ns)
        return min(absent_ns, newest.arrival_ns + overdue_ns)

    def status(self, now_ns: int) -> StreamStatus:
        """Health for diagnostics."""
        counts, newest = self.counts, self.newest
        return StreamStatus(
            state=self.state(now_ns),
            enabled=self.enabled,
            age_ns=self.silence_ns(now_ns),
            period_ns=self.rhythm.period_ns,
            last_stamp_ns=newest.stamp_ns if newest else None,
            received=counts.received,
            used=counts.used,
            dropped=counts.dropped,
            late=counts.late,
            duplicates=counts.duplicates,
            rejected=counts.rejected,
            last_rejection=self._refusal,
        )
