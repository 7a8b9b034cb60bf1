# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The demo as a film in real time: labels over the view, every sensor's state, and the timeline with a playhead."""

from __future__ import annotations

import importlib
from bisect import bisect_right
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image, ImageDraw

from any2seg_core.config import UNTRAINED
from any2seg_core.errors import DependencyError
from any2seg_ros.replay.show.theme import DARK
from any2seg_sim.demo.drawing import SENSOR_NAMES, font_of
from any2seg_sim.demo.pictures import (
    DEAD,
    IDLE,
    USED,
    fitted,
    legend_colours,
    overlay,
    painted_tile,
    seen_classes,
    tiles,
)
from any2seg_sim.demo.timeline import time_span, timeline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from any2seg_core.frames import Modality
    from any2seg_sim.demo.record import DemoRecord, OutputRecord
    from any2seg_sim.demo.summary import DemoReport

WIDTH: Final = 1280
HEIGHT: Final = 720
FRAMES_PER_S: Final = 10
_MARGIN: Final = 16
_HEADER: Final = 64
_MAIN: Final = (816, 466)
_TILE: Final = (200, 134)
_TILES: Final = 6
_LANE: Final = 15.0
_BT709: Final = 1


def write_video(record: DemoRecord, report: DemoReport, path: Path) -> int:
    """Write the film as H.264 in an MP4 that browsers play, and return its number of frames.

    A frame shows the newest output at its moment, so that a silence stands still on the screen.

    Raises:
        DependencyError: the package av is missing.
    """
    try:
        av: Any = importlib.import_module("av")
    except ImportError as error:
        msg = (
            f"demo video: found no package av ({error}), expected it for H.264; pip install av, or leave the video out"
        )
        raise DependencyError(msg) from None
    count = 0
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_S, options={"crf": "27", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        for image in frames(record, report):
            frame = av.VideoFrame.from_ndarray(np.asarray(image), format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace="ITU709")))
            count += 1
        container.mux(stream.encode(None))
    return count


def frames(record: DemoRecord, report: DemoReport, moments_s: Iterable[float] | None = None) -> Iterator[Image.Image]:
    """Paint the film's frames, WIDTH x HEIGHT: one every 1 / FRAMES_PER_S seconds of the play, or of given moments."""
    strip = timeline(record, report, width=WIDTH - 2.0 * _MARGIN, lane=_LANE).image(DARK, scale=1.0)
    ground = _ground(record, strip)
    received = [output.received_s for output in record.outputs]
    shown, scene = -1, ground
    if moments_s is None:
        moments_s = (number / FRAMES_PER_S for number in range(max(1, round(record.duration_s * FRAMES_PER_S))))
    for moment_s in moments_s:
        newest = bisect_right(received, moment_s) - 1
        if newest != shown:
            shown, scene = newest, _scene(ground, record, record.outputs[newest])
        frame = scene.copy()
        _paint_now(frame, record, record.outputs[newest] if newest >= 0 else None, moment_s)
        start, end = time_span(strip.width, _LANE)
        x = _MARGIN + start + (end - start) * moment_s / (record.duration_s or 1.0)
        ImageDraw.Draw(frame).line((x, HEIGHT - strip.height, x, HEIGHT - 24), DARK["ink"], 2)
        yield frame


def _ground(record: DemoRecord, strip: Image.Image) -> Image.Image:
    """Paint what never changes: title, class legend and timeline."""
    canvas = Image.new("RGB", (WIDTH, HEIGHT), DARK["card"])
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((_MARGIN, _HEADER, _MARGIN + _MAIN[0], _HEADER + _MAIN[1]), DARK["soft"])
    x, y = _MARGIN, _HEADER + _MAIN[1] + 20
    for name, colour in legend_colours(record.classes, seen_classes(record)):
        width = 24 + draw.textlength(name, font_of(13))
        if x + width > _MARGIN + _MAIN[0]:
            break
        draw.rectangle((x, y - 7, x + 12, y + 5), colour, DARK["muted"])
        draw.text((x + 17, y + 4), name, DARK["muted"], font_of(13), "ls")
        x += round(width) + 10
    canvas.paste(strip, (_MARGIN, HEIGHT - strip.height - 2))
    return canvas


def _scene(ground: Image.Image, record: DemoRecord, output: OutputRecord) -> Image.Image:
    """Paint one output: the labels over a view, and a tile for each sensor and the truth."""
    canvas = ground.copy()
    draw = ImageDraw.Draw(canvas)
    pixels, beneath = overlay(record, output)
    canvas.paste(fitted(pixels, *_MAIN, DARK["soft"]), (_MARGIN, _HEADER))
    over = f"labels over {SENSOR_NAMES[beneath]}" if beneath else "labels"
    _plate(draw, _MARGIN + 10, _HEADER + 22, f"{over}, stamped by {SENSOR_NAMES[output.anchor]}", "ink")
    shown = tiles(record, output)
    sensors, rest = shown[: len(record.sensors)], shown[len(record.sensors) :]
    for index, tile in enumerate([*sensors[: _TILES - len(rest)], *rest]):
        x = 2 * _MARGIN + _MAIN[0] + index % 2 * (_TILE[0] + 12)
        y = _HEADER + index // 2 * (_TILE[1] + 34)
        canvas.paste(painted_tile(tile, *_TILE, DARK), (x, y))
    return canvas


def _paint_now(frame: Image.Image, record: DemoRecord, output: OutputRecord | None, moment_s: float) -> None:
    """Paint what moves: the banner of sensors, the clock, warnings and the playhead."""
    draw = ImageDraw.Draw(frame)
    x = float(_MARGIN)
    for modality in record.sensors:
        x = _chip(draw, x, modality, _state(record, output, modality, moment_s)) + 12
    clock = f"{moment_s:5.1f} / {record.duration_s:.1f} s"
    draw.text((WIDTH - _MARGIN, 40), clock, DARK["ink"], font_of(22), "rs")
    warning_y = _HEADER + _MAIN[1] - 16
    if record.weights == UNTRAINED:
        _plate(draw, _MARGIN + 10, warning_y, "untrained weights: the labels mean nothing yet", "warn")
    waited = moment_s - (output.received_s if output else 0.0)
    if waited > record.silence_limit_s:
        _plate(draw, _MARGIN + 10, warning_y - 32, f"no new output for {waited:.1f} s", "bad")
    elif output is None:
        _plate(draw, _MARGIN + 10, warning_y - 32, "no output yet", "ink")


def _state(record: DemoRecord, output: OutputRecord | None, modality: Modality, moment_s: float) -> str:
    if not record.alive_at(modality, moment_s):
        return DEAD
    return USED if output is not None and modality in output.used else IDLE


def _chip(draw: ImageDraw.ImageDraw, x: float, modality: Modality, state: str) -> float:
    """Paint a sensor's name: filled when it serves, an outline when it only lives, struck out when dead."""
    name, ink = SENSOR_NAMES[modality], DARK[modality.value]
    width = draw.textlength(name, font_of(20)) + 36
    box = (x, 14, x + width, 50)
    if state == USED:
        draw.rounded_rectangle(box, 18, ink)
        draw.text((x + width / 2, 32), name, DARK["paper"], font_of(20), "mm")
    elif state == IDLE:
        draw.rounded_rectangle(box, 18, None, ink, 2)
        draw.text((x + width / 2, 32), name, ink, font_of(20), "mm")
    else:
        draw.rounded_rectangle(box, 18, DARK["bad-soft"], DARK["bad"], 2)
        draw.text((x + width / 2, 32), name, DARK["bad"], font_of(20), "mm")
        draw.line((x + 10, 32, x + width - 10, 32), DARK["bad"], 3)
    return x + width


def _plate(draw: ImageDraw.ImageDraw, x: float, y: float, text: str, ink: str) -> None:
    width = draw.textlength(text, font_of(16)) + 20
    draw.rounded_rectangle((x, y - 14, x + width, y + 14), 14, DARK["card"], DARK[ink])
    draw.text((x + 10, y + 1), text, DARK[ink], font_of(16), "lm")
