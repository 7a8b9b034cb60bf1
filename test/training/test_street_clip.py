# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The teacher that is made here: it learns, it is what hf_clip loads, and the same seed makes the same one."""

import importlib.util
import json
import math
import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from any2seg_core.frames import DELIVER_CLASSES, Modality
from any2seg_core.teacher.names import class_phrases

TRAINING = Path(__file__).resolve().parents[2] / "training"
EXPERIMENT = TRAINING / "experiments" / "study_lscd.yaml"


@pytest.fixture
def clip(monkeypatch):
    """The script, with a model that is soon trained."""
    monkeypatch.syspath_prepend(str(TRAINING))
    spec = importlib.util.spec_from_file_location("street_clip", TRAINING / "street_clip.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "street_clip", module)
    spec.loader.exec_module(module)
    for name, value in {"LAYERS": {"vision": 1, "text": 1}, "WIDTH": 48, "DIM": 32, "SIDE_PX": 48}.items():
        monkeypatch.setattr(module, name, value)
    return module


def make(clip, street_folder, out, *more):
    given = [str(EXPERIMENT), f"data.root={street_folder}", f"teacher.path={out}", "--batch-size", "8", *more]
    return clip.main(given)


def test_it_is_a_teacher_that_hf_clip_loads_and_the_cache_takes(clip, street_folder, tmp_path, monkeypatch, capsys):
    out = tmp_path / "made" / "clip"
    assert make(clip, street_folder, out, "--steps", "3") == 0
    assert f"{out}: closer to the own description than to another's, on 4 images" in capsys.readouterr().out
    scores = json.loads((out / "scores.json").read_text())
    assert set(scores["rightly_paired"]) == {"rgb", "depth", "event", "lidar"}
    assert [path.name for path in out.parent.iterdir()] == ["clip"]
    cache_teacher = importlib.import_module("cache_teacher")
    settings = [f"data.root={street_folder}", f"teacher.path={out}", f"teacher.cache={tmp_path}/{{split}}.safetensors"]
    assert cache_teacher.main([str(EXPERIMENT), *settings, "data.workers=0", "--device", "cpu"]) == 0
    assert "8 samples in" in capsys.readouterr().out


def test_the_same_seed_makes_the_same_teacher(clip, street_folder, tmp_path):
    seeds = {"one": "5", "same": "5", "other": "6"}
    for name, seed in seeds.items():
        assert make(clip, street_folder, tmp_path / name, "--steps", "2", "--seed", seed) == 0
    one, same, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in seeds)
    assert one == same != other


def test_it_learns_which_description_belongs_to_which_picture(clip, street_folder, tmp_path):
    """Of the pictures that it learns from, which are few enough for a model this small."""
    given = [f"data.root={street_folder}", "data.eval_split=train", "--steps", "300", "--rate", "0.002"]
    assert make(clip, street_folder, tmp_path / "clip", *given) == 0
    found = json.loads((tmp_path / "clip" / "scores.json").read_text())["rightly_paired"]
    assert min(found[name] for name in ("rgb", "event", "lidar")) > 0.65, found  # this folder's depth shows nothing


def test_every_class_name_is_known_whole(clip):
    experiment = clip.load_experiment(EXPERIMENT, [])
    describe = clip.Describer(experiment, DELIVER_CLASSES.names)
    phrases = class_phrases(DELIVER_CLASSES.names, experiment.teacher)
    tokenizer = clip.build_tokenizer(["A street scene with road in fog.", *phrases])
    rows = tokenizer([f"A street scene with {phrase}." for phrase in phrases])["input_ids"]
    assert not any(tokenizer.unk_token_id in row for row in rows)
    assert {(row[0], row[-1]) for row in rows} == {(tokenizer.bos_token_id, tokenizer.eos_token_id)}
    assert len(set(map(tuple, rows))) == len(phrases)
    longest = torch.arange(12, dtype=torch.uint8).repeat_interleave(32)[None]  # as many classes as a text names
    assert len(tokenizer(describe([longest], ["cloud"]))["input_ids"][0]) <= clip.TOKENS


def test_the_loss_of_hand_computed_vectors(clip):
    images = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    texts = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    scale = torch.tensor(math.log(2.0))
    rows = [(2.0, 1.2), (0.0, 1.6)]  # 2 * cosines
    own = [-math.log(math.exp(row[i]) / sum(map(math.exp, row))) for i, row in enumerate(rows)]
    back = [-math.log(math.exp(row[i]) / sum(map(math.exp, row))) for i, row in enumerate(zip(*rows, strict=True))]
    assert float(clip.contrast(images, texts, scale, ["a", "b"])) == pytest.approx((sum(own) + sum(back)) / 4)
    alike = clip.contrast(images, texts[:1].expand(2, -1), scale, ["a", "a"])
    logits = 2 * images @ texts[:1].expand(2, -1).T
    expected = -(functional.log_softmax(logits, 1).mean() + functional.log_softmax(logits.T, 1).mean()) / 2
    assert float(alike) == pytest.approx(float(expected))
    assert float(clip.contrast(images, texts, torch.tensor(9.0), ["a", "b"])) == pytest.approx(
        float(clip.contrast(images, texts, torch.tensor(math.log(100.0)), ["a", "b"]))
    )


def test_right_pairs_are_counted_among_different_descriptions_only(clip):
    class Known:
        """Pictures carry their vector in their first pixels."""

        def encode_texts(self, texts):
            return torch.tensor([[float(text == "a"), float(text == "b")] for text in texts])

        def encode_images(self, _, images):
            return images[:, 0, 0, :2]

    def scene(first, second):
        picture = torch.zeros(3, 4, 4, dtype=torch.uint8)
        picture[0, 0, :2] = torch.tensor([first, second])
        return clip.Scene({Modality.RGB: picture}, torch.zeros(4, 4, dtype=torch.uint8), "sun")

    scenes = [scene(255, 0), scene(200, 100), scene(255, 0)]  # the last is nearer to the description of the others
    assert clip.rightly_paired(Known(), scenes, ["a", "a", "b"]) == {"rgb": pytest.approx(2 / 4)}


@pytest.mark.parametrize(
    ("setting", "found"),
    [("teacher.kind=tiny", "found teacher.kind tiny"), ("teacher.path={exists}", "which exists already")],
)
def test_what_it_would_not_be_loaded_from_is_refused(setting, found, clip, street_folder, tmp_path, capsys):
    (tmp_path / "clip").mkdir()
    assert make(clip, street_folder, tmp_path / "new", setting.format(exists=tmp_path / "clip")) == 1
    said = capsys.readouterr().err
    assert found in said
    assert "expected teacher.kind hf_clip and a teacher.path to be made" in said
