# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Write docs/performance.md and its plots from the report of training/benchmark.py.

Run: python training/performance_page.py out/bench.json --out docs [--checks CHECKPOINT/onnx/check_*.json]
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
from benchmark import group_of
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter
from segment_benchmark import NEW, PLAIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

GOALS: Final = {"mit_b0": (2.2, 8.0, 20.0), "mit_b2": (1.8, 6.0, 15.0)}
"""To be reached at 512x512, in times the plain way: torch in float32, the fastest backend, that with 1 of 4 new."""
STEP_GOALS: Final = {
    "prepare: LiDAR": 3.5,
    "voxel": 4.0,
    "histogram": 50.0,
    "picture": 2.0,
    "node: 4 messages": 6.7,
    "simulate": 4.0,
}
"""Words in a case's name, and how many times as fast as its plain way any2seg is to be."""
PLOTS: Final = {"segment": "performance_segment.svg", "scaling": "performance_scaling.svg"}

INTRODUCTION: Final = """# Performance

Written by `python training/performance_page.py out/bench.json --out docs` from the report of

    make bench        # all of it, twenty minutes on two cores; figures in out/bench.json
    python training/benchmark.py --only segment,scaling

`training/benchmark.py` times any2seg against the plain way to the same answer (`training/baselines.py`), and refuses to
time two sides that do not agree.
"""
METHOD: Final = """
## How it was measured

Each way of a case runs once unmeasured, then all ways take turns, round after round, in one process, every library on
one thread. Figures are medians of process CPU time, which other load on the machine disturbs least; `bench.json`
holds wall time, least and most too. Inputs are made up (points in the order of a scan) and weights random, so reduced
precision is timed here and not judged: random weights make near ties everywhere. `training/export.py` judges it, on
trained weights and real frames. Compare ways within a case only.

The plain way of `segment` is transformers' SegFormer, one pass per sensor, the paper's fusion word by word at four
stages, its head, full-size argmax without confidence. any2seg's ways give confidence too. All times include what
turns sensor data into model input, and labels of full size. "1 of 4 new": camera images come faster than the other
sensors' frames, whose encoded maps are kept (`inference/cache.py`). The floor is the time that torch's matrix product
would take for the network's work; OpenVINO's product is faster than torch's in float32.
"""
OPEN: Final = """
## What was not measured

GPUs: `torch.compile` with CUDA graphs, TensorRT and ONNX Runtime's CUDA provider have not been run. Integers of 8
bits are not offered. `inference.backend: compile` is not in the tables: it compiles for more than a minute and gains
about a tenth over torch as it stands.

## What is done, and where

- **A frame is encoded once** (`inference/cache.py`). The key is the data object itself, its stamps, the model input's
  size, the transform and the view by value; one entry per modality. `Segmenter(..., cache=False)` turns it off.
- **Two graphs** (`inference/backends/`): encode, then fuse and decode, with what the cache keeps between them; the
  same for torch, ONNX Runtime and OpenVINO. OpenVINO compiles each for the size at hand, which halves its time: with
  sizes unknown it copies between layouts. Fusion stays in float32 whatever the rest computes in.
- **Labels without full-size logits** (`inference/upsample.py`). At 1024x1024 and 25 classes those would be 105 MB.
- **A head folded to each stage's own size, no transposes, fused key and value, fusion from inner products**
  (`model/`).
"""


def page(report: dict[str, Any], checks: Sequence[dict[str, Any]] = ()) -> str:
    """Put the report, and what export.py found of backends, into words and tables."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for result in report["results"]:
        groups.setdefault(group_of(result), []).append(result)
    parts = [INTRODUCTION, machines(report["results"]), METHOD]
    if "segment" in groups:
        parts += [
            "\n## Four sensors to labels\n",
            f"\n![times](images/{PLOTS['segment']})\n",
            *map(segment, groups["segment"]),
        ]
        parts += [goals(groups["segment"])]
    parts += [precision(checks)] if checks else []
    if "prepare" in groups:
        parts += ["\n## Steps\n\n", steps([*groups["prepare"], *groups.get("label_output", [])])]
    if "scaling" in groups:
        parts += ["\n## How cost grows\n", f"\n![growth](images/{PLOTS['scaling']})\n\n", growth(groups["scaling"])]
    if "node" in groups:
        parts += ["\n## Node\n\n", node(groups["node"])]
    for name in ("evaluate", "simulate"):
        if name in groups:
            parts += [f"\n## {name.capitalize()}\n\n", steps(groups[name])]
    return "".join([*parts, OPEN])


def machines(results: Iterable[dict[str, Any]]) -> str:
    """Say what the figures were taken on."""
    found = {}
    for result in results:
        one = result["machine"]
        versions = ", ".join(f"{name} {number}" for name, number in one["versions"].items())
        found[f"{one['cpu']}, {one['cores']} cores, {versions}"] = one["utc"][:10]
    return "".join(f"\nTaken {day} on {text}.\n" for text, day in found.items())


def segment(result: dict[str, Any]) -> str:
    """A table of one backbone and size."""
    rows = [
        (
            name,
            milliseconds(way["cpu_ms"]["median"]),
            f"{result['speedup_cpu'][name]:.1f}",
            f"{way['cpu_ms']['median'] / floor_ms(result, name):.1f}" if name != PLAIN else "",
            f"{result['peak_mb'][name]:.0f}" if result["peak_mb"].get(name) else "",
        )
        for name, way in result["ways"].items()
    ]
    floor = result["floor"]
    text = (
        f"\n### {result['backbone']}, {result['side']}x{result['side']}\n\n"
        f"{floor['encoder_gflop']:.1f} GFLOP to encode an image, {floor['head_gflop']:.1f} for the head; one thread's "
        f"matrix product does {floor['fp32_gflop_per_s']:.0f} GFLOP/s in float32, {floor['bf16_gflop_per_s']:.0f} in "
        "bf16.\n\n"
    )
    return text + table(("way", "CPU ms", "times as fast", "times the floor", "peak MB"), rows)


def floor_ms(result: dict[str, Any], name: str) -> float:
    """Time that matrix products of the same work would take at the processor's best."""
    key = ("bf16" if "bf16" in name else "fp32") + ("_new_ms" if name.endswith(NEW) else "_ms")
    return float(result["floor"][key])


def goals(results: list[dict[str, Any]]) -> str:
    """A table of goals and what was reached."""
    rows = []
    for result in results:
        if result["side"] != 512 or result["backbone"] not in GOALS:
            continue
        ours = {name: ratio for name, ratio in result["speedup_cpu"].items() if name != PLAIN}
        fresh = {name: ratio for name, ratio in ours.items() if not name.endswith(NEW)}
        reused = {name: ratio for name, ratio in ours.items() if name.endswith(NEW)}
        best = [
            ("any2seg", ours["any2seg"]),
            *(max(some.items(), key=lambda pair: pair[1]) for some in (fresh, reused)),
        ]
        for goal, (name, reached) in zip(GOALS[result["backbone"]], best, strict=True):
            rows.append(
                (result["backbone"], name, f"{goal:g}", f"{reached:.1f}", "reached" if reached >= goal else "missed")
            )
    return "\n### Goals at 512x512\n\n" + table(("backbone", "way", "goal", "reached", ""), rows) if rows else ""


def steps(results: list[dict[str, Any]]) -> str:
    """A table of plain ways and ours."""
    rows = []
    for result in results:
        clock, ratio = ("cpu_ms", "speedup_cpu") if "speedup_cpu" in result else ("wall_ms", "speedup")
        goal = next((value for word, value in STEP_GOALS.items() if word in result["case"]), None)
        for name, way in result["ways"].items():
            wanted = f"{goal:g}" if goal and name == "any2seg" else ""
            rows.append(
                (result["case"], name, milliseconds(way[clock]["median"]), f"{result[ratio][name]:.1f}", wanted)
            )
    return table(("case", "way", "ms", "times as fast", "goal"), rows)


def precision(checks: Sequence[dict[str, Any]]) -> str:
    """Say how well backends keep to torch's labels on trained weights."""
    rows = [
        (
            f"{one['backend']} {one['precision']}",
            str(one["frames"]),
            f"{one['agreement']:.3%}",
            f"{min(each['agreement'] for each in one['subsets'].values()):.3%}",
            f"{max((each['miou_change'] for each in one['subsets'].values()), key=abs):+.2f}",
        )
        for one in checks
    ]
    names = ", ".join(sorted({one["checkpoint"] for one in checks}))
    return (
        f"\n## Do they answer alike?\n\n{names} on frames of its data set, against torch in float32, all subsets of "
        "sensors (`training/export.py`):\n\n"
        + table(("backend", "frames", "labels equal", "least, of all subsets", "largest change of mIoU, points"), rows)
    )


def node(results: list[dict[str, Any]]) -> str:
    """What the node adds to inference, and how long images take to their labels."""
    timed = [result for result in results if "latency_ms" in result]
    rows = [
        (
            result["case"].removeprefix("node: ").split(" ")[0],
            milliseconds(result["ways"]["pipeline called directly"]["wall_ms"]["median"]),
            milliseconds(result["latency_ms"]["p50"]),
            milliseconds(result["latency_ms"]["p95"]),
            f"{result['largest_rate_hz']:g}",
        )
        for result in timed
    ]
    text = steps([result for result in results if result not in timed])
    if not timed:
        return text
    what = timed[-1]["case"].split(" ", 3)[-1].removeprefix("sensors, ").replace(" over DDS", "")
    return (
        f"{text}\nFrom sending a camera image to hearing its labels, over real DDS between two processes ({what}, one "
        "thread), milliseconds of wall time; the rate is the largest with under 5 % of the images without labels.\n\n"
        + table(("sensors", "pipeline called directly", "p50", "p95", "largest rate, Hz"), rows)
    )


def growth(results: list[dict[str, Any]]) -> str:
    """A table of straight lines."""
    rows = [
        (
            result["case"].split(": ", 1)[1],
            f"{result['sizes'][0]:g} to {result['sizes'][-1]:g} {result['axis']}",
            f"{milliseconds(result['cpu_ms'][0]['median'])} to {milliseconds(result['cpu_ms'][-1]['median'])}",
            f"{result['line']['r2']:.4f}",
            f"{result['line']['largest_miss']:.0%}",
        )
        for result in results
    ]
    text = "\nThe image's line bends upwards as attention does: a token looks at others, whose number grows too.\n"
    return table(("what", "from, to", "CPU ms", "R2 of a straight line", "largest miss"), rows) + text


def milliseconds(value: float) -> str:
    """Three digits."""
    return f"{value:.{max(0, 2 - math.floor(math.log10(value)))}f}"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Draw a Markdown table."""

    def lines() -> Iterator[str]:
        yield f"| {' | '.join(head)} |"
        yield "|---" * len(head) + "|"
        for row in rows:
            yield f"| {' | '.join(row)} |"

    return "\n".join(lines()) + "\n"


def draw_segment(results: list[dict[str, Any]]) -> Figure:
    """Bars of all ways, a panel for each backbone and size."""
    figure = Figure(figsize=(10, 2.6 * math.ceil(len(results) / 2)), layout="constrained")
    panels = figure.subplots(math.ceil(len(results) / 2), min(2, len(results)), squeeze=False).flat
    for panel, result in zip(panels, results, strict=False):
        names = list(result["ways"])[::-1]
        times = [result["ways"][name]["cpu_ms"]["median"] for name in names]
        colours = ["0.6" if name == PLAIN else "C2" if name.endswith(NEW) else "C0" for name in names]
        bars = panel.barh([name.replace("any2seg, ", "") for name in names], times, color=colours)
        panel.bar_label(bars, [f" {result['speedup_cpu'][name]:.1f}x" for name in names], fontsize=7)
        panel.set_title(f"{result['backbone']}, {result['side']}x{result['side']}", fontsize=9)
        panel.set_xlabel("CPU ms, one thread", fontsize=8)
        panel.tick_params(labelsize=7)
        panel.margins(x=0.15)
        panel.spines[["top", "right"]].set_visible(False)
    return figure


def draw_growth(results: list[dict[str, Any]]) -> Figure:
    """Medians and their straight line, a panel for each thing that grows."""
    figure = Figure(figsize=(10, 2.4 * math.ceil(len(results) / 3)), layout="constrained")
    panels = list(figure.subplots(math.ceil(len(results) / 3), min(3, len(results)), squeeze=False).flat)
    for panel in panels[len(results) :]:
        panel.remove()
    for panel, result in zip(panels, results, strict=False):
        line, sizes = result["line"], result["sizes"]
        panel.plot(sizes, [one["median"] for one in result["cpu_ms"]], "o", color="C0", markersize=4)
        panel.plot(sizes, [line["offset_ms"] + line["slope_ms"] * size for size in sizes], color="0.6", linewidth=1)
        panel.set_title(result["case"].split(": ", 1)[1], fontsize=7)
        panel.set_xlabel(result["axis"], fontsize=7)
        panel.set_ylabel("CPU ms", fontsize=7)
        panel.tick_params(labelsize=7)
        panel.set_ylim(0)
        if sizes[-1] > 1000:
            panel.xaxis.set_major_formatter(EngFormatter(sep=""))
        panel.spines[["top", "right"]].set_visible(False)
    return figure


def main(arguments: list[str] | None = None) -> None:
    """Write the page, and a plot for each group that is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path, help="what training/benchmark.py wrote")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="folder of the page (%(default)s)")
    parser.add_argument("--checks", type=Path, nargs="*", default=[], help="check_*.json that export.py wrote")
    options = parser.parse_args(arguments)
    checks = [json.loads(path.read_text(encoding="utf-8")) for path in options.checks]
    report = json.loads(options.report.read_text(encoding="utf-8"))
    if report["quick"]:
        parser.error(f"{options.report} was taken with --quick, its times mean nothing; run the benchmark in full")
    (options.out / "images").mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"svg.hashsalt": "any2seg"}):  # the same report, the same bytes
        for name, draw in {"segment": draw_segment, "scaling": draw_growth}.items():
            results = [result for result in report["results"] if group_of(result) == name]
            if results:
                save(draw(results), options.out / "images" / PLOTS[name])
    unfinished = options.out / ".performance.md.unfinished"
    unfinished.write_text(page(report, checks), encoding="utf-8")
    unfinished.replace(options.out / "performance.md")


def save(figure: Figure, path: Path) -> None:
    """Write a plot; the file is whole or not there."""
    unfinished = path.with_name(f".{path.name}")
    figure.savefig(unfinished, format="svg", metadata={"Date": None})
    unfinished.replace(path)


if __name__ == "__main__":
    main()
