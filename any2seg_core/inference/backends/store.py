# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Exported graphs on disk: found beside the checkpoint or in the cache folder if they fit its weights, else made.

encode.onnx, fuse_and_decode.onnx    see graphs.py
export.json                          format, fingerprint of the weights and the architecture, precision, versions
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_core.errors import CheckpointError
from any2seg_core.inference.backends.graphs import ENCODE, FUSE, OPSET, export_graphs

if TYPE_CHECKING:
    from collections.abc import Callable

    from any2seg_core.config import ModelConfig
    from any2seg_core.model.segmentor import Any2Seg

FOLDER: Final = "onnx"
"""Where graphs stand in a checkpoint's folder."""
DESCRIPTION: Final = "export.json"
_FORMAT: Final = 1
"""Raised when the network or its graphs come to compute otherwise, so that graphs of before are made anew."""


def fingerprint(model: Any2Seg, config: ModelConfig) -> str:
    """Identify weights and architecture: a hexadecimal SHA-256."""
    digest = hashlib.sha256(f"{_FORMAT} {OPSET} {model.classes} {config.model_dump_json()}".encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).data)
    return digest.hexdigest()


def find_graphs(model: Any2Seg, config: ModelConfig, *, first: Path | None) -> Path | None:
    """Find graphs of a model, in a folder or else in the cache folder; never those of other weights.

    Args:
        model: the network.
        config: its architecture.
        first: where to look before the cache folder.
    """
    mark = fingerprint(model, config)
    places = [_cached(mark)] if first is None else [first, _cached(mark)]
    return next((folder for folder in places if _fits(folder, mark)), None)


def find_or_make_graphs(model: Any2Seg, config: ModelConfig, *, first: Path | None = None) -> Path:
    """Find graphs of a model, or export them to the cache folder: any2seg/graphs in XDG_CACHE_HOME or ~/.cache.

    Raises:
        CheckpointError: the cache folder cannot be written to.
        ConfigError, DependencyError: see export_graphs.
    """
    found = find_graphs(model, config, first=first)
    return found or make_graphs(_cached(fingerprint(model, config)), model, config)


def make_graphs(target: Path, model: Any2Seg, config: ModelConfig) -> Path:
    """Export the graphs of a model to a folder, which is given back; errors as find_or_make_graphs.

    Graphs of the same weights that stand there already are left alone, and so is what was found out about them.
    """
    if _fits(target, fingerprint(model, config)):
        return target
    remembers = config.previous == "temporal"
    write_graphs(target, model, config, lambda folder: export_graphs(model, folder, remembers=remembers))
    return target


def write_graphs(target: Path, model: Any2Seg, config: ModelConfig, fill: Callable[[Path], None]) -> None:
    """Let `fill` write both graphs to a folder, describe them, and only then give the folder its name.

    Args:
        target: final name; graphs that stand there already are replaced, anything else is not.
        model: the network that the graphs are of.
        config: its architecture.
        fill: writes ENCODE and FUSE.

    Raises:
        CheckpointError: something else stands there, or the disk refuses.
    """
    if target.exists() and not (target / DESCRIPTION).is_file():
        msg = f"backend: found something else than exported graphs at {target}; give the name of a new folder"
        raise CheckpointError(msg)
    description = {
        "fingerprint": fingerprint(model, config),
        "opset": OPSET,
        "versions": {name: version(name) for name in ("torch", "onnx", "onnxscript")},
    }
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as staging:
            folder = Path(staging) / "graphs"
            folder.mkdir()
            fill(folder)
            (folder / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
            if target.exists():
                target.rename(Path(staging) / "former")
            folder.rename(target)
    except OSError as error:
        msg = (
            f"backend: graphs cannot be written to {target} ({error}); set XDG_CACHE_HOME to a folder that can be "
            "written to, or make them beforehand with training/export.py"
        )
        raise CheckpointError(msg) from error


def _cached(mark: str) -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "any2seg" / "graphs" / mark[:24]


def _fits(folder: Path, mark: str) -> bool:
    if not all((folder / name).is_file() for name in (ENCODE, FUSE, DESCRIPTION)):
        return False
    try:
        description = json.loads((folder / DESCRIPTION).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(description, dict) and description.get("fingerprint") == mark
