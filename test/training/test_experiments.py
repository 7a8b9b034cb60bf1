# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Every experiment file parses, says what its name says, and gets through everything up to the first step."""

from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState

from any2seg_core.experiment import load_experiment
from any2seg_core.trainer import RunFolder, prepare_run, start_processes

FOLDER = Path(__file__).resolve().parents[2] / "training" / "experiments"
FILES = sorted(path for path in FOLDER.rglob("*.yaml") if path.parent.name != "grids")
SMALL = [
    "train.initial_weights=",
    "train.device=cpu",
    "train.pictures=1",
    "model.embed_dim=16",
    "preprocess.short_side_px=64",
    "augment.crop_px=64",
    "data.workers=0",
]


def test_there_is_a_file_for_each_thing_promised():
    names = {path.relative_to(FOLDER).as_posix() for path in FILES}
    promised = {f"deliver_{size}{kind}.yaml" for size in ("b0", "b2") for kind in ("", "_tuned", "_best")}
    promised |= {"mcubes_b0.yaml", "mcubes_b2.yaml", "street_b0.yaml", "tiny.yaml"}
    promised |= {f"baselines/deliver_b0_{kind}.yaml" for kind in ("rgb", "mean", "max", "concat")}
    assert promised <= names


def test_names_are_unique():
    names = [load_experiment(path).name for path in FILES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(FOLDER).as_posix())
def test_starts(path, deliver_folder, street_folder, mcubes_folder, write_cache, tmp_path):
    folders = {"deliver": deliver_folder, "street": street_folder, "mcubes": mcubes_folder}
    root = folders[load_experiment(path).data.dataset]
    experiment = load_experiment(path, [*SMALL, f"data.root={root}", f"teacher.cache={tmp_path / 'cache.safetensors'}"])
    if experiment.teacher.kind != "none":
        write_cache(experiment)
    # Accelerate allows one precision per process, as a training has.
    AcceleratorState._reset_state(reset_partial_state=True)
    run = prepare_run(experiment, RunFolder(tmp_path / "run"), start_processes(experiment.train))
    batch = next(iter(run.batches.epoch(0)))
    subset = batch.present if experiment.subsets.mode == "both" else None
    losses = run.objective(run.model.train(), batch, subset=subset)
    assert torch.isfinite(losses.total)
    wanted = {"sup"}
    wanted |= {
        name for name in ("cr", "se", "auxiliary", "distill", "base") if getattr(experiment.loss, f"{name}_weight")
    }
    assert wanted <= set(losses.terms)


def test_the_paper_is_taken_literally():
    paper = load_experiment(FOLDER / "deliver_b2.yaml")
    assert (paper.model.backbone, paper.model.previous, paper.subsets.mode) == ("mit_b2", "carry", "full")
    assert (paper.loss.supervision, paper.loss.cr_weight, paper.loss.se_weight) == ("ce", 1.0, 1.0)
    assert (paper.loss.cr_temperature, paper.loss.se_temperature, paper.loss.se_diagonal) == (1.0, 1.0, True)
    assert (paper.loss.auxiliary_weight, paper.loss.distill_weight, paper.train.ema_decay) == (0.0, 0.0, 0.0)
    assert (paper.optim.lr, paper.optim.epochs, paper.optim.warmup_epochs) == (6e-5, 200, 10.0)
    assert (paper.optim.weight_decay, paper.optim.betas, paper.optim.poly_power) == (0.01, [0.9, 0.999], 0.9)
    assert paper.augment.crop_px == 1024
    mcubes = load_experiment(FOLDER / "mcubes_b2.yaml")
    assert (mcubes.augment.crop_px, mcubes.optim.epochs, mcubes.teacher.kind) == (512, 500, "none")
    assert mcubes.model.modalities == ["rgb", "aolp", "dolp", "nir"]


def test_the_best_recipe_stands_on_the_paper():
    best = load_experiment(FOLDER / "deliver_b2_best.yaml")
    assert (best.model.backbone, best.train.initial_weights) == ("mit_b2", "nvidia/mit-b2")
    assert (best.subsets.mode, best.train.select_on, best.evaluation.subsets) == ("both", "miss", "all")
    assert best.loss.auxiliary_weight > 0
    assert best.loss.distill_weight > 0
    assert best.train.ema_decay > 0
    assert (best.model.norms, best.model.selection, best.teacher.kind) == ("per_modality", "soft", "languagebind")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(FOLDER).as_posix())
def test_no_file_looks_at_test(path):
    assert load_experiment(path).data.eval_split == "val"
