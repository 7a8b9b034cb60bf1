# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Draw what each modality's features and the fused one look like, in the manner of the paper's figure 5.

Run: python training/draw_features.py CHECKPOINT --dataset street --data out/street --out out/features.png
Colours are the three main directions (PCA) of all features of a sample together: the same colour, the same feature.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure
from torch.nn import functional

from any2seg_core.data import eval_loader, open_dataset
from any2seg_core.errors import Any2SegError
from any2seg_core.experiment import DataConfig
from any2seg_core.inference import label_pixels
from any2seg_core.model.checkpoint import load_checkpoint

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from any2seg_core.batch import Batch
    from any2seg_core.frames import ClassTable
    from any2seg_core.model.segmentor import Any2Seg


def colours(maps: Tensor) -> NDArray[np.float32]:
    """Project feature maps (N, C, h, w) on their three main directions; (N, h, w, 3) in [0, 1]."""
    count, channels, height, width = maps.shape
    flat = functional.normalize(maps.float().permute(0, 2, 3, 1).reshape(-1, channels), dim=1)
    centred = flat - flat.mean(0)
    _, directions = torch.linalg.eigh(centred.T @ centred)
    shown = centred @ directions[:, -3:].flip(1)
    low, high = shown.quantile(0.02, dim=0), shown.quantile(0.98, dim=0)
    scaled = ((shown - low) / (high - low).clamp_min(1e-6)).clamp(0, 1)
    return np.asarray(scaled.reshape(count, height, width, 3).numpy(), np.float32)


@torch.inference_mode()
def draw(model: Any2Seg, batch: Batch, classes: ClassTable) -> Figure:
    """Draw a sample: inputs above their features, then the fused feature, the answer and the truth."""
    prediction = model(batch.pixels, batch.present)
    # The deepest maps are of the coarsest size; the first are the finest, and of one size with the fused map or not.
    features, fused = prediction.features[0], prediction.fusions[0].feature
    pictures = colours(torch.cat([features, fused]))
    held = [modality for modality, here in zip(model.modalities, batch.present[0].tolist(), strict=True) if here]
    size = batch.targets.shape[1], batch.targets.shape[2]
    labels, _ = label_pixels(prediction.logits, size)
    figure = Figure(figsize=(2.3 * (len(held) + 1), 4.9))
    axes = figure.subplots(2, len(held) + 1, squeeze=False)
    for column, modality in enumerate(held):
        slot = model.modalities.index(modality)
        axes[0, column].imshow(_stretched(batch.pixels[0, slot]))
        axes[0, column].set_title(modality.value)
        axes[1, column].imshow(pictures[column])
        weight = prediction.weights[0, slot].item()
        axes[1, column].set_title(f"feature, weight {weight:.2f}")
    target = batch.targets[0].to(torch.uint8).numpy()
    axes[0, -1].imshow(np.concatenate([classes.colourize(labels), classes.colourize(target)], 1))
    axes[0, -1].set_title("answer | truth")
    axes[1, -1].imshow(pictures[-1])
    axes[1, -1].set_title("fused feature")
    for axis in axes.flat:
        axis.set_axis_off()
    return figure


def _stretched(pixels: Tensor) -> NDArray[np.float32]:
    low, high = pixels.min(), pixels.max()
    return np.asarray(((pixels - low) / (high - low).clamp_min(1e-6)).permute(1, 2, 0).numpy(), np.float32)


def main(arguments: list[str] | None = None) -> int:
    """Draw one sample; the exit status is 0 when done and 2 when it cannot be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("checkpoint", type=Path, help="folder of the checkpoint")
    add("--data", type=Path, required=True, help="folder of the data set")
    add("--dataset", default="deliver", help="deliver, mcubes or street (%(default)s)")
    add("--split", default="val", help="split to take the sample from (%(default)s)")
    add("--sample", type=int, default=0, help="number of the sample (%(default)s)")
    add("--out", type=Path, default=Path("out/features.png"), help="the picture (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        model, info = load_checkpoint(options.checkpoint)
        data = DataConfig(dataset=options.dataset, root=str(options.data))
        dataset = open_dataset(data, info.preprocess, model.modalities, split=options.split)
        one = dataset.take([options.sample % len(dataset)])
        (batch,) = eval_loader(one, info.preprocess, batch_size=1, workers=0)
        figure = draw(model.eval(), batch, info.classes)
    except Any2SegError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"font.size": 9, "figure.dpi": 150}):
        figure.savefig(options.out, bbox_inches="tight")
    print(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
