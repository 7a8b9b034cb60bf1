# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""A drawing made of a few shapes, given out as SVG that follows light and dark, or as pixels.

Inks are names of colours, never values: in SVG they are CSS variables, so that a page that holds the
drawing can switch themes; in pixels they come from one theme. Coordinates are pixels, x right, y down.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from html import escape
from typing import Final, Literal, TypeAlias

from PIL import Image, ImageDraw, ImageFont

from any2seg_core.frames import Modality
from any2seg_ros.replay.show.theme import SENSOR_NAMES as NAMES
from any2seg_ros.replay.show.theme import Theme, theme_css

SENSOR_NAMES: Final = {modality: NAMES[modality.value] for modality in Modality}

_PIL_ANCHOR: Final = {"start": "ls", "middle": "ms", "end": "rs"}
_FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif"


@dataclass(frozen=True)
class Box:
    """A rectangle; the title is what a pointer resting on it shows."""

    x: float
    y: float
    width: float
    height: float
    fill: str | None = None
    stroke: str | None = None
    radius: float = 0.0
    opacity: float = 1.0
    title: str = ""

    def svg(self) -> str:
        """Give the SVG element."""
        paint = f"fill:{_variable(self.fill)};stroke:{_variable(self.stroke)}"
        opacity = f' opacity="{self.opacity:g}"' if self.opacity < 1 else ""
        corners = f' rx="{self.radius:g}"' if self.radius else ""
        place = f'x="{self.x:.1f}" y="{self.y:.1f}" width="{self.width:.1f}" height="{self.height:.1f}"'
        inside = f"<title>{escape(self.title)}</title>" if self.title else ""
        return f'<rect {place}{corners}{opacity} style="{paint}">{inside}</rect>'

    def paint(self, draw: ImageDraw.ImageDraw, theme: Theme, scale: float) -> None:
        """Draw it on pixels; opacity is mixed with the card's colour."""
        corners = [scale * edge for edge in (self.x, self.y, self.x + self.width, self.y + self.height)]
        fill = _mixed(theme, self.fill, self.opacity) if self.fill else None
        outline = _mixed(theme, self.stroke, self.opacity) if self.stroke else None
        draw.rounded_rectangle(corners, scale * self.radius, fill, outline, max(1, round(scale)))


@dataclass(frozen=True)
class Strokes:
    """Straight lines of one ink, each (x1, y1, x2, y2)."""

    lines: tuple[tuple[float, float, float, float], ...]
    ink: str
    width: float = 1.0
    opacity: float = 1.0

    def svg(self) -> str:
        """Give the SVG element, one path for all lines."""
        path = "".join(f"M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" for x1, y1, x2, y2 in self.lines)
        opacity = f' opacity="{self.opacity:g}"' if self.opacity < 1 else ""
        style = f"stroke:{_variable(self.ink)};stroke-width:{self.width:g};fill:none"
        return f'<path d="{path}"{opacity} style="{style}"/>' if path else ""

    def paint(self, draw: ImageDraw.ImageDraw, theme: Theme, scale: float) -> None:
        """Draw them on pixels."""
        ink, width = _mixed(theme, self.ink, self.opacity), max(1, round(scale * self.width))
        for line in self.lines:
            draw.line([scale * edge for edge in line], ink, width)


@dataclass(frozen=True)
class Dots:
    """Filled circles of one ink and size at (x, y)."""

    points: tuple[tuple[float, float], ...]
    ink: str
    radius: float = 2.5

    def svg(self) -> str:
        """Give the SVG element: a path of strokes without length and with round ends."""
        path = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in self.points)
        style = f"stroke:{_variable(self.ink)};stroke-width:{2 * self.radius:g};stroke-linecap:round;fill:none"
        return f'<path d="{path}" style="{style}"/>' if path else ""

    def paint(self, draw: ImageDraw.ImageDraw, theme: Theme, scale: float) -> None:
        """Draw them on pixels."""
        for x, y in self.points:
            draw.circle((scale * x, scale * y), scale * self.radius, theme[self.ink])


@dataclass(frozen=True)
class Text:
    """One line of text; y is its baseline."""

    x: float
    y: float
    text: str
    size: float = 12.0
    ink: str = "ink"
    anchor: Literal["start", "middle", "end"] = "start"
    bold: bool = False

    def svg(self) -> str:
        """Give the SVG element."""
        weight = ' font-weight="600"' if self.bold else ""
        place = f'x="{self.x:.1f}" y="{self.y:.1f}" font-size="{self.size:g}" text-anchor="{self.anchor}"{weight}'
        return f'<text {place} style="fill:{_variable(self.ink)}">{escape(self.text)}</text>'

    def paint(self, draw: ImageDraw.ImageDraw, theme: Theme, scale: float) -> None:
        """Draw it on pixels."""
        font = font_of(scale * self.size)
        heavy = scale * self.size / 40 if self.bold else 0
        draw.text(
            (scale * self.x, scale * self.y), self.text, theme[self.ink], font, _PIL_ANCHOR[self.anchor],
            stroke_width=heavy,
        )  # fmt: skip


Shape: TypeAlias = Box | Strokes | Dots | Text


@dataclass
class Drawing:
    """Shapes on a ground of width x height, with what a screen reader says of it."""

    width: float
    height: float
    title: str
    description: str
    shapes: list[Shape] = field(default_factory=list)

    def add(self, *shapes: Shape) -> None:
        """Put shapes on top."""
        self.shapes += shapes

    def svg(self, *, standalone: bool = False) -> str:
        """Give the SVG text; a standalone file brings both themes and its ground along."""
        body = "".join(shape.svg() for shape in self.shapes)
        namespace, ground = "", ""
        if standalone:
            namespace = ' xmlns="http://www.w3.org/2000/svg"'
            ground = f'<style>{theme_css("svg")}</style><rect width="100%" height="100%" style="fill:var(--card)"/>'
        return (
            f'<svg{namespace} viewBox="0 0 {self.width:g} {self.height:g}" role="img" font-family="{_FONT}" '
            f'aria-label="{escape(f"{self.title}. {self.description}")}">'
            f"{ground}{body}</svg>"
        )

    def image(self, theme: Theme, *, scale: float = 2.0) -> Image.Image:
        """Paint it, drawn at twice the size and shrunk for smooth edges."""
        fine = 2 * scale
        canvas = Image.new("RGB", (round(fine * self.width), round(fine * self.height)), theme["card"])
        draw = ImageDraw.Draw(canvas)
        for shape in self.shapes:
            shape.paint(draw, theme, fine)
        return canvas.resize((round(scale * self.width), round(scale * self.height)), Image.Resampling.BOX)


def hatch(x: float, y: float, width: float, height: float, ink: str, *, step: float = 7.0) -> Strokes:
    """Fill a rectangle with slanted lines, cut at its edges."""
    lines: list[tuple[float, float, float, float]] = []
    offset = step / 2
    while offset < width + height:
        low, high = max(0.0, offset - height), min(offset, width)
        lines.append((x + low, y + offset - low, x + high, y + offset - high))
        offset += step
    return Strokes(tuple(lines), ink, 1.0, 0.55)


@lru_cache(maxsize=64)
def font_of(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Give the font that comes with Pillow, so that pictures look alike on every machine; it knows ASCII only."""
    return ImageFont.load_default(size)


def _variable(ink: str | None) -> str:
    return f"var(--{ink})" if ink else "none"


def _mixed(theme: Theme, ink: str, opacity: float) -> tuple[int, int, int]:
    over, under = (bytes.fromhex(theme[name][1:]) for name in (ink, "card"))
    red, green, blue = (round(opacity * top + (1 - opacity) * ground) for top, ground in zip(over, under, strict=True))
    return red, green, blue
