# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Backbone names to encoders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from any2seg_core.errors import ConfigError
from any2seg_core.model.encoder import MIT_VARIANTS, MixTransformer
from any2seg_core.model.norms import NORMS
from any2seg_core.model.timm_encoder import TimmEncoder

if TYPE_CHECKING:
    from torch import Tensor

_TIMM: Final = "timm:"


class Encoder(Protocol):
    """What a backbone must offer: an image (B, 3, H, W) to maps (B, channels[i], H/strides[i], W/strides[i])."""

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    checkpointing: bool

    def __call__(self, pixels: Tensor, slots: Tensor | None = None) -> tuple[Tensor, ...]:
        """Extract the feature pyramid; `slots` (B,) says which modality each image is of."""


def build_encoder(
    backbone: str, *, drop_path: float = 0.0, channels_in: int = 3, norms: str = "shared", modalities: int = 1
) -> MixTransformer | TimmEncoder:
    """Build the encoder that a name stands for, randomly initialised.

    Args:
        backbone: mit_b0 to mit_b5, or timm:NAME.
        drop_path: stochastic depth rate.
        channels_in: channels of an image.
        norms: "shared", or "per_modality" for a scale and a shift of each.
        modalities: how many those are.

    Raises:
        ConfigError: the name is not known, and the message lists the choices; or it has no norms per modality.
    """
    if backbone.startswith(_TIMM):
        if norms != "shared":
            msg = f"norms: found {norms!r} for {backbone}, expected 'shared'; only mit_b* have norms per modality"
            raise ConfigError(msg)
        return TimmEncoder(backbone.removeprefix(_TIMM), drop_path=drop_path, channels_in=channels_in)
    if backbone not in MIT_VARIANTS:
        msg = f"backbone: found {backbone!r}, expected one of {', '.join(MIT_VARIANTS)} or timm:NAME"
        raise ConfigError(msg)
    norm = NORMS[norms](modalities)
    return MixTransformer(MIT_VARIANTS[backbone], drop_path=drop_path, channels_in=channels_in, norm=norm)
