# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Export a checkpoint to the ONNX format, and check on real frames that a backend answers as torch in float32 does.

Run: python training/export.py CHECKPOINT --frames out/street --dataset street --backend openvino --precision bf16
Writes encode.onnx, fuse_and_decode.onnx and export.json to the checkpoint's folder onnx, where the node finds them, and
beside them check_BACKEND_PRECISION.json. If too many labels differ, the exit status is 1.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from tqdm import tqdm

from any2seg_core.data import eval_loader, open_dataset
from any2seg_core.errors import Any2SegError, ConfigError
from any2seg_core.evaluator import all_subsets
from any2seg_core.experiment import DataConfig
from any2seg_core.frames import subset_key
from any2seg_core.inference import label_pixels
from any2seg_core.inference.backends import TorchBackend, open_backend
from any2seg_core.inference.backends.store import FOLDER, make_graphs
from any2seg_core.metrics import AbsentClasses, ConfusionMatrix
from any2seg_core.model.checkpoint import load_checkpoint
from any2seg_core.model.shipped import find_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from any2seg_core.batch import Batch
    from any2seg_core.frames import ClassTable, Modality
    from any2seg_core.inference.backends import Backend

CPU: Final = torch.device("cpu")
BOUNDS: Final = {"fp32": 0.999, "bf16": 0.99, "fp16": 0.99}
"""Least share of pixels, over all frames and subsets, that must get the label they get from torch in float32."""
PACKAGES: Final = ("torch", "onnx", "onnxruntime", "openvino")


@dataclass
class Comparison:
    """Counts of what two backends said of the same frames and subset."""

    classes: ClassTable
    pixels: int = 0
    equal: int = 0
    difference: float = 0.0
    scores: tuple[ConfusionMatrix, ConfusionMatrix] = field(init=False)

    def __post_init__(self) -> None:
        self.scores = ConfusionMatrix(self.classes), ConfusionMatrix(self.classes)

    def add(self, logits: Sequence[torch.Tensor], target: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
        """Count one frame: logits of the reference and of the backend."""
        labels = [label_pixels(one, (target.shape[0], target.shape[1]))[0] for one in logits]
        self.pixels += target.size
        self.equal += int((labels[0] == labels[1]).sum())
        self.difference = max(self.difference, float((logits[0].float() - logits[1].float()).abs().max()))
        for matrix, found in zip(self.scores, labels, strict=True):
            matrix.update(found, target)

    def to_json(self) -> dict[str, float]:
        """Give shares and scores; mIoU is over the classes that occur."""
        torch_s, own = (100 * matrix.miou(AbsentClasses.PRESENT) for matrix in self.scores)
        return {
            "agreement": self.equal / self.pixels,
            "largest_difference_of_logits": self.difference,
            "miou_torch": torch_s,
            "miou": own,
            "miou_change": own - torch_s,
        }


@torch.inference_mode()
def compare(
    reference: Backend, backend: Backend, batches: Iterable[Batch], classes: ClassTable, modalities: Sequence[Modality]
) -> dict[str, Comparison]:
    """Let both answer for every frame and every subset of its modalities."""
    found = {subset_key(subset): Comparison(classes) for subset in all_subsets(modalities)}
    for batch in batches:
        slots = batch.present[0].nonzero()[:, 0].tolist()
        maps = [
            dict(zip(slots, one.encode(batch.pixels[0, slots], slots), strict=True)) for one in (reference, backend)
        ]
        target = batch.targets[0].numpy().astype(np.uint8)
        for chosen in itertools.chain.from_iterable(
            itertools.combinations(slots, count) for count in range(1, len(slots) + 1)
        ):
            logits = [
                one.fuse_and_decode({slot: own[slot] for slot in chosen}, None).logits
                for one, own in zip((reference, backend), maps, strict=True)
            ]
            found[subset_key(modalities[slot] for slot in chosen)].add(logits, target)
    return {key: comparison for key, comparison in found.items() if comparison.pixels}


def check(options: argparse.Namespace) -> dict[str, Any]:
    """Export, run both on the frames, and say what was found."""
    checkpoint = find_checkpoint(options.checkpoint)
    model, info = load_checkpoint(checkpoint)
    data = DataConfig.from_mapping(
        {"dataset": options.dataset, "root": str(options.frames), "limit": options.limit}, source="command line"
    )
    dataset = open_dataset(data, info.preprocess, model.modalities, split=options.split)
    if info.classes.names != dataset.classes.names:
        msg = f"export: {options.frames} has other classes than the checkpoint; give frames of what it was trained for"
        raise ConfigError(msg)
    folder = make_graphs(options.out or checkpoint / FOLDER, model, info.model)
    settings: dict[str, Any] = {"device": CPU, "precision": options.precision, "graphs": folder}
    backend = open_backend(options.backend, model, info.model, **settings)
    batches = eval_loader(dataset, info.preprocess, batch_size=1, workers=0)
    found = compare(
        TorchBackend(model, CPU, "fp32"), backend, tqdm(batches, unit="frame"), info.classes, model.modalities
    )
    agreement = sum(one.equal for one in found.values()) / sum(one.pixels for one in found.values())
    bound = BOUNDS[options.precision]
    return {
        "checkpoint": info.name,
        "backend": options.backend,
        "precision": options.precision,
        "graphs": str(folder),
        "frames": len(dataset),
        "agreement": agreement,
        "bound": bound,
        "accepted": agreement >= bound,
        "subsets": {key: one.to_json() for key, one in found.items()},
        "versions": {name: version(name) for name in PACKAGES},
    }


def main(arguments: list[str] | None = None) -> int:
    """Export and check; the exit status is 1 if labels differ too much, 2 if something cannot be used."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("checkpoint", help="folder of the checkpoint, or name of one that comes with the package")
    add("--frames", type=Path, required=True, help="folder of a data set with the frames to check on")
    add("--dataset", default="street", help="deliver, mcubes or street (%(default)s)")
    add("--split", default="val", help="split to take frames from (%(default)s)")
    add("--limit", type=int, default=50, help="number of frames, evenly spread; 0: all (%(default)s)")
    add("--backend", choices=("openvino", "onnxruntime"), default="openvino", help="what to check (%(default)s)")
    add("--precision", choices=tuple(BOUNDS), default="fp32", help="what it computes in (%(default)s)")
    add("--out", type=Path, help=f"folder to write to; left out: CHECKPOINT/{FOLDER}, where the node looks")
    options = parser.parse_args(arguments)
    try:
        found = check(options)
    except Any2SegError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    path = Path(found["graphs"]) / f"check_{options.backend}_{options.precision}.json"
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(path)
    for key, one in found["subsets"].items():
        print(f"{key:24} labels equal {one['agreement']:9.4%}   mIoU {one['miou']:6.2f} ({one['miou_change']:+.2f})")
    verdict = "accepted" if found["accepted"] else "REFUSED: do not run this backend in this precision on these weights"
    print(f"{found['agreement']:.4%} of labels are those of torch in float32, expected {found['bound']:.1%}: {verdict}")
    print(f"Written to {path}")
    return 0 if found["accepted"] else 1


if __name__ == "__main__":
    sys.exit(main())
