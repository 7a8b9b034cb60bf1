# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Any timm backbone with maps at strides 4, 8, 16 and 32 behind the encoder's contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from any2seg_core.errors import ConfigError, DependencyError, FrameError
from any2seg_core.model.encoder import STRIDES, check_pixels

if TYPE_CHECKING:
    from torch import Tensor


class TimmEncoder(nn.Module):
    """A timm `features_only` network, randomly initialised, giving the same four maps as MixTransformer.

    Attributes:
        channels: C_i of the four maps.
        strides: pixels per feature of the four maps.
        checkpointing: recompute parts on the way back to save memory, where timm can.

    Raises:
        DependencyError: timm is not installed.
        ConfigError: timm does not know the name, cannot give feature maps of it, or the strides do not fit.
    """

    def __init__(self, name: str, *, drop_path: float = 0.0, channels_in: int = 3) -> None:
        super().__init__()
        self.name = name
        self._channels_in = channels_in
        self._checkpointing = False
        self.trunk = _create(name, drop_path, channels_in)
        found = list(self.trunk.feature_info.reduction())
        if not set(STRIDES) <= set(found):
            msg = (
                f"backbone 'timm:{name}': found feature maps at strides {found}, the decode head expects {STRIDES}; "
                "choose a hierarchical backbone, for example timm:resnet18 or timm:convnext_atto"
            )
            raise ConfigError(msg)
        # A backbone may hold several maps of one stride; the deepest has seen most.
        self._picked = [len(found) - 1 - found[::-1].index(stride) for stride in STRIDES]
        self.channels: tuple[int, ...] = tuple(self.trunk.feature_info.channels()[index] for index in self._picked)
        self.strides: tuple[int, ...] = STRIDES
        # Swin-like networks of timm hand out (B, H, W, C).
        self._axes = (0, 3, 1, 2) if "NHWC" in str(getattr(self.trunk, "output_fmt", "NCHW")) else (0, 1, 2, 3)

    @property
    def checkpointing(self) -> bool:
        """Whether parts are recomputed."""
        return self._checkpointing

    @checkpointing.setter
    def checkpointing(self, enabled: bool) -> None:
        if enabled and not hasattr(self.trunk, "set_grad_checkpointing"):
            msg = f"backbone 'timm:{self.name}': timm cannot recompute it; switch gradient checkpointing off"
            raise ConfigError(msg)
        self._checkpointing = enabled
        self.trunk.set_grad_checkpointing(enabled)

    def forward(self, pixels: Tensor, slots: Tensor | None = None) -> tuple[Tensor, ...]:  # noqa: ARG002  (one signature)
        """Extract the feature pyramid; shapes and errors as MixTransformer.forward."""
        check_pixels(pixels, self._channels_in)
        try:
            maps = self.trunk(pixels)
        except AssertionError as error:
            height, width = pixels.shape[2:]
            msg = (
                f"backbone 'timm:{self.name}' does not take images of {width}x{height} ({error}); use the size that "
                "it is made for, or a backbone for any size"
            )
            raise FrameError(msg) from error
        return tuple(maps[index].permute(self._axes) for index in self._picked)


def _create(name: str, drop_path: float, channels_in: int) -> Any:
    try:
        import timm  # noqa: PLC0415  (slow to import, and few checkpoints need it)
    except ImportError:
        msg = f"backbone 'timm:{name}': timm is not installed; run pip install timm, or choose a mit_b* backbone"
        raise DependencyError(msg) from None
    if not timm.is_model(name):
        similar = ", ".join(timm.list_models(f"{name[:6]}*")[:5]) or "see timm.list_models()"
        msg = f"backbone 'timm:{name}': timm {timm.__version__} has no such model, nearby names: {similar}"
        raise ConfigError(msg)
    options: dict[str, Any] = {"drop_path_rate": drop_path} if drop_path else {}
    try:
        return timm.create_model(name, pretrained=False, features_only=True, in_chans=channels_in, **options)
    except (TypeError, RuntimeError, AttributeError) as error:
        msg = (
            f"backbone 'timm:{name}': timm cannot build it as a feature extractor with {options or 'no options'} "
            f"({error}); try drop_path 0 or another backbone"
        )
        raise ConfigError(msg) from error
