# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Sensors failing at random: which one when and how is a function of a seed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from any2seg_core.faults import FaultScript
from any2seg_core.frames import Modality
from any2seg_ros.topics import DATA_TOPICS
from any2seg_sim.trial import damage
from any2seg_sim.trial.cases import SENSORS
from any2seg_sim.trial.player import NODE_TOPICS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from any2seg_sim.messages import TopicMessage

SOUND_S: Final = (2.0, 10.0)
FAILING_S: Final = (0.5, 4.0)
"""How long a sensor works and fails, in turn; all lengths between are equally likely."""
JUMP_S: Final = 1.0
"""Stamps wrong by more than this are a jump of time."""
AFTERMATH_S: Final = 1.0
"""A fault may be felt for so long after its end."""
FAULTS: Final[tuple[Mapping[str, Any], ...]] = (
    {"kind": "dropout"},
    {"kind": "freeze", "stamps": "old"},
    {"kind": "freeze", "stamps": "new"},
    {"kind": "latency", "delay_s": 0.15, "jitter_s": 0.1},
    {"kind": "stamp_offset", "offset_s": 0.02},
    {"kind": "stamp_offset", "offset_s": -5.0},
    {"kind": "stamp_offset", "offset_s": 3600.0},
    {"kind": "packet_loss", "share": 0.5},
    {"kind": "low_rate", "keep_each": 3},
    {"kind": "blank"},
    {"kind": "noise"},
)
DAMAGES: Final[Mapping[str, Callable[[Any], Any]]] = {
    "wrong encoding": damage.wrong_encoding,
    "cut off": damage.truncated,
    "full of NaN": damage.all_nan,
    "stamps zero": damage.unstamped,
}
OF_CAMERAS: Final[Mapping[str, Any]] = {"kind": "dirt"}
OF_LIDARS: Final[Mapping[str, Any]] = {"kind": "sector_loss"}


class Storm:
    """What fails in a stretch of time.

    Args:
        seed: decides everything.
        length_s: of the stretch.

    Attributes:
        script: the faults of frames.
        drawn: how often each kind of fault was drawn, by its name.
    """

    def __init__(self, seed: tuple[int, ...], length_s: float) -> None:
        rng = np.random.default_rng(seed)
        faults: list[dict[str, Any]] = []
        self.drawn: Counter[str] = Counter()
        self._damages: list[tuple[str, float, float, Callable[[Any], Any]]] = []
        self._times: list[tuple[float, float]] = []
        self._jumps: list[float] = []
        for sensor in SENSORS:
            special = OF_LIDARS if sensor is Modality.LIDAR else OF_CAMERAS
            choices: list[Any] = [*FAULTS, special, *DAMAGES]
            for begin_s, end_s in _times(rng, length_s):
                self._times.append((begin_s, end_s))
                choice = choices[int(rng.integers(len(choices)))]
                if isinstance(choice, str):
                    self.drawn[choice] += 1
                    self._damages.append((DATA_TOPICS[sensor], begin_s, end_s, DAMAGES[choice]))
                else:
                    self.drawn[choice["kind"]] += 1
                    self._jumps += [begin_s, end_s] if abs(choice.get("offset_s", 0.0)) > JUMP_S else []
                    faults.append({**choice, "sensor": sensor.value, "start_s": begin_s, "end_s": end_s})
        self.script = FaultScript.from_mapping({"seed": int(rng.integers(2**32)), "faults": faults})

    def spoil(self, begin_ns: int) -> Callable[[TopicMessage, Any], list[tuple[int, Any]]]:
        """Damage messages of a stretch that begins at a moment; see Player.play."""

        def spoilt(described: TopicMessage, message: Any) -> list[tuple[int, Any]]:
            moment_s, topic = (described.arrival_ns - begin_ns) * 1e-9, NODE_TOPICS[described.topic]
            for damaged, begin_s, end_s, change in self._damages:
                if topic == damaged and begin_s <= moment_s < end_s:
                    return [(0, change(message))]
            return [(0, message)]

        return spoilt

    def jumped_at(self, moment_s: float, within_s: float) -> bool:
        """Whether a sensor's stamps were set far back or ahead, or right again, so shortly before a moment."""
        return any(0 <= moment_s - jump_s < within_s for jump_s in self._jumps)

    def sound_at(self, moment_s: float) -> bool:
        """Whether at a moment nothing fails, nor has failed just before."""
        return not any(begin_s <= moment_s < end_s + AFTERMATH_S for begin_s, end_s in self._times)


def _times(rng: np.random.Generator, length_s: float) -> Iterator[tuple[float, float]]:
    """Draw begin and end of each failure of one sensor."""
    begin_s = float(rng.uniform(0.0, SOUND_S[1]))
    while begin_s < length_s:
        end_s = begin_s + float(rng.uniform(*FAILING_S))
        yield begin_s, end_s
        begin_s = end_s + float(rng.uniform(*SOUND_S))
