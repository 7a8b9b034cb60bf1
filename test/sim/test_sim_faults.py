# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Fault scripts at work on recordings: exactly what they say is missing, and truth stays."""

import json

import numpy as np
import pytest
import yaml
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Reader

from any2seg_core.errors import ConfigError
from any2seg_core.faults import FaultScript
from any2seg_core.frames import Events, Modality, Points, SensorFrame
from any2seg_ros.conversions import cloud_columns, cloud_frame, image_frame, stamp_ns
from any2seg_sim import recording
from any2seg_sim.__main__ import main
from any2seg_sim.readings import Reading
from any2seg_sim.recording import write_bag
from any2seg_sim.settings import DriveSettings

DRIVE = DriveSettings(duration_s=1.0, width=32, height=24)
MS = 1_000_000
POINTS = 8
TRUTH = {"/truth/labels", "/truth/points"}
OF_SENSOR = {
    "rgb": {"/camera/image_raw", "/camera/camera_info"},
    "depth": {"/depth/image_raw", "/depth/camera_info"},
    "event": {"/events", "/events/camera_info"},
    "lidar": {"/lidar/points"},
}


def made_drive():
    """A second of readings, 10 per sensor, all different, in order of arrival; nothing is rendered."""
    for index in range(10):
        stamp = DRIVE.start_ns + (index + 1) * 100 * MS
        angle = np.radians(np.arange(POINTS) * 45 + 20)
        xyz = (3.0 + index) * np.column_stack([np.cos(angle), np.sin(angle), 0 * angle])
        points = Points(xyz.astype(np.float32), np.arange(POINTS, dtype=np.float32))
        lidar = SensorFrame(Modality.LIDAR, stamp, "lidar", points)
        rings, times_ns = np.arange(POINTS, dtype=np.uint16), 1000 * np.arange(POINTS, dtype=np.int32)
        yield Reading(lidar, np.full(POINTS, index, np.uint8), rings, times_ns)
        t_ns = stamp - np.arange(30, -1, -10) * MS
        x = np.arange(4, dtype=np.uint16) + index
        events = Events(x, x, np.ones(4, np.uint8), t_ns, DRIVE.width, DRIVE.height)
        yield Reading(SensorFrame(Modality.EVENT, int(t_ns[0]), "event_camera", events, end_ns=stamp))
        depth = np.full((DRIVE.height, DRIVE.width), 2.0 + index, np.float32)
        yield Reading(SensorFrame(Modality.DEPTH, stamp, "camera", depth))
        image = np.full((DRIVE.height, DRIVE.width, 3), 20 + index, np.uint8)
        labels = np.full((DRIVE.height, DRIVE.width), index, np.uint8)
        yield Reading(SensorFrame(Modality.RGB, stamp, "camera", image), labels)


@pytest.fixture(autouse=True)
def nothing_is_rendered(monkeypatch):
    monkeypatch.setattr(recording, "render_drive", lambda *_, **__: made_drive())


def script(*faults, **rest):
    return FaultScript.from_mapping({"faults": list(faults), **rest})


def raw_messages(path):
    """Everything in a bag, as {topic: [(log time, bytes)]}."""
    found = {}
    with Reader(path) as reader:
        for connection, log_ns, raw in reader.messages():
            found.setdefault(connection.topic, []).append((log_ns, bytes(raw)))
    return found


def read(path, topic):
    with AnyReader([path]) as reader:
        connections = [connection for connection in reader.connections if connection.topic == topic]
        return [(t, reader.deserialize(raw, c.msgtype)) for c, t, raw in reader.messages(connections=connections)]


def test_a_bag_lacks_exactly_what_the_script_says(tmp_path):
    write_bag(tmp_path / "clean", DRIVE)
    faults = script(
        {"sensor": "rgb", "kind": "dropout", "start_s": 0.3, "end_s": 0.6},
        {"sensor": "lidar", "kind": "low_rate", "start_s": 0.5, "keep_each": 2},
        {"sensor": "event", "kind": "packet_loss", "share": 0.5},
        seed=1,
    )
    done = write_bag(tmp_path / "faulty", DRIVE, faults=faults)
    clean, faulty = raw_messages(tmp_path / "clean"), raw_messages(tmp_path / "faulty")
    assert set(clean) == set(faulty)
    lost_events = done.faults[2].lost
    assert 0 < lost_events < 10
    # Frames come at 0.1 s, 0.2 s, ... 1.0 s: at 0.3 s the fault begins, at 0.6 s it is over.
    gone = {"rgb": [2, 3, 4], "lidar": [5, 7, 9], "depth": []}
    for sensor, lost in gone.items():
        for topic in OF_SENSOR[sensor]:
            assert faulty[topic] == [item for index, item in enumerate(clean[topic]) if index not in lost], topic
    for topic in OF_SENSOR["event"]:
        assert len(faulty[topic]) == 10 - lost_events
        assert set(faulty[topic]) < set(clean[topic])
    for topic in (*TRUTH, "/tf_static"):
        assert faulty[topic] == clean[topic], topic
    assert [(count.seen, count.changed, count.lost) for count in done.faults[:2]] == [(3, 0, 3), (6, 0, 3)]
    assert done.messages == {topic: len(items) for topic, items in faulty.items()}


def test_without_faults_a_script_changes_nothing(tmp_path):
    write_bag(tmp_path / "clean", DRIVE)
    write_bag(tmp_path / "same", DRIVE, faults=script())
    assert raw_messages(tmp_path / "clean") == raw_messages(tmp_path / "same")


def test_late_frames_are_logged_late_with_their_true_stamps(tmp_path):
    late = {"sensor": "rgb", "kind": "latency", "start_s": 0.2, "end_s": 0.5, "delay_s": 0.15}
    write_bag(tmp_path / "late", DRIVE, faults=script(late))
    for topic in OF_SENSOR["rgb"]:
        logged = [(at - DRIVE.start_ns) // MS for at, _ in read(tmp_path / "late", topic)]
        stamps = [(stamp_ns(message.header) - DRIVE.start_ns) // MS for _, message in read(tmp_path / "late", topic)]
        assert logged == [100, 350, 450, 500, 550, 600, 700, 800, 900, 1000]
        assert stamps == [100, 200, 300, 500, 400, 600, 700, 800, 900, 1000]
    assert [(at - DRIVE.start_ns) // MS for at, _ in read(tmp_path / "late", "/truth/labels")] == [
        *range(100, 1001, 100)
    ]


def test_frames_on_their_way_at_the_end_of_the_drive_arrive_after_it(tmp_path):
    late = {"sensor": "lidar", "kind": "latency", "start_s": 0.9, "delay_s": 0.25}
    write_bag(tmp_path / "late", DRIVE, faults=script(late))
    logged = [(at - DRIVE.start_ns) // MS for at, _ in read(tmp_path / "late", "/lidar/points")]
    assert logged == [*range(100, 801, 100), 1150, 1250]


def test_a_frozen_lidar_keeps_its_rings_and_the_truth_goes_on(tmp_path):
    frozen = {"sensor": "lidar", "kind": "freeze", "start_s": 0.3, "end_s": 0.5}
    lost = {"sensor": "lidar", "kind": "sector_loss", "end_s": 0.3, "from_deg": 0.0, "to_deg": 90.0}
    write_bag(tmp_path / "frozen", DRIVE, faults=script(lost, frozen))
    clouds = [message for _, message in read(tmp_path / "frozen", "/lidar/points")]
    # Azimuths are 20, 65, 110, ... degrees: two of eight lie in the sector.
    assert [len(cloud_frame(cloud).data) for cloud in clouds] == [6, 6, 6, 6, *[8] * 6]
    columns = cloud_columns(clouds[3], ["ring", "t"])
    np.testing.assert_array_equal(columns["ring"], [2, 3, 4, 5, 6, 7])
    np.testing.assert_array_equal(columns["t"], [2000, 3000, 4000, 5000, 6000, 7000])
    assert columns["t"].dtype == np.uint32
    distance = np.linalg.norm(cloud_frame(clouds[3]).data.xyz, axis=1)
    np.testing.assert_allclose(distance, 3.0 + 1, atol=1e-5)
    truth = [message for _, message in read(tmp_path / "frozen", "/truth/points")]
    for index, message in enumerate(truth):
        np.testing.assert_array_equal(cloud_columns(message, ["label"])["label"], [index] * POINTS)
    assert [stamp_ns(cloud.header) for cloud in clouds] == [stamp_ns(message.header) for message in truth]


def test_a_frozen_camera_sends_its_calibration_with_the_same_stamp(tmp_path):
    frozen = {"sensor": "rgb", "kind": "freeze", "start_s": 0.3, "stamps": "old"}
    write_bag(tmp_path / "frozen", DRIVE, faults=script(frozen))
    images = [message for _, message in read(tmp_path / "frozen", "/camera/image_raw")]
    infos = [message for _, message in read(tmp_path / "frozen", "/camera/camera_info")]
    assert [image_frame(image, Modality.RGB).data[0, 0, 0] for image in images] == [20, *[21] * 9]
    assert [stamp_ns(image.header) for image in images] == [stamp_ns(info.header) for info in infos]
    assert len({stamp_ns(image.header) for image in images}) == 2


def test_a_sensor_with_a_wrong_clock_arrives_at_the_true_time(tmp_path, monkeypatch):
    def ahead(*_, **__):
        return (reading.stamped(30 * MS) for reading in made_drive())

    monkeypatch.setattr(recording, "render_drive", ahead)
    done = write_bag(tmp_path / "ahead", DRIVE, faults=script({"sensor": "rgb", "kind": "dropout", "end_s": 0.11}))
    assert done.faults[0].lost == 1
    for topic in ("/camera/image_raw", "/lidar/points", "/truth/labels"):
        read_back = read(tmp_path / "ahead", topic)
        assert [stamp_ns(message.header) - at for at, message in read_back] == [30 * MS] * len(read_back)


def test_both_storages_hold_the_same(tmp_path):
    faults = script({"sensor": "depth", "kind": "dropout", "end_s": 0.4})
    for storage, suffix in (("mcap", "mcap"), ("sqlite3", "db3")):
        write_bag(tmp_path / storage, DRIVE, storage=storage, faults=faults)
        names = {path.suffix for path in (tmp_path / storage).iterdir()}
        assert names == {".yaml", f".{suffix}"}
    assert raw_messages(tmp_path / "mcap") == raw_messages(tmp_path / "sqlite3")
    for path in (tmp_path / "mcap", tmp_path / "sqlite3"):
        with AnyReader([path]) as reader:
            connection = next(c for c in reader.connections if c.topic == "/tf_static")
            assert len(connection.ext.offered_qos_profiles) == 1


def test_the_metadata_says_what_was_driven_and_what_failed(tmp_path):
    faults = script({"sensor": "depth", "kind": "dropout", "end_s": 0.4}, seed=6)
    write_bag(tmp_path / "bag", DRIVE, faults=faults)
    metadata = yaml.safe_load((tmp_path / "bag" / "metadata.yaml").read_text())
    custom = metadata["rosbag2_bagfile_information"]["custom_data"]
    assert json.loads(custom["any2seg.drive"])["width"] == 32
    assert FaultScript.from_mapping(json.loads(custom["any2seg.faults"])) == faults


def test_an_unknown_storage_lists_the_known_ones(tmp_path):
    with pytest.raises(ConfigError, match="recording: found storage 'rosbag1', expected one of mcap, sqlite3"):
        write_bag(tmp_path / "bag", DRIVE, storage="rosbag1")
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_applies_a_script_and_tells_what_it_did(tmp_path, capsys):
    (tmp_path / "faults.yaml").write_text("faults: [{sensor: rgb, kind: dropout, start_s: 0.3, end_s: 0.6}]\n")
    arguments = ["bag", "--out", str(tmp_path / "bag"), "--faults", str(tmp_path / "faults.yaml")]
    assert main([*arguments, "--storage", "sqlite3", "--size", "32x24", "--duration", "1"]) == 0
    said = capsys.readouterr().out
    assert "/camera/image_raw    7\n" in said
    assert "/truth/labels        10\n" in said
    assert said.endswith("rgb dropout from 0.3 s to 0.6 s: 3 frames seen, 0 changed, 3 lost\n")
    assert (tmp_path / "bag" / "bag.db3").is_file()


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "not readable"), ("faults: [{sensor: rgb, kind: drop}]", "found kind 'drop'")],
)
def test_a_wrong_script_is_told_in_one_line_before_anything_is_made(tmp_path, capsys, text, message):
    path = tmp_path / "faults.yaml"
    if text is not None:
        path.write_text(text)
    assert main(["bag", "--out", str(tmp_path / "bag"), "--faults", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert message in said
    assert not (tmp_path / "bag").exists()
