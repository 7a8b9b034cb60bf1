# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Which sensors a robot and a model have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from any2seg_core.errors import ConfigError
from any2seg_core.frames import Modality, in_canonical_order

if TYPE_CHECKING:
    from collections.abc import Iterable

    from any2seg_core.config import NodeConfig


def agreed(
    config: NodeConfig, known: Iterable[Modality], disabled: frozenset[Modality] = frozenset()
) -> tuple[Modality, ...]:
    """Give the configured sensors that a model knows.

    Args:
        config: modalities, and which of them may be the anchor.
        known: what the model knows.
        disabled: sensors that are switched off.

    Raises:
        ConfigError: none of them may be the anchor, or all that may are switched off.
    """
    known = list(known)
    common = in_canonical_order({Modality(name) for name in config.modalities} & set(known))
    if not any(Modality(name) in common and Modality(name) not in disabled for name in config.sync.anchors):
        off = f", switched off {sorted(modality.value for modality in disabled)}" if disabled else ""
        msg = (
            f"modalities {config.modalities} with anchors {config.sync.anchors}{off}: the checkpoint knows "
            f"{[modality.value for modality in known]}, expected at least one in common; "
            "configure sensors that the model was trained with"
        )
        raise ConfigError(msg)
    return common
