# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Verdicts for the tests of what replay shows: a realistic one, one without truth, a damaged one, an evil one."""

import itertools

import cv2
import numpy as np

from any2seg_ros.replay import verdict as schema

CLASSES = (
    "Building Fence Other Pedestrian Pole RoadLine Road SideWalk Vegetation Cars Wall TrafficSign Sky Ground Bridge"
)
CLASSES = (*CLASSES.split(), "RailTrack", "GroundRail", "TrafficLight", "Static", "Dynamic", "Water", "Terrain")
CLASSES += ("TwoWheeler", "Bus", "Truck")
MODALITIES = ("rgb", "depth", "event", "lidar")
WEIGHT = {"rgb": 0.22, "depth": 0.12, "event": 0.03, "lidar": 0.16}
EVIL_TOPIC = '"><script>alert(1)</script>'
EVIL_CLASS = "</script><img src=x onerror=\"document.title='pwned'\">"
START_NS = 1_700_000_000_000_000_000


def model(names=CLASSES, sha="5f" * 32):
    rng = np.random.default_rng(1)
    classes = [
        schema.ClassInfo(id=k, name=name, color=tuple(int(c) for c in rng.integers(0, 256, 3)))
        for k, name in enumerate(names)
    ]
    return schema.ModelInfo(
        name="street-b2", weights_sha256=sha, modalities=list(MODALITIES), classes=classes, short_side_px=512
    )


def scores_of(confusion, names, frames):
    counts = np.asarray(confusion, float)
    hits, true, taken = np.diagonal(counts), counts.sum(axis=1), counts.sum(axis=0)
    rows = []
    for k, name in enumerate(names):
        union, both = true[k] + taken[k] - hits[k], true[k] + taken[k]
        found = {
            "iou": hits[k] / union if union else None,
            "f1": 2 * hits[k] / both if both else None,
            "acc": hits[k] / true[k] if true[k] else None,
        }
        rows.append(schema.ClassScore(id=k, name=name, pixels=int(true[k]), **found))

    def means(field):
        values = [getattr(row, field) for row in rows]
        found = [value for value in values if value is not None]
        return {"present": float(np.mean(found)), "zero": float(sum(found) / len(values))}

    return schema.Scores(
        frames=frames,
        miou=means("iou"),
        f1=means("f1"),
        acc=means("acc"),
        pixel_acc=float(hits.sum() / counts.sum()),
        classes=rows,
        confusion=np.asarray(confusion).tolist(),
    )


def confusion_of(seed, names=CLASSES, *, skill=0.8):
    """Counts as a street has them: a few large classes, many small ones, three that do not occur."""
    rng = np.random.default_rng(seed)
    k = len(names)
    sizes = (4e6 / (1 + np.arange(k)) ** 1.6).astype(int)
    if k > 6:
        sizes[[14, 15, 20]] = 0
    counts = np.zeros((k, k), int)
    for row, size in enumerate(sizes):
        spread = rng.dirichlet(np.full(k, 0.25)) * (sizes > 0)
        share = (1 - skill) * rng.uniform(0.4, 3.2)
        counts[row] = (size * share * spread).astype(int)
        counts[row, row] += int(size * max(0.05, 1 - share))
    return counts * (sizes > 0)[:, None]


def subsets(*, truth=True, frames=60):
    rows = []
    for size in range(1, 5):
        for chosen in itertools.combinations(MODALITIES, size):
            lost = sum(WEIGHT[m] for m in MODALITIES if m not in chosen)
            rows.append(
                schema.SubsetRow(
                    modalities=list(chosen),
                    frames=frames,
                    miou=max(0.03, 0.58 - 0.9 * lost) if truth else None,
                    agreement=1 - lost,
                )
            )
    return rows


def frames_of(count, *, truth=True, seed=0, better=0.0, start_ns=START_NS):
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        t = 0.1 + number * 0.2
        share = number / count
        used = [m for m in MODALITIES if not (m == "rgb" and 0.3 < share < 0.5) and not (m == "lidar" and share > 0.7)]
        if 0.55 < share < 0.62:
            continue
        miou = 0.55 + 0.08 * np.sin(number / 4) - 0.1 * (4 - len(used)) + 0.02 * rng.normal() + better
        rows.append(
            schema.FrameRow(
                t_s=t,
                stamp_ns=start_ns + round(t * 1e9),
                anchor=used[0],
                used=used,
                condition="night" if share > 0.5 else "day",
                miou=float(np.clip(miou, 0, 1)) if truth else None,
                confidence=float(np.clip(0.8 - 0.1 * (4 - len(used)) + 0.02 * rng.normal(), 0, 1)),
                changed=None if number == 0 else float(abs(0.04 + 0.02 * rng.normal())),
            )
        )
    return rows


def quantiles(p50, count=60):
    return schema.Quantiles(count=count, p50=p50, p95=1.6 * p50, max=2.4 * p50)


def sensors(outputs):
    lost = outputs // 5
    rows = [
        ("rgb", 61, 0, outputs - lost, 10.0, 0.0, {"stale": lost}),
        ("depth", 60, 2, outputs, 10.0, 4.2, {}),
        ("event", 600, 0, outputs, 99.7, 2.9, {}),
        ("lidar", 55, 0, outputs - 9, 9.8, 31.0, {"absent": 8, "no_transform": 1}),
    ]
    names = ("modality", "received", "refused", "used", "rate_hz", "age_ms", "absent")
    rows = [(*row[:5], quantiles(row[5]), row[6]) for row in rows]
    return [schema.SensorUse(**dict(zip(names, row, strict=True))) for row in rows]


def topics():
    rows = [
        ("/camera/front/image_raw", "sensor_msgs/msg/Image", "rgb", 61, "the only colour image"),
        ("/camera/front/camera_info", "sensor_msgs/msg/CameraInfo", "rgb camera info", 61, "beside the image"),
        ("/depth/image_rect", "sensor_msgs/msg/Image", "depth", 60, "16UC1"),
        ("/event_camera/events", "event_camera_msgs/msg/EventPacket", "event", 600, "the only event topic"),
        ("/velodyne_points", "sensor_msgs/msg/PointCloud2", "lidar", 55, "the only cloud"),
        ("/tf_static", "tf2_msgs/msg/TFMessage", "tf", 1, "transforms"),
        ("/labels/truth", "sensor_msgs/msg/Image", "truth", 58, "mono8, name has truth"),
        ("/imu/data", "sensor_msgs/msg/Imu", "", 1200, "not an image, cloud or event topic"),
    ]
    return [schema.TopicUse(topic=t, type=k, role=r, messages=n, why=w) for t, k, r, n, w in rows]


def problems():
    rows = [("depth", "rejected", 2, "found 100 bytes, expected 614400"), ("lidar", "no transform", 1, "found none")]
    return [schema.Problem(source=s, kind=k, count=n, message=m) for s, k, n, m in rows]


def timing():
    stages = {
        "read": 3.1,
        "convert": 4.4,
        "synchronize": 0.2,
        "project": 6.0,
        "encode": 61.0,
        "decode": 14.0,
        "all": 88.0,
    }
    return schema.Timing(stages_ms={k: quantiles(v) for k, v in stages.items()}, wall_s=4.1, realtime=1.46)


def indicators():
    return schema.Indicators(
        flicker=0.041, confidence=schema.Quantiles(count=60, p50=0.78, p95=0.86, max=0.88), unlabelled=0.002
    )


def bag(name="drive_0412_rain", *, seed=0, count=30, truth=True, names=CLASSES, better=0.0, **changes):
    rows = frames_of(count, truth=truth, seed=seed, better=better)
    made = scores_of(confusion_of(seed, names, skill=0.8 + better), names, len(rows)) if truth else None
    source = "/labels/truth" if truth else ""
    values = {
        "name": name, "kind": "rosbag2 mcap", "start_ns": START_NS, "duration_s": 0.2 * count, "whole": True,
        "notes": [], "topics": topics(), "sensors": sensors(len(rows)), "outputs": len(rows), "problems": problems(),
        "faults": [
            schema.FaultUse(
                text="rgb dropout from 1.8 s to 3 s", name="rgb dropout", seen=12, changed=0, lost=12,
                spans_s=[(1.8, 3.0)],
            ),
            schema.FaultUse(
                text="lidar sector_loss from 4.2 s on", name="lidar sector_loss", seen=18, changed=18, lost=0,
                spans_s=[(4.2, 0.2 * count)],
            ),
        ],
        "truth": schema.Truth(kind="topic" if truth else "none", source=source, compared=len(rows)),
        "scores": made, "conditions": {}, "subsets": subsets(truth=truth, frames=len(rows)),
        "miss": 0.36 if truth else None, "indicators": indicators(), "frames": rows, "pictures": [], "timing": timing(),
    }  # fmt: skip
    return schema.BagVerdict(**{**values, **changes})


def verdict_of(bags, *, truth=True, names=CLASSES, better=0.0, **changes):
    counted = confusion_of(3, names, skill=0.8 + better)
    made = scores_of(counted, names, sum(one.outputs for one in bags)) if truth else None
    conditions = {
        "day": scores_of(counted * 2, names, 31),
        "night": scores_of(confusion_of(9, names, skill=0.7), names, 29),
    }
    values = {
        "model": model(names),
        "settings": {"size": "512", "subsets": "all", "faults": "faults.yaml", "rig": "found by type and name"},
        "bags": bags,
        "scores": made,
        "conditions": conditions if truth else {},
        "subsets": subsets(truth=truth),
        "miss": 0.36 if truth else None,
        "indicators": indicators(),
        "run": {"version": "0.1.0", "machine": "16 cores, no GPU", "started": "2026-04-12T08:30:00Z"},
    }
    return schema.Verdict(**{**values, **changes})


def picture_file(path, seed=0, *, width=320, height=240):
    """Write a JPEG that looks like labels over a street."""
    rng = np.random.default_rng(seed)
    pixels = np.full((height, width, 3), (200, 170, 120), np.uint8)
    cv2.rectangle(pixels, (0, height // 2), (width, height), (128, 64, 128), -1)
    for _ in range(12):
        x, y, *colour = (int(c) for c in rng.integers(0, (width, height, 255, 255, 255)))
        cv2.rectangle(pixels, (x, height // 3 + y), (x + 40, height // 3 + y + 30), colour, -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".jpg", pixels)[1].tobytes())


def pictures(folder, rows, name, count=5):
    """Make the pictures of the worst outputs, and what a verdict says of them."""
    found = []
    for number, row in enumerate(sorted(rows, key=lambda row: row.miou or 0)[:count]):
        file = f"pictures/{name}_{number}.jpg"
        picture_file(folder / file, number)
        why = "worst mIoU" if row.miou is not None else "least confident"
        shot = {"t_s": row.t_s, "stamp_ns": row.stamp_ns, "miou": row.miou, "used": row.used}
        found.append(schema.Picture(**shot, why=why, file=file))
    return found


def realistic(folder=None):
    """Two recordings, 25 classes, 15 subsets, faults."""
    notes = ["Found no CameraInfo for /depth/image_rect; took the camera's. Pass --rig to change it."]
    one, two = bag(), bag("drive_0413_night", seed=5, whole=False, notes=notes)
    if folder is not None:
        one = one.model_copy(update={"pictures": pictures(folder, one.frames, "a")})
        two = two.model_copy(update={"pictures": pictures(folder, two.frames, "b", 4)})
    return verdict_of([one, two])


def without_truth(folder=None):
    """One recording and nothing to compare with."""
    notes = ["No truth was found. Pass --truth with a label topic, a folder of PNGs or labelled points."]
    one = bag("warehouse", truth=False, notes=notes, faults=[])
    if folder is not None:
        one = one.model_copy(update={"pictures": pictures(folder, one.frames, "a", 3)})
    return verdict_of([one], truth=False)


def damaged():
    """A recording that gave nothing at all."""
    nothing = schema.Indicators(flicker=None, confidence=None, unlabelled=0.0)
    one = bag(
        "cut_off", count=0, truth=False, whole=False, topics=[], sensors=[], faults=[], duration_s=0.0, problems=[],
        subsets=[], indicators=nothing, timing=schema.Timing(stages_ms={}, wall_s=0.2, realtime=0.0),
        notes=["The file ends within its header: found 12 bytes. Copy the recording again."],
    )  # fmt: skip
    return verdict_of([one], truth=False, subsets=[], indicators=nothing)


def evil(folder):
    """Every string that can come from a recording is an attack."""
    names = (EVIL_CLASS, EVIL_TOPIC, "=cmd|' /C calc'!A0")
    picture_file(folder / "pictures" / "a.jpg")
    shots = [
        schema.Picture(t_s=0.1, stamp_ns=START_NS, why=EVIL_TOPIC, miou=None, used=[EVIL_TOPIC], file="pictures/a.jpg"),
        schema.Picture(t_s=0.2, stamp_ns=START_NS, why="outside", miou=None, used=[], file="../secret.jpg"),
        schema.Picture(t_s=0.3, stamp_ns=START_NS, why="a NUL", miou=None, used=[], file="pictures/\0.jpg"),
    ]
    used = ["rgb", EVIL_TOPIC, "x);}</style><b>"]
    row = schema.FrameRow(
        t_s=0.1, stamp_ns=START_NS, anchor=EVIL_TOPIC, used=used, condition=EVIL_TOPIC, confidence=0.5
    )
    rows = [row.model_copy(update={"t_s": 0.1 * k, "stamp_ns": START_NS + k, "miou": 0.5}) for k in range(5)]
    text = EVIL_TOPIC + "\x1b]0;owned\x07\u202e{{ 7 * 7 }}" + EVIL_CLASS
    one = bag(
        text,
        names=names,
        notes=[text],
        problems=[schema.Problem(source=text, kind=text, count=1, message=text)],
        faults=[schema.FaultUse(text=text, seen=1, changed=1, lost=1)],
        topics=[schema.TopicUse(topic=text, type=text, role=text, messages=1, why=text)],
        sensors=[sensors(1)[0].model_copy(update={"modality": text, "refused": 1, "absent": {text: 1}})],
        truth=schema.Truth(kind="topic", source=text, compared=1, note=text),
        subsets=[schema.SubsetRow(modalities=[text, "rgb"], frames=1, miou=0.5, agreement=1.0),
                 schema.SubsetRow(modalities=[text], frames=1, miou=0.4, agreement=0.5)],
        frames=rows,
        pictures=shots,
        timing=schema.Timing(stages_ms={text: quantiles(1.0)}, wall_s=1.0, realtime=2.0),
    )  # fmt: skip
    made = verdict_of([one], names=names, settings={text: text}, run={text: text}, subsets=one.subsets)
    return made.model_copy(update={"conditions": {text: made.scores}})
