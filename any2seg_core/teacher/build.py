# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Computing the embedding cache, part by part: a killed run goes on with the next part, and ends in the same bytes."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch.utils.data import DataLoader, Dataset

from any2seg_core.errors import CheckpointError, ConfigError
from any2seg_core.frames import in_canonical_order
from any2seg_core.teacher.cache import KEY, TeacherCache, expected_fingerprint
from any2seg_core.teacher.fingerprint import differences, text_sha256
from any2seg_core.teacher.names import class_phrases, embed_classes
from any2seg_core.teacher.view import tower_picture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from any2seg_core.experiment import DataConfig, TeacherConfig
    from any2seg_core.frames import ClassTable, Modality
    from any2seg_core.teacher.base import SampleSource, Teacher

    _Shown: TypeAlias = list[tuple[int, dict[Modality, Tensor]]]

_PART: Final = 128
"""Samples per part; a kill loses at most so many."""


def build_cache(
    teacher: Teacher,
    samples: SampleSource,
    classes: ClassTable,
    config: TeacherConfig,
    path: Path,
    *,
    captions: Mapping[str, str],
    modalities: Sequence[Modality],
    data: DataConfig | None = None,
    batch_size: int = 32,
    workers: int = 0,
    part: int = _PART,
    rebuild: bool = False,
    done: Callable[[int], object] = lambda _: None,
) -> TeacherCache:
    """Embed a split, or go on doing so, or find it done.

    Args:
        teacher: who embeds.
        samples: the split.
        classes: their names are embedded too.
        config: the teacher's settings.
        path: the cache file; unfinished parts lie in a hidden folder beside it.
        captions: text of every sample.
        modalities: which to embed.
        data: settings of the data, for the fingerprint.
        batch_size: samples embedded together.
        workers: processes that read and resize pictures.
        part: samples per part.
        rebuild: throw away what does not fit instead of refusing.
        done: told how many samples are finished, those of earlier runs first.

    Raises:
        CheckpointError: the file or unfinished parts come from other settings, naming each field that differs; or
            they cannot be read or written.
        ConfigError: samples are none or repeated, or lack captions.
        FrameError: pictures that the teacher cannot take.
    """
    ids = list(samples.ids)
    _check(ids, captions)
    ordered = in_canonical_order(modalities)
    fingerprint = {
        **expected_fingerprint(config, classes.names, data),
        "teacher": teacher.fingerprint(),
        "caption_texts": text_sha256([[name, captions[name]] for name in ids]),
    }
    header = {
        "fingerprint": fingerprint,
        "modalities": [modality.value for modality in ordered],
        "ids": ids,
        "stamps": list(samples.stamps),
        "part": part,
    }
    if path.exists() and not rebuild:
        _check_same(path, header)
        shutil.rmtree(path.with_name(f".{path.name}.parts"), ignore_errors=True)  # killed just before it was done
        done(len(ids))
        return TeacherCache.open(path, centre=config.centre)
    parts = _claim(path, header, rebuild=rebuild)
    starts = [start for start in range(0, len(ids), part) if not (parts / _name(start)).is_file()]
    done(len(ids) - sum(min(part, len(ids) - start) for start in starts))
    pictures = _Pictures(samples, teacher, ordered, config)
    for start, embedded in _embed_parts(teacher, pictures, captions, starts, part, batch_size, workers, done):
        _save(parts / _name(start), embedded, {})
    phrases = class_phrases(classes.names, config)
    whole = _joined([parts / _name(start) for start in range(0, len(ids), part)])
    whole["classes"] = embed_classes(teacher, phrases, config.class_templates).cpu()
    _save(path, whole, {KEY: json.dumps(header, sort_keys=True)})
    shutil.rmtree(parts)
    return TeacherCache.open(path, centre=config.centre)


class _Pictures(Dataset[tuple[int, dict["Modality", "Tensor"]]]):
    """Pictures of each sample as the towers want them; holds no tower, so that reading processes may copy it."""

    def __init__(
        self, samples: SampleSource, teacher: Teacher, modalities: Sequence[Modality], config: TeacherConfig
    ) -> None:
        self.samples, self.modalities = samples, modalities
        self._view, self._towers, self._config = teacher.view, dict(teacher.towers), config

    def __len__(self) -> int:
        return len(self.samples.ids)

    def __getitem__(self, index: int) -> tuple[int, dict[Modality, Tensor]]:
        sample = self.samples[index]
        drawn: dict[Modality, Tensor] = {}
        for modality in self.modalities:
            picture = tower_picture(sample, modality, self._towers[modality], self._config)
            if picture is not None:
                drawn[modality] = self._view.fit(picture[None])[0]
        return index, drawn


def _embed_parts(
    teacher: Teacher,
    pictures: _Pictures,
    captions: Mapping[str, str],
    starts: Sequence[int],
    part: int,
    batch_size: int,
    workers: int,
    done: Callable[[int], object],
) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """Embed parts, whose batches are the same in whatever run they are computed."""
    ids = pictures.samples.ids
    batches = {
        start: [
            list(range(first, min(first + batch_size, start + part, len(ids))))
            for first in range(start, min(start + part, len(ids)), batch_size)
        ]
        for start in starts
    }
    plan = [batch for listed in batches.values() for batch in listed]
    loader = iter(DataLoader(pictures, batch_sampler=plan, num_workers=workers, collate_fn=list))
    for start, listed in batches.items():
        rows = []
        for _ in listed:
            batch = _next(loader)
            rows.append(_embed(teacher, batch, [captions[ids[index]] for index, _ in batch], pictures.modalities))
            done(len(batch))
        yield start, {name: torch.cat([row[name] for row in rows]) for name in rows[0]}


def _next(loader: Iterator[_Shown]) -> _Shown:
    try:
        return next(loader)
    except RuntimeError as error:
        if "exited unexpectedly" not in str(error):
            raise
        msg = f"teacher cache: found a reading process that died ({error}), expected it to live; use fewer workers"
        raise ConfigError(msg) from error


def _embed(
    teacher: Teacher,
    batch: _Shown,
    texts: Sequence[str],
    modalities: Sequence[Modality],
) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {"scene": teacher.encode_texts(texts).cpu()}
    valid = torch.tensor([[modality in drawn for modality in modalities] for _, drawn in batch], dtype=torch.bool)
    for column, modality in enumerate(modalities):
        vectors = torch.zeros(len(batch), teacher.dim)
        shown = [drawn[modality] for _, drawn in batch if modality in drawn]
        if shown:
            vectors[valid[:, column]] = _vectors(teacher, modality, torch.stack(shown))
        found[modality.value] = vectors
    found["valid"] = valid
    return found


def _vectors(teacher: Teacher, modality: Modality, images: Tensor) -> Tensor:
    try:
        return teacher.encode_images(modality, images).cpu()
    except torch.cuda.OutOfMemoryError as error:
        msg = f"teacher cache: memory does not suffice for {len(images)} pictures ({error}); lower the batch size"
        raise ConfigError(msg) from error


def _check(ids: Sequence[str], captions: Mapping[str, str]) -> None:
    if not ids or len(set(ids)) != len(ids):
        msg = f"teacher cache: found {len(ids)} samples, {len(set(ids))} different, expected some, each once"
        raise ConfigError(msg)
    missing = [name for name in ids if name not in captions]
    if missing:
        msg = (
            f"teacher cache: found no description of {missing[0]} and {len(missing) - 1} more samples, expected all; "
            "write the captions first"
        )
        raise ConfigError(msg)


def _summary(header: Mapping[str, Any]) -> dict[str, Any]:
    """Put what must be equal into fields that are worth naming."""
    return {
        **header["fingerprint"],
        "modalities": header["modalities"],
        "samples": len(header["ids"]),
        "part": header["part"],
        "sample_names": text_sha256(header["ids"]),
        "sample_files": text_sha256(header["stamps"]),
    }


def _check_same(path: Path, header: Mapping[str, Any]) -> None:
    cache = TeacherCache.open(path)
    found = {
        "fingerprint": cache.fingerprint,
        "modalities": [modality.value for modality in cache.modalities],
        "ids": list(cache.stamps),
        "stamps": list(cache.stamps.values()),
        "part": header["part"],  # how it was computed changes nothing
    }
    _refuse(path, differences(_summary(found), _summary(header)))


def _refuse(path: Path, differing: str) -> None:
    if differing:
        msg = (
            f"teacher cache {path}: comes from other settings: {differing}; rebuild it (--rebuild), or give "
            "teacher.cache another name"
        )
        raise CheckpointError(msg)


def _claim(path: Path, header: Mapping[str, Any], *, rebuild: bool) -> Path:
    """Give the folder of unfinished parts, new or of an earlier run with equal settings."""
    parts = path.with_name(f".{path.name}.parts")
    note = parts / "header.json"
    text = json.dumps(header, sort_keys=True)
    try:
        earlier = note.read_text(encoding="utf-8") if note.is_file() else ""
        if earlier == text:
            return parts
        if earlier and not rebuild:
            _refuse(path, differences(_summary(json.loads(earlier)), _summary(header)))
        shutil.rmtree(parts, ignore_errors=True)
        parts.mkdir(parents=True)
        unfinished = parts / "header.unfinished"
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(note)
    except (OSError, json.JSONDecodeError, KeyError) as error:
        msg = f"teacher cache {path}: unfinished parts cannot be used ({error}); set teacher.cache, or remove {parts}"
        raise CheckpointError(msg) from error
    return parts


def _name(start: int) -> str:
    return f"{start:08d}.safetensors"


def _joined(paths: Sequence[Path]) -> dict[str, Tensor]:
    try:
        loaded = [load_file(path) for path in paths]
    except (OSError, SafetensorError) as error:
        msg = f"teacher cache: an unfinished part cannot be read ({error}); run again with --rebuild"
        raise CheckpointError(msg) from error
    return {name: torch.cat([part[name] for part in loaded]) for name in loaded[0]}


def _save(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a file whole or not at all."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with unfinished.open("wb") as file:  # save_file would make it unreadable for everybody else
            file.write(save({name: tensor.contiguous() for name, tensor in tensors.items()}, dict(metadata)))
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except (OSError, SafetensorError) as error:
        msg = f"teacher cache {path}: cannot be written ({error}); set teacher.cache to a place with room"
        raise CheckpointError(msg) from error
