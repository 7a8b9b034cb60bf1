# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The fault matrix as a page: what was tried, how, and a line for every fault."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from any2seg_sim.trial.bench import SHORT_SIDE_PX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from any2seg_sim.settings import DriveSettings
    from any2seg_sim.trial.bench import Timing
    from any2seg_sim.trial.row import Row

_HEAD: Final = (
    "fault",
    "expected",
    "published",
    "lost",
    "worst gap (ms)",
    "sensors used",
    "back after (ms)",
    "survived",
    "what the node said",
)
_TEXT: Final = """# Faults tried on the node

Made by `{command}`.

A simulated drive ({width}x{height}, camera at {rate:g} Hz, LiDAR at {lidar:g} Hz, {packets:g} event packets a second)
plays into a real node over real DDS. For each row, one thing fails for {fault_s:g} s while the rest goes on; then it
ends, and all sensors must serve again. Random weights at {px} px: what is tried is conduct, not labels.

- *expected*: camera images during the fault. *published*: label images heard during it; another sensor's rate or a
  moment's difference at the borders can make it more. *lost*: the difference, if positive.
- *worst gap*: longest time without an output, from the last before the fault to the first after it.
- *sensors used*: by most outputs during the fault. *back after*: until all sensors served an output again.
- *survived*: the node's executor and life cycle live, stamps of outputs strictly increase (save where the fault itself
  sets stamps back), all sensors serve again, and what must be said of the fault was said.
- *what the node said*: of that sensor in `/diagnostics` (states, counters that rose, the newest reason) and in
  `~/used_sensors` (ages, why outputs went without it). "nothing" means that the node cannot tell.
- TF is played by a stand-in with tf2_ros' calls. In the row "nothing", nothing fails: what is lost there, other
  programs on this machine took.

**{tried} cases tried, {survived} survived, {lost} of {expected} outputs lost.** A single run; gaps depend on the
machine.
"""


def page(rows: Sequence[Row], drive: DriveSettings, timing: Timing, command: str) -> str:
    """Write the page."""
    text = _TEXT.format(
        command=command,
        width=drive.width,
        height=drive.height,
        rate=drive.rate_hz,
        lidar=drive.lidar_rate_hz,
        packets=drive.rate_hz * drive.subframes,
        fault_s=timing.fault_s,
        px=SHORT_SIDE_PX,
        tried=len(rows),
        survived=sum(row.survived for row in rows),
        lost=sum(row.lost for row in rows),
        expected=sum(row.expected for row in rows),
    )
    lines = [_line(_HEAD), _line(["---"] * len(_HEAD)), *(_line(_cells(row)) for row in rows)]
    return "\n".join([text, *lines, ""])


def verdict(rows: Sequence[Row]) -> str:
    """Say in a line, and one more for every fault that was not survived, how it went."""
    lines = [f"{len(rows)} cases tried, {sum(row.survived for row in rows)} survived"]
    return "\n".join([*lines, *(f"{row.fault}: {'; '.join(row.problems)}" for row in rows if not row.survived)])


def _cells(row: Row) -> list[str]:
    return [
        row.fault,
        str(row.expected),
        str(row.published),
        str(row.lost),
        f"{row.gap_ms:.0f}",
        row.used,
        "never" if row.back_ms is None else f"{row.back_ms:.0f}",
        "yes" if row.survived else f"**no**: {'; '.join(row.problems)}",
        row.said,
    ]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
