# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints that come with the package, found by name."""

from __future__ import annotations

from importlib import resources
from pathlib import Path


def shipped_names() -> tuple[str, ...]:
    """Names of the checkpoints that come with the package."""
    folder = _folder()
    return tuple(sorted(path.name for path in folder.iterdir() if path.is_dir())) if folder.is_dir() else ()


def find_checkpoint(name: str) -> Path:
    """Turn what a user gives as checkpoint into a folder: the name of a shipped one, or else a path.

    A path that exists wins; what is neither is given back as a path, for whoever opens it to refuse.
    """
    path = Path(name).expanduser()
    return _folder() / name if not path.exists() and name in shipped_names() else path


def _folder() -> Path:
    return Path(str(resources.files("any2seg_core"))) / "checkpoints"
