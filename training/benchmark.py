# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Time any2seg against plain counterparts, check that both agree, and write out/bench.json.

Run: python training/benchmark.py --out out/bench.json [--quick] [--only segment,scaling]
Groups that are left out keep the results of the file that is there, each result with the machine it was taken on.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from bench_measure import METHOD, machine, measure
from node_benchmark import SENSORS, latency_benchmark, overhead_benchmark
from scaling_benchmark import scaling_benchmark
from segment_benchmark import segment_benchmark
from simulator_benchmark import simulator_benchmark
from step_benchmark import FULL, QUICK, evaluate_case, label_cases, prepare_cases
from tqdm import tqdm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


def steps(cases: Callable[..., Iterable[Any]]) -> Callable[..., Iterator[dict[str, Any]]]:
    """Make a group of cases that are measured alike."""

    def run(bar: tqdm[Any], *, quick: bool) -> Iterator[dict[str, Any]]:
        for case in cases(QUICK if quick else FULL):
            yield measure(case, 2 if quick else 15, bar)

    return run


def simulate(bar: tqdm[Any], *, quick: bool) -> Iterator[dict[str, Any]]:
    """Time the simulator."""
    yield simulator_benchmark(1, side=64) if quick else simulator_benchmark(5, side=512)
    bar.update()


def node(bar: tqdm[Any], *, quick: bool) -> Iterator[dict[str, Any]]:
    """Time what the node adds to inference, and camera images to labels over DDS with 1 to 4 sensors."""
    if importlib.util.find_spec("rclpy") is None:
        bar.write("node: found no rclpy, so it is not timed; source ROS 2 or pip install any2seg[ros]")
        return
    small = {"side": 64, "points": 500, "events": 500} if quick else {}
    yield overhead_benchmark(2, **small) if quick else overhead_benchmark()
    bar.update()
    for count in (4,) if quick else (1, 2, 3, 4):
        brief: dict[str, Any] = {"model_px": 32, "rates_hz": (5.0, 10.0), "seconds": 1.0, **small} if quick else {}
        yield latency_benchmark(SENSORS[:count], **brief)
        bar.update()


THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

GROUPS: Final[dict[str, Callable[..., Iterator[dict[str, Any]]]]] = {
    "prepare": steps(prepare_cases),
    "label_output": steps(label_cases),
    "segment": segment_benchmark,
    "node": node,
    "evaluate": steps(evaluate_case),
    "scaling": scaling_benchmark,
    "simulate": simulate,
}
"""What can be timed, in the order in which it is: each takes a progress bar and `quick`, and gives results."""


def group_of(result: dict[str, Any]) -> str:
    """Name the group of a result."""
    return str(result["case"]).split(":", 1)[0]


def show(results: list[dict[str, Any]]) -> None:
    """Print a short table; CPU milliseconds where they were taken."""
    for result in results:
        if "ways" not in result:
            line = result["line"]
            print(f"{result['case']}: {line['slope_ms']:.3g} ms each, straight to {line['largest_miss']:.0%}")
            continue
        print(f"{result['case']}  (answers agree on {result['agreement']:.4%})")
        clock, ratio = ("cpu_ms", "speedup_cpu") if "speedup_cpu" in result else ("wall_ms", "speedup")
        for name, way in result["ways"].items():
            times = way[clock]
            print(f"  {name:44}{times['median']:10.2f} ms  ({times['min']:.2f} to {times['max']:.2f})", end="")
            print(f"{result[ratio][name]:8.2f}x")


def earlier(path: Path, chosen: list[str], *, quick: bool) -> list[dict[str, Any]]:
    """Results of other groups from the report that is there, if it was taken alike."""
    if not path.is_file():
        return []
    report = json.loads(path.read_text(encoding="utf-8"))
    if report.get("quick") != quick:
        return []
    return [result for result in report["results"] if group_of(result) not in chosen and "machine" in result]


def alone() -> None:
    """Start again with every library on one thread, unless that is so: NumPy's only looks when it is imported."""
    if any(os.environ.get(name) != "1" for name in THREADS):
        environment = os.environ | dict.fromkeys(THREADS, "1")
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606  itself


def main() -> None:
    """Run the chosen groups and write the report after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("out/bench.json"), help="report to write (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="tiny inputs: checks that it runs, the times mean nothing")
    parser.add_argument("--only", default=",".join(GROUPS), help="groups to time, by comma (%(default)s)")
    arguments = parser.parse_args()
    chosen = arguments.only.split(",")
    unknown = [name for name in chosen if name not in GROUPS]
    if unknown:
        parser.error(f"found groups {', '.join(unknown)}, expected some of {', '.join(GROUPS)}")
    torch.set_num_threads(1)
    results = earlier(arguments.out, chosen, quick=arguments.quick)
    with tqdm(desc="benchmark", unit="round") as bar:
        for name in chosen:
            bar.set_postfix_str(name)
            before = machine()
            for result in GROUPS[name](bar, quick=arguments.quick):
                results.append({**result, "machine": before})
                write(arguments.out, results, quick=arguments.quick)
    show([result for result in results if group_of(result) in chosen])
    print(f"Written to {arguments.out}")


def write(path: Path, results: list[dict[str, Any]], *, quick: bool) -> None:
    """Write the report, whole or not at all, groups in their order."""
    order = list(GROUPS)
    ordered = sorted(results, key=lambda result: order.index(group_of(result)))
    report = {"method": METHOD, "quick": quick, "results": ordered}
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    unfinished.replace(path)


if __name__ == "__main__":
    alone()
    main()
