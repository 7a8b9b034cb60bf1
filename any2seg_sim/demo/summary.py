# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The numbers of a demo run, all of them derived from its record, and their JSON."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from any2seg_core.config import UNTRAINED
from any2seg_core.frames import subset_key
from any2seg_core.metrics import AbsentClasses, ConfusionMatrix
from any2seg_sim.demo.record import DemoRecord, Interval, read_picture

SCHEMA_VERSION = 1
NO_OUTPUT, NEVER_STOPPED, STOPPED = "no_output", "never_stopped", "stopped"


@dataclass(frozen=True)
class SubsetScore:
    """How right the labels were that came from one set of sensors.

    Attributes:
        frames: label images that could be scored, having a truth.
        miou: mean IoU over all their pixels in one confusion matrix, under the report's policy; None without truth.
        pixel_accuracy: part of the scored pixels that is right; None without truth.
    """

    frames: int
    miou: float | None
    pixel_accuracy: float | None


@dataclass(frozen=True)
class Latency:
    """Percentiles of the outputs' latencies, milliseconds, interpolated linearly; None without outputs."""

    p50: float | None
    p95: float | None


@dataclass(frozen=True)
class DemoReport:
    """Everything that report.json holds.

    Attributes:
        schema_version: raised when a field changes its meaning.
        verdict: "never_stopped" when silent_gaps_s is at most silence_limit_s, else "stopped"; "no_output" when
            not one label image came out.
        weights: name of the weights, or "untrained"; then miou_by_subset says nothing about the method.
        frames_in: messages published, by sensor.
        frames_out: label images received.
        outputs_by_modalities: label images by the set of sensors that they were made from ("rgb+depth+lidar").
        outputs_by_anchor: label images by the sensor that gave stamp and size.
        silent_gaps_s: the longest time without an output while any sensor lived, seconds, counted from the
            moment at which the first sensor came alive and up to the moment at which the last one died.
        silent_gap: [start, end] of that time; None when no sensor ever lived.
        silence_limit_s: limit that the verdict was made with.
        first_output_s: when the first label image arrived; None without one.
        blind_s: time during which no sensor lived at all; silence is expected then.
        latency_ms: from publishing the anchor's message to receiving the labels.
        dropped: messages that led to nothing, by reason.
        miou_policy: what absent classes do to the mean (any2seg_core.metrics.AbsentClasses).
        miou_by_subset: scores by the set of sensors used.
        duration_s: length of the play.
        timeline: "alive": for each sensor its [start, end] intervals; "faults": what was done to the sensors.
        command, seed, started_utc, settings: how to repeat the run.
        machine, versions: where it ran.
        files: the files beside report.json, by what they show; null for one that could not be made.
    """

    verdict: str
    weights: str
    frames_in: dict[str, int]
    frames_out: int
    outputs_by_modalities: dict[str, int]
    outputs_by_anchor: dict[str, int]
    silent_gaps_s: float
    silent_gap: Interval | None
    silence_limit_s: float
    first_output_s: float | None
    blind_s: float
    latency_ms: Latency
    dropped: dict[str, int]
    miou_policy: str
    miou_by_subset: dict[str, SubsetScore]
    duration_s: float
    timeline: dict[str, Any]
    command: str
    seed: int
    started_utc: str
    settings: dict[str, Any]
    machine: dict[str, str]
    versions: dict[str, str]
    files: dict[str, str | None] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    @property
    def untrained(self) -> bool:
        """Whether the labels come from weights that were never trained."""
        return self.weights == UNTRAINED

    def to_json(self) -> dict[str, Any]:
        """Describe the report in plain JSON types."""
        return asdict(self)


def summarise(record: DemoRecord, *, policy: AbsentClasses = AbsentClasses.PRESENT) -> DemoReport:
    """Work out every number of the report from the record.

    Raises:
        FrameError: a picture cannot be read, or labels and truth differ in size or hold unknown ids.
    """
    gap = max(silences(record), key=lambda wait: wait[1] - wait[0], default=None)
    silent_s = gap[1] - gap[0] if gap else 0.0
    return DemoReport(
        verdict=_verdict(record, silent_s),
        weights=record.weights,
        frames_in={modality.value: record.frames_in.get(modality, 0) for modality in record.sensors},
        frames_out=len(record.outputs),
        outputs_by_modalities=dict(Counter(subset_key(output.used) for output in record.outputs).most_common()),
        outputs_by_anchor=dict(Counter(output.anchor.value for output in record.outputs).most_common()),
        silent_gaps_s=silent_s,
        silent_gap=gap,
        silence_limit_s=record.silence_limit_s,
        first_output_s=record.outputs[0].received_s if record.outputs else None,
        blind_s=record.duration_s - sum(end - start for start, end in record.lively_intervals()),
        latency_ms=_latency(record),
        dropped=dict(record.dropped),
        miou_policy=policy.value,
        miou_by_subset=_scores(record, policy),
        duration_s=record.duration_s,
        timeline={
            "alive": {sensor.value: [list(part) for part in record.alive.get(sensor, ())] for sensor in record.sensors},
            "faults": [{**asdict(fault), "modality": fault.modality.value} for fault in record.faults],
        },
        command=record.command,
        seed=record.seed,
        started_utc=record.started_utc,
        settings=dict(record.settings),
        machine=dict(record.machine),
        versions=dict(record.versions),
    )


def silences(record: DemoRecord) -> list[Interval]:
    """Cut the time in which any sensor lived at every output; the pieces are the waits for the next output."""
    received_s = [output.received_s for output in record.outputs]
    waits: list[Interval] = []
    for start, end in record.lively_intervals():
        edges = [start, *(moment for moment in received_s if start < moment < end), end]
        waits += itertools.pairwise(edges)
    return waits


def _verdict(record: DemoRecord, silent_s: float) -> str:
    if not record.outputs:
        return NO_OUTPUT
    return NEVER_STOPPED if silent_s <= record.silence_limit_s else STOPPED


def _latency(record: DemoRecord) -> Latency:
    if not record.outputs:
        return Latency(None, None)
    p50, p95 = np.percentile([output.latency_ms for output in record.outputs], (50, 95))
    return Latency(float(p50), float(p95))


def _scores(record: DemoRecord, policy: AbsentClasses) -> dict[str, SubsetScore]:
    matrices: defaultdict[str, ConfusionMatrix] = defaultdict(lambda: ConfusionMatrix(record.classes))
    scored: Counter[str] = Counter()
    for output in record.outputs:
        matrix = matrices[subset_key(output.used)]
        if output.truth is not None:
            matrix.update(read_picture(output.labels), read_picture(output.truth))
            scored[subset_key(output.used)] += 1
    return {
        key: SubsetScore(scored[key], _defined(matrix.miou(policy), matrix), _defined(matrix.pixel_accuracy(), matrix))
        for key, matrix in matrices.items()
    }


def _defined(score: float, matrix: ConfusionMatrix) -> float | None:
    return score if matrix.pixels and not math.isnan(score) else None


def summary_table(report: DemoReport) -> str:
    """Lay the report out as a short table for a terminal, at most 78 columns wide."""
    lines = [
        _headline(report),
        f"  frames in       {', '.join(f'{name} {count}' for name, count in report.frames_in.items()) or 'none'}",
        f"  labels out      {report.frames_out} in {report.duration_s:.1f} s",
        f"  longest silence {report.silent_gaps_s:.2f} s while any sensor lived",
        f"  latency         p50 {_ms(report.latency_ms.p50)}, p95 {_ms(report.latency_ms.p95)}",
        f"  dropped         {', '.join(f'{count} {why}' for why, count in report.dropped.items()) or 'nothing'}",
        f"  weights         {report.weights}",
    ]
    if report.outputs_by_modalities:
        lines += ["", f"  {'sensors used':<32}{'labels':>8}{'mIoU':>8}{'accuracy':>10}"]
        lines += [
            f"  {key or 'none':<32}{count:>8}{_percent(score.miou):>8}{_percent(score.pixel_accuracy):>10}"
            for key, count in report.outputs_by_modalities.items()
            for score in (report.miou_by_subset[key],)
        ]
        lines.append(f"  mIoU over classes: policy '{report.miou_policy}'; accuracy: of pixels")
    if report.untrained:
        lines.append("  The weights are untrained: the labels mean nothing yet.")
    return "\n".join(lines)


def _headline(report: DemoReport) -> str:
    return {
        NO_OUTPUT: "No output: not one label image came out.",
        NEVER_STOPPED: "Output never stopped.",
        STOPPED: f"Output stopped for {report.silent_gaps_s:.2f} s (limit {report.silence_limit_s:g} s).",
    }[report.verdict]


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}%"
