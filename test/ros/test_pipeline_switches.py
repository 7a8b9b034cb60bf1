# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The pipeline while sensors are switched and models exchanged: what serves, what is kept, and the order of outputs."""

import numpy as np
import pytest

from any2seg_core.config import PreprocessConfig
from any2seg_core.errors import ConfigError, FrameError
from any2seg_core.frames import DELIVER_CLASSES, LabelMap, Modality
from any2seg_ros import compat
from any2seg_ros.conversions import make
from any2seg_ros.pipeline import Pipeline

R, D, E, L = Modality.RGB, Modality.DEPTH, Modality.EVENT, Modality.LIDAR
START = 1_700_000_000_000_000_000
PERIOD = 50_000_000


class Model:
    """Knows some sensors, and labels everything 0."""

    classes = DELIVER_CLASSES

    def __init__(self, *modalities, event_window_s=0.05):
        self.modalities = modalities
        self.preprocess = PreprocessConfig(event_window_s=event_window_s)

    def segment(self, frames):
        anchor, labels = frames.frames[frames.anchor], np.zeros(frames.output_size, np.uint8)
        used = tuple(modality for modality in frames.present if modality in self.modalities)
        return LabelMap(
            labels, labels.astype(np.float32), anchor.stamp_ns, anchor.frame_id, frames.anchor, used, frames.absent,
            self.classes,
        )  # fmt: skip

    def unusable(self, _frames):
        return {}


@pytest.fixture
def pipeline(pipeline_config):
    config, camera_info = pipeline_config
    made = Pipeline(config, Model(R, D, E, L), lookup=lambda *_: None, report=lambda *_: None)
    for modality in (R, D, E):
        made.see_camera_info(modality, make(camera_info, compat.message_class))
    return made


@pytest.fixture
def matches(pipeline, sensor_message):
    """Gives the matches of moments in which sensors send."""

    def drive(*sensors, steps=range(6)):
        found = []
        for step in steps:
            for modality in sensors:
                arrival_ns = (step + 1) * PERIOD
                found += pipeline.take(modality, sensor_message(modality, START + step * PERIOD), arrival_ns)
        return found

    return drive


def test_a_match_made_before_its_sensor_was_switched_off_is_answered_without_it(pipeline, matches):
    earlier, last = matches(D, L, R)[-2:]
    assert pipeline.answer(earlier).labels.used == (R, D, L)
    pipeline.enable(L, enabled=False)
    answer = pipeline.answer(last)
    assert (answer.labels.used, answer.scan, answer.disabled) == ((R, D), None, {L})
    assert L in answer.labels.absent
    # Its successors open sets at once when the anchor goes, and find it back when it is on again.
    pipeline.enable(R, enabled=False)
    found = [pipeline.answer(match).labels for match in matches(D, L, R, steps=range(6, 10))]
    assert [(labels.anchor, labels.used) for labels in found] == [(D, (D,))] * 4
    pipeline.enable(R, enabled=True)
    found = [pipeline.answer(match).labels for match in matches(D, L, R, steps=range(10, 14))]
    assert (found[-1].anchor, found[-1].used) == (R, (R, D))


def test_of_a_match_whose_anchor_was_switched_off_the_next_one_answers(pipeline, matches):
    last = matches(D, R)[-1]
    pipeline.enable(R, enabled=False)
    assert pipeline.answer(last).labels.anchor is D


def test_the_last_sensor_that_may_be_the_anchor_stays_on(pipeline):
    with pytest.raises(ConfigError, match="nir is not in use, expected one of rgb, depth, event, lidar"):
        pipeline.enable(Modality.NIR, enabled=False)
    for modality in (R, E, L):
        pipeline.enable(modality, enabled=False)
    with pytest.raises(ConfigError, match="depth is the last sensor"):
        pipeline.enable(D, enabled=False)
    pipeline.enable(L, enabled=True)
    pipeline.enable(D, enabled=False)
    assert pipeline.anchors == [L]


def test_a_model_that_takes_the_same_sensors_keeps_the_frames_held(pipeline, matches):
    matches(D, L, R)
    intake = pipeline.intake
    pipeline.adopt(Model(L, E, D, R))
    assert pipeline.intake is intake
    # A match of before is answered by the new model.
    assert pipeline.answer(matches(D, L, R, steps=[6])[-1]).labels.used == (R, D, L)


@pytest.mark.parametrize("model", [Model(R, D), Model(R, D, E, L, event_window_s=0.03)])
def test_a_model_that_takes_others_or_other_windows_meets_the_sensors_anew(pipeline, matches, model):
    pipeline.enable(D, enabled=False)
    pipeline.answer(matches(R, D)[-1])
    pipeline.adopt(model)
    assert pipeline.intake.states(0)[R].received == 0
    assert pipeline.modalities == model.modalities
    found = [pipeline.answer(match) for match in matches(R, D, steps=range(6, 9))]
    assert {answer.labels.used for answer in found} == {(R,)}, "what was off is off"


def test_outputs_never_go_back_though_the_new_models_sensor_is_slower(pipeline, matches):
    assert pipeline.answer(matches(R)[-1]).labels.stamp_ns == START + 5 * PERIOD
    pipeline.adopt(Model(D))
    old, new = matches(D, steps=[4, 6])
    with pytest.raises(FrameError, match="answered already"):
        pipeline.answer(old)
    assert pipeline.answer(new).labels.stamp_ns == START + 6 * PERIOD


def test_a_model_that_knows_none_of_the_sensors_that_are_on_changes_nothing(pipeline, matches):
    pipeline.enable(D, enabled=False)
    for model in (Model(Modality.NIR), Model(D)):
        with pytest.raises(ConfigError, match="expected at least one in common"):
            pipeline.adopt(model)
    assert pipeline.modalities == (R, D, E, L)
    assert pipeline.answer(matches(R)[-1]).labels.used == (R,)


def test_an_answer_tells_its_stages_and_the_scan_as_measured(pipeline, matches):
    answer = pipeline.answer(matches(D, L, R)[-1])
    assert set(answer.stages_ns) == {"prepare", "model"}
    assert min(answer.stages_ns.values()) > 0
    assert (answer.scan.modality, answer.scan.frame_id, len(answer.scan.data)) == (L, "lidar", 500)
    assert pipeline.answer(matches(R, steps=[20])[-1]).scan is None
