# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Gates for CI: the least score that passes, "miou=0.5,miss=0.4,iou.Car=0.3"."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from any2seg_core.errors import ConfigError
from any2seg_ros.replay.show.words import POLICY, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from any2seg_ros.replay.verdict import Verdict

MEANS: Final = ("miou", "f1", "acc", "miss")
_CLASS: Final = "iou."
_EXAMPLE: Final = "miou=0.5,miss=0.4,iou.Car=0.3"


@dataclass(frozen=True)
class Gate:
    """A score and the least value that passes.

    Attributes:
        name: one of MEANS (means over the classes that occur), or "iou." and a class name.
        least: in [0, 1].
    """

    name: str
    least: float


@dataclass(frozen=True)
class Outcome:
    """What came of a gate.

    Attributes:
        gate: as asked.
        value: the score; None where it cannot be computed.
        reason: why there is none.
    """

    gate: Gate
    value: float | None
    reason: str = ""

    @property
    def passed(self) -> bool:
        """Whether the score is there and high enough."""
        return self.value is not None and self.value >= self.gate.least

    @property
    def text(self) -> str:
        """Say it in a line."""
        found = f"no score: {self.reason}" if self.value is None else f"found {self.value:.4f}"
        verdict = "passed" if self.passed else "FAILED"
        return f"gate {self.gate.name} {verdict}: {found}, expected at least {self.gate.least:g}"


def parse_gates(text: str, class_names: Sequence[str]) -> list[Gate]:
    """Read gates; an empty text has none.

    Args:
        text: "name=least" separated by commas; a class name may be written in any case.
        class_names: of the model.

    Raises:
        ConfigError: not of that form, an unknown name, a name twice, or a least score outside [0, 1].
    """
    gates = [_gate(part.strip(), class_names) for part in text.split(",")] if text.strip() else []
    twice = [gate.name for gate in gates if sum(gate.name == other.name for other in gates) > 1]
    if twice:
        msg = f"gates: found {plain(twice[0])!r} twice, expected each score once; leave one of them out"
        raise ConfigError(msg)
    return gates


def _gate(part: str, class_names: Sequence[str]) -> Gate:
    name, _, least = (word.strip() for word in part.rpartition("="))
    try:
        value = float(least)
    except ValueError:
        value = math.nan
    if not name or not 0 <= value <= 1:
        msg = f"gates: found {plain(part)!r}, expected a score and its least value in [0, 1]; write {_EXAMPLE}"
        raise ConfigError(msg)
    return Gate(_known(name, class_names), value)


def _known(name: str, class_names: Sequence[str]) -> str:
    """Give a score's name as it is written in reports."""
    if name.lower() in MEANS:
        return name.lower()
    known = [*MEANS, *(_CLASS + label for label in class_names)]
    same = [other for other in known if other == name] or [other for other in known if other.lower() == name.lower()]
    if len(same) == 1:
        return same[0]
    near = difflib.get_close_matches(name, known, 1) or [_EXAMPLE]
    msg = (
        f"gates: found the score {plain(name)!r}, expected {', '.join(MEANS)} or iou. with one of the "
        f"{len(class_names)} classes of the model; did you mean {plain(near[0])}?"
    )
    raise ConfigError(msg)


def pass_gates(gates: Sequence[Gate], verdict: Verdict) -> list[Outcome]:
    """Hold a verdict against gates; a score that cannot be computed does not pass."""
    return [_outcome(gate, verdict) for gate in gates]


def _outcome(gate: Gate, verdict: Verdict) -> Outcome:
    scores = verdict.scores
    if scores is None:
        return Outcome(gate, None, "no output could be compared with truth")
    if gate.name == "miss":
        return Outcome(gate, verdict.miss, "" if verdict.miss is not None else "the subsets of sensors were not scored")
    if gate.name in MEANS:
        means = {"miou": scores.miou, "f1": scores.f1, "acc": scores.acc}[gate.name]
        value = means.get(POLICY)
        return Outcome(gate, value, "" if value is not None else "no class occurs in the truth")
    row = next((row for row in scores.classes if _CLASS + row.name == gate.name), None)
    value = None if row is None else row.iou
    return Outcome(gate, value, "" if value is not None else "neither truth nor prediction has the class")
