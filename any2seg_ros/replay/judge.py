# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Judges outputs one by one: against the truth, against what fewer sensors say, against the output before."""

from __future__ import annotations

import heapq
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from any2seg_core.errors import CalibrationError, FrameError
from any2seg_core.evaluator.subsets import all_subsets
from any2seg_core.frames import UNLABELLED, FrameSet, in_canonical_order, subset_key
from any2seg_core.metrics import AbsentClasses, ConfusionMatrix
from any2seg_ros.replay.drawing import jpeg, overlaid, side_by_side, write_bytes
from any2seg_ros.replay.tally import Tally
from any2seg_ros.replay.verdict import FrameRow, Picture

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from any2seg_core.frames import Modality
    from any2seg_core.inference import Segmenter
    from any2seg_ros.pipeline import Answer
    from any2seg_ros.replay.settings import ReplaySettings
    from any2seg_ros.replay.truth import Truth

_FLICKER_NS = 1_000_000_000
"""Outputs farther apart than this are no neighbours."""


@dataclass(order=True)
class _Shot:
    """A picture and how bad its output is; the heap's first is the least bad."""

    badness: float
    number: int
    row: FrameRow = field(compare=False)
    image: bytes = field(compare=False)


class Judge:
    """Counts what outputs are worth.

    Args:
        segmenter: the model, which still holds the encoded maps of the output that is judged.
        truth: what is true.
        settings: what to judge.
        start_ns: stamp that times are counted from.
        prefix: of the pictures' names.
        folder: where pictures go.

    Attributes:
        tally: the counts.
        rows: a row per output.
        compared: outputs that there was truth for.
        spent_ns: time that the subsets took for each output.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        truth: Truth,
        settings: ReplaySettings,
        *,
        start_ns: int,
        prefix: str,
        folder: Path,
    ) -> None:
        self.tally = Tally(segmenter.classes)
        self.rows: list[FrameRow] = []
        self.compared = 0
        self.spent_ns: list[int] = []
        self._segmenter, self._truth, self._settings = segmenter, truth, settings
        self._start_ns, self._prefix, self._folder = start_ns, prefix, folder
        self._before: Answer | None = None
        self._shots: list[_Shot] = []

    def judge(self, answer: Answer, log_ns: int) -> None:
        """Judge an output.

        Raises:
            FrameError: the truth holds ids that the model lacks.
        """
        labels = answer.labels
        truth = self._truth.of(labels, answer.frames)
        condition = self._condition((log_ns - self._start_ns) / 1e9)
        miou = None if truth is None else self._compare(labels.labels, truth, condition)
        changed = self._changed(answer)
        confidence = float(labels.confidence.mean(dtype=np.float64))
        self.tally.confidence.append(confidence)
        self.tally.unlabelled.add(int((labels.labels == UNLABELLED).sum()), labels.labels.size)
        self.rows.append(
            FrameRow(
                t_s=(log_ns - self._start_ns) / 1e9,
                stamp_ns=labels.stamp_ns,
                anchor=labels.anchor.value,
                used=[modality.value for modality in labels.used],
                condition=condition,
                miou=miou,
                confidence=confidence,
                changed=changed,
            )
        )
        if self._settings.subsets:
            self._score_subsets(answer, truth)
        self._draw(answer, truth)
        self._before = answer

    def finish(self) -> list[Picture]:
        """Write the pictures of the worst outputs, worst first."""
        pictures = []
        for place, shot in enumerate(sorted(self._shots, reverse=True)):
            name = f"pictures/{self._prefix}-{place + 1:02d}.jpg"
            write_bytes(self._folder / name, shot.image)
            row = shot.row
            why = "lowest confidence" if row.miou is None else "lowest mIoU"
            pictures.append(
                Picture(t_s=row.t_s, stamp_ns=row.stamp_ns, why=why, miou=row.miou, used=row.used, file=name)
            )
        return pictures

    def _condition(self, t_s: float) -> str:
        return next(
            (name for name, spans in self._settings.ranges.items() if any(low <= t_s < high for low, high in spans)),
            "",
        )

    def _compare(self, labels: NDArray[np.uint8], truth: NDArray[np.uint8], condition: str) -> float | None:
        matrix = ConfusionMatrix(self._segmenter.classes)
        matrix.update(labels, truth)
        self.tally.count("", matrix)
        if condition:
            self.tally.count(f"condition {condition}", matrix)
        self.compared += 1
        miou = matrix.miou(AbsentClasses.PRESENT)
        return None if np.isnan(miou) else float(miou)

    def _changed(self, answer: Answer) -> float | None:
        """Share of pixels that are labelled otherwise than one output before."""
        before, now = self._before, answer.labels
        if (
            before is None
            or before.labels.labels.shape != now.labels.shape
            or not 0 < now.stamp_ns - before.labels.stamp_ns <= _FLICKER_NS
        ):
            return None
        count = int((before.labels.labels != now.labels).sum())
        self.tally.changed.add(count, now.labels.size)
        return count / now.labels.size

    def _score_subsets(self, answer: Answer, truth: NDArray[np.uint8] | None) -> None:
        """Label the same frames with fewer sensors; each frame was encoded already."""
        begun_ns = time.perf_counter_ns()
        whole = answer.labels
        for subset in all_subsets(whole.used):
            found = whole.labels if subset == whole.used else self._with(answer.frames, subset, whole.labels.shape)
            if found is None:
                continue
            key = subset_key(subset)
            self.tally.agree(key, int((found == whole.labels).sum()), found.size)
            if truth is not None:
                matrix = ConfusionMatrix(self._segmenter.classes)
                matrix.update(found, truth)
                self.tally.count(f"subset {key}", matrix)
        self.spent_ns.append(time.perf_counter_ns() - begun_ns)

    def _with(self, frames: FrameSet, subset: tuple[Modality, ...], size: tuple[int, ...]) -> NDArray[np.uint8] | None:
        """Labels from some of the frames, seen as all of them were; None where they alone give none."""
        anchor = frames.anchor if frames.anchor in subset else in_canonical_order(subset)[0]
        part = {modality: frames.frames[modality] for modality in subset}
        try:
            labels = self._segmenter.segment(replace(frames, anchor=anchor, frames=part)).labels
        except (FrameError, CalibrationError):
            return None
        return labels if labels.shape == size else None

    def _draw(self, answer: Answer, truth: NDArray[np.uint8] | None) -> None:
        row = self.rows[-1]
        if self._settings.film:
            name = f"film/{self._prefix}-{len(self.rows):06d}.jpg"
            write_bytes(self._folder / name, jpeg(overlaid(answer)))
        if not self._settings.pictures:
            return
        badness = -(row.confidence if row.miou is None else row.miou)
        if len(self._shots) < self._settings.pictures:
            heapq.heappush(self._shots, _Shot(badness, -len(self.rows), row, jpeg(side_by_side(answer, truth))))
        elif badness > self._shots[0].badness:
            heapq.heapreplace(self._shots, _Shot(badness, -len(self.rows), row, jpeg(side_by_side(answer, truth))))
