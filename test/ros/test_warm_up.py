# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""After the warm-up nothing is compiled any more: a compiler that starts when the camera dies is seconds of silence."""

import gc

import numpy as np
from numba.core.dispatcher import Dispatcher

from any2seg_core.frames import CameraModel, Modality
from any2seg_core.inference import open_segmenter
from any2seg_core.projection.registration import register_depth
from any2seg_ros import compat
from any2seg_ros.conversions import decode_rvl, make
from any2seg_ros.overlay import overlay
from any2seg_ros.pipeline import Pipeline

SENSORS = (Modality.RGB, Modality.DEPTH, Modality.EVENT, Modality.LIDAR)
START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 50_000_000


def compiled_versions():
    loops = [found for found in gc.get_objects() if issubclass(type(found), Dispatcher)]
    return {(loop.py_func.__module__, loop.py_func.__name__): len(loop.signatures) for loop in loops}


def test_no_first_use_of_any_anchor_compiles(pipeline_config, sensor_message):
    config, camera_info = pipeline_config
    segmenter = open_segmenter(config.inference, SENSORS)
    pipeline = Pipeline(config, segmenter, lookup=lambda *_: None, report=lambda *_: None)
    pipeline.warm_up(48, 64)
    before = compiled_versions()

    anchors = set()
    for modality in (Modality.RGB, Modality.DEPTH, Modality.EVENT):
        pipeline.see_camera_info(modality, make(camera_info, compat.message_class))
    for step in range(80):
        stamp = START_NS + step * PERIOD_NS
        # Every 20 steps the best sensor left dies, until only the LiDAR lives.
        for modality in SENSORS[step // 20 :]:
            for match in pipeline.take(modality, sensor_message(modality, stamp), stamp - START_NS):
                answer = pipeline.answer(match)
                overlay(answer.labels, answer.frames, 0.5)
                anchors.add(answer.labels.anchor)
    assert anchors == set(SENSORS)
    assert compiled_versions() == before


def test_no_first_use_of_depth_from_elsewhere_or_packed_depth_compiles(pipeline_config):
    config, _ = pipeline_config
    segmenter = open_segmenter(config.inference, SENSORS)
    Pipeline(config, segmenter, lookup=lambda *_: None, report=lambda *_: None).warm_up(48, 64)
    before = compiled_versions()
    camera = CameraModel(3, 2, np.diag([9.0, 9.0, 1.0]), "plumb_bob", np.full(5, 0.01))
    assert register_depth(np.ones((2, 3), np.float32), camera, np.eye(4), camera).shape == (2, 3)
    received = np.frombuffer(np.array([1, 1, 0x01A00000], "<u4").tobytes(), np.uint8)
    assert decode_rvl(received).tolist() == [[1]]
    assert compiled_versions() == before
