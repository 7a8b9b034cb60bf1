# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""LanguageBind's towers in plain transformers CLIP classes (https://github.com/PKU-YuanGroup/LanguageBind).

A folder holds one folder per tower, named as on the hub (LanguageBind_Image, LanguageBind_Depth, ...) or after the
tower (image, depth, ...), each with config.json and model.safetensors or pytorch_model.bin. The text tower and the
tokenizer come from the image tower's folder; LanguageBind trained none of them further.
"""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import CLIPTextModelWithProjection, CLIPTokenizer, CLIPVisionModelWithProjection

from any2seg_core.errors import CheckpointError
from any2seg_core.experiment.teacher import IMAGE
from any2seg_core.teacher.fingerprint import state_sha256
from any2seg_core.teacher.tokens import HfTokenizer
from any2seg_core.teacher.towers import TowerTeacher
from any2seg_core.teacher.view import ImageView
from any2seg_core.teacher.weights import check_whole, clip_config, has_text, plain_state

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor, nn

    from any2seg_core.experiment import TeacherConfig

_ALPHA: Final = 16.0
"""LoRA's scale in all published towers."""

_FILES: Final = ("model.safetensors", "pytorch_model.bin")


def open_languagebind(config: TeacherConfig, device: torch.device, dtype: torch.dtype) -> TowerTeacher:
    """Load the towers that the settings name, one after another, and the text tower.

    Raises:
        CheckpointError: a folder or file is missing or broken, weights are wrong or missing, towers do not fit each
            other, or the tokenizer is another's.
        ConfigError: settings that do not fit.
    """
    towers = config.tower_of()
    root = Path(config.path)
    images: dict[str, Callable[[Tensor], Tensor]] = {}
    hashes: dict[str, str] = {}
    folder = find_tower(root, IMAGE)
    state, hashes[IMAGE] = read_tower(folder)
    sizes = clip_config(state, source=str(folder))
    text_state = _part(state, ("text_model.", "text_projection."))
    if not text_state:
        msg = f"{folder}: found no text tower, expected it beside the image tower; use the whole LanguageBind_Image"
        raise CheckpointError(msg)
    images[IMAGE] = image_tower(state, sizes, device, dtype)
    for tower in sorted(set(towers.values()) - {IMAGE}):
        other = find_tower(root, tower)
        del state  # towers are large: no two of them in memory before they are what they will be
        state, hashes[tower] = read_tower(other)
        _check_text(text_state, state, source=str(other))
        _check_sizes(sizes, tower_sizes := clip_config(state, source=str(other)), source=str(other))
        images[tower] = image_tower(state, tower_sizes, device, dtype)
    del state
    size = int(sizes.vision_config.image_size)
    resize = "crop" if config.resize == "own" else config.resize
    return TowerTeacher(
        name="languagebind",
        dim=int(sizes.projection_dim),
        images=images,
        text=text_tower(text_state, sizes, device, dtype),
        tokenizer=_tokenizer(folder, sizes),
        view=ImageView(size, size, resize),
        towers=towers,
        provenance=hashes,
        device=device,
        dtype=dtype,
    )


def find_tower(root: Path, tower: str) -> Path:
    """Give the folder of a tower.

    Raises:
        CheckpointError: there is none.
    """
    names = (f"LanguageBind_{tower.capitalize()}", tower)
    for name in names:
        if (root / name).is_dir():
            return root / name
    msg = (
        f"teacher {root}: found no folder {' or '.join(names)}, expected the {tower} tower's; download "
        f"LanguageBind/{names[0]} from the Hugging Face hub, or change teacher.towers"
    )
    raise CheckpointError(msg)


def read_tower(folder: Path) -> tuple[dict[str, Tensor], str]:
    """Read a tower's checkpoint.

    Returns:
        Weights in CLIPModel's names, LoRA merged, and the hash of the weights as saved.

    Raises:
        CheckpointError: a file is missing or broken, weights are wrong or missing, or it is not a gelu network.
    """
    saved = _read_weights(folder)
    state = plain_state(saved, alpha=_read_alpha(folder), source=str(folder))
    check_whole(state, clip_config(state, source=str(folder)), source=str(folder))
    return state, state_sha256(saved)


def image_tower(
    state: Mapping[str, Tensor], sizes: Any, device: torch.device, dtype: torch.dtype
) -> Callable[[Tensor], Tensor]:
    """Build a frozen image encoder, pixels to (B, D)."""
    with torch.random.fork_rng(devices=[]):  # the random start is overwritten
        tower = CLIPVisionModelWithProjection(sizes.vision_config)
    tower.load_state_dict(_part(state, ("vision_model.", "visual_projection.")), strict=True, assign=True)
    frozen = freeze(tower, device, dtype)

    def embed(pixels: Tensor) -> Tensor:
        vector: Tensor = frozen(pixel_values=pixels).image_embeds
        return vector

    return embed


def text_tower(
    state: Mapping[str, Tensor], sizes: Any, device: torch.device, dtype: torch.dtype
) -> Callable[[Tensor], Tensor]:
    """Build a frozen text encoder, ids to (B, D)."""
    with torch.random.fork_rng(devices=[]):
        tower = CLIPTextModelWithProjection(sizes.text_config)
    tower.load_state_dict(dict(state), strict=True, assign=True)
    frozen = freeze(tower, device, dtype)

    def embed(ids: Tensor) -> Tensor:
        vector: Tensor = frozen(input_ids=ids).text_embeds
        return vector

    return embed


def freeze(tower: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """Make a tower a constant."""
    return tower.to(device, dtype).eval().requires_grad_(requires_grad=False)


def _read_weights(folder: Path) -> dict[str, Tensor]:
    path = next((folder / name for name in _FILES if (folder / name).is_file()), None)
    if path is None:
        msg = f"teacher {folder}: found neither {' nor '.join(_FILES)}, expected the tower's weights; download them"
        raise CheckpointError(msg)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        msg = f"teacher {path}: cannot be read as weights ({error!s:.200}); download the file again"
        raise CheckpointError(msg) from error
    if not isinstance(loaded, dict) or not all(isinstance(value, torch.Tensor) for value in loaded.values()):
        msg = (
            f"teacher {path}: found {type(loaded).__name__}, expected a state dict of tensors; download the file again"
        )
        raise CheckpointError(msg)
    return {str(name): tensor for name, tensor in loaded.items()}


def _read_alpha(folder: Path) -> float:
    """Read LoRA's scale, and refuse networks of another activation."""
    path = folder / "config.json"
    if not path.is_file():
        return _ALPHA
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        parts = [content, *(content.get(part) or {} for part in ("vision_config", "text_config"))]
        alpha = next((float(part["lora_alpha"]) for part in parts[1::-1] if "lora_alpha" in part), _ALPHA)
        activations = {part["hidden_act"] for part in parts if "hidden_act" in part}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        msg = f"teacher {path}: cannot be read ({error}), expected LanguageBind's config; download the file again"
        raise CheckpointError(msg) from error
    if activations - {"gelu"}:
        msg = (
            f"teacher {path}: found hidden_act {sorted(activations - {'gelu'})}, expected gelu as in LanguageBind; "
            "load other CLIPs with teacher.kind hf_clip"
        )
        raise CheckpointError(msg)
    return alpha


def _part(state: Mapping[str, Tensor], prefixes: tuple[str, ...]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in state.items() if name.startswith(prefixes)}


def _check_text(text: Mapping[str, Tensor], other: Mapping[str, Tensor], *, source: str) -> None:
    """Refuse towers that were trained against another text tower."""
    if not has_text(other):
        return
    differing = [
        name
        for name, tensor in text.items()
        if name not in other or other[name].shape != tensor.shape or not torch.equal(other[name], tensor)
    ]
    if differing:
        msg = (
            f"teacher {source}: found a text tower that differs from the image tower's in {len(differing)} weights, "
            f"first {differing[0]}, expected the same in all; use towers of one release"
        )
        raise CheckpointError(msg)


def _check_sizes(image: Any, other: Any, *, source: str) -> None:
    found, expected = (
        (config.projection_dim, config.vision_config.image_size) for config in (other, image)
    )  # embeddings of one space, pictures prepared once
    if found != expected:
        msg = (
            f"teacher {source}: found embeddings and pictures of sizes {found}, expected {expected} as in the image "
            "tower; use towers of one release"
        )
        raise CheckpointError(msg)


def _tokenizer(folder: Path, sizes: Any) -> HfTokenizer:
    text = sizes.text_config
    try:
        tokenizer: Any = CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:  # the tokenizers library raises plain Exception for broken files
        msg = (
            f"teacher {folder}: found no tokenizer ({error!s:.200}), expected vocab.json and merges.txt; download them"
        )
        raise CheckpointError(msg) from error
    return HfTokenizer(tokenizer, length=int(text.max_position_embeddings), eos=int(text.eos_token_id))
