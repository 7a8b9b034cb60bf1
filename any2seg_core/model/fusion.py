# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Modality-agnostic Feature Fusion (MFF): any non-empty subset of modalities to one feature map.

Source: Any2Seg (ECCV 2024), section 3.3 and figure 3. Letters: B batch, M modalities, P rows (present pairs of sample
and modality), C channels, H and W the map's size, N = H * W locations, L columns (modalities that any sample has).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn

from any2seg_core.errors import FrameError
from any2seg_core.model import fusion_kernel

if TYPE_CHECKING:
    from collections.abc import Callable

_TINY: Final = 1e-8  # as torch's cosine_similarity: below it a feature has no direction, and its cosine is 0
_TIE: Final = 1e-5  # cosines nearer than this, some float32 roundings of long sums, are equal


@dataclass(frozen=True, eq=False)
class Fused:
    """What fusion made, and how.

    Attributes:
        feature: (B, C, H, W) modality-agnostic feature f_ma.
        weights: (B, M) float32 cosine of each modality with the anchor feature; 0 where absent.
        chosen: (B, H, W) int64 index of the modality selected at each location.
    """

    feature: Tensor
    weights: Tensor
    chosen: Tensor


class ModalityFusion(nn.Module):
    """Reweight modalities by their agreement with the anchor, select the best per location, add both (section 3.3).

    It has no parameters. Absent modalities have no row, so nothing in their slots can be read. The order of modalities
    matters only for ties, which go to the first, and in the last bits of sums. Scores are float32 at least, even under
    autocast: cosines of similar features differ by less than half precision resolves.

    Args:
        reweight: weigh modalities by cosine with the anchor; otherwise all weigh 1.
        select: build f_ms; otherwise the answer is the balanced feature f_mb alone.
        residual: add f_mb to f_ms; has no effect without selection.
        selection: "hard" takes the modality most similar to f_mb at each location, and so gives a gradient to it alone;
            "soft" takes all by the softmax of their similarities, which also learn.
        temperature: of that softmax.
    """

    def __init__(
        self,
        *,
        reweight: bool = True,
        select: bool = True,
        residual: bool = True,
        selection: str = "hard",
        temperature: float = 0.1,
    ) -> None:
        super().__init__()
        self._weigh = _WEIGH[reweight]
        self._aggregate = _AGGREGATE[select, residual]
        self._choose = _SELECTIONS[selection]
        self._temperature = temperature
        self._one_pass = select and selection == "hard"
        self._residual = residual

    def forward(self, features: Tensor, present: Tensor, previous: Tensor | None = None) -> Fused:
        """Fuse the modalities of each sample.

        Args:
            features: (P, C, H, W), a row per True in `present`, samples first, then modalities.
            present: (B, M) bool, at least one True per sample.
            previous: (B, C, H, W) fused feature at t-1. The anchor is the mean of the present modalities, or halfway
                between it and `previous`. No gradient flows into `previous`.

        Raises:
            FrameError: a sample has no modality, or shapes do not fit.
        """
        check_present(features, present)
        batch, (channels, height, width) = len(present), features.shape[1:]
        columns = present.any(0).nonzero().squeeze(1)
        kept = present[:, columns]
        with torch.autocast(features.device.type, enabled=False):
            stack = dense(_widened(features), present)
            weights = self.weigh(stack, kept, _tokens(previous, (batch, channels, height, width), stack.dtype))
            fused, chosen = self.blend(stack, weights, kept)
        return Fused(
            feature=fused.to(features.dtype).reshape(batch, height, width, channels).permute(0, 3, 1, 2),
            weights=weights.new_zeros(present.shape).index_copy(1, columns, weights * kept),
            chosen=columns[chosen].reshape(batch, height, width),
        )

    def weigh(self, stack: Tensor, kept: Tensor, previous: Tensor | None = None) -> Tensor:
        """Cosine with the anchor (B, L) of each modality in a stack (B, L, N, C), which is zero where not kept (B, L).

        No shape here or in blend depends on values, so both can stand in an exported graph.
        """
        return self._weigh(stack, _share(kept, stack.dtype), previous)

    def blend(self, stack: Tensor, weights: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Balance and select: f_ma (B, N, C) and M_I (B, N); without a gradient to keep, in one pass over memory."""
        parts = weights * _share(kept, stack.dtype)
        if self._one_pass and fusion_kernel.fits(stack):
            return fusion_kernel.select(stack, parts, kept, residual=self._residual, tiny=_TINY, tie=_TIE)
        balanced = _weighted_sum(stack, parts)  # f_mb (B, N, C)
        selected, chosen = self._choose(stack, balanced, kept, self._temperature)  # f_ms (B, N, C), M_I (B, N)
        return self._aggregate(balanced, selected), chosen


def correlation(features: Tensor, present: Tensor, fused: Tensor) -> Tensor:
    """Cosine of each modality's whole feature map with the fused one (equation 2).

    Args:
        features: (P, C, H, W) as ModalityFusion.forward takes them.
        present: (B, M) bool.
        fused: (B, C, H, W).

    Returns:
        (B, M) float32, 0 where absent.
    """
    with torch.autocast(features.device.type, enabled=False):
        stack = dense(_widened(features), present).flatten(2)  # (B, L, N * C)
        anchor = _widened(fused).permute(0, 2, 3, 1).flatten(1)  # (B, N * C)
        products = (stack @ anchor.unsqueeze(2)).squeeze(2)
        cosines = _cosine(products, stack.norm(dim=2) * anchor.norm(dim=1, keepdim=True))
        columns = present.any(0).nonzero().squeeze(1)
        return products.new_zeros(present.shape).index_copy(1, columns, cosines)


def check_present(features: Tensor, present: Tensor) -> None:
    """Refuse samples without any modality, and rows that are not the present ones.

    Raises:
        FrameError: as said.
    """
    empty = (~present.any(1)).nonzero().flatten().tolist()
    if empty or not len(present):
        msg = f"fusion: found no modality present in sample(s) {empty}, expected at least one in each; skip them"
        raise FrameError(msg)
    if len(features) != int(present.sum()):
        msg = f"fusion: found {len(features)} feature maps, expected {int(present.sum())}, one per present modality"
        raise FrameError(msg)


def dense(features: Tensor, present: Tensor) -> Tensor:
    """Lay rows (P, C, H, W) out as (B, L, N, C), zero where a sample lacks what another has; a view where none does."""
    rows = features.permute(0, 2, 3, 1).flatten(1, 2)
    kept = present[:, present.any(0)]
    if kept.all():
        return rows.reshape(*kept.shape, *rows.shape[1:])
    return rows.new_zeros(*kept.shape, *rows.shape[1:]).index_put(kept.nonzero(as_tuple=True), rows)


def _share(kept: Tensor, dtype: torch.dtype) -> Tensor:
    """Each present modality's part in a mean, (B, L)."""
    return kept.to(dtype) / kept.sum(1, keepdim=True)


def _widened(tensor: Tensor) -> Tensor:
    """Half precision as float32, anything else as it is."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def _tokens(previous: Tensor | None, expected: tuple[int, ...], dtype: torch.dtype) -> Tensor | None:
    """Bring f_ma at t-1 from (B, C, H, W) to (B, N, C), cut from its graph."""
    if previous is None:
        return None
    if previous.shape != expected:
        msg = f"fusion: found a previous feature of shape {tuple(previous.shape)}, expected {expected}; drop it"
        raise FrameError(msg)
    return previous.detach().to(dtype).permute(0, 2, 3, 1).flatten(1, 2)


def _cosine_weights(stack: Tensor, share: Tensor, previous: Tensor | None) -> Tensor:
    """Cosine of each flattened feature with the anchor (B, L), from inner products, never building the anchor."""
    flat = stack.flatten(2)  # (B, L, N * C)
    gram = flat @ flat.transpose(1, 2)  # (B, L, L)
    with_anchor = (gram @ share.unsqueeze(2)).squeeze(2)  # <f_m, mean>
    anchor_square = (with_anchor * share).sum(1, keepdim=True)  # <mean, mean>
    if previous is not None:
        with_previous = (flat @ previous.flatten(1).unsqueeze(2)).squeeze(2)  # <f_m, previous>
        across = (with_previous * share).sum(1, keepdim=True)  # <mean, previous>
        anchor_square = (anchor_square + 2 * across + previous.square().sum((1, 2)).unsqueeze(1)) / 4
        with_anchor = (with_anchor + with_previous) / 2
    squares = gram.diagonal(dim1=1, dim2=2) * anchor_square
    return with_anchor / squares.clamp_min(_TINY**2).sqrt()


def _equal_weights(stack: Tensor, share: Tensor, previous: Tensor | None) -> Tensor:  # noqa: ARG001  (one signature)
    return torch.ones_like(share)


def _weighted_sum(stack: Tensor, weights: Tensor) -> Tensor:
    """(B, L, N, C) and (B, L) to (B, N, C)."""
    return (weights.unsqueeze(1) @ stack.flatten(2)).reshape(stack[:, 0].shape)


def _hard(stack: Tensor, balanced: Tensor, kept: Tensor, _temperature: float) -> tuple[Tensor, Tensor]:
    """Feature (B, N, C) of the modality most similar to the balanced one at each location, and its index (B, N)."""
    with torch.no_grad():
        chosen = _most_similar(_similarities(stack, balanced), kept)
    if torch.compiler.is_compiling():  # runtimes have no fast gather; and gather has the faster way back
        return functools.reduce(
            lambda taken, index: torch.where((chosen == index).unsqueeze(2), stack[:, index], taken),
            range(1, stack.shape[1]),
            stack[:, 0],
        ), chosen
    index = chosen[:, None, :, None].expand(-1, 1, -1, stack.shape[3])
    return stack.gather(1, index).squeeze(1), chosen


def _soft(stack: Tensor, balanced: Tensor, kept: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Mean feature weighted by the softmax of similarities, and the index that _hard would take."""
    similarities = _similarities(stack, balanced)
    shares = (similarities / temperature).masked_fill(~kept.unsqueeze(2), -torch.inf).softmax(1)  # (B, L, N)
    blended = [feature * share.unsqueeze(2) for feature, share in zip(stack.unbind(1), shares.unbind(1), strict=True)]
    return functools.reduce(torch.add, blended), _most_similar(similarities.detach(), kept)


def _similarities(stack: Tensor, balanced: Tensor) -> Tensor:
    """Cosine (B, L, N) of each modality's feature with the balanced one at each location."""
    norm = balanced.norm(dim=2)
    return torch.stack(
        [_cosine((feature * balanced).sum(2), feature.norm(dim=2) * norm) for feature in stack.unbind(1)], 1
    )


def _cosine(products: Tensor, norms: Tensor) -> Tensor:
    """Inner products over norms; 0 without a gradient where a feature is too small to have a direction."""
    nowhere = norms < _TINY
    return products.masked_fill(nowhere, 0) / norms.masked_fill(nowhere, 1)


def _most_similar(similarities: Tensor, kept: Tensor) -> Tensor:
    """Index (B, N) of the largest similarity at each location.

    Two normalised features of equal global norm tie everywhere, and rounding must not draw a pattern into that: the
    first of all whose cosine is within _TIE of the largest wins. The index has no gradient.
    """
    scores = similarities.masked_fill(~kept.unsqueeze(2), -torch.inf)
    return (scores >= scores.amax(1, keepdim=True) - _TIE).byte().argmax(1)


def _both(balanced: Tensor, selected: Tensor) -> Tensor:
    return balanced + selected


def _selected(balanced: Tensor, selected: Tensor) -> Tensor:  # noqa: ARG001  (one signature)
    return selected


def _balanced(balanced: Tensor, selected: Tensor) -> Tensor:  # noqa: ARG001  (one signature)
    return balanced


_WEIGH: Final[dict[bool, Callable[[Tensor, Tensor, Tensor | None], Tensor]]] = {
    True: _cosine_weights,
    False: _equal_weights,
}
_SELECTIONS: Final[dict[str, Callable[[Tensor, Tensor, Tensor, float], tuple[Tensor, Tensor]]]] = {
    "hard": _hard,
    "soft": _soft,
}
_AGGREGATE: Final[dict[tuple[bool, bool], Callable[[Tensor, Tensor], Tensor]]] = {
    (True, True): _both,
    (True, False): _selected,
    (False, True): _balanced,
    (False, False): _balanced,
}
