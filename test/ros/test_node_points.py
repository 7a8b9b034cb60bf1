# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Through real topics: the LiDAR's scan with labels, how long each stage took, several cameras that change."""

import numpy as np

from any2seg_core.frames import DELIVER_CLASSES, UNLABELLED, CameraModel, Modality
from any2seg_ros import compat
from any2seg_ros.conversions import camera_model, cloud_columns, stamp_ns

SENSORS = (Modality.RGB, Modality.DEPTH, Modality.EVENT, Modality.LIDAR)
SIZE = (48, 64)


def listen(robot, kind, topic):
    heard = []
    robot.node.create_subscription(compat.message_class(kind), f"/segmentation_node/{topic}", heard.append, 50)
    return heard


def test_the_scan_comes_with_labels_under_its_own_header_each_scan_once(started):
    _, robot = started
    clouds = listen(robot, "sensor_msgs/msg/PointCloud2", "points")
    # The LiDAR sends with every third image, a little before it, and its scan serves the images between.
    for step in range(200):
        robot.clock_ns += 50_000_000
        if step % 3 == 0:
            robot.send(Modality.LIDAR, robot.message(Modality.LIDAR, robot.clock_ns - 10_000_000))
        robot.tick([Modality.RGB, Modality.DEPTH], 0)
        robot.wait(lambda: False, 0.05)
        if len(clouds) >= 4:
            break
    stamps = [stamp_ns(cloud.header) for cloud in clouds]
    assert len(stamps) >= 4
    assert stamps == sorted(set(stamps))
    assert {(cloud.header.frame_id, cloud.width, cloud.height) for cloud in clouds} == {("lidar", 500, 1)}
    for cloud in clouds:
        sent = cloud_columns(robot.message(Modality.LIDAR, stamp_ns(cloud.header)), ["x", "y", "z", "intensity"])
        told = cloud_columns(cloud, ["x", "y", "z", "intensity", "label", "confidence", "rgb"])
        for name, column in sent.items():
            np.testing.assert_array_equal(told[name], column)
        label, unseen = told["label"], told["label"] == UNLABELLED
        assert not np.any(told["confidence"][unseen])
        assert 0.2 < np.mean(unseen) < 0.9, "some points lie outside the image, some in it"
        bits = np.ascontiguousarray(told["rgb"], np.float32).view(np.uint32)
        colours = DELIVER_CLASSES.colours[label[~unseen]].astype(np.uint32)
        assert np.array_equal(bits[~unseen], colours @ np.array([65536, 256, 1], np.uint32))
    # Each point's label is that of its pixel in an image of about the same moment.
    seen = label != UNLABELLED
    u = 31.5 - 50 * told["y"][seen] / told["x"][seen]
    v = 23.5 - 50 * told["z"][seen] / told["x"][seen]
    at = np.floor(v + 0.5).astype(int), np.floor(u + 0.5).astype(int)

    def agrees(message):
        return np.mean(np.frombuffer(message.data, np.uint8).reshape(SIZE)[at] == label[seen]) > 0.99

    assert robot.wait(lambda: any(map(agrees, robot.heard.labels))), "rounding may decide at few pixels' edges alone"


def test_each_output_tells_how_long_its_stages_took_and_diagnostics_sum_them_up(started):
    _, robot = started
    timings = listen(robot, "diagnostic_msgs/msg/DiagnosticArray", "debug/timing")
    assert robot.drive_until(lambda: len(timings) >= 5, SENSORS)
    stages = ("wait_ms", "prepare_ms", "model_ms", "publish_ms")
    for message in timings:
        (status,) = message.status
        values = {pair.key: float(pair.value) for pair in status.values}
        assert tuple(values) == (*stages, "latency_ms")
        assert min(values.values()) >= 0
        assert 0 < sum(values[stage] for stage in stages) <= values["latency_ms"] + 0.01
        assert (status.name, message.header.frame_id) == ("/segmentation_node: timing", "camera")
    assert robot.wait(lambda: {stamp_ns(m.header) for m in timings} <= set(robot.stamps()))
    _, _, values = robot.health("inference")
    for stage in ("wait", "prepare", "model", "publish", "latency"):
        assert 0 <= float(values[f"{stage}_p50_ms"]) <= float(values[f"{stage}_p95_ms"])
    assert (values["model"], values["device"], values["short_side_px"]) == ("untrained", "cpu", "32")
    assert {"queue_waiting", "queue_open"} <= values.keys()
    assert not any(key.startswith("gpu_memory") for key in values), "there is none to tell of on a CPU"
    # The robot's clock began in 2023, so its stamps are old by now.
    assert float(robot.health("rgb")[2]["stamp_age_s"]) > 1e6


def test_several_cameras_change_their_intrinsics_while_the_node_runs(started):
    _, robot = started
    infos = listen(robot, "sensor_msgs/msg/CameraInfo", "camera_info")

    def focal():
        return infos and camera_model(infos[-1]).k[0, 0]

    def seen_by(modality, focal_px, frame_id="camera"):
        k = np.array([[focal_px, 0, 31.5], [0, focal_px, 23.5], [0, 0, 1]])
        robot.send_camera_infos([modality], CameraModel(64, 48, k, frame_id=frame_id))

    assert robot.drive_until(lambda: focal() == 50, SENSORS)
    for modality, focal_px in ((Modality.DEPTH, 70.0), (Modality.RGB, 60.0), (Modality.EVENT, 80.0)):
        seen_by(modality, focal_px)
    # The labels are the camera's, whatever others say of themselves; when it dies, they are its successor's.
    assert robot.drive_until(lambda: focal() == 60, SENSORS)
    assert robot.drive_until(lambda: focal() == 70, SENSORS[1:])
    seen_by(Modality.DEPTH, 75.0)
    assert robot.drive_until(lambda: focal() == 75, SENSORS[1:])
    assert robot.drive_until(lambda: focal() == 80, SENSORS[2:])
    assert robot.drive_until(lambda: focal() == 60, SENSORS)
