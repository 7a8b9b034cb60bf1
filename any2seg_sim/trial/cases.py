# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The faults that every sensor goes through, and what the node must say of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from any2seg_core.frames import Modality
from any2seg_sim.trial import damage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SENSORS: Final = (Modality.RGB, Modality.DEPTH, Modality.EVENT, Modality.LIDAR)
NAMES: Final = {
    Modality.RGB: "camera",
    Modality.DEPTH: "depth",
    Modality.EVENT: "event camera",
    Modality.LIDAR: "LiDAR",
}
DELAY_S: Final = 0.15
BACK_S: Final = -5.0
AHEAD_S: Final = 3600.0
TIMES: Final = 3


@dataclass(frozen=True)
class Kind:
    """A way to fail.

    Attributes:
        name: of the row.
        fault: settings of a fault of any2seg_core.faults, without sensor and times.
        damage: what happens to each message, in place of a fault.
        times: messages that come in place of one.
        named: regular expression that something said of the sensor must match, by sensor; the entry None is for all
            others. Empty where nothing can be noticed.
        jumps: whether stamps are set back, so that the outputs' may be too.
    """

    name: str
    named: Mapping[Modality | None, str]
    fault: Mapping[str, Any] | None = None
    damage: Callable[[Any], Any] | None = None
    times: int = 1
    jumps: bool = False

    def must_say(self, sensor: Modality) -> str:
        """Give what must be said of a sensor."""
        return self.named.get(sensor, self.named[None])


OTHER_TIME: Final[Mapping[Modality | None, str]] = {
    None: "without it: (stale|late)",
    Modality.RGB: "without depth: (stale|late)",
}
"""The camera tells the time: where its stamps are wrong, all others look wrong."""
KINDS: Final = (
    Kind("dropped", {None: "absent"}, fault={"kind": "dropout"}),
    Kind("frozen, old stamps", {None: r"absent.*duplicates \+"}, fault={"kind": "freeze", "stamps": "old"}),
    Kind("frozen, new stamps", {None: ""}, fault={"kind": "freeze", "stamps": "new"}),
    Kind(
        f"delayed by {DELAY_S * 1e3:.0f} ms",
        {None: r"age_ms|late|without it", Modality.RGB: ""},
        fault={"kind": "latency", "delay_s": DELAY_S},
    ),
    Kind(f"at {TIMES}x its rate", {None: r"rate_hz \d+ -> "}, times=TIMES),
    Kind("wrong encoding", {None: r"refused \+\d+.*(jpeg9000|unknown_0)"}, damage=damage.wrong_encoding),
    Kind("cut off", {None: r"refused \+\d+.*found \d+ bytes"}, damage=damage.truncated),
    Kind(
        "full of NaN",
        {
            Modality.RGB: r"refused \+\d+.*32FC3",
            Modality.DEPTH: "",
            Modality.EVENT: r"outside \+\d+",
            Modality.LIDAR: r"refused \+\d+.*no valid return",
            None: "",
        },
        damage=damage.all_nan,
    ),
    Kind("stamps zero", {None: r"refused \+\d+.*stamp is 0 ns"}, damage=damage.unstamped),
    Kind(f"stamps {-BACK_S:.0f} s back", OTHER_TIME, damage=damage.stamped_later(BACK_S), jumps=True),
    Kind("stamps an hour ahead", OTHER_TIME, damage=damage.stamped_later(AHEAD_S), jumps=True),
)
