# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Two reports compared: what is noise, what is not, and what cannot be compared at all."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from any2seg_core.errors import ConfigError
from any2seg_ros.replay.show import compare as comparing
from any2seg_ros.replay.show.noise import change

V = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("replay_show_verdicts.py"))))


@pytest.fixture(scope="module")
def verdict():
    return V.realistic()


def test_a_constant_gain_is_certain_and_noise_is_not():
    rng = np.random.default_rng(0)
    before = rng.uniform(0.3, 0.6, 100)
    gained = change(before, before + 0.02 + 0.001 * rng.normal(size=100))
    assert gained.certain
    assert gained.low < 0.02 < gained.high
    assert not change(before, before + 0.05 * rng.normal(size=100)).certain
    same = change(before, before)
    assert (same.low, same.high, same.certain) == (0.0, 0.0, False)


def test_neighbours_that_resemble_each_other_make_less_certain():
    """A slow wave has the spread of its shuffled self, but far fewer independent values."""
    rng = np.random.default_rng(1)
    steps = rng.normal(size=400)
    wave = np.convolve(steps, np.ones(40) / 40, "same")
    shuffled = rng.permutation(wave)
    zeros = np.zeros(400)
    one, other = change(zeros, wave), change(zeros, shuffled)
    assert one.block > other.block
    assert one.high - one.low > 2 * (other.high - other.low)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(2)
    found = [change(np.zeros(60), rng.normal(size=60)) for _ in range(60)]
    assert 51 <= sum(one.low <= 0 <= one.high for one in found) <= 60


def test_few_pairs_are_not_judged():
    assert change(np.zeros(0), np.zeros(0)) is None
    assert change(np.zeros(9), np.ones(9)).low is None


def better_than(verdict, gain):
    bags = [V.bag(bag.name, seed=seed, better=gain) for bag, seed in zip(verdict.bags, (10, 15), strict=True)]
    return V.verdict_of(bags, better=gain, settings={**verdict.settings, "size": "640"})


def test_a_better_model_is_found_better(verdict):
    found = comparing.compare(verdict, better_than(verdict, 0.05))
    first = found.judged[0]
    assert (first.name, first.bag, first.word, first.found.pairs) == ("mIoU per frame", "all recordings", "better", 56)
    assert first.found.mean == pytest.approx(0.05, abs=0.02)
    assert [one.bag for one in found.judged[1:3]] == [bag.name for bag in verdict.bags]
    assert found.differing == [("size", "512", "640")]
    assert found.headline.startswith("Better: mIoU per frame went from")
    assert next(line for line in found.means if line.name == "mIoU").change > 0


def test_the_other_way_round_it_is_worse(verdict):
    assert comparing.compare(better_than(verdict, 0.05), verdict).judged[0].word == "worse"


def test_a_verdict_against_itself_is_the_same(verdict):
    found = comparing.compare(verdict, verdict)
    assert {one.word for one in found.judged} == {"the same"}
    assert found.classes == found.subsets == found.differing == []


def test_frames_are_matched_by_stamp_repeated_ones_in_order(verdict):
    bag = verdict.bags[0]
    twice = [*bag.frames[:3], bag.frames[2].model_copy(update={"miou": 0.9}), *bag.frames[5:]]
    new = verdict.model_copy(update={"bags": [bag.model_copy(update={"frames": twice}), verdict.bags[1]]})
    found = comparing.compare(verdict, new)
    assert found.unmatched == (2, 1)
    assert found.judged[0].found.pairs == 54


def test_without_truth_confidence_is_compared_and_not_called_better():
    old = V.without_truth()
    rows = [row.model_copy(update={"confidence": row.confidence + 0.05}) for row in old.bags[0].frames]
    found = comparing.compare(old, old.model_copy(update={"bags": [old.bags[0].model_copy(update={"frames": rows})]}))
    assert found.judged[0].name == "confidence (not accuracy)"
    assert found.judged[0].word == "changed"
    assert found.means == []


def test_other_classes_or_recordings_are_refused(verdict):
    other = verdict.model_copy(update={"model": V.model((*V.CLASSES[:-1], "Lorry"))})
    with pytest.raises(ConfigError, match="first differ in 'Truck' and 'Lorry'; expected one class table"):
        comparing.compare(verdict, other)
    fewer = verdict.model_copy(update={"bags": verdict.bags[:1]})
    with pytest.raises(ConfigError, match=r"old: none; new: drive_0413_night"):
        comparing.compare(fewer, verdict)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "found no readable file"),
        ("{", "Invalid JSON"),
        ("[]", "expected a report.json"),
        ('{"format": 2}', "format"),
    ],
)
def test_an_old_report_that_is_none_is_refused(tmp_path, text, told):
    path = tmp_path / "old.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=told):
        comparing.read_verdict(path)
