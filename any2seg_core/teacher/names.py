# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Class names as a language model knows them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import torch
from torch.nn import functional

from any2seg_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from any2seg_core.experiment import TeacherConfig
    from any2seg_core.teacher.base import Teacher

_PHRASES: Final = {
    "SideWalk": "sidewalk",
    "TwoWheeler": "two-wheeler",
    "Other": "other objects",
    "Static": "static objects",
    "Dynamic": "moving objects",
    "Ground": "paved ground",
}
"""Names that do not read well when only split into words."""


def class_phrases(names: Sequence[str], config: TeacherConfig) -> tuple[str, ...]:
    """Put class names into words: "TrafficSign" and "road_marking" become "traffic sign" and "road marking".

    Raises:
        ConfigError: the settings name a class that does not exist.
    """
    own = dict(pair.split("=", 1) for pair in config.class_names)
    unknown = [name for name in own if name not in names]
    if unknown:
        msg = f"teacher.class_names: found {', '.join(unknown)}, expected names of classes: {', '.join(names)}"
        raise ConfigError(msg)
    if config.class_naming == "literal":
        return tuple(own.get(name, name) for name in names)
    return tuple(own.get(name) or _PHRASES.get(name) or _words(name) for name in names)


def embed_classes(teacher: Teacher, phrases: Sequence[str], templates: Sequence[str]) -> Tensor:
    """Embed class names as (K, D): the mean over templates of vectors of length 1, made of length 1 again."""
    per_template = [teacher.encode_texts([template.format(name=name) for name in phrases]) for template in templates]
    return functional.normalize(torch.stack(per_template).mean(dim=0), dim=-1, eps=1e-6)


def _words(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_+", " ", name).lower()
