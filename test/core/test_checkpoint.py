# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: what is saved comes back, what is broken is named, and a crash leaves a whole one."""

import contextlib
import json
import os
import stat

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from any2seg_core.config import ModelConfig, PreprocessConfig
from any2seg_core.errors import CheckpointError, ConfigError
from any2seg_core.frames import ClassTable
from any2seg_core.model import CheckpointInfo, build_model, load_checkpoint, save_checkpoint
from any2seg_core.model import checkpoint as module

CLASSES = ClassTable(("road", "sky", "car"), np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.uint8))
INFO = CheckpointInfo(
    name="street",
    model=ModelConfig(backbone="timm:test_convnext", embed_dim=16, modalities=["rgb", "lidar"], previous="temporal"),
    preprocess=PreprocessConfig(short_side_px=64, lidar_splat_px=2),
    classes=CLASSES,
    metrics={"miou": 0.5},
)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    network = build_model(INFO.model, 3)
    network.head.norm.running_mean.normal_()
    return network


@pytest.fixture
def folder(tmp_path, model):
    save_checkpoint(tmp_path / "best", model, INFO)
    return tmp_path / "best"


def rewrite(folder, **changes):
    """Change fields of the description; None takes one out."""
    path = folder / "checkpoint.json"
    description = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in description.items() if value is not None}))


def reweigh(folder, change):
    """Change the tensors and keep the checksum right."""
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")
    rewrite(folder, sha256=module._checksum(folder / "model.safetensors"))


def test_everything_comes_back(folder, model):
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoint.json", "model.safetensors"]
    assert [path.name for path in folder.parent.iterdir()] == ["best"]
    loaded, info = load_checkpoint(folder)
    assert info == INFO
    assert not loaded.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name]), name


def test_whoever_may_read_a_new_file_may_read_the_weights(tmp_path, model):
    former = os.umask(0o022)
    try:
        save_checkpoint(tmp_path / "shared", model, INFO)
    finally:
        os.umask(former)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "shared").iterdir()} == {0o644}


def test_loading_leaves_the_random_sequence_alone(folder):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    load_checkpoint(folder)
    assert torch.equal(torch.rand(1), expected)


def test_half_storage_is_half_as_big_and_loads_as_float32(tmp_path, folder, model):
    save_checkpoint(tmp_path / "half", model, INFO, half=True)
    sizes = [(path / "model.safetensors").stat().st_size for path in (folder, tmp_path / "half")]
    assert sizes[1] < 0.55 * sizes[0]
    loaded, _ = load_checkpoint(tmp_path / "half")
    for name, tensor in model.state_dict().items():
        assert loaded.state_dict()[name].dtype == tensor.dtype
        torch.testing.assert_close(loaded.state_dict()[name], tensor, atol=1e-4, rtol=1e-3)
    assert torch.equal(loaded.head.norm.running_mean, model.head.norm.running_mean)


def test_saving_again_replaces(folder, model):
    save_checkpoint(folder, model, CheckpointInfo("later", INFO.model, INFO.preprocess, CLASSES))
    assert load_checkpoint(folder)[1].name == "later"
    assert [path.name for path in folder.parent.iterdir()] == ["best"]


@pytest.mark.parametrize("crash_at", range(8))
def test_a_crash_at_any_step_leaves_a_whole_checkpoint(folder, model, monkeypatch, crash_at):
    steps = iter(range(100))

    def perhaps(function):
        def step(*arguments, **keywords):
            if next(steps) >= crash_at:
                raise KeyboardInterrupt
            return function(*arguments, **keywords)

        return step

    with monkeypatch.context() as patch:
        patch.setattr(module, "save", perhaps(module.save))
        patch.setattr(module.os, "fsync", perhaps(os.fsync))
        patch.setattr(type(folder), "rename", perhaps(type(folder).rename))
        with contextlib.suppress(KeyboardInterrupt):
            save_checkpoint(folder, model, CheckpointInfo("later", INFO.model, INFO.preprocess, CLASSES))
    former = folder.with_name("best.previous")
    if folder.exists():
        assert load_checkpoint(folder)[1].name in ("street", "later")
    else:
        assert load_checkpoint(former)[1].name == "street"
        with pytest.raises(CheckpointError, match=r"interrupted, the former checkpoint is whole in .*best\.previous"):
            load_checkpoint(folder)
    save_checkpoint(folder, model, INFO)
    assert load_checkpoint(folder)[1] == INFO


def test_everything_is_on_the_disk_before_it_takes_the_name(tmp_path, model, monkeypatch):
    log = []
    flush, rename = module._flush, type(tmp_path).rename
    monkeypatch.setattr(module, "_flush", lambda path: (log.append(f"flush {path.name}"), flush(path)))
    monkeypatch.setattr(type(tmp_path), "rename", lambda path, to: (log.append(f"name {to.name}"), rename(path, to)))
    save_checkpoint(tmp_path / "best", model, INFO)
    staging = log[2].removeprefix("flush ")
    assert staging.startswith(".best.")
    expected = ["model.safetensors", "checkpoint.json", staging]
    assert log == [f"flush {name}" for name in expected] + ["name best", f"flush {tmp_path.name}"]


def test_a_refusing_disk_is_told_and_cleaned_up(tmp_path, model):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"cannot be written .* check space and permissions"):
        save_checkpoint(tmp_path / "file" / "best", model, INFO)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "pytorch_model.bin", "last.ckpt", "model.pkl"])
def test_pickles_are_never_opened(tmp_path, name):
    (tmp_path / name).write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(CheckpointError, match=r"found a pickle, which runs any code .* write it with save_checkpoint"):
        load_checkpoint(tmp_path / name)


@pytest.mark.parametrize("name", ["model.safetensors", "checkpoint.json"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=f"found no {name}, expected both"):
        load_checkpoint(folder)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"found no checkpoint\.json and no model\.safetensors"):
        load_checkpoint(tmp_path / "nothing")


def test_cut_off_and_altered_weights_are_found(folder):
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    for broken in (whole[:-100], whole[:-1] + bytes([whole[-1] ^ 1])):
        path.write_bytes(broken)
        with pytest.raises(CheckpointError, match=r"sha256 \w+, expected \w+: it is cut off or altered"):
            load_checkpoint(folder)
    path.write_bytes(whole[:50])
    rewrite(folder, sha256=module._checksum(path))
    with pytest.raises(CheckpointError, match=r"model\.safetensors cannot be read"):
        load_checkpoint(folder)


def test_descriptions_that_are_not_understood(folder):
    rewrite(folder, format=2)
    with pytest.raises(CheckpointError, match="found format 2, expected 1; use the any2seg version that wrote it"):
        load_checkpoint(folder)
    rewrite(folder, format=1, model={"embed_dimm": 16})
    with pytest.raises(CheckpointError, match="'embed_dimm' is not a setting, the nearest is 'embed_dim'"):
        load_checkpoint(folder)
    rewrite(folder, model=None)
    with pytest.raises(CheckpointError, match="has no 'model', expected name, model"):
        load_checkpoint(folder)
    rewrite(folder, model={}, metrics={"miou": "high"})
    with pytest.raises(CheckpointError, match="is not understood: could not convert"):
        load_checkpoint(folder)
    for text in ("[]", "null"):
        (folder / "checkpoint.json").write_text(text)
        with pytest.raises(CheckpointError, match="found format None"):
            load_checkpoint(folder)
    (folder / "checkpoint.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"checkpoint\.json cannot be read .* copy the checkpoint again"):
        load_checkpoint(folder)


def test_weights_that_do_not_fit_the_description(folder):
    rewrite(folder, classes=CLASSES.to_json()[:2])
    with pytest.raises(CheckpointError, match="found 2 class names but weights for 3 classes"):
        load_checkpoint(folder)
    rewrite(folder, classes=CLASSES.to_json())
    reweigh(folder, lambda tensors: tensors.pop("head.fuse.weight"))
    with pytest.raises(CheckpointError, match=r"1 missing: head\.fuse\.weight"):
        load_checkpoint(folder)
    reweigh(folder, lambda tensors: tensors.update({"head.fuse.weight": torch.zeros(2, 2), "more": torch.zeros(1)}))
    with pytest.raises(CheckpointError, match=r"1 unexpected: more; 1 mismatched: head\.fuse\.weight \(2, 2\)"):
        load_checkpoint(folder)


def test_a_checkpoint_of_before_fusion_and_norms_could_be_chosen_loads(folder, model):
    old = INFO.model.model_dump()
    for name in ("fusion", "selection", "selection_temperature", "norms"):
        del old[name]
    rewrite(folder, model=old)
    found, info = load_checkpoint(folder)
    assert info == INFO
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in found.state_dict().items())


@pytest.mark.parametrize("settings", [{"norms": "per_modality"}, {"fusion": "concat"}, {"fusion": "max"}])
@pytest.mark.parametrize("half", [False, True])
def test_variants_come_back(tmp_path, settings, half):
    config = ModelConfig(embed_dim=8, modalities=["rgb", "lidar"], **settings)
    network = build_model(config, 3)
    save_checkpoint(tmp_path / "a", network, CheckpointInfo("a", config, INFO.preprocess, CLASSES), half=half)
    found, info = load_checkpoint(tmp_path / "a")
    assert info.model == config
    assert type(found) is type(network)
    for name, tensor in network.state_dict().items():
        expected = tensor.half().float() if half and tensor.ndim > 1 else tensor
        assert torch.equal(found.state_dict()[name], expected), name


def test_an_architecture_that_cannot_be_built_is_a_setting_s_fault(folder):
    rewrite(folder, model=INFO.model.model_dump() | {"backbone": "mit_b9"})
    with pytest.raises(ConfigError, match="mit_b9"):
        load_checkpoint(folder)


def test_what_cannot_be_saved(tmp_path, model):
    two = ClassTable(CLASSES.names[:2], CLASSES.colours[:2])
    with pytest.raises(CheckpointError, match="found 2 class names for a head of 3 classes"):
        save_checkpoint(tmp_path / "a", model, CheckpointInfo("a", INFO.model, INFO.preprocess, two))
    large = build_model(INFO.model, 3)
    with torch.no_grad():
        large.head.fuse.weight[0, 0] = 1e6
    with pytest.raises(CheckpointError, match=r"head\.fuse\.weight holds values that are not finite as torch\.float16"):
        save_checkpoint(tmp_path / "a", large, INFO, half=True)
    save_checkpoint(tmp_path / "a", large, INFO)
    assert load_checkpoint(tmp_path / "a")[0].head.fuse.weight[0, 0] == 1e6
