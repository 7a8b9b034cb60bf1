# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Scores every subset of modalities, encoding each modality of an image once.

Letters: B batch, M modalities, H and W the model input's size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import torch

from any2seg_core.errors import ConfigError
from any2seg_core.evaluator.report import Cell, EvalReport
from any2seg_core.evaluator.subsets import all_subsets
from any2seg_core.frames import in_canonical_order, subset_key
from any2seg_core.inference.upsample import label_pixels
from any2seg_core.metrics import ConfusionMatrix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from torch import Tensor

    from any2seg_core.batch import Batch
    from any2seg_core.frames import ClassTable, Modality
    from any2seg_core.model.segmentor import Maps, Prediction

PROTOCOLS: Final = ("drop", "zero")
"""What an absent modality is: not there, or a picture of zeros that is fed all the same, as in the EMM benchmark of
"Benchmarking Multi-modal Semantic Segmentation under Sensor Failures" (arXiv 2503.18445)."""


class Segmentor(Protocol):
    """What is asked of a model."""

    modalities: tuple[Modality, ...]
    shares_encoder: bool

    def __call__(self, pixels: Tensor, present: Tensor) -> Prediction:
        """Segment a batch."""

    def encode(self, pixels: Tensor, slots: Tensor) -> Maps:
        """Do what is done for each modality by itself."""

    def fuse_and_decode(self, features: Maps, present: Tensor) -> Prediction:
        """Do what is done for the modalities together."""


@torch.inference_mode()
def evaluate(
    model: Segmentor,
    batches: Iterable[Batch],
    classes: ClassTable,
    *,
    subsets: Sequence[Sequence[Modality]] | None = None,
    protocols: Sequence[str] = ("drop",),
    name: str = "",
    label_size: str = "input",
    device: torch.device | str = "cpu",
    share: bool = True,
    done: Callable[[int], object] = lambda _: None,
) -> EvalReport:
    """Count the pixels of every subset under every protocol.

    A model whose modalities share no encoder, and every model if `share` is off, runs whole once per subset.

    Args:
        model: in evaluation mode, on the device.
        batches: samples with their targets, whose size is that of the labels compared.
        classes: meaning of ids.
        subsets: which subsets; all if left out.
        protocols: out of PROTOCOLS.
        name: of the model, for the report.
        label_size: said in the report.
        device: where the model is.
        share: encode each modality once, instead of once per subset: the same counts for less time.
        done: told the number of images after each batch.

    Raises:
        ConfigError: an unknown protocol, an unknown or empty subset, or no batch at all.
        FrameError: targets hold ids that the class table lacks.
    """
    chosen = _checked(model, subsets, protocols)
    report = EvalReport(name, classes, model.modalities, label_size)
    device = torch.device(device)
    for cpu_batch in batches:
        batch = cpu_batch.to(device)
        predict = _Shared(model, batch) if share and model.shares_encoder else _Whole(model, batch)
        for subset in chosen:
            scored = _scored(report, cpu_batch, subset)
            for protocol in protocols if scored else ():
                _count(report, cpu_batch, predict(subset, protocol), Cell(protocol, subset_key(subset), "", ""), scored)
        report.images += len(batch)
        done(len(batch))
    if not report.images:
        msg = "evaluation: found no sample, expected at least one; check data set, split and conditions"
        raise ConfigError(msg)
    return report


def _checked(
    model: Segmentor, subsets: Sequence[Sequence[Modality]] | None, protocols: Sequence[str]
) -> list[tuple[Modality, ...]]:
    unknown = [protocol for protocol in protocols if protocol not in PROTOCOLS]
    if unknown or not protocols:
        msg = f"evaluation: found protocols {list(protocols)}, expected some of {', '.join(PROTOCOLS)}"
        raise ConfigError(msg)
    chosen = [in_canonical_order(subset) for subset in (all_subsets(model.modalities) if subsets is None else subsets)]
    for subset in chosen:
        if not subset or not set(subset) <= set(model.modalities):
            msg = (
                f"evaluation: found the subset {subset_key(subset)!r}, expected some of "
                f"{subset_key(model.modalities)}, which the model takes"
            )
            raise ConfigError(msg)
    return chosen


class _Shared:
    """Predictions of one batch that share what is done for each modality by itself.

    A modality is encoded for all samples at once, as is a picture of zeros, which looks the same in every sample.
    """

    def __init__(self, model: Segmentor, batch: Batch) -> None:
        self._model, self._batch = model, batch
        self._at = batch.present.nonzero()  # (P, 2) sample and slot of each row
        slots = [slot for slot in range(len(model.modalities)) if batch.present[:, slot].any()]
        parts = [self._encode(batch.pixels[batch.present[:, slot], slot], slot) for slot in slots]
        # Encoded by slot, then by sample; rows go by sample, then by slot.
        order = torch.argsort(torch.argsort(self._at[:, 1], stable=True))
        self._rows = tuple(_taken(torch.cat(level), order) for level in zip(*parts, strict=True))
        self._zeros: Maps | None = None

    def _encode(self, pixels: Tensor, slot: int) -> Maps:
        return self._model.encode(pixels, torch.full((len(pixels),), slot, device=pixels.device))

    def __call__(self, subset: tuple[Modality, ...], protocol: str) -> Tensor:
        """Logits (B', K, h, w) of the samples that have any of the subset's modalities."""
        present = _masked(self._model, self._batch, subset)
        some = present.any(1)
        chosen = present[self._at[:, 0], self._at[:, 1]].nonzero().flatten()
        rows = tuple(_taken(level, chosen) for level in self._rows)
        given = present[some]
        if protocol == "zero":
            rows = tuple(self._filled(level, zero, given) for level, zero in zip(rows, self._zero(), strict=True))
            given = torch.ones_like(given)
        return self._model.fuse_and_decode(rows, given).logits

    def _zero(self) -> Maps:
        """Maps (M, C, h, w) of a picture of zeros in every slot."""
        if self._zeros is None:
            blank = torch.zeros_like(self._batch.pixels[:1, 0])
            parts = [self._encode(blank, slot) for slot in range(len(self._model.modalities))]
            self._zeros = tuple(torch.cat(level) for level in zip(*parts, strict=True))
        return self._zeros

    @staticmethod
    def _filled(rows: Tensor, zeros: Tensor, given: Tensor) -> Tensor:
        """Put the zeros' maps wherever a sample lacks a modality; (B' * M, C, h, w)."""
        whole = zeros.repeat(len(given), *(1 for _ in zeros.shape[1:]))
        whole[given.flatten()] = rows
        return whole


def _taken(rows: Tensor, index: Tensor) -> Tensor:
    """Take rows of (P, C, h, w) by their numbers, without a copy if they are neighbours.

    Where channels lie innermost in memory, as the model leaves them, they stay so.
    """
    first, count = int(index[0]), len(index)
    if torch.equal(index, torch.arange(first, first + count, device=index.device)):
        return rows[first : first + count]
    return rows.permute(0, 2, 3, 1).index_select(0, index).permute(0, 3, 1, 2)


class _Whole:
    """Predictions of one batch, the whole model for each."""

    def __init__(self, model: Segmentor, batch: Batch) -> None:
        self._model, self._batch = model, batch

    def __call__(self, subset: tuple[Modality, ...], protocol: str) -> Tensor:
        """Logits (B', K, h, w) of the samples that have any of the subset's modalities."""
        present = _masked(self._model, self._batch, subset)
        some = present.any(1)
        pixels, held = self._batch.pixels[some], present[some]
        if protocol == "zero":
            pixels = torch.where(held[:, :, None, None, None], pixels, torch.zeros_like(pixels))
            held = torch.ones_like(held)
        return self._model(pixels, held).logits


def _masked(model: Segmentor, batch: Batch, subset: tuple[Modality, ...]) -> Tensor:
    wanted = torch.tensor([modality in subset for modality in model.modalities], device=batch.present.device)
    return batch.present & wanted


def _scored(report: EvalReport, batch: Batch, subset: tuple[Modality, ...]) -> list[int]:
    """Find the samples that have any modality of the subset; one that has none has no answer to score."""
    wanted = torch.tensor([modality in subset for modality in report.modalities])
    return [int(index) for index in (batch.present & wanted).any(1).nonzero().flatten()]


def _count(report: EvalReport, batch: Batch, logits: Tensor, cell: Cell, scored: list[int]) -> None:
    """Compare the labels of the samples that were scored."""
    for row, index in enumerate(scored):
        target = batch.targets[index]
        labels, _ = label_pixels(logits[row : row + 1], (target.shape[0], target.shape[1]))
        where = cell._replace(condition=batch.conditions[index], failure=batch.failures[index])
        matrix = report.cells.setdefault(where, ConfusionMatrix(report.classes))
        matrix.update(labels, target.to(torch.uint8).numpy())
