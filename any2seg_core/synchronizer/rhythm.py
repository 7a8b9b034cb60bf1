# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""How often a stream speaks: its period on the stamps and on the steady clock, learnt as running medians."""

from __future__ import annotations

from collections import deque
from statistics import median_low
from typing import Final

REMEMBERED: Final = 9
"""Steps in the running median: four of them may be outliers, and a new rate is learnt after five."""

TRUSTED: Final = 3
"""Steps before a median is believed."""


class Rhythm:
    """The learnt timing of one stream.

    Stamps predict stamps and arrivals predict arrivals; the two clocks are never compared. They tick at different
    speeds when a bag is played slower or faster than it was recorded.
    """

    def __init__(self, declared_ns: int) -> None:
        self._declared_ns = declared_ns
        self._stamp_steps: deque[int] = deque(maxlen=REMEMBERED)
        self._arrival_steps: deque[int] = deque(maxlen=REMEMBERED)
        self.period_ns = declared_ns
        self.interval_ns = declared_ns

    def learn(self, stamp_step_ns: int | None, arrival_step_ns: int | None) -> None:
        """Take in the steps from the previous message; None where there is none to measure from."""
        if stamp_step_ns is not None and stamp_step_ns > 0:
            self._stamp_steps.append(stamp_step_ns)
        if arrival_step_ns is not None:
            self._arrival_steps.append(arrival_step_ns)
        if not self._declared_ns and len(self._stamp_steps) >= TRUSTED:
            self.period_ns = median_low(self._stamp_steps)
        if self.period_ns and len(self._arrival_steps) >= TRUSTED:
            # Messages that arrive in bursts have a tiny median step; the stamps then say how often they come.
            self.interval_ns = max(self.period_ns, median_low(self._arrival_steps))

    @property
    def known(self) -> bool:
        """Whether both clocks' periods are declared or learnt."""
        return self.period_ns > 0 and self.interval_ns > 0
