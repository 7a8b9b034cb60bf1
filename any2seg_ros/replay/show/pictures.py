# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The gallery's pictures, carried inside the page."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from any2seg_ros.replay.verdict import Picture, Verdict

EMBED_AT_MOST_BYTES: Final = 16_000_000
"""Pictures beyond that stay in their files, so that a page still opens on a phone."""
FILM_AT_MOST_BYTES: Final = 8_000_000
"""A smaller film travels inside the page; a larger one is linked."""
_KINDS: Final = {b"\xff\xd8\xff": "jpeg", b"\x89PNG": "png"}


@dataclass(frozen=True)
class Shot:
    """A picture of the gallery.

    Attributes:
        bag: the recording's name.
        picture: what it shows.
        source: data URI.
    """

    bag: str
    picture: Picture
    source: str


@dataclass(frozen=True)
class Gallery:
    """Pictures in order, and how many there are besides: left out for size, or not readable."""

    shots: list[Shot]
    left_out: int
    unreadable: int


def gallery(verdict: Verdict, out: Path) -> Gallery:
    """Read the pictures that a verdict names below a folder; nothing outside of it is ever read."""
    shots: list[Shot] = []
    left_out = unreadable = size = 0
    for bag in verdict.bags:
        for picture in bag.pictures:
            data = _read(out, picture.file)
            kind = next((name for magic, name in _KINDS.items() if data.startswith(magic)), None)
            if kind is None:
                unreadable += 1
            elif size + len(data) > EMBED_AT_MOST_BYTES:
                left_out += 1
            else:
                size += len(data)
                shots.append(Shot(bag.name, picture, data_uri(f"image/{kind}", data)))
    return Gallery(shots, left_out, unreadable)


def data_uri(kind: str, data: bytes) -> str:
    """Write bytes as a URI that needs no network."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _read(out: Path, name: str) -> bytes:
    """Give a file's bytes, none where there is no such file below the folder."""
    try:
        path = (out / name).resolve()
        return path.read_bytes() if path.is_relative_to(out.resolve()) else b""
    except (OSError, ValueError):
        return b""
