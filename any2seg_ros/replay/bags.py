# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings of ROS 1 and ROS 2, opened and read as far as they go, with no ROS installed."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Protocol

from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from any2seg_core.errors import ConfigError, FrameError
from any2seg_ros.replay.salvage import is_mcap, salvaged

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

ROS2_STORE: Final = Stores.ROS2_JAZZY


@dataclass(frozen=True)
class Topic:
    """A topic of a recording: its name, the type of its messages, and how many there are (-1: not known)."""

    name: str
    type: str
    messages: int


class Source(Protocol):
    """Whatever messages are read from."""

    kind: str
    topics: list[Topic]

    def raw(self, topics: Collection[str]) -> Iterator[tuple[str, int, bytes]]:
        """Yield topic, log time in nanoseconds and bytes, in order of log time; raises anything where damaged."""

    def decode(self, topic: str, raw: bytes) -> Any:
        """Read a message; raises anything."""


class Recording:
    """An open recording that never raises for what its messages hold.

    Args:
        name: what it is called in reports.
        source: its messages.
        notes: what was found wrong with it so far.

    Attributes:
        whole: False where the file was cut or damaged.
        notes: what is wrong with it.
    """

    def __init__(self, name: str, source: Source, notes: list[str]) -> None:
        self.name = name
        self.notes = notes
        self.whole = not notes
        self._source = source

    @property
    def kind(self) -> str:
        """What kind of recording it is."""
        return self._source.kind

    @property
    def topics(self) -> list[Topic]:
        """Its topics, by name."""
        return sorted(self._source.topics, key=lambda topic: topic.name)

    def messages(self, topics: Collection[str]) -> Iterator[tuple[str, int, bytes]]:
        """Yield topic, log time and bytes of some topics, as far as the file can be read."""
        if not topics:
            return
        try:
            yield from self._source.raw(topics)
        except Exception as error:  # noqa: BLE001  # readers raise whatever a damaged file leads them to
            self._damaged(f"reading stopped: {type(error).__name__}: {_short(error)}")

    def read(self, topic: str, raw: bytes) -> Any:
        """Give a message.

        Raises:
            FrameError: the bytes are no such message.
        """
        try:
            return self._source.decode(topic, raw)
        except Exception as error:
            msg = f"recording: found bytes on a topic that are no message of its type ({_short(error)})"
            raise FrameError(msg) from error

    def first(self, topic: str) -> Any | None:
        """Give the first message of a topic that can be read, out of the first few."""
        for _, _, raw in islice(self.messages([topic]), _TRIED):
            with suppress(FrameError):
                return self.read(topic, raw)
        return None

    def _damaged(self, note: str) -> None:
        self.whole = False
        if note not in self.notes:
            self.notes.append(note)


_TRIED: Final = 5


class _Rosbags:
    """A recording that rosbags can open."""

    def __init__(self, path: Path, reader: AnyReader) -> None:
        self._reader = reader
        self._types = {connection.topic: connection.msgtype for connection in reader.connections}
        counts: dict[str, int] = dict.fromkeys(self._types, 0)
        for connection in reader.connections:
            counts[connection.topic] += connection.msgcount
        self.topics = [Topic(name, self._types[name], count) for name, count in counts.items()]
        self.kind = _kind(path)
        # Types that came without a definition are those of the distribution.
        known = get_typestore(ROS2_STORE if reader.is2 else Stores.ROS1_NOETIC).fielddefs
        missing = {name: fields for name, fields in known.items() if name not in reader.typestore.fielddefs}
        reader.typestore.register(missing)

    def raw(self, topics: Collection[str]) -> Iterator[tuple[str, int, bytes]]:
        chosen = [connection for connection in self._reader.connections if connection.topic in topics]
        for connection, log_ns, raw in self._reader.messages(chosen) if chosen else ():
            yield connection.topic, log_ns, bytes(raw)

    def decode(self, topic: str, raw: bytes) -> Any:
        return self._reader.deserialize(raw, self._types[topic])


class _Salvaged:
    """What is left of an MCAP file without its end."""

    def __init__(self, path: Path) -> None:
        self.kind = "rosbag2 mcap"
        self._path = path
        self._store = get_typestore(ROS2_STORE)
        self._types: dict[str, str] = {}
        counts: dict[str, int] = {}
        for part in salvaged(path):
            if part.topic not in self._types:
                self._types[part.topic] = part.type
                if part.definition and part.type not in self._store.fielddefs:
                    self._store.register(get_types_from_msg(part.definition, part.type))
            counts[part.topic] = counts.get(part.topic, 0) + 1
        self.topics = [Topic(name, self._types[name], count) for name, count in counts.items()]

    def raw(self, topics: Collection[str]) -> Iterator[tuple[str, int, bytes]]:
        for part in salvaged(self._path):
            if part.topic in topics:
                yield part.topic, part.log_ns, part.raw

    def decode(self, topic: str, raw: bytes) -> Any:
        return self._store.deserialize_cdr(raw, self._types[topic])


@contextmanager
def opened(path: Path) -> Iterator[Recording]:
    """Open a recording: a rosbag2 folder, a file of one, or a ROS 1 bag.

    An MCAP file without its end, as after a loss of power, is read up to there.

    Raises:
        ConfigError: there is nothing that can be read as a recording.
    """
    if not path.exists():
        msg = f"recording: found nothing at {path}, expected a rosbag2 folder or file, or a ROS 1 bag; check the path"
        raise ConfigError(msg)
    reader = None
    try:
        # A store for recordings without type definitions, as rosbag2 wrote them before Iron.
        reader = AnyReader([path], default_typestore=get_typestore(ROS2_STORE))
        reader.open()
        source: Source = _Rosbags(path, reader)
    except Exception as error:  # noqa: BLE001  # readers raise whatever a damaged file leads them to
        if reader is not None and getattr(reader, "stack", None):
            reader.close()
        yield _rescued(path, error)
        return
    try:
        yield Recording(path.stem, source, [])
    finally:
        reader.close()


def _rescued(path: Path, error: Exception) -> Recording:
    files = [path] if path.is_file() else sorted(path.glob("*.mcap"))
    why = "" if isinstance(error, AnyReaderError) else f"{type(error).__name__}: "
    if len(files) == 1 and is_mcap(files[0]):
        try:
            source = _Salvaged(files[0])
        except Exception as worse:  # noqa: BLE001  # likewise
            error, source = worse, None
        if source is not None and source.topics:
            return Recording(
                path.stem, source, [f"the file is cut off or damaged ({why}{_short(error)}); read up to there"]
            )
    msg = (
        f"recording {path.name}: found nothing that can be read ({why}{_short(error)}), expected a rosbag2 folder or "
        "file, or a ROS 1 bag; run 'ros2 bag reindex' on it, or copy it again"
    )
    raise ConfigError(msg) from error


def _kind(path: Path) -> str:
    """Name a recording's kind by its files."""
    if path.suffix == ".bag":
        return "ROS 1"
    files = [path] if path.is_file() else sorted(path.iterdir())
    found = (_STORAGES[suffix] for file in files for suffix in file.suffixes if suffix in _STORAGES)
    return f"rosbag2 {next(found, '')}".strip()


_STORAGES: Final = {".mcap": "mcap", ".db3": "sqlite3"}


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


_LONGEST: Final = 160
