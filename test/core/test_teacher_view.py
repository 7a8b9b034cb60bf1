# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What the towers are shown, which tower each modality goes through, how classes are called; the tiny teacher."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import v2

from any2seg_core.errors import ConfigError, FrameError
from any2seg_core.experiment import TeacherConfig
from any2seg_core.frames import DELIVER_CLASSES, Modality
from any2seg_core.teacher import ImageView, SampleView
from any2seg_core.teacher.kinds import open_teacher
from any2seg_core.teacher.names import class_phrases, embed_classes
from any2seg_core.teacher.tokens import HashTokenizer
from any2seg_core.teacher.view import tower_picture

CPU = torch.device("cpu")


def sample(depth_m=None, **pictures):
    named = {Modality(name): picture for name, picture in pictures.items()}
    return SampleView("fog/train/a/000001", named, depth_m, np.zeros((2, 2), np.uint8), "fog")


@settings(max_examples=25, deadline=None)
@given(height=st.integers(8, 90), width=st.integers(8, 90), short=st.sampled_from([24, 29]))
def test_crops_equal_torchvision(height, width, short):
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height * 100 + width))
    reference = v2.Compose([v2.Resize(short, v2.InterpolationMode.BICUBIC, antialias=True), v2.CenterCrop(24)])
    found = ImageView(24, short).fit(image)
    assert found.shape == (1, 3, 24, 24)
    if (height, width) != (24, 24):
        torch.testing.assert_close(found, reference(image), atol=1e-5, rtol=0)


def test_a_crop_cuts_and_a_squash_keeps():
    image = torch.zeros(1, 3, 32, 64)
    image[..., :8] = 1  # a quarter of a side, which the crop cuts off
    assert float(ImageView(16, 16, "crop").fit(image).abs().max()) < 1e-6
    squashed = ImageView(16, 16, "squash").fit(image)
    assert squashed[0, 0, 8].tolist() == pytest.approx([1, 1, *[0] * 14], abs=0.1)


def test_resizing_keeps_the_energy_of_sparse_pictures():
    image = torch.zeros(1, 3, 96, 96)
    image[..., 3::9, 5::9] = 1
    found = ImageView(24, 24).fit(image)
    assert float(found.mean()) == pytest.approx(float(image.mean()), rel=0.02)


def test_normalising_is_by_mean_and_spread():
    view = ImageView(2, 2, mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 2.0))
    assert view.normalise(torch.full((1, 3, 2, 2), 0.5))[0, :, 0, 0].tolist() == [0.0, 1.0, 0.25]
    assert view.describe()["antialias"] is True


def test_the_depth_tower_sees_linear_metres_dark_where_near():
    metres = torch.tensor([[8.0, 80.0, 200.0], [0.001, torch.nan, 0.0]])
    config = TeacherConfig(depth_max_m=80.0)
    found = tower_picture(sample(metres), Modality.DEPTH, "depth", config)
    expected = [[0.1, 1, 1], [0.01 / 80, 1, 1]]
    assert found.shape == (3, 2, 3)
    for channel in found:
        np.testing.assert_allclose(channel, expected, rtol=1e-6)
    near = tower_picture(sample(metres), Modality.DEPTH, "depth", TeacherConfig(depth_holes="near"))
    np.testing.assert_allclose(near[0], [[0.1, 1, 1], [0.01 / 80, 0, 0]], rtol=1e-6)


def test_pictures_in_the_depth_tower_are_their_first_channel_maybe_turned_round():
    picture = torch.tensor([[[0, 255, 51]], [[9, 9, 9]], [[8, 8, 8]]], dtype=torch.uint8)
    turned = tower_picture(sample(lidar=picture), Modality.LIDAR, "depth", TeacherConfig())
    np.testing.assert_allclose(turned, [[[0, 0, 0.8]]] * 3, atol=1e-6)  # no return stays black
    same = tower_picture(sample(lidar=picture), Modality.LIDAR, "depth", TeacherConfig(inverted=[]))
    np.testing.assert_allclose(same, [[[0, 1, 0.2]]] * 3, atol=1e-6)
    config = TeacherConfig(depth_input="picture", inverted=[])
    depth = tower_picture(sample(depth=picture), Modality.DEPTH, "depth", config)
    np.testing.assert_allclose(depth, same)


def test_lidar_points_may_grow():
    picture = torch.zeros(3, 5, 5, dtype=torch.uint8)
    picture[:, 2, 2] = 204
    config = TeacherConfig(lidar_dilate_px=1)
    found = tower_picture(sample(lidar=picture), Modality.LIDAR, "depth", config)
    expected = np.zeros((5, 5))
    expected[1:4, 1:4] = 0.2
    np.testing.assert_allclose(found[0], expected, atol=1e-6)


def test_other_towers_see_the_picture_as_it_is():
    picture = torch.arange(12, dtype=torch.uint8).reshape(3, 2, 2)
    found = tower_picture(sample(depth=picture), Modality.DEPTH, "image", TeacherConfig())
    np.testing.assert_allclose(found, picture.numpy() / 255, rtol=1e-6)
    share = torch.rand(3, 2, 2)
    assert torch.equal(tower_picture(sample(nir=share), Modality.NIR, "image", TeacherConfig()), share)


def test_a_modality_may_be_missing():
    config = TeacherConfig()
    assert tower_picture(sample(), Modality.RGB, "image", config) is None
    assert tower_picture(sample(), Modality.DEPTH, "depth", config) is None
    with pytest.raises(FrameError, match=r"no metric depth in sample fog/train/a/000001.*depth_input picture"):
        tower_picture(sample(depth=torch.zeros(3, 2, 2)), Modality.DEPTH, "depth", config)


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (torch.zeros(2, 2, dtype=torch.uint8), r"\(2, 2\) from 0 to 0 in fog/train/a/000001, rgb"),
        (torch.full((3, 2, 2), 200.0), "from 200 to 200"),
        (torch.full((3, 2, 2), torch.nan), "from nan to nan"),
        (torch.zeros(3, 0, 2), r"\(3, 0, 2\)"),
    ],
)
def test_odd_pictures_are_refused(picture, message):
    with pytest.raises(FrameError, match=message):
        tower_picture(sample(rgb=picture), Modality.RGB, "image", TeacherConfig())


def test_towers_by_default_and_by_choice():
    rule = TeacherConfig(kind="tiny").tower_of()
    assert {modality.value: tower for modality, tower in rule.items()} == {
        "rgb": "image",
        "depth": "depth",
        "event": "image",
        "lidar": "depth",
        "nir": "image",
        "aolp": "image",
        "dolp": "image",
    }
    chosen = TeacherConfig(kind="tiny", towers=["lidar=image", "nir=thermal"]).tower_of()
    assert (chosen[Modality.LIDAR], chosen[Modality.NIR]) == ("image", "thermal")
    assert set(TeacherConfig(kind="hf_clip", path="x").tower_of().values()) == {"image"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"towers": ["rgb:image"]}, "found 'rgb:image', expected modality=tower"),
        ({"towers": ["rgb=video"]}, "one of image, depth, thermal"),
        ({"kind": "hf_clip", "path": "x", "towers": ["depth=depth"]}, "and one of image"),
        ({"kind": "languagebind"}, "kind languagebind needs path"),
        ({"kind": "hf_clip"}, "kind hf_clip needs path"),
        ({"class_templates": ["a photo"]}, r"each with \{name\}"),
        ({"class_names": ["Road"]}, "each as name=words"),
        ({"inverted": ["radar"]}, "names out of rgb, depth"),
        ({"caption_source": "model"}, "needs caption_model"),
        ({"caption_source": "jsonl"}, "needs captions"),
        ({"depth_max_m": 0.0}, "depth_max_m"),
    ],
)
def test_contradictory_settings_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        TeacherConfig.from_mapping(values)


def test_class_names_become_words():
    phrases = class_phrases(DELIVER_CLASSES.names, TeacherConfig())
    found = dict(zip(DELIVER_CLASSES.names, phrases, strict=True))
    assert (found["RoadLine"], found["SideWalk"], found["TwoWheeler"]) == ("road line", "sidewalk", "two-wheeler")
    assert (found["TrafficSign"], found["GroundRail"], found["Dynamic"]) == (
        "traffic sign",
        "ground rail",
        "moving objects",
    )
    assert all(phrase == phrase.lower() and "_" not in phrase for phrase in phrases)
    assert class_phrases(["road_marking", "sky"], TeacherConfig()) == ("road marking", "sky")
    literal = TeacherConfig(class_naming="literal", class_names=["Road=the road"])
    assert class_phrases(["Road", "RoadLine"], literal) == ("the road", "RoadLine")
    with pytest.raises(ConfigError, match="found Street, expected names of classes: Road"):
        class_phrases(["Road"], TeacherConfig(class_names=["Street=x"]))


def test_templates_are_averaged_on_the_sphere():
    teacher = open_teacher(TeacherConfig(kind="tiny"), CPU)
    found = embed_classes(teacher, ["road", "sky"], ["{name}", "a photo of a {name}"])
    plain = teacher.encode_texts(["road", "sky"]).double()
    photo = teacher.encode_texts(["a photo of a road", "a photo of a sky"]).double()
    expected = (plain + photo) / (plain + photo).norm(dim=1, keepdim=True)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_tiny_teacher_tells_inputs_apart_and_repeats_itself():
    first, again, other = (open_teacher(TeacherConfig(kind="tiny", seed=seed), CPU) for seed in (0, 0, 1))
    images = torch.rand(4, 3, 40, 50, generator=torch.Generator().manual_seed(0))
    found = first.encode_images(Modality.RGB, images)
    assert torch.equal(found, again.encode_images(Modality.RGB, images))
    assert not torch.allclose(found, other.encode_images(Modality.RGB, images), atol=0.1)
    assert not torch.allclose(found, first.encode_images(Modality.DEPTH, images), atol=0.1)
    assert torch.equal(found, first.encode_images(Modality.EVENT, images))
    texts = first.encode_texts(["a road in fog", "a road at night", "a road in fog "])
    assert torch.equal(texts[0], texts[2])
    assert float(texts[0] @ texts[1]) < 0.99
    torch.testing.assert_close(texts.norm(dim=1), torch.ones(3))
    assert first.fingerprint() == again.fingerprint() != other.fingerprint()
    first.towers.pop(Modality.RGB)
    with pytest.raises(ConfigError, match="found modality 'rgb', expected one of depth"):
        first.encode_images(Modality.RGB, images)


def test_words_become_the_same_numbers_everywhere():
    tokens = HashTokenizer(512, 6)
    rows = tokens(["Road, sky", "a b c d e f g h"])
    assert rows.tolist()[0] == [510, *[zlib_id(word) for word in ("road", ",", "sky")], 511, 511]
    assert rows[1, -1] == 511
    assert (tokens.count("Road, sky"), tokens.count("a b c d e f g h")) == (5, 10)


def zlib_id(word):
    import zlib

    return zlib.crc32(word.encode()) % 510
