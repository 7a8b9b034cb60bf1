# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What a teacher is, and what it is shown.

Letters: B batch, D the teacher's embedding size, H and W a picture's own size, M modalities, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from any2seg_core.frames import Modality
    from any2seg_core.teacher.view import ImageView


class Teacher(Protocol):
    """A frozen model that puts pictures of all modalities and texts into one space (Any2Seg, section 3.2)."""

    @property
    def name(self) -> str:
        """What it is called in reports."""

    @property
    def dim(self) -> int:
        """D, the length of an embedding."""

    @property
    def towers(self) -> Mapping[Modality, str]:
        """Which image encoder each modality goes through."""

    @property
    def view(self) -> ImageView:
        """How pictures are brought to the encoders' size."""

    @property
    def max_tokens(self) -> int:
        """Longest text that is read whole, in tokens with start and end."""

    def count_tokens(self, text: str) -> int:
        """Length of a text in tokens, with start and end, uncut."""

    def encode_images(self, modality: Modality, images: Tensor) -> Tensor:
        """Embed pictures (B, 3, H, W) in [0, 1] of one modality as (B, D) float32 of length 1."""

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Embed texts as (B, D) float32 of length 1."""

    def fingerprint(self) -> dict[str, Any]:
        """Everything that decides its embeddings, in plain JSON types."""


@dataclass(frozen=True, eq=False)
class SampleView:
    """What a teacher sees of a sample.

    Attributes:
        id: name of the sample.
        pictures: (3, H, W) uint8, or float32 in [0, 1]; a modality may be missing.
        depth_m: (H, W) float32 metres along the optical axis, NaN or 0 where there is none; None where the data set
            has no metric depth.
        labels: (H, W) uint8 classes, 255 unlabelled.
        condition: weather, "" where the data set has none.
    """

    id: str
    pictures: Mapping[Modality, Tensor]
    depth_m: Tensor | None
    labels: NDArray[np.uint8]
    condition: str


class SampleSource(Protocol):
    """Samples of one split, read when asked for."""

    @property
    def ids(self) -> Sequence[str]:
        """Names of the samples, each once."""

    @property
    def stamps(self) -> Sequence[str]:
        """One text per sample that changes when its files do; see file_stamp."""

    def __getitem__(self, index: int) -> SampleView:
        """Read one sample."""
