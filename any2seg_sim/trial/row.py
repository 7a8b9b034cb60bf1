# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""One line of the fault matrix, measured from what was heard."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from any2seg_sim.trial.ear import Output, Served

JUMP_NS: Final = 1_000_000_000
"""Stamps set back by more than this start anew: the default of sync.jump_threshold_s."""


@dataclass(frozen=True)
class Row:
    """What a fault did.

    Attributes:
        fault: its name.
        expected: outputs that a sound robot would have got during the fault.
        published: outputs that came.
        gap_ms: longest time without an output, from the last one before the fault to the first one after it.
        used: which sensors served most outputs during the fault.
        said: what the diagnostics and the outputs' status said.
        back_ms: from the end of the fault to the first output that all sensors served; None if there was none.
        problems: everything that must not be; empty if the node survived.
    """

    fault: str
    expected: int
    published: int
    gap_ms: float
    used: str
    said: str
    back_ms: float | None
    problems: tuple[str, ...]

    @property
    def lost(self) -> int:
        """Outputs that should have come and did not."""
        return max(self.expected - self.published, 0)

    @property
    def survived(self) -> bool:
        """Whether nothing happened that must not."""
        return not self.problems


def steps_back(outputs: Sequence[Output], *, jumps: bool) -> list[str]:
    """Name the outputs whose stamp is not above the one before, save where stamps jump."""
    wrong = [
        (later.stamp_ns - earlier.stamp_ns) / 1e6
        for earlier, later in itertools.pairwise(outputs)
        if later.stamp_ns <= earlier.stamp_ns and not (jumps and earlier.stamp_ns - later.stamp_ns > JUMP_NS)
    ]
    return [f"stamp went back by {abs(step_ms):.1f} ms" for step_ms in wrong]


def longest_gap_ms(outputs: Sequence[Output], begin_ns: int, end_ns: int) -> float:
    """Give the longest pause of outputs that touches a time, on the steady clock."""
    before = [begin_ns, *(output.heard_ns for output in outputs if output.heard_ns <= begin_ns)][-1]
    after = next((output.heard_ns for output in outputs if output.heard_ns >= end_ns), end_ns)
    within = [output.heard_ns for output in outputs if begin_ns < output.heard_ns < end_ns]
    moments = [before, *within, after]
    return max(later - earlier for earlier, later in itertools.pairwise(moments)) / 1e6


def mostly_used(served: Sequence[Served]) -> str:
    """Name the sensors that served most outputs."""
    return Counter(one.sensors for one in served).most_common(1)[0][0] if served else "none"
