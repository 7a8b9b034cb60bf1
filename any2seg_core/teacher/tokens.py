# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Texts as token ids: tokenizers of the transformers library, and one that needs no vocabulary file."""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from typing import TYPE_CHECKING, Any, Final, Protocol

import torch

from any2seg_core.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_PROBE: Final = "A street scene with two-wheelers, traffic signs and 2 cars at night."
"""Its ids tell tokenizers of one vocabulary but other rules apart."""


class Tokenizer(Protocol):
    """Texts in, rows of ids out."""

    @property
    def length(self) -> int:
        """Length of a row."""

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Give (B, length) int64 ids, cut or filled up."""

    def count(self, text: str) -> int:
        """Length of a text in tokens, with start and end, uncut."""

    def fingerprint(self) -> dict[str, Any]:
        """What decides the ids, in plain JSON types."""


class HfTokenizer:
    """A tokenizer of transformers, padded to one length, with what the text tower relies on checked in every row.

    Args:
        tokenizer: as AutoTokenizer gives it.
        length: of a row, what the text tower has positions for.
        eos: id of the end token whose place the tower reads its answer from, None for towers that read the last place.
        lower: lower-case texts first, for towers trained so whose tokenizer does not.

    Raises:
        CheckpointError: the tokenizer's end token is another.
    """

    def __init__(self, tokenizer: Any, *, length: int, eos: int | None, lower: bool = False) -> None:
        if eos is not None and tokenizer.eos_token_id != eos:
            msg = (
                f"tokenizer: found end token {tokenizer.eos_token_id}, expected {eos}, where the text tower reads its "
                "answer; put the tokenizer files that belong to the weights beside them"
            )
            raise CheckpointError(msg)
        self._tokenizer, self._eos, self._lower = tokenizer, eos, lower
        self.length = length

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Give (B, length) int64 ids.

        Raises:
            CheckpointError: a row has no end token: its embedding would not depend on the text.
        """
        rows = self._tokenizer(
            [self._text(text) for text in texts], padding="max_length", truncation=True, max_length=self.length
        )
        ids = torch.tensor(rows["input_ids"], dtype=torch.int64)
        if self._eos is not None and not bool((ids == self._eos).any(dim=1).all()):
            row = int((ids == self._eos).any(dim=1).int().argmin())
            msg = (
                f"tokenizer: found no end token {self._eos} in {texts[row]!r:.60}, expected one in every row: the text "
                "tower reads its answer there; use the tokenizer files that belong to the weights"
            )
            raise CheckpointError(msg)
        return ids

    def count(self, text: str) -> int:
        """Length of a text in tokens, with start and end, uncut."""
        return len(self._tokenizer(self._text(text), verbose=False)["input_ids"])

    def fingerprint(self) -> dict[str, Any]:
        """Hash of the vocabulary and of a sentence's ids."""
        vocabulary = sorted(self._tokenizer.get_vocab().items())
        content = json.dumps([vocabulary, self([_PROBE])[0].tolist()], ensure_ascii=True)
        return {"sha256": hashlib.sha256(content.encode()).hexdigest(), "length": self.length, "lower": self._lower}

    def _text(self, text: str) -> str:
        return text.lower() if self._lower else text


class HashTokenizer:
    """Words as checksums: always the same ids, without any file.

    Args:
        vocabulary: number of ids; the last two are start and end.
        length: of a row.
    """

    def __init__(self, vocabulary: int = 512, length: int = 77) -> None:
        self._words = vocabulary - 2
        self.length = length

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Give (B, length) int64 ids, filled up with the end token."""
        start, end = self._words, self._words + 1
        rows = torch.full((len(texts), self.length), end, dtype=torch.int64)
        for row, text in zip(rows, texts, strict=True):
            ids = [start, *self._ids(text)][: self.length - 1]
            row[: len(ids)] = torch.tensor(ids)
        return rows

    def count(self, text: str) -> int:
        """Length of a text in tokens, with start and end, uncut."""
        return len(self._ids(text)) + 2

    def fingerprint(self) -> dict[str, Any]:
        """Its two numbers."""
        return {"crc32": self._words, "length": self.length}

    def _ids(self, text: str) -> list[int]:
        return [zlib.crc32(word.encode()) % self._words for word in re.findall(r"\w+|[^\w\s]", text.lower())]
