# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The check finds every planted fault of a data set, and none where there is none."""

import json
import runpy
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from any2seg_core.data.survey import survey
from any2seg_core.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = SimpleNamespace(**runpy.run_path(str(ROOT / "test" / "dataset_folders.py")))


@pytest.fixture
def street(tmp_path):
    FOLDERS.write_street(tmp_path, conditions=("sun", "rain"))
    return tmp_path


@pytest.fixture
def mcubes(tmp_path):
    FOLDERS.write_mcubes(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def main():
    return runpy.run_path(str(ROOT / "training" / "check_data.py"))["main"]


def found_in(root, dataset="street", **options):
    return [(problem.kind, problem.where) for problem in survey(dataset, root, **options).problems]


def test_a_sound_street(street):
    found = survey("street", street, threads=2)
    assert found.problems == []
    assert found.notes == []
    train = {"total": 8, "conditions": {"rain": 4, "sun": 4}, "failures": {"motionblur": 4, "none": 4}}
    assert found.splits["train"] == train
    assert {name: counts["total"] for name, counts in found.splits.items()} == {"train": 8, "val": 4, "test": 4}
    assert found.files["val"] == dict.fromkeys(("rgb", "depth", "event", "lidar", "hha", "labels"), 4)
    assert found.sizes == {name: {"48x40": 16} for name in found.files["val"]}
    stored = [cv2.imread(str(path), -1) for path in sorted(street.glob("semantic/*/train/*/*.png"))]
    pixels = found.class_pixels["train"]
    assert sum(pixels.values()) == 8 * 40 * 48
    assert pixels["Road"] == sum(int((image == 7).sum()) for image in stored)
    assert pixels["Sky"] == sum(int((image == 13).sum()) for image in stored)
    assert pixels["unlabelled"] == sum(int((image == 0).sum()) for image in stored) > 0


def test_sound_mcubes(mcubes):
    found = survey("mcubes", mcubes)
    assert (found.problems, found.notes) == ([], [])
    assert found.splits["test"] == {"total": 2, "conditions": {}, "failures": {}}
    assert found.sizes["aolp"] == {"240x32": 8}
    assert sum(found.class_pixels["train"].values()) == 4 * 32 * (240 - 192)


def test_small_events_are_sound(tmp_path):
    scenes = {"train": ("MAP_1_point1", "MAP_1_point1_eventlowres")}
    FOLDERS.write_deliver(tmp_path, conditions=("sun",), scenes=scenes)
    found = survey("deliver", tmp_path)
    assert found.problems == []
    assert found.sizes["event"] == {"48x40": 2, "24x20": 2}


def test_a_modality_without_a_folder_is_a_note_unless_it_must_be_there(street):
    shutil.rmtree(street / "hha")
    found = survey("street", street, quick=True)
    assert found.problems == []
    assert found.notes == ["hha: has no folder here, not looked at"]
    problems = found_in(street, quick=True, only=["rgb", "hha"])
    assert len(problems) == 16
    assert ("missing", "hha/rain/train/MAP_1_point1/000000_depth_front.png") in problems
    assert found_in(street, quick=True, only=["rgb", "lidar"]) == []


def missing(root):
    (root / "event/sun/val/MAP_2_point1/000001_event_front.png").unlink()


def misnamed(root):
    path = root / "img/sun/train/MAP_1_point1/000001_rgb_front.png"
    shutil.copy(path, path.with_name("000001_rgb_back.png"))


def without_labels(root):
    (root / "semantic/sun/test/MAP_3_point9/000000_semantic_front.png").unlink()


def snow(root):
    shutil.copytree(root / "img/sun", root / "img/snow")


def validation(root):
    (root / "lidar/sun/validation").mkdir()


def blurry(root):
    (root / "img/sun/train/MAP_1_point1_blurry").mkdir()


def no_manifest(root):
    (root / "dataset.json").unlink()


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (missing, [("missing", "event/sun/val/MAP_2_point1/000001_event_front.png")]),
        (misnamed, [("name", "img/sun/train/MAP_1_point1/000001_rgb_back.png")]),
        (
            without_labels,
            [
                ("unlabelled", f"{folder}/sun/test/MAP_3_point9/000000_{kind}_front.png")
                for folder, kind in FOLDERS.KINDS.items()
                if folder != "semantic"
            ],
        ),
        (snow, [("name", "img/snow")]),
        (validation, [("name", "lidar/sun/validation")]),
        (blurry, [("name", "img/sun/train/MAP_1_point1_blurry")]),
        (no_manifest, [("manifest", "dataset.json")]),
    ],
)
@pytest.mark.parametrize("quick", [False, True])
def test_faults_of_names(street, fault, expected, quick):
    fault(street)
    assert sorted(found_in(street, quick=quick)) == sorted(expected)


def broken(path):
    path.write_bytes(path.read_bytes()[:30])


def cropped(path):
    FOLDERS.write_png(path, cv2.imread(str(path), -1)[:30])


def unknown_id(path):
    FOLDERS.write_png(path, np.full((40, 48), 30, np.uint8))


def deep(path):
    FOLDERS.write_png(path, cv2.imread(str(path), -1).astype(np.uint16))


def shallow(path):
    FOLDERS.write_png(path, np.zeros((40, 48), np.uint8))


SAMPLE = "rain/train/MAP_1_point1/000000"
SEMANTIC, LIDAR = f"semantic/{SAMPLE}_semantic_front.png", f"lidar/{SAMPLE}_lidar_front.png"
DEPTH = f"depth/{SAMPLE}_depth_front.png"


@pytest.mark.parametrize(
    ("fault", "path", "expected"),
    [
        (broken, LIDAR, [("unreadable", LIDAR)]),
        (broken, SEMANTIC, [("unreadable", SEMANTIC)]),
        (cropped, LIDAR, [("size", SAMPLE)]),
        (cropped, SEMANTIC, [("size", SAMPLE)] * 4),  # events may have another size
        (unknown_id, SEMANTIC, [("labels", SEMANTIC)]),
        (deep, SEMANTIC, [("labels", SEMANTIC)]),
        (shallow, DEPTH, [("format", DEPTH)]),
    ],
)
def test_faults_of_content(street, fault, path, expected):
    """A quick look does not see them."""
    fault(street / path)
    assert found_in(street) == expected
    assert found_in(street, quick=True) == []


def test_faults_of_mcubes(mcubes):
    names = ["outscenetrain_0000000000", "outscenetrain_0000000001"]
    (mcubes / f"polL_dolp/{names[0]}.npy").write_bytes(b"x")
    np.save(mcubes / f"polL_aolp_cos/{names[1]}.npy", np.zeros((32, 100), np.float32))
    assert found_in(mcubes, "mcubes") == [("unreadable", f"polL_dolp/{names[0]}.npy"), ("size", names[1])]


def test_a_sample_in_two_lists(mcubes):
    """What was learnt must not be scored."""
    (mcubes / "list_folder/test.txt").write_text("outscenetrain_0000000002\n", encoding="utf-8")
    found = survey("mcubes", mcubes, quick=True)
    assert [(each.kind, each.where, each.what) for each in found.problems] == [
        ("two splits", "outscenetrain_0000000002", "in train and in test")
    ]
    assert "rgb: 2 file(s) in polL_color/ that no split lists" in found.notes


def test_a_missing_list(mcubes):
    (mcubes / "list_folder/val.txt").unlink()
    assert found_in(mcubes, "mcubes", quick=True) == [("list", "val")]


def test_single_angles_are_noticed(mcubes):
    """The sine of an angle from 0 to pi is never negative; that of the doubled angle is, half the time."""
    for path in mcubes.glob("polL_aolp_sin/*.npy"):
        np.save(path, np.abs(np.load(path)))
    found = survey("mcubes", mcubes)
    assert found.problems == []
    assert [note.split(" in ")[0] for note in found.notes] == [
        f"{split}: aolp: sine or cosine never changes its sign" for split in ("train", "val", "test")
    ]


def test_what_cannot_be_checked(tmp_path, street):
    with pytest.raises(ConfigError, match=r"found no folder .*nowhere"):
        survey("street", tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="found modalities nir, expected some of rgb, depth, event, lidar, hha"):
        survey("street", street, only=["nir"])
    with pytest.raises(ConfigError, match=r"found no sample of 'mcubes' in .*, which holds dataset.json, depth, event"):
        survey("mcubes", street)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="which holds nothing; expected semantic/"):
        survey("deliver", tmp_path / "empty")


def test_progress_is_told(street):
    told = []
    survey("street", street, start=told.append, done=told.append)
    assert told[0] == 16
    assert sum(told[1:]) == 16


def test_the_command_line_on_a_sound_folder(street, main, capsys):
    assert main(["street", str(street)]) == 0
    printed = capsys.readouterr()
    assert "train: 8 samples" in printed.out
    assert "conditions: rain 4, sun 4" in printed.out
    assert "failures: motionblur 4, none 4" in printed.out
    assert "rgb: 48x40 (16)" in printed.out
    assert "never seen: Fence" in printed.out
    assert "\n0 problem(s)" in printed.out
    assert "16/16" in printed.err


def test_the_command_line_lists_problems(street, main, capsys):
    for path in street.glob("lidar/sun/train/*/*.png"):
        path.unlink()
    assert main(["street", str(street), "--quick", "--show", "3"]) == 1
    printed = capsys.readouterr()
    assert "4 problem(s)\n  missing: 4\n    lidar/sun/train/" in printed.out
    assert "    and 1 more" in printed.out
    assert printed.err == ""


def test_the_command_line_gives_json(street, main, capsys):
    missing(street)
    assert main(["street", str(street), "--json", "--only", "rgb,event"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["problems"] == [
        {
            "kind": "missing",
            "where": "event/sun/val/MAP_2_point1/000001_event_front.png",
            "what": "event of sun/val/MAP_2_point1/000001",
        }
    ]
    assert report["files"]["val"] == {"rgb": 4, "event": 3, "labels": 4}
    assert report["sizes"]["event"] == {"48x40": 15}


def test_the_command_line_refuses(tmp_path, main, capsys):
    assert main(["street", str(tmp_path / "nowhere")]) == 2
    assert "error: check: found no folder" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        main(["cityscapes", str(tmp_path)])
    assert stopped.value.code == 2


def test_it_runs_as_a_program(street, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["check_data.py", "street", str(street), "--quick"])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(ROOT / "training" / "check_data.py"), run_name="__main__")
    assert stopped.value.code == 0
    assert "0 problem(s)" in capsys.readouterr().out
