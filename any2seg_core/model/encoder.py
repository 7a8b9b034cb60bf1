# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The Mix Transformer (MiT) encoder of SegFormer, shared by all modalities.

Source: Xie et al., "SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers"
(NeurIPS 2021, arXiv 2105.15203), section 3.1 and table 6; an MLP ratio of 4 in every stage as the released weights
have. Letters: B batch, H and W rows and columns of the current stage, C channels, r reduction ratio. Tokens keep
their place in the image: (B, H, W, C) throughout, so linear layers and norms never transpose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from any2seg_core.errors import FrameError
from any2seg_core.model.norms import SharedNorm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from any2seg_core.model.norms import NormFactory

    Run = Callable[[nn.Module, Tensor, Tensor | None], Tensor]

STRIDES: Final = (4, 8, 16, 32)
"""Pixels per feature, stage by stage, that the decode head expects of every encoder."""

_HEADS: Final = (1, 2, 5, 8)
_REDUCTIONS: Final = (8, 4, 2, 1)
_MLP_RATIO: Final = 4


@dataclass(frozen=True)
class MiTVariant:
    """What tells the sizes of the encoder apart: blocks and channels of its four stages."""

    depths: tuple[int, int, int, int]
    widths: tuple[int, int, int, int]


MIT_VARIANTS: Final = {
    "mit_b0": MiTVariant(depths=(2, 2, 2, 2), widths=(32, 64, 160, 256)),
    "mit_b1": MiTVariant(depths=(2, 2, 2, 2), widths=(64, 128, 320, 512)),
    "mit_b2": MiTVariant(depths=(3, 4, 6, 3), widths=(64, 128, 320, 512)),
    "mit_b3": MiTVariant(depths=(3, 4, 18, 3), widths=(64, 128, 320, 512)),
    "mit_b4": MiTVariant(depths=(3, 8, 27, 3), widths=(64, 128, 320, 512)),
    "mit_b5": MiTVariant(depths=(3, 6, 40, 3), widths=(64, 128, 320, 512)),
}


def check_pixels(pixels: Tensor, channels: int = 3) -> None:
    """Refuse images whose shape the stages cannot halve evenly.

    Raises:
        FrameError: pixels are not (B, channels, H, W) with H and W positive multiples of 32.
    """
    multiple = STRIDES[-1]
    if pixels.ndim != 4 or pixels.shape[1] != channels or any(side % multiple or not side for side in pixels.shape[2:]):
        msg = (
            f"encoder input: found shape {tuple(pixels.shape)}, expected (B, {channels}, H, W) with H and W multiples "
            f"of {multiple}; resize the images"
        )
        raise FrameError(msg)


class DropPath(nn.Module):
    """Drop a residual branch for whole samples while training (stochastic depth, arXiv 1603.09382)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        """Zero the branch of a random share of samples and scale up the others; does nothing in evaluation."""
        if not self.training or self.rate == 0:
            return branch
        keep = 1 - self.rate
        mask = branch.new_empty((branch.shape[0],) + (1,) * (branch.ndim - 1)).bernoulli_(keep)
        return branch * mask / keep

    def extra_repr(self) -> str:
        """Show the rate when the model is printed."""
        return f"rate={self.rate}"


class OverlapPatchEmbedding(nn.Module):
    """Shrink the map by a strided convolution whose windows overlap, so that neighbours stay continuous."""

    def __init__(self, channels_in: int, channels: int, norm: NormFactory, *, kernel: int, stride: int) -> None:
        super().__init__()
        self.projection = nn.Conv2d(channels_in, channels, kernel, stride, padding=kernel // 2)
        self.norm = norm(channels)

    def forward(self, tokens: Tensor, slots: Tensor | None) -> Tensor:
        """(B, H, W, C_in) to (B, H/stride, W/stride, C)."""
        embedded: Tensor = self.norm(self.projection(tokens.permute(0, 3, 1, 2)).permute(0, 2, 3, 1), slots)
        return embedded


class SequenceReduction(nn.Module):
    """Merge every r x r patch of tokens into one, which makes attention r * r times cheaper (paper, equation 2)."""

    def __init__(self, channels: int, ratio: int, norm: NormFactory = SharedNorm) -> None:
        super().__init__()
        self.ratio = ratio
        self.projection = nn.Linear(ratio * ratio * channels, channels)
        self.norm = norm(channels)

    def forward(self, tokens: Tensor, slots: Tensor | None = None) -> Tensor:
        """(B, H, W, C) to (B, H/r, W/r, C)."""
        batch, height, width, channels = tokens.shape
        r = self.ratio
        patches = tokens.reshape(batch, height // r, r, width // r, r, channels).transpose(2, 3)
        patches = patches.reshape(batch, height // r, width // r, r * r * channels)
        merged: Tensor = self.norm(self.projection(patches), slots)
        return merged


class NoReduction(nn.Module):
    """Attention sees all tokens."""

    def forward(self, tokens: Tensor, slots: Tensor | None) -> Tensor:  # noqa: ARG002  (one signature)
        """(B, H, W, C), as it is."""
        return tokens


class EfficientSelfAttention(nn.Module):
    """Multi-head attention of all tokens to a reduced set of them."""

    def __init__(self, channels: int, heads: int, ratio: int, norm: NormFactory) -> None:
        super().__init__()
        self.heads = heads
        self.reduction = SequenceReduction(channels, ratio, norm) if ratio > 1 else NoReduction()
        self.query = nn.Linear(channels, channels)
        self.key_value = nn.Linear(channels, 2 * channels)
        self.output = nn.Linear(channels, channels)

    def forward(self, tokens: Tensor, slots: Tensor | None) -> Tensor:
        """(B, H, W, C) to the same shape."""
        batch, _, _, channels = tokens.shape
        head = channels // self.heads
        query = self.query(tokens).reshape(batch, -1, self.heads, head).transpose(1, 2)
        reduced = self.key_value(self.reduction(tokens, slots)).reshape(batch, -1, 2, self.heads, head)
        key, value = reduced.permute(2, 0, 3, 1, 4)  # each (B, heads, H * W / r^2, C / heads)
        attended = functional.scaled_dot_product_attention(query, key, value)
        result: Tensor = self.output(attended.transpose(1, 2).reshape(tokens.shape))
        return result


class MixFFN(nn.Module):
    """Feed-forward network with a 3 x 3 depthwise convolution, which tells tokens where they are (equation 3)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = _MLP_RATIO * channels
        self.expand = nn.Linear(channels, hidden)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.contract = nn.Linear(hidden, channels)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, H, W, C) to the same shape."""
        hidden = self.depthwise(self.expand(tokens).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        result: Tensor = self.contract(functional.gelu(hidden))
        return result


class Block(nn.Module):
    """One transformer block: attention, then Mix-FFN, each normalised before and added to its input."""

    def __init__(self, channels: int, heads: int, ratio: int, norm: NormFactory, drop_path: float) -> None:
        super().__init__()
        self.attention_norm = norm(channels)
        self.attention = EfficientSelfAttention(channels, heads, ratio, norm)
        self.ffn_norm = norm(channels)
        self.ffn = MixFFN(channels)
        self.drop_path = DropPath(drop_path)

    def forward(self, tokens: Tensor, slots: Tensor | None) -> Tensor:
        """(B, H, W, C) to the same shape."""
        tokens = tokens + self.drop_path(self.attention(self.attention_norm(tokens, slots), slots))
        result: Tensor = tokens + self.drop_path(self.ffn(self.ffn_norm(tokens, slots)))
        return result


class Stage(nn.Module):
    """Patch embedding, blocks, norm: one of the four resolutions."""

    def __init__(
        self,
        channels_in: int,
        channels: int,
        heads: int,
        ratio: int,
        norm: NormFactory,
        *,
        first: bool,
        drop_path: Sequence[float],
    ) -> None:
        super().__init__()
        kernel, stride = (7, 4) if first else (3, 2)
        self.embedding = OverlapPatchEmbedding(channels_in, channels, norm, kernel=kernel, stride=stride)
        self.blocks = nn.ModuleList(Block(channels, heads, ratio, norm, rate) for rate in drop_path)
        self.norm = norm(channels)

    def forward(self, tokens: Tensor, slots: Tensor | None, run: Run) -> Tensor:
        """(B, H, W, C_in) to (B, H/stride, W/stride, C); `run` calls each block."""
        tokens = self.embedding(tokens, slots)
        for block in self.blocks:
            tokens = run(block, tokens, slots)
        result: Tensor = self.norm(tokens, slots)
        return result


def _directly(block: nn.Module, tokens: Tensor, slots: Tensor | None) -> Tensor:
    result: Tensor = block(tokens, slots)
    return result


def _recomputed(block: nn.Module, tokens: Tensor, slots: Tensor | None) -> Tensor:
    """Keep nothing that happens inside; the way back computes it again, random numbers included."""
    result: Tensor = checkpoint(block, tokens, slots, use_reentrant=False)
    return result


class MixTransformer(nn.Module):
    """SegFormer's hierarchical encoder: an image to four feature maps.

    Args:
        variant: sizes.
        drop_path: stochastic depth rate at the last block.
        channels_in: channels of an image.
        norm: makes the layer norm of so many channels.

    Attributes:
        channels: C_i of the four maps.
        strides: pixels per feature of the four maps.
        channels_in: channels of an image.
        checkpointing: recompute each block on the way back instead of keeping what it computed; the same gradients for
            less memory and a third more time.
    """

    def __init__(
        self, variant: MiTVariant, *, drop_path: float = 0.0, channels_in: int = 3, norm: NormFactory = SharedNorm
    ) -> None:
        super().__init__()
        self.channels: tuple[int, ...] = variant.widths
        self.strides: tuple[int, ...] = STRIDES
        self.checkpointing = False
        self.channels_in = channels_in
        # Stochastic depth grows linearly from none at the first block to the full rate at the last.
        last = sum(variant.depths) - 1
        rates = (drop_path * index / last for index in range(last + 1))
        self.stages = nn.ModuleList(
            Stage(inputs, channels, heads, ratio, norm, first=index == 0, drop_path=[next(rates) for _ in range(depth)])
            for index, (inputs, channels, heads, ratio, depth) in enumerate(
                zip(
                    (channels_in, *variant.widths[:3]), variant.widths, _HEADS, _REDUCTIONS, variant.depths, strict=True
                )
            )
        )
        self.apply(_initialise)

    def forward(self, pixels: Tensor, slots: Tensor | None = None) -> tuple[Tensor, ...]:
        """Extract the feature pyramid.

        Args:
            pixels: (B, channels_in, H, W), H and W multiples of 32.
            slots: (B,) int64 which modality each image is of, for norms that differ by modality.

        Returns:
            Four maps (B, C_i, H/strides[i], W/strides[i]), channels last in memory.

        Raises:
            FrameError: the pixels have another shape, or the norms need slots.
        """
        check_pixels(pixels, self.channels_in)
        run = _recomputed if self.checkpointing and torch.is_grad_enabled() else _directly
        tokens = pixels.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)
        pyramid = []
        for stage in self.stages:
            tokens = stage(tokens, slots, run)
            pyramid.append(tokens.permute(0, 3, 1, 2))
        return tuple(pyramid)


def _initialise(module: nn.Module) -> None:
    """Start linear layers from a narrow normal, convolutions from He's (fan out), biases from zero."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Conv2d):
        fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=(2 / fan_out) ** 0.5)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
