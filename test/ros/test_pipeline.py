# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Messages in, answers out, without DDS: rosbags' messages and a model that the test can make fail."""

import cv2
import numpy as np
import pytest
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from any2seg_core.config import ModelConfig, NodeConfig, PreprocessConfig, nest
from any2seg_core.errors import CalibrationError, ConfigError, FrameError
from any2seg_core.frames import DELIVER_CLASSES, Absence, CameraModel, Events, LabelMap, Modality, Points
from any2seg_ros.conversions import (
    Fields,
    camera_info_fields,
    cloud_fields,
    columns_fields,
    header_fields,
    image_fields,
    make,
)
from any2seg_ros.event_codecs import EVENT_PACKET_DEFINITION, EVENT_PACKET_TYPE, event_packet_fields
from any2seg_ros.pipeline import Pipeline

START = 1_700_000_000_000_000_000
PERIOD = 50_000_000
HEIGHT, WIDTH = 48, 64
RGB, DEPTH, EVENT, LIDAR = Modality.RGB, Modality.DEPTH, Modality.EVENT, Modality.LIDAR
SETTINGS = {
    "event.message": "point_cloud",
    "event.width_px": WIDTH,
    "event.height_px": HEIGHT,
    "event.cloud_time_unit": "ns",
    "lidar.extrinsic": [0.0, 0.0, 0.0, 0.5, -0.5, 0.5, 0.5],
}


def typestore():
    store = get_typestore(Stores.LATEST)
    store.register(get_types_from_msg(EVENT_PACKET_DEFINITION, EVENT_PACKET_TYPE))
    return store


STORE = typestore()


class FakeModel:
    """Refuses what the test says it does; remembers what it was asked."""

    def __init__(self, modalities=(RGB, DEPTH, EVENT, LIDAR)):
        self.modalities = modalities
        self.preprocess = PreprocessConfig()
        self.classes = DELIVER_CLASSES
        self.refuses = {}
        self.asked = []

    def segment(self, frames):
        self.asked.append(frames)
        for modality in frames.present:
            if modality in self.refuses:
                raise self.refuses[modality]
        anchor = frames.frames[frames.anchor]
        labels = np.zeros(frames.output_size, np.uint8)
        return LabelMap(
            labels, labels.astype(np.float32), anchor.stamp_ns, anchor.frame_id, frames.anchor, frames.present,
            frames.absent, self.classes,
        )  # fmt: skip

    def unusable(self, frames):
        return {modality: self.refuses[modality] for modality in frames.present if modality in self.refuses}


class Rig:
    """A pipeline and the messages of a robot around it."""

    def __init__(self, model=None, lookup=lambda *_: None, motion=None, **settings):
        values = {**SETTINGS, **{key.replace("__", "."): value for key, value in settings.items()}}
        self.problems = []
        self.model = model or FakeModel()
        self.now_ns = 0
        self.pipeline = Pipeline(
            NodeConfig.from_mapping(nest(values)),
            self.model,
            lookup=lookup,
            motion=motion,
            report=lambda *problem: self.problems.append(problem),
        )

    def see_cameras(self, *modalities, model=None):
        k = np.array([[50.0, 0, WIDTH / 2 - 0.5], [0, 50.0, HEIGHT / 2 - 0.5], [0, 0, 1]])
        model = model or CameraModel(WIDTH, HEIGHT, k, frame_id="camera")
        for modality in modalities:
            message = made(camera_info_fields(model, stamp_ns=START, frame_id="camera"))
            self.pipeline.see_camera_info(modality, message)

    def take(self, *modalities, step, **changed):
        """Give each sensor's message of a step, the anchor's last; returns the matches of the whole moment."""
        matches = []
        for modality in reversed(modalities):
            self.now_ns += 1_000_000
            fields = changed.get(modality.value, message(modality, START + step * PERIOD))
            matches += self.pipeline.take(modality, fields, self.now_ns)
        self.now_ns += PERIOD - 1_000_000 * len(modalities)
        return matches + self.pipeline.intake.poll(self.now_ns)

    def answers(self, *modalities, steps=range(3), **changed):
        return [self.pipeline.answer(match) for step in steps for match in self.take(*modalities, step=step, **changed)]

    def kinds(self):
        return {(source, kind) for source, kind, _ in self.problems}


def made(fields):
    return make(fields, STORE.types.__getitem__)


def message(modality, stamp_ns, frame_id=None, size=(HEIGHT, WIDTH)):
    frame_id = frame_id or ("lidar" if modality is LIDAR else "camera")
    header = {"stamp_ns": stamp_ns, "frame_id": frame_id}
    if modality is RGB:
        return made(image_fields(np.zeros((*size, 3), np.uint8), "rgb8", **header))
    if modality is DEPTH:
        return made(image_fields(np.full(size, 5.0, np.float32), "32FC1", **header))
    if modality is LIDAR:
        return made(cloud_fields(Points(np.tile(np.float32([4, 0, 0]), (9, 1)), np.ones(9, np.float32)), **header))
    columns = {"x": np.arange(4, dtype=np.uint16), "y": np.arange(4, dtype=np.uint16)}
    columns |= {"t": np.arange(4, dtype=np.uint32), "p": np.ones(4, np.uint8)}
    return made(columns_fields(columns, **header))


def test_a_whole_rig_is_answered_without_a_complaint():
    rig = Rig()
    rig.see_cameras(RGB)
    answers = rig.answers(RGB, DEPTH, EVENT, LIDAR)
    assert rig.problems == []
    assert {answer.labels.used for answer in answers[1:]} == {(RGB, DEPTH, EVENT, LIDAR)}
    assert [answer.labels.stamp_ns for answer in answers] == [START + step * PERIOD for step in range(3)]
    assert answers[-1].frames.view.width == WIDTH


@pytest.mark.parametrize("broken", [RGB, DEPTH, EVENT, LIDAR])
def test_a_frame_that_the_model_refuses_is_left_out_and_the_others_answer(broken):
    rig = Rig()
    rig.see_cameras(RGB, DEPTH, EVENT)
    rig.model.refuses[broken] = FrameError(f"{broken.value} is scrambled")
    (*_, answer) = rig.answers(RGB, DEPTH, EVENT, LIDAR)
    others = tuple(modality for modality in (RGB, DEPTH, EVENT, LIDAR) if modality is not broken)
    assert answer.labels.used == others
    assert answer.labels.absent[broken] is Absence.REJECTED
    assert answer.labels.anchor is others[0]
    assert rig.kinds() == {(broken.value, "unusable")}
    assert rig.pipeline.health.problems[f"{broken.value}: unusable"] == 3
    assert answer.frames.frames[LIDAR].to_view is not None if broken is not LIDAR else True


def test_points_are_placed_anew_when_the_anchor_they_were_placed_in_goes():
    rig = Rig()
    rig.see_cameras(RGB)
    wide = CameraModel(2 * WIDTH, 2 * HEIGHT, np.diag([40.0, 40.0, 1.0]), frame_id="stereo")
    rig.see_cameras(DEPTH, model=wide)
    rig.model.refuses[RGB] = CalibrationError("no")
    (*_, answer) = rig.answers(RGB, DEPTH, LIDAR)
    assert answer.frames.anchor is DEPTH
    assert answer.frames.view.k[0, 0] == 20.0


def test_an_error_that_no_frame_explains_is_raised():
    rig = Rig()
    rig.model.refuses[RGB] = FrameError("of nobody")
    rig.model.unusable = lambda _: {}
    (match, *_) = rig.take(RGB, step=0)
    with pytest.raises(FrameError, match="of nobody"):
        rig.pipeline.answer(match)


def test_with_nothing_left_there_is_no_answer_and_the_reason_is_told():
    rig = Rig()
    rig.model.refuses = {RGB: FrameError("a"), DEPTH: FrameError("b")}
    (match, *_) = rig.take(RGB, DEPTH, step=0)
    with pytest.raises(FrameError, match=r"no sensor that may be the anchor is left \(rgb rejected"):
        rig.pipeline.answer(match)


def test_a_message_that_no_code_foresaw_is_counted_with_its_type_and_the_others_go_on():
    rig = Rig()

    def converter(_):
        return {}["encoding"]

    rig.pipeline.intake._converters[RGB] = converter
    assert rig.take(RGB, step=0) == []
    assert rig.pipeline.intake.states(rig.now_ns)[RGB].rejected == 1
    ((source, kind, text),) = rig.problems
    assert (source, kind) == ("rgb", "unexpected KeyError")
    assert ".py, line " in text
    assert rig.answers(DEPTH, steps=range(1, 25))


def test_a_camera_info_that_no_code_foresaw_is_counted():
    rig = Rig()
    rig.pipeline._calibration = None
    rig.see_cameras(RGB)
    assert rig.kinds() == {("rgb", "unexpected AttributeError")}


@pytest.mark.parametrize("stamp", [0, -1])
def test_stamps_that_are_not_set_are_refused(stamp):
    rig = Rig()
    broken = message(RGB, START)
    broken.header.stamp.sec, broken.header.stamp.nanosec = stamp, 0
    rig.take(RGB, step=0, rgb=broken)
    ((_, kind, text),) = rig.problems
    assert kind == "refused"
    assert "make the driver stamp its messages" in text


@pytest.mark.parametrize(
    ("frame_id", "size", "complaint"),
    [
        ("camera", (HEIGHT, WIDTH), None),
        ("camera", (HEIGHT // 2, WIDTH // 2), None),
        ("stereo", (HEIGHT, WIDTH), r"depth is in frame 'stereo', 64x48, the camera in 'camera', 64x48"),
        ("camera", (HEIGHT, HEIGHT), r"depth is in frame 'camera', 48x48, the camera in 'camera', 64x48"),
    ],
)
def test_depth_that_is_not_registered_to_the_camera_is_told(frame_id, size, complaint):
    rig = Rig()
    assert rig.answers(RGB, DEPTH, steps=[0], depth=message(DEPTH, START, frame_id, size))
    if complaint is None:
        assert rig.problems == []
    else:
        ((source, kind, text),) = rig.problems
        assert (source, kind) == ("depth", "not registered")
        assert complaint in text


def test_depth_from_elsewhere_is_registered_where_cameras_and_transform_are_known():
    ahead = np.eye(4)
    ahead[2, 3] = 1.0
    rig = Rig(lookup=lambda *_: ahead)
    rig.see_cameras(RGB)
    k = np.array([[50.0, 0, WIDTH / 2 - 0.5], [0, 50.0, HEIGHT / 2 - 0.5], [0, 0, 1]])
    rig.see_cameras(DEPTH, model=CameraModel(WIDTH, HEIGHT, k, frame_id="stereo"))
    (answer,) = rig.answers(RGB, DEPTH, steps=[0], depth=message(DEPTH, START, "stereo"))
    assert rig.problems == []
    depth = answer.frames.frames[DEPTH]
    # A wall 5 m ahead of a depth camera that stands 1 m ahead of the other: 6 m, and smaller in the picture.
    assert (depth.frame_id, np.nanmin(depth.data), np.nanmax(depth.data)) == ("camera", 6.0, 6.0)
    assert np.isnan(depth.data[0]).all()


def test_depth_is_registered_anew_when_the_anchor_it_was_drawn_for_goes():
    """What was drawn into the camera's view does not serve as the anchor: that is the image as it came."""
    rig = Rig(lookup=lambda *_: np.eye(4), sync__anchors=["rgb", "depth"])
    rig.see_cameras(RGB)
    rig.see_cameras(DEPTH, model=CameraModel(WIDTH, HEIGHT, np.diag([40.0, 40.0, 1.0]), frame_id="stereo"))
    rig.model.refuses[RGB] = FrameError("no")
    (answer,) = rig.answers(RGB, DEPTH, steps=[0], depth=message(DEPTH, START, "stereo"))
    assert answer.labels.frame_id == "stereo"
    assert np.isfinite(answer.frames.frames[DEPTH].data).all()


def test_the_robots_motion_is_taken_out_of_scans_and_counted():
    asked = []

    def motion(target, source, stamp_ns):
        asked.append((target, source))
        pose = np.eye(4)
        pose[0, 3] = (stamp_ns - START) * 10e-9
        return pose if stamp_ns < START + 10 * PERIOD else None

    rig = Rig(lidar__fixed_frame="odom", motion=motion, sync__max_wait_s=0.01)
    rig.see_cameras(RGB)
    late = message(LIDAR, START - 30_000_000)
    (answer,) = rig.answers(RGB, LIDAR, steps=[0], lidar=late)
    np.testing.assert_allclose(answer.frames.frames[LIDAR].data.xyz[:, 0], 4 - 0.3, atol=1e-6)
    assert set(asked) == {("odom", "lidar")}
    assert rig.pipeline.notes()[LIDAR] == {"deskewed": 0, "moved_whole": 1, "not_compensated": 0}
    assert rig.problems == []
    (answer,) = rig.answers(RGB, LIDAR, steps=[12])
    np.testing.assert_array_equal(answer.frames.frames[LIDAR].data.xyz[:, 0], 4)
    assert rig.kinds() == {("lidar", "not compensated")}
    assert rig.pipeline.notes()[LIDAR]["not_compensated"] == 1


@pytest.mark.parametrize("compressed", [RGB, DEPTH])
def test_compressed_messages_of_a_recording_are_read_by_their_type(compressed):
    picture = (
        np.full((HEIGHT, WIDTH), 5000, np.uint16) if compressed is DEPTH else np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    )
    values = {
        "header": header_fields(START, "camera"),
        "format": "16UC1; png compressed 16UC1" if compressed is DEPTH else "rgb8; png compressed bgr8",
        "data": cv2.imencode(".png", picture)[1].reshape(-1),
    }
    rig = Rig()
    changed = {compressed.value: made(Fields("sensor_msgs/msg/CompressedImage", values))}
    (answer,) = rig.answers(RGB, DEPTH, steps=[0], **changed)
    assert (rig.problems, answer.labels.used) == ([], (RGB, DEPTH))


def test_a_stand_in_that_was_answered_already_is_not_answered_again():
    """Without a transform a LiDAR that anchors hands over to depth, which may still be the frame of last time."""
    rig = Rig(lidar__extrinsic=[0.0] * 7, sync__anchors=["lidar", "depth"], sync__max_wait_s=0.01)
    rig.see_cameras(DEPTH)
    (first,) = rig.answers(LIDAR, DEPTH, steps=[0])
    assert (first.labels.anchor, first.labels.stamp_ns) == (DEPTH, START)
    (match,) = rig.take(LIDAR, step=1)
    with pytest.raises(FrameError, match=r"lidar cannot be used and the frame of depth was answered already"):
        rig.pipeline.answer(match)
    # After a jump back of time the same stamps are new again.
    (again,) = rig.answers(LIDAR, DEPTH, steps=[-100])
    assert again.labels.stamp_ns == START - 100 * PERIOD


def test_event_packets_of_an_old_sensor_size_are_left_out_of_the_window():
    rig = Rig(event__message="event_packet", modalities=["rgb", "event"])

    def packet(stamp_ns, width):
        corner, bright = np.zeros(1, np.uint16), np.ones(1, np.uint8)
        events = Events(corner, corner, bright, np.full(1, stamp_ns), width, HEIGHT)
        return made(event_packet_fields(events, frame_id="event", seq=0))

    rig.pipeline.take(EVENT, packet(START - 20_000_000, 128), 1)
    rig.pipeline.take(EVENT, packet(START - 10_000_000, 64), 2)
    matches = rig.pipeline.take(RGB, message(RGB, START), 3) + rig.pipeline.intake.poll(10**9)
    answer = rig.pipeline.answer(matches[0])
    assert answer.labels.used == (RGB, EVENT)
    assert answer.frames.frames[EVENT].size == (HEIGHT, 64)
    assert rig.kinds() == {("event", "size changed")}


def test_what_event_decoding_leaves_out_is_noted():
    rig = Rig()
    columns = {"x": np.array([1, 900], np.uint16), "y": np.array([1, 1], np.uint16)}
    columns |= {"t": np.arange(2, dtype=np.uint32), "p": np.ones(2, np.uint8)}
    rig.take(EVENT, step=0, event=made(columns_fields(columns, stamp_ns=START, frame_id="event")))
    assert rig.pipeline.intake.notes()[EVENT]["outside"] == 1
    assert Rig(event__message="image").pipeline.intake.notes() == {}


def test_only_what_both_the_robot_and_the_model_know_is_used():
    assert Rig(FakeModel((LIDAR, RGB, Modality.NIR))).pipeline.modalities == (RGB, LIDAR)


@pytest.mark.parametrize(
    ("modalities", "anchors"), [(["depth"], ["depth"]), (["rgb", "depth"], ["depth"])], ids=["none", "no anchor"]
)
def test_a_checkpoint_without_any_sensor_of_the_robot_is_refused(modalities, anchors):
    with pytest.raises(ConfigError, match=r"the checkpoint knows \['rgb'\], expected at least one in common"):
        Rig(FakeModel((RGB,)), modalities=modalities, sync__anchors=anchors)


def test_the_real_model_names_the_frames_it_cannot_use():
    from any2seg_core.inference import Segmenter

    preprocess = PreprocessConfig(short_side_px=32, depth_encoding="hha")
    config = ModelConfig(modalities=["rgb", "depth"], embed_dim=8)
    model = Segmenter.untrained(config, DELIVER_CLASSES, preprocess, threads=1, device="cpu")
    rig = Rig(model)
    # HHA needs intrinsics: without them depth is left out, and with them it serves.
    (first,) = rig.answers(RGB, DEPTH, steps=[0])
    assert (first.labels.used, rig.kinds()) == ((RGB,), {("depth", "unusable")})
    rig.see_cameras(RGB)
    (second,) = rig.answers(RGB, DEPTH, steps=[1])
    assert second.labels.used == (RGB, DEPTH)
