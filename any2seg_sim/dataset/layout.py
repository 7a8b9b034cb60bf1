# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""DELIVER's folders and file names (https://github.com/jamycheung/DELIVER), and the scenes that fill them.

{img,depth,hha,lidar,event,semantic}/{weather}/{split}/MAP_<m>_point<p>[_<failure>]/<frame>_<kind>_front.png
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from any2seg_core.errors import ConfigError
from any2seg_sim.settings import FAILURES
from any2seg_sim.weather import WEATHERS

if TYPE_CHECKING:
    from collections.abc import Sequence

SPLITS: Final = ("train", "val", "test")
KINDS: Final = {
    "img": "rgb",
    "depth": "depth",
    "hha": "depth",
    "lidar": "lidar",
    "event": "event",
    "semantic": "semantic",
}
"""Folder of each kind of picture, and the word for it in file names; hha files are called depth, as in DELIVER."""
RAW: Final = "raw"
"""Folder, beyond DELIVER's, of the measurements that the pictures are drawn from."""
FAILURE_MODES: Final = ("rotate", "all", "none")


@dataclass(frozen=True)
class ScenePlan:
    """One drive under one weather, maybe with a failing sensor.

    Attributes:
        seed: decides the street.
        weather: one of WEATHERS.
        failure: one of FAILURES, or empty.
        split: train, val or test.
    """

    seed: int
    weather: str
    failure: str
    split: str

    @property
    def name(self) -> str:
        """Name of the scene's folder."""
        return f"MAP_{self.seed}_point1" + (f"_{self.failure}" if self.failure else "")

    def file(self, folder: str, frame: int, suffix: str = ".png") -> Path:
        """Path of a file below the data set's root."""
        kind = KINDS.get(folder, folder)
        return Path(folder, self.weather, self.split, self.name, f"{frame:06d}_{kind}_front{suffix}")

    def id_of(self, frame: int) -> str:
        """Name of a sample: its path without modality and suffix."""
        return f"{self.weather}/{self.split}/{self.name}/{frame:06d}"


def split_of(seed: int) -> str:
    """Say which split a street belongs to: three of five train, so a data set that grows never moves one."""
    return ("train", "train", "train", "val", "test")[seed % 5]


def plan_scenes(
    seeds: Sequence[int], weathers: Sequence[str], failures: str = "rotate", *, split: str | None = None
) -> list[ScenePlan]:
    """List the scenes of a data set.

    Every seed is driven through under every weather, once with sound sensors, and with failing ones:

    Args:
        seeds: streets.
        weathers: out of WEATHERS.
        failures: "rotate", one failure per seed and weather in turn, so that five seeds see all of them under all
            weathers; "all", every failure; "none"; or names of FAILURES, comma-separated.
        split: put all of them there, instead of by split_of.

    Raises:
        ConfigError: no or repeated seeds, an unknown weather, failure or split.
    """
    named = [name for name in failures.split(",") if name] if failures not in FAILURE_MODES else []
    _check(seeds, weathers, named, failures, split)
    found = []
    for seed in seeds:
        for weather in weathers:
            turn = FAILURES[(seed + WEATHERS.index(weather)) % len(FAILURES)]
            chosen = {"rotate": (turn,), "all": FAILURES, "none": ()}.get(failures, tuple(named))
            where = split or split_of(seed)
            found += [ScenePlan(seed, weather, failure, where) for failure in ("", *chosen)]
    return found


def _check(
    seeds: Sequence[int], weathers: Sequence[str], failures: Sequence[str], asked: str, split: str | None
) -> None:
    problems = []
    if not seeds or len(set(seeds)) != len(seeds) or min(seeds) < 0:
        problems.append(f"seeds {list(seeds)} (expected at least one, each once, from 0)")
    unknown = [name for name in weathers if name not in WEATHERS]
    if unknown or not weathers or len(set(weathers)) != len(weathers):
        problems.append(f"weathers {', '.join(weathers) or 'none'} (expected some of {', '.join(WEATHERS)}, each once)")
    unknown = [name for name in failures if name not in FAILURES]
    if unknown or (asked not in FAILURE_MODES and not failures) or len(set(failures)) != len(failures):
        known = ", ".join((*FAILURE_MODES, *FAILURES))
        problems.append(f"failures {asked!r} (expected one of {known}, or several failures joined by commas)")
    if split is not None and split not in SPLITS:
        problems.append(f"split {split!r} (expected one of {', '.join(SPLITS)})")
    if problems:
        msg = f"data set: found {'; '.join(problems)}; choose others"
        raise ConfigError(msg)
