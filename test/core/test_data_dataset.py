# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Data sets on disk to samples: what is found, what its values mean, and what is refused."""

import json
import runpy
import shutil
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from any2seg_core.config import PreprocessConfig
from any2seg_core.data import CATALOG, open_dataset, spec_named
from any2seg_core.data.listing import failure_of, name_in
from any2seg_core.errors import CalibrationError, ConfigError, FrameError
from any2seg_core.experiment import DataConfig
from any2seg_core.frames import DELIVER_CLASSES, Modality
from any2seg_core.projection.depth import depth_image, resize_nearest

FOLDERS = SimpleNamespace(**runpy.run_path(str(Path(__file__).resolve().parents[1] / "dataset_folders.py")))
RGB, DEPTH, EVENT, LIDAR = Modality.RGB, Modality.DEPTH, Modality.EVENT, Modality.LIDAR
FOUR = (RGB, DEPTH, EVENT, LIDAR)
POLARISED = (RGB, Modality.NIR, Modality.AOLP, Modality.DOLP)
PREPROCESS = PreprocessConfig(short_side_px=32)


def opened(root, dataset="street", modalities=FOUR, split="train", preprocess=PREPROCESS, transform=None, **settings):
    config = DataConfig(dataset=dataset, root=str(root), **settings)
    return open_dataset(config, preprocess, modalities, split=split, transform=transform)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A street data set that no test changes, below folders named like weathers, splits and failures."""
    root = tmp_path_factory.mktemp("rain") / "sun" / "train" / "img" / "MAP_1_point1_motionblur"
    return root, FOLDERS.write_street(root)


@pytest.fixture
def street(tmp_path):
    FOLDERS.write_street(tmp_path, conditions=("sun", "rain"))
    return tmp_path


@pytest.fixture
def mcubes(tmp_path):
    FOLDERS.write_mcubes(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["deliver", "street"])
def test_deliver_label_values(name):
    """Stored 0 and 255 are unlabelled, 1 to 25 are the classes, everything else is no class."""
    ids = spec_named(name).label_ids
    assert ids.dtype == np.uint8
    assert (ids[0], ids[255]) == (255, 255)
    assert ids[1:26].tolist() == list(range(25))
    assert ((ids[26:255] >= 25) & (ids[26:255] < 255)).all()


def test_mcubes_label_values_and_classes():
    spec = spec_named("mcubes")
    assert spec.label_ids.tolist() == list(range(256))
    assert len(spec.classes) == 20
    assert spec.classes.names[:3] == ("asphalt", "concrete", "metal")
    assert spec.classes.names[19] == "sky"
    assert spec.classes.colours[19].tolist() == [99, 121, 57]


@pytest.mark.parametrize("spec", CATALOG.values(), ids=CATALOG)
def test_records_are_consistent(spec):
    assert spec.name in CATALOG
    assert bool(spec.lists) != bool(spec.conditions)
    for source in [spec.labels, *spec.pictures.values()]:
        for template in source.files:
            assert template.format(folder="a/b/c", name="7").count("7") == 1
            assert name_in(template, template.rpartition("/")[2].format(name="000123")) == "000123"
            assert name_in(template, "other.txt") is None


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match="found 'cityscapes', expected one of deliver, mcubes, street"):
        spec_named("cityscapes")


def test_all_samples_are_found_in_order(shared):
    root, ids = shared
    for split, expected in ids.items():
        assert [sample.id for sample in opened(root, split=split).samples] == expected


@pytest.mark.parametrize("condition", ["cloud", "fog", "night", "rain", "sun"])
def test_weather_is_a_part_of_the_path_and_never_a_substring(shared, condition):
    """Every path here holds "rain", "sun" and, in train, "rain" again."""
    root, ids = shared
    found = opened(root, conditions=[condition]).samples
    assert [sample.id for sample in found] == [name for name in ids["train"] if name.startswith(f"{condition}/")]
    assert {sample.condition for sample in found} == {condition}
    assert {sample.failure for sample in found} == {"", "motionblur"}


def test_failure_is_the_suffix_of_the_scene(shared):
    root, _ = shared
    assert len(opened(root, failures=["motionblur"])) == 10
    assert len(opened(root, failures=["none"])) == 10
    assert len(opened(root, failures=["none", "motionblur"])) == 20
    assert len(opened(root, failures=["none"], conditions=["fog"])) == 2
    spec = spec_named("deliver")
    for scene, failure in {
        "MAP_1_point2": "",
        "MAP_1_point2_eventlowres": "eventlowres",
        "MAP_1_motionblur_point2": "",
        "motionblur": "motionblur",
        "MAP_1_point2_notmotionblur": "",
    }.items():
        assert failure_of(spec, scene) == failure


def test_a_limit_is_evenly_spread(shared):
    root, ids = shared
    found = [sample.id for sample in opened(root, limit=5).samples]
    assert found == ids["train"][::4]
    assert len(opened(root, limit=1000)) == 20


def test_values_of_a_street_sample(shared):
    root, ids = shared
    name = ids["train"][2]
    folder, _, frame = name.rpartition("/")
    sample = opened(root)[2]
    assert (sample.id, sample.condition, sample.failure) == (name, "cloud", "motionblur")
    assert sample.size == (40, 48)
    stored = cv2.imread(str(root / "semantic" / folder / f"{frame}_semantic_front.png"), -1)
    assert sample.target.dtype == torch.uint8
    assert np.array_equal(sample.target.numpy() + np.uint8(1), stored)
    for modality, kind in ((RGB, "img"), (LIDAR, "lidar"), (EVENT, "event")):
        picture = sample.pictures[modality]
        assert picture.dtype == torch.uint8
        stored = cv2.imread(str(root / kind / folder / f"{frame}_{FOLDERS.KINDS[kind]}_front.png"))[..., ::-1]
        assert np.array_equal(picture.permute(1, 2, 0).numpy(), stored)
    counts = cv2.imread(str(root / "depth" / folder / f"{frame}_depth_front.png"), -1)
    coded = depth_image((counts * 0.001).astype(np.float32))
    assert counts.dtype == np.uint16
    assert np.array_equal(sample.pictures[DEPTH].permute(1, 2, 0).numpy(), coded)
    assert (coded[counts == 0] == 0).all()


@pytest.mark.parametrize("encoding", ["log", "hha"])
def test_depth_is_coded_as_preprocess_says(shared, encoding):
    root, _ = shared
    preprocess = PreprocessConfig(depth_encoding=encoding, depth_max_m=30.0)
    dataset = opened(root, modalities=[DEPTH], preprocess=preprocess)
    counts = cv2.imread(str(dataset.samples[0].paths[DEPTH][0]), -1)
    camera = dataset._manifest.camera if encoding == "hha" else None
    coded = depth_image((counts * 0.001).astype(np.float32), encoding=encoding, max_depth_m=30.0, camera=camera)
    assert np.array_equal(dataset[0].pictures[DEPTH].permute(1, 2, 0).numpy(), coded)


def test_precomputed_hha(shared):
    root, _ = shared
    dataset = opened(root, depth_source="hha", preprocess=PreprocessConfig(depth_encoding="hha"))
    picture = dataset[0].pictures[DEPTH]
    assert picture.dtype == torch.uint8
    stored = cv2.imread(str(root / "hha/cloud/train/MAP_1_point1/000000_depth_front.png"))[..., ::-1]
    assert np.array_equal(picture.permute(1, 2, 0).numpy(), stored)


def test_depth_in_24_bits(tmp_path):
    """CARLA: (red + 256 green + 65536 blue) / (2^24 - 1) of 1000 m; its far plane means that nothing was hit."""
    FOLDERS.write_deliver(tmp_path, conditions=("sun",), frames=1)
    dataset = opened(tmp_path, "deliver", [DEPTH])
    metres = np.full((40, 48), 20.0)
    metres[0], metres[1] = 1000.0, 7.5
    counts = np.round(metres / 1000 * (2**24 - 1)).astype(np.int64)
    image = np.stack([counts & 255, counts >> 8 & 255, counts >> 16], axis=2).astype(np.uint8)
    FOLDERS.write_png(dataset.samples[0].paths[DEPTH][0], image)
    picture = dataset[0].pictures[DEPTH].numpy()
    assert (picture[:, 0] == 0).all()
    expected = depth_image(np.where(metres < 999, metres, np.nan).astype(np.float32))
    np.testing.assert_allclose(picture.transpose(1, 2, 0), expected, atol=1e-5)


def test_small_event_pictures_grow_to_the_labels(tmp_path):
    FOLDERS.write_deliver(tmp_path, scenes={"train": ("MAP_1_point1_eventlowres",)}, conditions=("sun",))
    dataset = opened(tmp_path, "deliver")
    stored = cv2.imread(str(dataset.samples[0].paths[EVENT][0]))[..., ::-1]
    assert stored.shape == (20, 24, 3)
    picture = dataset[0].pictures[EVENT].permute(1, 2, 0).numpy()
    assert np.array_equal(picture, resize_nearest(stored, 48, 40))


def test_values_of_an_mcubes_sample(mcubes):
    dataset = opened(mcubes, "mcubes", POLARISED)
    sample, name = dataset[0], dataset.samples[0].id
    assert (sample.condition, sample.failure) == ("", "")
    assert sample.size == (32, 240 - 192)
    stored = {
        "rgb": cv2.imread(str(mcubes / "polL_color" / f"{name}.png"))[..., ::-1],
        "nir": cv2.imread(str(mcubes / "NIR_warped" / f"{name}.png"), -1),
        "gt": cv2.imread(str(mcubes / "GT" / f"{name}.png"), -1),
    }
    assert stored["nir"].dtype == np.uint16
    assert np.array_equal(sample.target.numpy(), stored["gt"][:, 192:])
    assert np.array_equal(sample.pictures[RGB].permute(1, 2, 0).numpy(), stored["rgb"][:, 192:])
    nir = np.rint(stored["nir"][:, 192:] / 257.0)
    sine, cosine, dolp = (
        np.load(mcubes / folder / f"{name}.npy")[:, 192:] for folder in ("polL_aolp_sin", "polL_aolp_cos", "polL_dolp")
    )
    for channel, angle in enumerate((sine, cosine, sine)):
        assert np.abs(sample.pictures[Modality.NIR][channel].numpy() - nir).max() == 0
        assert np.abs(sample.pictures[Modality.DOLP][channel].numpy() / 255 - dolp).max() <= 0.5 / 255 + 1e-6
        assert np.abs(sample.pictures[Modality.AOLP][channel].numpy() / 127.5 - 1 - angle).max() <= 1 / 255 + 1e-6


def test_mcubes_splits_are_the_lists_of_that_name(mcubes):
    for split, count in (("train", 4), ("val", 2), ("test", 2)):
        dataset = opened(mcubes, "mcubes", POLARISED, split=split)
        assert [sample.id for sample in dataset.samples] == [f"outscene{split}_{i:010d}" for i in range(count)]


def test_rgb_of_16_bits_and_alpha(mcubes):
    dataset = opened(mcubes, "mcubes", [RGB])
    image = np.random.default_rng(0).integers(0, 65536, (32, 240, 4)).astype(np.uint16)
    cv2.imwrite(str(dataset.samples[0].paths[RGB][0]), image)
    expected = np.rint(image[:, 192:, 2::-1] / 257.0)
    assert np.array_equal(dataset[0].pictures[RGB].permute(1, 2, 0).numpy(), expected)


def test_a_transform_sees_every_sample(shared):
    root, _ = shared
    assert opened(root, transform=lambda sample: sample.id)[0] == "cloud/train/MAP_1_point1/000000"


def test_take_keeps_samples_by_index(shared):
    root, ids = shared
    part = opened(root).take([3, 1])
    assert [part[index].id for index in range(2)] == [ids["train"][3], ids["train"][1]]


def test_only_some_modalities_are_read(shared):
    root, _ = shared
    dataset = opened(root)
    assert set(dataset.load(0, [LIDAR]).pictures) == {LIDAR}
    assert set(opened(root, modalities=[EVENT, RGB])[0].pictures) == {RGB, EVENT}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"split": "validation"}, "found split 'validation', expected one of train, val, test"),
        ({"conditions": ["snow"]}, "found conditions snow .expected cloud, fog, night, rain, sun"),
        ({"failures": ["blur"]}, "found failures blur .expected motionblur, .*, none"),
        ({"modalities": (RGB, Modality.NIR)}, "found 'nir' asked for, expected one of rgb, depth, event, lidar"),
        ({"modalities": ()}, r"found modalities \[\] \(expected each once, at least one"),
        ({"modalities": (RGB, RGB)}, r"found modalities \['rgb', 'rgb'\] \(expected each once"),
        ({"depth_source": "hha"}, "depth_source 'hha' with preprocess.depth_encoding 'inverse'"),
        (
            {"failures": ["lidarjitter"]},
            "found no sample of lidarjitter in split 'train'.*cloud/motionblur, cloud/none",
        ),
    ],
)
def test_what_does_not_fit_is_refused(shared, settings, message):
    root, _ = shared
    with pytest.raises(ConfigError, match=message):
        opened(root, **settings)


def test_hha_from_depth_needs_a_camera(tmp_path):
    FOLDERS.write_deliver(tmp_path, conditions=("sun",), frames=1)
    with pytest.raises(ConfigError, match=r"depth_source 'raw' with preprocess.depth_encoding 'hha'"):
        opened(tmp_path, "deliver", preprocess=PreprocessConfig(depth_encoding="hha"))


def test_mcubes_has_no_weather(mcubes):
    with pytest.raises(ConfigError, match=r"found conditions sun .expected no choice: there are none"):
        opened(mcubes, "mcubes", POLARISED, conditions=["sun"])
    with pytest.raises(ConfigError, match=r"found depth as hha pictures asked for|found 'depth' asked for"):
        opened(mcubes, "mcubes", [DEPTH])


def test_a_missing_root_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"found no folder .*nowhere.*expected the unpacked data set; set data.root"):
        opened(tmp_path / "nowhere")


def test_an_empty_split_says_what_there_is(street):
    for folder in FOLDERS.KINDS:
        for condition in ("sun", "rain"):
            shutil.rmtree(street / folder / condition / "val")
    with pytest.raises(ConfigError) as error:
        opened(street, split="val")
    text = str(error.value)
    assert "found no sample of split 'val'" in text
    assert "semantic/*/val/*/*_semantic_front.png" in text
    assert "train (8), val (0), test (4)" in text
    assert "depth, event, hha, img, lidar, semantic" in text


def test_mcubes_lists(mcubes):
    (mcubes / "list_folder/val.txt").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"no sample of split 'val'.*list_folder/val.txt; .*train \(4\), val \(0\)"):
        opened(mcubes, "mcubes", POLARISED, split="val")
    (mcubes / "list_folder/val.txt").write_text("a\nb\na\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"val.txt: found a more than once"):
        opened(mcubes, "mcubes", POLARISED, split="val")
    (mcubes / "list_folder/val.txt").unlink()
    with pytest.raises(ConfigError, match=r"val.txt: found no list of split 'val'"):
        opened(mcubes, "mcubes", POLARISED, split="val")


def test_missing_files_are_refused_or_left_out(street):
    lost = street / "lidar/sun/train/MAP_1_point1/000001_lidar_front.png"
    lost.unlink()
    with pytest.raises(ConfigError, match=r"found 1 file\(s\) missing \(sample 'sun/train/MAP_1_point1/000001' has no"):
        opened(street)
    dataset = opened(street, skip_corrupt=True)
    assert dataset.skipped == ["sun/train/MAP_1_point1/000001"]
    assert len(dataset) == 7
    assert len(opened(street, modalities=[RGB, DEPTH])) == 8


def test_unfinished_files_are_not_samples(street):
    (street / "semantic/sun/train/MAP_1_point1/.000009_semantic_front.png.unfinished").write_bytes(b"")
    (street / "semantic/sun/train/MAP_1_point1/notes.txt").write_bytes(b"")
    assert len(opened(street)) == 8


@pytest.mark.parametrize("damage", ["empty", "half", "text", "gone"])
@pytest.mark.parametrize("kind", ["img", "depth", "semantic"])
def test_corrupt_files_name_file_and_sample(street, kind, damage):
    dataset = opened(street)
    path = street / kind / "rain/train/MAP_1_point1" / f"000000_{FOLDERS.KINDS[kind]}_front.png"
    data = path.read_bytes()
    path.write_bytes({"empty": b"", "half": data[: len(data) // 2], "text": b"no picture", "gone": b""}[damage])
    if damage == "gone":
        path.unlink()
    with pytest.raises(FrameError, match=f"sample 'rain/train/MAP_1_point1/000000': .*{path.name}: found"):
        dataset[0]


def test_corrupt_arrays_name_file_and_sample(mcubes):
    dataset = opened(mcubes, "mcubes", POLARISED)
    path = dataset.samples[0].paths[Modality.DOLP][0]
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(FrameError, match=r"outscenetrain_0000000000.npy: found a file that cannot be read"):
        dataset[0]
    np.save(path, np.zeros((32, 240), np.int64))
    with pytest.raises(FrameError, match=r"found int64 \(32, 240\), expected floating-point numbers"):
        dataset[0]
    np.save(path, np.zeros((32, 240), np.float32))
    np.save(dataset.samples[0].paths[Modality.AOLP][1], np.zeros((32, 200), np.float32))
    with pytest.raises(FrameError, match=r"found \(32, 240\) and a cosine of \(32, 200\), expected one size"):
        dataset[0]


def test_ids_beyond_the_table_are_refused(street):
    dataset = opened(street)
    FOLDERS.write_png(dataset.samples[0].labels, np.full((40, 48), 26, np.uint8))
    with pytest.raises(FrameError, match=r"found label ids \[25\], expected 0 to 24 or 255"):
        dataset[0]
    FOLDERS.write_png(dataset.samples[0].labels, np.full((40, 48), 300, np.uint16))
    with pytest.raises(FrameError, match="found labels of uint16, expected 8 bits"):
        dataset[0]


@pytest.mark.parametrize("kind", [LIDAR, RGB, DEPTH])
def test_other_sizes_are_refused(street, kind):
    dataset = opened(street)
    path = dataset.samples[0].paths[kind][0]
    FOLDERS.write_png(path, cv2.imread(str(path), -1)[:30])
    with pytest.raises(FrameError, match="found 48x30 pixels, expected 48x40 as the labels have"):
        dataset[0]


def test_other_kinds_of_depth_are_refused(street):
    dataset = opened(street)
    FOLDERS.write_png(dataset.samples[0].paths[DEPTH][0], np.zeros((40, 48), np.uint8))
    with pytest.raises(FrameError, match=r"found depth of uint8 \(40, 48\), expected one channel of 16 bits or CARLA"):
        dataset[0]


def test_hha_of_another_camera_is_refused(street):
    manifest = json.loads((street / "dataset.json").read_text(encoding="utf-8"))
    manifest["camera"]["width"] = 50
    (street / "dataset.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(CalibrationError, match="found one of 50x40 for the camera"):
        opened(street, preprocess=PreprocessConfig(depth_encoding="hha"))[0]


def test_pictures_must_have_been_drawn_as_the_robot_draws(street):
    preprocess = PreprocessConfig(lidar_splat_px=2, event_max_count=9, depth_max_m=50, short_side_px=64)
    with pytest.raises(ConfigError) as error:
        opened(street, preprocess=preprocess)
    text = str(error.value)
    assert "event_max_count 9 (pictures: 5)" in text
    assert "lidar_splat_px 2 (pictures: 1)" in text
    assert "depth_max_m" not in text
    assert "short_side_px" not in text
    with pytest.raises(ConfigError, match=r"found preprocess settings lidar_splat_px 2 .pictures: 1., expected"):
        opened(street, preprocess=preprocess, modalities=[RGB, LIDAR])
    assert len(opened(street, preprocess=preprocess, modalities=[RGB, DEPTH])) == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (None, "dataset.json: found no usable manifest .FileNotFoundError"),
        ("no json", "dataset.json: found no usable manifest .JSONDecodeError"),
        ("[]", "dataset.json: found no usable manifest .TypeError"),
        ('{"format": 2, "preprocess": {}}', "dataset.json: found format 2, expected 1"),
        ('{"format": 1}', "found no usable manifest .KeyError: 'preprocess'"),
        ('{"format": 1, "preprocess": {}, "classes": 3}', "found no usable manifest .CheckpointError"),
    ],
)
def test_bad_manifests_are_refused(street, change, message):
    path = street / "dataset.json"
    path.unlink() if change is None else path.write_text(change, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        opened(street)


def test_the_manifest_decides_classes_and_unit(street):
    """A table of 8 classes: the road's id 6 is still known, the sky's 12 is not."""
    path = street / "dataset.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    assert opened(street).classes == DELIVER_CLASSES
    manifest["classes"], manifest["depth_unit_m"] = manifest["classes"][:8], 0.01
    path.write_text(json.dumps(manifest), encoding="utf-8")
    dataset = opened(street, modalities=[DEPTH])
    assert dataset.classes.names == DELIVER_CLASSES.names[:8]
    with pytest.raises(FrameError, match="expected 0 to 7 or 255"):
        dataset[0]
    FOLDERS.write_png(dataset.samples[0].labels, np.full((40, 48), 7, np.uint8))
    counts = cv2.imread(str(dataset.samples[0].paths[DEPTH][0]), -1)
    expected = depth_image((counts * 0.01).astype(np.float32))
    assert np.array_equal(dataset[0].pictures[DEPTH].permute(1, 2, 0).numpy(), expected)
