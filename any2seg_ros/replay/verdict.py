# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What a replay found out: the schema of report.json.

Everything but what stands under `timing` and `run` depends on the recordings, the model and the settings alone.
Names of topics, frames and classes come from recordings: whoever shows them has to escape them.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Quantiles(_Part):
    """Spread of a measured quantity, in the unit that its field's name ends in."""

    count: int
    p50: float
    p95: float
    max: float


class ClassInfo(_Part):
    """A class of the model."""

    id: int
    name: str
    color: tuple[int, int, int]


class ModelInfo(_Part):
    """The model that was judged."""

    name: str
    weights_sha256: str = Field(description="of the weights file; empty for an untrained model")
    modalities: list[str]
    classes: list[ClassInfo]
    short_side_px: int


class TopicUse(_Part):
    """A topic of a recording and what was made of it."""

    topic: str
    type: str
    role: str = Field(description="rgb, depth, event, lidar, a camera info, tf, truth, or empty where unused")
    messages: int
    why: str = Field(description="why it was chosen, or why not")


class Problem(_Part):
    """Something that went wrong, counted."""

    source: str
    kind: str
    count: int
    message: str = Field(description="the last one of its kind")


class SensorUse(_Part):
    """What a sensor delivered and how much of it was used."""

    modality: str
    received: int
    refused: int = Field(description="messages that could not be read")
    used: int = Field(description="outputs that this sensor took part in")
    rate_hz: float | None
    age_ms: Quantiles | None = Field(description="how much older than the anchor's stamp, over outputs that used it")
    absent: dict[str, int] = Field(description="outputs without it, by reason")


class FaultUse(_Part):
    """A scripted fault and what it did."""

    text: str
    name: str = Field("", description="sensor and kind")
    seen: int
    changed: int
    lost: int
    spans_s: list[tuple[float, float]] = Field([], description="starts and ends, since the recording's start")


class ClassScore(_Part):
    """Scores of a class in [0, 1]; None where neither truth nor prediction has it."""

    id: int
    name: str
    iou: float | None
    f1: float | None
    acc: float | None
    pixels: int


class Scores(_Part):
    """Agreement with the truth. `present` leaves absent classes out, `zero` counts them as 0."""

    frames: int
    miou: dict[Literal["present", "zero"], float]
    f1: dict[Literal["present", "zero"], float]
    acc: dict[Literal["present", "zero"], float]
    pixel_acc: float
    classes: list[ClassScore]
    confusion: list[list[int]] = Field(description="rows truth, columns prediction, by class id")


class SubsetRow(_Part):
    """The model with some of the sensors only."""

    modalities: list[str]
    frames: int
    miou: float | None = Field(description="over present classes; None without truth")
    agreement: float = Field(description="share of pixels labelled as with all living sensors; not accuracy")


class Indicators(_Part):
    """What can be said without truth; none of it is accuracy."""

    flicker: float | None = Field(description="share of pixels whose label changes from one output to the next")
    confidence: Quantiles | None = Field(description="of the outputs' mean confidence, in [0, 1]")
    unlabelled: float = Field(description="share of pixels with no label")


class FrameRow(_Part):
    """One output."""

    t_s: float = Field(description="since the recording's start")
    stamp_ns: int
    anchor: str
    used: list[str]
    condition: str = ""
    miou: float | None = Field(default=None, description="over classes present in this frame's truth or prediction")
    confidence: float
    changed: float | None = Field(default=None, description="share of pixels labelled otherwise than one output before")


class Picture(_Part):
    """A picture of one output, beside the report."""

    t_s: float
    stamp_ns: int
    why: str
    miou: float | None
    used: list[str]
    file: str = Field(description="relative to the report; made by us, never from a recording's strings")


class Truth(_Part):
    """What the outputs were compared with."""

    kind: Literal["none", "topic", "folder", "points"]
    source: str
    compared: int
    note: str = ""


class Timing(_Part):
    """How long it took; differs from run to run."""

    stages_ms: dict[str, Quantiles]
    wall_s: float
    realtime: float = Field(description="seconds of recording per second of work")


class BagVerdict(_Part):
    """What one recording gave."""

    name: str
    kind: str = Field(description="rosbag2 sqlite3, rosbag2 mcap, ROS 1")
    start_ns: int
    duration_s: float
    whole: bool = Field(description="False where the file was cut or damaged")
    notes: list[str] = Field(description="what is missing or damaged, and what to pass")
    topics: list[TopicUse]
    sensors: list[SensorUse]
    outputs: int
    problems: list[Problem]
    faults: list[FaultUse]
    truth: Truth
    scores: Scores | None
    conditions: dict[str, Scores]
    subsets: list[SubsetRow]
    miss: float | None = Field(description="mean mIoU over all subsets, present classes; None without truth or subsets")
    indicators: Indicators
    frames: list[FrameRow]
    pictures: list[Picture]
    timing: Timing


class Verdict(_Part):
    """report.json: a model judged on recordings."""

    format: Literal[1] = 1
    model: ModelInfo
    settings: dict[str, str] = Field(description="what the replay was told, by name")
    bags: list[BagVerdict]
    scores: Scores | None = Field(description="over all recordings with truth")
    conditions: dict[str, Scores]
    subsets: list[SubsetRow]
    miss: float | None
    indicators: Indicators
    run: dict[str, str] = Field(description="version, machine and time of the run; differs from run to run")
