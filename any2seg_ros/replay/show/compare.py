# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Two reports of the same recordings, compared: what got better, what got worse, and whether beyond noise."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pydantic import ValidationError

from any2seg_core.errors import ConfigError
from any2seg_ros.replay.show.noise import Change, change
from any2seg_ros.replay.show.words import POLICY, count, percent, plain, points, sensors
from any2seg_ros.replay.verdict import FrameRow, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from any2seg_ros.replay.verdict import BagVerdict, Scores

BETTER, WORSE, NOISE, SAME, UNJUDGED = "better", "worse", "within noise", "the same", "not judged"
ALL_BAGS: Final = "all recordings"
_MIOU: Final = "mIoU per frame"
_FRAME_VALUES: Final[dict[str, tuple[str, Callable[[FrameRow], float | None]]]] = {
    _MIOU: ("up", lambda row: row.miou),
    "confidence (not accuracy)": ("", lambda row: row.confidence),
    "labels changed since the last output (not accuracy)": ("", lambda row: row.changed),
}
"""What a report holds of each frame: whether more is better, and how to take it from a frame's row."""


@dataclass(frozen=True)
class Line:
    """A score in both reports, over all pixels together; None where one lacks it."""

    name: str
    before: float | None
    after: float | None

    @property
    def change(self) -> float | None:
        """After minus before."""
        return None if self.before is None or self.after is None else self.after - self.before


@dataclass(frozen=True)
class Judged:
    """A value that every frame has, in both reports, over frames matched by recording and stamp."""

    name: str
    bag: str
    better: str
    found: Change

    @property
    def word(self) -> str:
        """Say what the change is."""
        if self.found.low is None:
            return UNJUDGED
        if self.found.low == self.found.high == 0:
            return SAME
        if not self.found.certain:
            return NOISE
        if not self.better:
            return "changed"
        return BETTER if self.found.mean > 0 else WORSE


@dataclass(frozen=True)
class Comparison:
    """What changed from an old report to a new one.

    Attributes:
        old: name of the old report's model.
        judged: changes with their noise, over all recordings and over each one.
        means, classes, subsets: scores over all pixels; a report holds too little of them to tell their noise.
        differing: settings that differ, as (name, before, after).
        unmatched: frames that only the old and only the new report has.
    """

    old: str
    judged: list[Judged] = field(default_factory=list)
    means: list[Line] = field(default_factory=list)
    classes: list[Line] = field(default_factory=list)
    subsets: list[Line] = field(default_factory=list)
    differing: list[tuple[str, str, str]] = field(default_factory=list)
    unmatched: tuple[int, int] = (0, 0)

    @property
    def headline(self) -> str:
        """The change to look at first, as a sentence."""
        if not self.judged:
            return "Nothing to compare: no output is in both reports."
        first, found = self.judged[0], self.judged[0].found
        text = f"{first.word.capitalize()}: {first.name} went from {percent(found.before)} to {percent(found.after)}, "
        text += f"{points(found.mean)} points over {count(found.pairs, 'output')} that both reports have"
        if found.low is None:
            return f"{text}; too few to tell from noise."
        return f"{text} (95 % interval {points(found.low)} to {points(found.high)})."


def read_verdict(path: Path) -> Verdict:
    """Read a report.json.

    Raises:
        ConfigError: there is no such file, or it holds no report of this format.
    """
    try:
        return Verdict.model_validate_json(path.read_bytes())
    except OSError as error:
        msg = f"compare: found no readable file {plain(str(path))} ({error.strerror}), expected a report.json"
        raise ConfigError(msg) from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = plain(".".join(map(str, first["loc"])) or "the file")
        msg = (
            f"compare: found {plain(str(path))} with {error.error_count()} faults, the first at {place}: "
            f"{plain(first['msg'])}; expected a report.json of format 1, make it again with this version"
        )
        raise ConfigError(msg) from None


def compare(old: Verdict, new: Verdict) -> Comparison:
    """Compare two verdicts on the same recordings.

    Raises:
        ConfigError: the class tables or the recordings differ; then no two numbers mean the same.
    """
    _check_classes(old, new)
    _check_bags(old, new)
    pairs = [(bag.name, *_matched(bag, other)) for bag, other in _paired_bags(old, new)]
    rows = {name: matched for name, matched, _, _ in pairs}
    judged: list[Judged] = []
    for name, (better, value) in _FRAME_VALUES.items():
        everything = [pair for matched in rows.values() for pair in matched]
        found = _judge(name, ALL_BAGS, better, _values(everything, value))
        if found and not judged and len(rows) > 1:  # the first value alone is told recording by recording
            found += [
                one for bag, matched in rows.items() for one in _judge(name, bag, better, _values(matched, value))
            ]
        judged += found
    return Comparison(
        old=old.model.name,
        judged=judged,
        means=_means(old, new),
        classes=_by_class(old.scores, new.scores),
        subsets=_by_subset(old, new),
        differing=list(_differing(old, new)),
        unmatched=(sum(gone for _, _, gone, _ in pairs), sum(added for _, _, _, added in pairs)),
    )


def _check_classes(old: Verdict, new: Verdict) -> None:
    before, after = ([(row.id, row.name) for row in verdict.model.classes] for verdict in (old, new))
    if before == after:
        return
    one, other = next(
        (one, other) for one, other in zip_longest(before, after, fillvalue=(-1, "no class")) if one != other
    )
    msg = (
        f"compare: found {len(before)} classes in the old report and {len(after)} in the new one, which first differ "
        f"in {plain(one[1])!r} and {plain(other[1])!r}; expected one class table; "
        "compare models that were trained on the same classes"
    )
    raise ConfigError(msg)


def _check_bags(old: Verdict, new: Verdict) -> None:
    before, after = (sorted(bag.name for bag in verdict.bags) for verdict in (old, new))
    if before == after:
        return
    gone, added = (", ".join(plain(name) for name in names) or "none" for names in _without(before, after))
    msg = (
        f"compare: found recordings that only one report has (old: {gone}; new: {added}), expected the same ones; "
        "replay both models on the same recordings"
    )
    raise ConfigError(msg)


def _without(one: list[str], other: list[str]) -> tuple[list[str], list[str]]:
    left, right = one.copy(), other.copy()
    for name in one:
        if name in right:
            left.remove(name)
            right.remove(name)
    return left[:5], right[:5]


def _paired_bags(old: Verdict, new: Verdict) -> list[tuple[BagVerdict, BagVerdict]]:
    before, after = (sorted(verdict.bags, key=lambda bag: (bag.name, bag.start_ns)) for verdict in (old, new))
    return list(zip(before, after, strict=True))


def _matched(old: BagVerdict, new: BagVerdict) -> tuple[list[tuple[FrameRow, FrameRow]], int, int]:
    """Pair frames by stamp, repeated stamps in their order; and count those left over on each side."""
    waiting: dict[int, list[FrameRow]] = defaultdict(list)
    for row in reversed(old.frames):
        waiting[row.stamp_ns].append(row)
    pairs = [(waiting[row.stamp_ns].pop(), row) for row in new.frames if waiting[row.stamp_ns]]
    return pairs, len(old.frames) - len(pairs), len(new.frames) - len(pairs)


def _values(
    pairs: list[tuple[FrameRow, FrameRow]], value: Callable[[FrameRow], float | None]
) -> list[tuple[float, float]]:
    found = [(value(before), value(after)) for before, after in pairs]
    return [(before, after) for before, after in found if before is not None and after is not None]


def _judge(name: str, bag: str, better: str, values: list[tuple[float, float]]) -> list[Judged]:
    before, after = np.array(values, float).reshape(-1, 2).T
    found = change(before, after)
    return [] if found is None else [Judged(name, bag, better, found)]


def _means(old: Verdict, new: Verdict) -> list[Line]:
    names = {"miou": "mIoU", "f1": "F1", "acc": "Acc"}

    def score(verdict: Verdict, name: str) -> float | None:
        means: dict[Any, float] = getattr(verdict.scores, name) if verdict.scores else {}
        return means.get(POLICY)

    lines = [Line(shown, score(old, name), score(new, name)) for name, shown in names.items()]
    lines += [Line("MISS, mean over all subsets of sensors", old.miss, new.miss)]
    return [line for line in lines if line.before is not None or line.after is not None]


def _by_class(old: Scores | None, new: Scores | None) -> list[Line]:
    """Pair the classes' IoU where it changed, the largest changes first."""
    before = {row.id: row.iou for row in old.classes} if old else {}
    lines = [Line(row.name, before.get(row.id), row.iou) for row in (new.classes if new else [])]
    return sorted((line for line in lines if line.change), key=lambda line: -abs(line.change or 0))


def _by_subset(old: Verdict, new: Verdict) -> list[Line]:
    before = {tuple(row.modalities): row.miou for row in old.subsets}
    lines = [Line(sensors(row.modalities), before.get(tuple(row.modalities)), row.miou) for row in new.subsets]
    return sorted((line for line in lines if line.change), key=lambda line: line.change or 0)


def _differing(old: Verdict, new: Verdict) -> Iterator[tuple[str, str, str]]:
    facts = [
        {
            "model": verdict.model.name,
            "weights": verdict.model.weights_sha256[:12] or "untrained",
            "short side": f"{verdict.model.short_side_px} px",
            **verdict.settings,
        }
        for verdict in (old, new)
    ]
    for name in dict.fromkeys([*facts[0], *facts[1]]):
        before, after = (fact.get(name, "not given") for fact in facts)
        if before != after:
            yield name, before, after
