# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""A teacher out of towers: image encoders and a text encoder that answer with vectors of one space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from any2seg_core.errors import ConfigError, FrameError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from any2seg_core.frames import Modality
    from any2seg_core.teacher.tokens import Tokenizer
    from any2seg_core.teacher.view import ImageView


class TowerTeacher:
    """The one implementation of Teacher; kinds of teachers differ in how they build their towers.

    Args:
        name: for reports.
        dim: D.
        images: (B, 3, size, size) normalised pixels to (B, D), by name of the tower.
        text: (B, length) ids to (B, D).
        tokenizer: of the text tower.
        view: of all image towers.
        towers: which tower each modality goes through.
        provenance: what the weights are, for the fingerprint.
        device: where the towers are.
        dtype: arithmetic of the towers.

    Raises:
        ConfigError: a modality goes through a tower that is not there.
    """

    def __init__(
        self,
        *,
        name: str,
        dim: int,
        images: Mapping[str, Callable[[Tensor], Tensor]],
        text: Callable[[Tensor], Tensor],
        tokenizer: Tokenizer,
        view: ImageView,
        towers: Mapping[Modality, str],
        provenance: Mapping[str, Any],
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        missing = sorted({tower for tower in towers.values() if tower not in images})
        if missing:
            msg = f"teacher {name}: found towers {sorted(images)}, expected {missing} too; change teacher.towers"
            raise ConfigError(msg)
        self.name, self.dim, self.view, self.towers = name, dim, view, dict(towers)
        self._images, self._text, self._tokenizer = images, text, tokenizer
        self._provenance, self._device, self._dtype = dict(provenance), device, dtype

    @property
    def max_tokens(self) -> int:
        """Longest text that is read whole, in tokens with start and end."""
        return self._tokenizer.length

    def count_tokens(self, text: str) -> int:
        """Length of a text in tokens, with start and end, uncut."""
        return self._tokenizer.count(text)

    @torch.inference_mode()
    def encode_images(self, modality: Modality, images: Tensor) -> Tensor:
        """Embed pictures (B, 3, H, W) in [0, 1] of one modality as (B, D) float32 of length 1.

        Raises:
            ConfigError: no tower is known for the modality.
            FrameError: wrong shape, or embeddings that are not finite.
        """
        if modality not in self.towers:
            known = ", ".join(known.value for known in self.towers)
            msg = f"teacher {self.name}: found modality {modality.value!r}, expected one of {known}"
            raise ConfigError(msg)
        if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
            msg = (
                f"teacher {self.name}: found pictures {tuple(images.shape)} of {images.dtype}, "
                "expected (B, 3, H, W) floating point in [0, 1]"
            )
            raise FrameError(msg)
        pixels = self.view.normalise(self.view.fit(images.to(self._device, torch.float32)))
        return self._unit(self._images[self.towers[modality]](pixels.to(self._dtype)), modality.value)

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Embed texts as (B, D) float32 of length 1.

        Raises:
            FrameError: embeddings that are not finite.
        """
        return self._unit(self._text(self._tokenizer(list(texts)).to(self._device)), "text")

    def fingerprint(self) -> dict[str, Any]:
        """Weights, tokenizer, pictures and arithmetic, in plain JSON types."""
        return {
            "name": self.name,
            "dim": self.dim,
            "weights": self._provenance,
            "tokenizer": self._tokenizer.fingerprint(),
            "view": self.view.describe(),
            "dtype": str(self._dtype).removeprefix("torch."),
        }

    def _unit(self, features: Tensor, what: str) -> Tensor:
        if features.ndim != 2 or features.shape[1] != self.dim or not bool(torch.isfinite(features).all()):
            msg = (
                f"teacher {self.name}: found {what} embeddings {tuple(features.shape)}, expected (B, {self.dim}), all "
                "finite; look for broken pictures, or set teacher.precision fp32"
            )
            raise FrameError(msg)
        return functional.normalize(features.float(), dim=-1, eps=1e-6)
