# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The verdict in a terminal: plain aligned text, without any character that could steer the terminal."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Final

from any2seg_ros.replay.show.answers import answers, headline, losses, notes
from any2seg_ros.replay.show.words import POLICY, columns, number, percent, plain, points, sensors

if TYPE_CHECKING:
    from any2seg_ros.replay.show.compare import Comparison
    from any2seg_ros.replay.verdict import Verdict

_ROWS: Final = 8
_WIDTH: Final = 100


def summary(verdict: Verdict, comparison: Comparison | None = None) -> str:
    """Lay the verdict out for a terminal."""
    parts = [headline(verdict)]
    parts += [
        fill(f"{answer.question} {plain(answer.short)}. {plain(answer.text)}", _WIDTH) for answer in answers(verdict)
    ]
    parts.append(_bags(verdict))
    if verdict.subsets:
        parts.append(_subsets(verdict))
    warned = [_note(f"{name}: {text}" if name else text) for name, text in notes(verdict)]
    if warned:
        parts.append("\n".join(["Note:", *_cut(warned)]))
    if comparison is not None:
        parts.append(_comparison(comparison))
    return "\n\n".join(part for part in parts if part)


def _bags(verdict: Verdict) -> str:
    if not verdict.bags:
        return ""
    head = ["recording", "outputs", "mIoU", "MISS", "x real time", "state"]
    rows = [
        [
            bag.name,
            str(bag.outputs),
            percent(bag.scores.miou.get(POLICY) if bag.scores else None),
            percent(bag.miss),
            number(bag.timing.realtime),
            "whole" if bag.whole else "damaged",
        ]
        for bag in verdict.bags
    ]
    return columns([head, *rows])


def _subsets(verdict: Verdict) -> str:
    rows = [
        [
            sensors(one.row.modalities),
            percent(one.row.miou),
            points(-one.loss) if one.gone and one.row.miou is not None else "",
            percent(one.row.agreement),
        ]
        for one in losses(verdict.subsets)
    ]
    return columns([["sensors", "mIoU", "points", "agreement"], *rows])


def _comparison(comparison: Comparison) -> str:
    rows = [["change", "recording", "before", "now", "points", "95 % interval", "n", "verdict"]]
    for one in comparison.judged:
        found = one.found
        interval = "too few" if found.low is None else f"{points(found.low)} to {points(found.high)}"
        numbers = [percent(found.before), percent(found.after), points(found.mean), interval, str(found.pairs)]
        rows.append([one.name, one.bag, *numbers, one.word])
    lines = [
        [line.name, "", percent(line.before), percent(line.after), points(line.change), "", "", "not judged"]
        for line in comparison.means
    ]
    best_and_worst = sorted(comparison.classes, key=lambda line: line.change or 0)
    shown = best_and_worst[:3] + best_and_worst[3:][-3:]
    lines += [
        [f"IoU {line.name}", "", percent(line.before), percent(line.after), points(line.change), "", "", "not judged"]
        for line in reversed(shown)
    ]
    return "\n\n".join([fill(plain(comparison.headline), _WIDTH), columns([*rows, *lines])])


def _note(text: str) -> str:
    return fill(plain(text), _WIDTH, initial_indent="  ", subsequent_indent="    ")


def _cut(lines: list[str]) -> list[str]:
    rest = len(lines) - _ROWS
    return [*lines[:_ROWS], f"  and {rest} more in the report"] if rest > 0 else lines
