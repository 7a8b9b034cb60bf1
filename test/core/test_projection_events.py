# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Event images against slow references and hand-computed pixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from any2seg_core.errors import ConfigError, FrameError
from any2seg_core.frames import Events
from any2seg_core.projection.events import event_stack

WIDTH, HEIGHT = 6, 4
quick = settings(max_examples=30, deadline=None)


def events(rows, width=WIDTH, height=HEIGHT):
    """Rows of x, y, polarity, t_ns."""
    columns = np.array(rows, np.int64).reshape(-1, 4).T
    x, y = columns[0].astype(np.uint16), columns[1].astype(np.uint16)
    return Events(x, y, columns[2].astype(np.uint8), columns[3], width, height)


def burst(seed, count=200, span=1000):
    random = np.random.default_rng(seed)
    limits = [(0, WIDTH), (0, HEIGHT), (0, 2)]
    rows = [random.integers(low, high, count) for low, high in limits]
    return events(np.column_stack([*rows, np.sort(random.integers(-span // 4, span + span // 4, count))]))


def histogram(part, start, end, max_count):
    image = np.zeros((HEIGHT, WIDTH, 3))
    for x, y, polarity, t in zip(part.x, part.y, part.polarity, part.t_ns, strict=True):
        if start < t <= end:
            image[y, x, 0 if polarity else 1] += 1
            image[y, x, 2] = (t - start) / (end - start)
    image[..., :2] = np.minimum(image[..., :2], max_count) / max_count
    return image


def polarity_image(part, start, end, max_count):
    image = np.zeros((HEIGHT, WIDTH, 3))
    for x, y, polarity, t in zip(part.x, part.y, part.polarity, part.t_ns, strict=True):
        if start < t <= end:
            image[y, x] = [0, 0, 1] if polarity else [1, 0, 0]
    return image


def voxel(part, start, end, max_count):
    image = np.zeros((HEIGHT, WIDTH, 3))
    for x, y, polarity, t in zip(part.x, part.y, part.polarity, part.t_ns, strict=True):
        if start < t <= end:
            for channel in range(3):
                weight = max(0.0, 1.0 - abs(2 * (t - start) / (end - start) - channel))
                image[y, x, channel] += weight if polarity else -weight
    return np.clip(image / max_count, -1, 1)


REFERENCES = {"histogram": histogram, "polarity": polarity_image, "voxel": voxel}


@quick
@given(st.sampled_from(sorted(REFERENCES)), st.integers(0, 10_000), st.integers(1, 8))
def test_the_same_as_the_slow_reference(representation, seed, max_count):
    part = burst(seed)
    image = event_stack(part, representation=representation, start_ns=0, end_ns=1000, max_count=max_count)
    expected = REFERENCES[representation](part, 0, 1000, max_count)
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, expected, atol=1e-5)
    assert image.min() >= (-1 if representation == "voxel" else 0)
    assert image.max() <= 1


@quick
@given(st.sampled_from(sorted(REFERENCES)), st.integers(0, 10_000), st.integers(-(2**61), 2**61))
def test_only_time_within_the_window_matters(representation, seed, shift):
    """Epoch nanoseconds do not fit in a float: shifting the clock must change nothing."""
    part = burst(seed)
    moved = Events(part.x, part.y, part.polarity, part.t_ns + shift, WIDTH, HEIGHT)
    image = event_stack(part, representation=representation, start_ns=0, end_ns=1000)
    again = event_stack(moved, representation=representation, start_ns=shift, end_ns=shift + 1000)
    assert np.array_equal(image, again)


PIXEL = [(2, 1, 1, 250), (2, 1, 1, 500), (2, 1, 0, 750)]


def test_histogram_by_hand():
    image = event_stack(events(PIXEL), start_ns=0, end_ns=1000, max_count=4)
    assert image[1, 2].tolist() == [0.5, 0.25, 0.75]
    assert np.count_nonzero(image) == 3


def test_polarity_by_hand():
    """Blue, the last channel of RGB, is positive; the last event of a pixel decides."""
    image = event_stack(
        events([*PIXEL, (0, 3, 0, 800), (0, 3, 1, 900)]), representation="polarity", start_ns=0, end_ns=1000
    )
    assert image[1, 2].tolist() == [1, 0, 0]
    assert image[3, 0].tolist() == [0, 0, 1]
    assert image.sum() == 2


def test_voxel_by_hand():
    # 250 of 1000 lies halfway between the first two bins, 500 on the second, 750 between the last two.
    image = event_stack(events(PIXEL), representation="voxel", start_ns=0, end_ns=1000, max_count=2)
    assert image[1, 2].tolist() == [0.25, 0.5, -0.25]


def test_counts_are_clipped():
    image = event_stack(events([(0, 0, 1, 5)] * 9), start_ns=0, end_ns=10, max_count=3)
    assert image[0, 0].tolist() == [1, 0, 0.5]


@pytest.mark.parametrize("representation", sorted(REFERENCES))
def test_the_window_holds_its_end_and_not_its_start(representation):
    rows = [(0, 0, 1, 100), (1, 0, 1, 101), (2, 0, 1, 200), (3, 0, 1, 201)]
    image = event_stack(events(rows), representation=representation, start_ns=100, end_ns=200)
    assert np.abs(image[0]).sum(axis=1).astype(bool).tolist() == [False, True, True, False, False, False]


@pytest.mark.parametrize("representation", sorted(REFERENCES))
@pytest.mark.parametrize("window", [(0, 0), (5000, 6000), (100, 100)])
def test_an_empty_window_is_all_zero(representation, window):
    start, end = window
    for part in (events([]), events([(0, 0, 1, 100)])):
        image = event_stack(part, representation=representation, start_ns=start, end_ns=end)
        assert image.shape == (HEIGHT, WIDTH, 3)
        assert not image.any()


def test_read_only_columns():
    part = burst(1)
    frozen = burst(1)
    for column in (frozen.x, frozen.y, frozen.polarity, frozen.t_ns):
        column.flags.writeable = False
    windows = [event_stack(each, start_ns=0, end_ns=1000) for each in (part, frozen)]
    assert np.array_equal(*windows)


def test_bad_arguments_are_named():
    with pytest.raises(ConfigError, match=r"found representation 'surface' .* one of histogram, polarity, voxel"):
        event_stack(events(PIXEL), representation="surface", start_ns=0, end_ns=1)
    with pytest.raises(ConfigError, match=r"max_count 0, expected .* at least 1"):
        event_stack(events(PIXEL), start_ns=0, end_ns=1, max_count=0)
    with pytest.raises(FrameError, match="found a window from 5 to 4 ns, expected start before end"):
        event_stack(events(PIXEL), start_ns=5, end_ns=4)


def test_events_off_the_sensor_are_refused_and_not_written():
    rows = [(WIDTH, 0, 1, 5), (0, HEIGHT, 1, 6), (0, 0, 1, 7)]
    with pytest.raises(FrameError, match="found 2 of 3 events outside the 6x4 sensor"):
        event_stack(events(rows), start_ns=0, end_ns=10)
