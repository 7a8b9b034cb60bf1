# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Out of memory: a real Segmenter whose encoder raises what torch raises, from a size on."""

import numpy as np
import pytest
import torch
from torch import nn

from any2seg_core.config import InferenceConfig, ModelConfig, PreprocessConfig
from any2seg_core.errors import CheckpointError, ConfigError
from any2seg_core.frames import ClassTable, FrameSet, Modality, SensorFrame
from any2seg_core.inference import EnduringSegmenter, Segmenter
from any2seg_core.model import CheckpointInfo, build_model, load_checkpoint, save_checkpoint

R = Modality.RGB
CLASSES = ClassTable(("road", "sky"), np.arange(6, dtype=np.uint8).reshape(2, 3))
HEIGHT, WIDTH = 48, 64
ERRORS = {
    "cuda": torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    "cpu": RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"),
    "python": MemoryError(),
}


class FullAbove(nn.Module):
    """An encoder that has no memory for images of more than so many rows."""

    def __init__(self, encoder, rows, error):
        super().__init__()
        self.encoder, self.rows, self.error, self.failures = encoder, rows, error, 0

    def forward(self, pixels, slots):
        if pixels.shape[-2] > self.rows:
            self.failures += 1
            raise self.error
        return self.encoder(pixels, slots)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("checkpoint") / "little", "little")


def saved(folder, name):
    config = ModelConfig(modalities=["rgb"], embed_dim=16)
    torch.manual_seed(0)
    info = CheckpointInfo(name, config, PreprocessConfig(short_side_px=256), CLASSES)
    save_checkpoint(folder, build_model(config, len(CLASSES)), info)
    return folder


@pytest.fixture(scope="module")
def loaded(checkpoint):
    """The checkpoint opened once, for opening takes longer than all else here."""
    return load_checkpoint(checkpoint)


@pytest.fixture
def opened(loaded, monkeypatch):
    """Makes an EnduringSegmenter whose network has no memory for images of more than so many rows, and its encoder."""
    network, info = loaded
    encoder = network.encoder

    def make(rows, error=ERRORS["cpu"], **settings):
        config = InferenceConfig(**{"checkpoint": "little", "device": "cpu", "min_short_side_px": 64, **settings})
        segmenter = Segmenter(network, info, device="cpu", short_side_px=config.short_side_px)
        monkeypatch.setattr("any2seg_core.inference.fallback.open_segmenter", lambda *_: segmenter)
        network.encoder = FullAbove(encoder, rows, error)
        found = EnduringSegmenter(config, [R])
        monkeypatch.undo()
        return found, network.encoder

    yield make
    network.encoder = encoder


def frames(stamp_ns=1):
    picture = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    return FrameSet(R, {R: SensorFrame(R, stamp_ns, "camera", picture)})


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_the_input_is_halved_until_memory_suffices_and_stays_there(opened, error):
    segmenter, encoder = opened(64, error)
    assert segmenter.degraded == ""
    found = segmenter.segment(frames())
    assert segmenter.preprocess.short_side_px == 64
    assert encoder.failures == 2, "256 and 128 failed"
    assert segmenter.degraded.startswith("model input lowered to 64 px on cpu: ")
    assert found.labels.shape == (HEIGHT, WIDTH)
    segmenter.segment(frames(2))
    assert encoder.failures == 2, "larger sizes are not tried again"


def test_the_answer_is_that_of_a_model_of_the_smaller_size(opened):
    found = opened(128)[0].segment(frames())
    expected = opened(128, short_side_px=128)[0].segment(frames())
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.confidence, expected.confidence)


def test_below_the_floor_the_error_says_what_to_do_and_the_next_frame_is_tried(opened):
    segmenter, encoder = opened(32)
    with pytest.raises(ConfigError, match=r"memory does not suffice .*lower short_side_px"):
        segmenter.segment(frames())
    assert segmenter.preprocess.short_side_px == 64
    encoder.rows = 64
    assert segmenter.segment(frames()).labels.shape == (HEIGHT, WIDTH)


def test_a_size_at_or_below_the_floor_is_never_raised(opened):
    segmenter, _ = opened(0, short_side_px=32)
    with pytest.raises(ConfigError):
        segmenter.segment(frames())
    assert segmenter.preprocess.short_side_px == 32


def test_the_floor_is_kept_though_halving_passes_it(opened):
    segmenter, encoder = opened(96, min_short_side_px=96)
    segmenter.segment(frames())
    assert (segmenter.preprocess.short_side_px, encoder.failures) == (96, 2)


def test_the_warm_up_finds_the_size_that_fits(opened):
    segmenter, encoder = opened(128)
    segmenter.warm_up(HEIGHT, WIDTH)
    assert (segmenter.preprocess.short_side_px, encoder.failures) == (128, 1)


def test_other_errors_give_nothing_up(opened):
    segmenter, _ = opened(32, RuntimeError("kernel launch failed"))
    with pytest.raises(Exception, match="kernel launch failed"):
        segmenter.segment(frames())
    assert (segmenter.preprocess.short_side_px, segmenter.degraded) == (256, "")


needs_no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")


@needs_no_gpu
def test_a_gpu_that_is_not_there_is_refused_unless_the_cpu_is_allowed(checkpoint):
    config = InferenceConfig(checkpoint=str(checkpoint), device="cuda:0")
    with pytest.raises(ConfigError, match="CUDA device"):
        EnduringSegmenter(config, [R])
    # fp16 is for GPUs alone, so the CPU computes in fp32.
    found = EnduringSegmenter(config.model_copy(update={"allow_cpu_fallback": True, "precision": "fp16"}), [R])
    assert found.device == "cpu"
    assert found.degraded.startswith("on the CPU in place of cuda:0: ")


def test_the_cpu_is_no_way_out_of_a_wrong_setting_or_checkpoint(checkpoint, tmp_path):
    settings = {"device": "cuda:0", "allow_cpu_fallback": True}
    with pytest.raises(ConfigError, match="expected auto, cpu"):
        EnduringSegmenter(InferenceConfig(checkpoint=str(checkpoint), **{**settings, "device": "gpu"}), [R])
    with pytest.raises(CheckpointError):
        EnduringSegmenter(InferenceConfig(checkpoint=str(tmp_path / "none"), **settings), [R])


class Elsewhere:
    """What a Segmenter on a GPU shows of its device, for machines that have none."""

    type = "cuda"

    def __str__(self):
        return "cuda:0"


def test_at_the_floor_the_same_model_goes_on_on_the_cpu_if_allowed(opened, checkpoint):
    segmenter, _ = opened(32, checkpoint=str(checkpoint), allow_cpu_fallback=True)
    expected = opened(64, short_side_px=64)[0].segment(frames())
    # A network cannot be on a GPU that is not there: only what fails there is pretended.
    segmenter._segmenter.device = Elsewhere()
    segmenter._segmenter.segment = lambda _: (_ for _ in ()).throw(MemoryError("CUDA out of memory"))
    found = segmenter.segment(frames())
    assert (segmenter.device, segmenter.preprocess.short_side_px) == ("cpu", 64)
    assert segmenter.degraded == "model input lowered to 64 px on cpu: CUDA out of memory"
    np.testing.assert_array_equal(found.labels, expected.labels)


def test_another_checkpoint_in_the_folder_is_not_taken_for_the_same_model(opened, tmp_path):
    other = saved(tmp_path / "other", "other")
    segmenter, _ = opened(32, checkpoint=str(other), allow_cpu_fallback=True)
    segmenter._segmenter.device = Elsewhere()
    segmenter._segmenter.segment = lambda _: (_ for _ in ()).throw(MemoryError())
    with pytest.raises(CheckpointError, match="holds 'other' where 'little' was"):
        segmenter.segment(frames())
