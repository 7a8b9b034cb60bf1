# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""report.html: one file that opens without a network and runs no script but its own.

The charts are templates, not matplotlib's: their colours follow the reader's light or dark, their words stay words of
any size, autoescape covers every string in them, and they add kilobytes, not a megabyte of outlined glyphs.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from any2seg_core.errors import DependencyError
from any2seg_ros.replay.show import words
from any2seg_ros.replay.show.answers import (
    answers,
    confusions,
    headline,
    losses,
    notes,
    single_losses,
    used_together,
)
from any2seg_ros.replay.show.charts import ink, over_time
from any2seg_ros.replay.show.pictures import FILM_AT_MOST_BYTES, data_uri, gallery
from any2seg_ros.replay.show.theme import theme_css

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from any2seg_ros.replay.show.compare import Comparison
    from any2seg_ros.replay.show.gates import Outcome
    from any2seg_ros.replay.verdict import Scores, Verdict

_TEMPLATES: Final = Path(__file__).parent / "templates"
_HARD_SPACE: Final = "\N{NO-BREAK SPACE}"
MATRIX_AT_MOST: Final = 64
"""A confusion matrix of more classes that occur is not drawn."""
ROWS_AT_MOST: Final = 200
"""Longer tables are cut; report.json has them whole."""
_PLAIN: Final = {name: getattr(words, name) for name in ("count", "sensor", "sensors", "listed")}
_UNITS: Final = {name: getattr(words, name) for name in ("percent", "points", "number", "clock")}
"""Filters of the templates; a number is never parted from its unit."""


def render(
    verdict: Verdict,
    out: Path,
    *,
    comparison: Comparison | None = None,
    refusal: str = "",
    outcomes: Sequence[Outcome] = (),
    film: Path | None = None,
) -> str:
    """Give the page's text.

    Args:
        verdict: what the replay found out.
        out: folder that the pictures' names are relative to.
        comparison: with an older report.
        refusal: why a comparison or gates that were asked for could not be made.
        outcomes: of the gates.
        film: the overlay film, in the same folder.

    Raises:
        DependencyError: the package jinja2 is missing.
    """
    try:
        jinja2: Any = importlib.import_module("jinja2")
    except ImportError as error:
        msg = f"report: found no package jinja2 ({error}), expected it for the page; pip install jinja2"
        raise DependencyError(msg) from None
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, finalize=_finalize,
    )  # fmt: skip
    environment.filters |= _PLAIN | {name: _unbroken(write) for name, write in _UNITS.items()} | {"tight": _tight}
    environment.globals |= {"ink": ink, "reasons": words.REASONS, "policy": words.POLICY, "rows_at_most": ROWS_AT_MOST}
    script = (_TEMPLATES / "gallery.js").read_text(encoding="utf-8")
    page: str = environment.get_template("report.html.j2").render(
        verdict=verdict,
        headline=headline(verdict),
        answers=answers(verdict),
        notes=notes(verdict),
        comparison=comparison,
        refusal=refusal,
        outcomes=outcomes,
        conditions=sorted(verdict.conditions.items(), key=lambda item: item[1].miou.get(words.POLICY, 0.0)),
        losses=losses(verdict.subsets),
        single_losses=single_losses(verdict.subsets),
        drawn=[(bag, over_time(bag), used_together(bag)) for bag in verdict.bags],
        gallery=gallery(verdict, out),
        matrix=_matrix(verdict),
        stages=_slowest_ms(verdict),
        film=_film(film),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=theme_css(":root") + (_TEMPLATES / "style.css").read_text(encoding="utf-8"),
    )
    return page


def _finalize(value: Any) -> Any:
    """Make every string that a template writes visible; markup is the templates' own."""
    return words.visible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _unbroken(write: Callable[..., str]) -> Callable[..., str]:
    return lambda *given: write(*given).replace(" ", _HARD_SPACE)


def _tight(text: str) -> str:
    return text.replace(" %", f"{_HARD_SPACE}%")


def _matrix(verdict: Verdict) -> dict[str, Any]:
    """Lay out the confusion matrix of the classes that occur: names, and shares of each true class in percent."""
    scores: Scores | None = verdict.scores
    if scores is None:
        return {"rows": [], "names": [], "mistakes": [], "left_out": 0}
    names = {row.id: row.name for row in verdict.model.classes}
    counts = scores.confusion
    width = max(map(len, counts), default=0)
    met = [k for k in range(width) if sum(counts[k] if k < len(counts) else ()) or any(row[k] for row in counts)]
    drawn = met if len(met) <= MATRIX_AT_MOST else []
    rows = []
    for true in (k for k in drawn if k < len(counts)):
        total = sum(counts[true])
        rows.append((names.get(true, str(true)), [100 * counts[true][k] / total if total else 0.0 for k in drawn]))
    return {
        "rows": rows,
        "names": [names.get(k, "unlabelled") for k in drawn],
        "mistakes": confusions(scores, names),
        "left_out": len(met) if not drawn else 0,
    }


def _slowest_ms(verdict: Verdict) -> float:
    """Give the largest 95th percentile of all stages, which the bars are scaled to."""
    return max((stage.p95 for bag in verdict.bags for stage in bag.timing.stages_ms.values()), default=0.0) or 1.0


def _film(path: Path | None) -> dict[str, str]:
    """Give the film's name, and its data URI where it is small enough to travel inside the page."""
    if path is None:
        return {}
    small = path.stat().st_size <= FILM_AT_MOST_BYTES
    return {"name": path.name, "source": data_uri("video/mp4", path.read_bytes()) if small else ""}
