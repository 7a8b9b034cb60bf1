# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Frame sets to model input: sizes, hand-computed pixels, absent slots, and independence of the modalities."""

import itertools
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from any2seg_core.config import PreprocessConfig
from any2seg_core.errors import CalibrationError, FrameError
from any2seg_core.frames import Absence, CameraModel, Events, FrameSet, Modality, Points, SensorFrame
from any2seg_core.preprocess import Preprocessor, input_size, resize_picture
from any2seg_core.projection.camera import scaled
from any2seg_core.projection.depth import depth_image
from any2seg_core.projection.events import event_stack
from any2seg_core.projection.lidar import lidar_image

RGB, DEPTH, EVENT, LIDAR = Modality.RGB, Modality.DEPTH, Modality.EVENT, Modality.LIDAR
FOUR = (RGB, DEPTH, EVENT, LIDAR)
CONFIG = PreprocessConfig(short_side_px=32)
VIEW = CameraModel(80, 60, np.array([[50.0, 0, 39.5], [0, 50.0, 29.5], [0, 0, 1]]))
TO_VIEW = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
STAMP = 1_700_000_000_000_000_000
# 60 x 80 with a short side of 32 is 32 x round(42.67) = 43, rounded up to 64.
SIZE = (32, 64)


def frame(modality, data, **fields):
    return SensorFrame(modality, STAMP, f"{modality.value}_frame", data, **fields)


def frames():
    random = np.random.default_rng(0)
    depth = random.uniform(0.3, 60, (48, 64)).astype(np.float32)
    depth[random.random(depth.shape) < 0.2] = np.nan
    count = 500
    events = Events(
        random.integers(0, 40, count).astype(np.uint16),
        random.integers(0, 30, count).astype(np.uint16),
        random.integers(0, 2, count).astype(np.uint8),
        np.sort(STAMP - random.integers(-10_000_000, 90_000_000, count)),
        40,
        30,
    )
    xyz = random.uniform([1, -15, -3], [40, 15, 5], (800, 3)).astype(np.float32)
    points = Points(xyz, random.uniform(0, 255, 800).astype(np.float32))
    return {
        RGB: frame(RGB, random.integers(0, 256, (60, 80, 3), np.uint8)),
        DEPTH: frame(DEPTH, depth),
        EVENT: frame(EVENT, events),
        LIDAR: frame(LIDAR, points, to_view=TO_VIEW),
    }


def frame_set(modalities=FOUR, *, view=VIEW):
    everything = frames()
    return FrameSet(modalities[0], {modality: everything[modality] for modality in modalities}, {}, view)


@pytest.mark.parametrize(
    ("output", "short_side", "expected"),
    [
        ((1042, 1042), 1024, (1024, 1024)),
        ((480, 640), 512, (512, 704)),  # 682.67 -> 683 -> 704
        ((640, 480), 512, (704, 512)),
        ((1024, 1224), 1024, (1024, 1248)),
        ((1200, 1920), 512, (512, 832)),  # 819.2 -> 819 -> 832
        ((32, 32), 32, (32, 32)),
        ((1, 3), 64, (64, 192)),
    ],
)
def test_input_sizes_by_hand(output, short_side, expected):
    assert input_size(output, short_side) == expected


@settings(deadline=None)
@given(st.integers(1, 4000), st.integers(1, 4000), st.integers(1, 40))
def test_input_sizes_keep_the_rule(height, width, thirty_twos):
    assume(max(height, width) <= 8 * min(height, width))
    short_side = 32 * thirty_twos
    found = input_size((height, width), short_side)
    assert min(found) == short_side
    for side, original in zip(found, (height, width), strict=True):
        assert side % 32 == 0
        assert -1 < side - original * short_side / min(height, width) < 33


def test_an_empty_image_has_no_size():
    with pytest.raises(FrameError, match="found an image of 5x0, expected a positive size"):
        input_size((0, 5), 32)


@pytest.mark.parametrize(("height", "width"), [(1, 9), (9, 1), (100, 801), (4097, 8192)])
def test_a_size_that_no_camera_has_is_refused_before_anything_is_made_of_it(height, width):
    """At 512 pixels, 9 KB of an image 3000 pixels wide and one high would become gigabytes of model input."""
    with pytest.raises(FrameError, match=f"found an image of {width}x{height}, expected at most 33554432 pixels"):
        input_size((height, width), 512)
    with pytest.raises(FrameError, match=f"rgb frame: found an image of {width}x{height}"):
        frame(RGB, np.broadcast_to(np.zeros(3, np.uint8), (height, width, 3)))
    two = np.zeros(2, np.uint16)
    with pytest.raises(FrameError, match=f"event frame: found an image of {width}x{height}"):
        frame(EVENT, Events(two, two, two.astype(np.uint8), np.arange(2), width, height))


@pytest.mark.parametrize(("height", "width"), [(1, 8), (8, 1), (100, 800), (4096, 8192)])
def test_the_largest_and_thinnest_images_may_be(height, width):
    assert min(input_size((height, width), 64)) == 64
    assert frame(RGB, np.broadcast_to(np.zeros(3, np.uint8), (height, width, 3))).size == (height, width)


def test_a_full_stack():
    stack = Preprocessor(CONFIG, FOUR)(frame_set())
    assert stack.pixels.shape == (1, 4, 3, *SIZE)
    assert stack.pixels.dtype == torch.float32
    assert stack.present.dtype == torch.bool
    assert stack.present.tolist() == [[True] * 4]
    assert stack.modalities == FOUR
    assert stack.output_size == (60, 80)
    assert torch.isfinite(stack.pixels).all()
    assert stack.pixels[:, 1:].min() >= 0
    assert stack.pixels[:, 1:].max() <= 1
    assert (stack.pixels.abs().amax(dim=(0, 2, 3, 4)) > 0).all()


def test_the_anchor_decides_the_size():
    """An event camera of 30 x 40 gives labels of 30 x 40; points alone give labels of the view's size."""
    stack = Preprocessor(CONFIG, FOUR)(frame_set((EVENT, RGB)))
    assert stack.output_size == (30, 40)
    assert stack.pixels.shape[-2:] == (32, 64)
    stack = Preprocessor(CONFIG, FOUR)(frame_set((LIDAR,)))
    assert stack.output_size == (60, 80)
    assert stack.present.tolist() == [[False, False, False, True]]


SUBSETS = [part for count in (1, 2, 3, 4) for part in itertools.combinations(FOUR, count)]


@pytest.mark.parametrize("modalities", SUBSETS)
def test_what_is_present_does_not_depend_on_the_rest(modalities):
    """Bit for bit, whoever is the anchor (all images here are 3 : 4); a slot without a frame is zero and marked."""
    preprocessor = Preprocessor(CONFIG, FOUR)
    whole = preprocessor(frame_set()).pixels[0]
    stack = preprocessor(frame_set(modalities))
    assert stack.present.tolist() == [[each in modalities for each in FOUR]]
    for slot, each in enumerate(FOUR):
        expected = whole[slot] if each in modalities else torch.zeros(3, *SIZE)
        assert torch.equal(stack.pixels[0, slot], expected)


def test_slots_follow_the_models_order():
    preprocessor = Preprocessor(CONFIG, (LIDAR, RGB))
    stack = preprocessor(frame_set())
    whole = Preprocessor(CONFIG, FOUR)(frame_set())
    assert stack.modalities == (LIDAR, RGB)
    assert torch.equal(stack.pixels[0], whole.pixels[0, [3, 0]])


def test_what_the_model_does_not_know_is_left_out():
    preprocessor = Preprocessor(CONFIG, (DEPTH, Modality.NIR))
    stack = preprocessor(frame_set((RGB, DEPTH)))
    assert stack.present.tolist() == [[True, False]]
    assert stack.output_size == (60, 80)
    with pytest.raises(FrameError, match=r"found frames of 'rgb\+event', expected at least one of 'depth\+nir'"):
        preprocessor(frame_set((RGB, EVENT)))


def test_reasons_of_absence_do_not_matter():
    preprocessor = Preprocessor(CONFIG, FOUR)
    some = frame_set((RGB, LIDAR))
    told = replace(some, absent={DEPTH: Absence.LATE, EVENT: Absence.REJECTED})
    assert torch.equal(preprocessor(some).pixels, preprocessor(told).pixels)


def test_rgb_by_hand():
    image = np.zeros((32, 32, 3), np.uint8)
    image[3, 5] = [255, 102, 51]
    pixels = Preprocessor(CONFIG, FOUR).prepare(frame(RGB, image), (32, 32))
    expected = [(1 - 0.485) / 0.229, (0.4 - 0.456) / 0.224, (0.2 - 0.406) / 0.225]
    np.testing.assert_allclose(pixels[:, 3, 5], expected, rtol=1e-5)
    np.testing.assert_allclose(pixels[:, 0, 0], [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225], rtol=1e-5)
    assert pixels.dtype == np.float32
    assert pixels.flags.c_contiguous


def test_rgb_is_averaged_when_it_shrinks_and_interpolated_when_it_grows():
    image = np.random.default_rng(0).integers(0, 256, (128, 64, 3), np.uint8)
    blocks = image.reshape(32, 4, 16, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(resize_picture(image, (32, 16), smooth=True), blocks, atol=0.51)
    step = np.zeros((2, 2, 3), np.uint8)
    step[:, 1] = 200
    assert resize_picture(step, (2, 4), smooth=True)[0, :, 0].tolist() == [0, 50, 150, 200]
    assert resize_picture(step, (2, 4), smooth=False)[0, :, 0].tolist() == [0, 0, 200, 200]
    assert resize_picture(step, (2, 2), smooth=True) is step


def test_any_memory_layout_of_a_picture():
    image = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    preprocessor = Preprocessor(CONFIG, FOUR)
    for size in ((32, 32), (48, 48)):
        plain = preprocessor.prepare(frame(RGB, image[::-1, :, ::-1].copy()), size)
        view = image[::-1, :, ::-1]
        view.flags.writeable = False
        assert np.array_equal(preprocessor.prepare(frame(RGB, view), size), plain)


@pytest.mark.parametrize("modality", [DEPTH, EVENT, LIDAR, Modality.NIR, Modality.AOLP, Modality.DOLP])
def test_drawn_pictures_of_any_modality_are_only_scaled(modality):
    """Recorded data sets and renderers hold pictures; only RGB has a mean taken off."""
    image = np.random.default_rng(1).integers(0, 256, (32, 64, 3), np.uint8)
    pixels = Preprocessor(CONFIG, tuple(Modality)).prepare(frame(modality, image), SIZE)
    np.testing.assert_allclose(pixels, image.transpose(2, 0, 1) / 255, rtol=1e-6)
    shrunk = Preprocessor(CONFIG, tuple(Modality)).prepare(frame(modality, image), (16, 32)) * 255
    smooth = modality in (Modality.NIR, Modality.DOLP)
    expected = cv2.resize(image, (32, 16), interpolation=cv2.INTER_AREA) if smooth else image[1::2, 1::2]
    np.testing.assert_allclose(shrunk, expected.transpose(2, 0, 1), atol=1e-3)


@pytest.mark.parametrize("encoding", ["inverse", "log", "hha"])
def test_depth_is_resized_before_it_is_drawn(encoding):
    config = CONFIG.model_copy(update={"depth_encoding": encoding, "depth_min_m": 1.0, "depth_max_m": 40.0})
    depth = frames()[DEPTH].data
    pixels = Preprocessor(config, FOUR).prepare(frame(DEPTH, depth), (24, 32), VIEW)
    expected = depth_image(
        depth[1::2, 1::2], encoding=encoding, min_depth_m=1.0, max_depth_m=40.0, camera=scaled(VIEW, 32, 24)
    )
    assert np.array_equal(pixels, expected.transpose(2, 0, 1))
    assert not pixels[:, ~np.isfinite(depth[1::2, 1::2])].any()


@pytest.mark.parametrize("representation", ["histogram", "polarity", "voxel"])
def test_events_are_those_of_the_window_before_the_frames_end(representation):
    config = CONFIG.model_copy(
        update={"event_representation": representation, "event_max_count": 2, "event_window_s": 0.03}
    )
    events = frames()[EVENT].data
    end = STAMP - 7_000_000
    pixels = Preprocessor(config, FOUR).prepare(frame(EVENT, events, end_ns=end), (60, 80))
    drawn = event_stack(events, representation=representation, start_ns=end - 30_000_000, end_ns=end, max_count=2)
    assert drawn.any()
    assert np.array_equal(pixels, np.repeat(np.repeat(drawn, 2, axis=0), 2, axis=1).transpose(2, 0, 1))


def test_no_events_are_present_all_the_same():
    nothing = Events(*(np.zeros(0, kind) for kind in (np.uint16, np.uint16, np.uint8, np.int64)), 40, 30)
    stack = Preprocessor(CONFIG, FOUR)(FrameSet(EVENT, {EVENT: frame(EVENT, nothing)}))
    assert stack.present.tolist() == [[False, False, True, False]]
    assert not stack.pixels.any()


@pytest.mark.parametrize("encoding", ["inverse", "log"])
def test_points_are_drawn_at_the_size_of_the_input(encoding):
    """Not drawn at the camera's size and resized, which would lose points."""
    constants = {
        "encoding": encoding,
        "min_range_m": 2.0,
        "max_range_m": 30.0,
        "height_min_m": -1.0,
        "height_max_m": 2.0,
        "intensity_scale": 50.0,
        "splat_px": 2,
    }
    config = CONFIG.model_copy(update={f"lidar_{name}": value for name, value in constants.items()})
    cloud = frames()[LIDAR]
    pixels = Preprocessor(config, FOUR).prepare(cloud, SIZE, VIEW)
    expected = lidar_image(cloud.data, TO_VIEW, scaled(VIEW, 64, 32), **constants)
    assert np.count_nonzero(expected[..., 0]) > 100
    assert np.array_equal(pixels, expected.transpose(2, 0, 1))


def test_a_point_falls_on_what_the_camera_sees():
    """A bright square in the picture and a point on it stay together in the input, whatever the resize."""
    image = np.zeros((60, 80, 3), np.uint8)
    image[20:24, 60:64] = 255
    # Pixel (61.5, 21.5) of VIEW, 10 m ahead: 4.4 m to the right, 1.6 m up.
    cloud = frame(LIDAR, Points(np.array([[10, -4.4, 1.6]], np.float32), np.ones(1, np.float32)), to_view=TO_VIEW)
    config = CONFIG.model_copy(update={"short_side_px": 96, "lidar_splat_px": 0})
    stack = Preprocessor(config, FOUR)(FrameSet(RGB, {RGB: frame(RGB, image), LIDAR: cloud}, view=VIEW))
    row, column = np.argwhere(stack.pixels[0, 3, 0].numpy() > 0)[0]
    white = stack.pixels[0, 0, 0].numpy() == stack.pixels[0, 0, 0].max().item()
    assert white[row, column]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"view": None}, "LiDAR points without a camera view, expected both"),
        ({"to_view": None}, "LiDAR points without a transform from 'lidar_frame' to the view"),
    ],
)
def test_points_need_view_and_transform(change, message):
    cloud = replace(frames()[LIDAR], to_view=change.get("to_view", TO_VIEW))
    with pytest.raises(CalibrationError, match=message):
        Preprocessor(CONFIG, FOUR).prepare(cloud, SIZE, change.get("view", VIEW))


def test_hha_needs_a_view():
    config = CONFIG.model_copy(update={"depth_encoding": "hha"})
    with pytest.raises(CalibrationError, match="depth encoding hha: found none for the camera"):
        Preprocessor(config, FOUR)(frame_set((DEPTH,), view=None))


@pytest.mark.parametrize(
    ("modality", "data", "found"),
    [
        (RGB, np.zeros((4, 4), np.uint8), r"uint8 \(4, 4\) in a frame of 'rgb'"),
        (RGB, np.zeros((4, 4, 4), np.uint8), r"uint8 \(4, 4, 4\) in a frame of 'rgb'"),
        (RGB, np.zeros((4, 4, 3), np.float32), r"float32 \(4, 4, 3\) in a frame of 'rgb'"),
        (RGB, np.zeros((4, 4), np.float32), r"float32 \(4, 4\) in a frame of 'rgb'"),
        (DEPTH, np.zeros((4, 4), np.uint16), r"uint16 \(4, 4\) in a frame of 'depth'"),
        (RGB, Points(np.zeros((1, 3), np.float32), np.zeros(1, np.float32)), "Points in a frame of 'rgb'"),
        (LIDAR, frames()[EVENT].data, "Events in a frame of 'lidar'"),
    ],
)
def test_data_of_another_modality_is_refused(modality, data, found):
    with pytest.raises(FrameError, match=f"preprocessor: found {found}, expected a picture"):
        Preprocessor(CONFIG, FOUR).prepare(frame(modality, data), SIZE, VIEW)


def test_an_empty_picture_is_refused():
    with pytest.raises(FrameError, match="found sizes 0x4 and 64x32, expected positive"):
        Preprocessor(CONFIG, FOUR).prepare(frame(RGB, np.zeros((4, 0, 3), np.uint8)), SIZE)


@pytest.mark.parametrize("modalities", [(), (RGB, LIDAR, RGB)])
def test_the_models_modalities_are_checked(modalities):
    with pytest.raises(FrameError, match="expected each once and at least one"):
        Preprocessor(CONFIG, modalities)
