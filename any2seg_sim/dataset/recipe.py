# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What a data set is made of, and the manifest that says so at its root."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from any2seg_core.config import PreprocessConfig
from any2seg_core.errors import ConfigError
from any2seg_core.frames import DELIVER_CLASSES
from any2seg_sim.rig import Rig
from any2seg_sim.weather import WEATHERS

if TYPE_CHECKING:
    from pathlib import Path

    from any2seg_sim.dataset.layout import ScenePlan
    from any2seg_sim.settings import DriveSettings

MANIFEST: Final = "dataset.json"
_FORMAT: Final = 1
_FIRST_S: Final = 0.5
"""Time of the first frame: by then everybody is under way."""
DEPTH_UNIT_M: Final = 0.001
_DRAWN: Final = ("lidar_", "event_")
"""Settings of preprocessing that are baked into pictures; depth is stored as metres and drawn when it is read."""


@dataclass(frozen=True)
class Recipe:
    """How every scene of a data set is driven and drawn; seeds and weathers are chosen beside it.

    Attributes:
        drive: size, sensors and speed; its seed, weather, failure and duration are set for each scene.
        frames: number of frames of a scene.
        every_s: time between them; the closer, the more alike they are.
        preprocess: how LiDAR and events become pictures, which the model that learns from them must share.
        raw: also keep points, events and depth as numbers.

    Raises:
        ConfigError: frames or every_s are out of bounds, events cannot be stored, or the sensors' views differ.
    """

    drive: DriveSettings
    frames: int = 10
    every_s: float = 1.0
    preprocess: PreprocessConfig = field(default_factory=PreprocessConfig)
    raw: bool = False

    def __post_init__(self) -> None:
        if not (1 <= self.frames <= 100_000 and 0.05 <= self.every_s <= 60):
            msg = (
                f"data set: found {self.frames} frames every {self.every_s:g} s, expected 1 to 100000 frames "
                "every 0.05 to 60 s; choose values within the bounds"
            )
            raise ConfigError(msg)
        if self.preprocess.event_representation == "voxel":
            msg = "data set: found voxel events, which 8-bit pictures cannot hold; choose histogram or polarity"
            raise ConfigError(msg)
        if self.drive.rig != "aligned":
            msg = f"data set: found the rig {self.drive.rig!r}, expected 'aligned': its pictures must show one view"
            raise ConfigError(msg)

    def settings(self, scene: ScenePlan) -> DriveSettings:
        """Give the drive of a scene. Its length is the same for all, because the street is built for it."""
        duration_s = _FIRST_S + self.frames * self.every_s
        return replace(self.drive, seed=scene.seed, weather=scene.weather, failure=scene.failure, duration_s=duration_s)

    def times_s(self, scene: ScenePlan) -> list[float]:
        """Moments of a scene's frames; the weathers and failures of a street see it from different places."""
        turn = (WEATHERS.index(scene.weather) + 0.5 * bool(scene.failure)) / len(WEATHERS)
        return [round(_FIRST_S + (index + turn) * self.every_s, 6) for index in range(self.frames)]

    def to_json(self) -> dict[str, Any]:
        """Give the manifest."""
        drive = asdict(self.drive)
        for name in ("seed", "weather", "failure", "duration_s", "event_window_s"):
            drive.pop(name)
        preprocess = self.preprocess.model_dump()
        rig = Rig.of(self.drive)
        return {
            "format": _FORMAT,
            "generator": "any2seg_sim",
            "layout": "DELIVER",
            "frames": self.frames,
            "every_s": self.every_s,
            "raw": self.raw,
            "drive": drive,
            "depth_unit_m": DEPTH_UNIT_M,
            "preprocess": {name: value for name, value in preprocess.items() if name.startswith(_DRAWN)},
            "camera": {
                "width": rig.camera.width,
                "height": rig.camera.height,
                "distortion_model": rig.camera.distortion_model,
                "k": rig.camera.k.reshape(-1).tolist(),
                "d": rig.camera.d.reshape(-1).tolist(),
            },
            "lidar_to_camera": rig.lidar_to_camera.reshape(-1).tolist(),
            "classes": DELIVER_CLASSES.to_json(),
        }


def claim(root: Path, recipe: Recipe) -> None:
    """Make a folder the home of a recipe's data set, or find that it already is.

    Raises:
        ConfigError: the folder holds a data set of another recipe, or anything else, or cannot be written.
    """
    wanted = json.dumps(recipe.to_json(), indent=2) + "\n"
    manifest = root / MANIFEST
    try:
        if manifest.is_file():
            _compare(root, json.loads(manifest.read_text(encoding="utf-8")), json.loads(wanted))
            return
        if root.is_dir() and any(path.name != f".{MANIFEST}.unfinished" for path in root.iterdir()):
            msg = f"data set: found {root} not empty and without {MANIFEST}, expected a new or an empty folder"
            raise ConfigError(msg)
        root.mkdir(parents=True, exist_ok=True)
        unfinished = root / f".{MANIFEST}.unfinished"
        unfinished.write_text(wanted, encoding="utf-8")
        unfinished.replace(manifest)
    except (OSError, ValueError) as error:
        msg = f"data set: found {root} not usable ({error}), expected a folder to write to; choose another"
        raise ConfigError(msg) from error


def _compare(root: Path, found: Any, wanted: dict[str, Any]) -> None:
    """Refuse a manifest that says anything else."""
    here, asked = _flat(found), _flat(wanted)
    differing = sorted(key for key in here.keys() | asked.keys() if here.get(key) != asked.get(key))
    if differing:
        shown = "; ".join(f"{key} {here.get(key)!r} instead of {asked.get(key)!r}" for key in differing[:5])
        more = f" and {len(differing) - 5} more" if len(differing) > 5 else ""
        msg = (
            f"data set: found another one in {root} ({shown}{more}), expected the same settings as asked for; "
            "choose another folder, or ask for the same"
        )
        raise ConfigError(msg)


def _flat(values: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(values, dict):
        return {prefix: values}
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}.{key}" if prefix else str(key))
    return flat
