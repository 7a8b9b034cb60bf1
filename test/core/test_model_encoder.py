# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The MiT encoder against transformers' own, its weights in and out, and timm backbones."""

import re
from itertools import pairwise

import pytest
import torch
from safetensors.torch import save_file
from transformers import SegformerConfig, SegformerForImageClassification, SegformerForSemanticSegmentation
from transformers import SegformerModel as Reference

from any2seg_core.errors import CheckpointError, ConfigError, FrameError
from any2seg_core.model.backbones import build_encoder
from any2seg_core.model.encoder import MIT_VARIANTS, DropPath, MixTransformer, SequenceReduction
from any2seg_core.model.norms import ModalityNorm, SharedNorm
from any2seg_core.model.pretrained import export_transformers_weights, load_pretrained, load_transformers_weights

PUBLISHED = {
    "mit_b0": ([2, 2, 2, 2], [32, 64, 160, 256]),
    "mit_b1": ([2, 2, 2, 2], [64, 128, 320, 512]),
    "mit_b2": ([3, 4, 6, 3], [64, 128, 320, 512]),
    "mit_b3": ([3, 4, 18, 3], [64, 128, 320, 512]),
    "mit_b4": ([3, 8, 27, 3], [64, 128, 320, 512]),
    "mit_b5": ([3, 6, 40, 3], [64, 128, 320, 512]),
}


def reference_config(name="mit_b0"):
    depths, widths = PUBLISHED[name]
    return SegformerConfig(depths=depths, hidden_sizes=widths, num_labels=5)


def seeded(model, seed=0):
    """Move every weight, norms and biases too, away from its start."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.05)
    return model.eval()


@pytest.fixture
def pixels():
    return torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", ["mit_b0", "mit_b1", "mit_b2"])
def test_all_four_stages_equal_transformers(name, pixels):
    reference = seeded(Reference(reference_config(name)))
    encoder = build_encoder(name).eval()
    load_transformers_weights(encoder, reference.state_dict())
    with torch.no_grad():
        expected = reference(pixels, output_hidden_states=True).hidden_states
        found = encoder(pixels)
    for stage in range(4):
        stride, channels = encoder.strides[stage], encoder.channels[stage]
        assert found[stage].shape == (2, channels, 64 // stride, 96 // stride)
        torch.testing.assert_close(found[stage], expected[stage], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_variant_has_the_published_weights(name):
    with torch.device("meta"):
        reference = Reference(reference_config(name))
        encoder = MixTransformer(MIT_VARIANTS[name])
    assert sum(p.numel() for p in encoder.parameters()) == sum(p.numel() for p in reference.parameters())
    load_transformers_weights(encoder, reference.state_dict())


def test_weights_of_whole_models_load_without_their_heads(pixels):
    for whole in (SegformerForImageClassification, SegformerForSemanticSegmentation):
        reference = seeded(whole(reference_config()))
        encoder = build_encoder("mit_b0").eval()
        load_transformers_weights(encoder, reference.state_dict())
        with torch.no_grad():
            expected = reference.segformer(pixels).last_hidden_state
            torch.testing.assert_close(encoder(pixels)[-1], expected, atol=1e-5, rtol=1e-5)


def test_saved_folder_loads_by_path(tmp_path, pixels):
    reference = seeded(SegformerForImageClassification(reference_config()))
    reference.save_pretrained(tmp_path)
    encoder = build_encoder("mit_b0").eval()
    load_pretrained(encoder, str(tmp_path))
    with torch.no_grad():
        expected = reference.segformer(pixels).last_hidden_state
        torch.testing.assert_close(encoder(pixels)[-1], expected, atol=1e-5, rtol=1e-5)


def test_exported_weights_load_in_transformers(tmp_path, pixels):
    encoder = seeded(build_encoder("mit_b0"))
    reference_config().save_pretrained(tmp_path)
    save_file(export_transformers_weights(encoder), tmp_path / "model.safetensors", metadata={"format": "pt"})
    reference, report = Reference.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    with torch.no_grad():
        expected = reference.eval()(pixels).last_hidden_state
        torch.testing.assert_close(encoder(pixels)[-1], expected, atol=1e-5, rtol=1e-5)


def test_exported_weights_load_back_bit_for_bit():
    encoder, other = seeded(build_encoder("mit_b0")), build_encoder("mit_b0")
    load_transformers_weights(other, export_transformers_weights(encoder))
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def test_weights_that_do_not_fit_are_named_and_none_is_copied():
    encoder = build_encoder("mit_b0")
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    state = export_transformers_weights(seeded(build_encoder("mit_b0")))
    missing = dict(state)
    del missing["encoder.block.1.0.attention.self.key.bias"]
    with pytest.raises(CheckpointError, match=r"1 missing: encoder\.block\.1\.0\.attention\.self\.key\.bias"):
        load_transformers_weights(encoder, missing)
    with pytest.raises(CheckpointError, match="1 unexpected: surprise"):
        load_transformers_weights(encoder, state | {"surprise": torch.zeros(1)})
    wrong = state | {"encoder.layer_norm.3.weight": torch.zeros(7)}
    with pytest.raises(CheckpointError, match=re.escape("encoder.layer_norm.3.weight (7,) instead of (256,)")):
        load_transformers_weights(encoder, wrong)
    with pytest.raises(CheckpointError, match=r"\d+ mismatched: .* and \d+ more"):
        load_transformers_weights(encoder, build_reference_state("mit_b1"))
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(tensor, before[name])


def build_reference_state(name):
    return Reference(reference_config(name)).state_dict()


def test_pretrained_errors(tmp_path):
    with pytest.raises(CheckpointError, match="transformers cannot load it"):
        load_pretrained(build_encoder("mit_b0"), str(tmp_path / "nothing"))
    with pytest.raises(ConfigError, match=r"found a TimmEncoder, expected a mit_b\*"):
        load_pretrained(build_encoder("timm:resnet18"), "nvidia/mit-b0")
    state = export_transformers_weights(build_encoder("mit_b0"))
    del state["encoder.layer_norm.0.weight"]
    reference_config().save_pretrained(tmp_path)
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="expected a whole SegFormer"):
        load_pretrained(build_encoder("mit_b0"), str(tmp_path))


@pytest.mark.parametrize("shape", [(1, 3, 64, 100), (1, 3, 48, 64), (1, 4, 64, 64), (3, 64, 64), (1, 3, 0, 64)])
@pytest.mark.parametrize("backbone", ["mit_b0", "timm:resnet18"])
def test_images_that_cannot_be_halved_evenly_are_refused(backbone, shape):
    message = re.escape(f"found shape {shape}, expected (B, 3, H, W) with H and W multiples of 32")
    with pytest.raises(FrameError, match=message):
        build_encoder(backbone)(torch.zeros(shape))


def test_sequence_reduction_is_the_strided_convolution():
    reduction = seeded(SequenceReduction(8, 4))
    weight = reduction.projection.weight.reshape(8, 4, 4, 8).permute(0, 3, 1, 2)
    tokens = torch.randn(2, 8, 12, 8)
    convolved = torch.nn.functional.conv2d(tokens.permute(0, 3, 1, 2), weight, reduction.projection.bias, stride=4)
    torch.testing.assert_close(reduction(tokens), reduction.norm(convolved.permute(0, 2, 3, 1)))


def test_drop_path_drops_whole_samples_and_keeps_the_mean():
    torch.manual_seed(0)
    drop = DropPath(0.25)
    branch = torch.ones(4000, 2, 3)
    dropped = drop.train()(branch)
    per_sample = dropped.flatten(1)
    assert (per_sample == per_sample[:, :1]).all()
    torch.testing.assert_close(per_sample.unique(), torch.tensor([0, 4 / 3]))
    assert dropped.mean() == pytest.approx(1, abs=0.05)
    assert torch.equal(drop.eval()(branch), branch)


def test_drop_path_grows_from_none_to_the_full_rate():
    rates = [module.rate for module in build_encoder("mit_b0", drop_path=0.2).modules() if isinstance(module, DropPath)]
    assert len(rates) == 8
    assert rates[0] == 0
    assert rates[-1] == pytest.approx(0.2)
    assert all(later - sooner == pytest.approx(0.2 / 7) for sooner, later in pairwise(rates))


def test_start_of_weights():
    torch.manual_seed(0)
    encoder = build_encoder("mit_b0")
    depthwise = encoder.stages[2].blocks[0].ffn.depthwise
    assert depthwise.weight.std().item() == pytest.approx((2 / 9) ** 0.5, rel=0.05)  # 3 x 3 weights a channel
    assert encoder.stages[3].blocks[0].ffn.expand.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert not encoder.stages[0].embedding.projection.bias.any()


@pytest.mark.parametrize(
    ("backbone", "channels"),
    [("timm:resnet18", (64, 128, 256, 512)), ("timm:convnext_atto", (40, 80, 160, 320))],
)
def test_timm_backbones_keep_the_contract(backbone, channels):
    encoder = build_encoder(backbone, drop_path=0.1).eval()
    assert encoder.strides == (4, 8, 16, 32)
    assert encoder.channels == channels
    with torch.no_grad():
        maps = encoder(torch.randn(1, 3, 64, 96))
    assert [tuple(m.shape) for m in maps] == [
        (1, c, 64 // s, 96 // s) for c, s in zip(channels, encoder.strides, strict=True)
    ]


def test_timm_backbone_that_keeps_channels_last_and_its_size():
    encoder = build_encoder("timm:swin_tiny_patch4_window7_224").eval()
    with torch.no_grad():
        maps = encoder(torch.zeros(1, 3, 224, 224))
    assert [tuple(m.shape) for m in maps] == [(1, 96, 56, 56), (1, 192, 28, 28), (1, 384, 14, 14), (1, 768, 7, 7)]
    with pytest.raises(FrameError, match=r"timm:swin_.* does not take images of 96x64"):
        encoder(torch.zeros(1, 3, 64, 96))


def test_unknown_backbones():
    with pytest.raises(ConfigError, match=r"found 'mit_b9', expected one of mit_b0, .*, mit_b5 or timm:NAME"):
        build_encoder("mit_b9")
    with pytest.raises(ConfigError, match=r"no such model, nearby names: .*resnet1"):
        build_encoder("timm:resnet1888")
    with pytest.raises(ConfigError, match=r"strides \[16, 16, 16\], the decode head expects \(4, 8, 16, 32\)"):
        build_encoder("timm:vit_tiny_patch16_224")
    with pytest.raises(ConfigError, match=r"cannot build it as a feature extractor .* try drop_path 0"):
        build_encoder("timm:vgg11", drop_path=0.1)


def test_norm_of_each_modality_is_a_layer_norm_each():
    norms, apart = ModalityNorm(6, 3), [torch.nn.LayerNorm(6) for _ in range(3)]
    for slot, single in enumerate(apart):
        seeded(single, slot)
        norms.load_state_dict({**norms.state_dict(), f"weight.{slot}": single.weight, f"bias.{slot}": single.bias})
    tokens, slots = torch.randn(5, 2, 3, 6), torch.tensor([2, 0, 0, 1, 2])
    expected = torch.stack([apart[slot](row) for slot, row in zip(slots.tolist(), tokens, strict=True)])
    torch.testing.assert_close(norms(tokens, slots), expected)
    assert [parameter.ndim for parameter in norms.parameters()] == [1] * 6  # so weight decay leaves them alone
    for wrong, found in ((None, "no"), (torch.tensor([1]), "1")):
        with pytest.raises(FrameError, match=f"found {found} slots for 5 rows, expected one each"):
            norms(tokens, wrong)


def test_shared_norms_are_those_that_were():
    names = build_encoder("mit_b0").state_dict().keys()
    assert all(
        isinstance(m, SharedNorm) for m in build_encoder("mit_b0").modules() if isinstance(m, torch.nn.LayerNorm)
    )
    assert "stages.0.blocks.1.attention.reduction.norm.weight" in names
    assert not any(name.endswith(".0") for name in names)
    more = build_encoder("mit_b0", norms="per_modality", modalities=2)
    widths = sum(
        m.weight.numel() + m.bias.numel() for m in build_encoder("mit_b0").modules() if isinstance(m, SharedNorm)
    )
    assert (
        sum(p.numel() for p in more.parameters()) - sum(p.numel() for p in build_encoder("mit_b0").parameters())
        == widths
    )


@pytest.mark.parametrize("layout", ["file", "memory"])
def test_pretrained_norms_are_copied_to_each_modality(pixels, layout):
    reference = seeded(Reference(reference_config()))
    shared, apart = build_encoder("mit_b0").eval(), build_encoder("mit_b0", norms="per_modality", modalities=3).eval()
    load_transformers_weights(shared, reference.state_dict())
    state = reference.state_dict() if layout == "memory" else export_transformers_weights(shared)
    load_transformers_weights(apart, state)
    with torch.no_grad():
        for one, other in zip(apart(pixels, torch.tensor([2, 0])), shared(pixels), strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    norm = apart.stages[3].blocks[0].ffn_norm
    assert norm.weight[0].data_ptr() != norm.weight[1].data_ptr()
    with pytest.raises(ConfigError, match="found norms per modality, expected shared ones"):
        export_transformers_weights(apart)
    del state[next(name for name in state if "layer_norm" in name)]
    with pytest.raises(CheckpointError, match="1 missing"):
        load_transformers_weights(apart, state)


@pytest.mark.parametrize("layout", ["file", "memory"])
def test_pretrained_weights_of_stacked_pictures_give_what_one_picture_gave(pixels, layout):
    reference = seeded(Reference(reference_config()))
    single, stacked = build_encoder("mit_b0").eval(), build_encoder("mit_b0", channels_in=12).eval()
    load_transformers_weights(single, reference.state_dict())
    load_transformers_weights(
        stacked, reference.state_dict() if layout == "memory" else export_transformers_weights(single)
    )
    with torch.no_grad():
        for one, other in zip(stacked(pixels.repeat(1, 4, 1, 1)), single(pixels), strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    with pytest.raises(FrameError, match=re.escape("found shape (2, 3, 64, 96), expected (B, 12, H, W)")):
        stacked(pixels)
    other = build_encoder("mit_b0", channels_in=12)
    load_transformers_weights(other, export_transformers_weights(stacked))
    assert torch.equal(other.stages[0].embedding.projection.weight, stacked.stages[0].embedding.projection.weight)


@pytest.mark.parametrize(
    ("backbone", "norms"), [("mit_b0", "shared"), ("mit_b0", "per_modality"), ("timm:convnext_atto", "shared")]
)
def test_recomputing_gives_the_same_gradients_bit_for_bit(backbone, norms):
    torch.manual_seed(0)
    encoder = build_encoder(backbone, drop_path=0.3, norms=norms, modalities=4).train()
    pixels, slots, gradients, kept = torch.randn(2, 3, 64, 64), torch.tensor([0, 3]), [], []
    for checkpointing in (False, True):
        encoder.checkpointing = checkpointing
        assert encoder.checkpointing == checkpointing
        encoder.zero_grad()
        torch.manual_seed(1)  # drop path draws the same
        with torch.autograd.graph.saved_tensors_hooks(lambda t: kept[-1].append(t.numel()) or t, lambda t: t):
            kept.append([])
            maps = encoder(pixels, slots)
        sum(level.square().mean() for level in maps).backward()
        gradients.append([parameter.grad.clone() for parameter in encoder.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))
    assert sum(kept[1]) < 0.7 * sum(kept[0])


def test_timm_without_recomputing_says_so():
    encoder = build_encoder("timm:resnet18")
    encoder.trunk = torch.nn.Identity()
    with pytest.raises(ConfigError, match="timm cannot recompute it; switch gradient checkpointing off"):
        encoder.checkpointing = True


def test_timm_takes_stacked_pictures():
    encoder = build_encoder("timm:resnet18", channels_in=6).eval()
    with torch.no_grad():
        assert encoder(torch.zeros(1, 6, 32, 32))[0].shape == (1, 64, 8, 8)
    with pytest.raises(FrameError, match=r"expected \(B, 6, H, W\)"):
        encoder(torch.zeros(1, 3, 32, 32))
