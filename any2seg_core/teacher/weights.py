# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""LanguageBind's weights in the names of a plain transformers CLIPModel.

A tuned tower differs from CLIP in three ways: layers of its image encoder are wrapped ("base_model.model", and
"base_layer" in newer files), low-rank updates (LoRA) stand beside their layer's weight, and index buffers are stored.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

import torch
from transformers import CLIPConfig, CLIPModel

from any2seg_core.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor

_LORA: Final = re.compile(r"^(?P<layer>.+)\.lora_(?P<half>[AB])(\.[^.]+)?\.weight$")
_SHOWN: Final = 5
_HEAD: Final = 64
"""Channels per attention head in every CLIP whose towers LanguageBind starts from."""


def plain_state(state: Mapping[str, Tensor], *, alpha: float, source: str) -> dict[str, Tensor]:
    """Rename a LanguageBind state dict to CLIPModel's names and merge its LoRA updates.

    W + alpha / r * B A is computed in float64; r is what the halves' shapes say. Files without LoRA pass unchanged but
    for the index buffers, which are dropped.

    Args:
        state: as saved.
        alpha: LoRA's scale, lora_alpha in the checkpoint's config.json.
        source: for messages.

    Raises:
        CheckpointError: listing halves without partner or layer, shapes that do not fit, and names that collide; or
            the tower is one for video.
    """
    if any("temporal" in name for name in state):
        msg = f"{source}: found weights for time, expected a tower for single pictures; video towers are not supported"
        raise CheckpointError(msg)
    plain: dict[str, Tensor] = {}
    halves: dict[str, dict[str, Tensor]] = {"A": {}, "B": {}}
    problems: list[str] = []
    for name, tensor in state.items():
        if name.endswith("position_ids"):
            continue
        bare = name.replace("base_model.model.", "").replace(".base_layer.", ".")
        lora = _LORA.match(bare)
        into, key = (halves[lora["half"]], lora["layer"]) if lora else (plain, bare)
        if key in into:
            problems.append(f"{name} twice, as {bare}")
        into[key] = tensor
    for layer in sorted(halves["A"].keys() | halves["B"].keys()):
        problems += _merge(plain, layer, halves["A"].get(layer), halves["B"].get(layer), alpha)
    if problems:
        msg = f"{source}: found {_some(problems)}, expected whole LoRA updates of layers; download the file again"
        raise CheckpointError(msg)
    return plain


def _merge(plain: dict[str, Tensor], layer: str, a: Tensor | None, b: Tensor | None, alpha: float) -> list[str]:
    name = f"{layer}.weight"
    if a is None or b is None:
        return [f"{layer}.lora_{'B' if a is None else 'A'} without its other half"]
    if name not in plain:
        return [f"LoRA for {name}, which is not there"]
    weight, rank = plain[name], a.shape[0]
    if a.ndim != 2 or b.ndim != 2 or not rank or b.shape[1] != rank or weight.shape != (b.shape[0], a.shape[1]):
        return [f"LoRA halves {tuple(b.shape)} and {tuple(a.shape)} for {name} {tuple(weight.shape)}"]
    plain[name] = (weight.double() + alpha / rank * (b.double() @ a.double())).to(weight.dtype)
    return []


def clip_config(state: Mapping[str, Tensor], *, source: str) -> Any:
    """Read a CLIP's sizes off its weights: what config files say about projections is known to be wrong.

    The activation is gelu, as in the CLIP that LanguageBind starts from, and not transformers' default; the end token
    is the vocabulary's last.

    Args:
        state: names of CLIPModel; the text tower may be missing.
        source: for messages.

    Raises:
        CheckpointError: a weight that tells a size is missing, or the sizes are not those of a CLIP.
    """
    try:
        vision = _sizes(state, "vision_model", "class_embedding", "visual_projection")
        grid = _square(state["vision_model.embeddings.position_embedding.weight"].shape[0] - 1, source)
        patch = int(state["vision_model.embeddings.patch_embedding.weight"].shape[-1])
        vision |= {"patch_size": patch, "image_size": grid * patch}
        text: dict[str, Any] = {}
        if has_text(state):
            text = _sizes(state, "text_model", "token_embedding.weight", "text_projection")
            vocabulary = int(state["text_model.embeddings.token_embedding.weight"].shape[0])
            positions = int(state["text_model.embeddings.position_embedding.weight"].shape[0])
            special = {"bos_token_id": vocabulary - 2, "eos_token_id": vocabulary - 1, "pad_token_id": vocabulary - 1}
            text |= {"vocab_size": vocabulary, "max_position_embeddings": positions, **special}
    except (KeyError, IndexError) as error:
        msg = f"{source}: found no {error} of a CLIP's weights, expected a whole checkpoint; download the file again"
        raise CheckpointError(msg) from None
    return CLIPConfig(vision_config=vision, text_config=text, projection_dim=vision["projection_dim"])


def has_text(state: Mapping[str, Tensor]) -> bool:
    """Say whether weights hold a text tower."""
    return any(name.startswith(("text_model.", "text_projection.")) for name in state)


def check_whole(state: Mapping[str, Tensor], config: Any, *, source: str) -> None:
    """Compare names and shapes of weights with CLIPModel's; a checkpoint may leave out the text tower, but whole.

    Raises:
        CheckpointError: naming missing, unexpected and mismatched weights.
    """
    with torch.device("meta"):
        expected = CLIPModel(config).state_dict()
    if not has_text(state):
        expected = {name: tensor for name, tensor in expected.items() if not name.startswith(("text_", "logit_"))}
        state = {name: tensor for name, tensor in state.items() if name != "logit_scale"}
    mismatched = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in state and state[name].shape != tensor.shape
    ]
    found = {
        "missing": sorted(expected.keys() - state.keys()),
        "unexpected": sorted(state.keys() - expected.keys()),
        "mismatched": mismatched,
    }
    if any(found.values()):
        listed = "; ".join(f"{len(names)} {kind}: {_some(names)}" for kind, names in found.items() if names)
        msg = f"{source}: weights are not those of a CLIP: {listed}; use a LanguageBind image, depth or thermal tower"
        raise CheckpointError(msg)


def _sizes(state: Mapping[str, Tensor], tower: str, width_of: str, projection: str) -> dict[str, Any]:
    width = int(state[f"{tower}.embeddings.{width_of}"].shape[-1])
    layers = {int(match[1]) for name in state if (match := re.match(rf"{tower}\.encoder\.layers\.(\d+)\.", name))}
    return {
        "hidden_size": width,
        "intermediate_size": int(state[f"{tower}.encoder.layers.0.mlp.fc1.weight"].shape[0]),
        "num_hidden_layers": max(layers) + 1,
        "num_attention_heads": max(1, width // _HEAD),
        "projection_dim": int(state[f"{projection}.weight"].shape[0]),
        "hidden_act": "gelu",
    }


def _square(patches: int, source: str) -> int:
    side = math.isqrt(patches)
    if side * side != patches or not side:
        msg = f"{source}: found {patches} patches, expected a square of them; audio and video towers are not supported"
        raise CheckpointError(msg)
    return side


def _some(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
