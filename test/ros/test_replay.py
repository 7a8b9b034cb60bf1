# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""A recording of a simulated drive becomes a verdict, the same however often and on however many processes."""

import json
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from rosbags.highlevel import AnyReader

from any2seg_core.errors import Any2SegError, ConfigError, DependencyError
from any2seg_core.frames import DELIVER_CLASSES
from any2seg_ros.conversions import image_frame, stamp_ns
from any2seg_ros.replay.__main__ import main
from any2seg_ros.replay.cluster import LOCAL
from any2seg_ros.replay.many import replay
from any2seg_ros.replay.one import open_model
from any2seg_ros.replay.settings import ReplaySettings
from any2seg_ros.replay.verdict import Verdict
from any2seg_sim.recording import write_bag
from any2seg_sim.settings import DriveSettings

PARAMETERS = {"inference.checkpoint": "untrained", "inference.short_side_px": 32}
SETTINGS = ReplaySettings(parameters=PARAMETERS, subsets=True, pictures=2)


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    path = tmp_path_factory.mktemp("replay") / "street"
    drive = DriveSettings(
        width=64, height=48, seed=4, duration_s=1.0, samples=1, lidar_rings=16, lidar_columns=256, subframes=2
    )
    write_bag(path, drive)
    return path


@pytest.fixture(scope="module")
def out(bag, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    replay([bag], SETTINGS, folder)
    return folder


def read(folder):
    return Verdict.model_validate_json((folder / "report.json").read_text())


def lasting(verdict):
    """A verdict without what differs from run to run."""
    plain = verdict.model_dump(exclude={"run": True, "bags": {"__all__": {"timing"}}})
    return json.dumps(plain, sort_keys=True)


def test_the_verdict_tells_what_was_played_and_what_came_out(out):
    (bag,) = read(out).bags
    assert (bag.kind, bag.whole, bag.outputs, bag.truth.kind, bag.truth.compared) == (
        "rosbag2 mcap",
        True,
        10,
        "topic",
        10,
    )
    roles = {row.role: row.topic for row in bag.topics}
    assert roles["rgb"] == "/camera/image_raw"
    assert roles["lidar"] == "/lidar/points"
    sensors = {row.modality: row for row in bag.sensors}
    assert sensors["rgb"].used == sensors["rgb"].received == 10
    assert sensors["event"].received == 20
    assert sensors["lidar"].rate_hz == pytest.approx(10.0, rel=0.01)
    assert [row.used for row in bag.frames[2:8]] == [["rgb", "depth", "event", "lidar"]] * 6
    assert bag.notes == []
    assert bag.problems == []
    assert {"convert", "prepare", "model", "output", "subsets"} <= set(bag.timing.stages_ms)


def test_scores_are_those_of_the_labels(bag, tmp_path):
    """Count the labels that a replay writes back against the truth that the recording holds."""
    replay([bag], ReplaySettings(parameters=PARAMETERS, labels=True), tmp_path)
    images = {}
    for path in (bag, tmp_path / "labels" / "001"):
        with AnyReader([path]) as reader:
            for connection, _, raw in reader.messages():
                if connection.topic in ("/truth/labels", "/segmentation_node/labels"):
                    message = reader.deserialize(raw, connection.msgtype)
                    pixels = image_frame(message, "rgb").data[..., 0]
                    images.setdefault(connection.topic, {})[stamp_ns(message.header)] = pixels
    truth, labels = images["/truth/labels"], images["/segmentation_node/labels"]
    assert labels.keys() == truth.keys()
    pairs = [(truth[stamp], labels[stamp]) for stamp in labels]
    scores = read(tmp_path).scores
    for row in scores.classes:
        hits = sum(int(((t == row.id) & (p == row.id)).sum()) for t, p in pairs)
        union = sum(int(((t == row.id) | (p == row.id)).sum()) for t, p in pairs)
        assert row.iou == (pytest.approx(hits / union) if union else None)
    right = sum(int((t == p).sum()) for t, p in pairs) / sum(t.size for t, _ in pairs)
    assert scores.pixel_acc == pytest.approx(right)


def test_all_subsets_are_scored_and_no_frame_is_encoded_twice(bag, out, tmp_path, monkeypatch):
    verdict = read(out)
    assert len(verdict.subsets) == 15
    assert verdict.subsets[0].agreement == 1.0
    assert verdict.miss == pytest.approx(np.mean([row.miou for row in verdict.subsets]))
    assert min(row.agreement for row in verdict.subsets) < 0.9
    encoded = []
    for subsets in (False, True):
        models = []

        def kept(settings, models=models):
            models.append(open_model(settings))
            return models[-1]

        monkeypatch.setattr("any2seg_ros.replay.many.open_model", kept)
        replay([bag], ReplaySettings(parameters=PARAMETERS, subsets=subsets), tmp_path / str(subsets))
        encoded.append(models[0].encoded)
    assert encoded[0] == encoded[1] > 0


def test_one_process_or_two_give_the_same_report(bag, out, tmp_path):
    other = tmp_path / "copy" / "street"
    shutil.copytree(bag, other)
    one, two = (replay([bag, other], SETTINGS, tmp_path / f"{workers}", workers=workers) for workers in (1, 2))
    assert lasting(one) == lasting(two)
    assert [row.name for row in one.bags] == ["street (1)", "street (2)"]
    first, second = (row.model_dump(exclude={"timing", "name", "pictures"}) for row in one.bags)
    assert first == second == read(out).bags[0].model_dump(exclude={"timing", "name", "pictures"})
    assert one.scores.frames == 20
    np.testing.assert_array_equal(one.scores.confusion, 2 * np.array(read(out).scores.confusion))
    assert one.subsets[3].miou == pytest.approx(read(out).subsets[3].miou)


def test_a_ray_cluster_gives_the_same_report(bag, out, tmp_path):
    pytest.importorskip("ray")
    found = replay([bag], SETTINGS, tmp_path / "out", cluster=LOCAL)
    assert lasting(found) == lasting(read(out))


def test_a_ray_cluster_that_is_not_there_is_said(bag, tmp_path):
    pytest.importorskip("ray")
    with pytest.raises(ConfigError, match=r"found no Ray cluster at '127\.0\.0\.1:1' .*start it"):
        replay([bag], SETTINGS, tmp_path, cluster="127.0.0.1:1")


def test_ray_must_be_installed(bag, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(DependencyError, match=r"pip install any2seg\[ray\]"):
        replay([bag], SETTINGS, tmp_path, cluster=LOCAL)


def test_a_result_that_the_cluster_left_elsewhere_is_said(bag, tmp_path, monkeypatch):
    monkeypatch.setattr("any2seg_ros.replay.many.on_cluster", lambda *_, **__: iter([0]))
    with pytest.raises(ConfigError, match=r"found no result of 'street' in .*under the same paths"):
        replay([bag], SETTINGS, tmp_path, cluster=LOCAL)


def test_what_is_finished_is_not_done_again(bag, tmp_path, monkeypatch):
    played = []
    monkeypatch.setattr("any2seg_ros.replay.many.judge_bag", _counted(played))
    first = replay([bag], SETTINGS, tmp_path)
    again = replay([bag], SETTINGS, tmp_path)
    assert played == ["street"]
    assert lasting(first) == lasting(again)
    replay([bag], ReplaySettings(parameters=PARAMETERS, to_s=0.5), tmp_path)
    assert len(played) == 2
    (tmp_path / "bags/001.json").write_text("{ broken")
    replay([bag], SETTINGS, tmp_path)
    assert len(played) == 3


def _counted(played):
    from any2seg_ros.replay.one import judge_bag

    def judged(path, name, *rest):
        played.append(name)
        return judge_bag(path, name, *rest)

    return judged


def test_scripted_faults_fail_as_they_say(bag, tmp_path):
    script = {"faults": [{"sensor": "rgb", "kind": "dropout", "start_s": 0.3, "end_s": 0.75, "what": "camera dies"}]}
    verdict = replay([bag], ReplaySettings(parameters=PARAMETERS, faults=yaml.safe_dump(script)), tmp_path)
    (found,) = verdict.bags
    (fault,) = found.faults
    assert (fault.seen, fault.lost) == (5, 5)
    assert (fault.text, fault.name) == ("rgb dropout from 0.3 s to 0.75 s (camera dies)", "rgb dropout")
    assert fault.spans_s == [(0.3, 0.75)]
    dead = [row for row in found.frames if 0.45 < row.t_s < 0.75]
    assert dead
    assert all("rgb" not in row.used for row in dead)
    assert found.frames[-1].used == ["rgb", "depth", "event", "lidar"]
    assert next(row for row in found.sensors if row.modality == "rgb").used < 10


def test_parts_and_conditions_by_time(bag, tmp_path):
    ranges = {"early": [[0.0, 0.35]], "late": [[0.6, 9.0]]}
    verdict = replay([bag], ReplaySettings(parameters=PARAMETERS, ranges=ranges, from_s=0.15, to_s=0.85), tmp_path)
    conditions = [row.condition for row in verdict.bags[0].frames]
    assert {name: conditions.count(name) for name in verdict.conditions} == {
        name: scores.frames for name, scores in verdict.conditions.items()
    }
    assert set(verdict.conditions) == {"early", "late"}
    assert all(0.14 < row.t_s < 1.0 for row in verdict.bags[0].frames)
    assert 5 <= verdict.bags[0].outputs <= 8


def test_truth_from_a_folder_is_the_same_as_from_the_topic(bag, out, tmp_path):
    folder = tmp_path / "truth"
    folder.mkdir()
    with AnyReader([bag]) as reader:
        for connection, _, raw in reader.messages():
            if connection.topic == "/truth/labels":
                message = reader.deserialize(raw, connection.msgtype)
                cv2.imwrite(str(folder / f"{stamp_ns(message.header)}.png"), image_frame(message, "rgb").data[..., 0])
    settings = ReplaySettings(parameters=PARAMETERS, truth=f"folder:{folder}")
    assert replay([bag], settings, tmp_path / "out").scores == read(out).scores


def test_labelled_points_are_truth_where_they_fall(bag, tmp_path):
    verdict = replay([bag], ReplaySettings(parameters=PARAMETERS, truth="points:/truth/points"), tmp_path)
    (found,) = verdict.bags
    assert (found.truth.kind, found.truth.compared) == ("points", 10)
    pixels = sum(row.pixels for row in found.scores.classes)
    assert 10 * 50 < pixels < 10 * 64 * 48 / 2
    assert found.scores.classes[DELIVER_CLASSES.names.index("Sky")].pixels == 0


def test_without_truth_nothing_is_called_accuracy(bag, tmp_path):
    verdict = replay([bag], ReplaySettings(parameters=PARAMETERS, truth="none", subsets=True), tmp_path)
    assert verdict.scores is None
    assert verdict.miss is None
    assert {row.miou for row in verdict.subsets} == {None}
    assert 0 <= verdict.indicators.flicker <= 1
    assert verdict.indicators.confidence.count == 10


@pytest.mark.parametrize("truth", ["nonsense", "topic:/nowhere", "folder:/no/such/folder", "points:/truth/labels"])
def test_truth_that_is_none_is_refused(bag, tmp_path, truth):
    verdict = replay([bag], ReplaySettings(parameters=PARAMETERS, truth=truth), tmp_path)
    assert verdict.bags[0].outputs == 0
    assert "truth" in " ".join(verdict.bags[0].notes)


# The command ---------------------------------------------------------------------------------------------------------


def test_the_command_writes_the_report_and_keeps_the_gate(bag, tmp_path, capsys):
    given = [str(bag), "--checkpoint", "untrained", "--set", "inference.short_side_px=32", "--out", str(tmp_path)]
    assert main([*given, "--video", "--fail-under", "miou=0.0"]) == 0
    assert (tmp_path / "overlay.mp4").stat().st_size > 1000
    assert "<html" in (tmp_path / "report.html").read_text()
    pictures = read(tmp_path).bags[0].pictures
    assert len(pictures) == 8
    assert cv2.imread(str(tmp_path / pictures[0].file)).std() > 5
    assert main([*given, "--fail-under", "miou=0.99"]) == 1
    assert "miou" in capsys.readouterr().err


def test_a_dry_run_explains_the_topics_and_plays_nothing(bag, tmp_path, capsys):
    assert main([str(bag), "--dry-run", "--out", str(tmp_path / "none")]) == 0
    said = capsys.readouterr().out
    assert "/camera/image_raw  (an image of encoding 'rgb8')" in said
    assert "CameraInfo beside depth" in said
    assert not (tmp_path / "none").exists()


def test_a_rig_file_names_topics_and_parameters(bag, tmp_path):
    rig = Path(__file__).resolve().parents[2] / "config/rigs/street_simulator.yaml"
    given = [str(bag), "--checkpoint", "untrained", "--config", str(rig), "--set", "inference.short_side_px=32"]
    given += ["--set", "event.width_px=64", "--set", "event.height_px=48", "--out", str(tmp_path)]
    assert main(given) == 0
    assert {row.why for row in read(tmp_path).bags[0].topics if row.role == "depth"} == {"asked for"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--topic", "sonar=/x"], "found the role 'sonar'"),
        (["--topic", "rgb=/nowhere"], "found no topic '/nowhere' for rgb"),
        (["--topic", "rgb"], "expected NAME=VALUE"),
        (["--set", "sync.slop=3"], "sync.slop"),
        (["--config", "no/such.yaml"], "not readable"),
        (["--faults", "no/such.yaml"], "no/such.yaml"),
        (["--fail-under", "beauty=1"], "beauty"),
        (["--against", "no/report.json"], "no/report.json"),
        (["--checkpoint", "no/such/checkpoint"], "no/such/checkpoint"),
        (["--set", "modalities=[nir]"], "nir"),
    ],
)
def test_what_cannot_be_done_is_said(bag, tmp_path, capsys, arguments, message):
    given = [str(bag), "--set", "inference.short_side_px=32", "--out", str(tmp_path)]
    given += [] if "--checkpoint" in arguments else ["--checkpoint", "untrained"]
    assert main([*given, *arguments]) == 2
    said = capsys.readouterr()
    assert message in " ".join((said.err + said.out).split())


def test_settings_are_told_and_errors_are_ours():
    assert ReplaySettings(subsets=True).told() == {"subsets": "True", "truth": "auto"}
    with pytest.raises(Any2SegError):
        open_model(ReplaySettings(parameters={"inference.checkpoint": "no/such"}))


def test_subsets_of_a_model_that_remembers_are_refused(bag, tmp_path):
    torch = pytest.importorskip("torch")
    from any2seg_core.config import ModelConfig, PreprocessConfig
    from any2seg_core.model import build_model, save_checkpoint
    from any2seg_core.model.checkpoint import CheckpointInfo

    config = ModelConfig(embed_dim=16, previous="temporal")
    with torch.random.fork_rng():
        model = build_model(config, 25)
    info = CheckpointInfo("remembers", config, PreprocessConfig(short_side_px=32), DELIVER_CLASSES)
    save_checkpoint(tmp_path / "model", model, info)
    settings = ReplaySettings(parameters={"inference.checkpoint": str(tmp_path / "model")}, subsets=True)
    with pytest.raises(Any2SegError, match="'remembers', which remembers the frame before"):
        replay([bag], settings, tmp_path)
