# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The embedding cache: everything that the losses need of a teacher, computed once.

One safetensors file (https://huggingface.co/docs/safetensors) per split and teacher:

    <modality>  (N, D)  float32, length 1, zero where a sample lacks the modality
    scene       (N, D)  embeddings of the scene descriptions
    classes     (K, D)  embeddings of the class names
    valid       (N, M)  bool

Its metadata hold, as JSON under "any2seg", the sample names, their files' stamps, the modalities and a fingerprint of
everything that decides the embeddings.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from safetensors import SafetensorError, safe_open

from any2seg_core.batch import TeacherTargets
from any2seg_core.errors import CheckpointError
from any2seg_core.experiment.teacher import DEPTH
from any2seg_core.frames import Modality
from any2seg_core.teacher.fingerprint import differences, same_stamp
from any2seg_core.teacher.names import class_phrases

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from any2seg_core.experiment import DataConfig, TeacherConfig

FORMAT: Final = 1
KEY: Final = "any2seg"


@dataclass(frozen=True, eq=False)
class TeacherCache:
    """Cosines of the embeddings in a cache file, in memory: 5 bytes per sample and modality.

    Attributes:
        path: the file.
        modalities: what has embeddings.
        correlation: (N, M) float32 cosine of each modality's embedding with the scene description's (equation 1).
        valid: (N, M) bool.
        classes: (K, K) float32 cosines of the class names' embeddings (equation 5).
        fingerprint: what decided the embeddings.
        stamps: text by sample that changes with its files.
    """

    path: Path
    modalities: tuple[Modality, ...]
    correlation: Tensor
    valid: Tensor
    classes: Tensor
    fingerprint: Mapping[str, Any]
    stamps: Mapping[str, str]
    _rows: Mapping[str, int]

    def __len__(self) -> int:
        return len(self._rows)

    @staticmethod
    def open(
        path: Path,
        expected: Mapping[str, Any] | None = None,
        *,
        stamps: Mapping[str, str] | None = None,
        centre: bool = False,
    ) -> TeacherCache:
        """Read a cache file.

        Args:
            path: the file.
            expected: parts of a fingerprint that must be equal, for instance expected_fingerprint's.
            stamps: file_stamp by name of the samples to be asked for; each must be there with the same files.
            centre: subtract each modality's mean cosine over the file's samples.

        Raises:
            CheckpointError: the file is missing or broken, or what decided its embeddings is not what is expected,
                naming each field that differs with both values.
        """
        header, tensors = _read(path)
        found = header["fingerprint"]
        if expected is not None and (differing := differences({name: found.get(name) for name in expected}, expected)):
            msg = (
                f"teacher cache {path}: does not fit: {differing}; compute it anew with training/cache_teacher.py "
                "--rebuild, or correct the experiment"
            )
            raise CheckpointError(msg)
        ids, known = header["ids"], dict(zip(header["ids"], header["stamps"], strict=True))
        _check_stamps(path, known, stamps or {})
        modalities = tuple(Modality(name) for name in header["modalities"])
        valid = tensors["valid"]
        scene = tensors["scene"]
        correlation = torch.stack([(tensors[name] * scene).sum(dim=1) for name in header["modalities"]], dim=1)
        if centre:
            count = valid.sum(dim=0).clamp(min=1)
            correlation = correlation - correlation.where(valid, torch.zeros(())).sum(dim=0) / count
        return TeacherCache(
            path=path,
            modalities=modalities,
            correlation=correlation.where(valid, torch.zeros(())),
            valid=valid,
            classes=(tensors["classes"] @ tensors["classes"].T).clamp(-1, 1),
            fingerprint=found,
            stamps=known,
            _rows={name: row for row, name in enumerate(ids)},
        )

    def targets(self, ids: Sequence[str], modalities: Sequence[Modality]) -> TeacherTargets:
        """Give what the teacher says of samples, columns in the order of modalities.

        Raises:
            CheckpointError: a sample or a modality is not in the cache.
        """
        unknown = [name for name in ids if name not in self._rows]
        absent = [modality.value for modality in modalities if modality not in self.modalities]
        if unknown or absent:
            held = ", ".join(modality.value for modality in self.modalities)
            msg = (
                f"teacher cache {self.path}: found no {', '.join([*unknown[:3], *absent])} among {len(self)} samples "
                f"of {held}, expected all that training asks for; compute it "
                "for this split and these modalities with training/cache_teacher.py --rebuild"
            )
            raise CheckpointError(msg)
        rows = torch.tensor([self._rows[name] for name in ids], dtype=torch.int64)
        columns = torch.tensor([self.modalities.index(modality) for modality in modalities], dtype=torch.int64)
        return TeacherTargets(self.correlation[rows][:, columns], self.valid[rows][:, columns], self.classes)


def cache_path(config: TeacherConfig, root: Path | str, split: str) -> Path:
    """Say where the cache of a split is: teacher.cache, or beside the data set's folder."""
    if config.cache:
        return Path(config.cache.replace("{split}", split))
    root = Path(root)
    return root.with_name(f"{root.name}-{config.kind}-{split}.safetensors")


def captions_path(config: TeacherConfig, root: Path | str, split: str) -> Path:
    """Say where the scene descriptions of a split are: teacher.captions, or beside the cache."""
    if config.captions:
        return Path(config.captions.replace("{split}", split))
    return cache_path(config, root, split).with_suffix(".captions.jsonl")


def expected_fingerprint(config: TeacherConfig, names: Sequence[str], data: DataConfig | None = None) -> dict[str, Any]:
    """Give the parts of a fingerprint that settings alone decide, without loading the teacher.

    Args:
        config: the teacher's settings.
        names: K class names.
        data: settings of the data, None for data without any.
    """
    towers = config.tower_of()
    metric = towers[Modality.DEPTH] == DEPTH and config.depth_input == "metres"
    return {
        "format": FORMAT,
        "kind": config.kind,
        "seed": config.seed if config.kind == "tiny" else None,
        "towers": {modality.value: tower for modality, tower in towers.items()},
        "pictures": {
            "dataset": data.dataset if data else None,
            "depth": data.depth_source if data and not metric else config.depth_input,
            "resize": config.resize,
            "depth_max_m": config.depth_max_m,
            "depth_holes": config.depth_holes,
            "inverted": sorted(config.inverted),
            "lidar_dilate_px": config.lidar_dilate_px,
        },
        "precision": config.precision,
        "classes": list(class_phrases(names, config)),
        "class_templates": list(config.class_templates),
        "captions": _caption_settings(config),
    }


def _caption_settings(config: TeacherConfig) -> dict[str, Any]:
    own: dict[str, dict[str, Any]] = {
        "template": {"condition": config.caption_condition},
        "model": {"model": config.caption_model, "prompt": config.caption_prompt},
        "jsonl": {},
    }
    return {"source": config.caption_source, **own[config.caption_source]}


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    if not path.is_file():
        msg = f"teacher cache {path}: there is none; compute it with training/cache_teacher.py"
        raise CheckpointError(msg)
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[KEY])
            names = [*header["modalities"], "scene", "classes", "valid"]
            tensors = {name: file.get_tensor(name) for name in names}
        rows = {len(tensors[name]) for name in names if name != "classes"} | {len(header["ids"]), len(header["stamps"])}
        found = header["fingerprint"]["format"]
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        msg = f"teacher cache {path}: cannot be read ({error!r:.200}); compute it anew with training/cache_teacher.py"
        raise CheckpointError(msg) from error
    if found != FORMAT or len(rows) != 1 or tensors["valid"].dtype != torch.bool:
        msg = (
            f"teacher cache {path}: found format {found} with parts of {sorted(rows)} rows, expected format {FORMAT} "
            "and equal parts; compute it anew with training/cache_teacher.py --rebuild"
        )
        raise CheckpointError(msg)
    return header, tensors


def _check_stamps(path: Path, found: Mapping[str, str], expected: Mapping[str, str]) -> None:
    differing = [name for name, stamp in expected.items() if name not in found or not same_stamp(found[name], stamp)]
    if differing:
        name = differing[0]
        msg = (
            f"teacher cache {path}: found {found.get(name, 'nothing')} (bytes of files) for sample {name}, expected "
            f"{expected[name]}, and {len(differing) - 1} more such samples: the data set has changed; compute the "
            "cache anew with training/cache_teacher.py --rebuild"
        )
        raise CheckpointError(msg)
