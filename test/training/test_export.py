# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Export of a checkpoint: graphs where the node finds them, what was found beside them, and refusals."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch

from any2seg_core.config import ModelConfig, PreprocessConfig
from any2seg_core.frames import DELIVER_CLASSES, ClassTable
from any2seg_core.inference import Segmenter
from any2seg_core.inference.backends import store
from any2seg_core.model import CheckpointInfo, build_model, save_checkpoint

TRAINING = Path(__file__).resolve().parents[2] / "training"
CONFIG = ModelConfig(backbone="timm:test_convnext", embed_dim=16, modalities=["rgb", "lidar"])


@pytest.fixture(scope="module")
def export():
    """The command line as a module."""
    spec = importlib.util.spec_from_file_location("export", TRAINING / "export.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["export"] = module  # where dataclasses look names up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["export"]


def saved(folder, classes=DELIVER_CLASSES):
    torch.manual_seed(0)
    info = CheckpointInfo("tiny", CONFIG, PreprocessConfig(short_side_px=64), classes)
    save_checkpoint(folder, build_model(CONFIG, len(classes)), info)
    return folder


@pytest.fixture(scope="module")
def exported(export, street_folder, tmp_path_factory):
    checkpoint = saved(tmp_path_factory.mktemp("weights") / "tiny")
    given = [str(checkpoint), "--frames", str(street_folder), "--backend", "onnxruntime", "--limit", "2"]
    assert export.main(given) == 0
    return checkpoint


def test_what_was_found_stands_beside_the_graphs(exported):
    folder = exported / "onnx"
    names = {"encode.onnx", "fuse_and_decode.onnx", "export.json", "check_onnxruntime_fp32.json"}
    assert {path.name for path in folder.iterdir()} == names
    found = json.loads((folder / "check_onnxruntime_fp32.json").read_text(encoding="utf-8"))
    assert found["accepted"] is True
    assert found["agreement"] >= found["bound"] == 0.999
    assert found["frames"] == 2
    assert set(found["subsets"]) == {"rgb", "lidar", "rgb+lidar"}
    for one in found["subsets"].values():
        assert one["largest_difference_of_logits"] < 1e-4
        assert one["miou_change"] == pytest.approx(0, abs=0.1)
    assert {"torch", "openvino", "onnxruntime"} <= set(found["versions"])


def test_the_segmenter_takes_those_graphs(exported, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    Segmenter.load(exported, device="cpu", backend="openvino").warm_up(64, 64)
    assert not list(tmp_path.iterdir())


def test_labels_that_differ_are_refused(export, exported, street_folder, monkeypatch, capsys):
    """Graphs of other weights stand in for a precision that does not hold."""
    monkeypatch.setattr(export, "make_graphs", lambda folder, model, config: exported / "onnx")
    original = export.load_checkpoint

    def shifted(path):
        model, info = original(path)
        with torch.no_grad():
            model.head.classifier.bias.copy_(torch.randn(len(DELIVER_CLASSES)))
        return model, info

    monkeypatch.setattr(export, "load_checkpoint", shifted)
    monkeypatch.setattr(store, "fingerprint", lambda model, config: marked(exported))
    assert export.main([str(exported), "--frames", str(street_folder), "--backend", "onnxruntime", "--limit", "1"]) == 1
    assert "REFUSED" in capsys.readouterr().out
    found = json.loads((exported / "onnx" / "check_onnxruntime_fp32.json").read_text(encoding="utf-8"))
    assert found["accepted"] is False


def marked(checkpoint):
    return json.loads((checkpoint / "onnx" / store.DESCRIPTION).read_text(encoding="utf-8"))["fingerprint"]


def test_frames_of_other_classes_are_refused(export, street_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(export, "make_graphs", lambda folder, model, config: folder)
    names = tuple(f"class {index}" for index in range(len(DELIVER_CLASSES)))
    checkpoint = saved(tmp_path / "other", ClassTable(names, DELIVER_CLASSES.colours))
    assert export.main([str(checkpoint), "--frames", str(street_folder)]) == 2
    assert "has other classes than the checkpoint" in capsys.readouterr().err
