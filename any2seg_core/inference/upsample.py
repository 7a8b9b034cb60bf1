# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Logits at stride 4 to labels and confidence at full size, without ever holding full-size logits.

Letters: K classes, h and w rows and columns of the logits, H and W those of the labels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from any2seg_core.projection.kernels import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

_CHUNK_BYTES: Final = 64 * 2**20
"""Full-size logits held at a time off the CPU."""

# Single precision throughout: a plain number would drag the compiled loops, and their vectors, to double.
_ZERO: Final = np.float32(0)
_ONE: Final = np.float32(1)
_LOWEST: Final = np.float32(-32)
_PART: Final = np.float32(1 / 32)
_SERIES: Final = (np.float32(1 / 2), np.float32(1 / 6), np.float32(1 / 24), np.float32(1 / 120))


class Axis(NamedTuple):
    """Which two inputs each output of one axis lies between: their indices, and the second one's part in [0, 1).

    Indices are unsigned, for then the compiled loops need not look for negative ones, which count from the end.
    """

    first: NDArray[np.uint32]
    second: NDArray[np.uint32]
    part: NDArray[np.float32]


def label_pixels(logits: Tensor, size: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Upsample logits bilinearly, take the best class of each pixel and its softmax probability.

    The bilinear rule is that of torch.nn.functional.interpolate without align_corners. Where two classes tie within
    the rounding of single precision, either may win.

    Args:
        logits: (1, K, h, w), K up to 255, finite.
        size: H and W.

    Returns:
        Labels (H, W) uint8 and confidence (H, W) float32 in [0, 1].
    """
    if logits.device.type == "cpu":
        return _label_rows(logits, size)
    return _label_chunks(logits, size)


def axis(inputs: int, outputs: int) -> Axis:
    """Line up the pixel grids of two sizes of one image, border against border."""
    place = np.maximum((np.arange(outputs) + 0.5) * (inputs / outputs) - 0.5, 0.0)
    first = np.minimum(place.astype(np.int64), inputs - 1)
    second = np.minimum(first + 1, inputs - 1)
    return Axis(first.astype(np.uint32), second.astype(np.uint32), (place - first).astype(np.float32))


def _label_rows(logits: Tensor, size: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Answer row by row: what a row needs stays in the processor's cache."""
    scores = logits[0].float().permute(1, 0, 2).contiguous().numpy()  # (h, K, w): a row's classes lie side by side
    labels, confidence = np.empty(size, np.uint8), np.empty(size, np.float32)
    _fill(scores, axis(scores.shape[0], size[0]), axis(scores.shape[2], size[1]), labels, confidence)
    return labels, confidence


@compiled
def _fill(
    scores: NDArray[np.float32],
    rows: Axis,
    columns: Axis,
    labels: NDArray[np.uint8],
    confidence: NDArray[np.float32],
) -> None:
    """Fill labels and confidence (H, W) from scores (h, K, w).

    Loops run along a row inside and over classes outside, so that each becomes vector instructions.
    """
    classes, width = scores.shape[1], labels.shape[1]
    left, right, share = columns
    blended = np.empty(scores.shape[2], np.float32)
    row_scores = np.empty((classes, width), np.float32)
    best, total = np.empty(width, np.float32), np.empty(width, np.float32)
    winner = np.empty(width, np.int32)
    for row in range(labels.shape[0]):
        above, below, part = scores[rows.first[row]], scores[rows.second[row]], rows.part[row]
        for label in range(classes):
            upper, lower, spread = above[label], below[label], row_scores[label]
            for x in range(len(blended)):
                blended[x] = upper[x] + part * (lower[x] - upper[x])
            for x in range(width):
                start = blended[left[x]]
                spread[x] = start + share[x] * (blended[right[x]] - start)
        best[:] = row_scores[0]
        winner[:] = 0
        for label in range(1, classes):
            spread = row_scores[label]
            for x in range(width):
                better = spread[x] > best[x]
                best[x] = spread[x] if better else best[x]
                winner[x] = label if better else winner[x]
        total[:] = _ZERO
        for label in range(classes):
            spread = row_scores[label]
            for x in range(width):
                total[x] += _exponential(spread[x] - best[x])
        for x in range(width):
            labels[row, x] = winner[x]
            confidence[row, x] = _ONE / total[x]


@compiled
def _exponential(value: np.float32) -> np.float32:
    """The exponential of a number up to 0, to 2e-6.

    The Taylor series at a thirty-second of it, squared five times: no branch and no table, so loops over it become
    vector instructions, which those over the library's do not everywhere.
    """
    x = max(value, _LOWEST) * _PART
    second, third, fourth, fifth = _SERIES
    power = _ONE + x * (_ONE + x * (second + x * (third + x * (fourth + x * fifth))))
    power *= power
    power *= power
    power *= power
    power *= power
    return power * power


def _label_chunks(logits: Tensor, size: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Answer by torch, as many rows at a time as bounded memory holds."""
    (height, width), classes = size, logits.shape[1]
    rows = axis(logits.shape[2], height)
    first, second = (torch.from_numpy(index.astype(np.int64)).to(logits.device) for index in rows[:2])
    part = torch.from_numpy(rows.part).to(logits.device)
    step = max(1, _CHUNK_BYTES // (4 * classes * width))
    labels = torch.empty(size, dtype=torch.uint8, device=logits.device)
    confidence = torch.empty(size, dtype=torch.float32, device=logits.device)
    for start in range(0, height, step):
        chunk = slice(start, start + step)
        upper, lower = (logits[:, :, index[chunk]].float() for index in (first, second))
        blended = torch.lerp(upper, lower, part[chunk, None])
        wide = (blended.shape[2], width)
        scores = functional.interpolate(blended, size=wide, mode="bilinear", align_corners=False)[0]
        best, winner = scores.max(0)
        labels[chunk] = winner.to(torch.uint8)
        confidence[chunk] = (best - scores.logsumexp(0)).exp().clamp(0, 1)
    return labels.cpu().numpy(), confidence.cpu().numpy()
