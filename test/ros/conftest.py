# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""A segmentation node and a robot that feeds it, both real rclpy nodes in one process, talking DDS."""

import gc
import threading
import time
from dataclasses import dataclass, field

import numpy as np
import pytest

from any2seg_core.frames import CameraModel, Modality, Points
from any2seg_ros import compat
from any2seg_ros.conversions import (
    camera_info_fields,
    cloud_fields,
    columns_fields,
    image_fields,
    make,
    stamp_ns,
)
from any2seg_ros.conversions.geometry import quaternion

START_NS = 1_700_000_000_000_000_000
RECORDED_NS = 1_600_000_000_123_456_789
HEIGHT, WIDTH = 48, 64
FRAME_IDS = {Modality.RGB: "camera", Modality.DEPTH: "camera", Modality.EVENT: "event_camera", Modality.LIDAR: "lidar"}
TOPICS = {
    Modality.RGB: "rgb/image",
    Modality.DEPTH: "depth/image",
    Modality.EVENT: "event/events",
    Modality.LIDAR: "lidar/points",
}
CAMERAS = {Modality.RGB: "rgb/camera_info", Modality.DEPTH: "depth/camera_info", Modality.EVENT: "event/camera_info"}
# LiDAR axes (x forward, z up) seen from an optical frame (z forward, y down) at the same place.
LIDAR_IN_CAMERA = [0.0, 0.0, 0.0, 0.5, -0.5, 0.5, 0.5]
PARAMETERS = {
    "inference.checkpoint": "untrained",
    "inference.short_side_px": 32,
    "inference.threads": 1,
    "inference.warm_up_width_px": WIDTH,
    "inference.warm_up_height_px": HEIGHT,
    "autostart": False,
    "event.message": "point_cloud",
    "event.width_px": WIDTH,
    "event.height_px": HEIGHT,
    "event.cloud_time_unit": "ns",
    "lidar.extrinsic": LIDAR_IN_CAMERA,
    "diagnostics.period_s": 0.1,
}


def camera() -> CameraModel:
    k = np.array([[50.0, 0, WIDTH / 2 - 0.5], [0, 50.0, HEIGHT / 2 - 0.5], [0, 0, 1]])
    return CameraModel(WIDTH, HEIGHT, k, frame_id="camera")


def sensor_fields(modality: Modality, stamp: int, frame_id: str):
    """A plausible message of a sensor; its content depends on the stamp alone."""
    rng = np.random.default_rng(stamp % 2**32)
    if modality is Modality.RGB:
        pixels = rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        return image_fields(pixels, "rgb8", stamp_ns=stamp, frame_id=frame_id)
    if modality is Modality.DEPTH:
        depth = rng.uniform(1, 30, (HEIGHT, WIDTH)).astype(np.float32)
        return image_fields(depth, "32FC1", stamp_ns=stamp, frame_id=frame_id)
    if modality is Modality.LIDAR:
        xyz = np.column_stack([rng.uniform(5, 30, 500), rng.uniform(-5, 5, 500), rng.uniform(-2, 2, 500)])
        points = Points(xyz.astype(np.float32), rng.uniform(0, 255, 500).astype(np.float32))
        return cloud_fields(points, stamp_ns=stamp, frame_id=frame_id)
    columns = {
        "x": rng.integers(0, WIDTH, 200).astype(np.uint16),
        "y": rng.integers(0, HEIGHT, 200).astype(np.uint16),
        "t": np.sort(rng.integers(0, 9_000_000, 200)).astype(np.uint32),
        "p": rng.integers(0, 2, 200).astype(np.uint8),
    }
    return columns_fields(columns, stamp_ns=stamp, frame_id=frame_id)


@dataclass
class Heard:
    """Everything the node said, in order of arrival."""

    labels: list = field(default_factory=list)
    color: list = field(default_factory=list)
    overlay: list = field(default_factory=list)
    confidence: list = field(default_factory=list)
    used: list = field(default_factory=list)
    diagnostics: list = field(default_factory=list)
    times: list = field(default_factory=list)


class Robot:
    """Publishes sensors' messages and listens to the node."""

    def __init__(self, node, node_name: str) -> None:
        self.node = node
        self.heard = Heard()
        self.clock_ns = START_NS
        types = dict.fromkeys((Modality.LIDAR, Modality.EVENT), "sensor_msgs/msg/PointCloud2")
        types |= dict.fromkeys((Modality.RGB, Modality.DEPTH), "sensor_msgs/msg/Image")
        self.ports = {m: node.create_publisher(compat.message_class(types[m]), TOPICS[m], 50) for m in TOPICS}
        info = compat.message_class("sensor_msgs/msg/CameraInfo")
        self.camera_ports = {m: node.create_publisher(info, CAMERAS[m], 10) for m in CAMERAS}
        image = compat.message_class("sensor_msgs/msg/Image")
        array = compat.message_class("diagnostic_msgs/msg/DiagnosticArray")
        for topic in ("labels", "color", "overlay", "confidence"):
            kept = getattr(self.heard, topic)
            node.create_subscription(image, f"{node_name}/{topic}", kept.append, 50)
        node.create_subscription(image, f"{node_name}/labels", lambda _: self.heard.times.append(time.monotonic()), 50)
        node.create_subscription(array, f"{node_name}/used_sensors", self.heard.used.append, 50)
        node.create_subscription(array, "/diagnostics", self.heard.diagnostics.append, 50)

    def message(self, modality, stamp=None):
        stamp = self.clock_ns if stamp is None else stamp
        return make(sensor_fields(modality, stamp, FRAME_IDS[modality]), compat.message_class)

    def send(self, modality, message=None):
        message = self.message(modality) if message is None else message
        self.ports[modality].publish(message)
        return message

    def send_camera_infos(self, modalities=CAMERAS, model=None):
        for modality in modalities:
            fields = camera_info_fields(model or camera(), stamp_ns=self.clock_ns, frame_id=FRAME_IDS[modality])
            self.camera_ports[modality].publish(make(fields, compat.message_class))

    def tick(self, modalities, period_s=0.05):
        """One moment: every given sensor publishes, then its period passes."""
        begin = time.monotonic()
        self.clock_ns += round(period_s * 1e9)
        for modality in modalities:
            self.send(modality)
        time.sleep(max(0.0, begin + period_s - time.monotonic()))

    def drive_until(self, condition, modalities, timeout_s=10.0, period_s=0.05):
        """Let sensors publish until a condition holds; False if it never does."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            self.tick(modalities, period_s)
            if condition():
                return True
        return False

    def wait(self, condition, timeout_s=10.0):
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if condition():
                return True
            time.sleep(0.01)
        return False

    def used_sets(self):
        """What served each output, and the anchor, in order."""
        return [(m.status[0].message, {v.key: v.value for v in m.status[0].values}) for m in self.heard.used]

    def health(self, source):
        """The newest diagnostics of a sensor or of inference, as (level, message, values)."""
        for array in reversed(self.heard.diagnostics):
            for status in array.status:
                if status.name.endswith(f": {source}"):
                    return status.level, status.message, {v.key: v.value for v in status.values}
        return None

    def stamps(self):
        return [stamp_ns(message.header) for message in self.heard.labels]


class Stage:
    """Spins every node on a thread of its own, as separate programs would, and takes them down again."""

    def __init__(self, ros) -> None:
        self.ros = ros
        self.executors = pytest.importorskip("rclpy.executors")
        self.running = []

    def add(self, node):
        executor = self.executors.SingleThreadedExecutor()
        executor.add_node(node)
        thread = threading.Thread(target=executor.spin, daemon=True)
        self.running.append((node, executor, thread))
        thread.start()
        return node

    def segmentation_node(self, name="segmentation_node", cli_args=None, **overrides):
        from rclpy.parameter import Parameter

        from any2seg_ros.node import SegmentationNode

        values = {key.replace("__", "."): value for key, value in overrides.items()}
        wanted = [Parameter(key, value=value) for key, value in {**PARAMETERS, **values}.items()]
        return self.add(SegmentationNode(name, parameter_overrides=wanted, cli_args=cli_args))

    def robot(self, name="robot", node_name="/segmentation_node"):
        from rclpy.node import Node

        return Robot(self.add(Node(name)), node_name)

    def close(self):
        for _, executor, thread in self.running:
            executor.shutdown()
            thread.join(5)
        for node, _, _ in self.running:
            if hasattr(node, "stop"):
                node.stop()
            node.destroy_node()
        # Nodes hold themselves in cycles; a dead one that lingers would go on receiving.
        self.running.clear()
        gc.collect()


@pytest.fixture
def stage(ros):
    made = Stage(ros)
    yield made
    made.close()


@pytest.fixture
def started(stage):
    """A node that is up and a robot it listens to."""
    node = stage.segmentation_node()
    robot = stage.robot()
    assert node.start()
    ports = [*robot.ports.values(), *robot.camera_ports.values()]
    assert robot.wait(lambda: all(port.get_subscription_count() for port in ports))
    robot.send_camera_infos()
    time.sleep(0.2)
    return node, robot


@pytest.fixture
def sensor_message():
    """Makes a plausible rclpy message of a sensor at a stamp."""
    return lambda modality, stamp: make(sensor_fields(modality, stamp, FRAME_IDS[modality]), compat.message_class)


@pytest.fixture
def pipeline_config():
    """The settings of the node under test, and the intrinsics of its cameras."""
    from any2seg_core.config import NodeConfig, nest

    return NodeConfig.from_mapping(nest(PARAMETERS)), camera_info_fields(camera(), stamp_ns=START_NS)


@pytest.fixture(scope="session")
def camera_lidar_bag(shared_data, tmp_path_factory):
    """The camera image and the LiDAR scan of one moment as a rosbag2, and where the LiDAR stands."""
    cv2, writing, types = map(pytest.importorskip, ("cv2", "rosbags.rosbag2", "rosbags.typesys"))
    folder = shared_data / "opencalib_camera_lidar"
    rows = dict(line.split(":") for line in (folder / "calibration.txt").read_text().strip().splitlines())
    numbers = {name: np.array(values.split(), np.float64) for name, values in rows.items()}
    k, transform = numbers["K"].reshape(3, 3), numbers["T"].reshape(3, 4)
    camera = CameraModel(1920, 1200, k, "plumb_bob", np.append(numbers["D"], 0.0), frame_id="camera")
    scan = np.load(folder / "points.npz")
    xyz = np.column_stack([scan["x"], scan["y"], scan["z"]])
    image = cv2.cvtColor(cv2.imread(str(folder / "image.jpg")), cv2.COLOR_BGR2RGB)
    messages = {
        "/camera/camera_info": camera_info_fields(camera, stamp_ns=RECORDED_NS),
        "/lidar/points": cloud_fields(Points(xyz, scan["intensity"]), stamp_ns=RECORDED_NS, frame_id="lidar"),
        "/camera/image_raw": image_fields(image, "rgb8", stamp_ns=RECORDED_NS, frame_id="camera"),
    }
    path = tmp_path_factory.mktemp("bag") / "drive"
    store = types.get_typestore(types.Stores.LATEST)
    with writing.Writer(path, version=9, storage_plugin=writing.StoragePlugin.MCAP) as bag:
        for later, (topic, fields) in enumerate(messages.items()):
            connection = bag.add_connection(topic, fields.type, typestore=store)
            message = make(fields, store.types.__getitem__)
            bag.write(connection, RECORDED_NS + later * 1_000_000, store.serialize_cdr(message, fields.type))
    turn = quaternion(transform[:, :3])
    return path, [*transform[:, 3].tolist(), *(turn[axis] for axis in "xyzw")]
