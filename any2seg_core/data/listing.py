# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Which samples a split holds, and where their files are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from any2seg_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from any2seg_core.data.catalog import DatasetSpec, Source
    from any2seg_core.frames import Modality


@dataclass(frozen=True, eq=False)
class SampleFiles:
    """Where one sample is.

    Attributes:
        id: its path below the root without modality and suffix.
        condition: weather, "" where the data set has none.
        failure: sensor failure, "" where there is none.
        paths: files of each modality.
        labels: file of the labels.
    """

    id: str
    condition: str
    failure: str
    paths: Mapping[Modality, tuple[Path, ...]]
    labels: Path

    def files(self) -> Iterator[Path]:
        """Walk all files."""
        for paths in self.paths.values():
            yield from paths
        yield self.labels


class Folders:
    """Knows which files exist; each folder is looked at once."""

    def __init__(self) -> None:
        self._names: dict[Path, frozenset[str]] = {}

    def names(self, folder: Path) -> frozenset[str]:
        """Names in a folder, hidden ones left out; none if it does not exist.

        Raises:
            ConfigError: the folder may not be read.
        """
        if folder not in self._names:
            try:
                found = frozenset(path.name for path in folder.iterdir() if not path.name.startswith("."))
            except (FileNotFoundError, NotADirectoryError):
                found = frozenset()
            except OSError as error:
                msg = f"{folder}: found a folder that cannot be read ({error}), expected pictures; check permissions"
                raise ConfigError(msg) from error
            self._names[folder] = found
        return self._names[folder]

    def has(self, path: Path) -> bool:
        """Say whether a file exists."""
        return path.name in self.names(path.parent)


def find_samples(
    spec: DatasetSpec, root: Path, split: str, sources: Mapping[Modality, Source], folders: Folders
) -> list[SampleFiles]:
    """List all samples of a split in a fixed order: conditions as the record has them, then by name.

    Raises:
        ConfigError: the root or the split's list is missing, or there is no such split.
    """
    if split not in spec.splits:
        msg = f"data set {spec.name}: found split {split!r}, expected one of {', '.join(spec.splits)}; fix the split"
        raise ConfigError(msg)
    if not root.is_dir():
        msg = f"data set {spec.name}: found no folder {str(root)!r}, expected the unpacked data set; set data.root"
        raise ConfigError(msg)
    ids = listed_ids(spec, root, split) if spec.lists else list(_walked_ids(spec, root, split, folders))
    return [_sample(spec, root, name, sources) for name in ids]


def listed_ids(spec: DatasetSpec, root: Path, split: str) -> list[str]:
    """Read a split's list, one id a line; what follows a blank is left out.

    Raises:
        ConfigError: the list is missing or repeats an id.
    """
    path = root / spec.lists.format(split=split)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: found no list of split {split!r} ({error}), expected one id a line; set data.root"
        raise ConfigError(msg) from error
    ids = [line.split()[0] for line in lines if line.strip()]
    twice = sorted({name for name in ids if ids.count(name) > 1}) if len(set(ids)) != len(ids) else []
    if twice:
        msg = f"{path}: found {', '.join(twice[:5])} more than once, expected each sample once; fix the list"
        raise ConfigError(msg)
    return ids


def _walked_ids(spec: DatasetSpec, root: Path, split: str, folders: Folders) -> Iterator[str]:
    template = spec.labels.files[0]
    for condition in spec.conditions:
        parent = root / template.split("/{folder}/", maxsplit=1)[0] / condition / split
        for scene in sorted(folders.names(parent)):
            for name in sorted(folders.names(parent / scene)):
                number = name_in(template, name)
                if number is not None:
                    yield f"{condition}/{split}/{scene}/{number}"


def name_in(template: str, file_name: str) -> str | None:
    """Give what {name} stands for in a file's name, None if the name does not fit the template."""
    before, after = template.rpartition("/")[2].split("{name}")
    found = re.fullmatch(f"{re.escape(before)}(.+){re.escape(after)}", file_name)
    return None if found is None else found[1]


def _sample(spec: DatasetSpec, root: Path, name: str, sources: Mapping[Modality, Source]) -> SampleFiles:
    parts = name.split("/")
    condition = parts[0] if spec.conditions else ""
    failure = failure_of(spec, parts[-2]) if len(parts) > 1 else ""
    paths = {modality: files_of(source, root, name) for modality, source in sources.items()}
    return SampleFiles(name, condition, failure, paths, files_of(spec.labels, root, name)[0])


def failure_of(spec: DatasetSpec, scene: str) -> str:
    """Read the failure from the last part of a scene's name, "" if it names none."""
    suffix = scene.rpartition("_")[2]
    return suffix if suffix in spec.failures else ""


def files_of(source: Source, root: Path, name: str) -> tuple[Path, ...]:
    """Give the files of a sample in one source."""
    folder, _, last = name.rpartition("/")
    return tuple(root / template.format(folder=folder, name=last) for template in source.files)


def chosen(
    samples: Sequence[SampleFiles], *, conditions: Sequence[str], failures: Sequence[str], limit: int
) -> list[SampleFiles]:
    """Keep the samples of some conditions and failures ("none": sound sensors), and of those `limit`, evenly spread."""
    kept = [
        sample
        for sample in samples
        if (not conditions or sample.condition in conditions)
        and (not failures or (sample.failure or "none") in failures)
    ]
    if limit and len(kept) > limit:
        kept = [kept[index * len(kept) // limit] for index in range(limit)]
    return kept
