# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Frames that come again are not encoded again, and nothing else about the answer changes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from any2seg_core.config import ModelConfig, PreprocessConfig
from any2seg_core.errors import FrameError
from any2seg_core.frames import CameraModel, ClassTable, Events, FrameSet, Modality, Points, SensorFrame
from any2seg_core.inference import Segmenter

R, D, E, L = Modality.RGB, Modality.DEPTH, Modality.EVENT, Modality.LIDAR
CLASSES = ClassTable(("road", "sky", "car"), np.arange(9, dtype=np.uint8).reshape(3, 3))
HEIGHT, WIDTH = 64, 96


def segmenter(*, cache=True, preprocess=None, **settings):
    preprocess = preprocess or PreprocessConfig(short_side_px=64)
    return Segmenter.untrained(ModelConfig(embed_dim=16, **settings), CLASSES, preprocess, device="cpu", cache=cache)


def view(height=HEIGHT, width=WIDTH, **changes):
    return CameraModel(width, height, np.array([[80.0, 0, width / 2], [0, 80, height / 2], [0, 0, 1]]), **changes)


def frame(modality, stamp_ns, seed=0):
    random = np.random.default_rng([seed, stamp_ns, list(Modality).index(modality)])
    if modality is D:
        data = random.uniform(1, 30, (HEIGHT, WIDTH)).astype(np.float32)
    elif modality is E:
        x, y = random.integers(0, WIDTH, 500), random.integers(0, HEIGHT, 500)
        columns = x.astype(np.uint16), y.astype(np.uint16), np.ones(500, np.uint8), np.full(500, stamp_ns, np.int64)
        data = Events(*columns, WIDTH, HEIGHT)
    elif modality is L:
        xyz = random.uniform((-5, -5, 2), (5, 5, 30), (500, 3)).astype(np.float32)
        data = Points(xyz, random.uniform(0, 255, 500).astype(np.float32))
    else:
        data = random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    return SensorFrame(modality, stamp_ns, modality.value, data, to_view=np.eye(4))


def frame_set(*frames, anchor=R, camera=None):
    return FrameSet(anchor, {one.modality: one for one in frames}, view=camera or view())


def anew(frames, **changes):
    """The same frames as a calibration step hands them on: other objects around the same data."""
    copies = {
        modality: replace(one, **{"to_view": one.to_view.copy(), **changes.get(modality.value, {})})
        for modality, one in frames.frames.items()
    }
    return replace(frames, frames=copies, view=changes.get("view") or replace(frames.view, k=frames.view.k.copy()))


def same(one, other):
    return np.array_equal(one.labels, other.labels) and np.array_equal(one.confidence, other.confidence)


def counts(model):
    return model.encoded, model.cache_hits


@pytest.mark.parametrize("level", ["embedding", "logits", "stages"])
@pytest.mark.parametrize("previous", ["mean", "temporal"])
def test_a_drive_is_the_same_to_the_bit_with_and_without(level, previous):
    """A camera at three times the rate of LiDAR and depth, sensors that come and go, answers compared one by one."""
    kept, plain = (segmenter(cache=cache, fusion_level=level, previous=previous) for cache in (True, False))
    slow = {}
    for step in range(7):
        stamp_ns = 10**9 + step * 33_000_000
        if step % 3 == 0:
            slow = {modality: frame(modality, stamp_ns) for modality in (D, L)}
        frames = [frame(R, stamp_ns), *(one for one in slow.values() if (step, one.modality) != (4, L))]
        given = frame_set(*frames)
        found, expected = kept.segment(anew(given)), plain.segment(given)
        assert same(found, expected)
        assert found.used == expected.used
    assert counts(plain) == (20, 0)
    assert counts(kept) == (7 + 2 * 3, 7)


@pytest.mark.parametrize("settings", [{"norms": "per_modality"}, {"fusion": "max"}, {"selection": "soft"}])
def test_variants_are_the_same_to_the_bit_with_and_without(settings):
    kept, plain = (shaken(segmenter(cache=cache, **settings)) for cache in (True, False))
    slow = frame(L, 5)
    for stamp_ns in (5, 6, 7):
        given = frame_set(frame(R, stamp_ns), slow)
        assert same(kept.segment(anew(given)), plain.segment(given))
    assert counts(kept) == (4, 2)


def shaken(model):
    """Move every weight away from its start, so that norms of different modalities differ."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model._model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.05)
    return model


def test_a_model_without_maps_of_each_modality_runs_whole_and_keeps_nothing():
    model = segmenter(fusion="concat")
    given = frame_set(frame(R, 5), frame(L, 5))
    first = model.segment(given)
    assert same(model.segment(anew(given)), first)
    assert counts(model) == (4, 0)
    assert not model._cache._entries


def test_a_whole_set_that_comes_again_needs_no_encoding():
    model = segmenter()
    given = frame_set(*(frame(modality, 5) for modality in (R, D, E, L)))
    first = model.segment(given)
    assert same(model.segment(anew(given)), first)
    assert counts(model) == (4, 4)


def moved():
    transform = np.eye(4)
    transform[0, 3] = 1.5
    return transform


CHANGES = {
    "extrinsic": lambda given: anew(given, lidar={"to_view": moved()}),
    "stamp": lambda given: anew(given, lidar={"stamp_ns": 6, "end_ns": 5}),
    "end": lambda given: anew(given, lidar={"end_ns": 6}),
    "data": lambda given: anew(given, lidar={"data": frame(L, 5, seed=1).data}),
    "equal data": lambda given: anew(given, lidar={"data": frame(L, 5).data}),
}


@pytest.mark.parametrize("case", CHANGES)
def test_what_is_no_longer_the_same_is_encoded(case):
    model = segmenter()
    given = frame_set(frame(R, 5), frame(L, 5))
    before = model.segment(given)
    changed = CHANGES[case](given)
    found = model.segment(changed)
    assert counts(model) == (3, 1)
    assert same(found, segmenter(cache=False).segment(changed))
    assert same(found, before) == (case in ("stamp", "end", "equal data"))


@pytest.mark.parametrize(
    "camera",
    [
        view(frame_id="other"),
        replace(view(), k=np.diag([60.0, 60.0, 1.0])),
        replace(view(), distortion_model="plumb_bob", d=np.array([0.1, 0, 0, 0, 0])),
        replace(view(), p=np.hstack([view().k, np.zeros((3, 1))])),
        view(HEIGHT * 2, WIDTH * 2),
    ],
    ids=["frame", "k", "d", "p", "size"],
)
def test_another_view_is_drawn_anew(camera):
    model = segmenter()
    given = frame_set(frame(R, 5), frame(L, 5))
    model.segment(given)
    changed = anew(given, view=camera)
    assert same(model.segment(changed), segmenter(cache=False).segment(changed))
    assert model.encoded == 4


def test_depth_drawn_with_the_view_follows_it():
    settings = PreprocessConfig(short_side_px=64, depth_encoding="hha")
    model, plain = (segmenter(cache=cache, preprocess=settings) for cache in (True, False))
    given = frame_set(frame(R, 5), frame(D, 5))
    before = model.segment(given)
    changed = anew(given, view=replace(view(), k=view().k * [[3], [3], [1]]))
    found = model.segment(changed)
    assert same(found, plain.segment(changed))
    assert not same(found, before)


def test_calibration_changed_in_place_is_seen():
    model = segmenter()
    given = frame_set(frame(R, 5), frame(L, 5))
    model.segment(given)
    given.frames[L].to_view[0, 3] = 1.5
    assert same(model.segment(given), segmenter(cache=False).segment(given))
    given.view.k[0, 0] = 60
    assert same(model.segment(given), segmenter(cache=False).segment(given))


def test_another_model_input_size_is_encoded():
    model = segmenter()
    lidar = frame(L, 5)
    model.segment(frame_set(frame(R, 5), lidar))
    tall = replace(frame(R, 6), data=np.zeros((96, 64, 3), np.uint8))
    changed = FrameSet(R, {R: tall, L: lidar}, view=view())
    assert same(model.segment(changed), segmenter(cache=False).segment(changed))
    assert counts(model) == (4, 0)


def test_only_the_newest_of_each_modality_is_kept():
    model = segmenter()
    old, new = frame_set(frame(R, 5)), frame_set(frame(R, 6))
    for given in (old, new, old, old):
        assert same(model.segment(given), segmenter(cache=False).segment(given))
    assert counts(model) == (3, 1)
    assert len(model._cache._entries) == 1


def test_identity_is_not_mistaken_after_the_data_is_gone():
    """Memory of freed arrays is used again at once; the cache must not take the next array for the last."""
    model, plain = segmenter(), segmenter(cache=False)
    for seed in range(4):
        given = frame_set(frame(R, 5, seed))
        assert same(model.segment(given), plain.segment(given))
    assert counts(model) == (4, 0)


def test_reset_and_warm_up_leave_nothing():
    model = segmenter()
    given = frame_set(frame(R, 5), frame(D, 5))
    before = model.segment(given)
    model.reset()
    assert same(model.segment(given), before)
    assert counts(model) == (4, 0)
    model.warm_up(HEIGHT, WIDTH)
    assert not model._cache._entries


def test_a_refused_set_is_not_remembered():
    model = segmenter()
    good, bad = frame(R, 5), replace(frame(D, 5), data=np.zeros((HEIGHT, WIDTH), np.int32))
    with pytest.raises(FrameError, match="found int32"):
        model.segment(frame_set(good, bad))
    assert not model._cache._entries
    model.segment(frame_set(good))
    with pytest.raises(FrameError, match="found int32"):
        model.segment(frame_set(good, bad))
    assert same(model.segment(frame_set(good)), segmenter().segment(frame_set(good)))


def test_only_unknown_sensors_are_named_even_when_others_are_known():
    model = segmenter(modalities=["rgb", "lidar"])
    model.segment(frame_set(frame(R, 5), frame(D, 5), frame(L, 5)))
    assert counts(model) == (2, 0)
    with pytest.raises(FrameError, match=r"expected at least one of 'rgb\+lidar'"):
        model.segment(frame_set(frame(D, 5), anchor=D))
    # An anchor that the model does not know, with all else known.
    again = FrameSet(
        D, {D: frame(D, 6), **{key: entry.frame for key, entry in model._cache._entries.items()}}, {}, view()
    )
    assert model.segment(again).used == (R, L)
    assert counts(model) == (2, 2)
