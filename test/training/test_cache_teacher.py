# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The command that describes and embeds a split, on tiny folders of all three kinds."""

import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from any2seg_core.data import open_dataset
from any2seg_core.experiment import load_experiment
from any2seg_core.frames import Modality
from any2seg_core.teacher import TeacherCache, file_stamp
from any2seg_core.teacher.captions import CaptionFile

ROOT = Path(__file__).resolve().parents[2]
TOOL = runpy.run_path(str(ROOT / "training" / "cache_teacher.py"))
FOLDERS = runpy.run_path(str(ROOT / "test" / "dataset_folders.py"))
FOUR = ["rgb", "depth", "event", "lidar"]


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "street"
    ids = FOLDERS["write_street"](root, conditions=("fog", "night"))
    return root, ids["train"]


def experiment_file(folder, dataset, root, **teacher):
    path = folder / "e.yaml"
    settings = {"kind": "tiny", "cache": str(folder / "{split}.safetensors")} | teacher
    lines = [f"  {name}: {value!r}" for name, value in settings.items()]
    modalities = ["rgb", "nir", "aolp", "dolp"] if dataset == "mcubes" else FOUR
    path.write_text(
        f"data: {{dataset: {dataset}, root: {str(root)!r}, workers: 0}}\nmodel: {{modalities: {modalities}}}\n"
        "teacher:\n" + "\n".join(lines) + "\n"
    )
    return path


def run(path, *more):
    return TOOL["main"]([str(path), "--device", "cpu", *more])


def test_a_street_from_folder_to_targets(street, tmp_path, capsys):
    root, ids = street
    path = experiment_file(tmp_path, "street", root)
    assert run(path, "--batch-size", "3") == 0
    out = capsys.readouterr().out
    assert f"{len(ids)} samples in {tmp_path / 'train.safetensors'}" in out
    assert "lidar: cosine to the text" in out
    cache = TeacherCache.open(tmp_path / "train.safetensors")
    found = cache.targets(ids, [Modality(name) for name in FOUR])
    assert found.valid.all()
    assert float(found.correlation.std(dim=0).min()) > 0.001
    captions = CaptionFile(tmp_path / "train.captions.jsonl").read()
    assert list(captions) == ids
    assert all(row.caption.startswith("A street scene with ") for row in captions.values())
    assert {row.caption.rsplit(" ", 2)[-2:][0] for row in captions.values()} == {"in", "at"}
    experiment = load_experiment(path)
    dataset = open_dataset(experiment.data, experiment.preprocess, cache.modalities[:2], split="train")
    stamps = {files.id: file_stamp(files.paths, files.labels) for files in dataset.samples}
    TeacherCache.open(tmp_path / "train.safetensors", stamps=stamps)


def test_the_depth_tower_gets_the_metres_of_the_file(street, tmp_path):
    root, ids = street
    for depth_source, encoding in (("raw", "inverse"), ("hha", "hha")):
        path = experiment_file(tmp_path, "street", root, depth_max_m=6.0)
        experiment = load_experiment(
            path, [f"data.depth_source={depth_source}", f"preprocess.depth_encoding={encoding}"]
        )
        source = TOOL["DatasetSource"](experiment, "train", [Modality(name) for name in FOUR])
        view = source[1]
        stored = cv2.imread(str(root / "depth" / f"{ids[1]}_depth_front.png"), cv2.IMREAD_UNCHANGED) / 1000.0
        expected = np.where(stored > 0, stored.clip(0.01, 6), np.nan)
        np.testing.assert_allclose(view.depth_m, expected, rtol=1e-4)
        assert np.isnan(view.depth_m.numpy()).any()
        assert (stored > 6).any()
        assert set(view.pictures) == {Modality.RGB, Modality.EVENT, Modality.LIDAR}
        assert "metres=" in source.stamps[0]
        assert "depth=" not in source.stamps[0]


def test_an_image_tower_gets_depth_pictures(street, tmp_path):
    path = experiment_file(tmp_path, "street", street[0], towers=["depth=image"])
    for choices, grey in (([], True), (["data.depth_source=hha", "preprocess.depth_encoding=hha"], False)):
        source = TOOL["DatasetSource"](load_experiment(path, choices), "train", [Modality.DEPTH])
        view = source[0]
        assert view.depth_m is None
        picture = view.pictures[Modality.DEPTH]
        assert torch.equal(picture[0], picture[1]) == grey
        assert "depth=" in source.stamps[0]


@pytest.mark.parametrize("dataset", ["mcubes", "deliver"])
def test_other_folders(tmp_path, dataset):
    root = tmp_path / dataset
    options = {} if dataset == "mcubes" else {"conditions": ("sun",)}
    ids = FOLDERS[f"write_{dataset}"](root, **options)
    path = experiment_file(tmp_path, dataset, root)
    assert run(path, "--split", "val") == 0
    cache = TeacherCache.open(tmp_path / "val.safetensors")
    assert list(cache.stamps) == ids["val"]
    assert cache.valid.all()


def test_resuming_changing_and_rebuilding(street, tmp_path, capsys):
    path = experiment_file(tmp_path, "street", street[0])
    assert run(path, "--captions-only") == 0
    assert not (tmp_path / "train.safetensors").exists()
    lines = (tmp_path / "train.captions.jsonl").read_text().splitlines()
    (tmp_path / "train.captions.jsonl").write_text("\n".join(lines[:2]) + "\n" + lines[2][:30])
    assert run(path) == 0
    assert (tmp_path / "train.captions.jsonl").read_text().splitlines() == lines
    content = (tmp_path / "train.safetensors").read_bytes()
    assert run(path) == 0
    assert (tmp_path / "train.safetensors").read_bytes() == content
    capsys.readouterr()
    assert run(path, "teacher.seed=2") == 1
    assert "error: teacher cache" in (message := capsys.readouterr().err)
    assert "seed: found 0, expected 2" in message
    assert run(path, "teacher.seed=2", "--rebuild") == 0
    assert (tmp_path / "train.safetensors").read_bytes() != content


def test_texts_made_elsewhere(street, tmp_path, capsys):
    root, ids = street
    (tmp_path / "texts-train.jsonl").write_text("".join(f'{{"id": "{name}", "caption": "A road."}}\n' for name in ids))
    path = experiment_file(
        tmp_path, "street", root, caption_source="jsonl", captions=str(tmp_path / "texts-{split}.jsonl")
    )
    assert run(path) == 0
    assert run(path, "--split", "val") == 1
    assert "found none for" in capsys.readouterr().err


def test_an_unreadable_sample_stops_or_is_seen_as_empty(tmp_path, capsys):
    root = tmp_path / "street"
    ids = FOLDERS["write_street"](root, conditions=("fog",))["train"]
    (root / "lidar" / f"{ids[1]}_lidar_front.png").write_bytes(b"no picture")
    path = experiment_file(tmp_path, "street", root)
    assert run(path) == 1
    assert ids[1] in capsys.readouterr().err
    assert run(path, "data.skip_corrupt=true") == 0
    assert "1 of them unreadable and empty" in capsys.readouterr().out
    cache = TeacherCache.open(tmp_path / "train.safetensors")
    assert cache.valid.all(dim=1).tolist() == [name != ids[1] for name in ids]


def test_no_teacher_is_refused(street, tmp_path, capsys):
    assert run(experiment_file(tmp_path, "street", street[0], kind="none")) == 1
    assert "found kind 'none'" in capsys.readouterr().err
