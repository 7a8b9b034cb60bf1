# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The network as two graphs that other runtimes can run, in the ONNX format: encode, then fuse and decode.

Between the two stand the maps of each modality, which the feature cache keeps. Maps are channels last at the border,
as both sides compute. Letters: P rows (images), B batch, M modalities, K classes, C channels, H and W the image's size,
h and w a map's. Format: https://onnx.ai/onnx/intro/concepts.html.
"""

from __future__ import annotations

import copy
import itertools
import warnings
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor, nn
from torch.export import Dim

from any2seg_core.errors import ConfigError, DependencyError
from any2seg_core.model.encoder import STRIDES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from any2seg_core.model.segmentor import Any2Seg, Maps

OPSET: Final = 20
"""The first ONNX operator set with GELU as one node."""
ENCODE: Final = "encode.onnx"
FUSE: Final = "fuse_and_decode.onnx"


class EncodeGraph(nn.Module):
    """Images (P, 3, H, W) float32 and slots (P,) int64 to maps (P, h, w, C), one per level of fusion."""

    def __init__(self, model: Any2Seg) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor, slots: Tensor) -> Maps:
        """Encode rows."""
        return tuple(channels_last(feature) for feature in self.model.encode(pixels, slots))


class FuseGraph(nn.Module):
    """Maps of all modalities, those of absent ones holding anything, and present (B, M), to logits (B, H/4, W/4, K).

    It also gives the fused maps (B, h, w, C), where the graph may be cut: fusion needs float32, the head does not.

    Weights and selection see zeros for absent modalities and leave them out, so garbage there, infinities included,
    reaches nothing.

    """

    def __init__(self, model: Any2Seg) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, present: Tensor, maps: Maps, follows: Tensor | None = None, previous: Maps | None = None
    ) -> tuple[Tensor, ...]:
        """Fuse maps (B, M, h, w, C), one per level, and classify.

        Of a model that remembers, it also takes the fused maps of the frame before, which join the anchor where
        `follows` (B,) bool says so.
        """
        before = previous or (None,) * len(maps)
        fused = tuple(self._fuse(level, present, follows, earlier) for level, earlier in zip(maps, before, strict=True))
        logits = channels_last(self.model.decode(tuple(channels_first(feature) for feature in fused)))
        return logits, *fused

    def _fuse(self, level: Tensor, present: Tensor, follows: Tensor | None, previous: Tensor | None) -> Tensor:
        """(B, M, h, w, C) to (B, h, w, C)."""
        stack = level.flatten(2, 3).masked_fill(~present[:, :, None, None], 0)
        fusion: Any = self.model.fusion
        weights = fusion.weigh(stack, present)
        if previous is not None and follows is not None:
            later = fusion.weigh(stack, present, previous.flatten(1, 2))
            weights = torch.where(follows[:, None], later, weights)
        fused: Tensor = fusion.blend(stack, weights * present, present)[0]
        return fused.reshape(level[:, 0].shape)


def channels_last(maps: Tensor) -> Tensor:
    """(..., C, h, w) to (..., h, w, C); no copy."""
    return maps.movedim(-3, -1)


def channels_first(maps: Tensor) -> Tensor:
    """(..., h, w, C) to (..., C, h, w); no copy."""
    return maps.movedim(-1, -3)


def export_graphs(model: Any2Seg, folder: Path, *, remembers: bool) -> None:
    """Write both graphs of a model, for any number of rows and any size.

    Args:
        model: whose modalities share the encoder; left as it is.
        folder: existing folder to write ENCODE and FUSE to.
        remembers: the model uses the fused maps of the frame before.

    Raises:
        ConfigError: modalities are joined before the encoder, or torch cannot express the model in ONNX.
        DependencyError: onnx or onnxscript is not installed.
    """
    if not model.shares_encoder:
        msg = "backend: found fusion 'concat', expected modalities that share the encoder; use backend torch"
        raise ConfigError(msg)
    model = copy.deepcopy(model).cpu().eval()
    modalities = len(model.modalities)
    rows, batch, high, wide = (Dim(name, max=4096) for name in ("rows", "batch", "high", "wide"))
    pixels, slots = torch.zeros(2, 3, 96, 64), torch.arange(2) % modalities
    with torch.no_grad():
        maps = EncodeGraph(model)(pixels, slots)
    sizes: dict[str, Any] = {"pixels": {0: rows, 2: 32 * high, 3: 32 * wide}, "slots": {0: rows}}
    _export(EncodeGraph(model), {"pixels": pixels, "slots": slots}, sizes, folder / ENCODE, numbered("map", maps))
    scales = [32 // STRIDES[level] for level in range(len(maps))]
    stacks = tuple(feature[:, None].expand(-1, modalities, -1, -1, -1).contiguous() for feature in maps)
    inputs: dict[str, Any] = {"present": torch.ones(2, modalities, dtype=torch.bool), "maps": stacks}
    sizes = {"present": {0: batch}, "maps": tuple({0: batch, 2: s * high, 3: s * wide} for s in scales)}
    if remembers:
        inputs |= {"follows": torch.ones(2, dtype=torch.bool), "previous": maps}
        sizes |= {"follows": {0: batch}, "previous": tuple({0: batch, 1: s * high, 2: s * wide} for s in scales)}
    _export(FuseGraph(model), inputs, sizes, folder / FUSE, ["logits", *numbered("fused", maps)])


def numbered(name: str, members: Sequence[Any]) -> list[str]:
    """Name the members of a tuple as inputs or outputs of a graph."""
    return [f"{name}_{index}" for index in range(len(members))]


def _export(graph: nn.Module, inputs: dict[str, Any], sizes: dict[str, Any], path: Path, outputs: list[str]) -> None:
    """Write one graph; its inputs are named by the arguments, members of tuples by number too."""
    names = [numbered(name, value) if isinstance(value, tuple) else [name] for name, value in inputs.items()]
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of the exporter about its own workings
            program: Any = torch.onnx.export(
                graph.eval(),
                kwargs=inputs,
                dynamo=True,
                opset_version=OPSET,
                input_names=list(itertools.chain(*names)),
                output_names=outputs,
                dynamic_shapes=sizes,
                verbose=False,
            )
            program.save(str(path))
    except ImportError as error:
        msg = f"backend: export to ONNX needs {error.name}; run pip install 'any2seg[backends]' or use backend torch"
        raise DependencyError(msg) from error
    except torch.onnx.errors.OnnxExporterError as error:
        msg = f"backend: torch cannot express this model in ONNX ({error}); use backend torch"
        raise ConfigError(msg) from error
