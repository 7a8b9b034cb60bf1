# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What is kept of the study's runs: mean and spread of every score, in a file that outlives checkpoints and counts."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from any2seg_core.errors import ConfigError
from any2seg_core.evaluator import all_subsets, short_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from any2seg_core.evaluator import EvalReport

FORMAT: Final = 1
MISS: Final = "MISS"
DIGITS: Final = 4
SUBSETS, CONDITIONS = "subsets", "conditions"


@dataclass(frozen=True)
class Spread:
    """A score over seeds, in percent.

    Attributes:
        mean: over the seeds.
        deviation: standard deviation over the seeds, None of a single one.
    """

    mean: float
    deviation: float | None = None

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Take mean and spread of one value, in [0, 1], for each seed; rounded: what is kept is what is drawn."""
        percent = [100 * value for value in values]
        mean, deviation = statistics.fmean(percent), statistics.stdev(percent) if len(percent) > 1 else None
        return cls(round(mean, DIGITS), None if deviation is None else round(deviation, DIGITS))

    def __str__(self) -> str:
        return f"{self.mean:.1f}" if self.deviation is None else f"{self.mean:.1f} ± {self.deviation:.1f}"


@dataclass(frozen=True)
class Row:
    """A model of the study: the same recipe with several seeds.

    Attributes:
        name: of the model.
        seeds: how many were trained and scored.
        subsets: mIoU by short name of the subset, and of all subsets together under MISS.
        conditions: mIoU with all sensors by weather and failure.
    """

    name: str
    seeds: int
    subsets: Mapping[str, Spread]
    conditions: Mapping[str, Spread]

    @classmethod
    def of(cls, name: str, reports: Sequence[EvalReport]) -> Row:
        """Sum up the reports of a model's seeds."""
        subsets = {
            short_name(subset): Spread.of([report.miou(subset) for report in reports])
            for subset in all_subsets(reports[0].modalities)
        }
        subsets[MISS] = Spread.of([report.system_miss() for report in reports])
        found = [report.by_condition() for report in reports]
        return cls(name, len(reports), subsets, {at: Spread.of([one[at] for one in found]) for at in found[0]})

    @property
    def everything(self) -> str:
        """Short name of the subset with all sensors."""
        return max((name for name in self.subsets if name != MISS), key=len)

    def to_json(self) -> dict[str, Any]:
        """Describe in plain JSON types; from_json reads it again."""

        def plain(scores: Mapping[str, Spread]) -> dict[str, list[float | None]]:
            return {at: [score.mean, score.deviation] for at, score in scores.items()}

        return {"seeds": self.seeds, SUBSETS: plain(self.subsets), CONDITIONS: plain(self.conditions)}

    @classmethod
    def from_json(cls, name: str, kept: Mapping[str, Any]) -> Row:
        """Read what to_json wrote."""
        subsets, conditions = ({at: Spread(*pair) for at, pair in kept[part].items()} for part in (SUBSETS, CONDITIONS))
        return cls(name, int(kept["seeds"]), subsets, conditions)


@dataclass
class Figures:
    """All that the page is written from.

    Attributes:
        about: what was trained and scored, as the page says it.
        teacher: what the teacher is and how well it does.
        rows: models by name.
        films: rows of the table of films by model, and how many seeds they stand for.
    """

    about: dict[str, str] = field(default_factory=dict)
    teacher: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    films: dict[str, tuple[int, list[list[str]]]] = field(default_factory=dict)

    def take(self, row: Row) -> bool:
        """Let a model in, unless what is kept of it stands for more seeds, and tell whether it was."""
        taken = row.name not in self.rows or row.seeds >= self.rows[row.name].seeds
        if taken:
            self.rows[row.name] = row
        return taken

    def take_films(self, name: str, seeds: int, rows: Sequence[Sequence[str]]) -> None:
        """Let a model's films in, unless what is kept of them stands for more seeds."""
        if name not in self.films or seeds >= self.films[name][0]:
            self.films[name] = seeds, [list(row) for row in rows]

    def to_json(self) -> str:
        """Write as text that compares well line by line."""
        content = {
            "format": FORMAT,
            "about": self.about,
            "teacher": self.teacher,
            "rows": {name: row.to_json() for name, row in self.rows.items()},
            "films": {name: {"seeds": seeds, "rows": rows} for name, (seeds, rows) in self.films.items()},
        }
        return _lines(content) + "\n"

    @classmethod
    def load(cls, path: Path) -> Figures:
        """Read what is kept, nothing where there is no such file.

        Raises:
            ConfigError: it cannot be read.
        """
        if not path.is_file():
            return cls()
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["format"] != FORMAT:
                msg = f"study: found format {kept['format']} in {path}, expected {FORMAT}"
                raise ConfigError(msg)
            return cls(
                kept["about"],
                kept["teacher"],
                {name: Row.from_json(name, row) for name, row in kept["rows"].items()},
                {name: (int(film["seeds"]), film["rows"]) for name, film in kept["films"].items()},
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            msg = f"study: found {path} not readable ({error!r}), expected figures of study.py; restore or delete it"
            raise ConfigError(msg) from error


def _lines(content: Any, depth: int = 0) -> str:
    """Write objects a key a line, and all else on one."""
    if not isinstance(content, dict) or not content:
        return json.dumps(content, ensure_ascii=False)
    inner = " " * (depth + 1)
    parts = (f"{inner}{json.dumps(key)}: {_lines(value, depth + 1)}" for key, value in content.items())
    return "{\n" + ",\n".join(parts) + "\n" + " " * depth + "}"
