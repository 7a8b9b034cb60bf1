# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The assembled model: any subset, nothing out of absent slots, every fusion level, and t-1."""

import copy
import functools
import itertools
import re

import pytest
import torch

from any2seg_core.config import ModelConfig
from any2seg_core.errors import ConfigError, FrameError
from any2seg_core.frames import Modality
from any2seg_core.model import build_model
from any2seg_core.model.backbones import build_encoder
from any2seg_core.model.decoder import DecodeHead
from any2seg_core.model.fusion import ModalityFusion
from any2seg_core.model.segmentor import Any2Seg

LEVELS = ["embedding", "logits", "stages"]
SUBSETS = [row for row in itertools.product([True, False], repeat=4) if any(row)]


@functools.cache
def built(**settings):
    torch.manual_seed(0)
    return build_model(ModelConfig(embed_dim=16, **settings), classes=5).eval()


@pytest.fixture(scope="module", params=LEVELS)
def level(request):
    return request.param


@pytest.fixture
def model(level):
    return built(fusion_level=level)


@pytest.fixture(scope="module")
def pixels():
    return torch.randn(1, 4, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def same(one, other):
    return torch.equal(one.logits, other.logits) and torch.equal(one.fused, other.fused)


@torch.no_grad()
def test_every_subset_gives_a_finite_map_of_one_size(model, pixels):
    found = {subset: model(pixels, torch.tensor([subset])) for subset in SUBSETS}
    assert len(found) == 15
    for subset, prediction in found.items():
        assert prediction.logits.shape == (1, 5, 16, 16)
        assert prediction.fused.shape[2:] == (16, 16)
        assert torch.isfinite(prediction.logits).all()
        assert (prediction.weights != 0).tolist() == [list(subset)]
        assert all(len(features) == sum(subset) for features in prediction.features)


@torch.no_grad()
@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), 1e30])
@pytest.mark.parametrize("samples", [1, 2])
def test_garbage_in_absent_slots_changes_no_bit(model, samples, garbage):
    present = torch.tensor([[True, False, True, False], [False, True, True, True]][:samples])
    clean = torch.randn(*present.shape, 3, 64, 64)
    dirty = clean.clone()
    dirty[~present] = garbage
    assert same(model(clean, present), model(dirty, present))


@torch.no_grad()
@pytest.mark.parametrize("subset", [("depth",), ("rgb", "lidar"), ("depth", "event", "lidar")])
def test_a_subset_is_bit_for_bit_a_model_that_never_had_the_others(level, model, pixels, subset):
    torch.manual_seed(0)
    small = build_model(ModelConfig(embed_dim=16, fusion_level=level, modalities=list(subset)), classes=5).eval()
    slots = [index for index, modality in enumerate(model.modalities) if modality.value in subset]
    present = torch.tensor([[index in slots for index in range(4)]])
    expected = small(pixels[:, slots], torch.ones(1, len(slots), dtype=torch.bool))
    assert same(model(pixels, present), expected)


@torch.no_grad()
def test_permuting_slots_changes_only_last_bits(model, pixels):
    order = [3, 1, 0, 2]
    present = torch.tensor([[True, True, False, True]])
    usual, permuted = model(pixels, present), model(pixels[:, order], present[:, order])
    torch.testing.assert_close(permuted.logits, usual.logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(permuted.weights, usual.weights[:, order], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_slots_are_in_canonical_order_whatever_the_configuration_says(pixels):
    one = built()
    torch.manual_seed(0)
    other = build_model(ModelConfig(embed_dim=16, modalities=["lidar", "rgb", "event", "depth"]), classes=5).eval()
    assert one.modalities == other.modalities == (Modality.RGB, Modality.DEPTH, Modality.EVENT, Modality.LIDAR)
    present = torch.tensor([[True, False, True, True]])
    assert same(one(pixels, present), other(pixels, present))


@torch.no_grad()
def test_samples_with_different_subsets_do_not_meet(model):
    pixels = torch.randn(3, 4, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    present = torch.tensor([[True, False, True, False], [False, True, True, True], [False, False, False, True]])
    together = model(pixels, present)
    for sample in range(3):
        alone = model(pixels[sample : sample + 1], present[sample : sample + 1])
        torch.testing.assert_close(together.logits[sample], alone.logits[0], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_features_kept_apart_and_joined_give_the_same(model, pixels):
    present = torch.tensor([[True, True, False, True]])
    kept = {slot: model.encode(pixels[:, slot], torch.tensor([slot])) for slot in (0, 1, 3)}
    features = tuple(torch.cat(maps) for maps in zip(*kept.values(), strict=True))
    torch.testing.assert_close(
        model.fuse_and_decode(features, present).logits, model(pixels, present).logits, atol=1e-6, rtol=1e-6
    )


def test_absent_modalities_are_not_encoded(model, pixels, monkeypatch):
    seen = []
    encode = model.encoder.forward
    monkeypatch.setattr(
        model.encoder, "forward", lambda images, slots: seen.append(slots.tolist()) or encode(images, slots)
    )
    with torch.no_grad():
        model(pixels, torch.tensor([[False, True, False, True]]))
    assert seen == [[1, 3]]


def test_gradient_reaches_every_modality_and_every_weight(model):
    model = copy.deepcopy(model).train()
    pixels = torch.randn(2, 4, 3, 64, 64, requires_grad=True)
    model(pixels, torch.ones(2, 4, dtype=torch.bool)).logits.square().mean().backward()
    assert pixels.grad.flatten(2).any(2).all()
    assert all(parameter.grad is not None for parameter in model.parameters())


@torch.no_grad()
def test_state_of_t_minus_1_joins_the_anchor_and_carries_no_graph(model, pixels):
    present = torch.ones(1, 4, dtype=torch.bool)
    first = model(pixels, present)
    other = model(torch.randn(1, 4, 3, 64, 64), present)
    with torch.enable_grad():
        assert not any(state.requires_grad for state in model(pixels, present).state)
    again = model(pixels, present, previous=first.state)
    after_other = model(pixels, present, previous=other.state)
    assert not torch.equal(again.weights, first.weights)
    assert not torch.equal(again.weights, after_other.weights)
    for features, fusion in zip(again.features, again.fusions, strict=True):
        anchor = (features.mean(0) + first.state[again.fusions.index(fusion)][0]) / 2
        expected = torch.cosine_similarity(features.flatten(1), anchor.flatten()[None], dim=1)
        torch.testing.assert_close(fusion.weights[0], expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_state_of_another_size_is_refused(model, pixels):
    present = torch.ones(1, 4, dtype=torch.bool)
    state = model(torch.zeros(1, 4, 3, 64, 96), present).state
    with pytest.raises(FrameError, match=r"expected .* drop it"):
        model(pixels, present, previous=state)


@torch.no_grad()
def test_one_modality_decoded_by_itself_needs_no_fusion(pixels):
    model = built()
    prediction = model(pixels, torch.ones(1, 4, dtype=torch.bool))
    each = model.decode(prediction.features)
    assert each.shape == (4, 5, 16, 16)
    torch.testing.assert_close(each, model.head.classify(prediction.features[0]))


@torch.no_grad()
def test_correlation_with_the_fused_feature(model, pixels):
    prediction = model(pixels, torch.tensor([[True, False, True, True]]))
    expected = torch.stack(
        [
            torch.cosine_similarity(features.flatten(1), fused.flatten(1), dim=1)
            for features, fused in zip(prediction.features, prediction.state, strict=True)
        ]
    ).mean(0)
    torch.testing.assert_close(prediction.correlation()[0, [0, 2, 3]], expected, atol=1e-5, rtol=1e-5)
    assert prediction.correlation()[0, 1] == 0


@torch.no_grad()
@pytest.mark.parametrize("switch", ["reweight", "select", "residual"])
def test_switches_of_the_configuration_reach_fusion(pixels, switch):
    present = torch.ones(1, 4, dtype=torch.bool)
    assert not torch.equal(built()(pixels, present).fused, built(**{switch: False})(pixels, present).fused)


@torch.no_grad()
def test_any_timm_backbone(pixels):
    prediction = built(backbone="timm:test_convnext")(pixels, torch.tensor([[True, False, True, False]]))
    assert prediction.logits.shape == (1, 5, 16, 16)


def test_embedding_and_classes_set_the_width():
    model = build_model(ModelConfig(embed_dim=24), classes=7)
    assert model.classes == 7
    assert model.head.norm.num_features == 24


def test_input_errors(model, pixels):
    with pytest.raises(
        FrameError, match=r"found pixels \(1, 3, 3, 64, 64\) .* M = 4 modalities rgb, depth, event, lidar"
    ):
        model(pixels[:, :3], torch.ones(1, 3, dtype=torch.bool))
    with pytest.raises(FrameError, match=r"present \(1, 3\)"):
        model(pixels, torch.ones(1, 3, dtype=torch.bool))
    with pytest.raises(FrameError, match="a sample with no modality present"):
        model(pixels, torch.zeros(1, 4, dtype=torch.bool))
    with pytest.raises(FrameError, match="multiples of 32"):
        model(pixels[..., :50], torch.ones(1, 4, dtype=torch.bool))


def test_parts_that_do_not_fit_are_both_named():
    encoder, head = build_encoder("mit_b0"), DecodeHead((8, 8, 8, 8), 16, 5)
    message = (
        "encoder MixTransformer gives maps at strides (4, 8, 16, 32) with (32, 64, 160, 256) channels, decode head "
    )
    with pytest.raises(ConfigError, match=re.escape(message + "DecodeHead expects")):
        Any2Seg(encoder, head, ModalityFusion(), level="embedding", modalities=[Modality.RGB])


# Variants: other fusions, soft selection, norms of each modality, early concat

SHARED = {
    "max": {"fusion": "max"},
    "max of stages": {"fusion": "max", "fusion_level": "stages"},
    "soft": {"selection": "soft", "selection_temperature": 0.3},
    "mean": {"reweight": False, "select": False},
    "norms": {"norms": "per_modality"},
    "norms of stages": {"norms": "per_modality", "fusion_level": "stages"},
}
VARIANTS = SHARED | {"concat": {"fusion": "concat"}}


def shaken(model, seed=3):
    """Move every weight away from its start, so that norms of different modalities differ."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.05)
    return model


@functools.cache
def variant(name):
    return shaken(copy.deepcopy(built(**VARIANTS[name])))


@torch.no_grad()
@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_gives_a_finite_map_for_every_subset(name, pixels):
    model = variant(name)
    assert model.shares_encoder == (name != "concat")
    answers = []
    for subset in SUBSETS:
        prediction = model(pixels, torch.tensor([subset]))
        assert prediction.logits.shape == (1, 5, 16, 16)
        assert torch.isfinite(prediction.logits).all()
        assert (prediction.weights != 0).tolist() == [list(subset)]
        answers.append(prediction.logits)
    assert not any(torch.equal(one, other) for one, other in itertools.combinations(answers, 2))
    assert not torch.equal(answers[0], shaken(copy.deepcopy(built()))(pixels, torch.tensor([SUBSETS[0]])).logits)


@torch.no_grad()
@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), 1e30])
def test_garbage_in_absent_slots_changes_no_bit_of_any_variant(name, garbage):
    present = torch.tensor([[True, False, True, False], [False, True, True, True]])
    clean = torch.randn(*present.shape, 3, 64, 64)
    dirty = clean.clone()
    dirty[~present] = garbage
    assert same(variant(name)(clean, present), variant(name)(dirty, present))


@torch.no_grad()
@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize("subset", [("depth",), ("rgb", "lidar"), ("depth", "event", "lidar")])
def test_a_subset_of_any_variant_is_bit_for_bit_a_model_that_never_had_the_others(name, pixels, subset):
    model = variant(name)
    slots = [index for index, modality in enumerate(model.modalities) if modality.value in subset]
    small = build_model(ModelConfig(embed_dim=16, modalities=list(subset), **VARIANTS[name]), classes=5).eval()
    state = model.state_dict()
    for key in small.state_dict():
        stem, _, slot = key.rpartition(".")
        state[key] = model.state_dict()[f"{stem}.{slots[int(slot)]}" if slot.isdigit() else key]
    small.load_state_dict({key: state[key] for key in small.state_dict()})
    present = torch.tensor([[index in slots for index in range(4)]])
    assert same(model(pixels, present), small(pixels[:, slots], torch.ones(1, len(slots), dtype=torch.bool)))


@torch.no_grad()
def test_early_concat_of_a_subset_is_a_model_whose_first_layer_never_saw_the_others(pixels):
    model, subset, slots = variant("concat"), ("rgb", "lidar"), [0, 3]
    small = build_model(ModelConfig(embed_dim=16, modalities=list(subset), fusion="concat"), classes=5).eval()
    first = "encoder.stages.0.embedding.projection.weight"
    state = model.state_dict()
    assert state[first].shape[1] == 12
    state[first] = state[first].unflatten(1, (4, 3))[:, slots].flatten(1, 2)
    small.load_state_dict(state)
    found = model(pixels, torch.tensor([[True, False, False, True]]))
    expected = small(pixels[:, slots], torch.ones(1, 2, dtype=torch.bool))
    torch.testing.assert_close(found.logits, expected.logits, atol=1e-5, rtol=1e-5)


def test_early_concat_cannot_be_taken_apart(pixels):
    model, present = variant("concat"), torch.ones(1, 4, dtype=torch.bool)
    prediction = model(pixels, present, previous=())
    assert prediction.features == prediction.fusions == prediction.state == ()
    assert prediction.fused.shape == (1, 16, 16, 16)
    with pytest.raises(ConfigError, match=r"found fusion 'concat', .* call the whole model instead"):
        model.encode(pixels[:, 0], torch.tensor([0]))
    with pytest.raises(ConfigError, match="call the whole model instead"):
        model.extract(pixels, present)
    with pytest.raises(ConfigError, match="found no feature of each modality"):
        prediction.correlation()
    with pytest.raises(FrameError, match="a sample with no modality present"):
        model(pixels, ~present)
    with pytest.raises(FrameError, match=r"found pixels \(1, 3, 3, 64, 64\)"):
        model(pixels[:, :3], present[:, :3])


@torch.no_grad()
def test_norms_of_each_modality_tell_equal_pictures_apart():
    picture = torch.randn(1, 1, 3, 64, 64).expand(1, 4, 3, 64, 64)
    maps = [variant("norms")(picture, torch.tensor([[s == m for s in range(4)]])).fused for m in range(4)]
    assert not any(torch.allclose(one, other, atol=1e-3) for one, other in itertools.combinations(maps, 2))
    shared = [shaken(copy.deepcopy(built()))(picture, torch.tensor([[s == m for s in range(4)]])).fused for m in (0, 3)]
    assert torch.equal(*shared)


@pytest.mark.parametrize("name", VARIANTS)
def test_gradient_reaches_every_weight_of_every_variant_whatever_is_present(name):
    model = copy.deepcopy(variant(name)).train()
    present = torch.tensor([[True, False, True, False]] * 2)
    model(torch.randn(2, 4, 3, 64, 64), present).logits.square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    norms = [p for key, p in model.named_parameters() if ".norm.weight." in key]
    assert all(p.grad.any() == (index % 4 in (0, 2)) for index, p in enumerate(norms))


def test_slots_must_fit_the_rows(pixels):
    with pytest.raises(FrameError, match=r"found slots \(2,\) for 1 images, expected one for each"):
        built().encode(pixels[:, 0], torch.tensor([0, 1]))


def test_settings_that_contradict_each_other():
    message = r"fusion 'concat' joins modalities .* not 'per_modality', and fusion_level 'embedding', not 'stages'"
    with pytest.raises(ConfigError, match=message):
        ModelConfig.from_mapping({"fusion": "concat", "norms": "per_modality", "fusion_level": "stages"})
    with pytest.raises(ConfigError, match=r"norms: found 'per_modality' for timm:resnet18, expected 'shared'"):
        build_model(ModelConfig(backbone="timm:resnet18", norms="per_modality"), 5)
