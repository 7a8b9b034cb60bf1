# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Copying weights into a module, all of them or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from any2seg_core.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

_SHOWN = 5


def check_state(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], *, source: str) -> None:
    """Compare names and shapes of weights with those that a module has.

    Raises:
        CheckpointError: naming missing, unexpected and mismatched weights.
    """
    mismatched = [
        f"{name} {tuple(found[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in found and found[name].shape != tensor.shape
    ]
    problems = [
        _list("missing", sorted(expected.keys() - found.keys())),
        _list("unexpected", sorted(found.keys() - expected.keys())),
        _list("mismatched", mismatched),
    ]
    if any(problems):
        msg = (
            f"{source}: weights do not fit the architecture: {'; '.join(filter(None, problems))}; "
            "use weights of the same backbone, sizes and number of classes"
        )
        raise CheckpointError(msg)


def _list(kind: str, names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{len(names)} {kind}: {', '.join(names[:_SHOWN])}{more}"
