# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Films for the study: frames as a robot would have them, accuracy and flicker by hand."""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from any2seg_core.config import ModelConfig, PreprocessConfig
from any2seg_core.frames import DELIVER_CLASSES, Modality
from any2seg_core.metrics import AbsentClasses
from any2seg_core.model import build_model, save_checkpoint
from any2seg_core.model.checkpoint import CheckpointInfo
from any2seg_sim.dataset.layout import split_of
from any2seg_sim.settings import DriveSettings

TRAINING = Path(__file__).resolve().parents[2] / "training"
FILM = DriveSettings(seed=4, width=48, height=32, duration_s=0.4, lidar_rings=16, lidar_columns=256, subframes=4)


@pytest.fixture(scope="module")
def sequences():
    spec = importlib.util.spec_from_file_location("study_sequences", TRAINING / "study_sequences.py")
    module = sys.modules["study_sequences"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["study_sequences"]


@pytest.fixture(scope="module")
def shots(sequences):
    return sequences.film(FILM)


def test_each_image_comes_with_all_sensors_at_its_moment(shots):
    assert len(shots) == 4
    for shot in shots:
        frames, now = shot.frames.frames, shot.frames.frames[Modality.RGB].stamp_ns
        assert shot.truth.shape == (32, 48)
        assert frames[Modality.DEPTH].stamp_ns == now
        assert frames[Modality.LIDAR].end_ns == now
        assert frames[Modality.LIDAR].to_view.shape == (4, 4)
    stamps = [shot.frames.frames[Modality.RGB].stamp_ns for shot in shots]
    assert np.diff(stamps).tolist() == [100_000_000] * 3


def test_events_are_of_one_whole_window_across_packets(shots):
    """A packet lasts 25 ms here, a window 50 ms."""
    for shot in shots[1:]:
        now, t_ns = shot.frames.frames[Modality.RGB].stamp_ns, shot.frames.frames[Modality.EVENT].data.t_ns
        assert now - 50_000_000 < t_ns.min() < now - 25_000_000 < t_ns.max() <= now


class Parrot:
    """Says what it is told to, and notes what it was shown."""

    def __init__(self, answers):
        self.classes, self.answers, self.shown, self.resets = DELIVER_CLASSES, iter(answers), [], 0

    def reset(self):
        self.resets += 1

    def segment(self, frames):
        self.shown.append(frames)
        return SimpleNamespace(labels=next(self.answers))


def test_the_truth_neither_errs_nor_flickers(sequences, shots):
    parrot = Parrot([shot.truth for shot in shots] * 2)
    seen = sequences.watch(parrot, [shots, shots], sequences.GIVEN["camera lost"])
    assert seen.matrix.miou(AbsentClasses.PRESENT) == 1.0
    assert (seen.changed, parrot.resets) == (0, 2)
    assert {frames.anchor for frames in parrot.shown} == {Modality.DEPTH}
    assert all(Modality.RGB not in frames.frames for frames in parrot.shown)
    assert parrot.shown[0].output_size == (32, 48)


def test_flicker_is_counted_where_the_true_class_stays(sequences, shots):
    truths = [np.array([[1, 1, 2, 2]]), np.array([[1, 1, 2, 3]]), np.array([[1, 1, 2, 3]])]
    answers = [np.array([[1, 0, 2, 2]]), np.array([[1, 1, 0, 3]]), np.array([[1, 1, 2, 0]])]
    film = [sequences.Shot(shots[0].frames, truth.astype(np.uint8)) for truth in truths]
    seen = sequences.watch(Parrot(answer.astype(np.uint8) for answer in answers), [film], sequences.ALL)
    assert (seen.changed, seen.still) == (2 + 2, 3 + 4)
    assert 100 * np.trace(seen.matrix.counts) / seen.matrix.counts.sum() == pytest.approx(100 * 9 / 12)


def test_only_the_model_that_remembers_is_given_a_memory(sequences, tmp_path):
    torch.manual_seed(0)
    config = ModelConfig(embed_dim=16, previous="carry")
    info = CheckpointInfo("tiny", config, PreprocessConfig(short_side_px=32), DELIVER_CLASSES)
    save_checkpoint(tmp_path / "best", build_model(config, 25), info)
    rows = sequences.sequence_rows({"one": [tmp_path / "best"], "two": [tmp_path / "best"] * 2}, [FILM])
    assert [row[:2] for row in rows] == [(name, meaning) for name in ("one", "two") for meaning in ("mean", "temporal")]
    assert rows[2][2] == f"{rows[0][2]} ± 0.00"
    meanings = dict(sequences.variants(tmp_path / "best"))
    shot = sequences.film(FILM)[-1]
    for segmenter in meanings.values():
        segmenter.segment(shot.frames)
    assert meanings["mean"]._memory._maps is None
    assert meanings["temporal"]._memory._maps is not None


def test_the_streets_are_held_out(sequences):
    assert {split_of(drive.seed) for drive in sequences.DRIVES} == {"test"}
    assert len({drive.weather for drive in sequences.DRIVES}) == 5
