# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Messages in, label maps out: the whole chain without ROS around it, for the live node and for replay alike."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from any2seg_core.errors import CalibrationError, ConfigError, FrameError
from any2seg_core.frames import UNLABELLED, Absence, CameraModel, Events, Modality, Points
from any2seg_core.projection.lidar import visible_points
from any2seg_core.projection.registration import register_depth
from any2seg_core.synchronizer import frame_set
from any2seg_ros.agreement import agreed
from any2seg_ros.alignment import DepthAlignment
from any2seg_ros.calibration import Calibration, leave_out
from any2seg_ros.conversions import camera_model, decode_rvl
from any2seg_ros.diagnostics import Health, describe_problem
from any2seg_ros.intake import Intake
from any2seg_ros.motion import MotionCompensation
from any2seg_ros.overlay import picture

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from any2seg_core.config import NodeConfig, PreprocessConfig
    from any2seg_core.errors import Any2SegError
    from any2seg_core.frames import ClassTable, FrameSet, LabelMap, SensorFrame
    from any2seg_core.synchronizer import Match
    from any2seg_ros.calibration import TransformLookup


class SegmenterLike(Protocol):
    """What the pipeline needs of any2seg_core.inference.Segmenter, without importing torch for it."""

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """Modalities that the model knows."""

    @property
    def preprocess(self) -> PreprocessConfig:
        """How the model's input is made."""

    @property
    def classes(self) -> ClassTable:
        """Meaning of its labels."""

    def segment(self, frame_set: FrameSet) -> LabelMap:
        """Label a frame set."""

    def warm_up(self, height: int, width: int) -> None:
        """Do once what the first frame would otherwise wait for."""

    def unusable(self, frame_set: FrameSet) -> Mapping[Modality, Any2SegError]:
        """Tell which frames segment refuses, and why."""


@dataclass(frozen=True, eq=False)
class Answer:
    """A label map and what it was made from.

    Attributes:
        labels: the label map.
        frames: the frame set as the model saw it.
        scan: the LiDAR's frame as measured, where frames hold it as it is seen from the anchor's moment.
        disabled: sensors that were switched off.
        stages_ns: time that each stage took, nanoseconds: "prepare" from match to model input, "model" from there.
    """

    labels: LabelMap
    frames: FrameSet
    scan: SensorFrame | None = None
    disabled: frozenset[Modality] = frozenset()
    stages_ns: Mapping[str, int] = field(default_factory=dict)

    @property
    def ages_ns(self) -> dict[Modality, int]:
        """How much older than the anchor's stamp each sensor's newest measurement is; below 0 for newer ones."""
        frames = self.frames.frames
        return {modality: self.labels.stamp_ns - frames[modality].end_ns for modality in self.labels.used}

    @property
    def camera(self) -> CameraModel | None:
        """The camera whose image the labels are, under the frame_id of their header where that is its own."""
        view = self.frames.view
        if view is None or (view.height, view.width) != self.labels.labels.shape:
            return None
        imaged = self.frames.frames[self.frames.anchor].size is not None
        return replace(view, frame_id=self.labels.frame_id) if imaged else view

    def above(self, floor: float) -> Answer:
        """Take the label from every pixel whose confidence is below a floor."""
        if floor <= 0:
            return self
        labels = np.where(self.labels.confidence < floor, np.uint8(UNLABELLED), self.labels.labels)
        return replace(self, labels=replace(self.labels, labels=labels))


class Pipeline:
    """Intake, calibration and model in a row, with counts of everything that went wrong on the way.

    take, see_camera_info and poll belong to one caller at a time; answer may run beside them on another thread.

    Args:
        config: everything but the model.
        segmenter: the model.
        lookup: asks for transforms.
        motion: asks for transforms at a stamp exactly, which motion compensation needs; lookup where not given.
        report: called with (source, kind, message) for every problem, after it was counted.

    Raises:
        ConfigError: the model knows none of the configured modalities, or lidar.extrinsic is no transform.
    """

    def __init__(
        self,
        config: NodeConfig,
        segmenter: SegmenterLike,
        *,
        lookup: TransformLookup,
        motion: TransformLookup | None = None,
        report: Callable[[str, str, str], None],
    ) -> None:
        self.modalities = agreed(config, segmenter.modalities)
        self.disabled: frozenset[Modality] = frozenset()
        self.health = Health()
        self._config = config
        self._tell = report
        self._segmenter = segmenter
        self.intake = self._new_intake()
        self._calibration = Calibration(config.view, config.lidar, lookup)
        self._alignment = DepthAlignment(config.depth, self._calibration, lookup)
        self._motion = MotionCompensation(config.lidar.fixed_frame, motion or lookup)
        self._compensates = bool(config.lidar.fixed_frame) and Modality.LIDAR in self.modalities
        self._answered_ns = -1
        self._answered_by: Modality | None = None
        self._jump_ns = round(config.sync.jump_threshold_s * 1e9)

    def warm_up(self, height: int, width: int) -> None:
        """Compile everything now: otherwise the first overlay over events would, just when the camera has died."""
        self._segmenter.warm_up(height, width)
        nowhere, corner = np.eye(4), np.zeros(1, np.uint16)
        point = Points(np.array([[0, 0, 1]], np.float32), np.ones(1, np.float32))
        camera = CameraModel(1, 1, np.eye(3))
        visible_points(point, nowhere, camera)
        register_depth(np.ones((1, 1), np.float32), camera, nowhere, camera)
        decode_rvl(np.array([1, 1, 1 << 28], "<u4").view(np.uint8))
        picture(Events(corner, corner, np.ones(1, np.uint8), np.ones(1, np.int64), 1, 1))

    @property
    def anchors(self) -> list[Modality]:
        """Sensors in use that may be the anchor, most preferred first."""
        usable = set(self.modalities) - self.disabled
        return [modality for modality in map(Modality, self._config.sync.anchors) if modality in usable]

    def enable(self, modality: Modality, *, enabled: bool) -> None:
        """Switch a sensor on or off: from now on its frames serve no output.

        Raises:
            ConfigError: it is none of the sensors in use, or none that may be the anchor would be left.
        """
        if modality not in self.modalities:
            known = ", ".join(known.value for known in self.modalities)
            msg = f"{modality.value} is not in use, expected one of {known}; see modalities and the checkpoint"
            raise ConfigError(msg)
        if not enabled and self.anchors == [modality]:
            msg = (
                f"{modality.value} is the last sensor that outputs can be made of, expected another one to be on; "
                "enable one first, or deactivate the node"
            )
            raise ConfigError(msg)
        self.disabled = self.disabled - {modality} if enabled else self.disabled | {modality}
        self.intake.enable(modality, enabled=enabled)

    def adopt(self, segmenter: SegmenterLike) -> None:
        """Go on with another model; nothing may be answered meanwhile.

        What is known of cameras, counts and switches stays. Frames held stay too, unless the new model takes other
        sensors or another event window; then the sensors are met anew.

        Raises:
            ConfigError: it knows no sensor that is configured and on; the model before stays.
        """
        modalities = agreed(self._config, segmenter.modalities, self.disabled)
        before = self.modalities, self._segmenter.preprocess.event_window_s
        self.modalities, self._segmenter = modalities, segmenter
        if before != (modalities, segmenter.preprocess.event_window_s):
            self.intake = self._new_intake()
            for modality in self.disabled.intersection(modalities):
                self.intake.enable(modality, enabled=False)

    def take(self, modality: Modality, message: Any, arrival_ns: int) -> list[Match[Modality, SensorFrame]]:
        """Take a sensor's message; give the matches it completes."""
        return self.intake.add(modality, message, arrival_ns)

    def see_camera_info(self, modality: Modality, message: Any) -> None:
        """Take a camera's intrinsics; unusable ones are reported and leave the last good ones in force."""
        try:
            self._calibration.see_camera(modality, camera_model(message))
        except Exception as error:  # noqa: BLE001  # whatever a message holds, the node lives on and reports it
            self.fail(modality.value, "camera info refused", error)

    def answer(self, match: Match[Modality, SensorFrame]) -> Answer:
        """Run the model on a match; a sensor whose frame cannot be used is reported and left out.

        Raises:
            Any2SegError: nothing of the match can be used, or the model failed.
        """
        begun_ns = time.monotonic_ns()
        taken = self._without_disabled(frame_set(self._of_one_size(match)))
        frames = self._complete(taken)
        self._check_order(match, frames)
        ready_ns = time.monotonic_ns()
        try:
            labels = self._segmenter.segment(frames)
        except (FrameError, CalibrationError):
            broken = self._segmenter.unusable(frames)
            if not broken:
                raise
            for modality, error in broken.items():
                self.report(modality.value, "unusable", str(error))
            # From the frames as taken: what was done to them for one anchor does not serve another.
            frames = self._complete(leave_out(taken, dict.fromkeys(broken, Absence.REJECTED), self.anchors))
            self._check_order(match, frames)
            labels = self._segmenter.segment(frames)
        self._answered_ns, self._answered_by = labels.stamp_ns, labels.anchor
        # The segmenter makes its input, but that is done before the model.
        drawn_ns = getattr(self._segmenter, "prepare_ns", 0)
        stages_ns = {"prepare": ready_ns - begun_ns + drawn_ns, "model": time.monotonic_ns() - ready_ns - drawn_ns}
        return Answer(labels, frames, taken.frames.get(Modality.LIDAR), self.disabled, stages_ns)

    def notes(self) -> dict[Modality, dict[str, object]]:
        """What was done to the sensors' data, and what had to be left out of it, counted."""
        notes = self.intake.notes()
        if self._compensates:
            notes[Modality.LIDAR] = {**notes.get(Modality.LIDAR, {}), **vars(self._motion.counts)}
        return notes

    def report(self, source: str, kind: str, message: str) -> None:
        """Count a problem and pass it on."""
        self.health.count_problem(source, kind, message)
        self._tell(source, kind, message)

    def fail(self, source: str, foreseen: str, error: Exception) -> None:
        """Report an error under a kind that tells the foreseen from the unexpected."""
        self.report(source, *describe_problem(error, foreseen))

    def _new_intake(self) -> Intake:
        window_s = self._segmenter.preprocess.event_window_s
        return Intake(self._config, self.modalities, event_window_s=window_s, report=self.report)

    def _without_disabled(self, frames: FrameSet) -> FrameSet:
        """Leave out what was switched off after the match was made."""
        gone = self.disabled.intersection(frames.frames)
        return leave_out(frames, dict.fromkeys(gone, Absence.ABSENT), self.anchors) if gone else frames

    def _complete(self, frames: FrameSet) -> FrameSet:
        frames, problem = self._alignment.measured(frames, self.anchors)
        if problem is not None:
            self.report(Modality.DEPTH.value, "calibration", str(problem))
        frames, problem = self._motion.compensated(frames)
        if problem is not None:
            self.report(Modality.LIDAR.value, "not compensated", str(problem))
        frames, problems = self._calibration.complete(frames, self.anchors)
        for problem in problems:
            self.report(Modality.LIDAR.value, "calibration", str(problem))
        frames, problem = self._alignment.registered(frames, self.anchors)
        if problem is not None:
            self.report(Modality.DEPTH.value, "not registered", str(problem))
        return frames

    def _of_one_size(self, match: Match[Modality, SensorFrame]) -> Match[Modality, SensorFrame]:
        """Keep only the event packets of the newest one's sensor size, as after the sensor's size changed."""
        packets = match.items.get(Modality.EVENT, [])
        kept = [packet for packet in packets if packet.size == packets[-1].size]
        if len(kept) == len(packets):
            return match
        text = f"sensor size changed to {packets[-1].size} (height, width): {len(packets) - len(kept)} packets left out"
        self.report(Modality.EVENT.value, "size changed", text)
        return replace(match, items={**match.items, Modality.EVENT: kept})

    def _check_order(self, match: Match[Modality, SensorFrame], frames: FrameSet) -> None:
        """Refuse a moment that was answered already: a stand-in for the anchor may be a frame held from before."""
        stamp_ns = frames.frames[frames.anchor].stamp_ns
        same = frames.anchor is match.anchor is self._answered_by
        if not same and 0 <= self._answered_ns - stamp_ns <= self._jump_ns:
            msg = (
                f"{match.anchor.value} cannot be used and the frame of {frames.anchor.value} was answered already; "
                "see the problems of these sensors"
            )
            raise FrameError(msg)
