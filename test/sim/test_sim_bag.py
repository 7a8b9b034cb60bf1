# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings read back with the project's own readers, and the command line."""

import dataclasses
import errno
import subprocess
import sys

import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosDurability

from any2seg_core.errors import Any2SegError, ConfigError
from any2seg_core.frames import Modality
from any2seg_ros.conversions import camera_model, cloud_columns, cloud_frame, depth_frame, image_frame, transform_matrix
from any2seg_ros.event_codecs import EventReader
from any2seg_sim import recording
from any2seg_sim.__main__ import main
from any2seg_sim.messages import EVENT_CLOUD_TOPIC, EVENT_TOPIC, MessageWriter
from any2seg_sim.recording import write_bag
from any2seg_sim.rig import Rig
from any2seg_sim.settings import DriveSettings
from any2seg_sim.simulation import render_drive

TINY = DriveSettings(
    seed=4, duration_s=0.2, width=48, height=32, subframes=2, lidar_rings=8, lidar_columns=64, samples=1
)
TOPICS = {
    "/camera/image_raw": ("sensor_msgs/msg/Image", 2),
    "/camera/camera_info": ("sensor_msgs/msg/CameraInfo", 2),
    "/depth/image_raw": ("sensor_msgs/msg/Image", 2),
    "/depth/camera_info": ("sensor_msgs/msg/CameraInfo", 2),
    "/events": ("sensor_msgs/msg/PointCloud2", 4),
    "/events/camera_info": ("sensor_msgs/msg/CameraInfo", 4),
    "/lidar/points": ("sensor_msgs/msg/PointCloud2", 2),
    "/truth/labels": ("sensor_msgs/msg/Image", 2),
    "/truth/points": ("sensor_msgs/msg/PointCloud2", 2),
    "/tf_static": ("tf2_msgs/msg/TFMessage", 1),
}


@pytest.fixture(scope="module")
def drive():
    return list(render_drive(TINY))


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    path = tmp_path_factory.mktemp("bags") / "street"
    counts = write_bag(path, TINY, event_format="both")
    assert counts.messages["/camera/image_raw"] == 2
    assert counts.faults == ()
    return path


def messages(path, topic):
    with AnyReader([path]) as reader:
        connections = [connection for connection in reader.connections if connection.topic == topic]
        return [(t, reader.deserialize(raw, c.msgtype)) for c, t, raw in reader.messages(connections=connections)]


def of(drive, modality):
    return [reading for reading in drive if reading.frame.modality == modality]


def test_the_bag_has_the_topics_types_and_counts(bag):
    with AnyReader([bag]) as reader:
        found = {c.topic: (c.msgtype, c.msgcount) for c in reader.connections}
        (qos,) = next(c for c in reader.connections if c.topic == "/tf_static").ext.offered_qos_profiles
    packets = {EVENT_TOPIC: ("event_camera_msgs/msg/EventPacket", 4)}
    assert found == {**TOPICS, **packets, EVENT_CLOUD_TOPIC: ("sensor_msgs/msg/PointCloud2", 4)}
    assert qos.durability is QosDurability.TRANSIENT_LOCAL
    assert [path.name for path in bag.parent.iterdir()] == [bag.name]
    assert (bag / f"{bag.name}.mcap").is_file()


def test_topics_names_what_is_written(bag):
    with AnyReader([bag]) as reader:
        written = {connection.topic: connection.msgtype for connection in reader.connections}
    assert MessageWriter(Rig.of(TINY), "both").topics == written
    assert MessageWriter(Rig.of(TINY)).topics == {topic: kind for topic, (kind, _) in TOPICS.items()}


def test_images_labels_and_depth_read_back_exactly(bag, drive):
    colours, depths = of(drive, "rgb"), of(drive, "depth")
    for (at, message), reading in zip(messages(bag, "/camera/image_raw"), colours, strict=True):
        frame = image_frame(message, Modality.RGB)
        np.testing.assert_array_equal(frame.data, reading.frame.data)
        assert (frame.stamp_ns, frame.frame_id) == (reading.frame.stamp_ns, "camera_optical_frame")
        assert at == reading.frame.end_ns
    for (_, message), reading in zip(messages(bag, "/truth/labels"), colours, strict=True):
        assert message.encoding == "mono8"
        np.testing.assert_array_equal(message.data.reshape(32, 48), reading.labels)
        assert message.header.frame_id == "camera_optical_frame"
    for (_, message), reading in zip(messages(bag, "/depth/image_raw"), depths, strict=True):
        np.testing.assert_array_equal(depth_frame(message).data, reading.frame.data)


def test_clouds_read_back_with_ring_and_label(bag, drive):
    for ((_, cloud), (_, truth)), reading in zip(
        zip(messages(bag, "/lidar/points"), messages(bag, "/truth/points"), strict=True),
        of(drive, "lidar"),
        strict=True,
    ):
        points = cloud_frame(cloud).data
        np.testing.assert_array_equal(points.xyz, reading.frame.data.xyz)
        np.testing.assert_array_equal(points.intensity, reading.frame.data.intensity)
        np.testing.assert_array_equal(cloud_columns(cloud, ["ring"])["ring"], reading.rings)
        np.testing.assert_array_equal(cloud_columns(truth, ["label"])["label"], reading.labels)
        assert cloud_frame(cloud).stamp_ns == reading.frame.stamp_ns
        assert (truth.header.stamp, truth.header.frame_id) == (cloud.header.stamp, "lidar")


@pytest.mark.parametrize("topic", [EVENT_TOPIC, EVENT_CLOUD_TOPIC])
def test_events_read_back_to_the_nanosecond(bag, drive, topic):
    reader = EventReader(width=48, height=32)
    assert sum(len(reading.frame.data) for reading in of(drive, "event")) > 100
    for (at, message), reading in zip(messages(bag, topic), of(drive, "event"), strict=True):
        frame, events = reader.frame(message), reading.frame.data
        for name in ("x", "y", "polarity"):
            np.testing.assert_array_equal(getattr(frame.data, name), getattr(events, name))
        assert np.abs(frame.data.t_ns - events.t_ns).max() <= 2
        assert at == reading.frame.end_ns >= frame.data.t_ns[-1]
        assert frame.frame_id == "event_camera_optical_frame"


def test_calibration_and_transforms_read_back(bag):
    rig = Rig.of(TINY)
    for topic, frame_id in (("/camera", "camera_optical_frame"), ("/events", "event_camera_optical_frame")):
        model = camera_model(messages(bag, f"{topic}/camera_info")[0][1])
        np.testing.assert_array_equal(model.k, rig.camera.k)
        assert (model.width, model.height, model.frame_id) == (48, 32, frame_id)
    ((at, message),) = messages(bag, "/tf_static")
    assert at == TINY.start_ns
    read = {t.child_frame_id: (t.header.frame_id, transform_matrix(t.transform)) for t in message.transforms}
    for parent, child, pose in rig.transforms:
        assert read[child][0] == parent
        np.testing.assert_allclose(read[child][1], pose, atol=1e-12)


def test_every_sensor_states_its_own_place_lens_and_clock(tmp_path):
    settings = dataclasses.replace(
        TINY, rig="vehicle", distortion="plumb_bob", failure="eventlowres", camera_offset_s=0.02, lidar_rolling=True
    )
    write_bag(tmp_path / "own", settings)
    rig, path = Rig.of(settings), tmp_path / "own"
    found = {}
    for modality, topic in ((Modality.RGB, "/camera"), (Modality.DEPTH, "/depth"), (Modality.EVENT, "/events")):
        found[modality] = camera_model(messages(path, f"{topic}/camera_info")[0][1])
        for name in ("k", "d", "p"):
            np.testing.assert_array_equal(getattr(found[modality], name), getattr(rig.cameras[modality], name))
    assert len({model.frame_id for model in found.values()}) == 3
    assert (found[Modality.EVENT].width, found[Modality.EVENT].height) == (12, 8)
    ((_, message),) = messages(path, "/tf_static")
    read = {t.child_frame_id: transform_matrix(t.transform) for t in message.transforms}
    assert {model.frame_id for model in found.values()} | {"lidar"} == set(read)
    images = messages(path, "/camera/image_raw")
    assert [at for at, _ in images] == [settings.image_ns(1), settings.image_ns(2)]
    assert [image_frame(image, Modality.RGB).stamp_ns - at for at, image in images] == [20_000_000] * 2
    for at, cloud in messages(path, "/lidar/points"):
        since_ns = cloud_columns(cloud, ["t"])["t"]
        assert since_ns.max() > 50_000_000
        assert cloud_frame(cloud).stamp_ns + int(since_ns.max()) <= at


def test_depth_in_millimetres(tmp_path, drive):
    write_bag(tmp_path / "mm", TINY, depth_encoding="16UC1")
    for (_, message), reading in zip(messages(tmp_path / "mm", "/depth/image_raw"), of(drive, "depth"), strict=True):
        assert message.encoding == "16UC1"
        exact = np.where(reading.frame.data > 65.535, np.nan, reading.frame.data)
        np.testing.assert_allclose(depth_frame(message).data, exact, atol=0.00051)


def test_a_taken_path_is_left_alone(bag):
    before = (bag / "metadata.yaml").read_bytes()
    with pytest.raises(ConfigError, match=r"found .*street there already, expected a new path"):
        write_bag(bag, TINY)
    assert (bag / "metadata.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("error", "expected", "message"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt, None),
        (OSError(errno.ENOSPC, "No space left on device"), ConfigError, "No space left.* expected a folder with room"),
    ],
)
def test_a_drive_that_breaks_off_leaves_nothing(tmp_path, monkeypatch, error, expected, message):
    def broken(settings, **_):
        yield next(iter(render_drive(settings)))
        raise error

    monkeypatch.setattr(recording, "render_drive", broken)
    with pytest.raises(expected, match=message):
        write_bag(tmp_path / "street", TINY)
    assert list(tmp_path.iterdir()) == []


def test_unknown_formats_list_the_known_ones():
    with pytest.raises(ConfigError, match="event format: found 'evt3', expected one of cloud, packet, both"):
        MessageWriter(Rig.of(TINY), "evt3")
    with pytest.raises(ConfigError, match="depth encoding: found '8UC1', expected one of 32FC1, 16UC1"):
        MessageWriter(Rig.of(TINY), "cloud", "8UC1")


FLAGS = [
    "--size",
    "48x32",
    "--duration",
    "0.2",
    "--subframes",
    "2",
    "--samples",
    "1",
    "--lidar-rings",
    "8",
    "--lidar-columns",
    "64",
    "--seed",
    "4",
]


def test_command_line_writes_the_same_bag(tmp_path, capsys, drive):
    arguments = ["bag", "--out", str(tmp_path / "cli"), "--event-format", "packet", "--workers", "1", *FLAGS]
    assert main(arguments) == 0
    assert "/camera/image_raw    2" in capsys.readouterr().out
    written = messages(tmp_path / "cli", "/camera/image_raw")
    np.testing.assert_array_equal(image_frame(written[1][1], Modality.RGB).data, of(drive, "rgb")[1].frame.data)


def test_command_line_draws_a_preview(tmp_path):
    assert main(["preview", "--out", str(tmp_path / "sheet.png"), "--moments", "1", *FLAGS]) == 0
    header = (tmp_path / "sheet.png").read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    assert np.frombuffer(header[16:24], ">u4").tolist() == [5 * 48, 32]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "0x240"], "found width 0 (expected 16 to 4096)"),
        (["--size", "big"], "--size: found 'big', expected WIDTHxHEIGHT, for example 320x240"),
        (["--size", "320x240x3"], "found '320x240x3'"),
        (["--duration", "-2"], "found duration_s -2.0"),
        (["--workers", "0"], "found 0 workers, expected at least 1"),
    ],
)
def test_impossible_wishes_are_answered_in_one_line(tmp_path, capsys, arguments, message):
    assert main(["bag", "--out", str(tmp_path / "x"), *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert message in said
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_preview_says_so(tmp_path, capsys):
    assert main(["preview", "--out", str(tmp_path / "no" / "sheet.png"), "--moments", "1", *FLAGS]) == 2
    assert "not writable" in capsys.readouterr().err


def test_a_missing_package_is_named(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "any2seg_sim.recording", None)
    assert main(["bag", "--out", str(tmp_path / "x"), *FLAGS]) == 2
    assert "expected rosbags to write bags; pip install rosbags" in capsys.readouterr().err


def test_the_module_runs_with_processes(tmp_path):
    command = [sys.executable, "-m", "any2seg_sim", "bag", "--out", str(tmp_path / "b"), "--workers", "2", *FLAGS]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "2/2" in done.stderr
    assert "Traceback" not in done.stderr


def test_errors_belong_to_the_family():
    assert issubclass(ConfigError, Any2SegError)
    with pytest.raises(Any2SegError):
        dataclasses.replace(TINY, width=5)
