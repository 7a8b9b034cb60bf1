# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Messages in, label maps out: the whole chain without ROS around it, for the live node and for replay alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from any2seg_core.errors import Any2SegError, ConfigError
from any2seg_core.frames import Modality, in_canonical_order
from any2seg_core.synchronizer import frame_set
from any2seg_ros.calibration import Calibration
from any2seg_ros.conversions import camera_model
from any2seg_ros.diagnostics import Health
from any2seg_ros.intake import Intake

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from any2seg_core.config import NodeConfig, PreprocessConfig
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


@dataclass(frozen=True, eq=False)
class Answer:
    """A label map and the frame set that it was made from."""

    labels: LabelMap
    frames: FrameSet


class Pipeline:
    """Intake, calibration and model in a row, with counts of everything that went wrong on the way.

    take, see_camera_info and poll belong to one caller at a time; answer may run beside them on another thread.

    Args:
        config: everything but the model.
        segmenter: the model.
        lookup: asks for transforms.
        report: called with (source, kind, message) for every problem, after it was counted.

    Raises:
        ConfigError: the model knows none of the configured modalities.
    """

    def __init__(
        self,
        config: NodeConfig,
        segmenter: SegmenterLike,
        *,
        lookup: TransformLookup,
        report: Callable[[str, str, str], None],
    ) -> None:
        configured = [Modality(name) for name in config.modalities]
        self.modalities = in_canonical_order(set(configured) & set(segmenter.modalities))
        self._anchors: Sequence[Modality] = [
            modality for modality in map(Modality, config.sync.anchors) if modality in self.modalities
        ]
        if not self._anchors:
            msg = (
                f"modalities {config.modalities} with anchors {config.sync.anchors}: the checkpoint knows "
                f"{[modality.value for modality in segmenter.modalities]}, expected at least one in common; "
                "configure sensors that the model was trained with"
            )
            raise ConfigError(msg)
        self.health = Health()
        self._tell = report
        self._segmenter = segmenter
        window_s = segmenter.preprocess.event_window_s
        self.intake = Intake(config, self.modalities, event_window_s=window_s, report=self.report)
        self._calibration = Calibration(config.view, config.lidar, lookup)

    def take(self, modality: Modality, message: Any, arrival_ns: int) -> list[Match[Modality, SensorFrame]]:
        """Take a sensor's message; give the matches it completes."""
        return self.intake.add(modality, message, arrival_ns)

    def see_camera_info(self, modality: Modality, message: Any) -> None:
        """Take a camera's intrinsics; unusable ones are reported and leave the last good ones in force."""
        try:
            self._calibration.see_camera(modality, camera_model(message))
        except Any2SegError as error:
            self.report(modality.value, "camera info refused", str(error))

    def answer(self, match: Match[Modality, SensorFrame]) -> Answer:
        """Run the model on a match.

        Raises:
            Any2SegError: nothing of the match can be used, or the model failed.
        """
        frames, problems = self._calibration.complete(frame_set(match), self._anchors)
        for problem in problems:
            self.report(Modality.LIDAR.value, "calibration", str(problem))
        self._check_registration(frames)
        return Answer(self._segmenter.segment(frames), frames)

    def report(self, source: str, kind: str, message: str) -> None:
        """Count a problem and pass it on."""
        self.health.count_problem(source, kind, message)
        self._tell(source, kind, message)

    def _check_registration(self, frames: FrameSet) -> None:
        """Say when depth is fused pixel by pixel with a camera that looks another way."""
        rgb, depth = (frames.frames.get(modality) for modality in (Modality.RGB, Modality.DEPTH))
        if rgb is not None and depth is not None and rgb.frame_id != depth.frame_id:
            text = (
                f"depth is in frame {depth.frame_id!r}, the camera in {rgb.frame_id!r}: pixels do not match; "
                "publish depth registered to the camera (aligned_depth_to_color, depth_registered)"
            )
            self.report(Modality.DEPTH.value, "not registered", text)
