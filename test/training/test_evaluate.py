# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The scoring programs on tiny pictures: tables, plots, feature pictures, and what they refuse."""

import importlib.util
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from any2seg_core.config import ModelConfig, PreprocessConfig
from any2seg_core.evaluator import EvalReport, all_subsets
from any2seg_core.frames import DELIVER_CLASSES, ClassTable
from any2seg_core.model import save_checkpoint
from any2seg_core.model.checkpoint import CheckpointInfo
from any2seg_core.model.segmentor import build_model

TRAINING = Path(__file__).resolve().parents[2] / "training"


@pytest.fixture(scope="module")
def programs():
    """The command lines as modules; beside each other, as Python finds them when they are run."""
    sys.path.insert(0, str(TRAINING))
    found = {}
    for name in ("evaluate", "draw_features"):
        spec = importlib.util.spec_from_file_location(name, TRAINING / f"{name}.py")
        found[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found[name])
    yield found
    sys.path.remove(str(TRAINING))


def checkpoint(folder, classes=DELIVER_CLASSES, **settings):
    config = ModelConfig(embed_dim=16, **settings)
    torch.manual_seed(0)
    info = CheckpointInfo("tiny", config, PreprocessConfig(short_side_px=64), classes)
    save_checkpoint(folder, build_model(config, len(classes)), info)
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("weights") / "tiny")


def arguments(weights, folder, out, *more):
    return [str(weights), "--dataset", "street", "--data", str(folder), "--workers", "0", "--out", str(out), *more]


@pytest.fixture(scope="module")
def scored(programs, weights, street_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("evaluation") / "report"
    given = arguments(weights, street_folder, out, "--protocols", "drop", "zero", "--batch-size", "2")
    assert programs["evaluate"].main(given) == 0
    return out


def test_a_scoring_leaves_a_report_tables_and_plots(scored):
    report = EvalReport.from_json(json.loads((scored / "report.json").read_text()))
    assert report.images == 4
    assert report.protocols == ("drop", "zero")
    assert report.subsets == all_subsets(report.modalities)
    assert report.matrix().pixels == 4 * 64 * 64
    assert set(report.conditions) == {"cloud", "fog", "night", "rain"}
    assert "| Model | R | D | E | L |" in (scored / "report.md").read_text()
    plots = {path.name for path in scored.glob("*.png")}
    assert plots == {"subsets.png", "conditions.png", "classes.png", "confusion.png"}
    for name in plots:
        assert cv2.imread(str(scored / name)).std() > 5, name
    assert not list(scored.glob(".*"))


def test_the_batch_size_changes_nothing_but_near_ties(programs, scored, weights, street_folder, tmp_path):
    given = arguments(weights, street_folder, tmp_path / "one", "--protocols", "drop", "zero", "--batch-size", "1")
    assert programs["evaluate"].main(given) == 0
    one, two = (EvalReport.from_json(json.loads((at / "report.json").read_text())) for at in (tmp_path / "one", scored))
    assert one.cells.keys() == two.cells.keys()
    for cell, counted in one.cells.items():
        assert np.abs(counted.counts - two.cells[cell].counts).sum() <= 0.001 * counted.pixels, cell


def test_models_stand_side_by_side(programs, scored, weights, street_folder, tmp_path):
    given = arguments(
        weights, street_folder, tmp_path / "two", "--name", "second", "--against", str(scored / "report.json")
    )
    assert programs["evaluate"].main(given) == 0
    text = (tmp_path / "two" / "report.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith(("| second |", "| tiny |"))]
    assert len(rows) >= 6
    assert rows[0].split("|")[2:] == rows[1].split("|")[2:]


def test_early_concatenation_is_scored_too(programs, street_folder, tmp_path):
    weights = checkpoint(tmp_path / "concat", fusion="concat")
    assert programs["evaluate"].main(arguments(weights, street_folder, tmp_path / "out")) == 0
    report = EvalReport.from_json(json.loads((tmp_path / "out/report.json").read_text()))
    assert len(report.subsets) == 15


def test_other_classes_are_refused(programs, street_folder, tmp_path, capsys):
    other = ClassTable(("a", "b"), np.array([[1, 2, 3], [4, 5, 6]], np.uint8))
    weights = checkpoint(tmp_path / "two", other)
    assert programs["evaluate"].main(arguments(weights, street_folder, tmp_path / "out")) == 2
    assert "found 2 classes in the checkpoint and 25 in the data set" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--split", "nowhere"], "nowhere"),
        (["--data", "no/such/folder"], "no/such/folder"),
        (["--dataset", "cityscapes"], "cityscapes"),
        (["--against", "missing.json"], "missing.json not readable"),
        (["--device", "abacus"], "found 'abacus'"),
        (["--conditions", "hail"], "hail"),
    ],
)
def test_what_cannot_be_scored_is_said_before_anything_is_written(
    programs, weights, street_folder, tmp_path, capsys, change, message
):
    assert programs["evaluate"].main(arguments(weights, street_folder, tmp_path / "out", *change)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_features_are_drawn(programs, weights, street_folder, tmp_path):
    out = tmp_path / "new" / "features.png"
    given = [str(weights), "--dataset", "street", "--data", str(street_folder), "--out", str(out), "--sample", "1"]
    assert programs["draw_features"].main(given) == 0
    assert cv2.imread(str(out)).std() > 20


def test_features_are_coloured_alike_where_they_are_alike(programs):
    one = torch.randn(8, 1, 1, generator=torch.Generator().manual_seed(0)).expand(8, 4, 4)
    other = torch.randn(8, 1, 1, generator=torch.Generator().manual_seed(1)).expand(8, 4, 4)
    third = torch.randn(8, 4, 4, generator=torch.Generator().manual_seed(2))
    drawn = programs["draw_features"].colours(torch.stack([one, 2 * one, other, third]))
    np.testing.assert_allclose(drawn[0], drawn[1], atol=1e-5)
    assert np.abs(drawn[0] - drawn[2]).max() > 0.1
    assert drawn.min() >= 0
    assert drawn.max() <= 1
