# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Experiment files: chains of bases, overrides, refusals, and what makes two experiments different."""

import pytest
import yaml

from any2seg_core.config import describe
from any2seg_core.errors import ConfigError
from any2seg_core.experiment import Experiment, differences, load_experiment


def write(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def test_an_empty_file_is_the_default(tmp_path):
    (tmp_path / "empty.yaml").touch()
    assert load_experiment(tmp_path / "empty.yaml") == Experiment()


def test_bases_and_overrides_win_in_turn(tmp_path):
    write(tmp_path / "a.yaml", {"name": "a", "optim": {"lr": 1.0, "epochs": 5}, "train": {"seed": 3}})
    write(tmp_path / "deep" / "b.yaml", {"base": "../a.yaml", "name": "b", "optim": {"lr": 2.0}})
    path = write(tmp_path / "c.yaml", {"base": "deep/b.yaml", "train": {"precision": "bf16"}})
    found = load_experiment(path, ["optim.epochs=7", "model.modalities=[rgb, depth]", "train.seed=4"])
    assert (found.name, found.optim.lr, found.optim.epochs) == ("b", 2.0, 7)
    assert (found.train.seed, found.train.precision) == (4, "bf16")
    assert found.model.modalities == ["rgb", "depth"]


@pytest.mark.parametrize(
    ("override", "expected"),
    [("train.initial_weights=", ""), ("train.initial_weights=a=b", "a=b"), ("train.initial_weights='1'", "1")],
)
def test_values_of_overrides(override, expected, tmp_path):
    assert load_experiment(write(tmp_path / "a.yaml", {}), [override]).train.initial_weights == expected


def test_all_problems_are_named_together(tmp_path):
    path = write(tmp_path / "a.yaml", {"optim": {"learning_rate": 1.0, "epochs": 0}, "train": {"precision": "fp8"}})
    with pytest.raises(ConfigError, match=r"3 problem\(s\)") as caught:
        load_experiment(path)
    for part in ("'optim.learning_rate' is not a setting", "optim.epochs: found 0", "train.precision: found 'fp8'"):
        assert part in str(caught.value)


@pytest.mark.parametrize("override", ["optim.lr", "=3"])
def test_overrides_that_are_none(override, tmp_path):
    with pytest.raises(ConfigError, match=r"override: found .* expected group.field=value"):
        load_experiment(write(tmp_path / "a.yaml", {}), [override])


def test_overrides_that_are_not_yaml(tmp_path):
    with pytest.raises(ConfigError, match=r"expected a YAML value after the equals sign"):
        load_experiment(write(tmp_path / "a.yaml", {}), ["optim.lr=["])


@pytest.mark.parametrize(
    ("text", "expected"), [("[1]", "found list"), ("a: [", "not readable"), (None, "not readable")]
)
def test_files_that_are_none(text, expected, tmp_path):
    path = tmp_path / "a.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=rf"experiment: .*{expected}"):
        load_experiment(path)


def test_bases_that_go_round_in_circles(tmp_path):
    write(tmp_path / "a.yaml", {"base": "b.yaml"})
    with pytest.raises(ConfigError, match=r"b.yaml based on itself"):
        load_experiment(write(tmp_path / "b.yaml", {"base": "a.yaml"}))


def test_differences_are_named_with_both_values():
    one = Experiment()
    other = Experiment.from_mapping({"optim": {"lr": 0.1}, "model": {"modalities": ["rgb"]}, "name": "x"})
    assert differences(one.model_dump(), other.model_dump()) == [
        "model.modalities: ['rgb', 'depth', 'event', 'lidar'] -> ['rgb']",
        "name: 'experiment' -> 'x'",
        "optim.lr: 6e-05 -> 0.1",
    ]
    assert differences(one.model_dump(), one.model_dump()) == []


def test_what_changes_no_number_makes_no_difference():
    changes = {
        "description": "x",
        "data": {"root": "x", "workers": 1},
        "teacher": {"cache": "x"},
        "train": {"log_every": 2, "checkpoint_every": 2, "pictures": 0, "tensorboard": False},
    }
    assert differences(Experiment().model_dump(), Experiment.from_mapping(changes).model_dump()) == []


def test_a_setting_of_another_version_is_a_difference():
    former = Experiment().model_dump()
    former["optim"]["momentum"] = 0.9
    del former["train"]["seed"]
    assert differences(former, Experiment().model_dump()) == ["optim.momentum: 0.9 -> None", "train.seed: None -> 0"]


def test_every_setting_has_a_plain_type_and_a_description():
    for setting in describe(Experiment):
        assert setting.type in (bool, int, float, str, list), setting.name
        assert setting.description or setting.name == "description", setting.name
