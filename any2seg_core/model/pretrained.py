# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""SegFormer weights of the transformers library, in and out.

Two layouts are read: that of saved files, the same in all versions of transformers ("encoder.block.0.0..."), and that
of modules in memory since its version 5 ("stages.0.blocks.0..."). Written is the layout of files. Ours differs from
both in that key and value are one layer, that convolutions which are linear layers are stored as such, and that norms
may be one for each modality.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

import torch

from any2seg_core.errors import CheckpointError, ConfigError, DependencyError
from any2seg_core.model.encoder import MixTransformer
from any2seg_core.model.weights import check_state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from any2seg_core.model.decoder import DecodeHead

_FILE: Final = (
    (r"\.(weight|bias)\.\d+$", r".\1"),  # norms of each modality all start from, and are named as, the one of the file
    (r"^stages\.(\d+)\.embedding\.projection\.", r"encoder.patch_embeddings.\1.proj."),
    (r"^stages\.(\d+)\.embedding\.norm\.", r"encoder.patch_embeddings.\1.layer_norm."),
    (r"^stages\.(\d+)\.norm\.", r"encoder.layer_norm.\1."),
    (r"^stages\.(\d+)\.blocks\.", r"encoder.block.\1."),
    (r"\.attention_norm\.", ".layer_norm_1."),
    (r"\.attention\.(query|key|value)\.", r".attention.self.\1."),
    (r"\.attention\.output\.", ".attention.output.dense."),
    (r"\.attention\.reduction\.projection\.", ".attention.self.sr."),
    (r"\.attention\.reduction\.norm\.", ".attention.self.layer_norm."),
    (r"\.ffn_norm\.", ".layer_norm_2."),
    (r"\.ffn\.expand\.", ".mlp.dense1."),
    (r"\.ffn\.depthwise\.", ".mlp.dwconv.dwconv."),
    (r"\.ffn\.contract\.", ".mlp.dense2."),
    (r"^projections\.(\d+)\.", r"linear_c.\1.proj."),
    (r"^fuse\.", "linear_fuse."),
    (r"^norm\.", "batch_norm."),
)
"""Our names to the names in files, one rule after another."""

_MEMORY: Final = (
    (r"^encoder\.patch_embeddings\.(\d+)\.", r"stages.\1.patch_embeddings."),
    (r"^encoder\.layer_norm\.(\d+)\.", r"stages.\1.layer_norm."),
    (r"^encoder\.block\.(\d+)\.", r"stages.\1.blocks."),
    (r"\.layer_norm_1\.", ".layernorm_before."),
    (r"\.self\.(q|k|v)(uery|ey|alue)\.", r".\1_proj."),
    (r"\.output\.dense\.", ".o_proj."),
    (r"\.self\.sr\.", ".sequence_reduction.sequence_reduction."),
    (r"\.self\.layer_norm\.", ".sequence_reduction.layer_norm."),
    (r"\.layer_norm_2\.", ".layernorm_after."),
    (r"\.mlp\.dense(1|2)\.", r".mlp.fc\1."),
    (r"^linear_c\.", "linear_projections."),
)
"""Names in files to names in memory."""

_STEMS: Final = {"encoder.patch_embeddings.0.proj.weight", "stages.0.patch_embeddings.proj.weight"}
"""The layer that sees pixels, in both layouts."""


def load_pretrained(encoder: nn.Module, source: str) -> None:
    """Start a MiT encoder from published SegFormer weights, for example "nvidia/mit-b0".

    The released ImageNet weights are under NVIDIA's own, non-commercial licence: whoever names them here accepts it.

    Args:
        encoder: as build_encoder makes it.
        source: model name on the Hugging Face hub, or a folder that transformers saved.

    Raises:
        ConfigError: the encoder is not a MiT.
        DependencyError: transformers is not installed.
        CheckpointError: the source cannot be read, is incomplete, or is of another size.
    """
    if not isinstance(encoder, MixTransformer):
        msg = f"pretrained {source!r}: found a {type(encoder).__name__}, expected a mit_b* backbone; drop the setting"
        raise ConfigError(msg)
    try:
        from transformers import SegformerModel  # noqa: PLC0415  (slow to import, and only training needs it)
    except ImportError:
        msg = f"pretrained {source!r}: transformers is not installed; run pip install transformers"
        raise DependencyError(msg) from None
    try:
        loaded: Any = SegformerModel.from_pretrained(source, output_loading_info=True)
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        msg = f"pretrained {source!r}: transformers cannot load it ({error}); give a hub name or a saved folder"
        raise CheckpointError(msg) from error
    donor, report = loaded
    if report["missing_keys"]:
        msg = f"pretrained {source!r}: found no {sorted(report['missing_keys'])[:3]}, expected a whole SegFormer"
        raise CheckpointError(msg)
    load_transformers_weights(encoder, donor.state_dict(), source=source)


def load_transformers_weights(encoder: MixTransformer, state: Mapping[str, Tensor], *, source: str = "state") -> None:
    """Copy the encoder's weights out of any transformers SegFormer state dict, heads left aside.

    Norms of each modality all get the same start. An encoder of M stacked pictures gets the first layer's weights M
    times, divided by M: M equal pictures then give what one gives alone.

    Raises:
        CheckpointError: naming, as transformers does, what is missing, unexpected or of another shape.
    """
    bare = {name.removeprefix("segformer."): tensor for name, tensor in state.items()}
    own = {name: tensor for name, tensor in bare.items() if not name.startswith(("decode_head.", "classifier."))}
    pictures = encoder.channels_in // 3
    for name in own.keys() & _STEMS:
        if own[name].ndim == 4 and own[name].shape[1] == 3:
            own[name] = own[name].repeat(1, pictures, 1, 1) / pictures
    _load(encoder, own, source)


def load_transformers_head(head: DecodeHead, state: Mapping[str, Tensor], *, source: str = "state") -> None:
    """Copy the decode head out of a transformers SegformerForSemanticSegmentation or SegformerDecodeHead state dict.

    Raises:
        CheckpointError: naming, as transformers does, what is missing, unexpected or of another shape.
    """
    prefix = "decode_head."
    whole = any(name.startswith(prefix) for name in state)
    own = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix) or not whole}
    _load(head, own, source)


def export_transformers_weights(module: MixTransformer | DecodeHead) -> dict[str, Tensor]:
    """Describe an encoder or a decode head as a transformers file does, without "segformer." and "decode_head.".

    Raises:
        ConfigError: the norms differ by modality, which transformers does not know.
    """
    separate = _separate(module.state_dict())
    exported = {_rename(name, _FILE): tensor.contiguous() for name, tensor in separate.items()}
    if len(exported) < len(separate):
        msg = "export: found norms per modality, expected shared ones; transformers has no place for the others"
        raise ConfigError(msg)
    return exported


def _load(module: MixTransformer | DecodeHead, state: Mapping[str, Tensor], source: str) -> None:
    separate = _separate(module.state_dict())
    names = {name: _rename(name, _FILE) for name in separate}
    if any(name.startswith(("stages.", "linear_projections.")) for name in state):
        names = {name: _rename(foreign, _MEMORY) for name, foreign in names.items()}
    check_state(state, {names[name]: tensor for name, tensor in separate.items()}, source=source)
    module.load_state_dict(_join({name: state[foreign] for name, foreign in names.items()}))


def _rename(name: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def _separate(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give our weights the number and the shapes that they have in transformers."""
    separate: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if ".key_value." in name:
            key, value = tensor.chunk(2)
            separate[name.replace("key_value", "key")] = key
            separate[name.replace("key_value", "value")] = value
        elif name.endswith("reduction.projection.weight"):
            channels, inputs = tensor.shape  # inputs run over (row, column, channel) of a patch
            ratio = math.isqrt(inputs // channels)
            separate[name] = tensor.reshape(channels, ratio, ratio, channels).permute(0, 3, 1, 2)
        elif name == "fuse.weight":
            separate[name] = _stages_reversed(tensor)[:, :, None, None]
        elif name == "classifier.weight":
            separate[name] = tensor[:, :, None, None]
        else:
            separate[name] = tensor
    return separate


def _join(separate: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Undo _separate."""
    state: dict[str, Tensor] = {}
    for name, tensor in separate.items():
        if ".attention.key." in name:
            value = separate[name.replace(".key.", ".value.")]
            state[name.replace(".key.", ".key_value.")] = torch.cat([tensor, value])
        elif name.endswith("reduction.projection.weight"):
            state[name] = tensor.permute(0, 2, 3, 1).flatten(1)
        elif name == "fuse.weight":
            state[name] = _stages_reversed(tensor[:, :, 0, 0])
        elif name == "classifier.weight":
            state[name] = tensor[:, :, 0, 0]
        elif ".attention.value." not in name:
            state[name] = tensor
    return state


def _stages_reversed(fuse: Tensor) -> Tensor:
    """Turn the order of stages in the fusing layer (D, stages * D): transformers stacks the last stage first."""
    return torch.cat(fuse.chunk(fuse.shape[1] // fuse.shape[0], dim=1)[::-1], dim=1)
