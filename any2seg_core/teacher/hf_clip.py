# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Image-text models of the transformers library as teachers: CLIP, SigLIP, SigLIP 2 of fixed size, MetaCLIP 2.

All modalities go through the one image tower. Whatever differs among the families stands in one table.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import torch
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

from any2seg_core.errors import CheckpointError
from any2seg_core.experiment.teacher import IMAGE
from any2seg_core.teacher.fingerprint import state_sha256
from any2seg_core.teacher.tokens import HfTokenizer
from any2seg_core.teacher.towers import TowerTeacher
from any2seg_core.teacher.view import ImageView

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from any2seg_core.experiment import TeacherConfig


@dataclass(frozen=True)
class _Family:
    """How a family reads texts.

    Attributes:
        reads_end: its text tower answers at the end token, else at the last place of a full row.
        lower: trained on lower-case texts.
    """

    reads_end: bool
    lower: bool


_FAMILIES: Final = {
    "clip": _Family(reads_end=True, lower=False),  # its tokenizer lower-cases
    "metaclip_2": _Family(reads_end=True, lower=False),
    "siglip": _Family(reads_end=False, lower=True),  # and SigLIP 2 of fixed size, which carries this name
}
_INTERPOLATIONS: Final = {2: "bilinear", 3: "bicubic"}
"""Pillow's numbers, as processor files write them."""


def open_hf_clip(config: TeacherConfig, device: torch.device, dtype: torch.dtype) -> TowerTeacher:
    """Load a model by folder or hub name.

    Raises:
        CheckpointError: it cannot be loaded, is incomplete, is of an unknown family, or prepares pictures in a way
            that is not known.
        ConfigError: settings that do not fit.
    """
    model, report = _loaded(config, AutoModel, output_loading_info=True)
    _check(config.path, model, report)
    family = _FAMILIES[model.config.model_type]
    text: Any = model.config.text_config
    tokenizer = HfTokenizer(
        _loaded(config, AutoTokenizer),
        length=int(text.max_position_embeddings),
        eos=_end_token(model) if family.reads_end else None,
        lower=family.lower,
    )
    weights = state_sha256(model.state_dict())
    model.to(device, dtype).eval().requires_grad_(requires_grad=False)
    size = int(model.config.vision_config.image_size)
    return TowerTeacher(
        name=f"hf_clip {config.path}",
        dim=_dim(model, size, device, dtype),
        images={IMAGE: _vector(model.get_image_features, "pixel_values")},
        text=_vector(model.get_text_features, "input_ids"),
        tokenizer=tokenizer,
        view=_view(config, _loaded(config, AutoImageProcessor), size),
        towers=config.tower_of(),
        provenance={"family": model.config.model_type, "sha256": weights},
        device=device,
        dtype=dtype,
    )


def _loaded(config: TeacherConfig, kind: Any, **options: Any) -> Any:
    local = Path(config.path).is_dir()
    revision = config.revision or None
    try:
        return kind.from_pretrained(config.path, local_files_only=local, revision=revision, **options)
    except (OSError, ValueError, RuntimeError, TypeError, KeyError, ImportError) as error:
        msg = (
            f"teacher {config.path!r}: transformers' {kind.__name__} cannot load it ({error!s:.300}); give a hub name, "
            "or a folder with model, tokenizer and image processor"
        )
        raise CheckpointError(msg) from error


def _check(path: str, model: Any, report: Any) -> None:
    found = model.config.model_type
    if found not in _FAMILIES:
        msg = (
            f"teacher {path!r}: found a model of type {found!r}, expected one of {', '.join(_FAMILIES)} (SigLIP 2 of "
            "fixed size is a siglip); choose another"
        )
        raise CheckpointError(msg)
    wrong = [name for kind in ("missing_keys", "mismatched_keys") for name in report.get(kind, ())]
    if wrong:
        msg = (
            f"teacher {path!r}: found {len(wrong)} weights missing or of another shape, first {wrong[0]}, expected "
            "all: they would stay random; download the model again"
        )
        raise CheckpointError(msg)


def _end_token(model: Any) -> int:
    """Give the id at whose place the text tower answers; old CLIP files say 2 and mean the largest id."""
    text = model.config.text_config
    end = int(text.eos_token_id)
    return int(text.vocab_size) - 1 if model.config.model_type == "clip" and end == 2 else end


def _vector(features: Callable[..., Any], argument: str) -> Callable[[Tensor], Tensor]:
    def embed(inputs: Tensor) -> Tensor:
        output = features(**{argument: inputs})
        # Since transformers 5 a record, whose pooled output is the projected one; before it, that tensor.
        vector: Tensor = output if isinstance(output, torch.Tensor) else output.pooler_output
        return vector

    return embed


def _dim(model: Any, size: int, device: torch.device, dtype: torch.dtype) -> int:
    """Ask the model itself: families name their sizes differently."""
    with torch.inference_mode():
        blank = torch.zeros(1, 3, size, size, device=device, dtype=dtype)
        return int(_vector(model.get_image_features, "pixel_values")(blank).shape[-1])


def _view(config: TeacherConfig, processor: Any, model_size: int) -> ImageView:
    """Read how pictures are prepared out of the image processor."""
    size, crop = _sides(processor.size), _sides(getattr(processor, "crop_size", None))
    cuts = bool(getattr(processor, "do_center_crop", None)) and crop is not None
    square = size is not None and len(set(size)) == 1
    final = crop if cuts else size
    interpolation = _INTERPOLATIONS.get(int(processor.resample))
    if not square or final != (model_size, model_size) or interpolation is None:
        msg = (
            f"teacher {config.path!r}: found pictures prepared with size {processor.size}, crop "
            f"{getattr(processor, 'crop_size', None)} and resampling {processor.resample}, expected squares of "
            f"{model_size} by bilinear or bicubic resampling; choose another model"
        )
        raise CheckpointError(msg)
    own = "crop" if cuts or "shortest_edge" in processor.size else "squash"
    short_side = cast("tuple[int, int]", size)[0] if own == "crop" else model_size
    return ImageView(
        size=model_size,
        short_side=short_side,
        resize=cast("Literal['crop', 'squash']", own if config.resize == "own" else config.resize),
        interpolation=cast("Literal['bicubic', 'bilinear']", interpolation),
        mean=tuple(float(value) for value in processor.image_mean),
        std=tuple(float(value) for value in processor.image_std),
    )


def _sides(size: Any) -> tuple[int, int] | None:
    """Read {"shortest_edge": s}, {"height": h, "width": w} or a number."""
    if size is None or isinstance(size, int):
        return None if size is None else (size, size)
    if "shortest_edge" in size:
        return int(size["shortest_edge"]), int(size["shortest_edge"])
    return int(size["height"]), int(size["width"])
