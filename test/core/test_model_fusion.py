# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Modality-agnostic fusion against the paper's steps written out slowly, and the properties that make it agnostic."""

import itertools
import math
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from any2seg_core.errors import FrameError
from any2seg_core.model.fusion import ModalityFusion, correlation
from any2seg_core.model.max_fusion import MaxFusion

SWITCHES = list(itertools.product([True, False], repeat=3))


def literal(stack, present, previous=None, *, reweight=True, select=True, residual=True, temperature=None):
    """Section 3.3 step by step, a sample and a pixel at a time; stack (B, M, C, H, W)."""
    fused, weights, chosen = [], torch.zeros(present.shape, dtype=stack.dtype), []
    for sample in range(len(stack)):
        there = present[sample].nonzero().flatten().tolist()
        maps = {m: stack[sample, m] for m in there}
        anchor = sum(maps.values()) / len(there)
        if previous is not None:
            anchor = (previous[sample] + anchor) / 2
        for m in there:
            cosine = functional.cosine_similarity(maps[m].flatten(), anchor.flatten(), dim=0)
            weights[sample, m] = cosine if reweight else 1
        balanced = sum(weights[sample, m] * maps[m] for m in there) / len(there)
        selected, index = torch.zeros_like(balanced), torch.zeros(balanced.shape[1:], dtype=torch.long)
        for y, x in itertools.product(*map(range, balanced.shape[1:])):
            scores = [functional.cosine_similarity(maps[m][:, y, x], balanced[:, y, x], dim=0).item() for m in there]
            index[y, x] = next(m for m, score in zip(there, scores, strict=True) if score >= max(scores) - 1e-5)
            shares = {int(index[y, x]): 1} if temperature is None else softmax(there, scores, temperature)
            selected[:, y, x] = sum(share * maps[m][:, y, x] for m, share in shares.items())
        answer = selected + balanced if residual else selected
        fused.append(answer if select else balanced)
        chosen.append(index)
    return torch.stack(fused), weights, torch.stack(chosen)


def softmax(there, scores, temperature):
    powers = [math.exp(score / temperature) for score in scores]
    return {m: power / sum(powers) for m, power in zip(there, powers, strict=True)}


def features(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def mask(*rows):
    return torch.tensor([[letter == "x" for letter in row] for row in rows])


def assert_same(found, expected, atol=1e-5):
    torch.testing.assert_close(found.feature, expected[0], atol=atol, rtol=1e-5)
    torch.testing.assert_close(found.weights, expected[1], atol=atol, rtol=1e-5)
    assert torch.equal(found.chosen, expected[2])


@pytest.mark.parametrize(("reweight", "select", "residual"), SWITCHES)
@pytest.mark.parametrize("with_previous", [False, True])
@pytest.mark.parametrize("present", [mask("xxxx", "xxxx"), mask("x.x.", "x.x."), mask("xx.x", "..x."), mask("...x")])
def test_equals_the_paper_written_out(present, with_previous, reweight, select, residual):
    stack = features(len(present), 4, 6, 5, 3)
    previous = features(len(present), 6, 5, 3, seed=1) if with_previous else None
    switches = {"reweight": reweight, "select": select, "residual": residual}
    found = ModalityFusion(**switches)(stack[present], present, previous)
    assert_same(found, literal(stack, present, previous, **switches))


@settings(max_examples=25, deadline=None)
@given(st.data(), st.integers(0, 10**6))
def test_equals_the_paper_on_any_mask(data, seed):
    rows = st.lists(st.booleans(), min_size=3, max_size=3).filter(any)
    present = torch.tensor(data.draw(st.lists(rows, min_size=1, max_size=3)))
    stack = features(*present.shape, 4, 2, 3, seed=seed)
    assert_same(ModalityFusion()(stack[present], present), literal(stack, present))


@pytest.mark.parametrize(("reweight", "residual"), list(itertools.product([True, False], repeat=2)))
@pytest.mark.parametrize("temperature", [0.05, 0.1, 1.0])
def test_soft_selection_blends_by_the_softmax_of_similarities(temperature, reweight, residual):
    present = mask("xx.x", "..x.", "x.x.")
    stack = features(3, 4, 6, 5, 3)
    switches = {"reweight": reweight, "residual": residual, "temperature": temperature}
    found = ModalityFusion(selection="soft", **switches)(stack[present], present)
    assert_same(found, literal(stack, present, **switches))


def test_soft_selection_grows_hard_as_it_cools():
    rows, present = features(3, 64, 4, 4), mask("xxx")
    hard = ModalityFusion()(rows, present).feature
    far, near = (
        (ModalityFusion(selection="soft", temperature=t)(rows, present).feature - hard).norm() for t in (1, 1e-3)
    )
    assert near < 0.05 * far


@pytest.mark.parametrize("settings", [{}, {"selection": "soft", "temperature": 0.5}, {"select": False}])
@pytest.mark.parametrize("with_previous", [False, True])
def test_double_precision_equals_the_paper_and_gradients_are_right(settings, with_previous):
    present = mask("xx.x", "..x.")
    stack = features(2, 4, 3, 2, 2).double()
    previous = features(2, 3, 2, 2, seed=1).double() if with_previous else None
    fusion = ModalityFusion(**settings)
    slow = {name: value for name, value in settings.items() if name != "selection"}
    assert_same(fusion(stack[present], present, previous), literal(stack, present, previous, **slow), atol=1e-12)
    rows = stack[present].requires_grad_()
    assert torch.autograd.gradcheck(lambda rows: fusion(rows, present, previous).feature, rows)
    assert torch.autograd.gradcheck(lambda rows: fusion(rows, present, previous).weights, rows)


def test_selection_that_is_soft_teaches_all_modalities_and_hard_the_chosen_alone():
    stack, present = features(3, 6, 4, 4), mask("xxx")
    reached = {}
    for selection in ("hard", "soft"):
        rows = stack.clone().requires_grad_()
        found = ModalityFusion(residual=False, selection=selection, temperature=1.0)(rows, present)
        found.feature.square().sum().backward()
        reached[selection] = rows.grad.abs().sum(1) > 0  # (3, H, W)
    assert torch.equal(reached["hard"], torch.stack([found.chosen[0] == m for m in range(3)]))
    assert reached["soft"].all()


@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_features_of_zeros_have_finite_gradients(kind):
    rows = torch.zeros(2, 6, 5, 3, requires_grad=True)
    found = ModalityFusion(reweight=False, selection=kind)(rows, mask("xx"))
    found.feature.sum().backward()
    assert not found.feature.any()
    assert rows.grad.abs().max() < 10


@settings(max_examples=20, deadline=None)
@given(st.data(), st.integers(0, 10**6))
def test_max_fusion_takes_the_largest_of_what_is_present(data, seed):
    rows = st.lists(st.booleans(), min_size=3, max_size=3).filter(any)
    present = torch.tensor(data.draw(st.lists(rows, min_size=1, max_size=3)))
    stack = features(*present.shape, 4, 2, 3, seed=seed) - 3  # zeros of absent slots would win
    found = MaxFusion()(stack[present], present)
    for sample, there in enumerate(present):
        largest = stack[sample][there].amax(0)
        assert torch.equal(found.feature[sample], largest)
        given = torch.stack([(stack[sample, m] == largest).sum(0) * there[m] for m in range(3)])
        assert torch.equal(given.gather(0, found.chosen[sample][None])[0], given.amax(0))
    assert torch.equal(found.weights, present.float())


def test_max_fusion_keeps_precision_and_gradients_reach_the_largest_alone():
    present = mask("xx.x", "..x.")
    rows = features(4, 6, 5, 3).requires_grad_()
    found = MaxFusion()(rows, present)
    found.feature.sum().backward()
    assert torch.equal(rows.grad[:3].sum(0), torch.ones(6, 5, 3))
    assert torch.equal(rows.grad[3], torch.ones(6, 5, 3))
    assert MaxFusion()(rows.bfloat16(), present).feature.dtype == torch.bfloat16
    assert torch.autograd.gradcheck(
        lambda rows: MaxFusion()(rows, present).feature, rows.detach().double().requires_grad_()
    )
    with pytest.raises(FrameError, match="found 2 feature maps, expected 1"):
        MaxFusion()(features(2, 6, 5, 3), mask("x."))


def test_by_hand():
    # One channel pair, one pixel: a = (3, 0), b = (0, 1). Mean (1.5, 0.5); cosines 3/sqrt(10) and 1/sqrt(10).
    # Balanced: (9, 1) / (2 sqrt(10)); a is nearer to it. Fused = balanced + a.
    stack = torch.tensor([[3.0, 0.0], [0.0, 1.0]]).view(2, 2, 1, 1)
    found = ModalityFusion()(stack, mask("xx"))
    root = 10**0.5
    torch.testing.assert_close(found.weights, torch.tensor([[3 / root, 1 / root]]))
    torch.testing.assert_close(found.feature.flatten(), torch.tensor([3 + 9 / (2 * root), 1 / (2 * root)]))
    assert found.chosen.item() == 0


def test_the_order_of_modalities_does_not_matter():
    # Up to the last bits: sums over modalities run in another order.
    stack, order = features(2, 4, 6, 5, 3), [2, 0, 3, 1]
    present = mask("xxxx", "x.xx")
    usual = ModalityFusion()(stack[present], present)
    permuted = ModalityFusion()(stack[:, order][present[:, order]], present[:, order])
    torch.testing.assert_close(permuted.feature, usual.feature, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(permuted.weights, usual.weights[:, order], atol=1e-6, rtol=1e-6)
    assert torch.equal(torch.tensor(order)[permuted.chosen], usual.chosen)


def test_exact_ties_go_to_the_first():
    one, other = features(1, 19, 4, 4), features(1, 19, 4, 4, seed=1)
    for rows in itertools.permutations([one, one, one, other]):
        chosen = ModalityFusion()(torch.cat(rows), mask("xxxx")).chosen
        first = next(index for index, row in enumerate(rows) if row is one)
        alone = next(index for index, row in enumerate(rows) if row is other)
        assert set(chosen.unique().tolist()) <= {first, alone}


def test_rounding_does_not_break_ties_of_normalised_features():
    # With two features of equal norm at every location, symmetry makes both cosines equal at every location.
    stack = functional.normalize(features(2, 64, 32, 32), dim=1)
    for rows in (stack, stack.flip(0)):
        assert not ModalityFusion()(rows, mask("xx")).chosen.any()


def test_one_modality_is_chosen_everywhere_with_weight_one():
    row = features(1, 6, 5, 3)
    found = ModalityFusion()(row, mask("..x."))
    torch.testing.assert_close(found.weights, torch.tensor([[0.0, 0, 1, 0]]))
    assert (found.chosen == 2).all()
    torch.testing.assert_close(found.feature, 2 * row)


def test_a_subset_is_bit_for_bit_what_fewer_slots_give():
    rows = features(4, 6, 5, 3)
    wide = ModalityFusion()(rows, mask(".x.x", ".x.x"))
    narrow = ModalityFusion()(rows, mask("xx", "xx"))
    assert torch.equal(wide.feature, narrow.feature)
    assert torch.equal(wide.weights[:, [1, 3]], narrow.weights)
    assert torch.equal(wide.chosen, torch.tensor([1, 3])[narrow.chosen])


def test_features_of_zeros_give_zeros():
    found = ModalityFusion()(torch.zeros(2, 6, 5, 3), mask("xx"))
    assert not found.feature.any()
    assert not found.weights.any()


def test_scores_are_full_precision_under_autocast():
    stack = features(1, 3, 64, 8, 8).bfloat16()
    present = mask("xxx")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = ModalityFusion()(stack[present], present)
    expected = literal(stack.float(), present)
    assert found.weights.dtype == torch.float32
    assert found.feature.dtype == torch.bfloat16
    torch.testing.assert_close(found.weights, expected[1], atol=1e-6, rtol=1e-6)
    assert torch.equal(found.chosen, expected[2])
    torch.testing.assert_close(found.feature, expected[0].bfloat16())


def test_gradients_are_those_of_the_paper_and_none_reaches_t_minus_1():
    present = mask("xx.x", ".xx.")
    stack = features(2, 4, 6, 3, 3).requires_grad_()
    previous = features(2, 6, 3, 3, seed=1).requires_grad_()
    probe = features(2, 6, 3, 3, seed=2)
    (ModalityFusion()(stack[present], present, previous).feature * probe).sum().backward()
    found, stack.grad = stack.grad, None
    assert previous.grad is None
    (literal_with_graph(stack, present, previous.detach()) * probe).sum().backward()
    torch.testing.assert_close(found, stack.grad, atol=1e-5, rtol=1e-5)
    assert all(found[b, m].any() == present[b, m] for b in range(2) for m in range(4))


def literal_with_graph(stack, present, previous):
    """Fused feature whose weights keep their graph, selection taken from the slow reference."""
    chosen = literal(stack.detach(), present, previous)[2]
    fused = []
    for sample in range(len(stack)):
        there = present[sample].nonzero().flatten().tolist()
        anchor = (previous[sample] + sum(stack[sample, m] for m in there) / len(there)) / 2
        cosine = {m: functional.cosine_similarity(stack[sample, m].flatten(), anchor.flatten(), dim=0) for m in there}
        balanced = sum(cosine[m] * stack[sample, m] for m in there) / len(there)
        selected = sum(stack[sample, m] * (chosen[sample] == m) for m in there)
        fused.append(balanced + selected)
    return torch.stack(fused)


def test_previous_moves_the_anchor_halfway():
    rows = features(2, 6, 5, 3)
    towards_first = ModalityFusion()(rows, mask("xx"), 100 * rows[:1])
    assert towards_first.weights[0, 0] > 0.99
    assert towards_first.weights[0, 1] < 0.5


def test_an_absent_modality_is_not_chosen_even_where_all_others_disagree_with_the_anchor():
    rows = features(2, 6, 5, 3)
    previous = torch.stack([-100 * rows[0], 100 * rows[1]])
    found = ModalityFusion()(rows, mask(".x", "x."), previous)
    assert found.weights[0, 1] < 0  # the raw cosine of the paper, neither clamped nor normalised
    assert (found.chosen[0] == 1).all()
    assert (found.chosen[1] == 0).all()


def test_correlation_is_the_cosine_with_the_fused_feature():
    present = mask("xx.x", "..x.")
    stack, fused = features(2, 4, 6, 5, 3), features(2, 6, 5, 3, seed=1)
    found = correlation(stack[present], present, fused)
    expected = functional.cosine_similarity(stack.flatten(2), fused.flatten(1)[:, None], dim=2) * present
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


def test_errors():
    fusion = ModalityFusion()
    with pytest.raises(FrameError, match=r"no modality present in sample\(s\) \[1\], expected at least one"):
        fusion(features(1, 6, 5, 3), mask("x.", ".."))
    with pytest.raises(FrameError, match="no modality present"):
        fusion(features(0, 6, 5, 3), torch.zeros(0, 4, dtype=torch.bool))
    with pytest.raises(FrameError, match="found 2 feature maps, expected 1, one per present modality"):
        fusion(features(2, 6, 5, 3), mask("x."))
    message = "previous feature of shape (1, 6, 4, 3), expected (1, 6, 5, 3); drop it"
    with pytest.raises(FrameError, match=re.escape(message)):
        fusion(features(1, 6, 5, 3), mask("x."), features(1, 6, 4, 3))
