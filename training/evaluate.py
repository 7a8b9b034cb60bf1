# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Score a checkpoint with all sensors, with every subset of them, and under every weather and sensor failure.

Run: python training/evaluate.py CHECKPOINT --dataset street --data out/street --out out/evaluation
Writes report.json (counts and all scores), report.md (tables in the shape of the paper's) and plots.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from evaluation_plots import draw_plots
from tqdm import tqdm

from any2seg_core.data import eval_loader, open_dataset
from any2seg_core.errors import Any2SegError, ConfigError
from any2seg_core.evaluator import PROTOCOLS, EvalReport, evaluate, markdown
from any2seg_core.experiment import DataConfig
from any2seg_core.inference.device import choose_device
from any2seg_core.model.checkpoint import load_checkpoint
from any2seg_core.model.shipped import find_checkpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from any2seg_core.frames import ClassTable


def score(options: argparse.Namespace) -> EvalReport:
    """Load the checkpoint and the data set, and count."""
    model, info = load_checkpoint(find_checkpoint(options.checkpoint))
    device = choose_device(options.device)
    data = DataConfig.from_mapping(
        {
            "dataset": options.dataset,
            "root": str(options.data),
            "depth_source": options.depth,
            "conditions": options.conditions,
            "failures": options.failures,
            "limit": options.limit,
            "skip_corrupt": options.skip_corrupt,
        },
        source="command line",
    )
    dataset = open_dataset(data, info.preprocess, model.modalities, split=options.split)
    same_classes(info.classes, dataset.classes)
    batches = eval_loader(
        dataset, info.preprocess, batch_size=options.batch_size, workers=options.workers, label_size=options.label_size
    )
    model = model.to(device).eval()
    with tqdm(total=len(dataset), desc="evaluate", unit="image") as bar:
        report = evaluate(
            model,
            batches,
            info.classes,
            protocols=options.protocols,
            name=options.name or info.name,
            label_size=options.label_size,
            device=device,
            done=bar.update,
        )
    if dataset.skipped:
        print(
            f"left out {len(dataset.skipped)} unreadable sample(s): {', '.join(dataset.skipped[:5])}", file=sys.stderr
        )
    return report


def same_classes(model: ClassTable, data: ClassTable) -> None:
    """Refuse to compare ids that mean different things.

    Raises:
        ConfigError: the tables differ.
    """
    if model.names != data.names:
        differing = [
            f"{ours} / {theirs}" for ours, theirs in zip(model.names, data.names, strict=False) if ours != theirs
        ]
        msg = (
            f"evaluation: found {len(model)} classes in the checkpoint and {len(data)} in the data set "
            f"(first difference: {differing[0] if differing else 'their number'}), expected the same; "
            "choose the data set that the model was trained for"
        )
        raise ConfigError(msg)


def write(folder: Path, report: EvalReport, others: Sequence[EvalReport]) -> None:
    """Write report, tables and plots; a file is whole or not there."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "report.json": json.dumps(report.to_json(), indent=1) + "\n",
        "report.md": f"# {report.name}\n\n{markdown([report, *others])}",
    }
    for name, text in texts.items():
        unfinished = folder / f".{name}.unfinished"
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(folder / name)
    draw_plots(folder, [report, *others])


def read(path: Path) -> EvalReport:
    """Read an earlier report.json to stand beside the new one.

    Raises:
        ConfigError: it is none.
    """
    try:
        return EvalReport.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        msg = f"report: found {path} not readable ({error}), expected a report.json that evaluate wrote"
        raise ConfigError(msg) from error


def deviation(report: EvalReport, expected: EvalReport) -> str:
    """Say in what a report's counts differ from expected ones; empty if in nothing."""
    cells = sorted(report.cells.keys() | expected.cells.keys())
    differing = [
        cell
        for cell in cells
        if cell not in report.cells
        or cell not in expected.cells
        or not np.array_equal(report.cells[cell].counts, expected.cells[cell].counts)
    ]
    if not differing:
        return ""
    return f"found other counts than expected in {len(differing)} of {len(cells)} cells, first {tuple(differing[0])}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("checkpoint", help="folder of the checkpoint, or name of one that comes with the package")
    add("--data", type=Path, required=True, help="folder of the data set")
    add("--dataset", default="deliver", help="deliver, mcubes or street (%(default)s)")
    add("--split", default="val", help="split to score on (%(default)s)")
    add("--depth", choices=("raw", "hha"), default="raw", help="DELIVER's depth (%(default)s)")
    add("--conditions", nargs="*", default=[], help="only these weathers")
    add("--failures", nargs="*", default=[], help="only these sensor failures; none: sound sensors")
    add("--limit", type=int, default=0, help="only so many samples, evenly spread; 0: all")
    add("--skip-corrupt", action="store_true", help="leave unreadable samples out, counted, instead of stopping")
    add("--protocols", nargs="+", choices=PROTOCOLS, default=["drop"], help="what an absent modality is (%(default)s)")
    add("--label-size", choices=("input", "native"), default="input", help="size at which pixels are compared")
    add("--batch-size", type=int, default=1, help="images per forward pass (%(default)s)")
    add("--workers", type=int, default=2, help="loader processes (%(default)s)")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1 ... (%(default)s)")
    add("--name", default="", help="name in tables; left out: the checkpoint's")
    add("--against", type=Path, nargs="*", default=[], help="earlier report.json files to set beside it")
    add("--expect", type=Path, help="report.json that must be met count for count; otherwise the exit status is 1")
    add("--out", type=Path, default=Path("out/evaluation"), help="folder to write to (%(default)s)")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Score, write and print; the exit status is 0 when done, 1 if not as expected and 2 when it cannot be."""
    options = _parser().parse_args(arguments)
    try:
        others = [read(path) for path in options.against]
        expected = None if options.expect is None else read(options.expect)
        report = score(options)
        write(options.out, report, others)
    except Any2SegError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print((options.out / "report.md").read_text(encoding="utf-8"))
    print(f"MSS {100 * report.mss:.2f}  MISS {100 * report.miss:.2f}  ({report.images} images), in {options.out}")
    differing = "" if expected is None else deviation(report, expected)
    if expected is not None:
        print(differing or f"the same counts as in {options.expect}, pixel for pixel")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
