# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Turn the record of a demo run into files that a stranger can open: numbers, pictures, a film, a page.

Every file is written beside its place and then renamed, report.json last: where it stands, all the others do.
"""

from __future__ import annotations

import base64
import importlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PIL import Image

from any2seg_core.errors import DependencyError
from any2seg_core.frames import Modality
from any2seg_core.metrics import AbsentClasses
from any2seg_ros.replay.show.files import renamed_when_done
from any2seg_ros.replay.show.theme import LIGHT, theme_css
from any2seg_sim.demo.charts import NARROW_PX, latency_chart
from any2seg_sim.demo.drawing import SENSOR_NAMES
from any2seg_sim.demo.pictures import Tile, legend_colours, moment_title, moments, seen_classes, strip, tiles
from any2seg_sim.demo.record import read_picture
from any2seg_sim.demo.summary import DemoReport, summarise, summary_table
from any2seg_sim.demo.timeline import timeline
from any2seg_sim.demo.video import frames, write_video

if TYPE_CHECKING:
    from any2seg_sim.demo.record import DemoRecord, OutputRecord

__all__ = ["DemoReport", "summarise", "summary_table", "write_report"]

EMBED_BELOW_BYTES: Final = 8_000_000
"""A smaller film travels inside the page; a larger one is linked."""
_TILE_PX: Final = 480
_TEMPLATES: Final = Path(__file__).parent / "templates"


def write_report(
    record: DemoRecord, folder: Path, *, policy: AbsentClasses = AbsentClasses.PRESENT, video: bool = True
) -> DemoReport:
    """Write report.json, report.html, modalities.svg and .png, latency.svg, moments.png and overlay.mp4.

    Args:
        record: the run.
        folder: where the files go; made if missing, files of the same names are replaced.
        policy: what absent classes do to the mean IoU.
        video: whether to make the film, which takes most of the time.

    Returns:
        The report as written. Without a single output there are no moments.png and no overlay.mp4.

    Raises:
        FrameError: the record's pictures cannot be used.
        DependencyError: the package jinja2 is missing, or av while a film is asked for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    report = summarise(record, policy=policy)
    chart = timeline(record, report)
    _write(folder / "modalities.svg", chart.svg(standalone=True).encode())
    _write(folder / "modalities.png", _encoded(chart.image(LIGHT), "PNG"))
    _write(folder / "latency.svg", latency_chart(record, report).svg(standalone=True).encode())
    files: dict[str, str | None] = {
        "timeline": "modalities.svg",
        "timeline_png": "modalities.png",
        "latency": "latency.svg",
        "moments": None,
        "video": None,
        "page": "report.html",
    }
    if record.outputs:
        files["moments"] = "moments.png"
        _write(folder / "moments.png", _encoded(strip(record, moments(record)), "PNG"))
    if record.outputs and video:
        files["video"] = "overlay.mp4"
        with renamed_when_done(folder / "overlay.mp4") as unfinished:
            write_video(record, report, unfinished)
    report = replace(report, files=files)
    _write(folder / "report.html", _page(record, report, folder).encode())
    _write(folder / "report.json", json.dumps(report.to_json(), indent=2, allow_nan=False).encode() + b"\n")
    return report


def _page(record: DemoRecord, report: DemoReport, folder: Path) -> str:
    try:
        jinja2: Any = importlib.import_module("jinja2")
    except ImportError as error:
        msg = f"demo report: found no package jinja2 ({error}), expected it for the page; pip install jinja2"
        raise DependencyError(msg) from None
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    charts = {
        f"{name}_{size}": draw(record, report, **width).svg()
        for name, draw in (("timeline", timeline), ("latency", latency_chart))
        for size, width in (("wide", {}), ("narrow", {"width": NARROW_PX}))
    }
    page: str = environment.get_template("report.html.j2").render(
        report=report,
        themes=theme_css(":root"),
        charts=charts,
        sensors={modality.value: SENSOR_NAMES[modality] for modality in Modality},
        moments=[_moment(record, output) for output in moments(record)],
        legend=legend_colours(record.classes, seen_classes(record)),
        faults=record.faults,
        shape=_shape(record),
        video=_video_source(report, folder),
        poster=_poster(record, report),
        video_linked=_video_size(report, folder) >= EMBED_BELOW_BYTES,
    )
    return page


def _moment(record: DemoRecord, output: OutputRecord) -> dict[str, Any]:
    return {
        "title": moment_title(output),
        "at_s": output.received_s,
        "anchor": SENSOR_NAMES[output.anchor],
        "latency_ms": output.latency_ms,
        "tiles": [{"tile": tile, "source": _tile_source(tile)} for tile in tiles(record, output)],
    }


def _shape(record: DemoRecord) -> str:
    """Give width / height of the labels, for the frames that pictures stand in."""
    height, width = read_picture(record.outputs[0].labels).shape if record.outputs else (3, 4)
    return f"{width}/{height}"


def _tile_source(tile: Tile) -> str | None:
    """Give the tile's picture as a data URI: labels as PNG, which keeps flat colours, views as JPEG."""
    if tile.pixels is None:
        return None
    image, kind = Image.fromarray(tile.pixels), "PNG" if tile.sensor is None else "JPEG"
    image.thumbnail((_TILE_PX, _TILE_PX), Image.Resampling.NEAREST if kind == "PNG" else Image.Resampling.BOX)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(_encoded(image, kind)).decode()}"


def _video_size(report: DemoReport, folder: Path) -> int:
    name = report.files["video"]
    return (folder / name).stat().st_size if name else 0


def _video_source(report: DemoReport, folder: Path) -> str | None:
    name = report.files["video"]
    if name is None or _video_size(report, folder) >= EMBED_BELOW_BYTES:
        return name
    return f"data:video/mp4;base64,{base64.b64encode((folder / name).read_bytes()).decode()}"


def _poster(record: DemoRecord, report: DemoReport) -> str | None:
    """Give the film's frame with the fewest sensors at work, shown before it plays."""
    if report.files["video"] is None:
        return None
    hardest = min(moments(record), key=lambda output: len(output.used))
    still = next(frames(record, report, [hardest.received_s]))
    return f"data:image/jpeg;base64,{base64.b64encode(_encoded(still, 'JPEG')).decode()}"


def _encoded(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **({"quality": 82} if kind == "JPEG" else {"optimize": True}))
    return buffer.getvalue()


def _write(path: Path, content: bytes) -> None:
    with renamed_when_done(path) as unfinished:
        unfinished.write_bytes(content)
