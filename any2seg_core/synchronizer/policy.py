# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of the synchronizer and what it reports; all times are integer nanoseconds."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, fields
from enum import Enum
from typing import Generic, TypeVar

from any2seg_core.errors import ConfigError

K = TypeVar("K", bound=Hashable)


def _refuse_negative(settings: StreamPolicy | SyncPolicy[K], allowed: frozenset[str] = frozenset()) -> None:
    for entry in fields(settings):
        value = getattr(settings, entry.name)
        if entry.name.endswith("_ns") and entry.name not in allowed and value < 0:
            msg = f"synchronizer: found {entry.name} = {value}, expected 0 or more nanoseconds; correct the policy"
            raise ConfigError(msg)


@dataclass(frozen=True, kw_only=True)
class StreamPolicy:
    """How the items of one stream are matched to an anchor.

    Attributes:
        slop_ns: largest distance of stamps at which two measurements count as simultaneous, inclusive.
        max_age_ns: an item older than the slop may still serve up to this age, inclusive, where reuse is on.
        offset_ns: known offset of this stream's stamps, added to the anchor's stamp before comparing.
        period_ns: time between items; 0 learns it from the stamps.
        window_ns: above 0 the items are packets that span time (events), and an anchor at t takes every packet
            that overlaps (t - window, t] instead of the nearest one.
        reuse: whether one item may serve several anchors, also beyond the slop; off, each serves at most one.
    """

    slop_ns: int
    max_age_ns: int
    offset_ns: int = 0
    period_ns: int = 0
    window_ns: int = 0
    reuse: bool = True

    def __post_init__(self) -> None:
        _refuse_negative(self, frozenset({"offset_ns"}))

    @property
    def reach_ns(self) -> int:
        """How far behind an anchor an item can lie and still serve it."""
        if self.window_ns:
            return self.window_ns
        return max(self.slop_ns, self.max_age_ns if self.reuse else 0)


@dataclass(frozen=True, kw_only=True)
class SyncPolicy(Generic[K]):
    """When sets open and close.

    Attributes:
        anchors: who opens sets, most preferred first; the next one takes over when one dies.
        max_wait_ns: longest wait after the anchor's arrival.
        anchor_timeout_ns: silence after which an anchor is replaced at latest (sooner once its period is known).
        dropout_periods: periods of silence after which nobody waits for a stream any more.
        dropout_min_ns: that silence is never taken shorter than this, so that fast streams survive a hiccup.
        dropout_default_ns: that silence while the period is not known yet.
        overdue_periods: periods of silence after which one message is given up: others stand in for the anchor's.
        recovery_count: messages in a row after which a lost stream counts again as live.
        jump_threshold_ns: a stamp further back than this is a jump of time (a bag that loops), not disorder.
        queue_limit: most items held per stream.
        horizon_ns: items this much older than their stream's newest, beyond their reach, are let go.
        min_modalities: a set with fewer streams is dropped and counted.
        anchor_period_ns: closest spacing of sets that a window stream opens, so that event packets as the anchor
            do not open hundreds of sets a second; 0 opens one for every packet.
    """

    anchors: tuple[K, ...]
    max_wait_ns: int
    anchor_timeout_ns: int
    dropout_periods: float = 3.0
    dropout_min_ns: int = 100_000_000
    dropout_default_ns: int = 1_000_000_000
    overdue_periods: float = 1.75
    recovery_count: int = 2
    jump_threshold_ns: int = 1_000_000_000
    queue_limit: int = 256
    horizon_ns: int = 1_000_000_000
    min_modalities: int = 1
    anchor_period_ns: int = 0

    def __post_init__(self) -> None:
        _refuse_negative(self)
        if not self.anchors or len(set(self.anchors)) != len(self.anchors):
            msg = f"synchronizer: found anchors {self.anchors!r}, expected at least one, each named once"
            raise ConfigError(msg)
        least = {"dropout_periods": 1, "overdue_periods": 1, "recovery_count": 1, "queue_limit": 2, "min_modalities": 1}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                msg = f"synchronizer: found {name} = {getattr(self, name)}, expected at least {bound}; raise it"
                raise ConfigError(msg)


class StreamState(str, Enum):
    """How a stream is doing, by the steady clock."""

    NEVER_SEEN = "never_seen"
    """No usable message has ever arrived."""
    LIVE = "live"
    """Messages come as expected."""
    STALE = "stale"
    """A message is overdue, or the stream is coming back and has not yet sent enough messages in a row."""
    ABSENT = "absent"
    """Silent for so long that nobody waits for it."""


@dataclass(frozen=True)
class StreamStatus:
    """Health of one stream, for diagnostics.

    Attributes:
        state: by the steady clock.
        enabled: False while switched off by the caller.
        age_ns: time since the last usable message arrived; None before the first.
        period_ns: declared or learnt time between stamps, 0 while unknown.
        last_stamp_ns: newest stamp; None before the first and just after a jump of time.
        received: usable messages.
        used: how many sets the stream contributed to.
        dropped: messages let go without having served any set.
        late: messages that came too late: behind the horizon, or as an anchor behind the last output.
        duplicates: messages repeating a stamp that is already held; they do not count as a sign of life.
        rejected: messages refused, by their stamp or by the caller; no sign of life either.
        last_rejection: why, for the latest of them; "" where there was none.
    """

    state: StreamState
    enabled: bool
    age_ns: int | None
    period_ns: int
    last_stamp_ns: int | None
    received: int
    used: int
    dropped: int
    late: int
    duplicates: int
    rejected: int
    last_rejection: str
