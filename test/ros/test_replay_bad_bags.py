# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings as they should not be: each gets a verdict, none a traceback, and none costs another its own."""

import shutil

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from any2seg_core.frames import Points
from any2seg_ros.conversions import cloud_fields, image_fields, make
from any2seg_ros.replay.many import replay
from any2seg_ros.replay.settings import ReplaySettings
from any2seg_ros.replay.show import finish
from any2seg_sim.recording import write_bag
from any2seg_sim.settings import DriveSettings

PARAMETERS = {"inference.checkpoint": "untrained", "inference.short_side_px": 32}
SETTINGS = ReplaySettings(parameters=PARAMETERS, pictures=0)
STORE = get_typestore(Stores.ROS2_JAZZY)
S = 1_000_000_000
HOSTILE = '/x"><script>alert(1)</script>/../../etc'


def image(stamp, *, encoding="rgb8", frame_id="camera"):
    pixels = np.random.default_rng(stamp % 99).integers(0, 256, (24, 32, 3), np.uint8)
    return image_fields(pixels if encoding == "rgb8" else pixels[..., 0], encoding, stamp_ns=stamp, frame_id=frame_id)


def bag_of(path, rows, *, storage=StoragePlugin.MCAP):
    """Write (topic, log time, described message or bytes and their type)."""
    with Writer(path, version=9, storage_plugin=storage) as writer:
        connections = {}
        for topic, log_ns, content in rows:
            fields, raw = content if isinstance(content, tuple) else (content, None)
            kind = fields if isinstance(fields, str) else fields.type
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
            if raw is None:
                raw = bytes(STORE.serialize_cdr(make(fields, STORE.types.__getitem__), kind))
            writer.write(connections[topic], log_ns, raw)
    return path


def good(count=4):
    return [("/camera/image_raw", index * S // 10 + S, image(index * S // 10 + S)) for index in range(count)]


def shuffled(rows):
    log = [row[1] for row in rows]
    np.random.default_rng(1).shuffle(log)
    return [(topic, moment, content) for (topic, _, content), moment in zip(rows, log, strict=True)]


IMAGE = "sensor_msgs/msg/Image"
CASES = {
    "empty": ([], 0),
    "no sensor": ([("/chatter", S, ("sensor_msgs/msg/Temperature", b"\0\1\0\0" + bytes(40)))], 0),
    "zero stamps": ([("/camera/image_raw", index * S + S, image(0)) for index in range(3)], 0),
    "one stamp for all": ([("/camera/image_raw", index * S // 10 + S, image(S)) for index in range(4)], 1),
    "log times shuffled": (shuffled(good(6)), 1),
    "stamps jump back": ([*good(3), *((t, n + S, c) for t, n, c in good(3))], 3),
    "garbage instead of messages": ([("/camera/image_raw", index + S, (IMAGE, b"\xff" * 64)) for index in range(4)], 0),
    "no bytes at all": ([("/camera/image_raw", index + S, (IMAGE, b"")) for index in range(4)], 0),
    "one bad among good": ([*good(3), ("/camera/image_raw", 2 * S, (IMAGE, b"\0\1\0\0\xff")), *good(0)], 3),
    "unknown encoding": ([("/camera/image_raw", S, image(S, encoding="mono8")), *good(2)[1:]], 1),
    "wrong size": (
        [
            ("/camera/image_raw", S + i, image(S + i).__class__(IMAGE, {**image(S + i).values, "step": 7}))
            for i in range(3)
        ],
        0,
    ),
    "a topic that is markup": ([(HOSTILE, moment, content) for _, moment, content in good()], 4),
    "points without transforms": (
        [
            (
                "/points",
                S + i,
                cloud_fields(Points(np.ones((5, 3), np.float32), np.ones(5, np.float32)), stamp_ns=S + i, frame_id="l"),
            )
            for i in range(3)
        ],
        0,
    ),
    "log times before the stamps by years": ([(t, 5, c) for t, _, c in good()], 1),
    "log times far apart": ([(t, n * 100_000, c) for t, n, c in good()], 4),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3], ids=["mcap", "sqlite3"])
def test_each_gets_a_verdict(tmp_path, name, storage, capsys):
    rows, least = CASES[name]
    path = bag_of(tmp_path / "bag", rows, storage=storage)
    verdict = replay([path], SETTINGS, tmp_path / "out")
    (found,) = verdict.bags
    assert found.outputs >= least
    assert found.outputs or found.notes
    stamps = [row.stamp_ns for row in found.frames]
    if "back" not in name:
        assert stamps == sorted(set(stamps))
    finish(verdict, tmp_path / "out", against=None, fail_under="", video=False)
    page = (tmp_path / "out/report.html").read_text()
    assert "<script>alert" not in page
    assert "Traceback" not in "".join(capsys.readouterr())


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    path = tmp_path_factory.mktemp("bad") / "street"
    drive = DriveSettings(width=64, height=48, seed=4, duration_s=0.6, samples=1, lidar_rings=16, lidar_columns=256)
    write_bag(path, drive)
    return path


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.6, 0.95, 0.9999])
def test_a_file_that_is_cut_off_is_read_as_far_as_it_goes(street, tmp_path, share):
    (file,) = street.glob("*.mcap")
    content = file.read_bytes()
    (tmp_path / "cut.mcap").write_bytes(content[: int(len(content) * share)])
    (found,) = replay([tmp_path / "cut.mcap"], SETTINGS, tmp_path / "out").bags
    assert not found.whole
    assert found.notes
    if share > 0.9:
        assert found.outputs > 0


def test_a_good_recording_is_judged_beside_a_broken_one(street, tmp_path):
    (tmp_path / "broken.mcap").write_bytes(b"nothing of the kind")
    (tmp_path / "broken.db3").write_bytes(b"SQLite format 3\0 and nothing more")
    (tmp_path / "broken.bag").write_bytes(b"#ROSBAG V2.0\n and nothing more")
    paths = [tmp_path / f"broken.{kind}" for kind in ("mcap", "db3", "bag")]
    verdict = replay([*paths, tmp_path / "nowhere", street], SETTINGS, tmp_path / "out")
    assert [bag.whole for bag in verdict.bags] == [False] * 4 + [True]
    assert verdict.bags[-1].outputs == 6
    assert all(bag.notes for bag in verdict.bags[:-1])


@pytest.mark.parametrize("seed", range(8))
def test_flipped_bits_end_in_a_verdict(street, tmp_path, seed):
    copy = tmp_path / "street"
    shutil.copytree(street, copy)
    (file,) = copy.glob("*.mcap")
    content = bytearray(file.read_bytes())
    drawn = np.random.default_rng(seed)
    for place, bit in zip(drawn.integers(0, len(content), 40), drawn.integers(0, 8, 40), strict=True):
        content[place] ^= 1 << int(bit)
    file.write_bytes(content)
    (found,) = replay([copy], SETTINGS, tmp_path / "out").bags
    assert found.outputs or found.notes or found.problems
