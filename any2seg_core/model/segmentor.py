# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Any2Seg assembled: one shared encoder, modality-agnostic fusion, one decode head.

Source: Any2Seg (ECCV 2024), figure 2, forward pass. Letters: B batch, M modalities, P rows (present pairs of sample and
modality), K classes, D embedding, H and W the image's size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import torch
from torch import Tensor, nn

from any2seg_core.errors import ConfigError, FrameError
from any2seg_core.frames import Modality, in_canonical_order
from any2seg_core.model.backbones import build_encoder
from any2seg_core.model.decoder import DecodeHead
from any2seg_core.model.encoder import STRIDES
from any2seg_core.model.fusion import Fused, ModalityFusion, correlation
from any2seg_core.model.max_fusion import MaxFusion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from any2seg_core.config import ModelConfig
    from any2seg_core.model.backbones import Encoder

Maps: TypeAlias = "tuple[Tensor, ...]"
"""Feature maps at the level where fusion acts: one, or one per encoder stage."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the network says about a batch, and everything that losses and studies need to see.

    Attributes:
        logits: (B, K, H/4, W/4).
        fused: (B, C, H/4, W/4) modality-agnostic feature f_ma, C being D or, for fusion of logits, K.
        features: maps (P, C, h, w) of each present modality at the fusion level, samples first, then modalities; none
            where modalities are joined before the encoder.
        fusions: how each of those maps was fused.
        present: (B, M) bool.
    """

    logits: Tensor
    fused: Tensor
    features: Maps
    fusions: tuple[Fused, ...]
    present: Tensor

    @property
    def weights(self) -> Tensor:
        """(B, M) float32 weight of each modality, averaged over the fused maps; 0 where absent, 1 without fusion."""
        if not self.fusions:
            return self.present.float()
        return torch.stack([fusion.weights for fusion in self.fusions]).mean(0)

    @property
    def state(self) -> Maps:
        """The fused maps, cut from their graph: `previous` of the next call."""
        return tuple(fusion.feature.detach() for fusion in self.fusions)

    def correlation(self, *, detach_anchor: bool = False) -> Tensor:
        """(B, M) float32 cosine of each modality with f_ma (equation 2), averaged over the fused maps.

        Args:
            detach_anchor: no gradient flows through f_ma.

        Raises:
            ConfigError: the model joins modalities before its encoder, so there is no feature of each.
        """
        if not self.features:
            msg = "prediction: found no feature of each modality, expected a model whose modalities share the encoder"
            raise ConfigError(msg)
        cosines = [
            correlation(features, self.present, fusion.feature.detach() if detach_anchor else fusion.feature)
            for features, fusion in zip(self.features, self.fusions, strict=True)
        ]
        return torch.stack(cosines).mean(0)


@dataclass(frozen=True)
class _Level:
    """Where fusion acts: what is done for each modality before it, and for the fused maps after it."""

    prepare: Callable[[DecodeHead, Maps], Maps]
    finish: Callable[[DecodeHead, Maps], tuple[Tensor, Tensor]]


_LEVELS: Final = {
    "embedding": _Level(
        prepare=lambda head, pyramid: (head.embed(pyramid),),
        finish=lambda head, maps: (maps[0], head.classify(maps[0])),
    ),
    "logits": _Level(
        prepare=lambda head, pyramid: (head.classify(head.embed(pyramid)),),
        finish=lambda _head, maps: (maps[0], maps[0]),
    ),
    "stages": _Level(
        prepare=lambda _head, pyramid: pyramid,
        finish=lambda head, maps: (embedding := head.embed(maps), head.classify(embedding)),
    ),
}


class Any2Seg(nn.Module):
    """Semantic segmentation from any non-empty subset of modalities.

    Absent modalities are never encoded: they cost nothing, and nothing in their slots can reach the output. The feature
    at t-1 is an argument and a result, never a state of the network: whoever calls knows what t is.

    Attributes:
        modalities: the M modalities in the order of the M axis, which is canonical order.
        classes: K.
        encoder, head, fusion: the parts.
        shares_encoder: each modality is encoded by itself, so extract, encode, fuse_and_decode and decode are there.
    """

    shares_encoder: bool = True

    def __init__(
        self, encoder: Encoder, head: DecodeHead, fusion: nn.Module, *, level: str, modalities: Iterable[Modality]
    ) -> None:
        super().__init__()
        _check_fit(encoder, head)
        self.encoder = encoder
        self.head = head
        self.fusion = fusion
        self.modalities = in_canonical_order(modalities)
        self.classes: int = head.classifier.out_features
        self._level = _LEVELS[level]

    def forward(self, pixels: Tensor, present: Tensor, previous: Maps | None = None) -> Prediction:
        """Segment a batch.

        Args:
            pixels: (B, M, 3, H, W), H and W multiples of 32; slots of absent modalities are never read.
            present: (B, M) bool, at least one True per sample.
            previous: state of an earlier prediction of the same size, which joins the anchor of fusion.

        Raises:
            FrameError: a shape does not fit, or a sample has no modality.
        """
        return self.fuse_and_decode(self.extract(pixels, present), present, previous)

    def extract(self, pixels: Tensor, present: Tensor) -> Maps:
        """Encode what is present in a batch, arguments and errors as forward, to maps that fuse_and_decode takes."""
        self._check(pixels, present)
        return self.encode(pixels[present], present.nonzero()[:, 1])

    def encode(self, pixels: Tensor, slots: Tensor) -> Maps:
        """Do all that is done for each modality by itself: images (P, 3, H, W) to maps (P, C, h, w) to fuse.

        In evaluation a row's maps depend on that row alone, so they may be computed apart, kept and joined again.

        Args:
            pixels: an image per row.
            slots: (P,) int64 index of each row's modality in `modalities`.

        Raises:
            FrameError: there is not a slot for each row, or the images' shape does not fit.
        """
        if slots.shape != pixels.shape[:1]:
            msg = f"model input: found slots {tuple(slots.shape)} for {len(pixels)} images, expected one for each"
            raise FrameError(msg)
        return self._level.prepare(self.head, self.encoder(pixels, slots))

    def fuse_and_decode(self, features: Maps, present: Tensor, previous: Maps | None = None) -> Prediction:
        """Do all that is done for the modalities together; `features` has a row per True in `present` (B, M)."""
        earlier = previous or (None,) * len(features)
        fusions = tuple(self.fusion(rows, present, before) for rows, before in zip(features, earlier, strict=True))
        fused, logits = self._level.finish(self.head, tuple(fusion.feature for fusion in fusions))
        return Prediction(logits, fused, features, fusions, present)

    def decode(self, maps: Maps) -> Tensor:
        """Logits (P, K, H/4, W/4) of maps taken as they are, for example of each modality by itself."""
        return self._level.finish(self.head, maps)[1]

    def _check(self, pixels: Tensor, present: Tensor) -> None:
        expected = (pixels.shape[0], len(self.modalities), 3)
        if pixels.ndim != 5 or pixels.shape[:3] != expected or present.shape != expected[:2]:
            msg = (
                f"model input: found pixels {tuple(pixels.shape)} and present {tuple(present.shape)}, expected "
                f"(B, M, 3, H, W) and (B, M) with the M = {len(self.modalities)} modalities "
                f"{', '.join(modality.value for modality in self.modalities)}"
            )
            raise FrameError(msg)
        if not present.any(1).all():
            msg = "model input: found a sample with no modality present, expected at least one; skip such samples"
            raise FrameError(msg)


class EarlyConcat(Any2Seg):
    """Baseline: the pictures of all modalities stacked on the channel axis before one encoder, absent ones as zeros.

    The same forward pass; but there are no features of each modality, so it cannot be taken apart.

    Args:
        encoder: takes 3 M channels.
        head: the decode head.
        modalities: the M modalities.
    """

    shares_encoder = False

    def __init__(self, encoder: Encoder, head: DecodeHead, *, modalities: Iterable[Modality]) -> None:
        super().__init__(encoder, head, nn.Identity(), level="embedding", modalities=modalities)

    def forward(self, pixels: Tensor, present: Tensor, previous: Maps | None = None) -> Prediction:  # noqa: ARG002
        """Segment a batch; arguments and errors as Any2Seg.forward, and `previous` changes nothing."""
        self._check(pixels, present)
        given = pixels.masked_fill(~present[:, :, None, None, None], 0)  # garbage in absent slots goes
        fused = self.head.embed(self.encoder(given.flatten(1, 2)))
        return Prediction(self.head.classify(fused), fused, (), (), present)

    def encode(self, pixels: Tensor, slots: Tensor) -> Maps:  # noqa: ARG002  (one signature)
        """Refuse: no modality is encoded by itself.

        Raises:
            ConfigError: always.
        """
        msg = "model: found fusion 'concat', expected modalities that share the encoder; call the whole model instead"
        raise ConfigError(msg)


def build_model(config: ModelConfig, classes: int) -> Any2Seg:
    """Assemble a randomly initialised model; the global torch seed decides the weights.

    Raises:
        ConfigError: the backbone is unknown, or does not fit the decode head or the norms.
    """
    modalities = [Modality(name) for name in config.modalities]
    joined = config.fusion == "concat"
    encoder = build_encoder(
        config.backbone,
        drop_path=config.drop_path,
        channels_in=3 * len(modalities) if joined else 3,
        norms=config.norms,
        modalities=len(modalities),
    )
    head = DecodeHead(encoder.channels, config.embed_dim, classes)
    if joined:
        return EarlyConcat(encoder, head, modalities=modalities)
    return Any2Seg(encoder, head, _FUSIONS[config.fusion](config), level=config.fusion_level, modalities=modalities)


def _mff(config: ModelConfig) -> ModalityFusion:
    return ModalityFusion(
        reweight=config.reweight,
        select=config.select,
        residual=config.residual,
        selection=config.selection,
        temperature=config.selection_temperature,
    )


_FUSIONS: Final[dict[str, Callable[[ModelConfig], nn.Module]]] = {"mff": _mff, "max": lambda _config: MaxFusion()}


def _check_fit(encoder: Encoder, head: DecodeHead) -> None:
    accepted = tuple(projection.in_features for projection in head.projections)
    if encoder.strides != STRIDES or encoder.channels != accepted:
        msg = (
            f"model: encoder {type(encoder).__name__} gives maps at strides {encoder.strides} with {encoder.channels} "
            f"channels, decode head {type(head).__name__} expects strides {STRIDES} with {accepted}"
        )
        raise ConfigError(msg)
