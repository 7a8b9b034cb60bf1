# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The drop-tolerant synchronizer: sets of items around an anchor's stamp, whichever streams are alive."""

from __future__ import annotations

from bisect import insort
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from any2seg_core.errors import ConfigError
from any2seg_core.synchronizer.election import Election
from any2seg_core.synchronizer.match import Match
from any2seg_core.synchronizer.stream import Entry, Stream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from any2seg_core.synchronizer.policy import StreamPolicy, StreamStatus, SyncPolicy

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Pending(Generic[K, T]):
    """A set that has been opened and not yet closed."""

    anchor: K
    entry: Entry[T]
    moment_ns: int
    deadline_ns: int


class DropTolerantSynchronizer(Generic[K, T]):
    """Groups items of several streams by stamp and keeps going while any stream lives.

    Items of the anchor open sets. A set closes as soon as no stream is worth waiting for (see
    Stream.wait_until_ns), at the latest max_wait_ns after the anchor's item arrived, with what there is, and names
    the reason for what there is not. When the anchor dies, the next stream in the preference list takes over (see
    Election); when it returns, its items displace the sets that the substitute has open for the same moment.

    The stamps of matches strictly increase; sets close in order of stamp, an earlier one at the latest with a later
    one. A stamp more than jump_threshold_ns behind its stream's newest means that time was set back: open sets close
    with what they have, everything held is cleared, and the next set may lie that far behind the last one. A stamp
    far ahead harms only its own stream, whose items then match nothing.

    Stamps (add's stamp_ns and end_ns) come from message headers; arrivals (arrival_ns, now_ns) from one steady
    clock. They are never compared with each other. The object holds no lock and no clock: callers that use it from
    several threads lock around every call, and call poll at next_deadline_ns.

    Args:
        streams: policy per key.
        policy: when sets open and close; its anchors must all be streams.

    Raises:
        ConfigError: an anchor is not a stream, or a method names a stream that there is not.
    """

    def __init__(self, streams: Mapping[K, StreamPolicy], policy: SyncPolicy[K]) -> None:
        unknown = [anchor for anchor in policy.anchors if anchor not in streams]
        if unknown:
            msg = f"synchronizer: found anchors {unknown}, expected some of the streams {list(streams)}; name those"
            raise ConfigError(msg)
        self._policy = policy
        self._streams: dict[K, Stream[T]] = {key: Stream(stream, policy) for key, stream in streams.items()}
        self._election: Election[K, T] = Election(self._streams, policy)
        self._pending: list[_Pending[K, T]] = []
        self._now_ns: int | None = None
        self._last_stamp_ns: int | None = None
        self._last_key: K | None = None
        self._last_tick_ns: int | None = None
        self._jumps = 0
        self._incomplete = 0
        self._last_reset = ""
        self._set_back = False

    @property
    def anchor(self) -> K | None:
        """The stream that opens sets now, or is waited for to open the first; None before the first call."""
        return self._election.active

    @property
    def pending(self) -> int:
        """Sets open now."""
        return len(self._pending)

    @property
    def jumps(self) -> int:
        """How often stamps were found set back."""
        return self._jumps

    @property
    def incomplete(self) -> int:
        """Sets dropped for holding fewer than min_modalities streams."""
        return self._incomplete

    @property
    def last_reset(self) -> str:
        """Why everything was last cleared; "" where it never was."""
        return self._last_reset

    def add(self, key: K, item: T, stamp_ns: int, arrival_ns: int, end_ns: int | None = None) -> list[Match[K, T]]:
        """Take in an item and return the sets that close, in order.

        Args:
            key: its stream.
            item: anything.
            stamp_ns: header stamp; 0 and below are refused and counted.
            arrival_ns: when it arrived, steady clock.
            end_ns: stamp of the last thing in a packet that spans time; the stamp itself where not given.
        """
        now_ns = self._advance(arrival_ns)
        stream = self._stream(key)
        if stamp_ns <= 0:
            stream.refuse(f"stamp {stamp_ns} ns: expected a positive header stamp; set it in the driver", now_ns)
            return self._close_due(now_ns)
        closed = self._jump(key, stamp_ns, now_ns) if stream.jumped(stamp_ns) else []
        entry = Entry(item, stamp_ns, max(stamp_ns, end_ns or stamp_ns), now_ns)
        kept = stream.accept(entry)
        self._elect(now_ns)
        if kept and key == self._election.active and not self._open(key, entry):
            stream.counts.late += 1
        return closed + self._close_due(now_ns)

    def poll(self, now_ns: int) -> list[Match[K, T]]:
        """Return the sets that close by the passing of time alone, in order."""
        now_ns = self._advance(now_ns)
        self._elect(now_ns)
        return self._close_due(now_ns)

    def next_deadline_ns(self) -> int | None:
        """When poll should be called next, steady clock, if no item comes before; None where it need not be."""
        if self._now_ns is None:
            return None
        times_ns = [self._closing_ns(pending, self._now_ns) for pending in self._pending]
        change_ns = self._election.next_change_ns(self._now_ns)
        return min(times_ns if change_ns is None else [*times_ns, change_ns], default=None)

    def reset(self, reason: str) -> None:
        """Let go of every item and open set and allow stamps to start anew, as when ROS time jumps."""
        self._last_stamp_ns = None
        self._forget(reason)

    def _forget(self, reason: str) -> None:
        self._last_reset = reason
        self._last_tick_ns = None
        self._pending.clear()
        for stream in self._streams.values():
            stream.clear()

    def reject(self, key: K, reason: str) -> None:
        """Count a message that could not be converted; it is no sign of life of its stream."""
        self._stream(key).refuse(reason, self._now_ns)

    def disable(self, key: K) -> None:
        """Neither use nor wait for a stream from now on; its messages are still counted."""
        stream = self._stream(key)
        stream.enabled = False
        stream.clear()
        self._pending = [pending for pending in self._pending if pending.anchor != key]

    def enable(self, key: K) -> None:
        """Use a disabled stream again."""
        self._stream(key).enabled = True

    def states(self, now_ns: int) -> dict[K, StreamStatus]:
        """Health of every stream."""
        return {key: stream.status(now_ns) for key, stream in self._streams.items()}

    def _stream(self, key: K) -> Stream[T]:
        if key not in self._streams:
            msg = f"synchronizer: found stream {key!r}, expected one of {list(self._streams)}; configure it first"
            raise ConfigError(msg)
        return self._streams[key]

    def _advance(self, now_ns: int) -> int:
        """Step the steady time forward, never back: callbacks may note their arrival before they get the lock."""
        self._now_ns = now_ns = now_ns if self._now_ns is None else max(now_ns, self._now_ns)
        for stream in self._streams.values():
            stream.expire(now_ns)
        return now_ns

    def _jump(self, key: K, stamp_ns: int, now_ns: int) -> list[Match[K, T]]:
        closed = self._close(len(self._pending), now_ns)
        self._jumps += 1
        self._forget(f"stamps of {key} went back to {stamp_ns} ns")
        # It may be this stream's fault alone: what another one sends late must not go back behind its own.
        self._set_back = True
        return closed

    # Opening.

    def _elect(self, now_ns: int) -> None:
        if self._election.update(now_ns) and (key := self._election.active) is not None:
            newest = self._streams[key].newest
            if newest is not None:
                self._open(key, newest)
        stamps_ns = [self._last_stamp_ns, *(pending.entry.stamp_ns for pending in self._pending)]
        latest_ns = max((stamp_ns for stamp_ns in stamps_ns if stamp_ns is not None), default=None)
        if stand_in := self._election.stand_in(now_ns, latest_ns):
            self._open(*stand_in)

    def _open(self, key: K, entry: Entry[T]) -> bool:
        """Open a set; False where its stamp lies at or behind one already given out."""
        if any(pending.entry is entry for pending in self._pending) or self._too_close(key, entry):
            return True
        if not self._in_order(entry.stamp_ns):
            return False
        stream = self._streams[key]
        moment_ns = stream.moment_ns(entry)
        self._pending = [pending for pending in self._pending if not self._displaces(key, moment_ns, pending)]
        if any(pending.entry.stamp_ns == entry.stamp_ns for pending in self._pending):
            return False
        if stream.policy.window_ns:
            self._last_tick_ns = entry.stamp_ns
        opened = _Pending(key, entry, moment_ns, entry.arrival_ns + self._policy.max_wait_ns)
        insort(self._pending, opened, key=lambda pending: pending.entry.stamp_ns)
        return True

    def _too_close(self, key: K, entry: Entry[T]) -> bool:
        if self._last_tick_ns is None or not self._streams[key].policy.window_ns:
            return False
        return abs(entry.stamp_ns - self._last_tick_ns) < self._policy.anchor_period_ns

    def _in_order(self, stamp_ns: int) -> bool:
        if self._last_stamp_ns is None or stamp_ns > self._last_stamp_ns:
            self._set_back = False
            return True
        if self._last_stamp_ns - stamp_ns <= self._policy.jump_threshold_ns:
            return False
        if self._set_back:
            self._last_stamp_ns, self._set_back = None, False
            return True
        if self._last_key is not None and not self._silent(self._streams[self._last_key]):
            # The stamps given out come from a stream that still speaks: this one is an old backlog, as after a stall.
            return False
        # A dead anchor's stamps ran far ahead of all others': its substitute must not stay mute until they catch up.
        self._jumps += 1
        self._last_stamp_ns = None
        return True

    def _silent(self, stream: Stream[T]) -> bool:
        silence_ns = None if self._now_ns is None else stream.silence_ns(self._now_ns)
        return silence_ns is None or silence_ns >= stream.dropout_ns

    def _displaces(self, key: K, moment_ns: int, pending: _Pending[K, T]) -> bool:
        """Whether a set of a substitute gives way to the preferred anchor's item of the same moment."""
        if self._election.rank(pending.anchor) <= self._election.rank(key):
            return False
        return abs(pending.moment_ns - moment_ns) <= self._streams[pending.anchor].policy.slop_ns

    # Closing.

    def _closing_ns(self, pending: _Pending[K, T], now_ns: int) -> int:
        """When a set closes if no item comes before; not after now if it closes at once."""
        waits_ns = [
            stream.wait_until_ns(pending.moment_ns, pending.deadline_ns)
            for key, stream in self._streams.items()
            if key != pending.anchor
        ]
        return min(pending.deadline_ns, max((wait_ns for wait_ns in waits_ns if wait_ns is not None), default=now_ns))

    def _close_due(self, now_ns: int) -> list[Match[K, T]]:
        count = max(0, len(self._pending) - self._policy.queue_limit)
        for index, pending in enumerate(self._pending):
            if self._closing_ns(pending, now_ns) <= now_ns:
                count = max(count, index + 1)
        return self._close(count, now_ns)

    def _close(self, count: int, now_ns: int) -> list[Match[K, T]]:
        closing, self._pending = self._pending[:count], self._pending[count:]
        matches = [self._match(pending, now_ns) for pending in closing]
        return [match for match in matches if match is not None]

    def _match(self, pending: _Pending[K, T], now_ns: int) -> Match[K, T] | None:
        moment_ns = pending.moment_ns
        chosen = {key: stream.select(moment_ns) for key, stream in self._streams.items()}
        chosen[pending.anchor] = self._own(pending)
        chosen = {key: entries for key, entries in chosen.items() if entries}
        match = None
        if len(chosen) < self._policy.min_modalities:
            self._incomplete += 1
        else:
            self._last_stamp_ns, self._last_key = pending.entry.stamp_ns, pending.anchor
            match = self._assemble(pending, chosen, now_ns)
        for stream in self._streams.values():
            stream.settle(moment_ns)
        return match

    def _own(self, pending: _Pending[K, T]) -> list[Entry[T]]:
        """The anchor's part of its set: its item, or the window of packets that ends with it."""
        stream = self._streams[pending.anchor]
        packets = stream.select(pending.moment_ns) if stream.policy.window_ns else []
        return [packet for packet in packets if packet.order < pending.entry.order] + [pending.entry]

    def _assemble(self, pending: _Pending[K, T], chosen: dict[K, list[Entry[T]]], now_ns: int) -> Match[K, T]:
        ages_ns: dict[K, int] = {}
        windows_ns: dict[K, tuple[int, int]] = {}
        for key, entries in chosen.items():
            stream = self._streams[key]
            stream.counts.used += 1
            for entry in entries:
                entry.serves = True
            target_ns = pending.moment_ns + stream.policy.offset_ns
            ages_ns[key] = target_ns - stream.position_ns(entries[-1])
            if stream.policy.window_ns:
                ages_ns[key] = max(0, ages_ns[key])
                windows_ns[key] = (target_ns - stream.policy.window_ns, target_ns)
        return Match(
            anchor=pending.anchor,
            stamp_ns=pending.entry.stamp_ns,
            arrival_ns=pending.entry.arrival_ns,
            items={key: [entry.item for entry in entries] for key, entries in chosen.items()},
            absent={
                key: stream.absence(pending.moment_ns, now_ns)
                for key, stream in self._streams.items()
                if key not in chosen
            },
            ages_ns=ages_ns,
            windows_ns=windows_ns,
        )
