# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Tiny data sets on disk, shaped like DELIVER, like the simulator's, and like MCubeS, for tests to read.

Tests load it with runpy.run_path, because test folders are no packages.
"""

import json
from pathlib import Path

import cv2
import numpy as np

from any2seg_core.config import PreprocessConfig
from any2seg_core.frames import DELIVER_CLASSES

KINDS = {"img": "rgb", "depth": "depth", "hha": "depth", "lidar": "lidar", "event": "event", "semantic": "semantic"}
SCENES = {"train": ("MAP_1_point1", "MAP_1_point1_motionblur"), "val": ("MAP_2_point1",), "test": ("MAP_3_point9",)}


def write_png(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image[..., ::-1] if image.ndim == 3 else image)


def street_labels(rng, size):
    """Class ids (H, W): sky above, road below, two boxes, some unlabelled pixels."""
    height, width = size
    labels = np.full(size, 6, np.uint8)
    labels[: height // 2] = 12
    for label in rng.choice([0, 3, 8, 9], 2):
        top, left = rng.integers(0, height // 2), rng.integers(0, width // 2)
        labels[top : top + height // 3, left : left + width // 3] = label
    labels[rng.random(size) < 0.01] = 255
    return labels


def deliver_frame(rng, size, *, event_size=None):
    """What each folder of DELIVER holds for one frame; pictures have something to do with the labels."""
    labels = street_labels(rng, size)
    noise = rng.integers(0, 20, (*size, 3))
    rgb = (DELIVER_CLASSES.colourize(labels) * 0.9 + noise).clip(0, 255).astype(np.uint8)
    depth = (np.where(labels == 12, 0, 2000 + 800 * labels.astype(np.int64)) + rng.integers(0, 50, size)).astype(
        np.uint16
    )
    depth[labels == 12] = 0
    events = np.zeros((*(event_size or size), 3), np.uint8)
    events[rng.random(events.shape[:2]) < 0.1] = (255, 0, 0)
    lidar = np.where(rng.random(size)[..., None] < 0.3, rgb, 0).astype(np.uint8)
    hha = np.stack([labels * 9, labels * 5, labels * 3], axis=2).astype(np.uint8)
    semantic = (labels + np.uint8(1)).astype(np.uint8)
    return {"img": rgb, "depth": depth, "hha": hha, "lidar": lidar, "event": events, "semantic": semantic}


def write_deliver(
    root, *, size=(40, 48), frames=2, conditions=("cloud", "fog", "night", "rain", "sun"), scenes=None, seed=0
):
    """Write a folder of DELIVER's layout; give the ids by split."""
    rng = np.random.default_rng(seed)
    ids = {}
    for split, names in (scenes or SCENES).items():
        for condition in conditions:
            for scene in names:
                low = tuple(side // 2 for side in size) if scene.endswith("eventlowres") else None
                for frame in range(frames):
                    folder = f"{condition}/{split}/{scene}"
                    for kind, image in deliver_frame(rng, size, event_size=low).items():
                        write_png(Path(root) / kind / folder / f"{frame:06d}_{KINDS[kind]}_front.png", image)
                    ids.setdefault(split, []).append(f"{folder}/{frame:06d}")
    return ids


def write_street(root, *, preprocess=None, size=(40, 48), **options):
    """Write what the simulator writes: DELIVER's layout and a manifest."""
    ids = write_deliver(root, size=size, **options)
    drawn = (preprocess or PreprocessConfig()).model_dump()
    manifest = {
        "format": 1,
        "classes": DELIVER_CLASSES.to_json(),
        "depth_unit_m": 0.001,
        "preprocess": {name: value for name, value in drawn.items() if name.startswith(("lidar_", "event_"))},
        "camera": {
            "width": size[1],
            "height": size[0],
            "distortion_model": "",
            "k": [size[1] / 2, 0, size[1] / 2 - 0.5, 0, size[1] / 2, size[0] / 2 - 0.5, 0, 0, 1],
            "d": [],
        },
    }
    (Path(root) / "dataset.json").write_text(json.dumps(manifest), encoding="utf-8")
    return ids


def write_mcubes(root, *, size=(32, 240), counts=(("train", 4), ("val", 2), ("test", 2)), seed=0):
    """Write a folder of MCubeS' layout, RGB of 8 bits and NIR of 16; give the ids by split."""
    root, rng, ids = Path(root), np.random.default_rng(seed), {}
    for split, count in counts:
        ids[split] = [f"outscene{split}_{index:010d}" for index in range(count)]
        for name in ids[split]:
            angle = rng.uniform(0, np.pi, size)
            labels = rng.integers(0, 20, size).astype(np.uint8)
            labels[rng.random(size) < 0.1] = 255
            write_png(root / "polL_color" / f"{name}.png", rng.integers(0, 256, (*size, 3)).astype(np.uint8))
            write_png(root / "NIR_warped" / f"{name}.png", rng.integers(0, 65536, size).astype(np.uint16))
            write_png(root / "GT" / f"{name}.png", labels)
            for folder, values in (
                ("polL_aolp_sin", np.sin(2 * angle)),
                ("polL_aolp_cos", np.cos(2 * angle)),
                ("polL_dolp", rng.uniform(0, 1, size)),
            ):
                (root / folder).mkdir(parents=True, exist_ok=True)
                np.save(root / folder / f"{name}.npy", values.astype(np.float32))
        (root / "list_folder").mkdir(exist_ok=True)
        (root / "list_folder" / f"{split}.txt").write_text("\n".join(ids[split]) + "\n", encoding="utf-8")
    return ids
