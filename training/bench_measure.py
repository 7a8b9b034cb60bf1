# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""How the benchmarks time: several ways to one answer, in turn, after their answers were compared."""

from __future__ import annotations

import os
import platform
import statistics
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from tqdm import tqdm

METHOD: Final = (
    "Made-up inputs, random weights. Every way of a case runs once unmeasured (compilation, caches), then all ways in "
    "turn, round after round, each library on one thread. Wall and process CPU milliseconds (all threads) per call: "
    "median, min, max over rounds. Speedup: median wall of the first way over that of this one; speedup_cpu: the same "
    "of CPU time, which other load on the machine disturbs least. Before timing, the answers are compared: agreement "
    "is the smallest share of values that are equal (to 1e-5), zeros in both left out."
)
AGREEMENT: Final = 0.995
"""Least share of equal answers. Rounding moves some points to the next cell and decides ties between classes."""


@dataclass(frozen=True)
class Case:
    """Several ways to one answer.

    Attributes:
        name: group and what is done.
        ways: the plain ones first; each is given the number of the round. The answer of "any2seg" is the one compared.
        same: share of equal values in two answers, in [0, 1].
        lesser: ways that do only part of the work, as a measure of it; their answers are not compared.
        rough: ways in reduced precision, whose agreement is told but not asked for.
        notes: more to report.
    """

    name: str
    ways: dict[str, Callable[[int], Any]]
    same: Callable[[Any, Any], float]
    lesser: tuple[str, ...] = ()
    rough: tuple[str, ...] = ()
    notes: dict[str, Any] = field(default_factory=dict)


def drawn_alike(one: Any, other: Any) -> float:
    """Share of values that are equal, of those that are not zero in both."""
    one, other = np.asarray(one), np.asarray(other)
    drawn = (one != 0) | (other != 0)
    return float(np.isclose(one[drawn], other[drawn], atol=1e-5).mean()) if drawn.any() else 1.0


def measure(case: Case, rounds: int, bar: tqdm[Any]) -> dict[str, Any]:
    """Compare the answers, then time all ways of a case in turn.

    Raises:
        SystemExit: the answers do not agree.
    """
    answers = {name: way(0) for name, way in case.ways.items()}
    shares = {
        name: case.same(answer, answers["any2seg"]) for name, answer in answers.items() if name not in case.lesser
    }
    agreement = min(share for name, share in shares.items() if name not in case.rough)
    if not agreement >= AGREEMENT:
        msg = f"{case.name}: the answers agree on {agreement:.4f} of the values, expected {AGREEMENT}; nothing is timed"
        raise SystemExit(msg)
    wall: dict[str, list[float]] = {name: [] for name in case.ways}
    cpu: dict[str, list[float]] = {name: [] for name in case.ways}
    for index in range(1, rounds + 1):
        for name, way in case.ways.items():
            wall_ms, cpu_ms = timed(lambda way=way, index=index: way(index))
            wall[name].append(wall_ms)
            cpu[name].append(cpu_ms)
        bar.update()
    ways = {name: {"wall_ms": summary(wall[name]), "cpu_ms": summary(cpu[name])} for name in case.ways}
    return {
        "case": case.name,
        "agreement": agreement,
        "agreements": shares,
        "ways": ways,
        "speedup": speedup(ways, "wall_ms"),
        "speedup_cpu": speedup(ways, "cpu_ms"),
        **case.notes,
    }


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Give wall and CPU milliseconds of a call."""
    start, busy = time.perf_counter(), time.process_time()
    work()
    return 1e3 * (time.perf_counter() - start), 1e3 * (time.process_time() - busy)


def speedup(ways: dict[str, Any], clock: str) -> dict[str, float]:
    """How many times the first way's median each way's goes into."""
    first = next(iter(ways.values()))[clock]["median"]
    return {name: first / way[clock]["median"] for name, way in ways.items()}


def summary(values: list[float]) -> dict[str, float]:
    """Median, min and max."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def machine() -> dict[str, Any]:
    """Describe what the figures were taken on."""
    cpu_info = Path("/proc/cpuinfo")
    lines = cpu_info.read_text(encoding="utf-8").splitlines() if cpu_info.is_file() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "load_average": os.getloadavg(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("torch", "numpy", "numba", "transformers")},
        "utc": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
