# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""A small teacher of seeded random weights, for tests and dry runs: the real code, no download, no knowledge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch
from transformers import CLIPConfig, CLIPModel

from any2seg_core.experiment.teacher import IMAGE
from any2seg_core.teacher.languagebind import image_tower, text_tower
from any2seg_core.teacher.tokens import HashTokenizer
from any2seg_core.teacher.towers import TowerTeacher
from any2seg_core.teacher.view import ImageView

if TYPE_CHECKING:
    from torch import Tensor

    from any2seg_core.experiment import TeacherConfig

_DIM: Final = 32
_SIZE: Final = 32
_LAYERS: Final = 2
_VOCABULARY: Final = 512


def open_tiny(config: TeacherConfig, device: torch.device, dtype: torch.dtype) -> TowerTeacher:
    """Build the teacher; equal seeds give equal weights."""
    towers = config.tower_of()
    sizes = tiny_sizes()
    state = tiny_state(sizes, config.seed)
    images = {}
    for offset, tower in enumerate(sorted({IMAGE, *towers.values()})):
        weights = state if tower == IMAGE else tiny_state(sizes, config.seed + 1000 * (offset + 1))
        vision = {name: tensor for name, tensor in weights.items() if name.startswith("vis")}
        images[tower] = image_tower(vision, sizes, device, dtype)
    text = {name: tensor for name, tensor in state.items() if name.startswith("text_")}
    return TowerTeacher(
        name="tiny",
        dim=_DIM,
        images=images,
        text=text_tower(text, sizes, device, dtype),
        tokenizer=HashTokenizer(_VOCABULARY),
        view=ImageView(_SIZE, _SIZE, "crop" if config.resize == "own" else config.resize),
        towers=towers,
        provenance={"seed": config.seed},
        device=device,
        dtype=dtype,
    )


def tiny_sizes() -> Any:
    """Sizes of the tiny CLIP."""
    common = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": _LAYERS,
        "num_attention_heads": 1,
        "projection_dim": _DIM,
        "hidden_act": "gelu",
    }
    special = {"bos_token_id": _VOCABULARY - 2, "eos_token_id": _VOCABULARY - 1, "pad_token_id": _VOCABULARY - 1}
    return CLIPConfig(
        vision_config=common | {"image_size": _SIZE, "patch_size": 8},
        text_config=common | {"vocab_size": _VOCABULARY, "max_position_embeddings": 77} | special,
        projection_dim=_DIM,
    )


def tiny_state(sizes: Any, seed: int) -> dict[str, Tensor]:
    """Draw weights; matrices keep the size of what goes through them, so that different inputs stay different."""
    generator = torch.Generator().manual_seed(seed)
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in CLIPModel(sizes).state_dict().items()}
    state = {}
    for name, shape in sorted(shapes.items()):
        if name.endswith("bias") or len(shape) == 0:
            state[name] = torch.zeros(shape)
        elif "norm" in name:
            state[name] = torch.ones(shape)
        else:
            fan_in = 1 if "embedding" in name and "patch" not in name else shape[1:].numel()
            state[name] = torch.randn(shape, generator=generator) * fan_in**-0.5
    return state
