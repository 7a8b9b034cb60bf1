# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""A node fed at the sensors' rates for long while they fail at random: does anything grow, slow down or stand still."""

from __future__ import annotations

import faulthandler
import gc
import itertools
import os
import resource
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from tqdm import tqdm

from any2seg_core.frames import SensorFrame
from any2seg_sim.trial.bench import open_bench
from any2seg_sim.trial.row import steps_back
from any2seg_sim.trial.storm import Storm

if TYPE_CHECKING:
    from any2seg_sim.trial.bench import Bench
    from any2seg_sim.trial.ear import Output
    from any2seg_sim.trial.player import Drive

STRETCH_S: Final = 20.0
"""Faults are drawn anew this often."""
SAMPLES: Final = 100
SHORTEST_SAMPLE_S: Final = 1.0
WARM_UP: Final = 0.2
"""Share of the time after which memory must not grow any more."""
COMPARED: Final = 0.1
"""Share of the time over which memory is looked at, after the warm-up and at the end."""
JUMP_AFTERMATH_S: Final = 3.0
"""A jump of stamps may be felt for so long: two seconds of event packets may wait in front of a busy node."""
LONGEST_SILENCE_S: Final = 10.0
UNANSWERED: Final = 200
"""Without an output for so long and so many messages, though sensors come back within 4 s, the node stands still."""
MOST_GROWTH: Final = 0.02
MOST_SLOWDOWN, SLOWDOWN_MS = 1.5, 20.0
"""The last third's median latency may be the first third's times this, and so much more."""
MOST_FRAMES, FRAMES = 1.5, 30
"""Likewise for the number of frames held."""


@dataclass(frozen=True)
class SoakSettings:
    """How long, which faults (a seed), and the node's input size."""

    seconds: float
    fault_seed: int = 0
    short_side_px: int = 64


@dataclass(frozen=True)
class Sample:
    """State so many seconds after the start: memory of this process, frames held by anybody, the machine's load."""

    second: float
    rss_bytes: int
    frames_held: int
    load: float


@dataclass
class SoakReport:
    """What was seen.

    Attributes:
        expected: camera images sent.
        outputs: label images heard.
        faults: how often each kind of fault was drawn.
        longest_silence_s: longest time without an output.
        first_third_ms, last_third_ms: p50 and p95 of the time from sending a camera image to hearing its label image,
            where nothing failed just then.
        rss_mb: after the warm-up and at the end.
        growth: the one over the other, less 1.
        frames_held: most frames held at once, in the first and in the last third.
        samples: states over time.
        problems: all that must not be.
    """

    expected: int = 0
    outputs: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    longest_silence_s: float = 0.0
    first_third_ms: tuple[float, float] = (0.0, 0.0)
    last_third_ms: tuple[float, float] = (0.0, 0.0)
    rss_mb: tuple[float, float] = (0.0, 0.0)
    growth: float = 0.0
    frames_held: tuple[int, int] = (0, 0)
    samples: list[Sample] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """Say it in a line."""
        (p50, p95), (late_p50, late_p95) = self.first_third_ms, self.last_third_ms
        seconds = self.samples[-1].second if self.samples else 0.0
        load = max((sample.load for sample in self.samples), default=0.0)
        return (
            f"soak of {seconds / 60:.1f} min, {sum(self.faults.values())} faults: "
            f"{'; '.join(self.problems) or 'passed'}; memory {self.rss_mb[0]:.0f} -> {self.rss_mb[1]:.0f} MB "
            f"({self.growth:+.2%}), latency p50/p95 {p50:.0f}/{p95:.0f} -> {late_p50:.0f}/{late_p95:.0f} ms, "
            f"frames held {self.frames_held[0]} -> {self.frames_held[1]}, {self.outputs} outputs for {self.expected} "
            f"images, longest silence {self.longest_silence_s:.1f} s, machine's load up to {load:.1f}"
        )


def soak(drive: Drive, namespace: str, settings: SoakSettings, *, progress: bool = False) -> SoakReport:
    """Feed a node of this process and look at it; needs an initialised rclpy.

    Raises:
        TrialError: the node does not start.
    """
    overrides = {"diagnostics.period_s": 1.0, "inference.short_side_px": settings.short_side_px}
    with (
        open_bench(drive, namespace, overrides) as bench,
        tqdm(total=round(settings.seconds), desc="soak", unit="s", disable=not progress) as bar,
    ):
        bench.settle()
        watch = _Watch(bench, settings, bar)
        watch.run()
        return watch.judged()


class _Watch:
    """Plays stretches of time with faults, and keeps figures of them."""

    def __init__(self, bench: Bench, settings: SoakSettings, bar: tqdm[None]) -> None:
        self._bench, self._settings, self._bar = bench, settings, bar
        self._report = SoakReport()
        self._latencies: list[tuple[float, float]] = []
        self._faults: Counter[str] = Counter()
        self._period_s = max(settings.seconds / SAMPLES, SHORTEST_SAMPLE_S)
        self._own_frames = len(bench.player.drive.readings)
        self._began = self._sampled = self._heard = time.monotonic()
        self._sent = bench.player.sent
        self._last: Output | None = None
        self._stuck = False

    def run(self) -> None:
        """Play all stretches, unless the node stands still."""
        player, number = self._bench.player, 0
        while not self._stuck and (left_s := self._settings.seconds - self._second()) > 0:
            storm = Storm((self._settings.fault_seed, number), STRETCH_S)
            begin_ns = player.now_ns()
            until_ns = begin_ns + round(min(left_s, STRETCH_S) * 1e9)
            player.play(until_ns, faults=storm.script, spoil=storm.spoil(begin_ns), over=self._look)
            self._faults += storm.drawn
            self._gather(storm, begin_ns)
            number += 1

    def _second(self) -> float:
        return time.monotonic() - self._began

    def _look(self) -> bool:
        """Take a sample if it is time; True if the node stands still."""
        now = time.monotonic()
        if self._bench.ear.outputs:
            self._note_silence(self._bench.ear.outputs[-1].heard_ns * 1e-9)
        if now - self._sampled >= self._period_s:
            self._sampled = now
            held = list(map(type, gc.get_objects())).count(SensorFrame) - self._own_frames
            self._report.samples.append(Sample(round(self._second(), 1), _rss_bytes(), held, os.getloadavg()[0]))
            self._bar.update(round(self._second()) - self._bar.n)
        if now - self._heard > LONGEST_SILENCE_S and self._bench.player.sent - self._sent > UNANSWERED:
            self._stuck = True
            self._report.problems.append(f"no output for {LONGEST_SILENCE_S:.0f} s: stacks on stderr")
            faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
        return self._stuck

    def _note_silence(self, heard: float) -> None:
        self._report.longest_silence_s = max(self._report.longest_silence_s, heard - self._heard)
        if heard > self._heard:
            self._heard, self._sent = heard, self._bench.player.sent

    def _gather(self, storm: Storm, begin_ns: int) -> None:
        """Take over what was heard in a stretch, and forget it."""
        player, ear = self._bench.player, self._bench.ear
        outputs = list(ear.outputs)
        ear.clear()
        self._report.outputs += len(outputs)
        for earlier, later in itertools.pairwise([*filter(None, [self._last]), *outputs]):
            # A node that is kept from running feels a jump by so much later.
            moment_s = (later.heard_ns - player.steady_ns(begin_ns)) * 1e-9
            if not storm.jumped_at(moment_s, JUMP_AFTERMATH_S + self._report.longest_silence_s):
                self._report.problems += steps_back([earlier, later], jumps=True)
        self._last = outputs[-1] if outputs else self._last
        for output in outputs:
            moment_s = (output.stamp_ns - begin_ns) * 1e-9
            if output.stamp_ns in player.sent_ns and storm.sound_at(moment_s):
                latency_ns = output.heard_ns - player.sent_ns[output.stamp_ns]
                self._latencies.append((output.heard_ns * 1e-9 - self._began, latency_ns / 1e6))
        self._report.expected += len(player.sent_ns)
        player.sent_ns.clear()

    def judged(self) -> SoakReport:
        """Sum up, and name what must not be."""
        report, seconds = self._report, self._second()
        report.faults = dict(sorted(self._faults.items()))
        thirds = [[ms for at, ms in self._latencies if low <= at < high] for low, high in _thirds(seconds)]
        report.first_third_ms, report.last_third_ms = (_percentiles(third) for third in (thirds[0], thirds[-1]))
        held = [[s.frames_held for s in report.samples if low <= s.second < high] for low, high in _thirds(seconds)]
        report.frames_held = max(held[0], default=0), max(held[-1], default=0)
        warm = [s.rss_bytes for s in report.samples if WARM_UP <= s.second / seconds < WARM_UP + COMPARED]
        end = [s.rss_bytes for s in report.samples if s.second / seconds >= 1 - COMPARED]
        if warm and end:
            before, after = float(np.median(warm)), float(np.median(end))
            report.rss_mb, report.growth = (before / 1e6, after / 1e6), after / before - 1
        report.problems += grown(report)
        return report


def grown(report: SoakReport) -> list[str]:
    """Name what grew by too much."""
    problems = []
    if report.growth > MOST_GROWTH:
        problems.append(f"memory grew by {report.growth:.1%}")
    if report.last_third_ms[0] > MOST_SLOWDOWN * report.first_third_ms[0] + SLOWDOWN_MS:
        problems.append("outputs came later in the end")
    if report.frames_held[1] > MOST_FRAMES * report.frames_held[0] + FRAMES:
        problems.append("more frames were held in the end")
    if not report.outputs:
        problems.append("no output came")
    return problems


def _thirds(seconds: float) -> list[tuple[float, float]]:
    return [(seconds * part / 3, seconds * (part + 1) / 3) for part in range(3)]


def _percentiles(values: list[float]) -> tuple[float, float]:
    """Give p50 and p95, or zeros where there is nothing."""
    low, high = np.percentile(values, [50, 95]) if values else (0.0, 0.0)
    return float(low), float(high)


def _rss_bytes() -> int:
    """Resident memory of this process, as Linux tells it."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()
