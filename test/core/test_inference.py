# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The Segmenter: frames in, labels out, and what it says when it cannot."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from any2seg_core.config import ModelConfig, PreprocessConfig
from any2seg_core.errors import Any2SegError, CheckpointError, ConfigError, FrameError
from any2seg_core.frames import Absence, CameraModel, ClassTable, Events, FrameSet, Modality, Points, SensorFrame
from any2seg_core.inference import Segmenter
from any2seg_core.model import CheckpointInfo, build_model, save_checkpoint
from any2seg_core.preprocess import Preprocessor

R, D, E, L = Modality.RGB, Modality.DEPTH, Modality.EVENT, Modality.LIDAR
CLASSES = ClassTable(("road", "sky", "car", "tree"), np.arange(12, dtype=np.uint8).reshape(4, 3))
PREPROCESS = PreprocessConfig(short_side_px=64)
HEIGHT, WIDTH = 70, 101


def segmenter(seed=0, **settings):
    return Segmenter.untrained(ModelConfig(embed_dim=16, **settings), CLASSES, PREPROCESS, seed=seed, device="cpu")


def frame(modality, stamp_ns=10**9, seed=0, size=(HEIGHT, WIDTH)):
    random = np.random.default_rng([seed, list(Modality).index(modality)])
    height, width = size
    if modality is D:
        data = random.uniform(1, 30, size).astype(np.float32)
    elif modality is E:
        x, y = random.integers(0, width, 500), random.integers(0, height, 500)
        t_ns = np.full(500, stamp_ns, np.int64)
        data = Events(x.astype(np.uint16), y.astype(np.uint16), np.ones(500, np.uint8), t_ns, width, height)
    elif modality is L:
        xyz = random.uniform((-5, -5, 2), (5, 5, 30), (500, 3)).astype(np.float32)
        data = Points(xyz, random.uniform(0, 255, 500).astype(np.float32))
    else:
        data = random.integers(0, 256, (*size, 3), dtype=np.uint8)
    return SensorFrame(modality, stamp_ns, f"{modality.value}_frame", data, to_view=np.eye(4))


def frame_set(modalities=(R, D, E, L), anchor=R, absent=None, **changes):
    height, width = changes.get("size", (HEIGHT, WIDTH))
    view = CameraModel(width, height, np.array([[80.0, 0, width / 2], [0, 80, height / 2], [0, 0, 1]]))
    return FrameSet(anchor, {m: frame(m, **changes) for m in modalities}, absent or {}, view)


@pytest.fixture(scope="module")
def shared():
    return segmenter()


def same(one, other):
    return np.array_equal(one.labels, other.labels) and np.array_equal(one.confidence, other.confidence)


def test_labels_are_the_argmax_of_upsampled_logits_and_confidence_its_softmax(shared):
    frames = frame_set()
    found = shared.segment(frames)
    stack = Preprocessor(PREPROCESS, shared.modalities)(frames)
    with torch.no_grad():
        logits = shared._model(stack.pixels, stack.present).logits
    scores = functional.interpolate(logits, (HEIGHT, WIDTH), mode="bilinear", align_corners=False)[0].softmax(0)
    np.testing.assert_allclose(found.confidence, scores.max(0).values, atol=1e-5)
    assert np.mean(found.labels == scores.argmax(0).numpy()) > 0.999  # rounding may decide a tie
    assert found.labels.dtype == np.uint8
    assert found.confidence.dtype == np.float32
    assert found.labels.shape == found.confidence.shape == (HEIGHT, WIDTH)
    assert 0.25 <= found.confidence.min() <= found.confidence.max() <= 1


@pytest.mark.parametrize("settings", [{"norms": "per_modality"}, {"fusion": "max"}, {"fusion": "concat"}])
@pytest.mark.parametrize("present", [(R, D, E, L), (D, L)])
def test_variants_answer_as_their_model_does(settings, present):
    variant = segmenter(previous="temporal", **settings)
    with torch.no_grad():
        for index, parameter in enumerate(variant._model.parameters()):
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(index)), alpha=0.05)
    frames = frame_set(present, anchor=present[0])
    stack = Preprocessor(PREPROCESS, variant.modalities)(frames)
    with torch.no_grad():
        logits = variant._model(stack.pixels, stack.present).logits
    scores = functional.interpolate(logits, (HEIGHT, WIDTH), mode="bilinear", align_corners=False)[0].softmax(0)
    found = variant.segment(frames)
    np.testing.assert_allclose(found.confidence, scores.max(0).values, atol=1e-5)
    assert found.used == present
    later = frame_set(present, anchor=present[0], stamp_ns=11 * 10**8)
    assert same(variant.segment(later), found) == (settings.get("fusion") in ("max", "concat"))  # they have no t-1


def test_header_and_bookkeeping_are_the_anchor_s(shared):
    found = shared.segment(frame_set((R, E, L), anchor=L, absent={D: Absence.STALE}, stamp_ns=7))
    assert (found.stamp_ns, found.frame_id, found.anchor) == (7, "lidar_frame", L)
    assert found.used == (R, E, L)
    assert found.absent == {D: Absence.STALE}
    assert found.classes is CLASSES
    assert found.labels.shape == (HEIGHT, WIDTH)


def test_what_is_not_known_to_the_model_is_left_out():
    small = segmenter(modalities=["lidar", "rgb"])
    assert small.modalities == (R, L)
    found = small.segment(frame_set())
    assert found.used == (R, L)
    assert same(found, small.segment(frame_set((R, L))))
    with pytest.raises(FrameError, match=r"expected at least one of 'rgb\+lidar'"):
        small.segment(frame_set((D, E), anchor=D))


@pytest.mark.parametrize("subset", [(R,), (D, L), (E,), (R, D, E)])
def test_a_subset_is_bit_for_bit_a_model_that_never_had_the_others(shared, subset):
    small = segmenter(modalities=[modality.value for modality in subset])
    frames = frame_set(subset, anchor=subset[0])
    assert same(shared.segment(frames), small.segment(frames))


def test_the_same_frames_give_the_same_labels(shared):
    assert same(shared.segment(frame_set()), shared.segment(frame_set()))
    assert same(segmenter().segment(frame_set()), shared.segment(frame_set()))
    assert not same(segmenter(seed=1).segment(frame_set()), shared.segment(frame_set()))


def test_building_leaves_the_random_sequence_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    assert segmenter().name == "untrained"
    assert torch.equal(torch.rand(1), expected)


def test_loads_a_checkpoint(tmp_path, shared):
    torch.manual_seed(0)
    model = build_model(ModelConfig(embed_dim=16), 4)
    info = CheckpointInfo("street", ModelConfig(embed_dim=16), PREPROCESS, CLASSES)
    save_checkpoint(tmp_path / "best", model.train(), info)
    loaded = Segmenter.load(tmp_path / "best", device="cpu")
    assert loaded.name == "street"
    assert loaded.classes == CLASSES
    assert loaded.device == torch.device("cpu")
    assert same(loaded.segment(frame_set()), shared.segment(frame_set()))
    smaller = Segmenter.load(tmp_path / "best", device="cpu", short_side_px=32)
    assert smaller.preprocess.short_side_px == 32
    assert not same(smaller.segment(frame_set()), loaded.segment(frame_set()))
    with pytest.raises(ConfigError, match="short_side_px: found 50"):
        Segmenter.load(tmp_path / "best", device="cpu", short_side_px=50)


def test_warm_up_takes_every_modality_and_leaves_no_trace():
    temporal, mean = segmenter(previous="temporal"), segmenter()
    temporal.warm_up(HEIGHT, WIDTH)
    assert same(temporal.segment(frame_set(stamp_ns=1)), mean.segment(frame_set(stamp_ns=1)))
    for modalities in ([modality.value for modality in Modality], ["lidar"], ["dolp"]):
        segmenter(modalities=modalities).warm_up(HEIGHT, WIDTH)


def test_images_are_encoded_one_by_one_on_the_cpu(shared, monkeypatch):
    encode, seen = shared._model.encode, []
    monkeypatch.setattr(
        shared._model, "encode", lambda pixels, slots: (seen.append(slots.tolist()), encode(pixels, slots))[1]
    )
    shared.segment(frame_set((R, E, L)))
    assert seen == [[0], [2], [3]]


SECOND = 10**9


def test_temporal_model_remembers_the_frame_before():
    temporal, mean = segmenter(previous="temporal"), segmenter()
    first = temporal.segment(frame_set(stamp_ns=SECOND))
    assert same(first, mean.segment(frame_set(stamp_ns=SECOND)))
    next_set = frame_set(stamp_ns=SECOND + 10**8, seed=1)
    fresh = mean.segment(next_set)
    assert not same(temporal.segment(next_set), fresh)
    temporal.reset()
    assert same(temporal.segment(next_set), fresh)


@pytest.mark.parametrize(
    "change",
    [
        {"stamp_ns": SECOND - 1},
        {"stamp_ns": SECOND},
        {"stamp_ns": 2 * SECOND + 1},
        {"stamp_ns": SECOND + 1, "size": (HEIGHT, 200)},
        {"stamp_ns": SECOND + 1, "modalities": (R, D, E)},
        {"stamp_ns": SECOND + 1, "anchor": D},
    ],
    ids=["back", "still", "gap", "size", "modalities", "anchor"],
)
def test_temporal_model_forgets(change):
    temporal, mean = segmenter(previous="temporal"), segmenter()
    temporal.segment(frame_set(stamp_ns=SECOND, seed=1))
    changed = frame_set(**change)
    assert same(temporal.segment(changed), mean.segment(changed))


@pytest.mark.parametrize("previous", ["mean", "carry"])
def test_other_models_remember_nothing(previous):
    model = segmenter(previous=previous)
    model.segment(frame_set(stamp_ns=SECOND, seed=1))
    after = frame_set(stamp_ns=SECOND + 1)
    assert same(model.segment(after), segmenter().segment(after))
    assert model._memory._maps is None


def test_broken_weights_are_not_taken_for_an_answer():
    broken = segmenter(previous="temporal")
    with torch.no_grad():
        broken._model.head.classifier.bias[1] = float("nan")
    with pytest.raises(CheckpointError, match="model 'untrained' gave logits that are not finite on rgb, depth"):
        broken.segment(frame_set((R, D)))
    assert broken._memory._maps is None


def test_broken_pixels_are_the_sensor_s_fault(shared, monkeypatch):
    prepare = shared._prepare

    def spoil(frames):
        stack = prepare(frames)
        stack.pixels[0, 0, 0, 0, 0] = float("inf")
        return stack

    monkeypatch.setattr(shared, "_prepare", spoil)
    with pytest.raises(FrameError, match="found pixels that are not finite in rgb, expected numbers; check the sensor"):
        shared.segment(frame_set((R,)))


@pytest.mark.parametrize(
    ("error", "ours", "message"),
    [
        (
            torch.cuda.OutOfMemoryError("CUDA out of memory."),
            ConfigError,
            "memory does not suffice .* lower short_side",
        ),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), ConfigError, "memory does not suffice"),
        (MemoryError(), ConfigError, "memory does not suffice"),
        (RuntimeError("CUDA error: device-side assert"), Any2SegError, r"torch failed \(CUDA error: device-side"),
    ],
)
def test_errors_of_torch_become_ours(shared, monkeypatch, error, ours, message):
    def fail(pixels, slots):
        raise error

    monkeypatch.setattr(shared._model, "encode", fail)
    with pytest.raises(ours, match=message) as caught:
        shared.segment(frame_set())
    assert caught.value.__cause__ is error


def test_devices(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    def on(device):
        return Segmenter.untrained(ModelConfig(embed_dim=16), CLASSES, PREPROCESS, device=device)

    assert on("auto").device.type == "cpu"
    for name in ("cuda", "cuda:0"):
        with pytest.raises(ConfigError, match=f"found '{name}' but torch sees 0 CUDA device"):
            on(name)
    for name in ("gpu", "meta", "cuda:x"):
        with pytest.raises(ConfigError, match=f"device: found '{name}', expected auto, cpu, cuda or cuda:N"):
            on(name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ConfigError, match="found 'cuda:2' but torch sees 2 CUDA device"):
        on("cuda:2")


def test_threads_are_set_only_when_asked():
    code = """
import torch
before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
from any2seg_core.config import ModelConfig, PreprocessConfig
from any2seg_core.frames import DELIVER_CLASSES
from any2seg_core.inference import Segmenter
Segmenter.untrained(ModelConfig(), DELIVER_CLASSES, PreprocessConfig(), threads=0)
assert before == (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled())
Segmenter.untrained(ModelConfig(), DELIVER_CLASSES, PreprocessConfig(), threads=3)
assert torch.get_num_threads() == 3
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).resolve().parents[2])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_agrees_with_cpu(shared):
    gpu = Segmenter.untrained(ModelConfig(embed_dim=16), CLASSES, PREPROCESS, device="cuda")
    found, expected = gpu.segment(frame_set()), shared.segment(frame_set())
    np.testing.assert_allclose(found.confidence, expected.confidence, atol=1e-2)
    assert np.mean(found.labels == expected.labels) > 0.95
