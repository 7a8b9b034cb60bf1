# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What a data set says of itself at its root: how its pictures were drawn, its classes, depth unit and camera."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from any2seg_core.errors import ConfigError
from any2seg_core.frames import CameraModel, ClassTable, Modality

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from any2seg_core.config import PreprocessConfig
    from any2seg_core.data.catalog import DatasetSpec

_FORMAT: Final = 1


@dataclass(frozen=True, eq=False)
class Manifest:
    """Facts about one data set on disk.

    Attributes:
        classes: meaning of the ids.
        depth_unit_m: metres per count of 16-bit depth.
        camera: intrinsics of the pictures, None when not told.
        preprocess: settings of PreprocessConfig that LiDAR, event and HHA pictures were drawn with.
    """

    classes: ClassTable
    depth_unit_m: float
    camera: CameraModel | None
    preprocess: dict[str, Any]

    def check(self, config: PreprocessConfig, modalities: Collection[Modality], *, hha: bool) -> None:
        """Compare the drawing of pictures with what the model's preprocessing would draw on the robot.

        Raises:
            ConfigError: naming every setting that differs, for the modalities in use.
        """
        groups = [f"{modality.value}_" for modality in modalities if modality is not Modality.DEPTH or hha]
        wanted = config.model_dump()
        drawn = {name: value for name, value in self.preprocess.items() if name.startswith(tuple(groups))}
        different = [
            f"{name} {wanted.get(name)!r} (pictures: {value!r})"
            for name, value in drawn.items()
            if wanted.get(name) != value
        ]
        if different:
            msg = (
                f"data set: found preprocess settings {', '.join(different)}, expected those that the pictures were "
                "drawn with: a robot would show the model something else; change the settings or draw the set again"
            )
            raise ConfigError(msg)


def read_manifest(spec: DatasetSpec, root: Path) -> Manifest:
    """Read a data set's manifest, or take the record's facts where it has none.

    Raises:
        ConfigError: the file is missing or does not hold what it should.
    """
    if not spec.manifest:
        return Manifest(spec.classes, spec.depth_unit_m, None, {})
    path = root / spec.manifest
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        found = values["format"]
        manifest = Manifest(
            ClassTable.from_json(values["classes"]) if "classes" in values else spec.classes,
            float(values.get("depth_unit_m", spec.depth_unit_m)),
            _camera(values.get("camera")),
            dict(values["preprocess"]),
        )
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        msg = (
            f"{path}: found no usable manifest ({type(error).__name__}: {error}), expected JSON with format, classes "
            f"and preprocess; is this folder a data set of kind {spec.name!r}?"
        )
        raise ConfigError(msg) from error
    if found != _FORMAT:
        msg = f"{path}: found format {found!r}, expected {_FORMAT}; draw the data set again"
        raise ConfigError(msg)
    return manifest


def _camera(values: dict[str, Any] | None) -> CameraModel | None:
    if values is None:
        return None
    k, d = np.array(values["k"], np.float64).reshape(3, 3), np.array(values.get("d", []), np.float64)
    return CameraModel(int(values["width"]), int(values["height"]), k, str(values.get("distortion_model", "")), d)
