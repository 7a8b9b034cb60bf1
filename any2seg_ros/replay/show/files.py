# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Files that are either whole or not there."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def renamed_when_done(path: Path) -> Iterator[Path]:
    """Offer a path beside the wanted one; rename it into place after success, remove it after failure."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all."""
    with renamed_when_done(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8", newline="")
