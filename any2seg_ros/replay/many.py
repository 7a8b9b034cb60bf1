# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Several recordings: in parallel, resumable, merged into one verdict."""

from __future__ import annotations

import functools
import hashlib
import json
import operator
import platform
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from importlib import metadata
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, Final

from tqdm import tqdm

from any2seg_core.config import SHIPPED, UNTRAINED
from any2seg_core.errors import ConfigError
from any2seg_core.frames import ClassTable, Modality
from any2seg_core.model.shipped import find_checkpoint
from any2seg_ros.replay.cluster import on_cluster
from any2seg_ros.replay.drawing import write_bytes
from any2seg_ros.replay.one import BagResult, judge_bag, open_model
from any2seg_ros.replay.tally import Tally
from any2seg_ros.replay.verdict import BagVerdict, ClassInfo, ModelInfo, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from any2seg_core.inference import Segmenter
    from any2seg_ros.replay.settings import ReplaySettings

_ENDS_BYTES: Final = 1 << 20
"""So much of a file's beginning and end goes into its fingerprint, besides its size."""
_WEIGHTS: Final = "model.safetensors"


@dataclass(frozen=True)
class Job:
    """A recording to judge: its path, its name in the report, and its number."""

    path: Path
    name: str
    place: int


def jobs_of(paths: Sequence[Path]) -> list[Job]:
    """Number recordings; those of the same name are told apart by it."""
    stems = [path.stem for path in paths]
    names = [stem if stems.count(stem) == 1 else f"{stem} ({place + 1})" for place, stem in enumerate(stems)]
    return [Job(path, name, place) for place, (path, name) in enumerate(zip(paths, names, strict=True))]


def replay(
    paths: Sequence[Path], settings: ReplaySettings, out: Path, *, workers: int = 1, cluster: str = ""
) -> Verdict:
    """Judge recordings, and write report.json; what an earlier, equal call has finished is not done again.

    Args:
        paths: recordings.
        settings: what to play and to judge.
        out: folder to write to.
        workers: processes; each loads the model.
        cluster: address of a Ray cluster that does the work in their place, or cluster.LOCAL. All its machines must
            see recordings, checkpoint and `out` under the same paths.

    Raises:
        ConfigError, CheckpointError, DependencyError: the model cannot be opened, or a process or the cluster is lost.
    """
    segmenter = open_model(settings)
    if settings.subsets and _remembers(settings):
        msg = (
            f"replay: found --subsets with {segmenter.name!r}, which remembers the frame before, expected a model that "
            "does not (model.previous mean or carry); leave --subsets out"
        )
        raise ConfigError(msg)
    weights = weights_sha256(settings)
    jobs = jobs_of(paths)
    known = {job: _cached(job, settings, out, weights, segmenter.classes) for job in jobs}
    todo = [job for job in jobs if known[job] is None]
    results: dict[int, BagResult] = {job.place: found for job, found in known.items() if found is not None}
    if todo and (cluster or (workers > 1 and len(todo) > 1)):
        if cluster:
            ended = _on_cluster(todo, settings, out, weights, cluster)
        else:
            ended = _in_parallel(todo, settings, out, weights, workers)
        results |= _gathered(ended, todo, settings, out, weights, segmenter.classes)
    else:
        for job in todo:
            results[job.place] = _do(job, settings, out, weights, segmenter)
    verdict = merged([results[job.place] for job in jobs], segmenter, settings, weights)
    write_bytes(out / "report.json", verdict.model_dump_json(indent=1).encode())
    return verdict


def _do(job: Job, settings: ReplaySettings, out: Path, weights: str, segmenter: Segmenter) -> BagResult:
    with tqdm(
        desc=f"replay {job.place + 1}", unit="s", bar_format="{desc}: {n:.1f} s of the recording, {elapsed}"
    ) as bar:
        result = judge_bag(job.path, job.name, job.place, settings, out, segmenter, lambda t_s: bar.update(t_s - bar.n))
    content = {"fingerprint": fingerprint(job, settings, weights), **result.to_json()}
    write_bytes(_cache(job, out), json.dumps(content).encode())
    return result


_model: dict[str, Any] = {}


def _in_process(job: Job, settings: ReplaySettings, out: Path, weights: str) -> int:
    """Judge one recording in a process of its own, which keeps its model for the next; the result is in the cache."""
    if "segmenter" not in _model:
        _model["segmenter"] = open_model(settings)
    _do(job, settings, out, weights, _model["segmenter"])
    return job.place


def _in_parallel(todo: Sequence[Job], settings: ReplaySettings, out: Path, weights: str, workers: int) -> Iterator[int]:
    """Yield the places of recordings as they are done in processes of their own."""
    with ProcessPoolExecutor(min(workers, len(todo)), mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(_in_process, job, settings, out, weights) for job in todo]
        try:
            for future in as_completed(waiting):
                yield future.result()
        except BrokenProcessPool as error:
            msg = (
                f"replay: found a process dead ({error}), expected it to live; free memory or ask for fewer "
                "workers, and run again: finished recordings are kept"
            )
            raise ConfigError(msg) from error


def _on_cluster(todo: Sequence[Job], settings: ReplaySettings, out: Path, weights: str, address: str) -> Iterator[int]:
    """Yield the places of recordings as they are done on a cluster."""
    jobs = [(replace(job, path=job.path.absolute()), settings, out.absolute(), weights) for job in todo]
    return on_cluster(address, _in_process, jobs, threads=max(settings.threads, 1))


def _gathered(
    ended: Iterable[int], todo: Sequence[Job], settings: ReplaySettings, out: Path, weights: str, classes: ClassTable
) -> dict[int, BagResult]:
    """Read what the processes left in `out`."""
    found: dict[int, BagResult] = {}
    by_place = {job.place: job for job in todo}
    for place in tqdm(ended, desc="replay", total=len(todo), unit="recording"):
        result = _cached(by_place[place], settings, out, weights, classes)
        if result is None:
            msg = (
                f"replay: found no result of {by_place[place].name!r} in {out}, expected one; let all machines see "
                "recordings and output under the same paths"
            )
            raise ConfigError(msg)
        found[place] = result
    return found


def _cache(job: Job, out: Path) -> Path:
    return out / "bags" / f"{job.place + 1:03d}.json"


def _cached(job: Job, settings: ReplaySettings, out: Path, weights: str, classes: ClassTable) -> BagResult | None:
    """What an earlier call found out about the same recording with the same model and settings."""
    try:
        values = json.loads(_cache(job, out).read_text(encoding="utf-8"))
        if values["fingerprint"] != fingerprint(job, settings, weights):
            return None
        return BagResult(BagVerdict.model_validate(values["verdict"]), Tally.from_json(values["tally"], classes))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def fingerprint(job: Job, settings: ReplaySettings, weights: str) -> str:
    """Tell a recording, a model and settings from all others."""
    digest = hashlib.sha256(json.dumps([settings.to_json(), weights, job.name], sort_keys=True, default=str).encode())
    files = sorted(path for path in job.path.rglob("*") if path.is_file()) if job.path.is_dir() else [job.path]
    for path in files:
        digest.update(_ends(path))
    return digest.hexdigest()


def _ends(path: Path) -> bytes:
    """Name, size, first and last bytes of a file; its name alone if it cannot be read."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(_ENDS_BYTES)
            file.seek(max(size - _ENDS_BYTES, 0))
            return f"{path.name} {size}".encode() + head + file.read()
    except OSError:
        return path.name.encode()


def weights_sha256(settings: ReplaySettings) -> str:
    """Checksum of the model's weights; empty for an untrained model."""
    name = str(settings.parameters.get("inference.checkpoint", SHIPPED))
    path = find_checkpoint(name) / _WEIGHTS
    return hashlib.sha256(path.read_bytes()).hexdigest() if name != UNTRAINED and path.is_file() else ""


def _remembers(settings: ReplaySettings) -> bool:
    """Whether the model's t-1 is the frame before, so that subsets would mix their memories."""
    path = find_checkpoint(str(settings.parameters.get("inference.checkpoint", SHIPPED))) / "checkpoint.json"
    return path.is_file() and json.loads(path.read_text(encoding="utf-8"))["model"].get("previous") == "temporal"


def merged(results: Sequence[BagResult], segmenter: Segmenter, settings: ReplaySettings, weights: str) -> Verdict:
    """Put recordings together; counts add up, so that long ones weigh more."""
    total = functools.reduce(operator.add, (result.tally for result in results), Tally(segmenter.classes))
    sensors = {row.modality for result in results for row in result.verdict.sensors}
    modalities = [modality for modality in Modality if modality.value in sensors]
    classes = segmenter.classes
    return Verdict(
        model=ModelInfo(
            name=segmenter.name,
            weights_sha256=weights,
            modalities=[modality.value for modality in segmenter.modalities],
            classes=[
                ClassInfo(id=index, name=name, color=tuple(classes.colours[index].tolist()))
                for index, name in enumerate(classes.names)
            ],
            short_side_px=segmenter.preprocess.short_side_px,
        ),
        settings=settings.told(),
        bags=[result.verdict for result in results],
        scores=total.scores(),
        conditions=total.conditions(),
        subsets=total.subsets(modalities),
        miss=total.miss(modalities),
        indicators=total.indicators(),
        run={
            "any2seg": metadata.version("any2seg"),
            "torch": metadata.version("torch"),
            "machine": platform.machine(),
            "system": platform.platform(terse=True),
            "finished_utc": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        },
    )
