# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""A close look at the files of samples: can they be read, do their sizes fit, which classes do they hold."""

from __future__ import annotations

from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from any2seg_core.data.listing import files_of
from any2seg_core.data.readers import read_npy, read_png
from any2seg_core.errors import FrameError
from any2seg_core.frames import UNLABELLED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from any2seg_core.data.catalog import DatasetSpec, Source
    from any2seg_core.data.listing import Folders
    from any2seg_core.frames import ClassTable

LABELS: Final = "labels"
"""Name of the source of labels."""
_AHEAD: Final = 64
"""Samples handed to the threads at a time, so that progress shows and memory stays small."""


@dataclass(frozen=True)
class Problem:
    """Something that must be mended.

    Attributes:
        kind: "missing", "name", "unlabelled", "two splits", "list", "manifest", "unreadable",
            "format", "size" or "labels".
        where: path below the root, or a sample's id.
        what: what is wrong.
    """

    kind: str
    where: str
    what: str


@dataclass
class Looks:
    """What the samples of a split look like.

    Attributes:
        sizes: number of files by source and "WIDTHxHEIGHT".
        pixels: pixels by class name, and "unlabelled".
        problems: files that cannot be used.
        notes: what is odd.
    """

    sizes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    pixels: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class _Look:
    """What one sample looks like: sizes by source, stored label values (256,), signs of an angle's sine and cosine."""

    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    stored: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    problems: list[Problem] = field(default_factory=list)
    one_sided: bool = False


class Inspector:
    """Decodes every file of samples.

    Args:
        spec: the data set's record.
        root: its folder.
        sources: what to look at, by name.
        classes: meaning of the ids.
        folders: knows which files exist; the others are not looked at.
    """

    def __init__(
        self, spec: DatasetSpec, root: Path, sources: Mapping[str, Source], classes: ClassTable, folders: Folders
    ) -> None:
        self._spec, self._root, self._sources, self._classes = spec, root, dict(sources), classes
        self._folders = folders

    def look_at(self, names: Sequence[str], *, threads: int, done: Callable[[int], object]) -> Looks:
        """Look at samples by id."""
        found, stored, one_sided = Looks(), np.zeros(256, np.int64), 0
        with ThreadPoolExecutor(max(threads, 1)) as pool:
            for first in range(0, len(names), _AHEAD):
                part = names[first : first + _AHEAD]
                for look in pool.map(self._look, part):
                    for name, (height, width) in look.sizes.items():
                        found.sizes[name][f"{width}x{height}"] += 1
                    found.problems += look.problems
                    stored += look.stored
                    one_sided += look.one_sided
                done(len(part))
        found.pixels = self._named(stored)
        if one_sided:
            found.notes.append(
                f"aolp: sine or cosine never changes its sign in {one_sided} sample(s); expected those of the doubled "
                "angle: mirrored pictures would be wrong"
            )
        return found

    def _look(self, name: str) -> _Look:
        look = _Look()
        for source_name, source in self._sources.items():
            sizes = set()
            for path in files_of(source, self._root, name):
                if not self._folders.has(path):
                    continue
                try:
                    pixels = read_npy(path) if path.suffix == ".npy" else read_png(path)
                    sizes.add((int(pixels.shape[0]), int(pixels.shape[1])))
                except FrameError as error:
                    look.problems.append(Problem("unreadable", self._below(path), str(error)))
                    continue
                if not _usable(source.reader, pixels):
                    what = (
                        f"{source_name}: found {pixels.dtype} {pixels.shape}, which cannot be read as {source.reader}"
                    )
                    look.problems.append(Problem("format", self._below(path), what))
                if source_name == LABELS:
                    self._count(pixels, path, look)
                if source.reader == "angle":
                    look.one_sided |= bool(np.min(pixels) >= 0 or np.max(pixels) <= 0)
            if len(sizes) == 1:
                look.sizes[source_name] = sizes.pop()
            elif sizes:
                look.problems.append(Problem("size", name, f"{source_name}: found files of sizes {sorted(sizes)}"))
        self._compare(name, look)
        return look

    def _count(self, pixels: NDArray[Any], path: Path, look: _Look) -> None:
        if pixels.dtype != np.uint8:
            look.problems.append(Problem("labels", self._below(path), f"found {pixels.dtype}, expected 8 bits"))
            return
        kept = (pixels if pixels.ndim == 2 else pixels[:, :, 0])[:, self._spec.crop_left_px :]
        look.stored = np.bincount(kept.ravel(), minlength=256)
        ids = self._spec.label_ids[np.flatnonzero(look.stored)]
        wrong = sorted({int(each) for each in ids if len(self._classes) <= each < UNLABELLED})
        if wrong:
            what = f"found ids {wrong[:10]}, expected 0 to {len(self._classes) - 1} or {UNLABELLED}"
            look.problems.append(Problem("labels", self._below(path), what))

    def _compare(self, name: str, look: _Look) -> None:
        """Hold sizes against the labels'."""
        wanted = look.sizes.get(LABELS)
        for source_name, size in look.sizes.items():
            if wanted is not None and size != wanted and not self._sources[source_name].resize:
                what = (
                    f"{source_name}: found {size[1]}x{size[0]} pixels, expected {wanted[1]}x{wanted[0]} as the labels"
                )
                look.problems.append(Problem("size", name, what))

    def _named(self, stored: NDArray[np.int64]) -> dict[str, int]:
        by_id = np.zeros(256, np.int64)
        np.add.at(by_id, self._spec.label_ids, stored)
        named = {each: int(by_id[index]) for index, each in enumerate(self._classes.names)}
        return {**named, "unlabelled": int(by_id[UNLABELLED])}

    def _below(self, path: Path) -> str:
        return str(path.relative_to(self._root))


def _usable(reader: str, pixels: NDArray[Any]) -> bool:
    """Say whether what a file holds is what its reader takes."""
    if reader == "depth":
        return (pixels.dtype == np.uint16 and pixels.ndim == 2) or (pixels.dtype == np.uint8 and pixels.ndim == 3)
    return pixels.dtype in (np.uint8, np.uint16, np.float32)
