# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""segmentation_node through real topics: every subset of sensors, outputs, parameters, life cycle."""

import itertools
import re
import time

import numpy as np
import pytest

from any2seg_core.frames import DELIVER_CLASSES, Modality, subset_key
from any2seg_ros.conversions import stamp_ns

SENSORS = (Modality.RGB, Modality.DEPTH, Modality.EVENT, Modality.LIDAR)
SUBSETS = [subset for size in range(1, 5) for subset in itertools.combinations(SENSORS, size)]
SIZE = (48, 64)


@pytest.mark.parametrize("subset", SUBSETS, ids=subset_key)
def test_every_subset_of_sensors_gives_an_output_with_its_anchors_header(started, subset):
    _, robot = started
    served = lambda: [pair for pair in robot.used_sets() if pair[0] == subset_key(subset)]  # noqa: E731
    assert robot.drive_until(lambda: served() and robot.heard.labels, subset), robot.used_sets()
    assert robot.wait(lambda: len(robot.heard.labels) == len(robot.heard.used))
    # The preferred living sensor is the anchor, and the output carries the header of one of its messages.
    anchor = subset[0]
    assert served()[0][1]["anchor"] == anchor.value
    last = robot.heard.labels[-1]
    assert (last.height, last.width, last.encoding) == (*SIZE, "mono8")
    assert last.header.frame_id == robot.message(anchor).header.frame_id
    period_ns = 50_000_000
    assert (robot.clock_ns - stamp_ns(last.header)) % period_ns == 0
    assert 0 <= robot.clock_ns - stamp_ns(last.header) < 20 * period_ns
    assert max(np.frombuffer(last.data, np.uint8)) < len(DELIVER_CLASSES)


def test_outputs_agree_with_each_other_and_come_only_on_request(started):
    _, robot = started
    assert robot.drive_until(lambda: len(robot.heard.overlay) >= 2 and len(robot.heard.confidence) >= 2, SENSORS)
    time.sleep(0.3)
    by_stamp = {
        topic: {stamp_ns(m.header): m for m in getattr(robot.heard, topic)}
        for topic in ("labels", "color", "overlay", "confidence")
    }
    stamp = max(set.intersection(*map(set, by_stamp.values())))
    labels = np.frombuffer(by_stamp["labels"][stamp].data, np.uint8).reshape(SIZE)
    color = np.frombuffer(by_stamp["color"][stamp].data, np.uint8).reshape(*SIZE, 3)
    np.testing.assert_array_equal(color, DELIVER_CLASSES.colourize(labels))
    confidence = np.frombuffer(by_stamp["confidence"][stamp].data, np.float32).reshape(SIZE)
    assert by_stamp["confidence"][stamp].encoding == "32FC1"
    assert confidence.min() > 0
    assert confidence.max() <= 1
    # The overlay mixes colour and camera half and half.
    camera = np.frombuffer(robot.message(Modality.RGB, stamp).data, np.uint8).reshape(*SIZE, 3)
    overlay = np.frombuffer(by_stamp["overlay"][stamp].data, np.uint8).reshape(*SIZE, 3)
    assert np.abs(overlay.astype(float) - (color / 2 + camera / 2)).max() <= 1


def test_nothing_is_published_that_nobody_subscribes_to(stage):
    node = stage.segmentation_node()
    robot = stage.robot()
    for subscription in list(robot.node.subscriptions):
        if subscription.topic_name.endswith(("/overlay", "/confidence", "/color")):
            robot.node.destroy_subscription(subscription)
    counts = {"overlay": 0}
    published = node.create_lifecycle_publisher

    def counting(kind, topic, *args, **kwargs):
        publisher = published(kind, topic, *args, **kwargs)
        send = publisher.publish
        publisher.publish = lambda message: (counts.update({topic: counts.get(topic, 0) + 1}), send(message))[1]
        return publisher

    node.create_lifecycle_publisher = counting
    assert node.start()
    assert robot.wait(lambda: robot.ports[Modality.RGB].get_subscription_count())
    assert robot.drive_until(lambda: len(robot.heard.labels) >= 3, SENSORS)
    assert counts["~/labels"] >= 3
    assert not {"~/overlay", "~/confidence", "~/color"} & set(counts)


def test_labels_keep_the_order_of_their_stamps(started):
    _, robot = started
    assert robot.drive_until(lambda: len(robot.heard.labels) >= 20, SENSORS)
    stamps = robot.stamps()
    assert stamps == sorted(set(stamps))


def test_the_node_can_be_taken_down_and_brought_up_again(started):
    node, robot = started
    assert robot.drive_until(lambda: robot.heard.labels, SENSORS)
    for _ in range(2):
        node.trigger_deactivate()
        time.sleep(0.2)
        before = len(robot.heard.labels)
        for _ in range(5):
            robot.tick(SENSORS)
        assert len(robot.heard.labels) == before
        node.trigger_cleanup()
        node.trigger_configure()
        node.trigger_activate()
        assert robot.wait(lambda: robot.ports[Modality.RGB].get_subscription_count())
        robot.send_camera_infos()
        assert robot.drive_until(lambda: len(robot.heard.labels) > before, SENSORS)  # noqa: B023


def test_live_parameters_change_and_others_are_refused_with_a_reason(started):
    from rclpy.parameter import Parameter

    node, _ = started
    assert node.set_parameters([Parameter("output.overlay_alpha", value=0.25)])[0].successful
    (refused,) = node.set_parameters([Parameter("sync.max_wait_s", value=0.2)])
    assert not refused.successful
    assert "deactivate and clean up" in refused.reason
    (out_of_range,) = node.set_parameters([Parameter("output.overlay_alpha", value=2.0)])
    assert not out_of_range.successful


REFUSED = {
    "unknown key": ({"sync.max_wait": 0.1}, r"'sync.max_wait' is not a setting, the nearest is 'sync.max_wait_s'"),
    "out of bounds": ({"sync.max_wait_s": 11.0}, r"sync.max_wait_s: found 11.0, input should be less than or equal"),
    "wrong type": ({"output.overlay_alpha": "half"}, r"output.overlay_alpha: found 'half'"),
    "no such sensor": ({"modalities": ["rgb", "radar"]}, r"each name once, out of rgb, depth, event, lidar"),
    "no checkpoint": ({"inference.checkpoint": ""}, r"inference.checkpoint"),
    "missing checkpoint": ({"inference.checkpoint": "/nowhere"}, r"/nowhere"),
    "no such device": ({"inference.device": "cuda:99"}, r"cuda"),
    "event packets": ({"event.message": "event_packet"}, r"event_camera_msgs|point_cloud"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_start_is_refused_with_what_to_do(stage, capfd, case):
    overrides, expected = REFUSED[case]
    node = stage.segmentation_node(**{key.replace(".", "__"): value for key, value in overrides.items()})
    assert not node.start()
    time.sleep(0.2)
    assert re.search(expected, capfd.readouterr().err)


def test_whole_numbers_are_taken_for_floats(stage):
    node = stage.segmentation_node(sync__max_wait_s=0)
    assert node.get_parameter("sync.max_wait_s").value == 0.0
    assert isinstance(node.get_parameter("sync.max_wait_s").value, float)
    assert node.start()


def test_parameters_are_described_with_their_bounds(stage):
    node = stage.segmentation_node()
    found = node.describe_parameter("output.overlay_alpha")
    assert found.description
    assert (found.floating_point_range[0].from_value, found.floating_point_range[0].to_value) == (0.0, 1.0)
    assert "while the node runs" in found.additional_constraints
