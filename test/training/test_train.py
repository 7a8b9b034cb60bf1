# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The training program on tiny pictures: real processes, real signals, real refusals."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from any2seg_core.data.catalog import MCUBES_CLASSES
from any2seg_core.experiment import load_experiment
from any2seg_core.model import load_checkpoint, save_checkpoint
from any2seg_core.model.checkpoint import CheckpointInfo
from any2seg_core.model.segmentor import build_model

ROOT = Path(__file__).resolve().parents[2]
TRAIN = ROOT / "training" / "train.py"
TINY = ROOT / "training" / "experiments" / "tiny.yaml"
SETTINGS = ["train.log_every=1", "train.gradients_every=3", "train.pictures=1", "train.tensorboard=false"]
ALONE = {**os.environ, "OMP_NUM_THREADS": "1"}


def arguments(folder, out, *overrides):
    return [str(TINY), f"data.root={folder}", *SETTINGS, *overrides, "--out", str(out)]


def log_of(out):
    path = out / "log.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    events = [json.loads(line) for line in lines if line.endswith("\n")]
    return [
        {name: value for name, value in event.items() if name not in ("samples_per_s", "data_wait")} for event in events
    ]


def same(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, torch.Tensor):
        return torch.equal(one.nan_to_num(7.25), other.nan_to_num(7.25))
    return one == other


def state_of(out):
    return {path.name: torch.load(path, weights_only=True) for path in sorted((out / "state").iterdir())}


@pytest.fixture(scope="module")
def whole(train, street_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "run"
    assert train.main(arguments(street_folder, out)) == 0
    return out


def test_a_run_leaves_what_it_promises(whole):
    names = {path.name for path in whole.iterdir()}
    assert names == {"run.json", "state", "best", "last", "log.jsonl", "pictures", "result.json", "lock"}
    model, info = load_checkpoint(whole / "best")
    assert (info.name, len(info.classes), model.classes) == ("tiny", 25, 25)
    assert info.model == load_experiment(TINY).model
    assert set(info.metrics) == {"mss", "miss"}
    result = json.loads((whole / "result.json").read_text(encoding="utf-8"))
    assert result["steps"] == 16
    assert result["best"]["scores"] == info.metrics
    losses = [event["loss"] for event in log_of(whole) if event["event"] == "epoch"]
    assert losses[-1] < losses[0]


def test_a_complete_run_is_left_alone(train, whole, street_folder, capsys):
    before = (whole / "result.json").stat().st_mtime_ns
    assert train.main(arguments(street_folder, whole)) == 0
    assert "complete already" in capsys.readouterr().out
    assert (whole / "result.json").stat().st_mtime_ns == before


def test_a_terminated_run_goes_on_bit_for_bit(train, whole, street_folder, tmp_path, capsys):
    """SIGTERM at a random step, as a job scheduler sends it: to the loader processes too."""
    out, step = tmp_path / "run", random.SystemRandom().randrange(1, 14)
    command = [sys.executable, str(TRAIN), *arguments(street_folder, out, "data.workers=1")]
    process = subprocess.Popen(
        command, env=ALONE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while not any(event["step"] >= step for event in log_of(out)) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, stderr
    assert "the same command goes on" in stdout
    assert not (out / "result.json").exists()
    assert train.main([*arguments(street_folder, out), "--resume"]) == 0
    assert "going on" in capsys.readouterr().out
    assert same(state_of(out), state_of(whole)), f"stopped after step {step}"
    assert log_of(out) == log_of(whole), f"stopped after step {step}"
    assert same(load_checkpoint(out / "best")[0].state_dict(), load_checkpoint(whole / "best")[0].state_dict())


def test_a_folder_that_another_process_trains_in_is_refused_and_left_alone(train, street_folder, tmp_path, capsys):
    out = tmp_path / "run"
    settings = arguments(street_folder, out, "data.workers=1", "optim.epochs=2000")
    process = subprocess.Popen([sys.executable, str(TRAIN), *settings], env=ALONE, stdout=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 120
        while not log_of(out):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.01)
        for more in ([], ["--fresh"], ["--resume"]):
            assert train.main([*settings, *more]) == 2
            assert f"found it being trained by process {process.pid} on " in capsys.readouterr().err
        begun = len(log_of(out))
        while len(log_of(out)) <= begun:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.01)
    finally:
        process.kill()
        process.communicate(timeout=60)
    assert train.main([*arguments(street_folder, out, "optim.epochs=2"), "--fresh"]) == 0


def test_two_processes_are_one_with_twice_the_accumulation(train, street_folder, tmp_path):
    """Gradients are summed in another order, so equality is to rounding; batch norms' statistics are shared exactly."""
    one, two = tmp_path / "one", tmp_path / "two"
    assert train.main(arguments(street_folder, one, "optim.accumulation=2", "optim.epochs=2")) == 0
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(TRAIN)]
    done = subprocess.run(
        [*launch, *arguments(street_folder, two, "optim.epochs=2")],
        env=ALONE,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "on 2 x cpu" in done.stdout
    ours, theirs = (torch.load(out / "state" / "shared.pt", weights_only=True) for out in (one, two))
    for part in ("model", "average"):
        left, right = ours[part], theirs[part]
        left, right = left.get("model", left), right.get("model", right)
        for name, weight in left.items():
            torch.testing.assert_close(right[name], weight, rtol=1e-4, atol=1e-5, msg=name)
    assert sorted(path.name for path in (two / "state").iterdir()) == ["process_0.pt", "process_1.pt", "shared.pt"]
    for alone, together in zip(log_of(one), log_of(two), strict=True):
        assert together["step"] == alone["step"]
        if "loss" in alone:
            assert together["loss"] == pytest.approx(alone["loss"], rel=1e-4)
        if alone.get("scores"):
            assert together["scores"]["miss"] == pytest.approx(alone["scores"]["miss"], abs=0.01)


REFUSALS = {
    "unknown key": (["optim.rate=1"], r"'optim.rate' is not a setting, the nearest is 'optim"),
    "no folder": (["data.root=nowhere"], r"found no folder 'nowhere'"),
    "test for selection": (["data.eval_split=test"], r"would choose the checkpoint by the test split"),
    "empty split": (["data.failures=[motionblur]"], r"found no sample of motionblur in split 'train'"),
    "no teacher": (["loss.cr_weight=1.0"], r"loss.cr_weight above 0 without a teacher"),
    "no cache": (["teacher.kind=tiny"], r"teacher cache .*there is none; compute it with"),
    "no weights": (["train.initial_weights=nowhere/at/all"], r"pretrained 'nowhere/at/all'"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals_come_before_the_first_step(case, train, street_folder, tmp_path, capsys):
    overrides, expected = REFUSALS[case]
    out = tmp_path / "run"
    assert train.main(arguments(street_folder, out, *overrides)) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert re.search(expected, error), error
    assert not out.exists()


def test_a_missing_file_is_refused(train, street_folder, tmp_path, capsys):
    assert train.main([str(tmp_path / "none.yaml")]) == 2
    assert "not readable" in capsys.readouterr().err


def test_weights_of_other_classes_are_refused(train, mcubes_folder, street_folder, tmp_path, capsys):
    experiment = load_experiment(TINY)
    info = CheckpointInfo("donor", experiment.model, experiment.preprocess, MCUBES_CLASSES)
    save_checkpoint(tmp_path / "donor", build_model(experiment.model, 20), info)
    overrides = [f"train.initial_weights={tmp_path / 'donor'}"]
    assert train.main(arguments(street_folder, tmp_path / "run", *overrides)) == 2
    assert "found 20 classes" in capsys.readouterr().err


def test_a_cache_of_another_teacher_is_refused(train, street_folder, write_cache, tmp_path, capsys):
    overrides = ["teacher.kind=tiny", "loss.cr_weight=1.0", f"teacher.cache={tmp_path / 'cache.safetensors'}"]
    write_cache(load_experiment(TINY, [f"data.root={street_folder}", *overrides, "teacher.seed=7"]))
    assert train.main(arguments(street_folder, tmp_path / "run", *overrides)) == 2
    assert "seed: found 7, expected 0" in capsys.readouterr().err
    write_cache(load_experiment(TINY, [f"data.root={street_folder}", *overrides, "data.limit=3"]))
    assert train.main(arguments(street_folder, tmp_path / "run", *overrides)) == 2
    assert "and 4 more such samples" in capsys.readouterr().err


def test_with_a_teacher_it_learns_from_it(train, street_folder, write_cache, tmp_path):
    overrides = ["teacher.kind=tiny", "loss.cr_weight=1.0", "loss.se_weight=1.0", "optim.epochs=2"]
    overrides += [f"teacher.cache={tmp_path / 'cache.safetensors'}", "subsets.mode=random", "loss.distill_weight=0.0"]
    write_cache(load_experiment(TINY, [f"data.root={street_folder}", *overrides]))
    assert train.main(arguments(street_folder, tmp_path / "run", *overrides)) == 0
    terms = [event["terms"] for event in log_of(tmp_path / "run") if event["event"] == "step"]
    assert any(term.get("cr", 0) > 0 for term in terms)
    assert all(term["se"] >= 0 for term in terms)


def test_another_experiment_in_the_folder_is_refused_until_it_is_deleted(train, street_folder, tmp_path, capsys):
    short = ["optim.epochs=2", "train.eval_every=5"]
    out = tmp_path / "run"
    assert train.main([*arguments(street_folder, out, *short), "--resume"]) == 2
    assert "found no state to go on from" in capsys.readouterr().err
    assert train.main(arguments(street_folder, out, *short)) == 0
    assert train.main(arguments(street_folder, out, *short, "optim.lr=0.1")) == 2
    assert "optim.lr: 0.0003 -> 0.1" in capsys.readouterr().err
    assert train.main([*arguments(street_folder, out, *short, "optim.lr=0.1"), "--fresh"]) == 0
    assert json.loads((out / "run.json").read_text(encoding="utf-8"))["experiment"]["optim"]["lr"] == 0.1


def test_a_corrupt_picture_stops_training_with_its_name(train, street_folder, tmp_path, capsys):
    copy = tmp_path / "street"
    shutil.copytree(street_folder, copy)
    victim = next((copy / "img").glob("*/train/*/*.png"))
    victim.write_bytes(victim.read_bytes()[:50])
    assert train.main(arguments(copy, tmp_path / "run")) == 1
    assert victim.name in capsys.readouterr().err
    assert train.main(arguments(copy, tmp_path / "skips", "data.skip_corrupt=true", "optim.epochs=2")) == 0
