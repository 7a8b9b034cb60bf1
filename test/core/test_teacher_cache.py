# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The embedding cache: against slow references, killed and resumed, and refused where it does not fit."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from any2seg_core.errors import CheckpointError, ConfigError, FrameError
from any2seg_core.experiment import DataConfig, TeacherConfig
from any2seg_core.frames import ClassTable, Modality
from any2seg_core.teacher import (
    SampleView,
    TeacherCache,
    build_cache,
    cache_path,
    captions_path,
    expected_fingerprint,
    file_stamp,
)
from any2seg_core.teacher.fingerprint import differences, same_stamp, state_sha256
from any2seg_core.teacher.kinds import open_teacher
from any2seg_core.teacher.view import tower_picture

CPU = torch.device("cpu")
NAMES = ("Road", "Sky", "TwoWheeler")
CLASSES = ClassTable(NAMES, np.zeros((3, 3), np.uint8))
FOUR = (Modality.RGB, Modality.DEPTH, Modality.EVENT, Modality.LIDAR)
TINY = TeacherConfig(kind="tiny")


class Samples:
    """Random samples in memory; sample 3 has no LiDAR; reading may be made to fail, as if the process were killed."""

    def __init__(self, count=11, seed=0, stamp="rgb=1;labels=2"):
        self.ids = [f"fog/train/a/{index:06d}" for index in range(count)]
        self.stamps = [stamp for _ in self.ids]
        self.seed, self.reads, self.killed_at = seed, [], None

    def __getitem__(self, index):
        if index == self.killed_at:
            raise KeyboardInterrupt
        self.reads.append(index)
        generator = torch.Generator().manual_seed(1000 * self.seed + index)
        pictures = {
            modality: torch.randint(0, 256, (3, 40, 52), generator=generator, dtype=torch.uint8)
            for modality in FOUR
            if modality is not Modality.DEPTH and not (modality is Modality.LIDAR and index == 3)
        }
        metres = torch.rand(40, 52, generator=generator) * 90
        return SampleView(self.ids[index], pictures, metres, np.zeros((40, 52), np.uint8), "fog")


def captions_of(samples):
    return {name: f"A street with {index} cars." for index, name in enumerate(samples.ids)}


def build(path, samples=None, config=TINY, **options):
    samples = samples or Samples()
    options = {"captions": captions_of(samples), "modalities": FOUR, "batch_size": 2, "part": 4} | options
    return build_cache(open_teacher(config, CPU), samples, CLASSES, config, path, **options)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    path = tmp_path_factory.mktemp("cache") / "tiny.safetensors"
    return path, build(path)


def unit(vector):
    vector = vector.double()
    return vector / vector.norm()


def test_targets_equal_cosines_one_by_one(built):
    _, cache = built
    samples, teacher = Samples(), open_teacher(TINY, CPU)
    rows = [8, 3, 0, 3]
    order = (Modality.LIDAR, Modality.RGB, Modality.DEPTH)
    found = cache.targets([samples.ids[row] for row in rows], order)
    assert found.correlation.shape == found.valid.shape == (4, 3)
    assert found.correlation.dtype == torch.float32
    for place, row in enumerate(rows):
        scene = unit(teacher.encode_texts([captions_of(samples)[samples.ids[row]]])[0])
        for column, modality in enumerate(order):
            picture = tower_picture(samples[row], modality, teacher.towers[modality], TINY)
            assert bool(found.valid[place, column]) == (picture is not None)
            if picture is None:
                assert found.correlation[place, column] == 0
            else:
                expected = unit(teacher.encode_images(modality, picture[None])[0]) @ scene
                assert float(found.correlation[place, column]) == pytest.approx(float(expected), abs=2e-6)
    words = [unit(vector) for vector in teacher.encode_texts(["road", "sky", "two-wheeler"])]
    for i in range(3):
        for j in range(3):
            assert float(found.classes[i, j]) == pytest.approx(float(words[i] @ words[j]), abs=2e-6)


def test_the_file_is_what_the_format_says(built):
    path, cache = built
    tensors = load_file(path)
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == {
        **dict.fromkeys(("rgb", "depth", "event", "lidar", "scene"), (11, 32)),
        "classes": (3, 32),
        "valid": (11, 4),
    }
    for name in ("rgb", "scene", "classes"):
        torch.testing.assert_close(tensors[name].norm(dim=1), torch.ones(len(tensors[name])))
    assert tensors["lidar"][3].abs().max() == 0
    assert tensors["valid"].dtype == torch.bool
    assert tensors["valid"].sum() == 43
    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()["any2seg"])
    assert header["ids"] == Samples().ids
    assert header["fingerprint"]["teacher"]["weights"] == {"seed": 0}
    assert header["fingerprint"]["classes"] == ["road", "sky", "two-wheeler"]
    assert len(cache) == 11
    assert not [other for other in path.parent.iterdir() if other != path]
    assert path.stat().st_mode & 0o044 == 0o644 & 0o044 & ~umask()


def umask():
    import os

    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("killed_at", [0, 1, 4, 7, 10])
def test_killed_and_resumed_gives_the_same_bytes(built, tmp_path, killed_at):
    path = tmp_path / "tiny.safetensors"
    samples = Samples()
    samples.killed_at = killed_at
    with pytest.raises(KeyboardInterrupt):
        build(path, samples)
    assert not path.exists()
    samples.killed_at = None
    samples.reads.clear()
    ticks = []
    build(path, samples, done=ticks.append)
    first = killed_at // 4 * 4
    assert sorted(set(samples.reads)) == list(range(first, 11))
    assert ticks[0] == first
    assert sum(ticks) == 11
    assert path.read_bytes() == built[0].read_bytes()
    assert [other.name for other in tmp_path.iterdir()] == ["tiny.safetensors"]


def test_half_written_files_do_not_count(built, tmp_path):
    path = tmp_path / "tiny.safetensors"
    samples = Samples()
    samples.killed_at = 9
    with pytest.raises(KeyboardInterrupt):
        build(path, samples)
    parts = tmp_path / ".tiny.safetensors.parts"
    (parts / ".00000008.safetensors.unfinished").write_bytes(b"half")
    (tmp_path / ".tiny.safetensors.unfinished").write_bytes(b"half")
    samples.killed_at = None
    build(path, samples)
    assert path.read_bytes() == built[0].read_bytes()
    assert not parts.exists()


def test_reading_processes_change_nothing(built, tmp_path):
    build(tmp_path / "a.safetensors", workers=2)
    assert (tmp_path / "a.safetensors").read_bytes() == built[0].read_bytes()


def test_a_finished_cache_is_found_done(built):
    samples = Samples()
    ticks = []
    cache = build(built[0], samples, done=ticks.append)
    assert (samples.reads, ticks, len(cache)) == ([], [11], 11)


CHANGES = {
    "seed": ({"config": TeacherConfig(kind="tiny", seed=3)}, r"seed: found 0, expected 3; teacher\.weights\.seed"),
    "towers": (
        {"config": TeacherConfig(kind="tiny", towers=["lidar=image"])},
        r'towers\.lidar: found "depth", expected "image"',
    ),
    "resize": (
        {"config": TeacherConfig(kind="tiny", resize="squash")},
        r'pictures\.resize: found "own", expected "squash"',
    ),
    "depth": (
        {"config": TeacherConfig(kind="tiny", depth_max_m=10.0)},
        r"pictures\.depth_max_m: found 80\.0, expected 10\.0",
    ),
    "templates": (
        {"config": TeacherConfig(kind="tiny", class_templates=["a {name}"])},
        r'class_templates: found \["\{name\}"\], expected \["a \{name\}"\]',
    ),
    "names": (
        {"config": TeacherConfig(kind="tiny", class_naming="literal")},
        r'classes: found \["road", "sky", "two-wheeler"\], expected \["Road"',
    ),
    "precision": (
        {"config": TeacherConfig(kind="tiny", precision="bf16")},
        r'precision: found "fp32", expected "bf16"',
    ),
    "data set": ({"data": DataConfig(dataset="street")}, r'pictures\.dataset: found nothing, expected "street"'),
    "modalities": (
        {"modalities": FOUR[:2]},
        r'modalities: found \["rgb", "depth", "event", "lidar"\], expected \["rgb", "depth"\]',
    ),
    "captions": ({"captions": dict.fromkeys(Samples().ids, "Road.")}, "caption_texts: found"),
    "samples": ({"samples": Samples(10)}, "caption_texts: .*samples: found 11, expected 10"),
    "files": ({"samples": Samples(stamp="rgb=9;labels=2")}, "sample_files: found"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("finished", [True, False])
def test_other_settings_are_refused_by_name_until_told_to_rebuild(tmp_path, change, finished):
    options, message = CHANGES[change]
    path = tmp_path / "a.safetensors"
    samples = Samples()
    samples.killed_at = None if finished else 9
    if finished:
        build(path, samples)
    else:
        with pytest.raises(KeyboardInterrupt):
            build(path, samples)
    before = sorted(other.name for other in tmp_path.rglob("*"))
    with pytest.raises(CheckpointError, match=rf"a\.safetensors: comes from other settings: .*{message}"):
        build(path, **options)
    assert sorted(other.name for other in tmp_path.rglob("*")) == before
    assert len(build(path, rebuild=True, **options)) == len(options.get("samples", samples).ids)
    build(path, **options)


def test_training_opens_only_what_it_expects(built):
    path, cache = built
    expected = expected_fingerprint(TINY, NAMES)
    opened = TeacherCache.open(path, expected)
    assert torch.equal(opened.correlation, cache.correlation)
    other = TeacherConfig(kind="tiny", seed=3, depth_max_m=9.0)
    with pytest.raises(
        CheckpointError,
        match=r"does not fit: seed: found 0, expected 3; pictures\.depth_max_m: found 80\.0, expected 9\.0; compute",
    ):
        TeacherCache.open(path, expected_fingerprint(other, NAMES))
    with pytest.raises(CheckpointError, match=r'classes: found \["road", "sky", "two-wheeler"\], expected \["road"\]'):
        TeacherCache.open(path, expected_fingerprint(TINY, NAMES[:1]))


def test_settings_without_influence_are_free():
    free = {"cache": "x", "captions": "y", "caption_model": "z", "centre": True, "path": "p"}
    assert expected_fingerprint(TeacherConfig(kind="tiny", **free), NAMES) == expected_fingerprint(TINY, NAMES)
    raw, hha = DataConfig(depth_source="raw"), DataConfig(depth_source="hha")
    # The depth tower sees metres whatever the student sees; the image tower sees the student's pictures.
    assert expected_fingerprint(TINY, NAMES, raw) == expected_fingerprint(TINY, NAMES, hha)
    image = TeacherConfig(kind="tiny", towers=["depth=image"])
    assert expected_fingerprint(image, NAMES, raw) != expected_fingerprint(image, NAMES, hha)
    for change in ({"caption_condition": False}, {"depth_holes": "near"}, {"inverted": []}, {"lidar_dilate_px": 1}):
        assert expected_fingerprint(TeacherConfig(kind="tiny", **change), NAMES) != expected_fingerprint(TINY, NAMES)


def test_a_changed_data_set_is_noticed(built):
    path, _ = built
    ids = Samples().ids
    TeacherCache.open(path, stamps={ids[0]: "rgb=1;labels=2", ids[1]: "labels=2;nir=7"})
    with pytest.raises(CheckpointError, match=r"found rgb=1;labels=2 .*for sample fog/train/a/000001, expected rgb=4"):
        TeacherCache.open(path, stamps={ids[0]: "rgb=1", ids[1]: "rgb=4"})
    with pytest.raises(CheckpointError, match=r"found nothing .*for sample new"):
        TeacherCache.open(path, stamps={"new": "rgb=1"})


def test_stamps_are_sizes_by_modality(tmp_path):
    for name, size in (("a", 3), ("b", 4), ("c", 5)):
        (tmp_path / name).write_bytes(b"x" * size)
    paths = {Modality.AOLP: (tmp_path / "a", tmp_path / "b")}
    assert file_stamp(paths, tmp_path / "c") == "aolp=7;labels=5"
    assert same_stamp("rgb=1;labels=2", "labels=2;depth=9")
    assert not same_stamp("rgb=1;labels=2", "labels=3;depth=9")
    with pytest.raises(ConfigError, match="found a file missing"):
        file_stamp(paths, tmp_path / "d")


def test_unknown_samples_and_modalities_are_refused(built):
    _, cache = built
    with pytest.raises(CheckpointError, match="found no rain/1 among 11 samples of rgb, depth, event, lidar"):
        cache.targets(["rain/1", Samples().ids[0]], FOUR)
    with pytest.raises(CheckpointError, match="found no nir among"):
        cache.targets([Samples().ids[0]], (Modality.NIR,))


def test_centring_takes_each_modalitys_mean_away(built):
    path, cache = built
    centred = TeacherCache.open(path, centre=True)
    for column, modality in enumerate(FOUR):
        present = cache.valid[:, column].numpy()
        values = cache.correlation[:, column].double().numpy()
        expected = np.where(present, values - values[present].mean(), 0)
        found = centred.targets(Samples().ids, (modality,))
        np.testing.assert_allclose(found.correlation[:, 0], expected, atol=1e-6)
    assert torch.equal(centred.classes, cache.classes)


def test_files_that_are_no_caches(tmp_path, built):
    path = tmp_path / "a.safetensors"
    with pytest.raises(CheckpointError, match="there is none; compute it with"):
        TeacherCache.open(path)
    path.write_bytes(built[0].read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="cannot be read"):
        TeacherCache.open(path)
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match=r"cannot be read .*KeyError"):
        TeacherCache.open(path)
    tensors = load_file(built[0])
    with safe_open(built[0], "pt") as file:
        header = json.loads(file.metadata()["any2seg"])
    save_file(tensors | {"rgb": tensors["rgb"][:5].clone()}, path, {"any2seg": json.dumps(header)})
    with pytest.raises(CheckpointError, match=r"parts of \[5, 11\] rows, expected format 1 and equal parts"):
        TeacherCache.open(path)
    header["fingerprint"]["format"] = 9
    save_file(tensors, path, {"any2seg": json.dumps(header)})
    with pytest.raises(CheckpointError, match="found format 9 "):
        TeacherCache.open(path)


def test_what_cannot_be_built(tmp_path):
    path = tmp_path / "a.safetensors"
    with pytest.raises(ConfigError, match="found 0 samples"):
        build(path, Samples(0))
    twice = Samples(3)
    twice.ids[2] = twice.ids[0]
    with pytest.raises(ConfigError, match="found 3 samples, 2 different"):
        build(path, twice)
    with pytest.raises(ConfigError, match=r"no description of fog/train/a/000000 and 10 more"):
        build(path, captions={})
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="unfinished parts cannot be used"):
        build(tmp_path / "file" / "a.safetensors")

    class Metreless(Samples):
        def __getitem__(self, index):
            view = super().__getitem__(index)
            return SampleView(view.id, view.pictures | {Modality.DEPTH: view.pictures[FOUR[0]]}, None, view.labels, "")

    with pytest.raises(FrameError, match="no metric depth in sample fog/train/a/000000"):
        build(path, Metreless(2))


def test_where_the_files_are():
    data = "/data/DELIVER"
    assert str(cache_path(TINY, data, "train")) == "/data/DELIVER-tiny-train.safetensors"
    assert str(captions_path(TINY, data, "val")) == "/data/DELIVER-tiny-val.captions.jsonl"
    named = TeacherConfig(kind="tiny", cache="out/{split}.safetensors", captions="c-{split}.jsonl")
    assert str(cache_path(named, data, "val")) == "out/val.safetensors"
    assert str(captions_path(named, data, "val")) == "c-val.jsonl"


def test_differences_name_fields_and_both_values():
    found = {"a": 1, "b": {"c": [1, 2], "d": "x" * 99}, "long": list(range(9))}
    expected = {"a": 1, "b": {"c": [1, 3], "d": "y"}, "long": [*range(8), 99], "new": True}
    text = differences(found, expected)
    assert "a:" not in text
    assert "b.c: found [1, 2], expected [1, 3]" in text
    assert '..., expected "y"' in text
    assert "long[8]: found 8, expected 99" in text
    assert "new: found nothing, expected true" in text
    assert differences(found, found) == ""
    assert differences({}, {str(index): index for index in range(7)}).endswith("expected 4 and 2 more")


def test_hashes_of_weights_follow_names_types_and_values():
    state = {"a": torch.zeros(2, 3), "b": torch.ones(2, dtype=torch.bfloat16)}
    first = state_sha256(state)
    assert first == state_sha256(dict(reversed(state.items())))
    assert state_sha256({"a": torch.zeros(3, 2), "b": state["b"]}) != first
    assert state_sha256({"a": torch.zeros(2, 3).t().contiguous().t() + 1e-9, "b": state["b"]}) != first
    assert state_sha256({"c": state["a"], "b": state["b"]}) != first
