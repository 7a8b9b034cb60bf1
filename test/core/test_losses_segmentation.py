# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Supervision against losses written out pixel by pixel, and distillation of logits."""

import itertools
import math

import pytest
import torch
from torch.nn import functional

from any2seg_core.losses import cross_entropy, hard_cross_entropy, logit_distillation
from any2seg_core.losses.precision import widened


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def labels(*shape, classes=4, seed=1, unlabelled=0.3):
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, classes, shape, generator=generator)
    return targets.masked_fill(torch.rand(shape, generator=generator) < unlabelled, 255)


def pixels_of(logits, targets):
    """Cross-entropy of each labelled pixel, one after another."""
    large = functional.interpolate(logits, targets.shape[1:], mode="bilinear", align_corners=False)
    losses = []
    for b, y, x in itertools.product(*map(range, targets.shape)):
        if targets[b, y, x] != 255:
            scores = large[b, :, y, x].tolist()
            losses.append(math.log(sum(map(math.exp, scores))) - scores[targets[b, y, x]])
    return losses


@pytest.mark.parametrize("size", [(12, 8), (3, 2), (11, 9)])
def test_cross_entropy_is_the_mean_of_labelled_pixels_at_full_size(size):
    logits, targets = random(2, 4, 3, 2), labels(2, *size)
    losses = pixels_of(logits, targets)
    assert cross_entropy(logits, targets).item() == pytest.approx(sum(losses) / len(losses), rel=1e-12)


def test_class_weights_weigh_the_mean_of_pixels():
    logits, targets, weights = random(2, 4, 3, 2), labels(2, 12, 8), [0.5, 0.0, 2.0, 7.0]
    seen = [int(value) for value in targets.flatten() if value != 255]
    share = [weights[value] for value in seen]
    expected = sum(w * loss for w, loss in zip(share, pixels_of(logits, targets), strict=True)) / sum(share)
    assert cross_entropy(logits, targets, class_weights=weights).item() == pytest.approx(expected, rel=1e-12)
    assert expected != pytest.approx(cross_entropy(logits, targets).item(), rel=1e-3)
    assert cross_entropy(logits, targets, class_weights=[3.0] * 4) == pytest.approx(cross_entropy(logits, targets))
    assert cross_entropy(logits, torch.ones_like(targets), class_weights=weights).item() == 0


@pytest.mark.parametrize(("threshold", "keep"), [(0.7, 1 / 16), (0.05, 0.25), (0.3, 0.5), (0.999, 0.001), (0.01, 1.0)])
def test_hard_pixels_are_the_improbable_ones_or_so_many_worst(threshold, keep):
    logits, targets = 2 * random(2, 4, 3, 2), labels(2, 12, 8)
    losses = sorted(pixels_of(logits, targets), reverse=True)
    hard = [loss for loss in losses if math.exp(-loss) <= threshold]
    least = max(1, int(len(losses) * keep))
    kept = hard if len(hard) >= least else losses[:least]
    assert 0 < len(kept) <= len(losses)
    found = hard_cross_entropy(logits, targets, threshold=threshold, keep=keep)
    assert found.item() == pytest.approx(sum(kept) / len(kept), rel=1e-10)


@pytest.mark.parametrize("loss", [cross_entropy, hard_cross_entropy])
def test_no_labelled_pixel_costs_nothing_and_keeps_the_graph(loss):
    logits = random(1, 4, 3, 2).requires_grad_()
    value = loss(logits, torch.full((1, 6, 4), 255))
    assert value.item() == 0
    value.backward()
    assert not logits.grad.any()


@pytest.mark.parametrize("loss", [cross_entropy, hard_cross_entropy])
def test_gradients(loss):
    targets = labels(2, 6, 4)
    assert torch.autograd.gradcheck(lambda logits: loss(logits, targets), random(2, 4, 3, 2).requires_grad_())


@pytest.mark.parametrize("loss", [cross_entropy, hard_cross_entropy])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits_are_not_summed_in_half_precision(loss, dtype):
    logits, targets = random(2, 4, 16, 16).to(dtype), labels(2, 64, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = loss(logits, targets)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, loss(logits.double(), targets).float(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_distillation_is_the_divergence_from_the_teacher_at_each_place(temperature):
    student, teacher = random(2, 4, 3, 2), random(2, 4, 3, 2, seed=2)
    total = 0.0
    for b, y, x in itertools.product(range(2), range(3), range(2)):
        p = (teacher[b, :, y, x] / temperature).softmax(0).tolist()
        q = (student[b, :, y, x] / temperature).softmax(0).tolist()
        total += sum(one * math.log(one / other) for one, other in zip(p, q, strict=True))
    found = logit_distillation(student, teacher, temperature=temperature)
    assert found.item() == pytest.approx(temperature**2 * total / 12, rel=1e-10)


def test_distillation_teaches_the_student_alone():
    student, teacher = random(1, 4, 2, 2).requires_grad_(), random(1, 4, 2, 2, seed=2).requires_grad_()
    logit_distillation(student, teacher).backward()
    assert student.grad.any()
    assert teacher.grad is None
    assert logit_distillation(teacher, teacher).item() == pytest.approx(0, abs=1e-12)
    assert torch.autograd.gradcheck(lambda logits: logit_distillation(logits, teacher, temperature=2), student)


def test_only_half_precision_is_widened():
    for dtype, wide in (
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float64, torch.float64),
    ):
        assert widened(torch.zeros(1, dtype=dtype)).dtype == wide
