# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""L_cr and L_se against the paper's equations written out slowly, and what must hold of them for any input."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from any2seg_core.losses import class_prototypes, class_similarity_loss, modality_correlation_loss
from any2seg_core.losses.correlation import pooling_masks
from any2seg_core.model.fusion import correlation

DIRECTIONS = ["teacher_student", "student_teacher"]


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def cosines(*shape, seed=0):
    return random(*shape, seed=seed).tanh()


def labels(*shape, classes=4, seed=1, unlabelled=0.3):
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, classes, shape, generator=generator)
    return targets.masked_fill(torch.rand(shape, generator=generator) < unlabelled, 255)


def divergence(student, teacher, temperature, direction):
    """KL of two lists of cosines, softmax by hand."""

    def softmax(values):
        powers = [math.exp(value / temperature) for value in values]
        return [power / sum(powers) for power in powers]

    pair = softmax(teacher), softmax(student)
    p, q = pair if direction == "teacher_student" else pair[::-1]
    return sum(one * math.log(one / other) for one, other in zip(p, q, strict=True))


def literal_correlation(student, teacher, available, temperature=1.0, direction=DIRECTIONS[0]):
    """Equation 3, a sample at a time, over what is there."""
    found = []
    for b in range(len(student)):
        there = available[b].nonzero().flatten().tolist()
        if len(there) > 1:
            pairs = [student[b, m].item() for m in there], [teacher[b, m].item() for m in there]
            found.append(divergence(*pairs, temperature, direction))
    return sum(found) / len(found) if found else 0.0


def literal_pooling(feature, targets, classes):
    """Equation 4 as the paper describes it: upsample, mask, average, a pixel at a time."""
    large = functional.interpolate(feature, targets.shape[1:], mode="bilinear", align_corners=False)
    pooled, counts = torch.zeros(len(feature), classes, feature.shape[1], dtype=feature.dtype), {}
    for b, k in itertools.product(range(len(feature)), range(classes)):
        there = (targets[b] == k).nonzero().tolist()
        counts[b, k] = len(there)
        for y, x in there:
            pooled[b, k] += large[b, :, y, x] / len(there)
    return pooled, torch.tensor([[counts[b, k] for k in range(classes)] for b in range(len(feature))])


def literal_similarity(prototypes, pixels, teacher, temperature=1.0, direction=DIRECTIONS[0], *, diagonal=True):
    """Equation 5, a set and a class at a time, over the classes that are there."""
    found = []
    for vectors, counts in zip(prototypes, pixels, strict=True):
        there = [k for k in range(len(counts)) if counts[k] > 0]
        if len(there) < (2 if diagonal else 3):
            continue
        rows = []
        for i in there:
            others = [j for j in there if diagonal or j != i]
            student = [functional.cosine_similarity(vectors[i], vectors[j], dim=0).item() for j in others]
            rows.append(divergence(student, [teacher[i, j].item() for j in others], temperature, direction))
        found.append(sum(rows) / len(rows))
    return sum(found) / len(found) if found else 0.0


# L_cr


@settings(max_examples=40, deadline=None)
@given(st.data(), st.integers(0, 10**6))
def test_l_cr_equals_the_paper_on_any_mask(data, seed):
    rows = st.lists(st.booleans(), min_size=4, max_size=4)
    available = torch.tensor(data.draw(st.lists(rows, min_size=1, max_size=3)))
    temperature, direction = data.draw(st.sampled_from([0.05, 0.1, 1.0])), data.draw(st.sampled_from(DIRECTIONS))
    student, teacher = cosines(*available.shape, seed=seed), cosines(*available.shape, seed=seed + 1)
    found = modality_correlation_loss(student, teacher, available, temperature=temperature, direction=direction)
    assert found.item() == pytest.approx(
        literal_correlation(student, teacher, available, temperature, direction), rel=1e-9, abs=1e-12
    )
    assert found >= -1e-12


def test_l_cr_by_hand():
    # Teacher: softmax(0, ln 3) = (1/4, 3/4); student: softmax(0, 0) = (1/2, 1/2).
    teacher = torch.tensor([[0.0, math.log(3), 9.0]])
    found = modality_correlation_loss(torch.zeros(1, 3), teacher, torch.tensor([[True, True, False]]))
    assert found.item() == pytest.approx(0.25 * math.log(0.5) + 0.75 * math.log(1.5), rel=1e-6)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_l_cr_is_zero_where_cosines_differ_by_a_constant(direction):
    teacher, everywhere = cosines(3, 4), torch.ones(3, 4, dtype=torch.bool)
    shifted = teacher + torch.tensor([[0.3], [-0.2], [0.0]])
    found = modality_correlation_loss(shifted, teacher, everywhere, temperature=0.1, direction=direction)
    assert found.item() == pytest.approx(0, abs=1e-12)


def test_l_cr_does_not_care_about_order():
    student, teacher, order = cosines(3, 4), cosines(3, 4, seed=1), [2, 0, 3, 1]
    available = torch.tensor([[True, True, True, True], [False, True, True, False], [True, False, False, False]])
    found = modality_correlation_loss(student[:, order], teacher[:, order], available[:, order])
    torch.testing.assert_close(found, modality_correlation_loss(student, teacher, available), atol=1e-14, rtol=1e-12)


def test_l_cr_does_not_care_about_the_scale_of_features():
    present = torch.tensor([[True, True, True, True], [True, False, True, False]])
    features, fused, teacher = random(6, 8, 3, 3), random(2, 8, 3, 3, seed=1), cosines(2, 4)
    scale = torch.tensor([0.01, 3, 100, 1, 7, 2]).view(6, 1, 1, 1)
    one, other = correlation(features, present, fused), correlation(scale * features, present, 5 * fused)
    torch.testing.assert_close(
        modality_correlation_loss(other, teacher, present), modality_correlation_loss(one, teacher, present)
    )


@pytest.mark.parametrize("garbage", [0.9, math.nan, math.inf, -1e30])
def test_what_is_masked_is_as_if_removed_and_gets_no_gradient(garbage):
    keep = [0, 2, 3]
    student, teacher = cosines(2, 4), cosines(2, 4, seed=1)
    small = modality_correlation_loss(student[:, keep], teacher[:, keep], torch.ones(2, 3, dtype=torch.bool))
    student[:, 1], teacher[:, 1] = garbage, garbage
    student.requires_grad_()
    available = torch.tensor([[True, False, True, True]] * 2)
    found = modality_correlation_loss(student, teacher, available, temperature=1.0)
    torch.testing.assert_close(found, small)
    found.backward()
    assert not student.grad[:, 1].any()
    assert student.grad[:, keep].all()


def test_one_modality_costs_nothing_keeps_the_graph_and_is_not_counted():
    student, teacher = cosines(2, 4).requires_grad_(), cosines(2, 4, seed=1)
    alone = torch.tensor([[False, True, False, False], [False, False, False, False]])
    value = modality_correlation_loss(student, teacher, alone)
    assert value.item() == 0
    value.backward()
    assert not student.grad.any()
    mixed = torch.tensor([[True, True, True, True], [True, False, False, False]])
    expected = modality_correlation_loss(student[:1], teacher[:1], mixed[:1])
    torch.testing.assert_close(modality_correlation_loss(student, teacher, mixed), expected)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_gradients_of_l_cr(direction):
    teacher = cosines(3, 4, seed=1).requires_grad_()
    available = torch.tensor([[True, True, False, True], [False, True, True, False], [True, False, False, False]])
    student = cosines(3, 4).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda values: modality_correlation_loss(values, teacher, available, temperature=0.2, direction=direction),
        student,
    )
    modality_correlation_loss(student, teacher, available).backward()
    assert teacher.grad is None


def test_gradients_of_l_cr_down_to_features_and_anchor():
    present, teacher = torch.tensor([[True, True, True], [True, False, True]]), cosines(2, 3, seed=1)
    assert torch.autograd.gradcheck(
        lambda features, fused: modality_correlation_loss(correlation(features, present, fused), teacher, present),
        (random(5, 2, 2, 1).requires_grad_(), random(2, 2, 2, 1, seed=1).requires_grad_()),
    )


def test_features_of_zeros_are_finite_all_the_way():
    present = torch.ones(1, 3, dtype=torch.bool)
    features, fused = torch.zeros(3, 4, 2, 2, requires_grad=True), torch.zeros(1, 4, 2, 2, requires_grad=True)
    loss = modality_correlation_loss(correlation(features, present, fused), cosines(1, 3).float(), present)
    prototypes, pixels = class_prototypes(fused, labels(1, 8, 8), 4)
    loss = loss + class_similarity_loss(prototypes, pixels, cosines(4, 4).float())
    loss.backward()
    assert loss.isfinite()
    assert features.grad.isfinite().all()
    assert fused.grad.isfinite().all()
    assert features.grad.abs().max() < 1e3


# Equation 4


@pytest.mark.parametrize("size", [(16, 24), (12, 12), (4, 6), (9, 17), (2, 3)])
def test_pooling_equals_upsampling_first(size):
    feature, targets = random(2, 3, 4, 6), labels(2, *size)
    expected, counts = literal_pooling(feature, targets, 5)
    found, pixels = class_prototypes(feature, targets, 5)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(pixels, counts.double())
    assert not pixels[:, 4].any()
    assert not found[:, 4].any()


def test_masks_are_the_transpose_of_upsampling():
    # <mask, U f> = <U^T mask, f> for any f, and torch's own transpose is the gradient of its upsampling.
    targets = labels(2, 13, 20)
    probe = torch.zeros(2, 4, 3, 5, dtype=torch.float64, requires_grad=True)
    masks = torch.stack([targets == k for k in range(4)], 1).double()
    large = functional.interpolate(probe, (13, 20), mode="bilinear", align_corners=False)
    (large * masks).sum().backward()
    torch.testing.assert_close(pooling_masks(targets, 4, (3, 5), dtype=torch.float64), probe.grad)


def test_pixels_are_counted_exactly_in_single_precision():
    targets = torch.zeros(1, 512, 512, dtype=torch.long)
    targets[0, 100, 200] = 1
    pixels = class_prototypes(torch.ones(1, 1, 128, 128), targets, 3)[1]
    assert pixels.tolist() == [[512 * 512 - 1, 1, 0]]


def test_pooling_over_a_batch_takes_all_its_pixels_together():
    feature, targets = random(3, 5, 4, 4), labels(3, 8, 8)
    apart, counts = class_prototypes(feature, targets, 4)
    together, total = class_prototypes(feature, targets, 4, scope="batch")
    assert together.shape == (1, 4, 5)
    torch.testing.assert_close(total[0], counts.sum(0))
    torch.testing.assert_close(together[0], (apart * counts[..., None]).sum(0) / counts.sum(0)[:, None])


def test_gradients_of_pooling():
    targets = labels(2, 7, 6)
    assert torch.autograd.gradcheck(
        lambda feature: class_prototypes(feature, targets, 5)[0], random(2, 2, 3, 2).requires_grad_()
    )


# L_se


@pytest.mark.parametrize("diagonal", [True, False])
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_l_se_equals_the_paper(temperature, direction, diagonal):
    pixels = torch.tensor([[3, 0, 1, 2, 9], [0, 0, 5, 0, 0], [1, 1, 1, 1, 1], [4, 0, 0, 2, 0], [0, 0, 0, 0, 0]])
    prototypes, teacher = random(5, 5, 6) * (pixels > 0)[..., None], cosines(5, 5, seed=1)
    switches = {"temperature": temperature, "direction": direction, "diagonal": diagonal}
    found = class_similarity_loss(prototypes, pixels, teacher, **switches)
    assert found.item() == pytest.approx(literal_similarity(prototypes, pixels, teacher, **switches), rel=1e-9)
    assert found > 0


@settings(max_examples=25, deadline=None)
@given(st.data(), st.integers(0, 10**6))
def test_l_se_equals_the_paper_from_the_feature_on(data, seed):
    present = data.draw(st.lists(st.sampled_from([0, 1, 2, 3, 255]), min_size=1, max_size=4))
    targets = torch.tensor(present)[
        torch.randint(len(present), (2, 6, 8), generator=torch.Generator().manual_seed(seed))
    ]
    feature, teacher = random(2, 3, 3, 4, seed=seed), cosines(4, 4, seed=seed + 1)
    found = class_similarity_loss(*class_prototypes(feature, targets, 4), teacher, temperature=0.1)
    expected = literal_similarity(*literal_pooling(feature, targets, 4), teacher, 0.1)
    assert found.item() == pytest.approx(expected, rel=1e-8, abs=1e-12)
    assert found >= -1e-12


def test_l_se_of_the_teacher_s_own_relations_is_zero():
    embeddings = functional.normalize(random(5, 8), dim=1)
    everywhere = torch.ones(1, 5)
    teacher = embeddings @ embeddings.T
    for diagonal in (True, False):
        for scale in (1, 1e-3, 1e3):
            found = class_similarity_loss(scale * embeddings[None], everywhere, teacher, diagonal=diagonal)
            assert found.item() == pytest.approx(0, abs=1e-12)
    off = teacher + 0.1 * (1 - torch.eye(5))  # a constant apart from the diagonal
    found = class_similarity_loss(embeddings[None], everywhere, off, temperature=0.1, diagonal=False)
    assert found.item() == pytest.approx(0, abs=1e-12)
    assert class_similarity_loss(embeddings[None], everywhere, off, temperature=0.1) > 1e-3


def test_l_se_does_not_care_about_order_or_scale():
    prototypes, pixels, teacher = (
        random(2, 5, 6),
        torch.tensor([[1, 2, 0, 4, 5], [1, 1, 1, 0, 1]]),
        cosines(5, 5, seed=1),
    )
    order = [3, 0, 4, 1, 2]
    usual = class_similarity_loss(prototypes, pixels, teacher)
    permuted = class_similarity_loss(prototypes[:, order], pixels[:, order], teacher[order][:, order])
    torch.testing.assert_close(permuted, usual, atol=1e-14, rtol=1e-12)
    scale = torch.tensor([1, 10, 0.1, 3, 200])[:, None]
    torch.testing.assert_close(class_similarity_loss(scale * prototypes, pixels, teacher), usual)


def test_absent_classes_are_as_if_removed_and_get_no_gradient():
    keep = [0, 2, 4]
    prototypes, teacher = random(1, 5, 6), cosines(5, 5, seed=1)
    small = class_similarity_loss(prototypes[:, keep], torch.ones(1, 3), teacher[keep][:, keep], temperature=0.1)
    teacher[1], teacher[:, 3] = math.nan, math.inf
    prototypes.requires_grad_()
    pixels = torch.tensor([[7.0, 0, 1, 0, 2]])
    found = class_similarity_loss(prototypes, pixels, teacher, temperature=0.1)
    torch.testing.assert_close(found, small)
    found.backward()
    assert not prototypes.grad[:, [1, 3]].any()
    assert prototypes.grad[:, keep].any(2).all()


@pytest.mark.parametrize(("pixels", "diagonal"), [([0, 0, 0], True), ([0, 5, 0], True), ([3, 5, 0], False)])
def test_too_few_classes_cost_nothing_and_keep_the_graph(pixels, diagonal):
    prototypes = random(1, 3, 4).requires_grad_()
    value = class_similarity_loss(prototypes, torch.tensor([pixels]), cosines(3, 3), diagonal=diagonal)
    assert value.item() == 0
    value.backward()
    assert not prototypes.grad.any()


@pytest.mark.parametrize("diagonal", [True, False])
def test_gradients_of_l_se(diagonal):
    pixels, teacher = torch.tensor([[1, 2, 0, 4], [1, 1, 1, 1]]), cosines(4, 4, seed=1).requires_grad_()
    prototypes = random(2, 4, 3).requires_grad_()

    def loss(values):
        return class_similarity_loss(values, pixels, teacher, temperature=0.3, diagonal=diagonal)

    assert torch.autograd.gradcheck(loss, prototypes)
    loss(prototypes).backward()
    assert teacher.grad is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast_changes_nothing_but_the_rounding_of_its_inputs(dtype):
    # Given the same half-precision feature, the losses are those of float64.
    present, targets = torch.tensor([[True, True, True, True], [True, False, True, False]]), labels(2, 16, 16)
    features, fused = random(6, 16, 4, 4).to(dtype), random(2, 16, 4, 4, seed=1).to(dtype)
    teacher, classes = cosines(2, 4), cosines(4, 4, seed=1)
    found, expected = [], []
    for outcome, cast in ((found, lambda x: x), (expected, torch.Tensor.double)):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=outcome is found):
            cosine = correlation(cast(features), present, cast(fused))
            outcome.append(modality_correlation_loss(cosine, teacher.float(), present, temperature=0.1))
            prototypes = class_prototypes(cast(fused), targets, 4)
            outcome.append(class_similarity_loss(*prototypes, classes.float(), temperature=0.1))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.double(), other.double(), atol=1e-5, rtol=1e-5)
