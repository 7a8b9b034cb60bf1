# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""One recording from its path to its part of the verdict."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from any2seg_core.config import InferenceConfig, nest
from any2seg_core.frames import Modality
from any2seg_core.inference import open_segmenter
from any2seg_ros.diagnostics import describe_problem
from any2seg_ros.replay.bags import opened
from any2seg_ros.replay.judge import Judge
from any2seg_ros.replay.labels import LabelBag
from any2seg_ros.replay.play import Player
from any2seg_ros.replay.roles import SENSORS, Roles, find_roles
from any2seg_ros.replay.settings import fitted_config
from any2seg_ros.replay.tally import Tally, quantiles
from any2seg_ros.replay.truth import NoTruth, open_truth
from any2seg_ros.replay.verdict import BagVerdict, Indicators, Timing, TopicUse, Truth

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from any2seg_core.inference import Segmenter
    from any2seg_ros.replay.bags import Recording
    from any2seg_ros.replay.settings import ReplaySettings
    from any2seg_ros.replay.verdict import Picture


@dataclass(frozen=True)
class BagResult:
    """What a recording gave, and the counts behind it."""

    verdict: BagVerdict
    tally: Tally

    def to_json(self) -> dict[str, Any]:
        """Give plain JSON types."""
        return {"verdict": self.verdict.model_dump(mode="json"), "tally": self.tally.to_json()}


def open_model(settings: ReplaySettings) -> Segmenter:
    """Open the model that the settings name.

    It runs on as many threads as the settings say, whatever else runs beside it: how many decides how sums round.

    Raises:
        ConfigError, CheckpointError, DependencyError: see open_segmenter.
    """
    named = {name: value for name, value in settings.parameters.items() if name.startswith("inference.")}
    values = nest(named).get("inference", {}) | {"threads": settings.threads}
    config = InferenceConfig.from_mapping(values, source="replay")
    return open_segmenter(config, [Modality(name) for name in settings.parameters.get("modalities", SENSORS)])


def judge_bag(
    path: Path,
    name: str,
    place: int,
    settings: ReplaySettings,
    out: Path,
    segmenter: Segmenter,
    done: Callable[[float], object],
) -> BagResult:
    """Play one recording and judge it; whatever is wrong with it stands in its notes.

    Args:
        path: the recording.
        name: what it is called in the report.
        place: its number, which its pictures are named by.
        settings: what to play and to judge.
        out: folder of the report.
        segmenter: the model.
        done: told the seconds played so far.
    """
    segmenter.reset()
    begun = time.perf_counter()
    try:
        with opened(path) as recording:
            return _judged(recording, name, place, settings, out, segmenter, done, begun)
    except Exception as error:  # noqa: BLE001  # whatever a damaged recording leads to, the others are judged
        why = ": ".join(filter(None, describe_problem(error, "")))
        return _refused(name, why, segmenter, begun)


def _judged(
    recording: Recording,
    name: str,
    place: int,
    settings: ReplaySettings,
    out: Path,
    segmenter: Segmenter,
    done: Callable[[float], object],
    begun: float,
) -> BagResult:
    roles = find_roles(recording, settings.topics)
    config = fitted_config(settings.parameters, recording, roles)
    truth = open_truth(settings.truth, recording, roles.topics, segmenter.classes)
    prefix = f"{place + 1:03d}"
    start_ns = next((log_ns for _, log_ns, _ in recording.messages({topic.name for topic in recording.topics})), 0)
    judge = Judge(segmenter, truth, settings, start_ns=start_ns, prefix=prefix, folder=out)
    with ExitStack() as stack:
        bag = stack.enter_context(LabelBag(out / "labels" / prefix)) if settings.labels else None

        def heard(answer: Any, log_ns: int) -> None:
            judge.judge(answer, log_ns)
            if bag is not None:
                bag.add(answer.labels, log_ns)

        player = Player(recording, roles, config, segmenter, settings, heard)
        player.play(done)
    if judge.spent_ns:
        player.stages_ms["subsets"] = [spent / 1e6 for spent in judge.spent_ns]
    verdict = _verdict(recording, name, roles, player, judge, truth, judge.finish(), begun)
    return BagResult(verdict, judge.tally)


def _verdict(
    recording: Recording,
    name: str,
    roles: Roles,
    player: Player,
    judge: Judge,
    truth: Any,
    pictures: list[Picture],
    begun: float,
) -> BagVerdict:
    wall_s, duration_s = time.perf_counter() - begun, (player.end_ns - player.start_ns) / 1e9
    tally, modalities = judge.tally, [Modality(row.modality) for row in player.sensors()]
    notes = [*recording.notes, *roles.missing]
    if not player.outputs:
        notes.append("no output: see the problems and the sensors")
    if not isinstance(truth, NoTruth) and not judge.compared:
        notes.append("no output has truth close enough in time")
    spans = {stage: quantiles(values) for stage, values in sorted(player.stages_ms.items())}
    return BagVerdict(
        name=name,
        kind=recording.kind,
        start_ns=player.start_ns,
        duration_s=duration_s,
        whole=recording.whole,
        notes=notes,
        topics=topic_rows(recording, roles),
        sensors=player.sensors(),
        outputs=player.outputs,
        problems=player.problems(),
        faults=player.faults(),
        truth=Truth(kind=truth.kind, source=truth.source, compared=judge.compared, note=truth.note),
        scores=tally.scores(),
        conditions=tally.conditions(),
        subsets=tally.subsets(modalities),
        miss=tally.miss(modalities),
        indicators=tally.indicators(),
        frames=judge.rows,
        pictures=pictures,
        timing=Timing(
            stages_ms={stage: found for stage, found in spans.items() if found is not None},
            wall_s=wall_s,
            realtime=duration_s / wall_s if wall_s > 0 else 0.0,
        ),
    )


def _refused(name: str, why: str, segmenter: Segmenter, begun: float) -> BagResult:
    """The verdict on a recording that cannot be played."""
    verdict = BagVerdict(
        name=name,
        kind="unreadable",
        start_ns=0,
        duration_s=0.0,
        whole=False,
        notes=[why],
        topics=[],
        sensors=[],
        outputs=0,
        problems=[],
        faults=[],
        truth=Truth(kind="none", source="", compared=0),
        scores=None,
        conditions={},
        subsets=[],
        miss=None,
        indicators=Indicators(flicker=None, confidence=None, unlabelled=0.0),
        frames=[],
        pictures=[],
        timing=Timing(stages_ms={}, wall_s=time.perf_counter() - begun, realtime=0.0),
    )
    return BagResult(verdict, Tally(segmenter.classes))


def topic_rows(recording: Recording, roles: Roles) -> list[TopicUse]:
    """Say of every topic what was made of it."""
    return [
        TopicUse(
            topic=topic.name,
            type=topic.type,
            role=roles.role(topic.name) or ("tf" if roles.why.get(topic.name) == "transforms" else ""),
            messages=max(topic.messages, 0),
            why=roles.why.get(topic.name, ""),
        )
        for topic in recording.topics
    ]
