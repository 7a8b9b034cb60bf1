# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Rig files: parameters that exist, topics of the node, drivers' messages accepted, nodes that run with them."""

import importlib.util
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from any2seg_core.config import InferenceConfig, NodeConfig, nest
from any2seg_core.frames import Modality
from any2seg_ros import compat
from any2seg_ros.conversions import PointTime, camera_info_fields, cloud_frame, make
from any2seg_ros.event_codecs import EVENT_PACKET_DEFINITION
from any2seg_ros.intake import Intake
from any2seg_ros.topics import CAMERA_INFO_TOPICS, DATA_TOPICS

FOLDER = Path(__file__).resolve().parents[2] / "config" / "rigs"
RIGS = sorted(path.stem for path in FOLDER.glob("*.yaml"))
SINGLE = ("davis", "hesai", "livox", "ouster", "prophesee", "realsense_d4xx", "velodyne", "zed")
INPUTS = {topic: modality for topics in (DATA_TOPICS, CAMERA_INFO_TOPICS) for modality, topic in topics.items()}
LIDAR_IN_CAMERA = [0.0, 0.0, 0.0, 0.5, -0.5, 0.5, 0.5]

_SPEC = importlib.util.spec_from_file_location("rig_messages", Path(__file__).with_name("rig_messages.py"))
drivers = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(drivers)


def rig(name):
    sections = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    assert set(sections) == {"topics", "parameters"}
    return sections["topics"], sections["parameters"]


def config(name, **changes):
    return NodeConfig.from_mapping(nest({**rig(name)[1], **changes}), source=name)


def taken(settings, modality, message):
    """What an intake of these settings makes of a message: what it reported, and the sensor's status."""
    problems = []
    modalities = [Modality(name) for name in settings.modalities]
    intake = Intake(settings, modalities, event_window_s=0.05, report=lambda *problem: problems.append(problem))
    intake.add(modality, message, 1)
    return problems, intake.states(1)[modality]


def test_all_rigs_are_here():
    assert set(RIGS) == {*SINGLE, "robot_ground", "robot_drone", "street_simulator"}


def test_the_page_lists_every_rig_with_frames_that_its_file_names():
    page = (FOLDER.parents[1] / "docs" / "rigs.md").read_text()
    rows = {row.split("`")[1]: row.split("|") for row in page.splitlines() if row.startswith("| [`")}
    assert sorted(rows) == RIGS
    for name in SINGLE:
        frames = rows[name][5].split("`")[1::2]
        assert frames
        assert all(frame in (FOLDER / f"{name}.yaml").read_text() for frame in frames)


@pytest.mark.parametrize("name", RIGS)
def test_a_rig_sets_parameters_that_exist_and_topics_of_its_own_sensors(name):
    topics, _ = rig(name)
    modalities = {Modality(known) for known in config(name).modalities}
    assert set(topics) <= set(INPUTS)
    assert {INPUTS[topic] for topic in topics} == modalities
    assert {DATA_TOPICS[modality] for modality in modalities} <= set(topics)


@pytest.mark.parametrize("name", [name for name in RIGS if name != "street_simulator"])
def test_topics_are_relative_so_that_a_namespace_holds_a_whole_robot(name):
    assert not [topic for topic in rig(name)[0].values() if topic.startswith(("/", "~"))]


@pytest.mark.parametrize("name", SINGLE)
def test_a_drivers_rig_says_where_its_names_come_from(name):
    head = (FOLDER / f"{name}.yaml").read_text().partition("topics:")[0]
    assert head.count("https://github.com/") >= 2
    assert "ros2 launch " in head


@pytest.mark.parametrize(
    ("robot", "parts"),
    [("robot_ground", ("realsense_d4xx", "ouster", "prophesee")), ("robot_drone", ("davis", "livox"))],
)
def test_an_example_robot_says_what_its_sensors_rigs_say(robot, parts):
    topics, parameters = rig(robot)
    assert topics == {name: topic for part in parts for name, topic in rig(part)[0].items()}
    for part in parts:
        own = {name: value for name, value in rig(part)[1].items() if name != "modalities"}
        assert own.items() <= parameters.items()
        assert set(rig(part)[1]["modalities"]) <= set(parameters["modalities"])


def test_the_simulators_rig_names_the_simulators_topics_and_size():
    from any2seg_sim import messages
    from any2seg_sim.settings import DriveSettings

    topics, _ = rig("street_simulator")
    assert topics == {
        "rgb/image": messages.CAMERA_TOPIC,
        "rgb/camera_info": messages.CAMERA_INFO_TOPIC,
        "depth/image": messages.DEPTH_TOPIC,
        "depth/camera_info": messages.DEPTH_INFO_TOPIC,
        "event/events": messages.EVENT_TOPIC,
        "event/camera_info": messages.EVENT_INFO_TOPIC,
        "lidar/points": messages.LIDAR_TOPIC,
    }
    event, drive = config("street_simulator").event, DriveSettings()
    assert (event.message, event.width_px, event.height_px) == ("point_cloud", drive.width, drive.height)


@pytest.mark.parametrize(("name", "modality"), [(n, m) for n, made in drivers.MESSAGES.items() for m in made])
def test_a_drivers_message_is_accepted(name, modality):
    message = drivers.MESSAGES[name][modality](drivers.STAMP_NS)
    problems, status = taken(config(name), modality, message)
    assert problems == []
    assert (status.received, status.rejected, status.last_stamp_ns) == (1, 0, drivers.STAMP_NS)


@pytest.mark.parametrize("name", sorted(drivers.EVENTS))
def test_a_drivers_event_packet_is_accepted(name):
    typesys = pytest.importorskip("rosbags.typesys")
    store = typesys.get_typestore(typesys.Stores.LATEST)
    packet = "event_camera_msgs/msg/EventPacket"
    store.register(typesys.get_types_from_msg(EVENT_PACKET_DEFINITION, packet))
    encoding, frame_id = drivers.EVENTS[name]
    message = drivers.event_packet(encoding, frame_id, store.types.__getitem__)
    problems, status = taken(config(name), Modality.EVENT, message)
    assert problems == []
    assert (status.received, status.rejected) == (1, 0)
    from any2seg_ros.event_codecs import EventReader

    events = EventReader().frame(message).data
    assert list(zip(events.x.tolist(), events.y.tolist(), events.polarity.tolist(), strict=True)) == [
        (7, 5, 1),
        (9, 5, 0),
    ]


@pytest.mark.parametrize(("name", "first_s"), [("ouster", 0.0), ("velodyne", -0.1), ("hesai", 0.0), ("livox", 0.0)])
def test_points_times_are_read_in_the_drivers_unit(name, first_s):
    settings = config(name).lidar
    message = drivers.MESSAGES[name][Modality.LIDAR](drivers.STAMP_NS)
    points = cloud_frame(message, time=PointTime(settings.time_field, settings.time_unit)).data
    after_s = (points.t_ns - drivers.STAMP_NS) * 1e-9
    assert len(points) == 99  # one of the hundred was no return
    np.testing.assert_allclose([after_s.min(), after_s.max()], [first_s, first_s + 0.1], atol=1e-6)


def test_a_livox_whose_clock_began_at_zero_is_read_too():
    # Two minutes after it was switched on: as numbers alone, 1.2e11 could as well be milliseconds since 1970.
    settings, stamp_ns = config("livox").lidar, 120_000_000_000
    message = drivers.livox(stamp_ns)
    points = cloud_frame(message, time=PointTime(settings.time_field, settings.time_unit)).data
    assert (points.t_ns.min() - stamp_ns, points.t_ns.max() - stamp_ns) == (0, 100_000_000)
    assert cloud_frame(message, time=PointTime(settings.time_field)).data.t_ns is None


def test_the_example_extrinsic_lays_points_ahead_of_the_lidar_into_the_image():
    from any2seg_ros.calibration import stated_extrinsic

    transform = stated_extrinsic(config("robot_drone").lidar.extrinsic, "lidar.extrinsic")
    # LiDAR: x forward, y left, z up, 8 cm above and 5 cm behind the camera. Optical frame: x right, y down, z forward.
    right, down, ahead, _ = transform @ [10.0, 2.0, 1.0, 1.0]
    np.testing.assert_allclose([right, down, ahead], [-2.0, -1.08, 9.95], atol=1e-9)


def publisher_profile(name, modality):
    """How the driver publishes, as its sources say."""
    from any2seg_ros import qos

    best_effort = name == "ouster" or modality is Modality.EVENT
    return qos.stream("best_effort" if best_effort else "reliable", 5)


def camera_info(name, frame_id):
    from any2seg_core.frames import CameraModel

    k = np.array([[60.0, 0, 31.5], [0, 60.0, 23.5], [0, 0, 1]])
    # The rectified ZED states the distortion of the raw image, with P of the rectified one.
    d = np.array([0.3, 0.1, 0, 0, 0, 0, 0, 0]) if name == "zed" else np.zeros(5)
    model = "rational_polynomial" if name == "zed" else "plumb_bob"
    camera = CameraModel(drivers.WIDTH, drivers.HEIGHT, k, model, d, frame_id=frame_id)
    return make(camera_info_fields(camera, stamp_ns=drivers.STAMP_NS), compat.message_class)


class Drivers:
    """Publishes what the drivers of some rigs do, on the topics and with the QoS that they have."""

    def __init__(self, node, names):
        self.sensors, self.infos = [], []
        for name in names:
            topics = rig(name)[0]
            for modality, made in drivers.MESSAGES[name].items():
                profile = publisher_profile(name, modality)
                message = made(drivers.STAMP_NS)
                self.sensors.append(
                    (node.create_publisher(type(message), topics[DATA_TOPICS[modality]], profile), made)
                )
                info_topic = topics.get(CAMERA_INFO_TOPICS.get(modality))
                if info_topic:
                    info = camera_info(name, message.header.frame_id)
                    self.infos.append((node.create_publisher(type(info), info_topic, profile), info))

    def connected(self):
        return all(port.get_subscription_count() for port, _ in [*self.sensors, *self.infos])

    def tick(self, stamp_ns):
        for port, info in self.infos:
            port.publish(info)
        for port, made in self.sensors:
            port.publish(made(stamp_ns))


@pytest.mark.parametrize(
    ("names", "used"),
    [
        (("realsense_d4xx", "velodyne"), "rgb+depth+lidar"),
        (("zed", "ouster"), "rgb+depth+lidar"),
        (("livox",), "lidar"),
    ],
    ids=["realsense velodyne", "zed ouster", "livox alone"],
)
def test_a_node_runs_with_the_rig_and_hears_its_drivers(stage, names, used):
    topics, parameters = {}, {}
    for name in names:
        topics |= rig(name)[0]
        parameters |= rig(name)[1]
    parameters["modalities"] = used.split("+")
    parameters["lidar.extrinsic"] = LIDAR_IN_CAMERA  # as TF would have it
    if used == "lidar":
        parameters |= {"view.width_px": 64, "view.height_px": 48, "view.fx_px": 60.0, "view.fy_px": 60.0}
        parameters |= {"view.cx_px": 31.5, "view.cy_px": 23.5}
    remaps = [word for name, topic in topics.items() for word in ("-r", f"{name}:={topic}")]
    node = stage.segmentation_node(cli_args=["--ros-args", *remaps], **parameters)
    robot = stage.robot()
    sensors = Drivers(robot.node, names)
    assert node.start()
    assert robot.wait(sensors.connected)
    deadline, stamp_ns = time.monotonic() + 20, drivers.STAMP_NS
    while time.monotonic() < deadline and used not in [m.status[0].message for m in robot.heard.used]:
        stamp_ns += 100_000_000
        sensors.tick(stamp_ns)
        time.sleep(0.1)
    assert used in [m.status[0].message for m in robot.heard.used]
    assert robot.wait(lambda: robot.heard.labels)
    assert not [level for level, *_ in filter(None, map(robot.health, used.split("+"))) if level == b"\x02"]


def test_a_node_refuses_events_where_their_package_is_missing_and_says_what_to_do(ros):
    if compat.optional_type("event_packet") is not None:
        pytest.skip("event_camera_msgs is installed")
    from any2seg_core.errors import DependencyError
    from any2seg_ros.topics import message_type

    with pytest.raises(DependencyError, match=r"install it, set event\.message to point_cloud or image"):
        message_type(Modality.EVENT, config("prophesee").event.message)


def test_a_wrong_rig_is_told_by_the_nodes_own_check():
    from any2seg_core.errors import ConfigError

    with pytest.raises(ConfigError, match=r"'lidar\.max_age' is not a setting, the nearest is 'lidar\.max_age_s'"):
        config("ouster", **{"lidar.max_age": 0.3})
    assert config("ouster").inference == InferenceConfig()
