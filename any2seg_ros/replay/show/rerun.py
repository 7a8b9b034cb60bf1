# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The replay as a Rerun recording (.rrd), to scrub through labels and values in time: https://rerun.io."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from any2seg_core.errors import DependencyError
from any2seg_ros.replay.show.files import renamed_when_done
from any2seg_ros.replay.show.words import sensors, visible

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from any2seg_ros.replay.verdict import FrameRow, Verdict

TIMELINE: Final = "recording"
_VALUES: Final = ("miou", "confidence", "changed")


def rerun_package() -> Any:
    """Import rerun.

    Raises:
        DependencyError: the package rerun-sdk is missing.
    """
    try:
        return importlib.import_module("rerun")
    except ImportError as error:
        msg = f"rerun: found no package rerun ({error}), expected it for .rrd files; pip install rerun-sdk"
        raise DependencyError(msg) from None


def write_rerun(verdict: Verdict, pictures: Sequence[Path], path: Path) -> None:
    """Write each recording's values, sensors used and overlays over its time.

    Entities are numbered, recording_0, recording_1 and so on: names of recordings never become part of a path.

    Args:
        verdict: what the replay found out.
        pictures: the film's JPEGs; they are taken only if there is one for each output, in the outputs' order.
        path: the .rrd file.

    Raises:
        DependencyError: the package rerun-sdk is missing.
    """
    rerun = rerun_package()
    complete = len(pictures) == sum(len(bag.frames) for bag in verdict.bags)
    waiting = iter(pictures if complete else ())
    with renamed_when_done(path) as unfinished:
        recording = rerun.RecordingStream("any2seg_replay", recording_id="any2seg_replay")
        recording.save(str(unfinished))
        for number, bag in enumerate(verdict.bags):
            root = f"recording_{number}"
            recording.log(root, rerun.TextDocument(visible(bag.name)), static=True)
            for row in bag.frames:
                recording.set_time(TIMELINE, duration=row.t_s)
                _log(rerun, recording, root, row)
                picture = next(waiting, None)
                if picture is not None:
                    image = rerun.EncodedImage(contents=picture.read_bytes(), media_type="image/jpeg")
                    recording.log(f"{root}/overlay", image)
        recording.flush()
        recording.disconnect()


def _log(rerun: Any, recording: Any, root: str, row: FrameRow) -> None:
    for name in _VALUES:
        value = getattr(row, name)
        if value is not None:
            recording.log(f"{root}/{name}", rerun.Scalars(value))
    recording.log(f"{root}/used", rerun.TextLog(visible(sensors(row.used))))
