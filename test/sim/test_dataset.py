# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Data sets of simulated streets: DELIVER's names, one's own bytes however they came about, nothing overwritten."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest

from any2seg_core.config import PreprocessConfig
from any2seg_core.errors import ConfigError
from any2seg_core.frames import DELIVER_CLASSES, CameraModel, Events, Modality, Points, SensorFrame
from any2seg_core.preprocess import Preprocessor
from any2seg_sim.__main__ import main
from any2seg_sim.dataset.command import seeds_of
from any2seg_sim.dataset.layout import plan_scenes, split_of
from any2seg_sim.dataset.recipe import Recipe, claim
from any2seg_sim.dataset.sheet import assemble
from any2seg_sim.dataset.survey import scenes_of, survey
from any2seg_sim.dataset.writer import write_dataset
from any2seg_sim.settings import FAILURES, DriveSettings
from any2seg_sim.weather import WEATHERS

DRIVE = DriveSettings(width=64, height=64, samples=1, lidar_rings=16, lidar_columns=256)
NAME = re.compile(
    r"(img|depth|hha|lidar|event|semantic|raw)/(cloud|fog|night|rain|sun)/(train|val|test)/MAP_\d+_point\d+"
    r"(_motionblur|_overexposure|_underexposure|_lidarjitter|_eventlowres)?/\d{6}_(rgb|depth|lidar|event|semantic|raw)_front"
    r"\.(png|npz)"
)
COMMAND = ["--size", "64x64", "--samples", "1", "--lidar-rings", "16", "--lidar-columns", "256"]


def recipe(**changes):
    return Recipe(**{"drive": DRIVE, "frames": 2, "every_s": 0.5, "raw": True, **changes})


def scenes():
    return plan_scenes([3], ["sun", "night"], "eventlowres")


def contents(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One small data set, rendered in this process."""
    root = tmp_path_factory.mktemp("street") / "data"
    assert write_dataset(root, recipe(), scenes()) == 8
    return root


def test_files_are_named_as_delivers_are(made):
    files = set(contents(made))
    assert files - {name for name in files if NAME.fullmatch(name)} == {"dataset.json"}
    assert "hha/sun/val/MAP_3_point1/000000_depth_front.png" in files
    assert "event/night/val/MAP_3_point1_eventlowres/000001_event_front.png" in files
    assert len(files) == 1 + 7 * 8


def test_pictures_are_what_the_robot_would_draw_from_the_same_measurements(made):
    manifest = json.loads((made / "dataset.json").read_text())
    view = CameraModel(64, 64, np.array(manifest["camera"]["k"]).reshape(3, 3))
    to_view = np.array(manifest["lidar_to_camera"]).reshape(4, 4)
    draw = Preprocessor(PreprocessConfig(depth_encoding="hha"), [Modality.DEPTH, Modality.EVENT, Modality.LIDAR])
    stem = "sun/val/MAP_3_point1/000001"
    raw = np.load(made / f"raw/{stem}_raw_front.npz")
    stamp = int(raw["stamp_ns"])
    width, height = raw["events_size"]
    events = Events(*(raw[f"events_{name}"] for name in ("x", "y", "polarity", "t_ns")), int(width), int(height))
    frames = {
        "lidar": SensorFrame(
            Modality.LIDAR, stamp, "", Points(raw["points_xyz"], raw["points_intensity"]), to_view=to_view
        ),
        "event": SensorFrame(Modality.EVENT, stamp, "", events, end_ns=stamp),
        "hha": SensorFrame(Modality.DEPTH, stamp, "", raw["depth_m"]),
    }
    for folder, frame in frames.items():
        kind = "depth" if folder == "hha" else folder
        stored = cv2.imread(str(made / f"{folder}/{stem}_{kind}_front.png"), cv2.IMREAD_UNCHANGED)[..., ::-1]
        drawn = draw.prepare(frame, (64, 64), view).transpose(1, 2, 0)
        np.testing.assert_array_equal(stored, np.rint(255 * drawn).astype(np.uint8), err_msg=folder)
        assert stored.any(), folder
    millimetres = cv2.imread(str(made / f"depth/{stem}_depth_front.png"), cv2.IMREAD_UNCHANGED)
    assert millimetres.dtype == np.uint16
    measured = (raw["depth_m"] > 0) & (raw["depth_m"] < 65)
    np.testing.assert_allclose(millimetres[measured] * 0.001, raw["depth_m"][measured], atol=0.0005001)
    assert not millimetres[np.isnan(raw["depth_m"])].any()


def test_classes_are_stored_one_up_and_events_of_low_resolution_are_small(made):
    labels = cv2.imread(str(made / "semantic/sun/val/MAP_3_point1/000000_semantic_front.png"), cv2.IMREAD_UNCHANGED)
    assert labels.shape == (64, 64)
    assert labels.min() >= 1
    assert labels.max() <= len(DELIVER_CLASSES)
    assert {DELIVER_CLASSES.names.index("Road") + 1, DELIVER_CLASSES.names.index("Sky") + 1} <= set(labels.ravel())
    small, full = (
        cv2.imread(str(made / f"event/sun/val/MAP_3_point1{suffix}/000000_event_front.png")).shape[0]
        for suffix in ("_eventlowres", "")
    )
    assert small < full == 64


def test_several_processes_make_the_same_bytes(made, tmp_path):
    write_dataset(tmp_path / "data", recipe(), scenes(), workers=2)
    assert contents(tmp_path / "data") == contents(made)


def test_what_is_missing_is_made_again_and_nothing_else(made, tmp_path):
    root = tmp_path / "data"
    shutil.copytree(made, root)
    gone = root / "lidar/night/val/MAP_3_point1/000001_lidar_front.png"
    gone.unlink()
    gone.with_name(f".{gone.name}.unfinished").write_bytes(b"half a file")
    kept = root / "img/sun/val/MAP_3_point1/000000_rgb_front.png"
    before = kept.stat().st_mtime_ns
    assert write_dataset(root, recipe(), scenes()) == 1
    assert contents(root) == contents(made)
    assert kept.stat().st_mtime_ns == before


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(made, tmp_path):
    root = tmp_path / "data"
    arguments = ["dataset", "--out", str(root), "--seeds", "3", "--weathers", "sun,night", "--failures", "eventlowres"]
    arguments += ["--frames", "2", "--every", "0.5", "--raw", "--workers", "1", *COMMAND]
    process = subprocess.Popen([sys.executable, "-m", "any2seg_sim", *arguments], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not any((root / "img").rglob("*.png")) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 0 < len(contents(root)) < len(contents(made))
    assert main(arguments) == 0
    assert contents(root) == contents(made)


def test_a_folder_of_another_recipe_is_left_alone(made):
    before = contents(made)
    other = recipe(drive=replace(DRIVE, lidar_rings=8), every_s=2.0)
    with pytest.raises(
        ConfigError, match=r"another one in .*drive\.lidar_rings 16 instead of 8; every_s 0\.5 instead of 2"
    ):
        write_dataset(made, other, scenes())
    assert contents(made) == before


def test_a_folder_of_anything_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(ConfigError, match=r"not empty and without dataset\.json"):
        claim(tmp_path, recipe())
    assert contents(tmp_path) == {"thesis.txt": b"precious"}
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(ConfigError, match="not usable"):
        claim(tmp_path, recipe())
    assert contents(tmp_path) == {"thesis.txt": b"precious", "dataset.json": b"{"}


def test_more_seeds_join_a_data_set(made, tmp_path):
    root = tmp_path / "data"
    shutil.copytree(made, root)
    assert write_dataset(root, recipe(), plan_scenes([3, 4], ["sun"], "none")) == 2
    assert (root / "img/sun/test/MAP_4_point1/000001_rgb_front.png").is_file()


def test_the_same_street_differs_in_weather_but_not_in_size_of_the_world(made):
    sun, night = (
        cv2.imread(str(made / f"img/{weather}/val/MAP_3_point1/000000_rgb_front.png")) for weather in ("sun", "night")
    )
    assert sun.mean() > 1.5 * night.mean()


def test_a_survey_counts_every_pixel(made):
    found = survey(made)
    assert sum(found.frames.values()) == 8
    assert found.frames["val", "sun", "eventlowres"] == 2
    assert found.pixels["val"].sum() == 8 * 64 * 64
    assert found.shares().sum() == pytest.approx(1)
    text = found.markdown()
    assert "| Road | " in text
    assert "Frames: val 8" in text
    assert [(scene, len(frames)) for scene, frames in scenes_of(made)] == [
        (scene, 2) for scene in sorted(scenes(), key=lambda scene: (scene.weather, scene.name))
    ]


def test_five_streets_see_every_failure_under_every_weather():
    planned = plan_scenes(range(5), WEATHERS)
    assert {(scene.weather, scene.failure) for scene in planned} == {
        (weather, failure) for weather in WEATHERS for failure in ("", *FAILURES)
    }
    assert len(planned) == 5 * 5 * 2
    assert {scene.split for scene in planned} == {"train", "val", "test"}


def test_a_street_stays_in_its_split_however_many_there_are():
    few = {scene.seed: scene.split for scene in plan_scenes(range(4), ["sun"], "none")}
    many = {scene.seed: scene.split for scene in plan_scenes(range(40), ["sun"], "none")}
    assert few.items() <= many.items()
    assert [split_of(seed) for seed in range(5)] == ["train", "train", "train", "val", "test"]
    assert {scene.split for scene in plan_scenes(range(9), ["sun"], split="test")} == {"test"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--weathers", "sun,hail"], "weathers sun, hail .*cloud, fog, night, rain, sun"),
        (["--failures", "gremlins"], "failures 'gremlins' .*rotate, all, none, motionblur"),
        (["--seeds", "3:3"], r"seeds \[\]"),
        (["--seeds", "1,1"], r"seeds \[1, 1\]"),
        (["--seeds", "one"], "--seeds: found 'one', expected FIRST:END"),
        (["--frames", "0"], "found 0 frames"),
        (["--every", "0"], "every 0 s"),
        (["--size", "8x8"], "width 8"),
        (["--workers", "0"], "found 0 workers"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_written(arguments, message, tmp_path, capsys):
    base = {"--out": str(tmp_path / "data"), "--weathers": "sun", "--failures": "none"}
    given = base | dict(zip(arguments[::2], arguments[1::2], strict=True))
    assert main(["dataset", *(part for pair in given.items() for part in pair)]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "data").exists()


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ConfigError, match="not usable"):
        write_dataset(file / "data", recipe(), scenes())


def test_commands_draw_and_count(made, tmp_path, capsys):
    assert main(["sheet", "--dataset", str(made), "--out", str(tmp_path / "a.jpg"), "--tile", "64"]) == 0
    out = capsys.readouterr().out
    assert "| Road |" in out
    picture = cv2.imread(str(tmp_path / "a.jpg"))
    assert picture.shape[1] > 5 * 64
    assert main(["sheet", "--dataset", str(tmp_path), "--out", str(tmp_path / "b.jpg")]) == 2
    assert "no readable dataset.json" in capsys.readouterr().err
    assert main(["sheet", "--dataset", str(made), "--out", str(tmp_path / "c.text")]) == 2
    assert not (tmp_path / "c.text").exists()


@pytest.mark.slow
def test_sheets_of_weathers_and_failures_differ_where_they_should(tmp_path):
    assert (
        main(
            ["sheet", "--show", "failures", "--moment", "1", "--tile", "64", "--out", str(tmp_path / "a.png"), *COMMAND]
        )
        == 0
    )
    sheet = cv2.imread(str(tmp_path / "a.png")).astype(int)
    left, top, step, row = 46, 30, 70, 70
    for index, name in enumerate(FAILURES):
        columns = slice(left + index * step, left + index * step + 64)
        sound, failing = sheet[top : top + 64, columns], sheet[top + row : top + row + 64, columns]
        assert np.abs(sound - failing).max() > 40, name


def test_tiles_stand_in_a_grid():
    black, white = np.zeros((20, 20, 3), np.uint8), np.full((20, 20, 3), 255, np.uint8)
    sheet = assemble([[black, white], [white, black]], columns=("a", "b"), rows=("c", "d"), tile_px=20)
    assert sheet[35, 50].tolist() == [0, 0, 0] == sheet[65, 80].tolist()
    assert sheet[35, 80].tolist() == [255, 255, 255] == sheet[65, 50].tolist()


def test_seeds_are_ranges_or_lists():
    assert seeds_of("2:5") == [2, 3, 4]
    assert seeds_of("7") == [7]
    assert seeds_of("1,4") == [1, 4]
