# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""All that is made of a verdict: page, tables, film, comparison, gates, and the words on the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from any2seg_core.errors import ConfigError
from any2seg_ros.replay.show.compare import Comparison, compare, read_verdict
from any2seg_ros.replay.show.files import write_text
from any2seg_ros.replay.show.film import frames_per_s, write_film
from any2seg_ros.replay.show.gates import Gate, parse_gates, pass_gates
from any2seg_ros.replay.show.page import render
from any2seg_ros.replay.show.rerun import write_rerun
from any2seg_ros.replay.show.summary import summary
from any2seg_ros.replay.show.tables import write_tables
from any2seg_ros.replay.show.words import plain

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TextIO

    from any2seg_ros.replay.verdict import Verdict

PASSED, FAILED, REFUSED = 0, 1, 2
FILM: Final = "overlay.mp4"
_FILM_FRAMES: Final = "film"


def finish(
    verdict: Verdict, out: Path, *, against: Path | None, fail_under: str, video: bool, rrd: bool = False
) -> int:
    """Write report.html, the tables and the film beside report.json, and say on the terminal what came out.

    Args:
        verdict: what the replay found out.
        out: folder of report.json, of pictures/ and of film/.
        against: an older report.json to compare with.
        fail_under: gates, as gates.parse_gates reads them.
        video: whether to make overlay.mp4 of the pictures in film/.
        rrd: whether to make replay.rrd for Rerun, of the same pictures.

    Returns:
        PASSED; FAILED if a gate was not passed; REFUSED if gates or comparison could not be made, the report being
        written all the same.

    Raises:
        DependencyError: the package jinja2 is missing, or av or rerun-sdk while their file is asked for.
    """
    refusals: list[str] = []
    comparison = _compared(verdict, against, refusals)
    outcomes = pass_gates(_gates(verdict, fail_under, refusals), verdict)
    write_tables(verdict, out)
    film = _film(verdict, out) if video else None
    if video and film is None:
        _say(sys.stderr, f"film: found no picture in {plain(str(out / _FILM_FRAMES))}, so there is none")
    if rrd:
        write_rerun(verdict, sorted((out / _FILM_FRAMES).glob("*.jpg")), out / "replay.rrd")
    page = render(verdict, out, comparison=comparison, refusal=" ".join(refusals), outcomes=outcomes, film=film)
    write_text(out / "report.html", page)
    _say(sys.stdout, summary(verdict, comparison))
    _say(sys.stdout, f"\nOpen {plain(str(out / 'report.html'))}")
    for outcome in outcomes:
        _say(sys.stdout if outcome.passed else sys.stderr, plain(outcome.text))
    for refusal in refusals:
        _say(sys.stderr, refusal)
    if refusals:
        return REFUSED
    return PASSED if all(outcome.passed for outcome in outcomes) else FAILED


def _compared(verdict: Verdict, against: Path | None, refusals: list[str]) -> Comparison | None:
    if against is None:
        return None
    try:
        return compare(read_verdict(against), verdict)
    except ConfigError as error:
        refusals.append(str(error))
        return None


def _gates(verdict: Verdict, text: str, refusals: list[str]) -> list[Gate]:
    try:
        return parse_gates(text, [row.name for row in verdict.model.classes])
    except ConfigError as error:
        refusals.append(str(error))
        return []


def _film(verdict: Verdict, out: Path) -> Path | None:
    """Make the film; None where there is no picture for it."""
    pictures = sorted((out / _FILM_FRAMES).glob("*.jpg"))
    return out / FILM if write_film(pictures, out / FILM, frames_per_s(verdict)) else None


def _say(stream: TextIO, text: str) -> None:
    """Write a line; what the terminal's encoding lacks is spelled out."""
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
