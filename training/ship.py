# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Make a trained checkpoint fit to ship: half precision, its scores on streets it never saw, and a model card.

Run: python training/ship.py RUN --data out/street --out any2seg_core/checkpoints/any2seg-b0-street
Writes model.safetensors, checkpoint.json, scores.json (counts of every subset, weather and failure) and README.md, the
model card. What is scored is what is shipped: the file is read back before.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from evaluate import same_classes
from tqdm import tqdm

from any2seg_core.data import eval_loader, open_dataset
from any2seg_core.errors import Any2SegError, CheckpointError
from any2seg_core.evaluator import PROTOCOLS, EvalReport, evaluate, markdown
from any2seg_core.experiment import DataConfig
from any2seg_core.frames import Modality
from any2seg_core.metrics import AbsentClasses
from any2seg_core.model import load_checkpoint, save_checkpoint
from any2seg_core.trainer.folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Mapping

_CARD: Final = """# {name}

Semantic segmentation from any subset of camera, depth, event camera and LiDAR, in DELIVER's 25 classes: {backbone},
{weights:.1f} M weights, stored in half precision. Apache-2.0, as the code. Trained from random weights, on simulated
streets only. SHA-256 of the weights: `{sha256}`

**Do not drive by it.** It has never seen a real street. Use it to try the node, and as a start for training on your
own data.

| held-out streets ({images} images) | mIoU |
|---|---:|
{summary}

Mean over the classes that occur. All of it, for every subset, weather and failure, is in `scores.json` and below.

## Data

{frames} training images of {streets} simulated streets ({size} pixels) under five weathers, each with sound sensors
and with a failing one; scored on the split `{split}`, streets of other seeds. The same command makes the same bytes:

    {data_command}

## Recipe

{train_commands}
    python training/ship.py out/runs/{run} --data out/street --out any2seg_core/checkpoints/{name}

{steps} steps of {batch} samples, on {device}. The experiment files hold every setting.

## Known failures

{failures}

## Scores

The same scoring again, which ends with an error if a single pixel count differs; another processor or version of torch
may round otherwise:

    python training/evaluate.py {name} --dataset street --data out/street --split {split} \\
        --protocols drop zero --expect any2seg_core/checkpoints/{name}/scores.json

{tables}"""


def score(folder: Path, data: Path, split: str, workers: int) -> EvalReport:
    """Score the checkpoint in a folder on a split of a street data set, all subsets under both protocols."""
    model, info = load_checkpoint(folder)
    config = DataConfig.from_mapping({"dataset": "street", "root": str(data)}, source="command line")
    dataset = open_dataset(config, info.preprocess, model.modalities, split=split)
    same_classes(info.classes, dataset.classes)
    batches = eval_loader(dataset, info.preprocess, batch_size=1, workers=workers)
    with tqdm(total=len(dataset), desc="score", unit="image") as bar:
        return evaluate(model.eval(), batches, info.classes, protocols=PROTOCOLS, name=info.name, done=bar.update)


def summary(report: EvalReport) -> str:
    """Rows of the card's first table."""
    present = AbsentClasses.PRESENT
    everything = report.modalities
    rows = [("all sensors", report.miou(policy=present))]
    rows += [
        (f"{name} lost", report.miou([modality for modality in everything if modality is not lost], policy=present))
        for lost, name in _NAMES.items()
        if lost in everything
    ]
    rows += [(f"{name} alone", report.miou([only], policy=present)) for only, name in _NAMES.items()]
    rows.append(("mean over all 15 subsets (MISS)", report.system_miss(policy=present)))
    return "\n".join(f"| {name} | {100 * value:.1f} |" for name, value in rows)


_NAMES: Final = {
    Modality.RGB: "camera",
    Modality.DEPTH: "depth",
    Modality.EVENT: "event camera",
    Modality.LIDAR: "LiDAR",
}


def failures(report: EvalReport) -> str:
    """Say where the model is worst: classes, weathers, failures."""
    iou = dict(zip(report.classes.names, report.matrix().iou(), strict=True))
    worst = sorted((float(value), name) for name, value in iou.items() if value == value)[:6]  # noqa: PLR0124  (NaN)
    weather = sorted((value, name) for name, value in report.by_condition(policy=AbsentClasses.PRESENT).items())
    return "\n".join(
        [
            "- Worst classes, all sensors: "
            + ", ".join(f"{name} {100 * value:.0f}" for value, name in worst)
            + " (IoU).",
            "- Worst conditions: " + ", ".join(f"{name} {100 * value:.0f}" for value, name in weather[:3]) + " (mIoU).",
            "- Real images: never tried, expected to be poor.",
        ]
    )


def _outcome(run: RunFolder) -> dict[str, Any]:
    outcome = run.outcome()
    if outcome is None:
        msg = f"run {run.path}: found no result.json, expected a complete run; let training/train.py finish it"
        raise CheckpointError(msg)
    return outcome


def _experiment(run: RunFolder) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run.record.read_text(encoding="utf-8"))["experiment"]
    return found


def _train_command(run: RunFolder) -> str:
    name = _experiment(run)["name"].replace("-", "_")
    return f"    python training/train.py training/experiments/{name}.yaml"


def lineage(run: RunFolder) -> list[RunFolder]:
    """Give the runs that led to the weights, the first one first: a run may have begun with another's weights."""
    start = Path(_experiment(run)["train"]["initial_weights"])
    earlier = RunFolder(start.parent)
    return [*(lineage(earlier) if start.parts and earlier.record.is_file() else []), run]


def card(report: EvalReport, folder: Path, run: RunFolder, data: Path, split: str) -> str:
    """Write the model card."""
    model, info = load_checkpoint(folder)
    experiment = _experiment(run)
    manifest: Mapping[str, Any] = json.loads((data / "dataset.json").read_text(encoding="utf-8"))
    drive = manifest["drive"]
    scenes = {path.name for path in (data / "semantic").glob("*/train/*")}
    every, frames = manifest["every_s"], manifest["frames"]
    streets = sorted({int(name.split("_")[1]) for name in scenes})
    command = (
        f"python -m any2seg_sim dataset --out {data} --seeds 0:{5 * -(-(max(streets) + 1) // 5)} "
        f"--size {drive['width']}x{drive['height']} --frames {frames} --every {every:g}"
    )
    return _CARD.format(
        name=info.name,
        backbone=info.model.backbone,
        sha256=hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest(),
        weights=sum(weight.numel() for weight in model.parameters()) / 1e6,
        images=report.images,
        summary=summary(report),
        frames=sum(1 for _ in (data / "semantic").glob("*/train/*/*.png")),
        streets=len(streets),
        size=f"{drive['width']} x {drive['height']}",
        split=split,
        data_command=command,
        train_commands="\n".join(map(_train_command, lineage(run))),
        run=run.path.name,
        steps=" + ".join(str(_outcome(one)["steps"]) for one in lineage(run)),
        batch=experiment["optim"]["batch_size"],
        device=experiment["train"]["device"],
        failures=failures(report),
        tables=markdown([report]),
    )


def ship(run: RunFolder, data: Path, out: Path, split: str, workers: int) -> EvalReport:
    """Write checkpoint, scores and card.

    Raises:
        CheckpointError: the run is not complete, or its best checkpoint is not whole.
        ConfigError: the data set cannot be used.
    """
    _outcome(run)
    model, info = load_checkpoint(run.best)
    save_checkpoint(out, model, replace(info, name=out.name), half=True)
    report = score(out, data, split, workers)
    texts = {"scores.json": json.dumps(report.to_json(), separators=(",", ":")) + "\n"}
    texts["README.md"] = card(report, out, run, data, split)
    for name, text in texts.items():
        unfinished = out / f".{name}.unfinished"
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(out / name)
    return report


def main(arguments: list[str] | None = None) -> int:
    """Ship; the exit status is 0 when done and 2 when it cannot be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a complete run")
    parser.add_argument("--data", type=Path, required=True, help="folder of the street data set that it learnt from")
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint; its name is the model's")
    parser.add_argument("--split", default="test", help="split to score on (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="loader processes (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        report = ship(RunFolder(options.run), options.data, options.out, options.split, options.workers)
    except Any2SegError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(summary(report))
    size = (options.out / "model.safetensors").stat().st_size / 1e6
    print(f"{size:.1f} MB of weights, scores and card in {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
