# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Command lines of data sets: make one, look at one, draw the weathers and failures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from any2seg_core.config import PreprocessConfig
from any2seg_core.errors import ConfigError
from any2seg_sim.dataset.layout import FAILURE_MODES, SPLITS, plan_scenes
from any2seg_sim.dataset.recipe import Recipe
from any2seg_sim.dataset.sheet import dataset_sheet, failure_sheet, weather_sheet
from any2seg_sim.dataset.survey import scenes_of, survey
from any2seg_sim.dataset.writer import write_dataset
from any2seg_sim.settings import FAILURES
from any2seg_sim.weather import WEATHERS

if TYPE_CHECKING:
    import argparse

    from numpy.typing import NDArray

    from any2seg_sim.settings import DriveSettings

_SHEET_ROWS = 8


def add_dataset(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command that makes a data set, beside those of a drive."""
    parser.add_argument("--out", type=Path, required=True, help="folder; new, empty, or this very data set's own")
    parser.add_argument("--seeds", default="0:5", help="streets: FIRST:END, or numbers joined by commas (%(default)s)")
    parser.add_argument(
        "--weathers", default=",".join(WEATHERS), help="weathers joined by commas, out of %(default)s (all)"
    )
    parser.add_argument(
        "--failures",
        default="rotate",
        help=f"{', '.join(FAILURE_MODES)}, or failures joined by commas out of {', '.join(FAILURES)} (%(default)s)",
    )
    parser.add_argument("--frames", type=int, default=10, help="frames of a scene (%(default)s)")
    parser.add_argument("--every", type=float, default=1.0, help="seconds between frames (%(default)s)")
    parser.add_argument("--split", choices=SPLITS, help="put all scenes there; without it, by the seed, 3:1:1 of 5")
    parser.add_argument("--raw", action="store_true", help="also keep points with classes, events and depth as npz")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="rendering processes (%(default)s)")


def run_dataset(options: argparse.Namespace, settings: DriveSettings) -> str:
    """Make a data set; give a text that says which classes it shows."""
    scenes = plan_scenes(seeds_of(options.seeds), _names(options.weathers), options.failures, split=options.split)
    recipe = Recipe(settings, options.frames, options.every, PreprocessConfig(), raw=options.raw)
    made = write_dataset(options.out, recipe, scenes, workers=options.workers, progress=True)
    head = f"{made} frames rendered, {len(scenes) * options.frames} asked for, in {options.out}"
    return f"{head}\n\n{survey(options.out).markdown()}"


def add_sheet(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command that draws contact sheets, beside those of a drive."""
    parser.add_argument("--dataset", type=Path, help="draw this data set and print its classes")
    parser.add_argument("--out", type=Path, required=True, help="the picture (.jpg or .png)")
    parser.add_argument("--show", choices=("weathers", "failures"), default="weathers", help="without --dataset")
    parser.add_argument("--moment", type=float, default=4.0, help="seconds into the drive (%(default)s)")
    parser.add_argument("--tile", type=int, default=300, help="width of one picture (%(default)s)")


def run_sheet(options: argparse.Namespace, settings: DriveSettings) -> str:
    """Draw a contact sheet; give its path, and the classes of the data set if it is one."""
    table = ""
    if options.dataset is not None:
        found = [(scene, frames) for scene, frames in scenes_of(options.dataset) if frames]
        if not found:
            msg = f"sheet: found no frame in {options.dataset}, expected a data set; run the dataset command first"
            raise ConfigError(msg)
        chosen = np.unique(np.linspace(0, len(found) - 1, _SHEET_ROWS).round().astype(int))
        scenes = [found[int(index)][0] for index in chosen]
        first = max(found[int(index)][1][0] for index in chosen)
        sheet = dataset_sheet(options.dataset, scenes, first, tile_px=options.tile)
        table = survey(options.dataset, progress=True).markdown() + "\n"
    else:
        draw = {"weathers": weather_sheet, "failures": failure_sheet}[options.show]
        sheet = draw(settings, options.moment, PreprocessConfig(), tile_px=options.tile)
    write_picture(options.out, sheet)
    return f"{table}{options.out}"


def write_picture(path: Path, image: NDArray[np.uint8]) -> None:
    """Write an RGB picture (H, W, 3), coded as its suffix says.

    Raises:
        ConfigError: the suffix is no picture's, or the file cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        coded, data = cv2.imencode(path.suffix, np.ascontiguousarray(image[..., ::-1]))
        if coded:
            unfinished.write_bytes(data.tobytes())
            unfinished.replace(path)
            return
        problem: Any = f"suffix {path.suffix!r}"
    except (OSError, cv2.error) as error:
        problem = error
    msg = f"picture: found {path} not writable ({problem}), expected a .jpg or .png file in an existing folder"
    raise ConfigError(msg)


def seeds_of(text: str) -> list[int]:
    """Read "0:8" as 0 to 7, or "1,4,9" as it stands.

    Raises:
        ConfigError: it is neither.
    """
    try:
        if ":" in text:
            first, end = (int(part) for part in text.split(":"))
            return list(range(first, end))
        return [int(part) for part in text.split(",")]
    except ValueError:
        msg = f"--seeds: found {text!r}, expected FIRST:END as in 0:8, or numbers joined by commas as in 1,4,9"
        raise ConfigError(msg) from None


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]
