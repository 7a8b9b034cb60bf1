# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The decode head against transformers' own, and what its batch norm may and may not do."""

import pytest
import torch
from transformers import SegformerConfig
from transformers.models.segformer.modeling_segformer import SegformerDecodeHead

from any2seg_core.errors import CheckpointError
from any2seg_core.model.decoder import DecodeHead
from any2seg_core.model.pretrained import export_transformers_weights, load_transformers_head

CHANNELS = (8, 16, 24, 32)


def pyramid(batch=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        torch.randn(batch, channels, 16 >> stage, 24 >> stage, generator=generator)
        for stage, channels in enumerate(CHANNELS)
    )


@pytest.fixture
def reference():
    torch.manual_seed(0)
    head = SegformerDecodeHead(SegformerConfig(hidden_sizes=list(CHANNELS), decoder_hidden_size=12, num_labels=5))
    head.batch_norm.running_mean.normal_()
    head.batch_norm.running_var.uniform_(0.5, 2)
    torch.nn.init.normal_(head.batch_norm.weight)
    for layer in head.linear_projections:
        torch.nn.init.normal_(layer.proj.bias)
    return head.eval()


@pytest.fixture
def head(reference):
    ours = DecodeHead(CHANNELS, 12, 5).eval()
    load_transformers_head(ours, reference.state_dict())
    return ours


def test_folded_head_equals_transformers(reference, head):
    with torch.no_grad():
        embedding = head.embed(pyramid())
        assert embedding.shape == (2, 12, 16, 24)
        assert head.classify(embedding).shape == (2, 5, 16, 24)
        torch.testing.assert_close(head.classify(embedding), reference(pyramid()), atol=1e-5, rtol=1e-5)


def test_folded_head_equals_transformers_in_training_and_in_its_gradients(reference, head):
    reference.train().dropout.eval()
    head.train().dropout.eval()
    for output in (reference(pyramid()), head.classify(head.embed(pyramid()))):
        (output * torch.linspace(-1, 1, output.numel()).view_as(output)).sum().backward()
    torch.testing.assert_close(head.norm.running_var, reference.batch_norm.running_var)
    for index in range(4):
        expected = reference.linear_projections[index].proj.weight.grad
        torch.testing.assert_close(head.projections[index].weight.grad, expected, atol=2e-4, rtol=1e-3)
    torch.testing.assert_close(
        head.fuse.weight.grad.chunk(4, 1)[0], reference.linear_fuse.weight.grad[:, -12:, 0, 0], atol=2e-4, rtol=1e-3
    )


def test_head_of_a_whole_model_and_of_a_file_load_too(reference, head):
    other = DecodeHead(CHANNELS, 12, 5).eval()
    whole = {f"decode_head.{name}": tensor for name, tensor in reference.state_dict().items()}
    load_transformers_head(other, whole | {"segformer.stages.0.layer_norm.weight": torch.zeros(8)})
    assert all(torch.equal(a, b) for a, b in zip(head.state_dict().values(), other.state_dict().values(), strict=True))
    exported = export_transformers_weights(head)
    assert "linear_c.0.proj.weight" in exported
    load_transformers_head(other, {f"decode_head.{name}": tensor + 1 for name, tensor in exported.items()})
    assert torch.equal(other.fuse.weight, head.fuse.weight + 1)


def test_another_number_of_classes_is_named(reference):
    with pytest.raises(CheckpointError, match=r"classifier\.weight \(5, 12, 1, 1\) instead of \(7, 12, 1, 1\)"):
        load_transformers_head(DecodeHead(CHANNELS, 12, 7), reference.state_dict())


def test_in_evaluation_a_map_does_not_depend_on_its_company(head):
    both = pyramid(batch=2)
    with torch.no_grad():
        together = head.embed(both)
        alone = head.embed(tuple(features[:1] for features in both))
    torch.testing.assert_close(together[:1], alone, atol=1e-6, rtol=1e-6)
    head.train()
    assert not torch.allclose(head.embed(both)[:1], head.embed(tuple(features[:1] for features in both)), atol=1e-3)


def test_dropout_acts_before_the_classifier_and_only_in_training():
    torch.manual_seed(0)
    head = DecodeHead(CHANNELS, 12, 5, dropout=0.5)
    embedding = torch.rand(1, 12, 4, 4)
    assert not torch.equal(head.train().classify(embedding), head.classify(embedding))
    assert torch.equal(head.eval().classify(embedding), head.classify(embedding))
