# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The training loop on made-up batches: it learns, stops and goes on bit for bit, and never ships what diverged."""

import copy
import json
import os
import signal
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from any2seg_core.batch import Batch, TeacherTargets
from any2seg_core.errors import CheckpointError, ConfigError
from any2seg_core.experiment import Experiment
from any2seg_core.frames import ClassTable
from any2seg_core.losses import Objective
from any2seg_core.model import load_checkpoint
from any2seg_core.model.encoder import MIT_VARIANTS, MiTVariant
from any2seg_core.trainer import DivergedError, Run, RunFolder, Trainer, initial_model, start_processes

CLASSES = ClassTable(("road", "car", "sky"), np.eye(3, dtype=np.uint8) * 255)
SIDE = 32
EVERYTHING = {
    "model": {"norms": "per_modality", "selection": "soft", "previous": "carry"},
    "subsets": {"mode": "both"},
    "loss": {"cr_weight": 1.0, "se_weight": 1.0, "auxiliary_weight": 0.5, "distill_weight": 1.0, "base_weight": 0.5},
    "train": {"ema_decay": 0.9, "gradients_every": 3},
}

THOROUGH = (EVERYTHING, {"optim": {"accumulation": 2}, "train": {"log_every": 1}})


@pytest.fixture(scope="module", autouse=True)
def small_and_fast():
    """An encoder of few weights, and a disk that need not survive a power cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MIT_VARIANTS, "mit_b0", MiTVariant(depths=(1, 1, 1, 1), widths=(8, 16, 40, 64)))
        patch.setattr(os, "fsync", lambda handle: None)
        yield


def experiment_of(*changes):
    """A small experiment on the CPU."""
    values = {
        "name": "tiny",
        "model": {"modalities": ["rgb", "depth"], "embed_dim": 16},
        "teacher": {"kind": "tiny"},
        "loss": {"cr_weight": 0.0, "se_weight": 0.0},
        "optim": {"epochs": 3, "warmup_epochs": 1.0, "lr": 1e-3, "batch_size": 2},
        "train": {
            "device": "cpu",
            "log_every": 2,
            "checkpoint_every": 1000,
            "tensorboard": False,
            "gradients_every": 0,
        },
    }
    for change in changes:
        for group, fields in change.items():
            values[group] = values.get(group, {}) | fields
    return Experiment.from_mapping(values)


@dataclass
class MadeUp:
    """Batches in which each class has a colour of its own, another one in each modality."""

    count: int = 5
    size: int = 2
    before: object = staticmethod(lambda epoch, number: None)
    change: object = staticmethod(lambda batch, epoch, number: batch)

    def __len__(self):
        return self.count

    def epoch(self, epoch, start_batch=0):
        for number in range(start_batch, self.count):
            self.before(epoch, number)
            yield self.change(self.batch(epoch, number), epoch, number)

    def batch(self, epoch, number):
        random = np.random.default_rng([epoch, number])
        ids = np.kron(random.integers(0, 3, (self.size, 4, 4)), np.ones((SIDE // 4, SIDE // 4), int))
        colours = np.stack([np.roll(np.eye(3), turn, axis=0)[ids] for turn in range(2)], 1).transpose(0, 1, 4, 2, 3)
        pixels = torch.from_numpy(colours + random.normal(0, 0.2, colours.shape)).float()
        generator = torch.Generator().manual_seed(number)
        teacher = TeacherTargets(
            torch.rand(self.size, 2, generator=generator),
            torch.ones(self.size, 2, dtype=torch.bool),
            torch.corrcoef(torch.rand(3, 8, generator=torch.Generator().manual_seed(0))),
        )
        names = tuple(f"epoch {epoch} batch {number} sample {index}" for index in range(self.size))
        blank = ("",) * self.size
        return Batch(
            pixels, torch.ones(self.size, 2, dtype=torch.bool), torch.from_numpy(ids), names, blank, blank, teacher
        )


def score(model):
    """Share of right pixels of a fixed batch."""
    assert not model.training
    batch = MadeUp().batch(1000, 0)
    with torch.no_grad():
        logits = model(batch.pixels, batch.present).logits
    right = functional.interpolate(logits, size=(SIDE, SIDE), mode="bilinear").argmax(1) == batch.targets
    return {"mss": float(right.float().mean()), "miss": 0.5}


def trainer_of(experiment, folder, batches=None, **parts):
    run = Run(
        experiment=experiment,
        model=initial_model(experiment, CLASSES),
        objective=Objective(experiment.loss),
        batches=batches or MadeUp(),
        score=score,
        classes=CLASSES,
        folder=RunFolder(folder),
        accelerator=start_processes(experiment.train),
    )
    return Trainer(replace(run, **parts))


def events(folder, kind=None):
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if kind in (None, line["event"])]


def timeless(lines):
    """What a log says, but for how long it took."""
    return [
        {name: value for name, value in line.items() if name not in ("samples_per_s", "data_wait")} for line in lines
    ]


def everything_in(folder):
    """All tensors and numbers that a run leaves behind."""
    state = {path.name: torch.load(path, weights_only=True) for path in sorted((folder / "state").iterdir())}
    return {"state": state, "best": load_checkpoint(folder / "best")[0].state_dict(), "log": timeless(events(folder))}


def assert_equal(one, other, where=""):
    assert type(one) is type(other), where
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_equal(one[key], other[key], f"{where}/{key}")
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), where
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            assert_equal(left, right, f"{where}/{index}")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one.nan_to_num(7.25), other.nan_to_num(7.25)), where
    else:
        assert one == other, where


def stop_at(epoch, number, how=signal.SIGTERM):
    """Ask this process to stop while the given batch is on its way."""
    return lambda *place: os.kill(os.getpid(), how) if place == (epoch, number) else None


def test_the_loss_falls(tmp_path):
    experiment = experiment_of({"optim": {"epochs": 6, "lr": 6e-3}})
    outcome = trainer_of(experiment, tmp_path, MadeUp(count=8)).fit()
    assert outcome.complete
    assert outcome.place.step == 48
    losses = [line["loss"] for line in events(tmp_path, "epoch")]
    assert losses[-1] < 0.75 * losses[0]
    assert json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))["steps"] == 48


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    trainer_of(experiment_of(*THOROUGH), folder).fit()
    return everything_in(folder)


@pytest.mark.parametrize("place", [(0, 0), (1, 2), (1, 4), (2, 4)], ids=str)
def test_a_stopped_run_goes_on_bit_for_bit(place, tmp_path, uninterrupted):
    experiment = experiment_of(*THOROUGH)
    stopped = trainer_of(experiment, tmp_path, MadeUp(before=stop_at(*place))).fit()
    assert (stopped.complete, stopped.place.stopped_by) == (False, signal.SIGTERM)
    torch.rand(3)  # what else draws random numbers must not matter
    assert trainer_of(experiment, tmp_path).fit().complete
    assert_equal(everything_in(tmp_path), uninterrupted)


def test_a_killed_run_goes_on_from_its_last_state(tmp_path, uninterrupted):
    """No handler runs on SIGKILL: the log is ahead of the state, and is cut back."""
    experiment = experiment_of(*THOROUGH, {"train": {"checkpoint_every": 2}})

    def die(epoch, number):
        if (epoch, number) == (1, 4):
            raise MemoryError

    with pytest.raises(MemoryError):
        trainer_of(experiment, tmp_path, MadeUp(before=die)).fit()
    saved = torch.load(tmp_path / "state" / "shared.pt", weights_only=True)
    assert len(events(tmp_path)) > saved["lines"]
    trainer_of(experiment_of(*THOROUGH), tmp_path).fit()
    assert_equal(everything_in(tmp_path), uninterrupted)


def test_a_kill_while_scoring_costs_the_scoring_only(tmp_path, uninterrupted):
    experiment = experiment_of(*THOROUGH)
    calls = []

    def dies(model):
        calls.append(model)
        if len(calls) == 2:
            raise MemoryError
        return score(model)

    with pytest.raises(MemoryError):
        trainer_of(experiment, tmp_path, score=dies).fit()
    seen = []
    trainer_of(experiment, tmp_path, MadeUp(before=lambda *place: seen.append(place))).fit()
    assert seen[0] == (2, 0)
    assert_equal(everything_in(tmp_path), uninterrupted)


def test_the_second_signal_acts_as_always(tmp_path, monkeypatch):
    monkeypatch.setattr("any2seg_core.trainer.signals._ONE_WISH_S", 0.0)

    def twice(epoch, number):
        if (epoch, number) == (0, 1):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    # A shell's background jobs are born with SIGINT ignored.
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            trainer_of(experiment_of(), tmp_path, MadeUp(before=twice)).fit()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, former)


@pytest.mark.parametrize("spoilt", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_the_run_and_spoils_nothing(spoilt, tmp_path):
    experiment = experiment_of({"model": {"previous": "carry"}, "train": {"ema_decay": 0.5}})

    def spoil(batch, epoch, number):
        return replace(batch, pixels=batch.pixels * spoilt) if (epoch, number) == (1, 2) else batch

    with pytest.raises(
        DivergedError, match=r"(?s)step 8, epoch 2.*epoch 1 batch 2 sample 0, epoch 1 batch 2 sample 1.*saved"
    ):
        trainer_of(experiment, tmp_path, MadeUp(change=spoil)).fit()
    best = load_checkpoint(tmp_path / "best")[0]
    assert all(torch.isfinite(tensor).all() for tensor in best.state_dict().values())
    assert trainer_of(experiment, tmp_path).fit().complete  # the sample was mended
    trainer_of(experiment, tmp_path / "whole").fit()
    assert_equal(everything_in(tmp_path), everything_in(tmp_path / "whole"))


def test_a_gradient_that_is_not_finite_stops_the_run_too(tmp_path):
    def explode(model, batch, **options):
        losses = Objective(experiment_of().loss)(model, batch, **options)
        weight = model.head.classifier.weight
        return replace(losses, total=losses.total + (weight * 0).abs().sqrt().sum())  # 0 with an endless slope

    with pytest.raises(DivergedError, match=r"gradient norm nan in step 1"):
        trainer_of(experiment_of(), tmp_path, objective=explode).fit()


def test_accumulation_is_the_mean_gradient(tmp_path):
    """One step over two batches moves the weights by AdamW's step along the mean of their gradients."""
    experiment = experiment_of(
        {"model": {"drop_path": 0.0}, "optim": {"accumulation": 2, "epochs": 1, "warmup_epochs": 0.0}}
    )
    trainer = trainer_of(experiment, tmp_path, MadeUp(count=2))
    trainer.model.head.dropout.p = 0.0
    reference = copy.deepcopy(trainer.model)
    trainer.fit()
    optimiser = torch.optim.AdamW(
        [
            {"params": [weight for weight in reference.parameters() if weight.ndim > 1], "weight_decay": 0.01},
            {"params": [weight for weight in reference.parameters() if weight.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=1e-3,
    )
    objective = Objective(experiment.loss)
    updated = []
    for number in range(2):
        reference.head.norm.reset_running_stats()
        (objective(reference, MadeUp().batch(0, number)).total / 2).backward()
        updated.append(reference.head.norm.running_var.clone())
    optimiser.step()
    for (name, weight), ours in zip(reference.named_parameters(), trainer.model.parameters(), strict=True):
        torch.testing.assert_close(ours, weight, rtol=1e-4, atol=2e-5, msg=name)
    torch.testing.assert_close(trainer.model.head.norm.running_var, (updated[0] + updated[1]) / 2)
    assert trainer.model.head.norm.num_batches_tracked == 1


def test_the_best_checkpoint_is_that_of_the_highest_score(tmp_path):
    scores = iter([0.3, 0.7, float("nan"), 0.5])
    experiment = experiment_of({"optim": {"epochs": 4}, "train": {"select_on": "miss"}})
    outcome = trainer_of(experiment, tmp_path, score=lambda _: {"mss": 0.1, "miss": next(scores)}).fit()
    assert (outcome.place.best["epoch"], outcome.place.best["score"]) == (2, 0.7)
    _, info = load_checkpoint(tmp_path / "best")
    assert info.metrics == {"mss": 0.1, "miss": 0.7}
    assert (info.name, info.model, info.preprocess, info.classes) == (
        "tiny",
        experiment.model,
        experiment.preprocess,
        CLASSES,
    )
    assert load_checkpoint(tmp_path / "last")[1].metrics == {"mss": 0.1, "miss": 0.5}
    assert [line["scores"]["miss"] for line in events(tmp_path, "epoch")] == [0.3, 0.7, None, 0.5]


def test_scoring_takes_its_turn(tmp_path):
    scored = []
    experiment = experiment_of({"optim": {"epochs": 6}, "train": {"eval_from": 2, "eval_every": 2}})
    trainer = trainer_of(
        experiment, tmp_path, MadeUp(count=1), score=lambda _: scored.append(trainer.place.epoch + 1) or {"mss": 0}
    )
    trainer.fit()
    assert scored == [2, 4, 6]
    odd = experiment_of({"optim": {"epochs": 5}, "train": {"eval_every": 2}})
    trainer = trainer_of(
        odd, tmp_path / "odd", MadeUp(count=1), score=lambda _: scored.append(trainer.place.epoch + 1) or {"mss": 0}
    )
    trainer.fit()
    assert scored[3:] == [2, 4, 5]  # the last epoch always


def test_a_score_that_decides_must_be_there(tmp_path):
    with pytest.raises(ConfigError, match=r"found scores miss, expected 'mss' \(train.select_on\)"):
        trainer_of(experiment_of(), tmp_path, score=lambda _: {"miss": 0.1}).fit()


def test_a_loader_that_ends_early_is_found_out(tmp_path):
    class Short(MadeUp):
        def epoch(self, epoch, start_batch=0):
            yield self.batch(0, 0)

    with pytest.raises(ConfigError, match=r"ended after 1 batches of epoch 1, expected 5"):
        trainer_of(experiment_of(), tmp_path, Short()).fit()


def test_the_average_is_what_is_scored_and_shipped(tmp_path):
    experiment = experiment_of({"train": {"ema_decay": 0.9}, "optim": {"epochs": 1}})
    scored = []
    trainer = trainer_of(experiment, tmp_path, score=lambda model: scored.append(model) or {"mss": 0})
    history = []
    trainer.run.batches.before = lambda *_: history.append(copy.deepcopy(trainer.model.state_dict()))
    trainer.fit()
    history.append(trainer.model.state_dict())
    assert scored == [trainer.average.model]
    assert trainer.model.training
    expected = {name: tensor.double() for name, tensor in history[0].items()}
    for number, state in enumerate(history[1:]):
        decay = min(0.9, (1 + number) / (10 + number))
        expected = {name: decay * expected[name] + (1 - decay) * state[name].double() for name in expected}
    shipped = load_checkpoint(tmp_path / "best")[0].state_dict()
    for name, tensor in shipped.items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor.double(), expected[name], rtol=1e-4, atol=1e-6)
        else:
            assert torch.equal(tensor, history[-1][name])


def test_carry_hands_the_state_on_and_drops_it_when_sizes_differ(tmp_path):
    given = []

    def watch(model, batch, *, subset=None, previous=None):
        losses = Objective(experiment_of().loss)(model, batch, subset=subset, previous=previous)
        given.append((previous, losses.prediction.state))
        return losses

    def shrink(batch, epoch, number):
        if number != 2:
            return batch
        whole = ("pixels", "present", "targets", "ids", "conditions", "failures")
        return replace(batch, teacher=None, **{name: getattr(batch, name)[:1] for name in whole})

    once = {"optim": {"epochs": 1}}
    trainer_of(
        experiment_of(once, {"model": {"previous": "carry"}}), tmp_path, MadeUp(change=shrink), objective=watch
    ).fit()
    assert [previous is None for previous, _ in given] == [True, False, True, True, False]
    assert torch.equal(given[1][0][0], given[0][1][0])
    assert not given[1][0][0].requires_grad
    given.clear()
    trainer_of(experiment_of(once), tmp_path / "mean", objective=watch).fit()
    assert all(previous is None for previous, _ in given)


def test_subsets_are_drawn_for_mode_both_only(tmp_path):
    drawn = []

    def watch(model, batch, *, subset=None, previous=None):
        drawn.append(subset)
        return Objective(experiment_of().loss)(model, batch, subset=subset)

    once = {"optim": {"epochs": 1}}
    trainer_of(experiment_of(once, {"subsets": {"mode": "both"}}), tmp_path, MadeUp(count=8), objective=watch).fit()
    assert all(subset.any(1).all() and subset.dtype == torch.bool for subset in drawn)
    assert len({tuple(subset.flatten().tolist()) for subset in drawn}) > 2
    again = list(drawn)
    drawn.clear()
    trainer_of(
        experiment_of(once, {"subsets": {"mode": "both"}}), tmp_path / "again", MadeUp(count=8), objective=watch
    ).fit()
    assert all(torch.equal(one, other) for one, other in zip(again, drawn, strict=True))
    drawn.clear()
    trainer_of(experiment_of(once, {"subsets": {"mode": "random"}}), tmp_path / "random", objective=watch).fit()
    assert drawn == [None] * 5  # the loader's matter


def test_the_log_tells_what_happened(tmp_path):
    trainer_of(experiment_of(EVERYTHING), tmp_path, samples=[MadeUp().batch(0, 0)]).fit()
    steps = events(tmp_path, "step")
    assert [line["step"] for line in steps] == [2, 4, 6, 8, 10, 12, 14]
    terms = {"sup", "cr", "se", "auxiliary", "distill", "base", "subset"}
    for line in steps:
        assert set(line["terms"]) == terms
        assert 0 <= line["data_wait"] <= 1
        assert line["samples_per_s"] > 0
        assert line["gradient_norm"] > 0
        assert "cosine_spread" in line["watch"]
    weights = {"auxiliary": 0.5, "base": 0.5}
    total = sum(weights.get(name, 1.0) * value for name, value in steps[0]["terms"].items())
    assert steps[0]["loss"] == pytest.approx(total, rel=1e-5)
    measured = events(tmp_path, "gradients")
    assert [line["step"] for line in measured] == [1, 4, 7, 10, 13]
    assert all(set(line["gradients"]) == terms and min(line["gradients"].values()) >= 0 for line in measured)
    assert all(line["gradients"]["sup"] > 0 for line in measured)
    assert [line["epoch"] for line in events(tmp_path, "epoch")] == [1, 2, 3]
    assert len(list((tmp_path / "pictures").iterdir())) == 3


@pytest.mark.parametrize("option", ["gradient_checkpointing", "channels_last"])
def test_options_of_memory_change_no_result(option, tmp_path):
    """Stochastic depth and dropout draw the same where blocks are computed twice."""
    weights = []
    for value in (False, True):
        experiment = experiment_of({"optim": {"epochs": 1}, "train": {option: value}})
        trainer = trainer_of(experiment, tmp_path / str(value))
        trainer.fit()
        weights.append(trainer.model.state_dict())
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, rtol=1e-3, atol=3e-4)


def test_compile_is_asked_for_the_encoder(tmp_path, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module: compiled.append(type(module).__name__))
    trainer_of(experiment_of({"train": {"compile": True}}), tmp_path)
    assert compiled == ["MixTransformer"]


def test_a_state_of_another_kind_is_refused(tmp_path):
    experiment = experiment_of()
    trainer_of(experiment, tmp_path, MadeUp(before=stop_at(0, 1))).fit()
    other = experiment_of({"model": {"embed_dim": 24}})
    with pytest.raises(CheckpointError, match=r"does not fit this run .*--fresh"):
        trainer_of(other, tmp_path).fit()


def test_running_statistics_move(tmp_path):
    trainer = trainer_of(experiment_of({"optim": {"epochs": 1}}), tmp_path)
    norm = trainer.model.head.norm
    before = norm.running_mean.clone(), norm.running_var.clone()
    trainer.fit()
    assert not torch.equal(norm.running_mean, before[0])
    assert not torch.equal(norm.running_var, before[1])


def test_seeds_decide_the_start_and_the_callers_sequence_goes_on(tmp_path):
    first, again = (initial_model(experiment_of(), CLASSES).state_dict() for _ in range(2))
    assert_equal(dict(first), dict(again))
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    other = initial_model(experiment_of({"train": {"seed": 1}}), CLASSES).state_dict()
    assert torch.equal(torch.rand(3), expected)
    assert not torch.equal(first["head.fuse.weight"], other["head.fuse.weight"])
