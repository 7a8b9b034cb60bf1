# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The objective: which terms there are, what each is made of, and that features are encoded once."""

import math
from dataclasses import replace

import pytest
import torch

from any2seg_core.batch import Batch, TeacherTargets
from any2seg_core.config import ModelConfig
from any2seg_core.errors import ConfigError, FrameError
from any2seg_core.experiment import LossConfig
from any2seg_core.losses import (
    Objective,
    class_prototypes,
    class_similarity_loss,
    cross_entropy,
    gradient_scales,
    hard_cross_entropy,
    logit_distillation,
    modality_correlation_loss,
)
from any2seg_core.model import build_model

CLASSES = 5
PRESENT = torch.tensor([[True, True, True, True], [True, False, True, False]])
SUBSET = torch.tensor([[False, True, False, True], [True, False, True, False]])
EVERYTHING = {"auxiliary_weight": 0.4, "base_weight": 0.5, "subset_weight": 0.7, "distill_weight": 2.0}


def network(**settings):
    """A small model in evaluation mode, so that a second pass gives the same numbers."""
    torch.manual_seed(0)
    model = build_model(ModelConfig(backbone="timm:test_convnext", embed_dim=8, **settings), CLASSES)
    for parameter in model.head.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


@pytest.fixture(scope="module", params=["embedding", "logits", "stages"])
def model(request):
    return network(fusion_level=request.param)


@pytest.fixture(scope="module")
def batch():
    generator = torch.Generator().manual_seed(1)
    targets = (
        torch.randint(0, CLASSES, (2, 16, 16), generator=generator).repeat_interleave(4, 1).repeat_interleave(4, 2)
    )
    targets[0, :20] = 255
    targets[targets == 3] = 1
    return Batch(
        pixels=torch.randn(2, 4, 3, 64, 64, generator=generator),
        present=PRESENT,
        targets=targets,
        ids=("a", "b"),
        conditions=("sun", "fog"),
        failures=("", ""),
        teacher=TeacherTargets(
            correlation=torch.rand(2, 4, generator=generator),
            valid=torch.tensor([[True, True, True, False], [True, True, True, True]]),
            classes=torch.rand(CLASSES, CLASSES, generator=generator),
        ),
    )


def values(terms):
    return {name: value.item() for name, value in terms.terms.items()}


@torch.no_grad()
def test_every_term_is_what_its_parts_say(model, batch):
    config = LossConfig(cr_temperature=0.1, cr_weight=2, se_temperature=0.2, se_weight=3, **EVERYTHING)
    found = Objective(config)(model, batch, subset=SUBSET)
    full, part, teacher = model(batch.pixels, PRESENT), model(batch.pixels, SUBSET), batch.teacher
    mean = tuple(
        torch.stack([level[:4].mean(0), level[4:].mean(0)])  # four rows are the first sample's, two the second's
        for level in full.features
    )
    expected = {
        "sup": cross_entropy(full.logits, batch.targets),
        "base": cross_entropy(model.decode(mean), batch.targets),
        "auxiliary": cross_entropy(model.decode(full.features), batch.targets[[0, 0, 0, 0, 1, 1]]),
        "cr": modality_correlation_loss(
            full.correlation(), teacher.correlation, PRESENT & teacher.valid, temperature=0.1
        ),
        "se": class_similarity_loss(
            *class_prototypes(full.fused, batch.targets, CLASSES), teacher.classes, temperature=0.2
        ),
        "subset": cross_entropy(part.logits, batch.targets),
        "distill": logit_distillation(part.logits, full.logits),
    }
    weights = {"sup": 1, "base": 0.5, "auxiliary": 0.4, "cr": 2, "se": 3, "subset": 0.7, "distill": 2}
    assert found.weights == weights
    assert values(found).keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found.terms[name], value, atol=1e-5, rtol=1e-4, msg=name)
        assert value > 0, name
    torch.testing.assert_close(
        found.total, sum(weights[name] * value for name, value in expected.items()), atol=1e-4, rtol=1e-4
    )
    assert torch.equal(found.prediction.present, PRESENT)


@torch.no_grad()
def test_the_paper_is_the_default(batch):
    found = Objective(LossConfig())(network(), batch)
    assert list(found.terms) == ["sup", "cr", "se"]
    assert set(found.weights.values()) == {1}


@torch.no_grad()
def test_terms_without_weight_or_ground_are_left_out(batch):
    model = network()
    assert list(Objective(LossConfig(cr_weight=0, se_weight=0))(model, batch).terms) == ["sup"]
    assert list(Objective(LossConfig())(model, replace(batch, teacher=None)).terms) == ["sup"]
    assert list(Objective(LossConfig(cr_weight=0, subset_weight=0))(model, batch, subset=SUBSET).terms) == ["sup", "se"]
    assert "subset" not in Objective(LossConfig(distill_weight=1))(model, batch).terms


def test_features_are_encoded_once_and_the_subset_is_as_if_the_others_never_existed(batch, monkeypatch):
    model, seen = network(), []
    encode = model.encoder.forward
    monkeypatch.setattr(
        model.encoder, "forward", lambda pixels, slots: seen.append(slots.tolist()) or encode(pixels, slots)
    )
    objective = Objective(LossConfig(cr_weight=0, se_weight=0, distill_weight=1))
    with torch.no_grad():
        found = objective(model, batch, subset=SUBSET)
        assert seen == [[0, 1, 2, 3, 0, 2]]
        dirty = batch.pixels.clone()
        dirty[~SUBSET] = math.nan
        alone = cross_entropy(model(dirty, SUBSET).logits, batch.targets)
    torch.testing.assert_close(found.terms["subset"], alone, atol=1e-5, rtol=1e-5)


def test_every_switch_of_the_configuration_changes_its_term(batch):
    model = network()
    usual = values(Objective(LossConfig(**EVERYTHING))(model, batch, subset=SUBSET))
    for change, term in (
        ({"supervision": "ohem", "ohem_threshold": 0.2}, "sup"),
        ({"cr_temperature": 0.1}, "cr"),
        ({"cr_anchor": "weights"}, "cr"),
        ({"direction": "student_teacher", "cr_temperature": 0.1}, "cr"),
        ({"direction": "student_teacher"}, "se"),
        ({"se_temperature": 0.1}, "se"),
        ({"se_diagonal": False}, "se"),
        ({"se_scope": "batch"}, "se"),
        ({"distill_temperature": 4.0}, "distill"),
    ):
        found = values(Objective(LossConfig(**EVERYTHING, **change))(model, batch, subset=SUBSET))
        assert found[term] != pytest.approx(usual[term], rel=1e-4), change
    config = LossConfig(supervision="ohem", ohem_threshold=0.5, ohem_keep=0.9)
    expected = hard_cross_entropy(model(batch.pixels, PRESENT).logits, batch.targets, threshold=0.5, keep=0.9)
    torch.testing.assert_close(Objective(config)(model, batch).terms["sup"], expected, atol=1e-5, rtol=1e-5)


def test_a_detached_anchor_has_the_same_value_and_another_gradient(batch):
    model, gradients = network(select=False), []
    for anchor in ("output", "detached"):
        found = Objective(LossConfig(cr_anchor=anchor, cr_temperature=0.1))(model, batch)
        gradients.append(torch.autograd.grad(found.terms["cr"], found.prediction.features[0])[0])
        value = found.terms["cr"].item()
    assert value == pytest.approx(values(Objective(LossConfig(cr_temperature=0.1))(model, batch))["cr"], rel=1e-5)
    assert not torch.allclose(*gradients, rtol=1e-2, atol=0)


@torch.no_grad()
def test_base_of_a_model_of_mean_fusion_is_its_supervision(batch):
    found = values(Objective(LossConfig(base_weight=1))(network(reweight=False, select=False), batch))
    assert found["base"] == pytest.approx(found["sup"], rel=1e-5)


@torch.no_grad()
def test_t_minus_1_joins_the_anchor_where_it_fits(batch):
    model, objective = network(), Objective(LossConfig(cr_anchor="weights"))
    state = model(batch.pixels.flip(0), PRESENT.flip(0)).state
    usual, carried = objective(model, batch), objective(model, batch, previous=state)
    assert torch.equal(carried.prediction.weights, model(batch.pixels, PRESENT, state).weights)
    assert not torch.equal(carried.prediction.weights, usual.prediction.weights)
    small = tuple(level[..., :8] for level in state)
    for other in (small, tuple(level[:1] for level in state), ()):
        found = objective(model, batch, previous=other)
        assert torch.equal(found.prediction.weights, usual.prediction.weights)


@torch.no_grad()
def test_watch_tells_of_cosines_teacher_and_classes(batch):
    found = Objective(LossConfig(cr_temperature=0.1))(network(), batch)
    cosines = found.prediction.correlation()
    assert found.watch["cosine_mean_rgb"].item() == pytest.approx(cosines[:, 0].mean().item(), rel=1e-5)
    assert found.watch["cosine_std_rgb"].item() == pytest.approx(cosines[:, 0].std(correction=0).item(), rel=1e-3)
    assert found.watch["cosine_mean_lidar"].item() == pytest.approx(cosines[0, 3].item(), rel=1e-5)
    assert found.watch["cosine_std_lidar"].item() == 0
    spread = (cosines[0].std(correction=0) + cosines[1, [0, 2]].std(correction=0)) / 2
    assert found.watch["cosine_spread"].item() == pytest.approx(spread.item(), rel=1e-4)
    rows = [batch.teacher.correlation[0, :3], batch.teacher.correlation[1, [0, 2]]]
    entropies = [torch.distributions.Categorical(logits=row / 0.1).entropy() / math.log(len(row)) for row in rows]
    assert found.watch["teacher_entropy"].item() == pytest.approx(sum(entropies).item() / 2, rel=1e-5)
    spread = sum(row.std(correction=0) for row in rows) / 2
    assert found.watch["teacher_spread"].item() == pytest.approx(spread.item(), rel=1e-5)
    classes = [len(set(target.flatten().tolist()) - {255}) for target in batch.targets]
    assert found.watch["classes_pooled"].item() == pytest.approx(sum(classes) / 2)
    assert all(value.ndim == 0 and not value.requires_grad for value in found.watch.values())


@torch.no_grad()
def test_watch_of_what_a_batch_cannot_tell_is_nan_and_the_loss_is_not(batch):
    present = torch.tensor([[True, False, False, False]] * 2)
    found = Objective(LossConfig())(network(), replace(batch, present=present))
    nan = {name for name, value in found.watch.items() if value.isnan()}
    missing = {f"cosine_{kind}_{name}" for kind in ("mean", "std") for name in ("depth", "event", "lidar")}
    assert nan == missing | {"cosine_spread", "teacher_spread", "teacher_entropy"}
    assert found.terms["cr"] == 0
    assert found.total.isfinite()


def test_a_batch_without_labels_gives_finite_gradients(batch):
    model = network().train()
    found = Objective(LossConfig(**EVERYTHING))(
        model, replace(batch, targets=torch.full_like(batch.targets, 255)), subset=SUBSET
    )
    found.total.backward()
    assert found.terms["sup"] == found.terms["se"] == 0
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_gradient_reaches_every_weight_and_the_loss_falls(batch):
    model = network().train()
    objective = Objective(LossConfig(cr_temperature=0.1, se_temperature=0.1, **EVERYTHING))
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
    totals = []
    for _ in range(12):
        optimiser.zero_grad()
        found = objective(model, batch, subset=SUBSET)
        found.total.backward()
        totals.append(found.total.item())
        assert all(parameter.grad is not None for parameter in model.parameters())
        optimiser.step()
    assert totals[-1] < 0.85 * totals[0]


def test_gradient_scales_are_the_norms_of_each_weighted_term(model, batch):
    found = Objective(LossConfig(cr_weight=3, **EVERYTHING))(model, batch, subset=SUBSET)
    scales = gradient_scales(found)
    assert scales.keys() == found.terms.keys()
    for name, scale in scales.items():
        gradients = torch.autograd.grad(
            found.weights[name] * found.terms[name], found.prediction.features, retain_graph=True, allow_unused=True
        )
        expected = sum(gradient.square().sum() for gradient in gradients if gradient is not None) ** 0.5
        torch.testing.assert_close(scale, expected)
        assert scale > 0
    parameters = list(model.encoder.parameters())
    assert all(value > 0 for value in gradient_scales(found, parameters).values())
    unused = gradient_scales(found, [torch.zeros(3, requires_grad=True)])
    assert not any(unused.values())
    found.total.backward()  # the graph is still there


def test_autocast_in_half_precision_stays_near_single(batch):
    model = network()
    objective = Objective(LossConfig(**EVERYTHING))
    usual = objective(model, batch, subset=SUBSET)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = objective(model, batch, subset=SUBSET)
    assert half.total.dtype == torch.float32
    for name, value in usual.terms.items():
        torch.testing.assert_close(half.terms[name], value, atol=0.02, rtol=0.05, msg=name)
    half.total.backward()


def test_an_early_concat_model_trains_without_what_it_cannot_have(batch):
    model = network(fusion="concat")
    found = Objective(LossConfig(distill_weight=1))(model, batch, subset=SUBSET)
    assert list(found.terms) == ["sup", "se", "subset", "distill"]
    expected = cross_entropy(model(batch.pixels, SUBSET).logits, batch.targets)
    torch.testing.assert_close(found.terms["subset"], expected)
    assert list(found.watch) == ["classes_pooled"]
    scales = gradient_scales(found)
    assert scales["sup"] > 0
    assert scales["subset"] == 0  # its features are others
    found.total.backward()
    for change in ({"auxiliary_weight": 1}, {"base_weight": 1}):
        with pytest.raises(
            ConfigError, match=r"joins modalities before its encoder, expected 0; there are no features"
        ):
            Objective(LossConfig(**change))(model, batch)


def test_errors(batch):
    model, objective = network(), Objective(LossConfig())
    with pytest.raises(FrameError, match=r"a subset of shape \(2, 4\), or with absent modalities, expected part of"):
        objective(model, batch, subset=~PRESENT | SUBSET)
    with pytest.raises(FrameError, match=r"a subset of shape \(2, 3\)"):
        objective(model, batch, subset=SUBSET[:, :3])
    with pytest.raises(FrameError, match=r"no modality present in sample\(s\) \[1\]"):
        objective(model, batch, subset=SUBSET & torch.tensor([[True], [False]]))
    few = replace(batch.teacher, classes=batch.teacher.classes[:4, :4])
    with pytest.raises(FrameError, match=r"\(2, 4\) modalities and \(4, 4\) classes, expected \(2, 4\) and 5 classes"):
        objective(model, replace(batch, teacher=few))
    narrow = replace(batch.teacher, correlation=batch.teacher.correlation[:, :3])
    with pytest.raises(FrameError, match=r"found teacher's targets for \(2, 3\) modalities"):
        objective(model, replace(batch, teacher=narrow))
    for wrong in (5, -1):
        targets = batch.targets.clone()
        targets[0, 0, 0] = wrong
        with pytest.raises(FrameError, match=rf"found ids \[{wrong}\] in the targets of a, b, expected 0 to 4 or 255"):
            objective(model, replace(batch, targets=targets))


def test_settings_of_the_losses():
    with pytest.raises(ConfigError, match="cr_temperature"):
        LossConfig.from_mapping({"cr_temperature": 0.001})
    assert LossConfig.from_mapping({"cr_anchor": "detached"}).cr_anchor == "detached"


def test_class_weights_fit_the_classes_and_the_supervision(model, batch):
    plain, weighted = (
        Objective(LossConfig.from_mapping({"cr_weight": 0, "se_weight": 0, "class_weights": weights}))(model, batch)
        for weights in ([], [1, 0, 0, 0, 4])
    )
    assert plain.terms["sup"].item() != pytest.approx(weighted.terms["sup"].item(), rel=1e-3)
    with pytest.raises(ConfigError, match="found 4 class_weights, expected none or 5"):
        Objective(LossConfig.from_mapping({"class_weights": [1, 1, 1, 1]}))(model, batch)
    for wrong, expected in (({"class_weights": [1, -1]}, "must be 0 or more"), ({"class_weights": [0]}, "not all 0")):
        with pytest.raises(ConfigError, match=expected):
            LossConfig.from_mapping(wrong)
    with pytest.raises(ConfigError, match="do not go with supervision 'ohem'"):
        LossConfig.from_mapping({"class_weights": [1, 2], "supervision": "ohem"})
