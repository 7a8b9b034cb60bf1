# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The demo's report of a small made-up run whose every number is worked out by hand."""

from __future__ import annotations

import dataclasses
import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from any2seg_core.errors import DependencyError, FrameError
from any2seg_core.frames import ClassTable, Modality
from any2seg_core.metrics import AbsentClasses
from any2seg_ros.replay.show.charts import nice_ticks
from any2seg_ros.replay.show.theme import DARK, LIGHT
from any2seg_sim.demo import report as report_module
from any2seg_sim.demo.charts import latency_chart
from any2seg_sim.demo.drawing import hatch
from any2seg_sim.demo.pictures import moments, overlay, seen_classes, sensor_tile, tiles
from any2seg_sim.demo.record import DemoRecord, Fault, OutputRecord, read_picture
from any2seg_sim.demo.report import summarise, summary_table, write_report
from any2seg_sim.demo.summary import silences
from any2seg_sim.demo.timeline import runs_of_anchors, timeline
from any2seg_sim.demo.video import FRAMES_PER_S, HEIGHT, WIDTH

RGB, DEPTH, EVENT, LIDAR = Modality.RGB, Modality.DEPTH, Modality.EVENT, Modality.LIDAR
CLASSES = ClassTable(("road", "car", "sky"), np.array([[128, 64, 128], [0, 0, 142], [70, 130, 180]], np.uint8))
SIZE = (24, 32)
TRUTH = np.repeat(np.array([2, 0], np.uint8), 12)[:, None] * np.ones((1, 32), np.uint8)
"""Sky above, road below, half and half."""


def labels_with_car(rows: int) -> np.ndarray:
    """Labels that are right but for the lowest rows, where they say car."""
    labels = TRUTH.copy()
    labels[SIZE[0] - rows :] = 1
    return labels


def view(grey: int) -> np.ndarray:
    return np.full((*SIZE, 3), grey, np.uint8)


def output(received_s, latency_ms, used, *, anchor=None, wrong_rows=0, truth=TRUTH):
    views = {modality: view(40 * (1 + index)) for index, modality in enumerate(used)}
    return OutputRecord(
        stamp_ns=round(1e9 * received_s), received_s=received_s, latency_ms=latency_ms, anchor=anchor or used[0],
        used=tuple(used), labels=labels_with_car(wrong_rows), truth=truth, views=views,
    )  # fmt: skip


def run(**changes) -> DemoRecord:
    """Four seconds: the camera dies from 1 to 3 s, the LiDAR from 2.5 s on, events hiccup while alive."""
    record = DemoRecord(
        outputs=[
            output(0.25, 50, (RGB, LIDAR)),
            output(0.75, 70, (RGB, LIDAR), wrong_rows=6),
            output(1.25, 60, (EVENT, LIDAR), anchor=LIDAR, wrong_rows=12),
            output(2.0, 90, (EVENT, LIDAR), anchor=LIDAR, truth=None),
            output(2.75, 80, (EVENT,), truth=None),
            output(3.5, 100, (RGB, EVENT)),
        ],
        frames_in={RGB: 20, EVENT: 80, LIDAR: 25},
        alive={RGB: [(0.0, 1.0), (3.0, 4.0)], EVENT: [(0.5, 4.0)], LIDAR: [(0.0, 2.5)]},
        duration_s=4.0,
        classes=CLASSES,
        faults=[Fault(RGB, 1.0, 3.0, "unplugged"), Fault(LIDAR, 2.5, 4.0, "<b>cut & dry</b>")],
        dropped={"too late": 3},
        command="demo --seed 7",
        seed=7,
        started_utc="2026-01-02T03:04:05Z",
        settings={"rate_hz": 10},
        machine={"cpu": "two cores"},
        versions={"any2seg": "0.1"},
    )
    return dataclasses.replace(record, **changes)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder of one full report."""
    folder = tmp_path_factory.mktemp("report") / "new" / "demo"
    write_report(run(), folder)
    return folder


def test_json_holds_the_numbers_worked_out_by_hand(written):
    report = json.loads((written / "report.json").read_text())
    assert report["schema_version"] == 1
    assert report["weights"] == "untrained"
    assert report["frames_in"] == {"rgb": 20, "event": 80, "lidar": 25}
    assert report["frames_out"] == 6
    assert report["outputs_by_modalities"] == {"rgb+lidar": 2, "event+lidar": 2, "event": 1, "rgb+event": 1}
    assert report["outputs_by_anchor"] == {"rgb": 3, "lidar": 2, "event": 1}
    # Waits: 0.25 0.5 0.5 0.75 0.75 0.75 0.5.
    assert report["silent_gaps_s"] == 0.75
    assert report["silent_gap"] == [1.25, 2.0]
    assert report["verdict"] == "never_stopped"
    assert report["first_output_s"] == 0.25
    assert report["blind_s"] == 0.0
    # Sorted 50 60 70 80 90 100: the median lies between 70 and 80, p95 at place 4.75 of 0..5.
    assert report["latency_ms"] == {"p50": pytest.approx(75.0), "p95": pytest.approx(97.5)}
    assert report["dropped"] == {"too late": 3}
    assert report["timeline"]["alive"]["rgb"] == [[0.0, 1.0], [3.0, 4.0]]
    assert report["timeline"]["faults"][0] == {"modality": "rgb", "start_s": 1.0, "end_s": 3.0, "what": "unplugged"}
    assert (report["command"], report["seed"], report["settings"]) == ("demo --seed 7", 7, {"rate_hz": 10})
    assert (report["machine"], report["versions"]) == ({"cpu": "two cores"}, {"any2seg": "0.1"})


def test_scores_by_subset_are_from_one_matrix_each(written):
    report = json.loads((written / "report.json").read_text())
    assert report["miou_policy"] == "present"
    scores = report["miou_by_subset"]
    # rgb+lidar: 48 rows in two images, 6 of road said to be car. Road 18/24, car 0, sky 24/24.
    assert scores["rgb+lidar"] == {
        "frames": 2,
        "miou": pytest.approx((18 / 24 + 0 + 1) / 3),
        "pixel_accuracy": pytest.approx(42 / 48),
    }
    # event+lidar: only one of its two images has a truth; all its road is said to be car.
    assert scores["event+lidar"] == {"frames": 1, "miou": pytest.approx(1 / 3), "pixel_accuracy": pytest.approx(1 / 2)}
    assert scores["event"] == {"frames": 0, "miou": None, "pixel_accuracy": None}
    # rgb+event is right everywhere; the car, which occurs nowhere, is left out by one policy and zero by the other.
    assert scores["rgb+event"]["miou"] == 1.0
    zero = summarise(run(), policy=AbsentClasses.ALL_AS_ZERO)
    assert zero.miou_policy == "all_as_zero"
    assert zero.miou_by_subset["rgb+event"].miou == pytest.approx(2 / 3)


def test_silence_counts_only_while_a_sensor_lives():
    alive = {RGB: [(0.0, 1.0)], LIDAR: [(0.5, 1.0), (3.0, 4.0)]}
    record = run(alive=alive, outputs=[output(0.5, 50, (RGB,)), output(1.1, 50, (RGB,)), output(3.75, 50, (LIDAR,))])
    assert silences(record) == [(0.0, 0.5), (0.5, 1.0), (3.0, 3.75), (3.75, 4.0)]
    report = summarise(record)
    assert report.silent_gaps_s == 0.75
    assert report.blind_s == 2.0


def test_silence_longer_than_the_limit_is_said_plainly(tmp_path):
    record = run(silence_limit_s=0.7)
    report = write_report(record, tmp_path, video=False)
    assert report.verdict == "stopped"
    assert summary_table(report).startswith("Output stopped for 0.75 s (limit 0.7 s).")
    page = (tmp_path / "report.html").read_text()
    assert "Output stopped</span> for 0.75 s." in page
    assert "never stopped" not in page.lower().split("<main")[0]


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.images_without_alt, self.tables, self.captions, self.tags = [], 0, 0, 0, []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.append(tag)
        self.found += [values[name] for name in ("src", "href", "poster", "srcset", "action", "data") if name in values]
        self.images_without_alt += tag == "img" and not values.get("alt")
        self.tables += tag == "table"
        self.captions += tag == "caption"


def test_page_is_one_file_that_needs_nothing_else(written):
    page = (written / "report.html").read_text()
    links = Links()
    links.feed(page)
    assert links.found
    assert all(link.startswith(("data:", "#")) for link in links.found), [link[:60] for link in links.found]
    assert not re.search(r"https?://|@import|url\(", page)
    assert any(link.startswith("data:video/mp4;base64,") for link in links.found)
    assert links.images_without_alt == 0
    assert links.tables == links.captions > 0
    assert {"main", "h1", "svg", "video"} <= set(links.tags)
    assert 'lang="en"' in page
    assert "prefers-color-scheme:dark" in page


def test_page_says_what_happened_and_escapes_what_it_was_given(written):
    page = (written / "report.html").read_text()
    assert "Sensors failed 2 times." in page
    assert "Output never stopped." in page
    assert "These labels mean nothing yet: untrained weights." in page
    assert "&lt;b&gt;cut &amp; dry&lt;/b&gt;" in page
    assert "<b>cut" not in page


def test_trained_weights_bring_no_warning(tmp_path):
    report = write_report(run(weights="streets-b0"), tmp_path, video=False)
    page = (tmp_path / "report.html").read_text()
    assert "untrained" not in page
    assert "streets-b0" in page
    assert "untrained" not in summary_table(report)
    assert report.files["video"] is None
    assert not (tmp_path / "overlay.mp4").exists()


def test_film_plays_in_real_time(written):
    av = pytest.importorskip("av")
    with av.open(str(written / "overlay.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(frames) == 4 * FRAMES_PER_S
    assert {frame.shape for frame in frames} == {(HEIGHT, WIDTH, 3)}
    # The camera's name in the banner: blue while it serves, dark red once it is dead.
    serving, dead = (frames[number][18:22, 40:100].astype(int).mean(axis=(0, 1)) for number in (8, 20))
    assert serving[2] > serving[0] + 60
    assert dead[0] > dead[2] + 10


def test_large_film_is_linked_instead_of_embedded(tmp_path, monkeypatch):
    pytest.importorskip("av")
    monkeypatch.setattr(report_module, "EMBED_BELOW_BYTES", 10)
    write_report(run(duration_s=1.0, outputs=run().outputs[:2], alive={RGB: [(0, 1)]}, faults=[]), tmp_path)
    links = Links()
    links.feed((tmp_path / "report.html").read_text())
    assert "overlay.mp4" in links.found
    assert not any(link.startswith("data:video") for link in links.found)


def test_run_without_an_output_says_so(tmp_path):
    report = write_report(run(outputs=[]), tmp_path)
    assert report.verdict == "no_output"
    assert report.silent_gaps_s == 4.0
    assert summary_table(report).startswith("No output: not one label image came out.")
    assert "Not one label image came out." in (tmp_path / "report.html").read_text()
    stored = json.loads((tmp_path / "report.json").read_text())
    assert stored["latency_ms"] == {"p50": None, "p95": None}
    assert (stored["files"]["video"], stored["files"]["moments"]) == (None, None)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "latency.svg", "modalities.png", "modalities.svg", "report.html", "report.json",
    ]  # fmt: skip


def test_empty_record_is_no_crash(tmp_path):
    report = write_report(DemoRecord([], {}, {}, 0.0, CLASSES), tmp_path)
    assert (report.verdict, report.silent_gaps_s, report.silent_gap) == ("no_output", 0.0, None)
    assert "none" in summary_table(report)


def test_files_are_whole_and_nothing_unfinished_stays(written):
    assert sorted(path.name for path in written.iterdir()) == [
        "latency.svg", "modalities.png", "modalities.svg", "moments.png", "overlay.mp4", "report.html", "report.json",
    ]  # fmt: skip
    for name in ("latency.svg", "modalities.svg"):
        root = ET.parse(written / name).getroot()
        assert root.tag.endswith("svg")
    for name in ("modalities.png", "moments.png"):
        with Image.open(written / name) as image:
            image.load()


def test_failure_leaves_the_old_file_and_no_half_one(tmp_path, monkeypatch):
    (tmp_path / "overlay.mp4").write_bytes(b"old")

    def fails(record, report, path):
        path.write_bytes(b"half")
        raise DependencyError("no encoder")

    monkeypatch.setattr(report_module, "write_video", fails)
    with pytest.raises(DependencyError, match="no encoder"):
        write_report(run(), tmp_path)
    assert (tmp_path / "overlay.mp4").read_bytes() == b"old"
    assert not (tmp_path / "report.json").exists()
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("package", ["av", "jinja2"])
def test_missing_package_is_named(tmp_path, monkeypatch, package):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(DependencyError, match=rf"found no package {package} .*pip install {package}"):
        write_report(run(duration_s=4.0), tmp_path, video=package == "av")


def test_timeline_has_a_tick_per_output_in_each_sensor_that_served():
    record = run()
    drawing = timeline(record, summarise(record), width=960)
    paths = dict.fromkeys(("rgb", "event", "lidar"), 0)
    for shape in drawing.shapes:
        if getattr(shape, "ink", "") in paths and hasattr(shape, "lines"):
            paths[shape.ink] += len(shape.lines)
    # Served: rgb 3, event 4, lidar 4; stamped: rgb 3, event 1, lidar 2.
    assert paths == {"rgb": 3 + 3, "event": 4 + 1, "lidar": 4 + 2}
    assert "Camera dead from 1.0 to 3.0 s; Events dead from 0.0 to 0.5 s; LiDAR dead from 2.5 to 4.0 s" in drawing.svg()


def test_runs_of_anchors_join_end_to_end():
    assert runs_of_anchors(run()) == [(RGB, 0.25, 1.25), (LIDAR, 1.25, 2.75), (EVENT, 2.75, 3.5), (RGB, 3.5, 3.5)]
    assert runs_of_anchors(run(outputs=[])) == []


def test_runs_of_anchors_break_at_a_long_silence():
    broken = run(silence_limit_s=0.7)
    assert runs_of_anchors(broken) == [
        (RGB, 0.25, 1.25), (LIDAR, 1.25, 1.25), (LIDAR, 2.0, 2.0), (EVENT, 2.75, 2.75), (RGB, 3.5, 3.5),
    ]  # fmt: skip
    assert "no output" in timeline(broken, summarise(broken)).svg()


@pytest.mark.parametrize("width", [380.0, 960.0])
def test_charts_stay_inside_their_ground(width):
    record = run()
    for chart in (timeline, latency_chart):
        drawing = chart(record, summarise(record), width=width)
        for shape in drawing.shapes:
            ends = [(x, y) for x1, y1, x2, y2 in getattr(shape, "lines", ()) for x, y in ((x1, y1), (x2, y2))]
            ends += getattr(shape, "points", ())
            ends += [(shape.x, shape.y)] if hasattr(shape, "x") else []
            assert all(-0.01 <= x <= width + 0.01 and -0.01 <= y <= drawing.height + 0.01 for x, y in ends), shape


def test_hatch_is_cut_at_the_edges():
    lines = hatch(10, 20, 50, 30, "bad").lines
    assert lines
    assert all(10 <= x <= 60 for x1, _, x2, _ in lines for x in (x1, x2))
    assert all(20 <= y <= 50 for _, y1, _, y2 in lines for y in (y1, y2))


@pytest.mark.parametrize(
    ("ceiling", "about", "ticks"),
    [(20, 10, list(range(0, 21, 2))), (1, 4, [0, 0.5, 1]), (130, 4, [0, 50, 100]), (0, 4, [0])],
)
def test_ticks_are_round(ceiling, about, ticks):
    assert nice_ticks(ceiling, about)[: len(ticks)] == pytest.approx(ticks)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_inks_are_readable_on_their_grounds(theme):
    def luminance(name):
        parts = [value / 255 for value in bytes.fromhex(theme[name][1:])]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    pairs = [(ink, ground) for ink in ("ink", "muted", "good", "bad", "link") for ground in ("paper", "card")]
    pairs += [("warn", "warn-soft"), ("warn", "card"), ("bad", "bad-soft"), ("muted", "soft"), ("ink", "soft")]
    ratios = {}
    for ink, ground in pairs:
        low, high = sorted((luminance(ink), luminance(ground)))
        ratios[ink, ground] = (high + 0.05) / (low + 0.05)
    assert min(ratios.values()) >= 4.5, {pair: ratio for pair, ratio in ratios.items() if ratio < 4.5}
    assert set(LIGHT) == set(DARK) >= {modality.value for modality in Modality}


def test_tiles_tell_used_from_idle_from_dead():
    record = run()
    states = {tile.name: tile.state for tile in tiles(record, record.outputs[2])}
    assert states == {"Camera": "dead", "Events": "used", "LiDAR": "used", "Labels": "none", "Truth": "none"}
    assert [tile.note for tile in tiles(record, record.outputs[2])[-2:]] == ["untrained weights", "reference"]
    # At 0.68 s, when the second output's anchor was published, the event camera lived.
    assert sensor_tile(record, record.outputs[1], EVENT).state == "alive, not used"
    assert sensor_tile(record, record.outputs[2], RGB).pixels is None


def test_overlay_lies_over_the_best_sensor_that_served():
    record = run()
    pixels, beneath = overlay(record, record.outputs[0])
    assert beneath is RGB
    np.testing.assert_allclose(pixels[-1, 0], 0.55 * np.array([128, 64, 128]) + 0.45 * 40, atol=1)
    assert overlay(record, record.outputs[4])[1] is EVENT
    stale = dataclasses.replace(record.outputs[4], views={RGB: view(9), EVENT: view(8)})
    assert overlay(record, stale)[1] is EVENT, "a dead camera's last picture is not shown as if it served"
    blind = dataclasses.replace(record.outputs[0], views={})
    pixels, beneath = overlay(record, blind)
    assert beneath is None
    assert pixels[-1, 0].tolist() == [128, 64, 128]


def test_moments_show_every_set_of_sensors_before_any_twice():
    record = run()
    assert [moment.received_s for moment in moments(record)] == [0.75, 2.0, 2.75, 3.5]
    again = [*record.outputs, output(3.6, 50, (RGB, LIDAR)), output(3.7, 50, (RGB, EVENT))]
    shown = moments(run(outputs=again), at_most=4)
    assert len({moment.used for moment in shown}) == 4
    assert [moment.received_s for moment in moments(record, at_most=2)] == [0.75, 2.0], "long times first"


def test_classes_seen_come_most_frequent_first():
    assert seen_classes(run()) == [2, 0, 1]


def test_pictures_may_be_files(tmp_path):
    path = tmp_path / "labels.png"
    Image.fromarray(TRUTH).save(path)
    np.testing.assert_array_equal(read_picture(path), TRUTH)
    first = dataclasses.replace(run().outputs[0], labels=path)
    assert summarise(run(outputs=[first])).miou_by_subset["rgb+lidar"].miou == 1.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: output(0.5, float("nan"), (RGB,)), r"received at 0.5 s after nan ms, expected finite"),
        (lambda: run(outputs=run().outputs[::-1]), r"outputs out of order.*sort by received_s"),
        (lambda: run(alive={RGB: [(0, 2), (1, 3)]}), r"found rgb alive during .*do not overlap; clip and merge"),
        (lambda: run(duration_s=2.0), r"expected ordered intervals within 0 to 2.0 s"),
        (lambda: read_picture(np.zeros((4, 4), np.float32)), r"found a picture float32 \(4, 4\), expected"),
    ],
)
def test_bad_records_are_refused(make, message):
    with pytest.raises(FrameError, match=message):
        make()


def test_missing_picture_is_named(tmp_path):
    with pytest.raises(FrameError, match=r"no readable picture at .*gone.png.*keep the files"):
        read_picture(tmp_path / "gone.png")


def test_terminal_table_is_narrow_and_tells_the_scores():
    text = summary_table(summarise(run()))
    assert max(map(len, text.splitlines())) <= 78
    assert "longest silence 0.75 s" in text
    assert re.search(r"rgb\+lidar +2 +58\.3% +87\.5%", text)
    assert "policy 'present'" in text
    assert "untrained" in text
