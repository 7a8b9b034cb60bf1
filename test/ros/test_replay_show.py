# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What replay shows beside the page: tables, gates, comparison, film, words on the terminal."""

import csv
import math
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from any2seg_core.errors import ConfigError, DependencyError
from any2seg_ros.replay.show import finish, parse_gates
from any2seg_ros.replay.show.answers import losses, notes, single_losses
from any2seg_ros.replay.show.charts import MOST_CELLS, over_time
from any2seg_ros.replay.show.film import frames_per_s, write_film
from any2seg_ros.replay.show.gates import pass_gates
from any2seg_ros.replay.show.pictures import gallery
from any2seg_ros.replay.show.summary import summary
from any2seg_ros.replay.show.tables import disarmed, write_tables
from any2seg_ros.replay.show.words import columns, plain, points

V = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("replay_show_verdicts.py"))))


@pytest.fixture(scope="module")
def verdict():
    return V.realistic()


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_tables_hold_every_frame_class_subset_and_sensor(verdict, tmp_path):
    write_tables(verdict, tmp_path)
    frames, classes, subsets, sensors = (
        rows_of(tmp_path / f"{name}.csv") for name in ("frames", "classes", "subsets", "sensors")
    )
    assert len(frames) == sum(len(bag.frames) for bag in verdict.bags)
    first = verdict.bags[0].frames[0]
    assert (frames[0]["used"], int(frames[0]["stamp_ns"])) == ("rgb+depth+event+lidar", first.stamp_ns)
    assert float(frames[0]["miou"]) == first.miou
    assert frames[0]["changed"] == ""  # there is nothing before the first output
    assert len([row for row in classes if not row["bag"] and not row["condition"]]) == 25
    assert len([row for row in subsets if not row["bag"]]) == 15
    assert [row["absent"] for row in sensors[:4]] == ["stale:5", "", "", "absent:8 no_transform:1"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "  =1", "\n=1", "＝1"])  # noqa: RUF001
def test_a_formula_is_disarmed(text):
    assert disarmed(text) == "'" + text


@pytest.mark.parametrize("value", ["rgb+depth", "a=b", "", -1.5, 3, None])
def test_what_is_no_formula_is_left_alone(value):
    assert disarmed(value) is value


def test_strings_from_a_recording_stay_in_their_cells(tmp_path):
    write_tables(V.evil(tmp_path), tmp_path)
    rows = rows_of(tmp_path / "classes.csv")
    assert {row["name"] for row in rows} == {V.EVIL_CLASS, V.EVIL_TOPIC, "'=cmd|' /C calc'!A0"}
    assert all(None not in row for row in rows)  # no cell runs over into another


# Gates


def test_gates_are_read(verdict):
    names = [row.name for row in verdict.model.classes]
    found = parse_gates(" miou=0.5, MISS = .4,iou.cars=0.3 ", names)
    assert [(gate.name, gate.least) for gate in found] == [("miou", 0.5), ("miss", 0.4), ("iou.Cars", 0.3)]
    assert parse_gates("", names) == parse_gates("  ", names) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("miou", "found 'miou', expected a score and its least value"),
        ("miou=50", "in \\[0, 1\\]"),
        ("miou=nan", "in \\[0, 1\\]"),
        ("miou=-0.1", "in \\[0, 1\\]"),
        ("=0.5", "found '=0.5'"),
        ("miou=0.5,", "found ''"),
        ("miuo=0.5", "did you mean miou"),
        ("iou.Car=0.5", "did you mean iou.Cars"),
        ("miou=0.5,miou=0.6", "found 'miou' twice"),
        ("\x1b[2J=0.5", "x1b"),
    ],
)
def test_a_malformed_gate_is_told(text, told):
    with pytest.raises(ConfigError, match=told):
        parse_gates(text, V.CLASSES)


def test_classes_that_differ_in_case_alone_are_told_apart():
    assert parse_gates("iou.car=0.5", ["Car", "car"])[0].name == "iou.car"
    with pytest.raises(ConfigError, match=r"found the score 'iou\.CAR'"):
        parse_gates("iou.CAR=0.5", ["Car", "car"])


def test_a_gate_passes_at_its_least_value_and_fails_below(verdict):
    exactly = verdict.scores.miou["present"]
    gates = parse_gates(f"miou={exactly},f1=1,miss=0.36", V.CLASSES)
    assert [outcome.passed for outcome in pass_gates(gates, verdict)] == [True, False, True]


@pytest.mark.parametrize(
    ("gate", "told"),
    [("miou=0.0", "no output could be compared with truth"), ("miss=0", "no output could be compared")],
)
def test_a_score_that_cannot_be_computed_fails_its_gate(gate, told):
    (outcome,) = pass_gates(parse_gates(gate, V.CLASSES), V.without_truth())
    assert not outcome.passed
    assert told in outcome.text


def test_a_class_that_does_not_occur_fails_its_gate(verdict):
    (outcome,) = pass_gates(parse_gates("iou.Bridge=0", V.CLASSES), verdict)
    assert not outcome.passed
    assert "neither truth nor prediction" in outcome.text


# Film


def decoded(path):
    av = pytest.importorskip("av")
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_the_film_shows_every_readable_picture_in_one_size(tmp_path):
    folder = tmp_path / "film"
    V.picture_file(folder / "000001.jpg", 1, width=161, height=121)
    V.picture_file(folder / "000002.jpg", 2, width=80, height=80)
    (folder / "000003.jpg").write_bytes((folder / "000001.jpg").read_bytes()[:500])
    (folder / "000004.jpg").write_bytes(b"")
    V.picture_file(folder / "000005.jpg", 5, width=161, height=121)
    assert write_film(sorted(folder.iterdir()), tmp_path / "overlay.mp4", 5) == 3
    shown = decoded(tmp_path / "overlay.mp4")
    assert [frame.shape for frame in shown] == [(120, 160, 3)] * 3
    assert shown[1][60, 5].max() < 40  # a square picture stands between black sides
    assert shown[1][20, 80].max() > 90
    assert abs(shown[0][5, 5].astype(int) - (120, 170, 200)).max() < 12  # the sky, in the right order of colours


def test_without_pictures_there_is_no_film(tmp_path):
    assert write_film([], tmp_path / "overlay.mp4", 5) == 0
    assert list(tmp_path.iterdir()) == []


def test_the_film_runs_as_fast_as_the_recording(verdict):
    assert frames_per_s(verdict) == 5  # 56 outputs in 12 s
    assert frames_per_s(V.damaged()) == 10


# Answers and charts


def test_losses_are_held_against_all_sensors(verdict):
    found = losses(verdict.subsets)
    assert [len(found), found[0].gone, found[0].loss] == [15, (), 0.0]
    assert [one.loss for one in found] == sorted(one.loss for one in found)
    assert [one.gone for one in single_losses(verdict.subsets)] == [("rgb",), ("lidar",), ("depth",), ("event",)]
    assert single_losses(verdict.subsets)[0].loss == pytest.approx(0.9 * 0.22)


def test_the_notes_say_what_the_numbers_do_not(verdict):
    untrained = V.verdict_of([V.bag(timing=V.timing().model_copy(update={"realtime": 0.4}))])
    untrained = untrained.model_copy(update={"model": V.model(sha="")})
    told = " ".join(text for _, text in notes(untrained))
    assert "the weights are untrained" in told
    assert "0.4 times real time" in told
    assert any("cut off or damaged" in text and name == "drive_0413_night" for name, text in notes(verdict))


def test_the_timeline_shows_who_served_and_where_nothing_came(verdict):
    drawn = over_time(verdict.bags[0])
    lanes = {lane.name: lane for lane in drawn.lanes}
    faults = ["rgb dropout", "lidar sector loss"]
    assert list(lanes) == ["Outputs", "Camera", "Depth", "Events", "LiDAR", *faults, "day", "night"]
    (dead,) = lanes["rgb dropout"].blocks
    assert (dead.x, dead.width, dead.share) == pytest.approx((300.0, 200.0, 1.0))
    assert dead.title == "rgb dropout, 1.8 s to 3.0 s"
    assert len(lanes["Outputs"].blocks) == 2  # one silence parts them
    camera = [block.share for block in lanes["Camera"].blocks]
    assert camera == [1.0, 0.0, 1.0, 1.0]
    assert [block.share for block in lanes["Depth"].blocks] == [1.0, 1.0]
    assert [curve.line.count("M") for curve in drawn.curves] == [2, 2, 2]
    assert drawn.outside == 0


def test_a_chart_stays_small_however_long_the_recording():
    often = [(0.5 * turn, 0.5 * turn + 0.1) for turn in range(8000)]
    fault = V.schema.FaultUse(text="", name="rgb blank", seen=0, changed=0, lost=0, spans_s=often)
    bag = V.bag(count=20_000, duration_s=4000.0, faults=[fault])
    drawn = over_time(bag)
    assert max(len(lane.blocks) for lane in drawn.lanes) <= MOST_CELLS
    assert sum(len(curve.line) + len(curve.band) for curve in drawn.curves) < 60_000


def test_stamps_out_of_order_repeated_or_outside_of_the_recording_do_no_harm():
    rows = V.bag().frames
    mixed = [rows[5], rows[2], rows[2], rows[9], rows[0].model_copy(update={"t_s": -1.7e9})]
    drawn = over_time(V.bag(frames=mixed, outputs=5))
    assert drawn.outside == 1
    assert all(0 <= b.x <= 1000 and b.width >= 0 and math.isfinite(b.x) for lane in drawn.lanes for b in lane.blocks)


# Words and the whole


def test_columns_align_and_nothing_steers_the_terminal():
    text = columns([["name", "n"], ["a\x1b[31m", "10"], ["long name", "1"]], indent="")
    assert text.splitlines() == ["name        n", "a\\x1b[31m  10", "long name   1"]
    assert plain("\u202eabc\n") == "\\u202eabc\\n"


def test_a_change_of_nothing_has_no_sign():
    assert [points(x) for x in (0.0, -1e-9, 0.031, -0.5)] == ["0.0", "0.0", "+3.1", "\N{MINUS SIGN}50.0"]


@pytest.mark.parametrize("made", [V.realistic, V.without_truth, V.damaged], ids=lambda made: made.__name__)
def test_the_summary_answers_the_three_questions(made):
    text = summary(made())
    assert all(question in text for question in ("How good is it?", "What if a sensor dies?", "What was missing?"))


def test_the_summary_of_an_evil_verdict_prints(tmp_path):
    text = summary(V.evil(tmp_path))
    assert all(sign.isprintable() or sign == "\n" for sign in text)


def run(verdict, out, **options):
    return finish(verdict, out, **{"against": None, "fail_under": "", "video": False, **options})


def test_everything_is_written_and_nothing_half(verdict, tmp_path, capsys):
    V.picture_file(tmp_path / "film" / "000001.jpg")
    old = tmp_path / "old.json"
    old.write_text(verdict.model_dump_json())
    assert run(verdict, tmp_path, against=old, fail_under="miou=0.1", video=True) == 0
    names = {path.name for path in tmp_path.iterdir()} - {"film", "old.json"}
    assert names == {"report.html", "frames.csv", "classes.csv", "subsets.csv", "sensors.csv", "overlay.mp4"}
    told = capsys.readouterr().out
    assert "gate miou passed" in told
    assert "The same: mIoU per frame" in told
    assert str(tmp_path / "report.html") in told


def test_a_gate_that_is_not_passed_ends_with_1_and_says_which(verdict, tmp_path, capsys):
    assert run(verdict, tmp_path, fail_under="miou=0.99,miss=0.1,iou.Bridge=0.1") == 1
    told = capsys.readouterr()
    assert "gate miou FAILED: found 0.3" in told.err
    assert "gate iou.Bridge FAILED: no score" in told.err
    assert "gate miss passed" in told.out


@pytest.mark.parametrize("options", [{"fail_under": "miou"}, {"against": Path("/no/such.json")}])
def test_what_cannot_be_done_ends_with_2_and_the_report_stands(verdict, tmp_path, capsys, options):
    assert run(verdict, tmp_path, **options) == 2
    assert "found" in capsys.readouterr().err
    assert "Not done" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_film_without_pictures_is_told(verdict, tmp_path, capsys):
    assert run(verdict, tmp_path, video=True) == 0
    assert "film: found no picture" in capsys.readouterr().err


def test_the_same_verdict_gives_the_same_bytes(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        run(V.realistic(tmp_path / name), tmp_path / name)
    one, other = ((tmp_path / name / "report.html").read_bytes() for name in "ab")
    assert one == other


def test_no_file_outside_of_the_folder_gets_into_the_page(tmp_path):
    inside = tmp_path / "out"
    made = V.evil(inside)
    V.picture_file(tmp_path / "secret.jpg")
    found = gallery(made, inside)
    assert (len(found.shots), found.unreadable) == (1, 2)
    (inside / "pictures" / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    shots = [made.bags[0].pictures[0].model_copy(update={"file": "pictures/link.jpg"})]
    linked = made.model_copy(update={"bags": [made.bags[0].model_copy(update={"pictures": shots})]})
    assert gallery(linked, inside).shots == []


@pytest.mark.parametrize(("package", "video"), [("jinja2", False), ("av", True)])
def test_a_missing_package_is_named(verdict, tmp_path, monkeypatch, package, video):
    V.picture_file(tmp_path / "film" / "000001.jpg")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DependencyError, match=f"pip install {package}"):
        run(verdict, tmp_path, video=video)
    assert not (tmp_path / "report.html").exists()
