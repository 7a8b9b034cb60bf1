# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Any sequence of messages of the right types through the whole chain but the network: every problem is one of ours,
counted under a name, and whoever is sound is answered.
"""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from any2seg_core.config import NodeConfig, PreprocessConfig, nest
from any2seg_core.errors import Any2SegError, FrameError
from any2seg_core.frames import DELIVER_CLASSES, LabelMap, Modality
from any2seg_core.preprocess import Preprocessor
from any2seg_ros.conversions import stamp_ns, transform_matrix
from any2seg_ros.pipeline import Pipeline

MESSAGES = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("fuzz_messages.py"))))
ALL = (Modality.RGB, Modality.DEPTH, Modality.EVENT, Modality.LIDAR)
SETTINGS = {
    "event.message": "point_cloud",
    "event.width_px": 8,
    "event.height_px": 6,
    "lidar.fixed_frame": "odom",
    "sync.max_wait_s": 0.0,
}
OF_SENSOR = {
    Modality.RGB: ("image", "image bayer", "compressed"),
    Modality.DEPTH: ("depth", "depth metres", "compressed depth", "compressedDepth rvl"),
    Modality.EVENT: ("events cloud", "events rendered", "events evt3", "events mono", "events array"),
    Modality.LIDAR: ("cloud",),
}
STEP_NS = 50_000_000


class Drawing:
    """A model without weights: it prepares every frame as the real one does, and sees nothing in it."""

    def __init__(self):
        self.modalities, self.classes = ALL, DELIVER_CLASSES
        self.preprocess = PreprocessConfig(short_side_px=32)
        self._preprocessor = Preprocessor(self.preprocess, ALL)

    def segment(self, frames):
        if not np.isfinite(self._preprocessor(frames).pixels.numpy()).all():
            raise FrameError("not finite")
        anchor, labels = frames.frames[frames.anchor], np.zeros(frames.output_size, np.uint8)
        return LabelMap(
            labels, labels.astype(np.float32), anchor.stamp_ns, anchor.frame_id, frames.anchor, frames.present,
            frames.absent, self.classes,
        )  # fmt: skip

    def unusable(self, frames):
        return self._preprocessor.unusable(frames)


class Chain:
    """A pipeline, its problems, and a TF that gives whatever transforms the test draws."""

    def __init__(self, transforms):
        self.problems, self.answers, self.now_ns = [], [], 0
        self._transforms = transforms
        config = NodeConfig.from_mapping(nest(SETTINGS))
        report = lambda *problem: self.problems.append(problem)  # noqa: E731
        self.pipeline = Pipeline(config, Drawing(), lookup=self._look_up, report=report)

    def _look_up(self, *_):
        found = next(self._transforms)
        return None if found is None else transform_matrix(found)

    def take(self, modality, message):
        self.now_ns += STEP_NS
        self._answer(self.pipeline.take(modality, message, self.now_ns))

    def end(self):
        self.now_ns += 10**9
        self._answer(self.pipeline.intake.poll(self.now_ns))

    def _answer(self, matches):
        for match in matches:
            self._answer_one(match)

    def _answer_one(self, match):
        try:
            self.answers.append(self.pipeline.answer(match))
        except Any2SegError as error:
            self.pipeline.fail("inference", "no answer", error)


def small(message):
    """Sizes that a message need not hold in bytes, within what a sensor may have."""
    for name in ("width", "height"):
        if hasattr(message, "events") or hasattr(message, "distortion_model"):
            setattr(message, name, getattr(message, name) % 65)
    return message


def moved(message, stamp):
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
    return message


def transforms(data):
    while True:
        yield MESSAGES.drawn(data, "transform", everything=False) if data.draw(st.booleans()) else None


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_no_sequence_of_messages_gives_anything_but_answers_and_problems_with_a_name(data):
    chain = Chain(transforms(data))
    stamp = MESSAGES.STAMP * 10**9
    for _ in range(data.draw(st.integers(1, 8))):
        modality = data.draw(st.sampled_from(ALL))
        if data.draw(st.integers(0, 3)) == 0 and modality is not Modality.LIDAR:
            info = MESSAGES.drawn(data, "camera info", everything=data.draw(st.booleans()))
            chain.pipeline.see_camera_info(modality, small(info))
        message = small(MESSAGES.drawn(data, data.draw(st.sampled_from(OF_SENSOR[modality])), everything=False))
        stamp += data.draw(st.sampled_from([STEP_NS, 0, -STEP_NS, -(10**10), 3600 * 10**9]))
        chain.take(modality, moved(message, stamp) if data.draw(st.booleans()) else message)
    chain.end()
    assert [kind for _, kind, _ in chain.problems if kind.startswith("unexpected")] == [], chain.problems
    for answer in chain.answers:
        assert answer.labels.labels.shape == answer.frames.output_size
        assert answer.labels.used


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_a_sound_camera_is_answered_whatever_the_others_send(data):
    """Of stamps, the others' may be anything but set back, which clears what the camera sent just before."""
    chain = Chain(transforms(data))
    wanted = []
    for step in range(1, 5):
        stamp = MESSAGES.STAMP * 10**9 + step * STEP_NS
        for modality in (Modality.DEPTH, Modality.EVENT, Modality.LIDAR):
            if data.draw(st.booleans()):
                case = data.draw(st.sampled_from(OF_SENSOR[modality]))
                chain.take(modality, moved(small(MESSAGES.drawn(data, case, everything=False)), stamp))
        image = moved(MESSAGES.CASES["image"][0](), stamp)
        chain.take(Modality.RGB, image)
        wanted.append(stamp_ns(image.header))
    chain.end()
    answered = [answer.labels.stamp_ns for answer in chain.answers if Modality.RGB in answer.labels.used]
    assert set(wanted) <= set(answered), (chain.problems, answered)
