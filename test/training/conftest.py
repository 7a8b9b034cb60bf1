# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Tiny data sets on disk, of the same layout as the real ones, whose labels can be learnt from their pictures."""

import importlib.util
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from any2seg_core.config import PreprocessConfig
from any2seg_core.data import open_dataset
from any2seg_core.frames import Modality
from any2seg_core.teacher import cache_path, expected_fingerprint, file_stamp
from any2seg_core.teacher.cache import KEY

TRAINING = Path(__file__).resolve().parents[2] / "training"

SIDE = 64
CLASSES = 3
SPLITS = {"train": 8, "val": 4, "test": 2}


def blocks(random):
    """Class ids of large squares."""
    return np.kron(random.integers(0, CLASSES, (4, 4)), np.ones((SIDE // 4, SIDE // 4), int)).astype(np.uint8)


def picture(ids, turn, random):
    """Each class a colour of its own, some noise on top."""
    colours = np.roll(np.eye(CLASSES) * 200, turn, axis=0)[ids]
    return np.clip(colours + random.normal(20, 10, (*ids.shape, 3)), 0, 255).astype(np.uint8)


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def write_deliver(root):
    random = np.random.default_rng(0)
    weathers = ("cloud", "fog", "night", "rain", "sun")
    for split, count in SPLITS.items():
        for index in range(count):
            scene = f"{weathers[index % 5]}/{split}/MAP_1_point{index}"
            ids = blocks(random)
            files = {"img": "rgb", "hha": "depth", "event": "event", "lidar": "lidar"}
            for turn, (folder, kind) in enumerate(files.items()):
                write(root / folder / scene / f"000000_{kind}_front.png", picture(ids, turn, random))
            write(root / "depth" / scene / "000000_depth_front.png", 2000 + 3000 * ids.astype(np.uint16))
            write(root / "semantic" / scene / "000000_semantic_front.png", ids + 1)
    return root


def write_street(root):
    write_deliver(root)
    manifest = {"format": 1, "preprocess": PreprocessConfig().model_dump()}
    (root / "dataset.json").write_text(json.dumps(manifest), encoding="utf-8")
    return root


def write_mcubes(root):
    random = np.random.default_rng(0)
    (root / "list_folder").mkdir(parents=True)
    for split, count in SPLITS.items():
        names = [f"outscene_{split}_{index}" for index in range(count)]
        (root / "list_folder" / f"{split}.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
        for name in names:
            ids = np.pad(blocks(random), ((0, 0), (192, 0)))
            write(root / "GT" / f"{name}.png", ids)
            write(root / "polL_color" / f"{name}.png", picture(ids, 0, random))
            write(root / "NIR_warped" / f"{name}.png", picture(ids, 1, random)[:, :, 0])
            for folder in ("polL_aolp_sin", "polL_aolp_cos", "polL_dolp"):
                (root / folder).mkdir(exist_ok=True)
                np.save(root / folder / f"{name}.npy", (ids / CLASSES).astype(np.float32))
    return root


@pytest.fixture(scope="session")
def deliver_folder(tmp_path_factory):
    return write_deliver(tmp_path_factory.mktemp("tiny") / "deliver")


@pytest.fixture(scope="session")
def street_folder(tmp_path_factory):
    return write_street(tmp_path_factory.mktemp("tiny") / "street")


@pytest.fixture(scope="session")
def mcubes_folder(tmp_path_factory):
    return write_mcubes(tmp_path_factory.mktemp("tiny") / "mcubes")


def write_teacher_cache(experiment):
    """A teacher's cache with random cosines, which claims to be what the experiment expects."""
    modalities = [Modality(name) for name in experiment.model.modalities]
    dataset = open_dataset(experiment.data, experiment.preprocess, modalities, split="train")
    generator = torch.Generator().manual_seed(0)

    def vectors(rows):
        return torch.nn.functional.normalize(torch.randn(rows, 8, generator=generator), dim=1)

    count = len(dataset)
    tensors = {modality.value: vectors(count) for modality in modalities}
    tensors |= {"scene": vectors(count), "classes": vectors(len(dataset.classes))}
    tensors["valid"] = torch.ones(count, len(modalities), dtype=torch.bool)
    header = {
        "fingerprint": expected_fingerprint(experiment.teacher, dataset.classes.names, experiment.data),
        "ids": [files.id for files in dataset.samples],
        "stamps": [file_stamp(files.paths, files.labels) for files in dataset.samples],
        "modalities": [modality.value for modality in modalities],
    }
    save_file(tensors, cache_path(experiment.teacher, experiment.data.root, "train"), {KEY: json.dumps(header)})


@pytest.fixture(scope="session")
def write_cache():
    return write_teacher_cache


def load_program(name):
    """A command line as a module, so that tests need not start a process for each call."""
    spec = importlib.util.spec_from_file_location(f"training_{name}", TRAINING / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where pydantic looks names up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def train():
    return load_program("train")


@pytest.fixture(scope="session")
def run_grid():
    return load_program("run_grid")
