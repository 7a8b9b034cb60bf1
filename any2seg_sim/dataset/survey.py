# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Which classes a data set shows, and how much of each."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from tqdm import tqdm

from any2seg_core.errors import ConfigError
from any2seg_core.frames import DELIVER_CLASSES
from any2seg_sim.dataset.layout import SPLITS, ScenePlan
from any2seg_sim.dataset.recipe import MANIFEST

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Survey:
    """What is in a data set.

    Attributes:
        frames: number of frames by split, weather and failure ("" where sensors are sound).
        pixels: (K,) int64 pixels of each class by split.
    """

    frames: dict[tuple[str, str, str], int]
    pixels: dict[str, NDArray[np.int64]]

    def shares(self, split: str | None = None) -> NDArray[np.float64]:
        """Share of each class (K,) among the pixels of a split, or of all of them."""
        chosen = [pixels for name, pixels in self.pixels.items() if split in (None, name)]
        total = np.sum(chosen, 0) if chosen else np.zeros(len(DELIVER_CLASSES), np.int64)
        return np.asarray(total / max(int(np.sum(total)), 1))

    def markdown(self) -> str:
        """Give the class shares in percent as a table, rarest last."""
        splits = [split for split in SPLITS if split in self.pixels]
        lines = ["| Class | all % | " + " | ".join(f"{split} %" for split in splits) + " |"]
        lines.append("|---|" + "---:|" * (len(splits) + 1))
        columns = [self.shares(), *(self.shares(split) for split in splits)]
        for index in np.argsort(-columns[0], kind="stable"):
            cells = " | ".join(f"{100 * column[index]:.2f}" for column in columns)
            lines.append(f"| {DELIVER_CLASSES.names[int(index)]} | {cells} |")
        counted = ", ".join(
            f"{split} {sum(n for key, n in self.frames.items() if key[0] == split)}" for split in splits
        )
        return "\n".join([*lines, "", f"Frames: {counted}"]) + "\n"


def scenes_of(root: Path) -> list[tuple[ScenePlan, list[int]]]:
    """List the scenes of a data set and their frames, in the order of their names.

    Raises:
        ConfigError: the folder holds no data set of the simulator.
    """
    try:
        json.loads((root / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"data set: found no readable {MANIFEST} in {root} ({error}), expected a folder made by the simulator"
        raise ConfigError(msg) from error
    found = []
    for folder in sorted((root / "semantic").glob("*/*/MAP_*")):
        weather, split = folder.parts[-3:-1]
        seed, _, rest = folder.name.removeprefix("MAP_").partition("_point1")
        frames = sorted(int(path.name[:6]) for path in folder.glob("[0-9]*_semantic_front.png"))
        found.append((ScenePlan(int(seed), weather, rest.removeprefix("_"), split), frames))
    return found


def survey(root: Path, *, progress: bool = False) -> Survey:
    """Count the pixels of every class.

    Raises:
        ConfigError: the folder holds no data set, or a label picture is unreadable.
    """
    frames: Counter[tuple[str, str, str]] = Counter()
    pixels: dict[str, NDArray[np.int64]] = {}
    files = [(scene, frame) for scene, numbers in scenes_of(root) for frame in numbers]
    for scene, frame in tqdm(files, desc="survey", unit="frame", disable=not progress):
        raw = cv2.imread(str(root / scene.file("semantic", frame)), cv2.IMREAD_UNCHANGED)
        if raw is None:
            msg = f"data set: found {root / scene.file('semantic', frame)} unreadable, expected a PNG; make it again"
            raise ConfigError(msg)
        counts = np.bincount(np.asarray(raw, np.uint8).reshape(-1), minlength=256)[1 : 1 + len(DELIVER_CLASSES)]
        pixels[scene.split] = pixels.get(scene.split, np.zeros(len(DELIVER_CLASSES), np.int64)) + counts
        frames[scene.split, scene.weather, scene.failure] += 1
    return Survey(dict(frames), pixels)
