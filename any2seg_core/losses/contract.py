# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What losses ask of a model and of its prediction (any2seg_core.model.segmentor keeps to it)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

    from any2seg_core.frames import Modality

Maps: TypeAlias = "tuple[Tensor, ...]"


class Prediction(Protocol):
    """What the network says about a batch.

    Attributes: logits (B, K, h, w); fused (B, C, h, w); features, each (P, C, h, w), or none; present (B, M) bool;
    weights (B, M) of fusion; state, the fused maps without their graph.
    """

    @property
    def logits(self) -> Tensor:  # noqa: D102
        ...

    @property
    def fused(self) -> Tensor:  # noqa: D102
        ...

    @property
    def features(self) -> Maps:  # noqa: D102
        ...

    @property
    def present(self) -> Tensor:  # noqa: D102
        ...

    @property
    def weights(self) -> Tensor:  # noqa: D102
        ...

    @property
    def state(self) -> Maps:  # noqa: D102
        ...

    def correlation(self, *, detach_anchor: bool = False) -> Tensor:
        """(B, M) cosine of each modality with the fused feature (equation 2)."""


class Segmentor(Protocol):
    """The network; `shares_encoder` says that extract, fuse_and_decode and decode are there."""

    modalities: tuple[Modality, ...]
    classes: int
    shares_encoder: bool

    def __call__(self, pixels: Tensor, present: Tensor, previous: Maps | None = None) -> Any:
        """Segment a batch: a Prediction."""

    def extract(self, pixels: Tensor, present: Tensor) -> Maps:
        """Maps (P, C, h, w) of the present modalities of a batch."""

    def fuse_and_decode(self, features: Maps, present: Tensor, previous: Maps | None = None) -> Any:
        """Fuse such maps: a Prediction."""

    def decode(self, maps: Maps) -> Tensor:
        """Logits of maps as they are."""
