# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What a data set's folder holds, and what is wrong with it, found out before anyone trains on it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from any2seg_core.data.catalog import spec_named
from any2seg_core.data.inspection import LABELS, Inspector, Problem
from any2seg_core.data.listing import Folders, files_of, find_samples, name_in
from any2seg_core.data.manifest import read_manifest
from any2seg_core.errors import ConfigError
from any2seg_core.frames import in_canonical_order

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from any2seg_core.data.catalog import DatasetSpec, Source
    from any2seg_core.data.listing import SampleFiles
    from any2seg_core.frames import ClassTable

HHA: Final = "hha"
"""Name of the precomputed pictures of depth, beside those of the modalities."""


@dataclass
class Survey:
    """What was found.

    Attributes:
        dataset: name of the record.
        root: the folder.
        splits: samples by split: "total", and "conditions" and "failures" with their counts where
            the data set has such.
        files: samples that have all their files, by split and source: a modality, "hha" or "labels".
        sizes: number of files by source and "WIDTHxHEIGHT"; empty after a quick look.
        class_pixels: pixels by split and class name, and "unlabelled"; empty after a quick look.
        problems: what must be mended.
        notes: what is odd but does no harm.
    """

    dataset: str
    root: str
    splits: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, dict[str, int]] = field(default_factory=dict)
    sizes: dict[str, dict[str, int]] = field(default_factory=dict)
    class_pixels: dict[str, dict[str, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Describe the findings in plain JSON types."""
        plain = {name: value for name, value in vars(self).items() if name != "problems"}
        return {**plain, "problems": [vars(problem) for problem in self.problems]}


def survey(
    dataset: str,
    root: Path,
    *,
    only: Sequence[str] = (),
    quick: bool = False,
    threads: int = 1,
    start: Callable[[int], object] = lambda _: None,
    done: Callable[[int], object] = lambda _: None,
) -> Survey:
    """Look at every file of every split.

    Args:
        dataset: name of a record in the catalog.
        root: folder of the unpacked data set.
        only: names of modalities, or "hha", that must be there; none: whatever has a folder is looked at.
        quick: look at names only, decode nothing.
        threads: files decoded at a time.
        start: called once with the number of samples to decode.
        done: called with the number of samples just decoded.

    Raises:
        ConfigError: there is no such record, modality or folder, or no sample in it.
    """
    spec, folders, found = spec_named(dataset), Folders(), Survey(dataset, str(root))
    if not root.is_dir():
        msg = f"check: found no folder {str(root)!r}, expected the unpacked data set; check the path"
        raise ConfigError(msg)
    sources = _sources(spec, root, only, found.notes)
    samples = {split: _samples_of(spec, root, split, folders, found.problems) for split in spec.splits}
    if not any(samples.values()):
        inside = ", ".join(sorted(folders.names(root))[:10]) or "nothing"
        wanted = (spec.lists or spec.labels.files[0]).format(split="*", folder="*", name="*")
        msg = f"check: found no sample of {dataset!r} in {root}, which holds {inside}; expected {wanted} ({spec.page})"
        raise ConfigError(msg)
    for split, listed in samples.items():
        found.splits[split] = _counts(listed)
        found.files[split] = _check_files(listed, root, sources, folders, found.problems)
    known = {sample.id for listed in samples.values() for sample in listed}
    if spec.lists:
        found.problems += _repeated(samples)
        found.notes += _unlisted(root, sources, folders, known)
    else:
        found.problems += _strays(spec, root, sources, folders, known)
    classes = _classes(spec, root, found.problems)
    if not quick:
        start(len(known))
        inspector = Inspector(spec, root, sources, classes, folders)
        for split, listed in samples.items():
            _look(inspector, split, [sample.id for sample in listed], found, threads=threads, done=done)
    return found


def _sources(spec: DatasetSpec, root: Path, only: Sequence[str], notes: list[str]) -> dict[str, Source]:
    """Choose what to look at, by name; labels always."""
    every = {modality.value: spec.pictures[modality] for modality in in_canonical_order(spec.pictures)}
    if spec.hha is not None:
        every[HHA] = spec.hha
    unknown = [name for name in only if name not in every]
    if unknown:
        msg = f"check: found modalities {', '.join(unknown)}, expected some of {', '.join(every)}; ask for those"
        raise ConfigError(msg)
    there = {}
    for name, source in every.items():
        if name in only or (not only and all((root / path.split("/")[0]).is_dir() for path in source.files)):
            there[name] = source
        elif not only:
            notes.append(f"{name}: has no folder here, not looked at")
    return {**there, LABELS: spec.labels}


def _samples_of(
    spec: DatasetSpec, root: Path, split: str, folders: Folders, problems: list[Problem]
) -> list[SampleFiles]:
    try:
        return find_samples(spec, root, split, {}, folders)
    except ConfigError as error:
        problems.append(Problem("list", split, str(error)))
        return []


def _classes(spec: DatasetSpec, root: Path, problems: list[Problem]) -> ClassTable:
    try:
        return read_manifest(spec, root).classes
    except ConfigError as error:
        problems.append(Problem("manifest", spec.manifest, str(error)))
        return spec.classes


def _counts(listed: Sequence[SampleFiles]) -> dict[str, Any]:
    return {
        "total": len(listed),
        "conditions": dict(Counter(sample.condition for sample in listed if sample.condition)),
        "failures": dict(Counter(sample.failure or "none" for sample in listed if sample.condition)),
    }


def _check_files(
    listed: Sequence[SampleFiles], root: Path, sources: Mapping[str, Source], folders: Folders, problems: list[Problem]
) -> dict[str, int]:
    """Count samples by source whose files are all there, and note each file that is not."""
    counts = dict.fromkeys(sources, 0)
    for sample in listed:
        for name, source in sources.items():
            lost = [path for path in files_of(source, root, sample.id) if not folders.has(path)]
            counts[name] += not lost
            problems += [Problem("missing", str(path.relative_to(root)), f"{name} of {sample.id}") for path in lost]
    return counts


def _look(
    inspector: Inspector,
    split: str,
    names: Sequence[str],
    found: Survey,
    *,
    threads: int,
    done: Callable[[int], object],
) -> None:
    looks = inspector.look_at(names, threads=threads, done=done)
    found.class_pixels[split] = looks.pixels
    found.problems += looks.problems
    found.notes += [f"{split}: {note}" for note in looks.notes]
    for name, sizes in looks.sizes.items():
        found.sizes[name] = dict(Counter(found.sizes.get(name, {})) + sizes)


def _repeated(samples: Mapping[str, Sequence[SampleFiles]]) -> Iterator[Problem]:
    """Find samples of two splits: what was learnt must not be scored."""
    first: dict[str, str] = {}
    for split, listed in samples.items():
        for sample in listed:
            if first.setdefault(sample.id, split) != split:
                yield Problem("two splits", sample.id, f"in {first[sample.id]} and in {split}")


def _unlisted(root: Path, sources: Mapping[str, Source], folders: Folders, known: Collection[str]) -> Iterator[str]:
    for name, source in sources.items():
        for template in source.files:
            names = [name_in(template, file) for file in folders.names((root / template).parent)]
            extra = [each for each in names if each not in known]
            if extra:
                yield f"{name}: {len(extra)} file(s) in {template.split('/')[0]}/ that no split lists"


def _strays(
    spec: DatasetSpec, root: Path, sources: Mapping[str, Source], folders: Folders, known: Collection[str]
) -> Iterator[Problem]:
    """Find folders and files whose names fit nothing, and pictures without labels."""
    for source in sources.values():
        template = source.files[0]
        top = template.split("/")[0]
        for condition in sorted(folders.names(root / top)):
            if condition not in spec.conditions:
                yield Problem("name", f"{top}/{condition}", f"expected one of {', '.join(spec.conditions)}")
                continue
            for split in sorted(folders.names(root / top / condition)):
                where = f"{top}/{condition}/{split}"
                if split not in spec.splits:
                    yield Problem("name", where, f"expected one of {', '.join(spec.splits)}")
                    continue
                for scene in sorted(folders.names(root / where)):
                    yield from _stray_files(
                        spec, template, f"{where}/{scene}", folders.names(root / where / scene), known
                    )


def _stray_files(
    spec: DatasetSpec, template: str, where: str, names: Collection[str], known: Collection[str]
) -> Iterator[Problem]:
    _, _, folder = where.partition("/")
    suffix = where.rpartition("_")[2]
    if suffix.isalpha() and suffix not in spec.failures:
        yield Problem("name", where, f"expected a scene that ends in nothing or in one of {', '.join(spec.failures)}")
    for name in sorted(names):
        number = name_in(template, name)
        if number is None:
            yield Problem("name", f"{where}/{name}", f"expected {template.rpartition('/')[2]}")
        elif f"{folder}/{number}" not in known:
            yield Problem("unlabelled", f"{where}/{name}", "there are no labels for it")
