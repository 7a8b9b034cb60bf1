# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""docs/troubleshooting.md quotes what the code prints, and the node, given a symptom, prints what the page quotes."""

import ast
import importlib.util
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from any2seg_core.config import NodeConfig, describe
from any2seg_core.frames import Absence, Modality, Points
from any2seg_ros import compat
from any2seg_ros.conversions import cloud_fields, image_fields, make

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
VARIES = "…"


@cache
def printed() -> tuple[str, ...]:
    """Every text in the code, what an f-string fills in replaced by one sign; docstrings left out."""
    texts = []
    for package in ("any2seg_core", "any2seg_ros"):
        for path in (ROOT / package).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            whole = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
            for node in ast.walk(tree):
                if isinstance(node, ast.JoinedStr):
                    whole |= {id(part) for part in node.values}
                    parts = [part.value if isinstance(part, ast.Constant) else VARIES for part in node.values]
                    texts.append("".join(parts))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in whole:
                    texts.append(node.value)
    return tuple(texts)


def holds(text: str, quote: str) -> bool:
    """Whether a text holds a quote's words in order, with other words only where the quote leaves a gap."""
    return bool(re.search(".*".join(map(re.escape, quote.split(VARIES))), text, re.DOTALL))


def is_printed(quote: str) -> bool:
    """Whether some text of the code holds a quote."""
    return any(holds(text, quote) for text in printed())


QUOTES = [line for block in re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL) for line in block.strip().splitlines()]
STATUSES = re.findall(
    r"^\| `([^`]+)`(?:, but no label image)? \|", PAGE.partition("## It does not start")[0], re.MULTILINE
)


def test_the_page_quotes_messages():
    assert len(QUOTES) >= 25
    assert len(STATUSES) == 7


@pytest.mark.parametrize("quote", QUOTES + STATUSES)
def test_a_quoted_message_is_one_that_the_code_prints(quote):
    assert len(quote.replace(VARIES, "").strip()) >= 10, "a quote that says next to nothing fits everything"
    assert is_printed(quote)


@pytest.mark.parametrize(
    "made_up", ["image: found a cat, expected a dog", "waiting for the second sensor", "… is not a lie"]
)
def test_a_message_that_nobody_prints_is_found_out(made_up):
    assert not is_printed(made_up)


def test_what_ros_itself_says_is_quoted_right():
    found = importlib.util.find_spec("rclpy")
    if found is None:
        pytest.skip("rclpy is not installed")
    # In a file of another name in Humble.
    sources = [path.read_text() for path in Path(found.origin).parent.glob("*event*.py")]
    (line,) = (quote for quote in re.findall(r"```console\n\s*(.*?)\n", PAGE) if quote.startswith("New publisher"))
    told = re.sub(r"'/rgb/image'", "'{}'", line.partition(" No messages")[0])
    assert any(told in re.sub(r'"\s*\n\s*f?"', "", source) for source in sources)


def test_every_parameter_that_is_named_exists():
    known = {setting.name for setting in describe(NodeConfig)}
    groups = {name.partition(".")[0] for name in known if "." in name}
    named = set(re.findall(rf"`((?:{'|'.join(groups)})\.[a-z_0-9]+)", PAGE))
    assert named
    assert named <= known


def test_every_reason_of_absence_is_explained():
    table = PAGE.partition("| `absent.…` |")[2].partition("\n\n")[0]
    explained = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    # never_seen has a section of its own; disabled is what the node says of a sensor that was switched off.
    assert explained == {reason.value for reason in Absence} - {"never_seen"} | {"disabled"}


def on_page(text: str) -> str:
    """The quote of the page that fits a text the node gave, or ""."""
    return next((quote for quote in QUOTES if holds(text, quote)), "")


def test_a_best_effort_publisher_is_not_heard_by_a_reliable_reader(stage):
    from rclpy.qos import QoSProfile, ReliabilityPolicy

    node = stage.segmentation_node(modalities=["rgb"], rgb__reliability="reliable")
    robot = stage.robot()
    message = robot.message(Modality.RGB)
    profile = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    robot.ports[Modality.RGB] = robot.node.create_publisher(type(message), "rgb/image", profile)
    assert node.start()
    assert robot.wait(lambda: robot.heard.diagnostics)
    for _ in range(10):
        robot.tick([Modality.RGB])
    robot.heard.diagnostics.clear()
    assert robot.wait(lambda: robot.health("rgb"))
    _, state, values = robot.health("rgb")
    assert (state, values["received"], values["rejected"]) == ("never_seen", "0", "0")
    assert robot.health("inference")[1] == "waiting for the first sensor"


def test_symptoms_of_four_sensors_lead_to_the_page(stage):
    """The camera is well; depth has another clock, events another layout, and nobody tells where the LiDAR sits."""
    from any2seg_ros.conversions import columns_fields

    node = stage.segmentation_node(lidar__extrinsic=[0.0] * 7)
    robot = stage.robot()
    assert node.start()
    assert robot.wait(lambda: all(port.get_subscription_count() for port in robot.ports.values()))
    robot.send_camera_infos()

    def moment():
        robot.tick([Modality.RGB, Modality.LIDAR])
        robot.send(Modality.DEPTH, robot.message(Modality.DEPTH, robot.clock_ns - 10**10))
        columns = {"x": np.zeros(3, np.uint16), "t": np.zeros(3, np.uint32), "p": np.zeros(3, np.uint8)}
        fields = columns_fields(columns, stamp_ns=robot.clock_ns, frame_id="event_camera")
        robot.send(Modality.EVENT, make(fields, compat.message_class))

    for _ in range(30):
        moment()
    assert robot.wait(lambda: robot.heard.used)
    moment()
    used, values = robot.used_sets()[-1]
    assert used == "rgb"
    assert values["absent.lidar"] == "no_transform"
    assert values["absent.depth"] in ("late", "stale")
    assert values["absent.event"] == "rejected"
    assert on_page(robot.health("lidar")[2]["last_problem"]).startswith("no transform from")
    assert on_page(robot.health("event")[2]["last_rejection"]).startswith("point cloud: found fields")
    assert float(robot.health("depth")[2]["stamp_age_s"]) - float(robot.health("rgb")[2]["stamp_age_s"]) > 9
    # The test's stamps are of 2023, the node's clock is the computer's: as with recorded time without use_sim_time.
    assert float(robot.health("rgb")[2]["stamp_age_s"]) > 1e6


@pytest.mark.parametrize(
    ("what", "begin"),
    [
        ("encoding", "image: found encoding"),
        ("no stamp", "header stamp is"),
        ("no camera info", "no camera intrinsics for"),
    ],
)
def test_a_refusal_is_on_the_page(pipeline_config, what, begin):
    """Through the pipeline, as the node calls it: what it reports is what diagnostics show."""
    problems = refusals(pipeline_config[0], what)
    assert problems
    assert all(on_page(text).startswith(begin) for text in problems)


def refusals(config, what):
    from any2seg_core.config import InferenceConfig
    from any2seg_core.inference import open_segmenter
    from any2seg_ros.pipeline import Pipeline

    settings = InferenceConfig(checkpoint="untrained", short_side_px=32, threads=1, device="cpu")
    told = []
    segmenter = open_segmenter(settings, list(Modality))
    pipeline = Pipeline(config, segmenter, lookup=lambda *_: None, report=lambda *problem: told.append(problem[2]))
    stamp_ns = 0 if what == "no stamp" else 10**18
    pixels = np.zeros((48, 64, 3), np.uint8)
    message = make(image_fields(pixels, "rgb8", stamp_ns=stamp_ns, frame_id="camera"), compat.message_class)
    if what == "encoding":
        message.encoding = "jpg"
    matches = []
    if what == "no camera info":
        points = Points(np.ones((4, 3), np.float32), np.ones(4, np.float32))
        cloud = make(cloud_fields(points, stamp_ns=stamp_ns, frame_id="lidar"), compat.message_class)
        matches += pipeline.take(Modality.LIDAR, cloud, 1)
    matches += pipeline.take(Modality.RGB, message, 2)
    for match in [*matches, *pipeline.intake.poll(10**9)]:
        pipeline.answer(match)
    return told


def test_a_missing_checkpoint_is_on_the_page(stage, capfd):
    node = stage.segmentation_node(inference__checkpoint="")
    assert not node.start()
    assert "inference.checkpoint is empty" in on_page(capfd.readouterr().err)


@pytest.mark.parametrize("page", ["docs/troubleshooting.md", "docs/rigs.md", "QUALITY_DECLARATION.md"])
def test_links_lead_somewhere(page):
    path = ROOT / page
    text = path.read_text(encoding="utf-8")
    for target, _, anchor in (link.partition("#") for link in re.findall(r"\]\(([^)\s]+)\)", text)):
        if target.startswith("http"):
            continue
        linked = path if not target else (path.parent / target).resolve()
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{target}#{anchor}"
