# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Numbers and names as readers see them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from any2seg_ros.replay.show.theme import SENSOR_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NONE: Final = "\N{EN DASH}"
"""Stands for a number that there is not."""
POLICY: Final = "present"
"""Means are over the classes that occur; the other policy is shown beside it."""
_SPACES: Final = "\n\N{NO-BREAK SPACE}"
REASONS: Final = {
    "never_seen": "never seen",
    "late": "late",
    "stale": "stale",
    "absent": "silent",
    "rejected": "unusable",
    "no_transform": "no transform",
    "no_calibration": "no calibration",
}
"""Why a sensor took no part (any2seg_core.frames.Absence)."""


def percent(share: float | None, digits: int = 1) -> str:
    """Write a share in [0, 1] as a percentage."""
    return NONE if share is None else f"{100 * share:.{digits}f} %"


def points(change: float | None, digits: int = 1) -> str:
    """Write a change of a share in percentage points, with its sign."""
    if change is None:
        return NONE
    text = f"{100 * change:+.{digits}f}"
    return (f"{0:.{digits}f}" if float(text) == 0 else text).replace("-", "\N{MINUS SIGN}")


def number(value: float | None, unit: str = "") -> str:
    """Write a number with three significant digits, larger ones whole, and its unit."""
    if value is None:
        return NONE
    text = f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{text} {unit}" if unit else text


def count(amount: int, noun: str, plural: str = "") -> str:
    """Write an amount with its noun."""
    return f"{amount} {noun if amount == 1 else plural or noun + 's'}"


def sensor(modality: str) -> str:
    """Name a sensor for readers; what is unknown keeps its name."""
    return SENSOR_NAMES.get(modality, modality)


def sensors(modalities: Sequence[str]) -> str:
    """Name a set of sensors."""
    return " + ".join(sensor(modality) for modality in modalities) or "no sensor"


def listed(words: Iterable[str]) -> str:
    """Join words as a sentence does."""
    found = list(words)
    return " and ".join([", ".join(found[:-1]), found[-1]]) if len(found) > 1 else "".join(found)


def clock(seconds: float) -> str:
    """Write a moment of a recording."""
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}:{rest:04.1f} min" if minutes else f"{rest:.1f} s"


def visible(text: str) -> str:
    """Spell out what a page would not show or would obey: control characters and marks that turn the text around."""
    return "".join(sign if sign.isprintable() or sign in _SPACES else _spelled(sign) for sign in text)


def _spelled(sign: str) -> str:
    return sign.encode("unicode_escape").decode()


def plain(text: str) -> str:
    """Make a string safe for a terminal: what does not print, control characters above all, is spelled out."""
    return "".join(sign if sign.isprintable() else _spelled(sign) for sign in text)


def columns(rows: Sequence[Sequence[str]], indent: str = "  ") -> str:
    """Align rows of words: the first column to the left, all others to the right."""
    safe = [[plain(word) for word in row] for row in rows]
    widths = [max(map(len, column)) for column in itertools.zip_longest(*safe, fillvalue="")]
    lines = (
        "  ".join(f"{word:<{width}}" if place == 0 else f"{word:>{width}}" for place, (word, width) in enumerate(cells))
        for cells in (zip(row, widths, strict=False) for row in safe)
    )
    return "\n".join(indent + line.rstrip() for line in lines)
