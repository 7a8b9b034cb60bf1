# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Backbone names to encoders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from any2seg_core.errors import ConfigError
from any2seg_core.model.encoder import MIT_VARIANTS, MixTransformer
from any2seg_core.model.timm_encoder import TimmEncoder

if TYPE_CHECKING:
    from torch import Tensor

_TIMM: Final = "timm:"


class Encoder(Protocol):
    """What a backbone must offer: an image (B, 3, H, W) to maps (B, channels[i], H/strides[i], W/strides[i])."""

    channels: tuple[int, ...]
    strides: tuple[int, ...]

    def __call__(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Extract the feature pyramid."""


def build_encoder(backbone: str, *, drop_path: float = 0.0) -> MixTransformer | TimmEncoder:
    """Build the encoder that a name stands for, randomly initialised.

    Raises:
        ConfigError: the name is not known; the message lists the choices.
    """
    if backbone.startswith(_TIMM):
        return TimmEncoder(backbone.removeprefix(_TIMM), drop_path=drop_path)
    if backbone not in MIT_VARIANTS:
        msg = f"backbone: found {backbone!r}, expected one of {', '.join(MIT_VARIANTS)} or timm:NAME"
        raise ConfigError(msg)
    return MixTransformer(MIT_VARIANTS[backbone], drop_path=drop_path)
