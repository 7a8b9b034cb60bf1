# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The parts around the training loop: schedule, folder, state, log, refusals before the first step."""

import json
import signal
import sys
import threading

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import nn

from any2seg_core.batch import Batch
from any2seg_core.config import ModelConfig, PreprocessConfig
from any2seg_core.errors import CheckpointError, ConfigError
from any2seg_core.experiment import Experiment, OptimConfig, TrainConfig
from any2seg_core.frames import ClassTable
from any2seg_core.model import CheckpointInfo, build_model, save_checkpoint
from any2seg_core.trainer import RunFolder, check_experiment, initial_model, start_processes
from any2seg_core.trainer.log import RunLog, Sums, grouped
from any2seg_core.trainer.pictures import draw_samples, write_picture
from any2seg_core.trainer.schedule import build_optimiser, learning_rate
from any2seg_core.trainer.signals import StopRequest
from any2seg_core.trainer.start import derived_seed
from any2seg_core.trainer.state import load_state, save_state

CLASSES = ClassTable(("road", "car", "sky"), np.eye(3, dtype=np.uint8) * 255)
SOUND = {
    "model": {"modalities": ["rgb", "depth"], "embed_dim": 8},
    "loss": {"cr_weight": 0.0, "se_weight": 0.0},
    "train": {"device": "cpu"},
}


def experiment_of(**groups):
    values = {name: dict(fields) for name, fields in SOUND.items()}
    for group, fields in groups.items():
        values[group] = values.get(group, {}) | fields
    return Experiment.from_mapping(values)


class TestSchedule:
    config = OptimConfig(lr=1.0, epochs=9, warmup_epochs=2.0, warmup_ratio=0.1, poly_power=0.5)

    @pytest.mark.parametrize(
        ("step", "expected"),
        [
            (0, 0.1),
            (5, 0.1 + 0.9 * 5 / 20),
            (19, 0.1 + 0.9 * 19 / 20),
            (20, 1.0),  # the decay starts here and is laid out over (9 + 1) * 10 - 20 = 80 steps
            (60, 0.5**0.5),
            (89, (11 / 80) ** 0.5),  # the last step of epoch 9
            (100, 0.0),
            (150, 0.0),
        ],
    )
    def test_by_hand(self, step, expected):
        assert learning_rate(step, 10, self.config) == pytest.approx(expected)

    def test_no_warm_up(self):
        config = OptimConfig(lr=2.0, epochs=1, warmup_epochs=0.0, poly_power=1.0)
        assert [learning_rate(step, 2, config) for step in range(3)] == [2.0, 1.5, 1.0]

    def test_vectors_do_not_decay(self):
        model = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2), nn.Conv2d(1, 1, 1))
        model[2].requires_grad_(requires_grad=False)
        matrices, vectors = build_optimiser(model, OptimConfig(weight_decay=0.3, betas=[0.8, 0.9])).param_groups
        assert [tuple(weight.shape) for weight in matrices["params"]] == [(2, 3)]
        assert [tuple(weight.shape) for weight in vectors["params"]] == [(2,), (2,), (2,)]
        assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.3, 0.0)
        assert matrices["betas"] == (0.8, 0.9)


class TestFolder:
    def test_the_same_experiment_may_go_on(self, tmp_path):
        folder = RunFolder(tmp_path / "new" / "run")
        folder.check(experiment_of(), {"processes": 1})
        folder.claim(experiment_of(), {"processes": 1})
        folder.check(experiment_of(), {"processes": 1})
        folder.check(experiment_of(data={"workers": 0, "root": "elsewhere"}, train={"log_every": 3}), {})
        assert folder.outcome() is None
        assert not folder.has_state()

    @pytest.mark.parametrize(
        ("groups", "circumstances", "expected"),
        [
            ({"optim": {"lr": 0.5}}, {"processes": 1}, r"optim.lr: 6e-05 -> 0.5;"),
            (
                {"model": {"embed_dim": 16}, "train": {"seed": 4}},
                {"processes": 1},
                r"embed_dim: 8 -> 16; train.seed: 0 -> 4",
            ),
            ({}, {"processes": 2}, r"processes 1 -> 2"),
        ],
    )
    def test_another_one_is_refused_naming_what_differs(self, groups, circumstances, expected, tmp_path):
        folder = RunFolder(tmp_path)
        folder.claim(experiment_of(), {"processes": 1})
        with pytest.raises(ConfigError, match=expected + r".*--fresh"):
            folder.check(experiment_of(**groups), circumstances)

    def test_many_differences_are_counted(self, tmp_path):
        folder = RunFolder(tmp_path)
        folder.claim(experiment_of(), {})
        groups = {"optim": {"lr": 0.5, "epochs": 1, "batch_size": 3, "clip_norm": 1.0, "accumulation": 2}}
        other = experiment_of(**groups, augment={"flip_p": 0.1, "blur_p": 0.1, "jitter_p": 0.1, "noise_p": 0.1})
        with pytest.raises(ConfigError, match=r"and 1 more; choose"):
            folder.check(other, {})

    def test_clearing_deletes_the_run_and_nothing_else(self, tmp_path):
        folder = RunFolder(tmp_path)
        folder.claim(experiment_of(), {})
        for path in (folder.state, folder.best, folder.last, folder.pictures, tmp_path / "state.previous"):
            path.mkdir()
        folder.log.touch()
        folder.result.write_text("{}")
        (tmp_path / "notes.txt").touch()
        assert folder.has_state()
        folder.clear()
        assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]

    @pytest.mark.parametrize("text", ["{", "[1]"])
    def test_a_broken_record_is_named(self, text, tmp_path):
        folder = RunFolder(tmp_path)
        folder.record.write_text(text)
        with pytest.raises(ConfigError, match=r"run.json"):
            folder.check(experiment_of(), {})

    def test_a_folder_that_cannot_be_written(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(ConfigError, match=r"cannot be written .*choose another"):
            RunFolder(tmp_path / "file" / "run").claim(experiment_of(), {})


class TestState:
    def test_round_trip(self, tmp_path):
        folder = tmp_path / "state"
        assert load_state(folder, 0) is None
        save_state(folder, {"a": torch.arange(3)}, {"b": [1, None]}, Accelerator(cpu=True))
        save_state(folder, {"a": torch.arange(4)}, {"b": [2, None]}, Accelerator(cpu=True))
        shared, own = load_state(folder, 0)
        assert (shared["a"].tolist(), own) == ([0, 1, 2, 3], {"b": [2, None]})
        assert [path.name for path in tmp_path.iterdir()] == ["state"]

    def test_a_crash_between_the_two_renames_leaves_the_former(self, tmp_path):
        folder = tmp_path / "state"
        save_state(folder, {"a": 1}, {}, Accelerator(cpu=True))
        folder.rename(tmp_path / "state.previous")
        (tmp_path / ".state.partial").mkdir()
        assert load_state(folder, 0) == ({"a": 1}, {})
        save_state(folder, {"a": 2}, {}, Accelerator(cpu=True))
        assert load_state(folder, 0) == ({"a": 2}, {})

    @pytest.mark.parametrize("content", [b"", b"junk", "cut"])
    def test_a_broken_state_is_refused(self, content, tmp_path):
        folder = tmp_path / "state"
        save_state(folder, {"a": torch.zeros(100)}, {}, Accelerator(cpu=True))
        path = folder / "shared.pt"
        path.write_bytes(path.read_bytes()[:300] if content == "cut" else content)
        with pytest.raises(CheckpointError, match=r"state .* cannot be read .*start over"):
            load_state(folder, 0)

    def test_a_pickle_that_runs_code_is_refused(self, tmp_path):
        class Evil:
            def __reduce__(self):
                return sys.exit, (1,)

        folder = tmp_path / "state"
        save_state(folder, {"a": 1}, {}, Accelerator(cpu=True))
        torch.save(Evil(), folder / "shared.pt")
        with pytest.raises(CheckpointError, match=r"cannot be read"):
            load_state(folder, 0)

    def test_a_disk_that_refuses(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(CheckpointError, match=r"cannot be written .*check space"):
            save_state(tmp_path / "file" / "state", {}, {}, Accelerator(cpu=True))


class TestLog:
    def test_lines_are_json_and_what_is_not_finite_is_null(self, tmp_path):
        log = RunLog(tmp_path / "run" / "log.jsonl")
        log.write("step", 3, {"loss": 1.5, "terms": {"sup": float("nan"), "cr": float("inf")}})
        (line,) = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
        assert json.loads(line) == {"event": "step", "step": 3, "loss": 1.5, "terms": {"sup": None, "cr": None}}
        assert log.lines == 1

    def test_it_is_cut_back_to_where_a_run_goes_on(self, tmp_path):
        path = tmp_path / "log.jsonl"
        path.write_text("1\n2\n3\n")
        log = RunLog(path, lines=2)
        log.write("step", 9, {})
        assert path.read_text().splitlines()[:2] == ["1", "2"]
        assert (len(path.read_text().splitlines()), log.lines) == (3, 3)
        with pytest.raises(CheckpointError, match=r"found 3 lines, expected at least 5"):
            RunLog(path, lines=5)

    def test_without_a_path_it_only_counts(self):
        log = RunLog(None)
        log.write("step", 1, {})
        log.picture("samples", 1, np.zeros((2, 2, 3), np.uint8))
        log.close()
        assert log.lines == 1

    def test_tensorboard_gets_curves_and_pictures(self, tmp_path):
        pytest.importorskip("tensorboard")
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        log = RunLog(tmp_path / "log.jsonl", tmp_path / "board")
        for step in (1, 2):
            log.write("step", step, {"epoch": 1, "terms": {"sup": 0.5 * step}, "best": {"scores": {}}})
        log.picture("samples", 2, np.zeros((4, 6, 3), np.uint8))
        log.close()
        found = EventAccumulator(str(tmp_path / "board")).Reload()
        assert [(event.step, event.value) for event in found.Scalars("step/terms/sup")] == [(1, 0.5), (2, 1.0)]
        assert found.Tags()["images"] == ["samples"]

    def test_it_does_without_tensorboard(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
        RunLog(tmp_path / "log.jsonl", tmp_path / "board").write("step", 1, {"loss": 1.0})
        assert not (tmp_path / "board").exists()

    def test_means_leave_out_what_is_no_number(self):
        sums = Sums()
        for value in (1.0, float("nan"), 4.0):
            sums.add({"a": torch.tensor(value), "b": torch.tensor(float("nan"))}, "group")
        again = Sums()
        again.load_state_dict(sums.state_dict(), torch.device("cpu"))
        means = again.means()
        assert means["group/a"].item() == 2.5
        assert means["group/b"].isnan()

    def test_groups_nest(self):
        assert grouped({"loss": 1.0, "terms/sup": 2.0, "terms/cr": 3.0}) == {
            "loss": 1.0,
            "terms": {"sup": 2.0, "cr": 3.0},
        }


class TestSignals:
    def test_the_first_is_remembered_and_handlers_come_back(self):
        before = signal.getsignal(signal.SIGTERM)
        with StopRequest() as stop:
            assert stop.received == 0
            signal.raise_signal(signal.SIGTERM)
            assert stop.received == signal.SIGTERM
        assert signal.getsignal(signal.SIGTERM) is before

    def test_a_signal_told_twice_is_one_and_a_later_one_acts_as_always(self, monkeypatch):
        now, acted = [100.0], []
        monkeypatch.setattr("any2seg_core.trainer.signals.time.monotonic", lambda: now[0])
        before = signal.signal(signal.SIGTERM, lambda number, _: acted.append(number))
        try:
            with StopRequest() as stop:
                for now[0] in (100.0, 100.3, 100.9):
                    signal.raise_signal(signal.SIGTERM)
                assert (stop.received, acted) == (signal.SIGTERM, [])
                now[0] = 101.0
                signal.raise_signal(signal.SIGTERM)
                assert acted == [signal.SIGTERM]
        finally:
            signal.signal(signal.SIGTERM, before)

    def test_other_threads_do_without(self):
        seen = []

        def work():
            with StopRequest() as stop:
                seen.append(stop.received)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert seen == [0]


class TestRefusals:
    @pytest.mark.parametrize(
        ("groups", "expected"),
        [
            ({"loss": {"cr_weight": 1.0}}, r"loss.cr_weight above 0 without a teacher"),
            ({"loss": {"cr_weight": 1.0, "se_weight": 1.0}}, r"loss.cr_weight and loss.se_weight above 0 without"),
            (
                {"loss": {"auxiliary_weight": 1.0, "base_weight": 1.0}, "model": {"fusion": "concat"}},
                r"loss.auxiliary_weight and loss.base_weight above 0 with model.fusion concat",
            ),
            ({"loss": {"distill_weight": 1.0}}, r"distill_weight above 0 with subsets.mode full"),
            ({"optim": {"epochs": 10}}, r"warmup_epochs 10 not below optim.epochs 10"),
            ({"train": {"eval_from": 201}}, r"eval_from 201 after optim.epochs 200"),
            ({"data": {"eval_split": "train"}}, r"'train' is the training split"),
            ({"data": {"eval_split": "test"}}, r"'test' would choose the checkpoint by the test split"),
            (
                {"train": {"select_on": "miss"}, "evaluation": {"subsets": "full"}},
                r"select_on 'miss' with evaluation.subsets 'full'",
            ),
        ],
    )
    def test_contradictions(self, groups, expected):
        check_experiment(experiment_of())
        with pytest.raises(ConfigError, match=r"found 1 contradiction\(s\): .*" + expected):
            check_experiment(experiment_of(**groups))

    def test_all_at_once(self):
        with pytest.raises(ConfigError, match=r"found 2 contradiction\(s\): .* \| "):
            check_experiment(experiment_of(loss={"cr_weight": 1.0}, data={"eval_split": "test"}))

    def test_half_precision_needs_a_gpu(self):
        if torch.cuda.is_available():
            pytest.skip("there is one")
        with pytest.raises(ConfigError, match=r"train.precision fp16 on device cpu: cannot be started"):
            start_processes(TrainConfig(device="cpu", precision="fp16"))


class TestInitialWeights:
    def save(self, folder, classes=CLASSES, **changes):
        config = ModelConfig(**(SOUND["model"] | changes))
        model = build_model(config, len(classes))
        save_checkpoint(folder, model, CheckpointInfo("donor", config, PreprocessConfig(), classes))
        return model

    def test_of_a_checkpoint(self, tmp_path):
        donor = self.save(tmp_path / "donor")
        model = initial_model(experiment_of(train={"initial_weights": str(tmp_path / "donor")}), CLASSES)
        for name, weight in donor.state_dict().items():
            assert torch.equal(model.state_dict()[name], weight)

    def test_of_other_classes_are_refused(self, tmp_path):
        table = ClassTable(("road", "car"), np.zeros((2, 3), np.uint8))
        self.save(tmp_path / "donor", table)
        with pytest.raises(CheckpointError, match=r"found 2 classes \(road, car ...\), expected the data set's 3"):
            initial_model(experiment_of(train={"initial_weights": str(tmp_path / "donor")}), CLASSES)

    def test_of_another_architecture_are_refused(self, tmp_path):
        self.save(tmp_path / "donor", embed_dim=16)
        with pytest.raises(CheckpointError, match=r"initial weights .*mismatched.*same backbone"):
            initial_model(experiment_of(train={"initial_weights": str(tmp_path / "donor")}), CLASSES)

    def test_that_are_missing_are_named(self, tmp_path):
        missing = str(tmp_path / "none")
        with pytest.raises(CheckpointError, match=r"pretrained .*none.* cannot load"):
            initial_model(experiment_of(train={"initial_weights": missing}), CLASSES)


def test_seeds_differ_by_every_part():
    parts = [(1, 0, 0, 0), (2, 0, 0, 0), (2, 1, 0, 0), (2, 0, 1, 0), (2, 0, 0, 1), (2, 0, 0, 2), (2, 2**40, 0, 0)]
    seeds = {derived_seed(*part) for part in parts}
    assert len(seeds) == len(parts)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_sample_pictures_show_inputs_truth_and_answer(tmp_path):
    config = PreprocessConfig()
    model = build_model(ModelConfig(**SOUND["model"]), 3).eval()
    pixels = torch.zeros(1, 2, 3, 32, 64)
    pixels[0, 0] = ((0.2 - torch.tensor(config.rgb_mean)) / torch.tensor(config.rgb_std))[:, None, None]
    pixels[0, 1] = 0.6
    batch = Batch(pixels, torch.ones(1, 2, dtype=torch.bool), torch.full((1, 32, 64), 2), ("a",), ("",), ("",))
    image = draw_samples(model, [batch, batch], CLASSES, config)
    assert image.dtype == np.uint8
    assert image.shape == (2 * 264, 4 * 520, 3)
    centres = [image[132, 260 + 520 * column].tolist() for column in range(4)]
    assert centres[0] == [51, 51, 51]
    assert centres[1] == [153, 153, 153]
    assert centres[2] == [0, 0, 255]
    assert sorted(centres[3]) == [0, 0, 255]
    write_picture(tmp_path / "new" / "picture.png", image)
    assert (tmp_path / "new" / "picture.png").stat().st_size > 100
    with pytest.raises(CheckpointError, match=r"picture .* cannot be written"):
        write_picture(tmp_path / "new" / "picture.png" / "x.png", image)
