# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Augmentation: modalities stay aligned, photometry touches what it should, polarisation is mirrored as light is."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional

from any2seg_core.data import Augmentation, Sample, generator_of, mirrored
from any2seg_core.errors import ConfigError
from any2seg_core.experiment import AugmentConfig
from any2seg_core.frames import Modality
from any2seg_core.projection.depth import resize_nearest

RGB, DEPTH, EVENT, LIDAR = Modality.RGB, Modality.DEPTH, Modality.EVENT, Modality.LIDAR
STILL = {"jitter_p": 0.0, "flip_p": 0.0, "blur_p": 0.0}
PLAIN = {**STILL, "resize_min": 1.0, "resize_max": 1.0}


def augmented(sample, seed=0, **config):
    return Augmentation(AugmentConfig(**{"crop_px": 32, **config}))(sample, generator_of(seed))


def image(values):
    return tv_tensors.Image(torch.from_numpy(np.ascontiguousarray(values)).permute(2, 0, 1))


def marked(size, seed=0, modalities=(RGB, EVENT, LIDAR)):
    """A sample whose pictures say at every pixel what its label is; depth holds label / 255 once."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 200, size).astype(np.uint8)
    pictures = {modality: image(np.repeat(labels[..., None], 3, 2)) for modality in modalities}
    planes = torch.from_numpy(labels.astype(np.float32) / 255)
    pictures[DEPTH] = tv_tensors.Image(planes.expand(3, -1, -1))
    return Sample("a/b", pictures, tv_tensors.Mask(torch.from_numpy(labels)), "sun", "")


@settings(deadline=None, max_examples=25)
@given(
    st.tuples(st.integers(5, 90), st.integers(5, 90)),
    st.integers(0, 1000),
    st.sampled_from([(0.5, 2.0), (0.25, 0.5), (1.0, 1.0), (2.0, 4.0)]),
)
def test_modalities_and_labels_stay_aligned(size, seed, resize):
    """Pictures resized by nearest pixel show the label of every pixel; outside they are 0 and it is unlabelled."""
    found = augmented(marked(size, seed), seed, resize_min=resize[0], resize_max=resize[1], flip_p=0.5)
    assert found.size == (32, 32)
    target = found.target.numpy()
    expected = np.where(target == 255, 0, target)
    for modality in (EVENT, LIDAR):
        assert found.pictures[modality].shape == (3, 32, 32)
        assert (found.pictures[modality].numpy() == expected).all()
    assert found.pictures[DEPTH].dtype == torch.float32
    assert np.array_equal(found.pictures[DEPTH].numpy(), np.repeat((expected / np.float32(255))[None], 3, 0))
    assert (found.pictures[RGB].numpy()[:, target == 255] == 0).all()


def test_nothing_random_leaves_a_sample_of_crop_size_as_it_is():
    sample = marked((32, 32))
    found = augmented(sample, **PLAIN)
    for modality, picture in sample.pictures.items():
        assert torch.equal(found.pictures[modality], picture)
        assert isinstance(found.pictures[modality], tv_tensors.Image)
    assert torch.equal(found.target, sample.target)
    assert isinstance(found.target, tv_tensors.Mask)
    assert (found.id, found.condition, found.failure) == ("a/b", "sun", "")


def test_the_short_side_becomes_a_multiple_of_the_crop():
    """40 x 60 with a factor of 0.5 of 32: 16 x 24, at the upper left; the rest is empty."""
    sample = marked((40, 60))
    found = augmented(sample, **{**PLAIN, "resize_min": 0.5, "resize_max": 0.5})
    labels = resize_nearest(sample.target.numpy(), 24, 16)
    assert np.array_equal(found.target.numpy()[:16, :24], labels)
    assert (found.target.numpy()[16:] == 255).all()
    assert (found.target.numpy()[:, 24:] == 255).all()


@pytest.mark.parametrize("seed", range(5))
def test_a_crop_is_a_window_of_the_resized_picture(seed):
    """Enlarged twice, each pixel is a block of four, and the window may start at any source pixel."""
    sample = marked((32, 48))
    found = augmented(sample, seed, **{**PLAIN, "resize_min": 2.0, "resize_max": 2.0})
    large = sample.target.numpy().repeat(2, axis=0).repeat(2, axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(large, (32, 32))[::2, ::2]
    assert (windows == found.target.numpy()).all(axis=(2, 3)).any()


def test_crops_start_anywhere():
    sample = marked((32, 32))
    starts = set()
    windows = np.lib.stride_tricks.sliding_window_view(sample.target.numpy(), (16, 16))
    for seed in range(200):
        found = augmented(sample, seed, **{**PLAIN, "resize_min": 2.0, "resize_max": 2.0})
        rows, columns = np.nonzero((windows == found.target.numpy()[::2, ::2]).all(axis=(2, 3)))
        starts.add((int(rows[0]), int(columns[0])))
    assert {row for row, _ in starts} == set(range(17)) == {column for _, column in starts}


def test_scales_fill_their_range():
    """With factors of 0.5 to 1 the filled part of a square sample is its scale."""
    sample = marked((64, 64))
    config = {**STILL, "resize_min": 0.5, "resize_max": 1.0}
    sides = [int((augmented(sample, seed, **config).target[0] != 255).sum()) for seed in range(300)]
    assert (min(sides), max(sides)) == (16, 32)
    assert np.mean(sides) == pytest.approx(24, abs=0.8)


def test_large_crops_of_small_pictures_average_when_shrinking():
    """RGB is averaged as on the robot: a fine checkerboard becomes grey; nearest pixels stay black or white."""
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255
    picture = image(np.repeat(board[..., None], 3, 2).astype(np.uint8))
    target = tv_tensors.Mask(torch.zeros(64, 64, dtype=torch.uint8))
    sample = Sample("x", {RGB: picture, LIDAR: picture}, target, "", "")
    found = augmented(sample, **PLAIN)
    assert set(found.pictures[RGB].unique().tolist()) <= {127, 128}
    assert set(found.pictures[LIDAR].unique().tolist()) <= {0, 255}


@pytest.mark.parametrize("name", ["jitter_p", "blur_p"])
def test_photometry_touches_rgb_alone(name):
    sample = marked((32, 32))
    found = augmented(sample, **{**PLAIN, name: 1.0})
    assert not torch.equal(found.pictures[RGB], sample.pictures[RGB])
    for modality in (DEPTH, EVENT, LIDAR):
        assert torch.equal(found.pictures[modality], sample.pictures[modality])
    assert torch.equal(found.target, sample.target)


def test_nir_is_blurred_and_not_jittered():
    sample = marked((32, 32), modalities=(RGB, Modality.NIR, Modality.DOLP))
    blurred = augmented(sample, **{**PLAIN, "blur_p": 1.0})
    jittered = augmented(sample, **{**PLAIN, "jitter_p": 1.0})
    assert not torch.equal(blurred.pictures[Modality.NIR], sample.pictures[Modality.NIR])
    assert torch.equal(blurred.pictures[Modality.DOLP], sample.pictures[Modality.DOLP])
    assert torch.equal(jittered.pictures[Modality.NIR], sample.pictures[Modality.NIR])


def test_blur_is_torchvisions():
    sample = marked((32, 32))
    found = augmented(sample, **{**PLAIN, "blur_p": 1.0}).pictures[RGB]
    expected = functional.gaussian_blur(sample.pictures[RGB].as_subclass(torch.Tensor), [3, 3])
    assert (found.int() - expected.int()).abs().max() <= 1


def test_jitter_of_strength_zero_changes_nothing_and_strength_bounds_brightness():
    sample = marked((32, 32))
    still = augmented(sample, **{**PLAIN, "jitter_p": 1.0, "jitter_strength": 0.0})
    assert (still.pictures[RGB].int() - sample.pictures[RGB].int()).abs().max() <= 1
    grey = Sample("g", {RGB: image(np.full((32, 32, 3), 100, np.uint8))}, sample.target, "", "")
    levels = [int(augmented(grey, seed, **{**PLAIN, "jitter_p": 1.0}).pictures[RGB][0, 0, 0]) for seed in range(200)]
    assert min(levels) >= 47
    assert max(levels) <= 151
    assert min(levels) < 60
    assert max(levels) > 140


@pytest.mark.parametrize("name", ["flip_p", "jitter_p", "blur_p"])
def test_probabilities(name):
    sample = marked((32, 32))
    rgb = sample.pictures[RGB]
    changed = [
        not torch.equal(augmented(sample, seed, **{**PLAIN, name: 0.3}).pictures[RGB], rgb) for seed in range(300)
    ]
    assert np.mean(changed) == pytest.approx(0.3, abs=0.08)


def test_a_mirror_image():
    sample = marked((7, 9))
    found = mirrored(sample)
    for modality, picture in sample.pictures.items():
        assert np.array_equal(found.pictures[modality].numpy(), picture.numpy()[..., ::-1])
    assert np.array_equal(found.target.numpy(), sample.target.numpy()[:, ::-1])
    again = mirrored(found)
    assert all(torch.equal(again.pictures[modality], picture) for modality, picture in sample.pictures.items())


def stokes_angle(behind):
    """Doubled angle of polarisation from the light behind polarisers at 0, 45, 90 and 135 degrees."""
    return np.arctan2(behind[45] - behind[135], behind[0] - behind[90])


def test_a_mirrored_picture_of_polarisation_is_what_a_camera_sees_of_the_mirrored_street():
    """Photograph light of known polarisation through four polarisers, then the same street in a mirror.

    In a mirror that swaps left and right, light that passed a polariser at angle t passes one at 180 - t degrees.
    """
    rng = np.random.default_rng(0)
    angle, degree = rng.uniform(0, np.pi, (6, 8)), rng.uniform(0.3, 1, (6, 8))

    def behind(polariser_deg):
        return (1 + degree * np.cos(2 * (np.deg2rad(polariser_deg) - angle))) / 2

    def picture(doubled):
        values = np.stack([np.sin(doubled), np.cos(doubled), np.sin(doubled)], axis=2)
        return image(np.rint((values + 1) * 127.5).astype(np.uint8))

    seen = stokes_angle({each: behind(each) for each in (0, 45, 90, 135)})
    in_mirror = stokes_angle({each: behind(180 - each)[:, ::-1] for each in (0, 45, 90, 135)})
    target = tv_tensors.Mask(torch.zeros(6, 8, dtype=torch.uint8))
    sample = Sample("p", {Modality.AOLP: picture(seen), Modality.DOLP: picture(seen)}, target, "", "")
    found = mirrored(sample).pictures
    assert (found[Modality.AOLP].int() - picture(in_mirror).int()).abs().max() <= 1
    assert (found[Modality.DOLP].int() - picture(in_mirror).int()).abs().max() > 50
    again = mirrored(mirrored(sample))
    assert torch.equal(again.pictures[Modality.AOLP], sample.pictures[Modality.AOLP])


def full(value=200, size=(64, 64)):
    picture = image(np.full((*size, 3), value, np.uint8))
    depth = tv_tensors.Image(torch.full(size, 0.5).expand(3, -1, -1))
    pictures = {RGB: picture, LIDAR: picture.clone(), DEPTH: depth}
    return Sample("f", pictures, tv_tensors.Mask(torch.zeros(size, dtype=torch.uint8)), "", "")


def test_lost_pixels():
    config = {**PLAIN, "crop_px": 64, "missing_pixels_p": 1.0, "missing_pixels_max": 0.5}
    shares = []
    for seed in range(40):
        found = augmented(full(), seed, **config)
        for modality, kept in ((RGB, 200), (LIDAR, 200), (DEPTH, 0.5)):
            lost = (found.pictures[modality] == 0).numpy()
            assert (lost == lost[0]).all()
            assert set(found.pictures[modality].unique().tolist()) <= {0, kept}
            shares.append(lost.mean())
        assert found.pictures[RGB].dtype == torch.uint8
        assert found.pictures[DEPTH].dtype == torch.float32
    assert np.mean(shares) == pytest.approx(0.25, abs=0.05)
    assert max(shares) < 0.55
    masks = [(found.pictures[modality][0] == 0) for modality in (RGB, LIDAR)]
    assert not torch.equal(*masks)


def test_noise():
    config = {**PLAIN, "crop_px": 64, "noise_p": 1.0, "noise_max": 0.1}
    spreads = []
    for seed in range(30):
        found = augmented(full(128), seed, **config)
        spreads.append(found.pictures[RGB].float().std().item() / 255)
        assert found.pictures[DEPTH].std() < 0.12
        assert found.pictures[RGB].float().mean() == pytest.approx(128, abs=2)
    assert max(spreads) < 0.11
    assert max(spreads) > 0.05


def test_noise_invents_no_measurements():
    sample = full(0)
    found = augmented(sample, **{**PLAIN, "crop_px": 64, "noise_p": 1.0})
    assert (found.pictures[LIDAR] == 0).all()
    assert (found.pictures[RGB] != 0).any()


def test_all_randomness_comes_from_the_generator():
    config = {"flip_p": 0.5, "jitter_p": 0.5, "blur_p": 0.5, "missing_pixels_p": 0.5, "noise_p": 0.5}
    sample = marked((50, 60))
    before = {modality: picture.clone() for modality, picture in sample.pictures.items()}
    torch.manual_seed(1)
    first = augmented(sample, 5, **config)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    again, other = augmented(sample, 5, **config), augmented(sample, 6, **config)
    assert torch.equal(torch.get_rng_state(), state)
    for modality in sample.pictures:
        assert torch.equal(first.pictures[modality], again.pictures[modality])
        assert torch.equal(sample.pictures[modality], before[modality])
    assert not torch.equal(first.pictures[LIDAR], other.pictures[LIDAR])


def test_resize_bounds_must_be_in_order():
    with pytest.raises(ConfigError, match=r"resize_min 2.0 must not be above resize_max 1.0"):
        AugmentConfig.from_mapping({"resize_min": 2.0, "resize_max": 1.0})
