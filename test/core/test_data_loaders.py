# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Batches: the robot's own input, an order that only seed and epoch decide, and errors that come through."""

import itertools
import pickle
import re
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision import tv_tensors

from any2seg_core.config import PreprocessConfig
from any2seg_core.data import (
    Sample,
    TrainLoader,
    collate,
    eval_loader,
    generator_of,
    loaders,
    open_dataset,
    random_subset,
)
from any2seg_core.data.packers import Key
from any2seg_core.errors import ConfigError, FrameError
from any2seg_core.experiment import AugmentConfig, DataConfig
from any2seg_core.frames import FrameSet, Modality, SensorFrame
from any2seg_core.preprocess import Preprocessor
from any2seg_core.projection.depth import resize_nearest

FOLDERS = SimpleNamespace(**runpy.run_path(str(Path(__file__).resolve().parents[1] / "dataset_folders.py")))
RGB, DEPTH, EVENT, LIDAR = Modality.RGB, Modality.DEPTH, Modality.EVENT, Modality.LIDAR
FOUR = (RGB, DEPTH, EVENT, LIDAR)
PREPROCESS = PreprocessConfig(short_side_px=32)
AUGMENT = AugmentConfig(crop_px=32)


def opened(root, modalities=FOUR, split="train", preprocess=PREPROCESS, dataset="street", **settings):
    return open_dataset(DataConfig(dataset=dataset, root=str(root), **settings), preprocess, modalities, split=split)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("street")
    FOLDERS.write_street(folder, size=(40, 48), conditions=("cloud", "sun", "rain"), frames=2)
    return folder


@pytest.fixture
def damaged(tmp_path):
    """A data set of eight training samples of which the third has a broken picture."""
    FOLDERS.write_street(tmp_path, conditions=("sun", "rain"))
    dataset = opened(tmp_path, skip_corrupt=True)
    dataset.samples[2].paths[LIDAR][0].write_bytes(b"broken")
    return tmp_path


def same(first, second):
    return (
        torch.equal(first.pixels, second.pixels)
        and torch.equal(first.present, second.present)
        and torch.equal(first.targets, second.targets)
        and (first.ids, first.conditions, first.failures) == (second.ids, second.conditions, second.failures)
    )


def frames_of(sample_files):
    """What the robot's sensors would have sent for a sample: colour pictures, and depth in metres."""
    frames = {}
    for modality, paths in sample_files.paths.items():
        data = cv2.imread(str(paths[0]), -1)
        if modality is DEPTH:
            metres = (data * 0.001).astype(np.float32)
            data = np.where(data > 0, metres, np.float32(np.nan))
        else:
            data = np.ascontiguousarray(data[..., ::-1])
        frames[modality] = SensorFrame(modality, 1, "camera", data)
    return frames


@pytest.mark.parametrize("short_side", [32, 64])
@pytest.mark.parametrize("encoding", ["inverse", "log"])
@pytest.mark.parametrize("size", [(32, 32), (64, 96), (40, 48)])
def test_what_is_scored_is_what_the_robot_sees(tmp_path, size, encoding, short_side):
    """The same pictures through the node's preprocessing and through the data set: equal to the bit, at any size."""
    FOLDERS.write_street(tmp_path, size=size, conditions=("sun",), frames=1)
    preprocess = PreprocessConfig(short_side_px=short_side, depth_encoding=encoding)
    dataset = opened(tmp_path, preprocess=preprocess)
    for files, batch in zip(dataset.samples, eval_loader(dataset, preprocess), strict=True):
        stack = Preprocessor(preprocess, FOUR)(FrameSet(RGB, frames_of(files)))
        assert torch.equal(batch.pixels, stack.pixels)
        assert torch.equal(batch.present, stack.present)
        assert batch.ids == (files.id,)


def test_what_is_trained_is_what_the_robot_sees(tmp_path):
    """Without random changes, a picture of crop size is the robot's input to the bit."""
    FOLDERS.write_street(tmp_path, size=(64, 64), conditions=("sun",), frames=1)
    preprocess = PreprocessConfig(short_side_px=64)
    dataset = opened(tmp_path, preprocess=preprocess)
    still = AugmentConfig(crop_px=64, resize_min=1.0, resize_max=1.0, flip_p=0.0, jitter_p=0.0, blur_p=0.0)
    files = {sample.id: sample for sample in dataset.samples}
    for batch in TrainLoader(dataset, still, batch_size=1).epoch(0):
        stack = Preprocessor(preprocess, FOUR)(FrameSet(RGB, frames_of(files[batch.ids[0]])))
        assert torch.equal(batch.pixels, stack.pixels)
        labels = cv2.imread(str(files[batch.ids[0]].labels), -1) - np.uint8(1)
        assert np.array_equal(batch.targets[0].numpy(), labels)


def test_polarisation_is_what_the_robot_sees(tmp_path):
    FOLDERS.write_mcubes(tmp_path)
    modalities = (RGB, Modality.NIR, Modality.AOLP, Modality.DOLP)
    dataset = opened(tmp_path, modalities, dataset="mcubes", preprocess=PreprocessConfig(short_side_px=64))
    sample = dataset[0]
    frames = {
        modality: SensorFrame(modality, 1, "camera", picture.permute(1, 2, 0).numpy())
        for modality, picture in sample.pictures.items()
    }
    (batch, *_) = eval_loader(dataset, dataset.preprocess)
    stack = Preprocessor(dataset.preprocess, modalities)(FrameSet(RGB, frames))
    assert batch.pixels.shape == (1, 4, 3, 64, 96)
    assert torch.equal(batch.pixels, stack.pixels)


def test_an_eval_batch(root):
    dataset = opened(root, split="val", preprocess=PreprocessConfig(short_side_px=64))
    batches = list(eval_loader(dataset, dataset.preprocess, batch_size=4))
    assert [len(batch) for batch in batches] == [4, 2]
    assert [name for batch in batches for name in batch.ids] == [sample.id for sample in dataset.samples]
    first = batches[0]
    assert first.pixels.shape == (4, 4, 3, 64, 96)
    assert (first.pixels.dtype, first.targets.dtype) == (torch.float32, torch.int64)
    assert first.present.all()
    assert first.conditions == ("cloud", "cloud", "rain", "rain")
    assert first.failures == ("",) * 4
    labels = resize_nearest(dataset[0].target.numpy(), 96, 64)
    assert np.array_equal(first.targets[0].numpy(), labels)


def test_native_labels(root):
    dataset = opened(root, split="val")
    batches = list(eval_loader(dataset, dataset.preprocess, batch_size=3, label_size="native"))
    assert len(batches) == 2
    assert batches[0].pixels.shape[-2:] == (32, 64)
    assert np.array_equal(batches[0].targets[1].numpy(), dataset[1].target.numpy())


def test_absent_modalities_are_zero_and_flagged():
    picture = tv_tensors.Image(torch.full((3, 32, 32), 9, dtype=torch.uint8))
    target = tv_tensors.Mask(torch.zeros(32, 32, dtype=torch.uint8))
    samples = [
        Sample("a", {RGB: picture}, target, "", ""),
        Sample("b", {LIDAR: picture, EVENT: picture}, target, "", ""),
    ]
    batch = collate(samples, Preprocessor(PREPROCESS, FOUR))
    assert batch.present.tolist() == [[True, False, False, False], [False, False, True, True]]
    assert (batch.pixels[~batch.present] == 0).all()
    assert (batch.pixels[1, 3] == np.float32(9 / 255)).all()


def test_samples_of_other_sizes_share_no_batch():
    def sample(height):
        picture = tv_tensors.Image(torch.zeros(3, height, 64, dtype=torch.uint8))
        return Sample("a", {RGB: picture}, tv_tensors.Mask(torch.zeros(height, 64, dtype=torch.uint8)), "", "")

    preprocessor = Preprocessor(PREPROCESS, [RGB])
    with pytest.raises(
        ConfigError, match="found samples of 64x32, 64x64 pixels, expected one size; score with batch_size"
    ):
        collate([sample(32), sample(64)], preprocessor)
    assert len(collate([sample(33), sample(34)], preprocessor)) == 2
    with pytest.raises(ConfigError, match="found samples of 64x33, 64x34 pixels"):
        collate([sample(33), sample(34)], preprocessor, label_size="native")


@settings(deadline=None, max_examples=30)
@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=6), st.integers(0, 10**6))
def test_random_subsets_are_subsets_and_never_empty(present, seed):
    present = torch.tensor(present)
    kept = random_subset(present, generator_of(seed))
    assert kept.dtype == torch.bool
    assert not (kept & ~present).any()
    assert torch.equal(kept.any(dim=1), present.any(dim=1))


def test_random_subsets_have_uniform_sizes_and_members():
    kept = random_subset(torch.ones(20000, 4, dtype=torch.bool), generator_of(3))
    sizes = torch.bincount(kept.sum(dim=1), minlength=5) / 20000
    assert sizes[0] == 0
    assert sizes[1:].tolist() == pytest.approx([0.25] * 4, abs=0.015)
    assert kept.float().mean(dim=0).tolist() == pytest.approx([0.625] * 4, abs=0.015)
    pairs = kept[kept.sum(dim=1) == 2]
    share = [(pairs[:, a] & pairs[:, b]).float().mean().item() for a, b in itertools.combinations(range(4), 2)]
    assert share == pytest.approx([1 / 6] * 6, abs=0.03)


def test_generators_depend_on_their_numbers_alone():
    draws = {key: torch.rand((), generator=generator_of(*key)).item() for key in itertools.product((0, 1), repeat=3)}
    assert len(set(draws.values())) == 8
    assert torch.rand((), generator=generator_of(1, 0, 1)).item() == draws[1, 0, 1]


def test_an_epoch_shows_every_sample_once_and_epochs_differ(root):
    dataset = opened(root)
    loader = TrainLoader(dataset, AUGMENT, batch_size=1, seed=4)
    orders = [[name for batch in loader.epoch(epoch) for name in batch.ids] for epoch in (0, 1)]
    for order in orders:
        assert sorted(order) == sorted(sample.id for sample in dataset.samples)
    assert orders[0] != orders[1]
    other = TrainLoader(dataset, AUGMENT, batch_size=1, seed=5)
    assert [name for batch in other.epoch(0) for name in batch.ids] != orders[0]


@pytest.mark.parametrize(("name", "value"), [("epoch", 1), ("seed", 8), ("index", 1)])
def test_seed_epoch_and_place_decide_augmentation_and_subset(tmp_path, name, value):
    """Twelve copies of one sample: each, in each epoch and under each seed, is augmented in its own way."""
    FOLDERS.write_street(tmp_path, size=(64, 64), conditions=("sun",), frames=1, scenes={"train": ("MAP_1_point1",)})
    dataset = opened(tmp_path, [EVENT, LIDAR]).take([0] * 12)

    def drawn(seed=7, epoch=0, index=0, *, random_subsets):
        packer = TrainLoader(
            dataset, AUGMENT, batch_size=1, seed=seed, random_subsets=random_subsets
        )._loader._loader.dataset
        return [packer[Key(epoch, ((index + place) % 12,))].batch for place in range(6)]

    first, other = (drawn(**change, random_subsets=False) for change in ({}, {name: value}))
    assert all(torch.equal(a.pixels, b.pixels) for a, b in zip(first, drawn(random_subsets=False), strict=True))
    assert not any(torch.equal(a.pixels, b.pixels) for a, b in zip(first, other, strict=True))
    first, other = (drawn(**change, random_subsets=True) for change in ({}, {name: value}))
    assert [batch.present.tolist() for batch in first] != [batch.present.tolist() for batch in other]


@pytest.mark.parametrize("random_subsets", [False, True])
def test_batches_do_not_depend_on_workers_or_on_where_a_run_resumed(root, random_subsets):
    options = {"batch_size": 2, "seed": 9, "random_subsets": random_subsets}
    dataset = opened(root)
    alone = TrainLoader(dataset, AUGMENT, **options)
    workers = TrainLoader(dataset, AUGMENT, workers=2, **options)
    assert len(alone) == len(workers) == 6
    for epoch in (0, 1):
        expected = list(alone.epoch(epoch))
        assert len(expected) == 6
        for found in (list(workers.epoch(epoch)), list(TrainLoader(dataset, AUGMENT, **options).epoch(epoch))):
            assert all(same(*pair) for pair in zip(found, expected, strict=True))
        resumed = list(workers.epoch(epoch, start_batch=4))
        assert all(same(*pair) for pair in zip(resumed, expected[4:], strict=True))
        assert not same(expected[0], expected[1])
    broken_off = workers.epoch(0)
    next(broken_off)
    assert same(next(workers.epoch(1)), next(alone.epoch(1)))


def test_global_random_numbers_play_no_part(root):
    loader = TrainLoader(opened(root), AUGMENT, batch_size=4)
    torch.manual_seed(0)
    state, first = torch.get_rng_state(), next(loader.epoch(0))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(1)
    assert same(next(loader.epoch(0)), first)


def test_resuming_reads_nothing_of_what_was_done(root, monkeypatch):
    dataset, read = opened(root), []
    load = dataset.load
    monkeypatch.setattr(dataset, "load", lambda index, modalities=None: read.append(index) or load(index, modalities))
    assert len(list(TrainLoader(dataset, AUGMENT, batch_size=2).epoch(0, start_batch=5))) == 1
    assert len(read) == 2


@pytest.mark.parametrize(("batch_size", "world"), [(1, 2), (2, 2), (1, 3), (2, 5), (4, 5)])
def test_processes_share_an_epoch(root, batch_size, world):
    """Process r of n sees every n-th batch of what one process would see, and all see equally many."""
    dataset = opened(root)
    alone = list(TrainLoader(dataset, AUGMENT, batch_size=batch_size, seed=2).epoch(3))
    loaders = [TrainLoader(dataset, AUGMENT, batch_size=batch_size, seed=2, rank=r, world=world) for r in range(world)]
    count = max(12 // (batch_size * world), 1)
    shares = [list(loader.epoch(3)) for loader in loaders]
    assert {len(loader) for loader in loaders} == {count} == {len(share) for share in shares}
    if batch_size * world <= 12:
        together = [batch for group in zip(*shares, strict=True) for batch in group]
        assert all(same(*pair) for pair in zip(together, alone, strict=False))
        names = [name for batch in together for name in batch.ids]
        assert len(set(names)) == len(names)


def test_a_tiny_data_set_goes_round(root):
    dataset = opened(root).take([0, 1])
    (batch,) = TrainLoader(dataset, AUGMENT, batch_size=3).epoch(0)
    assert sorted(set(batch.ids)) == sorted(sample.id for sample in dataset.samples)
    assert batch.ids[0] == batch.ids[2]


def test_random_subsets_are_all_that_is_read(root, monkeypatch):
    dataset, read = opened(root), {}
    load = dataset.load
    monkeypatch.setattr(
        dataset, "load", lambda index, modalities=None: read.update({index: modalities}) or load(index, modalities)
    )
    batches = list(TrainLoader(dataset, AUGMENT, batch_size=2, random_subsets=True).epoch(0))
    index = {sample.id: place for place, sample in enumerate(dataset.samples)}
    kept = set()
    for batch in batches:
        for row, name in enumerate(batch.ids):
            members = tuple(m for m, there in zip(FOUR, batch.present[row].tolist(), strict=True) if there)
            assert members == read[index[name]]
            assert (batch.pixels[row][~batch.present[row]] == 0).all()
            kept.add(members)
    assert len(kept) > 3
    again = list(TrainLoader(dataset, AUGMENT, batch_size=2, random_subsets=True).epoch(1))
    assert [batch.present.tolist() for batch in again] != [batch.present.tolist() for batch in batches]


@pytest.mark.parametrize("world", [1, 2, 4])
def test_processes_score_every_sample_once(root, world):
    dataset = opened(root, split="val")
    names = [
        name
        for rank in range(world)
        for batch in eval_loader(dataset, dataset.preprocess, batch_size=2, rank=rank, world=world)
        for name in batch.ids
    ]
    assert sorted(names) == sorted(sample.id for sample in dataset.samples)
    loader = eval_loader(dataset, dataset.preprocess, batch_size=4)
    assert len(loader) == 2
    assert all(same(*pair) for pair in zip(loader, loader, strict=True))


def test_scoring_in_processes_is_the_same(root):
    dataset = opened(root, split="val")
    pairs = zip(eval_loader(dataset, PREPROCESS, workers=2), eval_loader(dataset, PREPROCESS), strict=True)
    assert all(same(*pair) for pair in pairs)


def test_scoring_at_another_size_is_fine_and_with_other_drawing_is_not(root):
    dataset = opened(root, split="val")
    (batch, *_) = eval_loader(dataset, PreprocessConfig(short_side_px=64))
    assert batch.pixels.shape[-2:] == (64, 96)
    with pytest.raises(ConfigError, match=r"found other preprocess settings \(depth_max_m\) than the data set"):
        eval_loader(dataset, PreprocessConfig(short_side_px=32, depth_max_m=50.0))


@pytest.mark.parametrize("workers", [0, 1])
def test_errors_come_through_as_they_are(damaged, workers):
    dataset = opened(damaged)
    message = f"^sample '{dataset.samples[2].id}': .*000000_lidar_front.png: found 6 bytes that are no whole image"
    with pytest.raises(FrameError, match=message):
        list(TrainLoader(dataset, AUGMENT, batch_size=2, workers=workers).epoch(0))
    with pytest.raises(FrameError, match=message):
        list(eval_loader(dataset, PREPROCESS, workers=workers))
    assert dataset.skipped == []


@pytest.mark.parametrize("workers", [0, 2])
def test_unreadable_samples_are_left_out_if_asked(damaged, workers, caplog):
    dataset = opened(damaged, skip_corrupt=True)
    lost, others = dataset.samples[2].id, [sample.id for place, sample in enumerate(dataset.samples) if place != 2]
    loader = eval_loader(dataset, PREPROCESS, batch_size=2, workers=workers)
    assert [name for batch in loader for name in batch.ids] == others
    assert [name for batch in loader for name in batch.ids] == others
    assert dataset.skipped == [lost]
    assert caplog.text.count("left out a sample") == 1
    assert "000000_lidar_front.png" in caplog.text
    single = eval_loader(dataset, PREPROCESS, batch_size=1, workers=workers)
    assert [batch.ids for batch in single] == [(name,) for name in others]


def test_training_replaces_unreadable_samples_by_the_next(damaged):
    dataset = opened(damaged, skip_corrupt=True)
    names = [name for batch in TrainLoader(dataset, AUGMENT, batch_size=2, seed=1).epoch(0) for name in batch.ids]
    assert len(names) == 8
    assert names.count(dataset.samples[3].id) == 2
    assert dataset.samples[2].id not in names
    assert dataset.skipped == [dataset.samples[2].id]


def test_a_data_set_that_is_broken_throughout_stops_training(damaged):
    dataset = opened(damaged, skip_corrupt=True)
    for sample in dataset.samples:
        sample.labels.write_bytes(b"")
    with pytest.raises(FrameError, match=r"found 8 unreadable samples in a row .*run training/check_data.py"):
        next(TrainLoader(dataset, AUGMENT, batch_size=2).epoch(0))
    assert list(eval_loader(dataset, PREPROCESS)) == []
    assert len(dataset.skipped) == 8


DEATH = """
import os, signal, sys, threading
from any2seg_core.config import PreprocessConfig
from any2seg_core.data import TrainLoader, open_dataset
from any2seg_core.experiment import AugmentConfig, DataConfig
from any2seg_core.frames import Modality
dataset = open_dataset(
    DataConfig(dataset="street", root=sys.argv[1]), PreprocessConfig(), [Modality.RGB], split="train"
)
loader = TrainLoader(dataset, AugmentConfig(crop_px=32), batch_size=1, workers=1)
batches = loader.epoch(0)
next(batches)
worker = loader._loader._loader._iterator._workers[0].pid
os.kill(worker, signal.SIGSTOP)
threading.Timer(1.0, os.kill, (worker, signal.SIGKILL)).start()
list(batches)
"""


STANDING = """
import multiprocessing, os, signal, subprocess, sys, time
from any2seg_core.data.loaders import _start_worker

def work(ready):
    _start_worker(0)
    ready.send(os.getpid())
    while True:
        time.sleep(1)

context = multiprocessing.get_context("fork")
ours, theirs = context.Pipe()
process = context.Process(target=work, args=(theirs,), daemon=True)
process.start()
for name in ("TERM", "INT"):
    subprocess.run(["kill", f"-{name}", str(ours.recv() if name == "TERM" else process.pid)], check=True)
time.sleep(0.5)
print("alive", process.is_alive(), flush=True)
# The end of the program ends its daemons.
"""


def test_loader_processes_heed_nobody_but_their_parent():
    """Not a scheduler's signal to all, but the one by which Python ends what is left: or the program would not end."""
    done = subprocess.run([sys.executable, "-c", STANDING], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "alive True\n"), done.stderr


def test_a_dead_loader_process_is_an_error_of_ours(root):
    """In a process of its own: torch goes on complaining about dead workers wherever a signal finds it."""
    command = [sys.executable, "-c", DEATH, str(root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 1
    assert re.search(r"ConfigError: data: found a loader process that died .*use fewer data\.workers", done.stderr)


def broken(error):
    """Parcels of a process that died while it sent one."""
    raise error
    yield


@pytest.mark.parametrize("error", [EOFError(), ConnectionResetError(104, "Connection reset by peer")])
def test_a_broken_connection_is_a_death_with_or_without_its_signal(error):
    with pytest.raises(ConfigError, match=rf"loader process exited unexpectedly: {type(error).__name__}"):
        loaders._next(broken(error))

    def news(*_):
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")

    old = signal.signal(signal.SIGALRM, news)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(ConfigError, match=r"found a loader process that died .*killed by signal: Killed"):
            loaders._next(broken(error))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


def test_other_errors_of_the_loader_stay_what_they_are():
    with pytest.raises(RuntimeError, match="out of shared memory"):
        loaders._next(broken(RuntimeError("out of shared memory")))


def test_processes_start_after_opencv_ran_threads(root):
    """OpenCV's threads do not survive a fork; a process that waits for them waits forever."""

    def give_up(*_):
        raise TimeoutError

    before = cv2.getNumThreads()
    old = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(30)
    try:
        cv2.setNumThreads(4)
        cv2.resize(np.zeros((2000, 2000, 3), np.uint8), (1500, 1500), interpolation=cv2.INTER_LINEAR)
        loader = TrainLoader(opened(root), AUGMENT, batch_size=4, workers=2)
        assert len(list(loader.epoch(0))) == 3
        assert cv2.getNumThreads() == 4
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)
        cv2.setNumThreads(before)


def test_data_sets_travel_to_other_processes(root):
    dataset = opened(root)
    copy = pickle.loads(pickle.dumps(dataset))  # noqa: S301
    assert torch.equal(copy[1].pictures[DEPTH], dataset[1].pictures[DEPTH])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_batches_are_pinned_for_a_gpu(root):
    batch = next(TrainLoader(opened(root), AUGMENT, batch_size=2, workers=1).epoch(0))
    assert batch.pixels.is_pinned()
    assert batch.targets.is_pinned()
    assert batch.to(torch.device("cuda")).pixels.is_cuda
