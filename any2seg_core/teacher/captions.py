# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Scene descriptions: where they come from, and the file that remembers them.

The file holds one JSON object per line and only grows; a sample's last line counts. Each line says where its text
comes from, so that a text of other settings is recognised and written anew.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from any2seg_core.errors import CheckpointError, ConfigError
from any2seg_core.frames import UNLABELLED
from any2seg_core.teacher.fingerprint import text_sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from any2seg_core.teacher.base import SampleSource, SampleView

_SMALLEST_SHARE: Final = 0.001
_MOST_CLASSES: Final = 12
_CONDITIONS: Final = {
    "cloud": "under a cloudy sky",
    "fog": "in fog",
    "night": "at night",
    "rain": "in rain",
    "sun": "in sunshine",
}


@dataclass(frozen=True)
class Origin:
    """Where a text comes from.

    Attributes:
        source: "template", "model" or "jsonl".
        model: name of the model, "" without one.
        revision: its commit.
        prompt_sha: hash of what it was asked, or of the template's settings.
    """

    source: str
    model: str = ""
    revision: str = ""
    prompt_sha: str = ""


@dataclass(frozen=True)
class Caption:
    """One line of the file.

    Attributes:
        id: of the sample.
        caption: the text.
        origin: where it comes from.
        classes: classes that the labels hold, most frequent first.
        n_tokens: length with start and end, in the teacher's tokens.
    """

    id: str
    caption: str
    origin: Origin
    classes: tuple[int, ...] = ()
    n_tokens: int = 0

    def to_json(self) -> dict[str, Any]:
        """Describe the line in plain JSON types."""
        return {
            "id": self.id,
            "caption": self.caption,
            **asdict(self.origin),
            "classes": list(self.classes),
            "n_tokens": self.n_tokens,
        }

    @staticmethod
    def from_json(row: Mapping[str, Any]) -> Caption:
        """Read what to_json wrote; all but id and caption may be missing, as in files made elsewhere."""
        fields = {name: str(row.get(name, "")) for name in ("model", "revision", "prompt_sha")}
        if not isinstance(row["id"], str) or not isinstance(row["caption"], str) or not row["caption"].strip():
            raise ValueError("id and caption must be texts that are not empty")
        return Caption(
            id=row["id"],
            caption=row["caption"],
            origin=Origin(source=str(row.get("source", "jsonl")), **fields),
            classes=tuple(int(index) for index in row.get("classes", ())),
            n_tokens=int(row.get("n_tokens", 0)),
        )


class Captioner(Protocol):
    """Describes samples."""

    @property
    def origin(self) -> Origin:
        """Where its texts come from."""

    def describe(self, samples: Sequence[SampleView], classes: Sequence[Sequence[int]]) -> list[str]:
        """Give one text per sample, of any length; classes are those that each sample's labels hold."""


class TemplateCaptioner:
    """Names what the labels hold: "A street scene with road, building and sky in fog.".

    Args:
        phrases: K class names in words.
        condition: name the weather too.
        scene: what the picture is called.
    """

    def __init__(self, phrases: Sequence[str], *, condition: bool = True, scene: str = "A street scene") -> None:
        self._phrases, self._condition, self._scene = tuple(phrases), condition, scene
        self.origin = Origin("template", prompt_sha=text_sha256([scene, condition, list(phrases)])[:16])

    def describe(self, samples: Sequence[SampleView], classes: Sequence[Sequence[int]]) -> list[str]:
        """Give one sentence per sample."""
        return [self._sentence(sample.condition, present) for sample, present in zip(samples, classes, strict=True)]

    def _sentence(self, condition: str, present: Sequence[int]) -> str:
        names = [self._phrases[index] for index in present]
        listed = " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
        weather = _CONDITIONS.get(condition, f"in {condition}") if condition and self._condition else ""
        return " ".join(filter(None, (self._scene, listed and f"with {listed}", weather))) + "."


def present_classes(labels: NDArray[np.uint8], classes: int) -> tuple[int, ...]:
    """List the classes of a label map, most pixels first, ties by id; none below 0.1 % of the pixels, at most 12.

    Raises:
        ConfigError: labels hold a class that does not exist.
    """
    counts = np.bincount(labels.reshape(-1), minlength=256)
    unknown = [int(index) for index in np.flatnonzero(counts) if classes <= index != UNLABELLED]
    if unknown:
        msg = f"captions: found labels {unknown}, expected 0 to {classes - 1} or {UNLABELLED}; check the data set"
        raise ConfigError(msg)
    order = np.argsort(-counts[:classes], kind="stable")
    return tuple(int(index) for index in order if counts[index] >= max(1, _SMALLEST_SHARE * labels.size))[
        :_MOST_CLASSES
    ]


def fit_text(text: str, count: Callable[[str], int], limit: int) -> str:
    """Make a model's answer one line that a text tower reads whole.

    White space collapses; whole sentences are kept as long as they fit, of a first sentence that does not fit as many
    words as do.

    Args:
        text: any text.
        count: length of a text in tokens.
        limit: longest length.
    """
    line = " ".join(text.split())
    if count(line) <= limit:
        return line
    sentences = re.split(r"(?<=[.!?]) ", line)
    units, end = (sentences, "") if count(sentences[0]) <= limit else (sentences[0].split(), ".")
    kept = next((n for n in range(len(units), 0, -1) if count(" ".join(units[:n]).rstrip(",;:") + end) <= limit), 0)
    return " ".join(units[:kept]).rstrip(",;:") + end if kept else ""


class CaptionFile:
    """A JSONL file of captions.

    Args:
        path: the file; need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ends_whole = False

    def read(self) -> dict[str, Caption]:
        """Read the last line of every sample; a line that a killed process left unfinished at the end is ignored.

        Raises:
            CheckpointError: the file cannot be read, or holds a line that is no caption.
        """
        try:
            lines = self.path.read_bytes().split(b"\n") if self.path.exists() else []
        except OSError as error:
            msg = f"captions {self.path}: cannot be read ({error}); check the path and permissions"
            raise CheckpointError(msg) from error
        captions: dict[str, Caption] = {}
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                caption = Caption.from_json(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                if number == len(lines):  # no line end: the process was killed while it wrote
                    continue
                msg = (
                    f"captions {self.path}: found line {number} unusable ({error!r:.120}), expected a JSON object with "
                    "id and caption; remove or correct the line"
                )
                raise CheckpointError(msg) from None
            captions[caption.id] = caption
        return captions

    def append(self, captions: Iterable[Caption]) -> None:
        """Add lines at the end, after cutting off an unfinished one.

        Raises:
            CheckpointError: the file cannot be written.
        """
        lines = "".join(json.dumps(caption.to_json(), ensure_ascii=False) + "\n" for caption in captions)
        try:
            if not self._ends_whole:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                _mend(self.path)
                self._ends_whole = True
            with self.path.open("ab") as file:
                file.write(lines.encode())
        except OSError as error:
            msg = f"captions {self.path}: cannot be written ({error}); set teacher.captions to a file that can"
            raise CheckpointError(msg) from error


def write_captions(
    captioner: Captioner,
    samples: SampleSource,
    file: CaptionFile,
    *,
    classes: int,
    count: Callable[[str], int],
    limit: int,
    batch_size: int = 1,
    done: Callable[[int], object] = lambda _: None,
) -> dict[str, str]:
    """Describe the samples that have no text of this origin yet.

    Args:
        captioner: who describes.
        samples: what to describe.
        file: grows batch by batch, so a killed run goes on where it stopped.
        classes: K.
        count: length of a text in the teacher's tokens.
        limit: longest text, in those.
        batch_size: samples described together.
        done: told how many samples are finished, those of earlier runs first.

    Returns:
        Text of every sample.

    Raises:
        CheckpointError: the file cannot be used, or a sample's description is empty.
        ConfigError: labels hold a class that does not exist.
    """
    known = {name: caption.caption for name, caption in file.read().items() if caption.origin == captioner.origin}
    missing = [index for index, name in enumerate(samples.ids) if name not in known]
    done(len(samples.ids) - len(missing))
    for start in range(0, len(missing), batch_size):
        views = [samples[index] for index in missing[start : start + batch_size]]
        present = [present_classes(view.labels, classes) for view in views]
        texts = [fit_text(text, count, limit) for text in captioner.describe(views, present)]
        empty = [view.id for view, text in zip(views, texts, strict=True) if not text]
        if empty:
            msg = f"captions: found no text for {', '.join(empty)}, expected a sentence; try another model or prompt"
            raise CheckpointError(msg)
        rows = [
            Caption(view.id, text, captioner.origin, found, count(text))
            for view, text, found in zip(views, texts, present, strict=True)
        ]
        file.append(rows)
        known |= {row.id: row.caption for row in rows}
        done(len(rows))
    return {name: known[name] for name in samples.ids}


def import_captions(file: CaptionFile, ids: Sequence[str]) -> dict[str, str]:
    """Take texts made elsewhere.

    Raises:
        CheckpointError: the file is missing or unusable, or lacks samples.
    """
    captions = file.read()
    missing = [name for name in ids if name not in captions]
    if missing:
        msg = (
            f"captions {file.path}: found none for {len(missing)} of {len(ids)} samples, first {missing[0]}, expected "
            "all; complete the file, or set teacher.caption_source template"
        )
        raise CheckpointError(msg)
    return {name: captions[name].caption for name in ids}


def _mend(path: Path) -> None:
    """Cut an unfinished line off the end of a file, or end a whole one."""
    content = path.read_bytes() if path.exists() else b""
    whole = content.rfind(b"\n") + 1
    if whole == len(content):
        return
    with path.open("r+b") as file:
        try:
            json.loads(content[whole:])
        except ValueError:
            file.truncate(whole)
        else:
            file.seek(0, 2)
            file.write(b"\n")
