# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Hashes of what decides embeddings, and words for how two of them differ."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

import torch

from any2seg_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from any2seg_core.frames import Modality

_SHOWN: Final = 5


def state_sha256(state: Mapping[str, Tensor]) -> str:
    """Hash names, shapes, types and values of weights, whatever file they came from."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def text_sha256(content: Any) -> str:
    """Hash plain JSON values, alike whatever the order of keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def file_stamp(paths: Mapping[Modality, Sequence[Path]], labels: Path) -> str:
    """Give a text that changes when a sample's files are replaced by others: their sizes, by modality.

    Times are left out, because a copied data set is the same data set.

    Raises:
        ConfigError: a file is not there.
    """
    named = {modality.value: list(files) for modality, files in paths.items()} | {"labels": [labels]}
    try:
        return ";".join(f"{name}={sum(path.stat().st_size for path in files)}" for name, files in named.items())
    except OSError as error:
        msg = f"teacher cache: found a file missing ({error}), expected the whole data set; restore it"
        raise ConfigError(msg) from error


def same_stamp(one: str, other: str) -> bool:
    """Say whether two stamps agree in all that both speak of."""
    ours, theirs = (dict(part.partition("=")[::2] for part in stamp.split(";")) for stamp in (one, other))
    return all(ours[name] == theirs[name] for name in ours.keys() & theirs.keys())


def differences(found: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    """List the fields in which two fingerprints differ, with both values; empty where they are equal."""
    ours, theirs = dict(_flat(found)), dict(_flat(expected))
    fields = [name for name in {**theirs, **ours} if ours.get(name) != theirs.get(name)]
    more = f" and {len(fields) - _SHOWN} more" if len(fields) > _SHOWN else ""
    listed = [
        f"{name}: found {_short(ours.get(name))}, expected {_short(theirs.get(name))}" for name in fields[:_SHOWN]
    ]
    return "; ".join(listed) + more


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list) and len(value) > 8:  # name the entry, not the list
            yield f"{prefix}{name}.length", len(value)
            yield from ((f"{prefix}{name}[{index}]", entry) for index, entry in enumerate(value))
        else:
            yield prefix + name, value


def _short(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
