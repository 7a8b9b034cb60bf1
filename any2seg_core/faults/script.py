# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""A list of faults, read from YAML and checked as a whole; config/faults holds examples."""

from __future__ import annotations

import difflib
import math
from typing import TYPE_CHECKING, Annotated, Any

import yaml
from pydantic import Field, ValidationError, model_validator

from any2seg_core.config import Settings, unknown_setting
from any2seg_core.errors import ConfigError
from any2seg_core.faults import kinds
from any2seg_core.faults.run import FaultRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from typing_extensions import Self

    from any2seg_core.faults.arrival import Arrival

_AnyFault = Annotated[
    kinds.Dropout
    | kinds.Freeze
    | kinds.Latency
    | kinds.StampOffset
    | kinds.PacketLoss
    | kinds.LowRate
    | kinds.Blank
    | kinds.Dirt
    | kinds.Noise
    | kinds.SectorLoss,
    Field(discriminator="kind"),
]


class FaultScript(Settings):
    """Which sensor fails when and how. Two runs of a script on equal streams give equal results."""

    seed: int = Field(0, ge=0, lt=2**63, description="decides everything that chance decides")
    repeat_s: float = Field(0.0, ge=0, description="the script starts over after so long; 0: it runs once")
    faults: list[_AnyFault] = Field(default_factory=list, description="the faults, in the order in which they act")

    @model_validator(mode="after")
    def _check_repeat(self) -> FaultScript:
        never = [f"faults.{place}" for place, fault in enumerate(self.faults) if fault.start_s >= self.repeat_s]
        if self.repeat_s and never:
            msg = f"repeat_s {self.repeat_s} must be above start_s of {', '.join(never)}, which would never begin"
            raise ValueError(msg)
        return self

    def spans_s(self, fault: kinds.Fault, length_s: float) -> list[tuple[float, float]]:
        """Give the times (start, end) in seconds at which one of the faults acts in a stream of so many seconds."""
        every_s = self.repeat_s or math.inf
        turns = range(math.ceil(length_s / every_s)) if self.repeat_s else range(1)
        spans = []
        for turn in turns:
            begin_s = turn * self.repeat_s
            end_s = min(begin_s + min(fault.until_s, every_s), length_s)
            if begin_s + fault.start_s < end_s:
                spans.append((begin_s + fault.start_s, end_s))
        return spans

    @classmethod
    def from_yaml(cls, path: Path) -> Self:
        """Read a script.

        Raises:
            ConfigError: the file cannot be read, or naming everything that is wrong in it.
        """
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            msg = f"fault script: found {path} not readable ({error}), expected a YAML file"
            raise ConfigError(" ".join(msg.split())) from None
        return cls.from_mapping({} if values is None else values, source=str(path))

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], *, source: str = "fault script") -> Self:
        """Validate plain values, reporting every problem at once.

        Raises:
            ConfigError: naming each unknown, mistyped or impossible setting and what was expected.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            problems = [_problem(detail) for detail in error.errors()]
            msg = f"{source}: {len(problems)} problem(s): {'; '.join(problems)}"
            raise ConfigError(msg) from None

    def run(self, start_ns: int | None = None) -> FaultRun:
        """Begin to act on a stream; see FaultRun."""
        return FaultRun(self, start_ns)

    def apply(self, arrivals: Iterable[Arrival], start_ns: int | None = None) -> Iterator[Arrival]:
        """Yield what is left of a whole stream, in order of arrival; see FaultRun."""
        return self.run(start_ns).apply(arrivals)


def _problem(detail: Any) -> str:
    """Put one pydantic finding into found, expected, next step."""
    place, kind = detail["loc"], ""
    if len(place) > 2 and place[2] in kinds.KINDS:
        place, kind = (*place[:2], *place[3:]), place[2]
    where = ".".join(str(part) for part in place) or "the whole"
    if detail["type"] == "extra_forbidden":
        known = kinds.KINDS[kind] if kind else FaultScript
        wrong = unknown_setting(str(place[-1]), list(known.model_fields))
        return f"{where}: {wrong} of {kind}" if kind else wrong
    if detail["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return f"{where}: {_unknown_kind(detail['input'])}"
    if detail["type"] in ("model_type", "model_attributes_type"):
        return f"{where}: found {detail['input']!r:.80}, expected names and values"
    if detail["type"] == "missing":
        return f"{where}: found nothing, expected a value"
    message = detail["msg"].removeprefix("Value error, ")
    # A rule about a whole fault names its settings already; the whole fault printed beside it would only hide them.
    found = "" if isinstance(detail["input"], dict) else f"found {detail['input']!r:.80}, "
    return f"{where}: {found}{message[0].lower()}{message[1:]}"


def _unknown_kind(fault: Any) -> str:
    known = f"one of {', '.join(kinds.KINDS)}"
    found = fault.get("kind") if isinstance(fault, dict) else getattr(fault, "kind", None)
    if found is None:
        return f"found no kind, expected {known}"
    nearest = difflib.get_close_matches(str(found), kinds.KINDS, n=1, cutoff=0.0)[0]
    return f"found kind {found!r:.80}, expected {known}; the nearest is {nearest!r}"
