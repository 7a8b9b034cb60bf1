# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Scene descriptions by an image-text-to-text model of the transformers library."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from any2seg_core.errors import CheckpointError, FrameError
from any2seg_core.frames import Modality
from any2seg_core.teacher.captions import Origin
from any2seg_core.teacher.fingerprint import text_sha256
from any2seg_core.teacher.languagebind import freeze

if TYPE_CHECKING:
    from collections.abc import Sequence

    from any2seg_core.experiment import TeacherConfig
    from any2seg_core.teacher.base import SampleView

_LONGEST: Final = 64
"""New tokens per description."""


class ModelCaptioner:
    """Asks a model about each RGB picture, naming the classes that the labels hold (Any2Seg, section 3.2).

    Decoding is greedy, so equal pictures give equal texts.

    Args:
        config: names the model and the prompt.
        phrases: K class names in words.
        device: where to run.
        dtype: arithmetic.

    Raises:
        CheckpointError: the model cannot be loaded.
    """

    def __init__(
        self, config: TeacherConfig, phrases: Sequence[str], *, device: torch.device, dtype: torch.dtype
    ) -> None:
        options = {"local_files_only": Path(config.caption_model).is_dir()}
        try:
            kind: Any = AutoProcessor
            self._processor = kind.from_pretrained(config.caption_model, **options)
            model: Any = AutoModelForImageTextToText.from_pretrained(config.caption_model, **options)
        except (OSError, ValueError, RuntimeError, TypeError, KeyError, ImportError) as error:
            msg = (
                f"caption model {config.caption_model!r}: transformers cannot load it ({error!s:.300}); give the hub "
                "name or folder of an image-text-to-text model"
            )
            raise CheckpointError(msg) from error
        self._model: Any = freeze(model, device, dtype)
        self._phrases, self._prompt, self._device, self._dtype = tuple(phrases), config.caption_prompt, device, dtype
        self._processor.tokenizer.padding_side = "left"  # answers start at the end of the row
        revision = getattr(model.config, "_commit_hash", None) or ""
        sha = text_sha256([config.caption_prompt, list(phrases), _LONGEST])[:16]
        self.origin = Origin("model", config.caption_model, revision, sha)

    def describe(self, samples: Sequence[SampleView], classes: Sequence[Sequence[int]]) -> list[str]:
        """Ask about every sample.

        Raises:
            FrameError: a sample has no RGB picture.
            CheckpointError: the model takes no pictures in a conversation.
        """
        questions = [self._conversation(present) for present in classes]
        pictures = [[_picture(sample)] for sample in samples]
        try:
            texts = self._processor.apply_chat_template(questions, add_generation_prompt=True, tokenize=False)
            inputs = self._processor(text=texts, images=pictures, padding=True, return_tensors="pt")
            inputs = inputs.to(self._device, dtype=self._dtype)
            with torch.inference_mode():
                rows = self._model.generate(**inputs, do_sample=False, max_new_tokens=_LONGEST)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            msg = (
                f"caption model {self.origin.model!r}: cannot be asked ({error!s:.300}), expected a chat model that "
                "takes pictures; choose another"
            )
            raise CheckpointError(msg) from error
        answers = rows[:, inputs["input_ids"].shape[1] :]
        found: list[str] = self._processor.batch_decode(answers, skip_special_tokens=True)
        return found

    def _conversation(self, present: Sequence[int]) -> list[dict[str, Any]]:
        question = self._prompt.replace("{classes}", ", ".join(self._phrases[index] for index in present))
        return [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}]


def _picture(sample: SampleView) -> Any:
    """Give the RGB picture as (H, W, 3) uint8."""
    picture = sample.pictures.get(Modality.RGB)
    if picture is None:
        msg = f"captions: found no RGB picture in {sample.id}, expected one; set teacher.caption_source template"
        raise FrameError(msg)
    image = picture.as_subclass(torch.Tensor)
    image = image if image.dtype == torch.uint8 else (image * 255).round().clamp(0, 255).to(torch.uint8)
    return image.permute(1, 2, 0).numpy()
