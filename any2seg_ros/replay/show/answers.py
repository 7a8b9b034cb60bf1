# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The verdict in sentences: how good, what if a sensor dies, what was missing."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from any2seg_ros.replay.show.words import POLICY, REASONS, count, listed, number, percent, points, sensor, sensors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from any2seg_ros.replay.verdict import BagVerdict, Scores, SubsetRow, Verdict

GOOD, WARN, BAD, PLAIN = "good", "warn", "bad", ""
_WEAKEST: Final = 3
_RARELY: Final = 0.02
"""A sensor missing in a smaller share of the outputs is no news."""


@dataclass(frozen=True)
class Answer:
    """A question that a replay is made for, and the answer in a sentence or two."""

    question: str
    short: str
    text: str
    tone: str = PLAIN


@dataclass(frozen=True)
class SubsetLoss:
    """What the model loses without some of the sensors.

    Attributes:
        row: the sensors left, and how the model does with them.
        gone: the sensors left out.
        loss: mIoU lost against all sensors; without truth, share of pixels labelled otherwise, which is not accuracy.
    """

    row: SubsetRow
    gone: tuple[str, ...]
    loss: float


def losses(rows: Sequence[SubsetRow]) -> list[SubsetLoss]:
    """Hold every subset of sensors against the largest one, the smallest loss first."""
    if not rows:
        return []
    whole = max(rows, key=lambda row: len(row.modalities))

    def loss(row: SubsetRow) -> float:
        return 1 - row.agreement if whole.miou is None or row.miou is None else whole.miou - row.miou

    found = [
        SubsetLoss(
            row, tuple(m for m in whole.modalities if m not in row.modalities), 0.0 if row is whole else loss(row)
        )
        for row in rows
    ]
    return sorted(found, key=lambda one: (bool(one.gone), one.loss))


def single_losses(rows: Sequence[SubsetRow]) -> list[SubsetLoss]:
    """Take the subsets that lack just one sensor, the largest loss first."""
    return sorted((one for one in losses(rows) if len(one.gone) == 1), key=lambda one: -one.loss)


def answers(verdict: Verdict) -> list[Answer]:
    """Answer the three questions."""
    return [_how_good(verdict), _what_if(verdict), _what_was_missing(verdict)]


def headline(verdict: Verdict) -> str:
    """Say in a few words what came out."""
    outputs = sum(bag.outputs for bag in verdict.bags)
    where = f"on {count(len(verdict.bags), 'recording')}"
    if not verdict.bags:
        return "No recording was replayed."
    if not outputs:
        return f"No output {where}."
    miou = verdict.scores.miou.get(POLICY) if verdict.scores else None
    if miou is None:
        return f"{count(outputs, 'output')} {where}; accuracy unknown."
    return f"{percent(miou)} mIoU {where}."


def _how_good(verdict: Verdict) -> Answer:
    question, scores = "How good is it?", verdict.scores
    miou = scores.miou.get(POLICY) if scores else None
    if not any(bag.outputs for bag in verdict.bags):
        return Answer(question, "No output", "Not one label image came out; the notes below say what to do.", BAD)
    if scores is None or miou is None:
        confidence = verdict.indicators.confidence
        sure = f" Half of the outputs have a mean confidence above {percent(confidence.p50)}." if confidence else ""
        text = f"Accuracy is unknown: no output could be compared with truth.{sure} That is not accuracy."
        return Answer(question, "Unknown", text, WARN)
    occurring = [row for row in scores.classes if row.iou is not None]
    weakest = sorted(occurring, key=lambda row: row.iou or 0)[:_WEAKEST]
    text = (
        f"Mean over {count(scores.frames, 'output')} with truth and the {len(occurring)} of "
        f"{count(len(scores.classes), 'class', 'classes')} that occur. "
        f"{percent(scores.pixel_acc)} of the pixels are right. "
        f"Weakest: {listed(f'{row.name} {percent(row.iou, 0)}' for row in weakest)}."
    )
    return Answer(question, f"{percent(miou)} mIoU", text)


def _what_if(verdict: Verdict) -> Answer:
    question, single = "What if a sensor dies?", single_losses(verdict.subsets)
    if not single:
        return Answer(question, "Not measured", "The subsets of the sensors were not compared in this replay.", WARN)
    whole, worst, least = losses(verdict.subsets)[0].row, single[0], single[-1]
    lost = listed(sensor(m) for m in worst.gone)
    if whole.miou is None or worst.row.miou is None:
        text = (
            f"Without {lost} {percent(worst.loss)} of the pixels are labelled otherwise, the most of all sensors"
            + (f"; without {sensor(least.gone[0])} {percent(least.loss)}" if len(single) > 1 else "")
            + ". How many of them get worse cannot be known without truth."
        )
        return Answer(question, f"{lost} matters most", text)
    text = f"Without {lost} mIoU goes from {percent(whole.miou)} to {percent(worst.row.miou)}, "
    text += f"{points(-worst.loss)} points"
    if len(single) > 1:
        text += f", the most of all; without {sensor(least.gone[0])} it is {points(-least.loss)}"
    text += "."
    if verdict.miss is not None:
        text += (
            f" The mean over {count(len(verdict.subsets), 'subset')} of the sensors (MISS) is {percent(verdict.miss)}."
        )
    return Answer(question, f"{lost}: {points(-worst.loss)} points", text)


def _what_was_missing(verdict: Verdict) -> Answer:
    question, lacks = "What was missing?", list(_lacks(verdict))
    if not lacks:
        text = "Nothing: the recordings are whole, and every sensor took part in every output."
        return Answer(question, "Nothing", text, GOOD)
    short = lacks[0][0].upper() + lacks[0][1:]
    return Answer(question, short, f"Also: {'; '.join(lacks[1:])}." if lacks[1:] else "Nothing else.", WARN)


def _lacks(verdict: Verdict) -> Iterator[str]:
    """List what was missing, the gravest first."""
    damaged = [bag for bag in verdict.bags if not bag.whole]
    if damaged:
        yield (
            "the recording is damaged"
            if len(verdict.bags) == 1
            else f"{len(damaged)} of {len(verdict.bags)} recordings damaged"
        )
    yield from _missing_sensors(verdict.bags)
    without = [bag for bag in verdict.bags if bag.truth.kind == "none"]
    if without and len(without) < len(verdict.bags):
        yield f"no truth for {len(without)} of {len(verdict.bags)} recordings"
    elif without:
        yield "no truth"
    refused = sum(row.refused for bag in verdict.bags for row in bag.sensors)
    if refused:
        yield f"{count(refused, 'message')} could not be read"


def _missing_sensors(bags: Sequence[BagVerdict]) -> Iterator[str]:
    """Say in which share of the outputs each sensor was missing, and the reason met most."""
    outputs = sum(bag.outputs for bag in bags)
    absent: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for bag in bags:
        for row in bag.sensors:
            absent[row.modality].update(row.absent)
    for modality, reasons in sorted(absent.items(), key=lambda item: -item[1].total()):
        share = reasons.total() / outputs if outputs else 0.0
        if share >= _RARELY:
            reason = reasons.most_common(1)[0][0]
            yield f"{sensor(modality)} in {percent(min(share, 1.0), 0)} of the outputs ({REASONS.get(reason, reason)})"


def notes(verdict: Verdict) -> list[tuple[str, str]]:
    """Collect what a reader has to know before believing the numbers, as (recording or empty, text)."""
    found = []
    if not verdict.model.weights_sha256:
        found.append(
            ("", "These labels mean nothing: the weights are untrained. The scores say nothing about the method.")
        )
    for bag in verdict.bags:
        if not bag.whole:
            found.append((bag.name, "The recording is cut off or damaged; it was read as far as it goes."))
        if not bag.outputs:
            found.append((bag.name, "No output came of this recording."))
        found += [(bag.name, text) for text in bag.notes]
        if bag.truth.note:
            found.append((bag.name, f"Truth: {bag.truth.note}"))
        if bag.outputs and bag.timing.realtime < 1:
            slow = number(bag.timing.realtime)
            found.append(
                (bag.name, f"Replayed at {slow} times real time: a node on this machine would have skipped frames.")
            )
    return found


def confusions(scores: Scores, names: dict[int, str], at_most: int = 12) -> list[tuple[str, str, float, int]]:
    """List the largest mistakes as (true class, taken for, share of the true class's pixels, pixels)."""
    found = [
        (names.get(true, str(true)), names.get(taken, "unlabelled"), pixels / sum(row), pixels)
        for true, row in enumerate(scores.confusion)
        for taken, pixels in enumerate(row)
        if true != taken and pixels
    ]
    return sorted(found, key=lambda one: -one[3])[:at_most]


def used_together(bag: BagVerdict) -> list[tuple[str, int]]:
    """Count outputs by the sensors that served them, the most frequent first."""
    return Counter(sensors(row.used) for row in bag.frames).most_common()
