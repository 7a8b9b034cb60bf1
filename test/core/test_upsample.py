# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Labels and confidence at full size, against the plain formula in double precision and against torch."""

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from any2seg_core.inference import label_pixels, upsample

SIDES = st.integers(1, 40)
ROUTES = {"rows": upsample.label_pixels, "chunks": upsample._label_chunks}


@pytest.fixture(params=ROUTES)
def route(request, monkeypatch):
    monkeypatch.setattr(upsample, "_CHUNK_BYTES", 4000)  # several chunks, even here
    return ROUTES[request.param]


def logits_of(classes, height, width, seed=0, spread=4.0):
    random = np.random.default_rng(seed)
    return torch.from_numpy(random.normal(0, spread, (1, classes, height, width)).astype(np.float32))


def upsampled(logits, size):
    """Scores (K, H, W), one pixel after the other in double precision."""
    source = logits[0].double().numpy()
    scores = np.empty((len(source), *size))
    for index in np.ndindex(size):
        low, high, part = [], [], []
        for at, outputs, inputs in zip(index, size, source.shape[1:], strict=True):
            place = max((at + 0.5) * inputs / outputs - 0.5, 0.0)
            low.append(math.floor(place))
            high.append(min(low[-1] + 1, inputs - 1))
            part.append(place - low[-1])
        (y, x), (y1, x1), (b, a) = low, high, part
        top = (1 - a) * source[:, y, x] + a * source[:, y, x1]
        bottom = (1 - a) * source[:, y1, x] + a * source[:, y1, x1]
        scores[(slice(None), *index)] = (1 - b) * top + b * bottom
    return scores


def check(found, scores):
    labels, confidence = found
    assert labels.dtype == np.uint8
    assert confidence.dtype == np.float32
    assert labels.shape == confidence.shape == scores.shape[1:]
    best = scores.max(0)
    given_up = best - np.take_along_axis(scores, labels[None].astype(int), 0)[0]
    assert given_up.max() < 1e-4
    np.testing.assert_allclose(confidence, 1 / np.exp(scores - best).sum(0), atol=1e-5)
    assert confidence.max() <= 1


@settings(deadline=None, max_examples=40)
@example(height=1, width=1, rows=1, columns=1, classes=1, seed=0, spread=1.0)
@example(height=1, width=1, rows=9, columns=5, classes=254, seed=0, spread=1.0)
@example(height=20, width=30, rows=1, columns=1, classes=254, seed=0, spread=4.0)
@given(SIDES, SIDES, SIDES, SIDES, st.integers(1, 254), st.integers(0, 9), st.sampled_from([0.0, 0.1, 1.0, 4.0]))
def test_equals_the_plain_formula(height, width, rows, columns, classes, seed, spread):
    logits = logits_of(classes, height, width, seed, spread)
    scores = upsampled(logits, (rows, columns))
    for answer in ROUTES.values():
        check(answer(logits, (rows, columns)), scores)


@pytest.mark.parametrize("size", [(64, 96), (61, 97), (16, 24), (7, 5), (1, 96), (200, 300)])
def test_equals_torch(route, size):
    logits = logits_of(25, 16, 24)
    scores = functional.interpolate(logits, size, mode="bilinear", align_corners=False)[0]
    labels, confidence = route(logits, size)
    check((labels, confidence), scores.double().numpy())
    np.testing.assert_allclose(confidence, scores.softmax(0).amax(0), atol=1e-5)
    assert np.mean(labels == scores.argmax(0).numpy()) > 0.999


def test_a_hand_computed_row(route):
    # Two classes that trade places along two pixels made four: class 1 leads by -4, -2, 2, 4.
    logits = torch.tensor([[[[4.0, 0.0]], [[0.0, 4.0]]]])
    labels, confidence = route(logits, (1, 4))
    np.testing.assert_array_equal(labels, [[0, 0, 1, 1]])
    np.testing.assert_allclose(confidence, [[0.98201379, 0.88079708, 0.88079708, 0.98201379]], atol=1e-6)


def test_equal_classes_share_the_confidence_and_the_first_wins(route):
    labels, confidence = route(torch.zeros(1, 4, 2, 2), (5, 3))
    assert not labels.any()
    np.testing.assert_allclose(confidence, 0.25, atol=1e-6)


def test_far_apart_and_large_scores_stay_finite(route):
    logits = torch.tensor([-3e4, 2e4, 0.0]).reshape(1, 3, 1, 1)
    labels, confidence = route(logits, (2, 2))
    assert (labels == 1).all()
    np.testing.assert_array_equal(confidence, np.ones((2, 2), np.float32))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_and_any_memory_layout(route, dtype):
    logits = logits_of(7, 9, 11).to(dtype)
    expected = route(logits.float().contiguous(), (31, 40))
    turned = logits.contiguous(memory_format=torch.channels_last)
    before = turned.clone()
    with torch.inference_mode():
        found = route(turned, (31, 40))
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert torch.equal(turned, before)


def test_the_exponential():
    values = np.concatenate([np.linspace(-40, 0, 20001), [-1e30]]).astype(np.float32)
    found = np.array([upsample._exponential(value) for value in values])
    np.testing.assert_allclose(found, np.exp(values.astype(np.float64)), atol=2e-6)
    assert found[-2] == 1


def test_chunks_bound_the_memory(monkeypatch):
    seen = []
    interpolate = functional.interpolate
    monkeypatch.setattr(
        upsample.functional, "interpolate", lambda part, **how: seen.append(how["size"]) or interpolate(part, **how)
    )
    monkeypatch.setattr(upsample, "_CHUNK_BYTES", 4 * 5 * 64 * 10)
    upsample._label_chunks(logits_of(5, 8, 16), (32, 64))
    assert seen == [(10, 64)] * 3 + [(2, 64)]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_agrees():
    logits = logits_of(25, 32, 48)
    check(label_pixels(logits.cuda(), (130, 190)), upsampled(logits, (130, 190)))
