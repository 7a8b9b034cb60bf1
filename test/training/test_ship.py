# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""A trained checkpoint becomes a shipped one: half precision, scores of the very file, a card that is true."""

import hashlib
import importlib.util
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from any2seg_core.config import ModelConfig, PreprocessConfig
from any2seg_core.evaluator import EvalReport
from any2seg_core.experiment import Experiment
from any2seg_core.frames import DELIVER_CLASSES
from any2seg_core.model import build_model, save_checkpoint
from any2seg_core.model.checkpoint import CheckpointInfo
from any2seg_core.model.shipped import find_checkpoint, shipped_names
from any2seg_core.trainer.folder import RunFolder

TRAINING = Path(__file__).resolve().parents[2] / "training"


@pytest.fixture(scope="module")
def programs():
    sys.path.insert(0, str(TRAINING))
    found = {}
    for name in ("evaluate", "ship"):
        spec = importlib.util.spec_from_file_location(name, TRAINING / f"{name}.py")
        found[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found[name])
    yield found
    sys.path.remove(str(TRAINING))


@pytest.fixture(scope="module")
def data(street_folder, tmp_path_factory):
    """The street data set, with the manifest of a real one."""
    root = tmp_path_factory.mktemp("ship") / "street"
    shutil.copytree(street_folder, root)
    manifest = json.loads((root / "dataset.json").read_text())
    manifest |= {"every_s": 5.0, "frames": 4, "drive": {"width": 64, "height": 64}}
    (root / "dataset.json").write_text(json.dumps(manifest))
    return root


def finished_run(folder, **train):
    run, config = RunFolder(folder), ModelConfig(embed_dim=16)
    torch.manual_seed(0)
    info = CheckpointInfo("trained", config, PreprocessConfig(short_side_px=64), DELIVER_CLASSES)
    save_checkpoint(run.best, build_model(config, 25), info)
    run.record.write_text(json.dumps({"experiment": Experiment(name=f"tiny-{folder.name}", train=train).model_dump()}))
    run.result.write_text(json.dumps({"name": "tiny-test", "steps": 321, "best": {}}))
    return run


def test_what_is_scored_is_the_file_that_is_shipped(programs, data, tmp_path, capsys):
    first = finished_run(tmp_path / "first")
    run, out = finished_run(tmp_path / "run", initial_weights=str(first.best)), tmp_path / "tiny-model"
    assert programs["ship"].main([str(run.path), "--data", str(data), "--out", str(out), "--workers", "0"]) == 0
    weights = load_file(out / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values() if tensor.ndim > 1} == {torch.float16}
    scores = EvalReport.from_json(json.loads((out / "scores.json").read_text()))
    assert (scores.name, scores.images, scores.protocols, len(scores.subsets)) == (out.name, 2, ("drop", "zero"), 15)
    text = (out / "README.md").read_text()
    for said in (
        hashlib.sha256((out / "model.safetensors").read_bytes()).hexdigest(),
        "    python training/train.py training/experiments/tiny_first.yaml\n    python",
        "    python training/train.py training/experiments/tiny_run.yaml\n    python training/ship.py",
        "321 + 321 steps",
        "8 training images of 1 simulated streets",
        "--size 64x64 --frames 4 --every 5",
        "split te",
    ):
        assert said in text
    assert f"| all sensors | {100 * scores.miou(policy=programs['ship'].AbsentClasses.PRESENT):.1f} |" in text

    given = [str(out), "--dataset", "street", "--data", str(data), "--split", "test", "--workers", "0"]
    given += ["--protocols", "drop", "zero", "--out", str(tmp_path / "again"), "--expect", str(out / "scores.json")]
    capsys.readouterr()
    assert programs["evaluate"].main(given) == 0
    assert "the same counts" in capsys.readouterr().out
    altered = json.loads((out / "scores.json").read_text())
    counts = np.array(altered["cells"][3]["counts"])
    at = tuple(np.argwhere(counts)[0])
    counts[at] -= 1
    altered["cells"][3]["counts"] = counts.tolist()
    (tmp_path / "altered.json").write_text(json.dumps(altered))
    assert programs["evaluate"].main([*given[:-1], str(tmp_path / "altered.json")]) == 1
    assert "other counts than expected in 1 of" in capsys.readouterr().out


def test_an_unfinished_run_is_not_shipped(programs, data, tmp_path, capsys):
    run = finished_run(tmp_path / "run")
    run.result.unlink()
    assert programs["ship"].main([str(run.path), "--data", str(data), "--out", str(tmp_path / "out")]) == 2
    assert "expected a complete run" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_checkpoints_are_found_by_name_or_path(tmp_path, monkeypatch):
    folder = tmp_path / "mine"
    folder.mkdir()
    assert find_checkpoint(str(folder)) == folder
    assert find_checkpoint("no-such-model") == Path("no-such-model")
    for name in shipped_names():
        assert (find_checkpoint(name) / "model.safetensors").is_file()
        monkeypatch.chdir(tmp_path)
        (tmp_path / name).mkdir()
        assert find_checkpoint(name) == Path(name)
