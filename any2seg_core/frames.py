# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The plain numpy types that flow through any2seg: sensor frames, frame sets, label maps, class tables.

Letters: N points or events, H and W image rows and columns, K classes. Stamps are integer nanoseconds
taken from message headers, never from the wall clock. Nothing here imports torch or ROS.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from any2seg_core.errors import CheckpointError, FrameError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

UNLABELLED: Final = 255
"""Label of a pixel that has no class; the same value that vision_msgs/LabelInfo reserves in uint8."""


class Modality(str, Enum):
    """A kind of sensor. Members are listed in canonical order, which outputs and keys follow."""

    RGB = "rgb"
    DEPTH = "depth"
    EVENT = "event"
    LIDAR = "lidar"
    NIR = "nir"
    AOLP = "aolp"
    DOLP = "dolp"


_CANONICAL: Final = {modality: position for position, modality in enumerate(Modality)}


def in_canonical_order(modalities: Iterable[Modality]) -> tuple[Modality, ...]:
    """Sort modalities as the Modality enum lists them."""
    return tuple(sorted(modalities, key=_CANONICAL.__getitem__))


def subset_key(modalities: Iterable[Modality]) -> str:
    """Name a set of modalities, for example "rgb+depth+lidar", the same whatever the order given."""
    return "+".join(modality.value for modality in in_canonical_order(modalities))


class Absence(str, Enum):
    """Why a configured modality has no frame in a frame set."""

    NEVER_SEEN = "never_seen"
    """No message has ever arrived."""
    LATE = "late"
    """The sensor lives, but nothing within its slop had arrived when the frame set closed."""
    STALE = "stale"
    """The newest frame is older than the modality's maximum age."""
    ABSENT = "absent"
    """No message for so long that the synchronizer no longer waits for the sensor."""
    REJECTED = "rejected"
    """The frame arrived but its content could not be used."""
    NO_TRANSFORM = "no_transform"
    """The transform from the sensor to the view is not known."""
    NO_CALIBRATION = "no_calibration"
    """No usable camera intrinsics describe the view to project into."""


@dataclass(frozen=True, eq=False)
class Points:
    """A point cloud in its sensor's frame.

    Attributes:
        xyz: (N, 3) float32, metres, finite, without no-return points.
        intensity: (N,) float32, in the driver's own units.
        t_ns: (N,) int64, when each was measured, nanoseconds on the clock of the message headers; None: at the stamp.
    """

    xyz: NDArray[np.float32]
    intensity: NDArray[np.float32]
    t_ns: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if self.t_ns is not None and self.t_ns.shape != self.intensity.shape:
            msg = f"points: found {self.t_ns.shape} times for {self.intensity.shape} points, expected one for each"
            raise FrameError(msg)
        if self.xyz.ndim != 2 or self.xyz.shape[1] != 3 or self.intensity.shape != self.xyz.shape[:1]:
            msg = (
                f"points: found xyz {self.xyz.shape} and intensity {self.intensity.shape}, "
                "expected (N, 3) and (N,); give one intensity per point"
            )
            raise FrameError(msg)

    def __len__(self) -> int:
        return len(self.xyz)


@dataclass(frozen=True, eq=False)
class Events:
    """Events of an event camera, in order of time.

    Attributes:
        x, y: (N,) uint16 pixel coordinates, x < width and y < height.
        polarity: (N,) uint8, 1 brighter, 0 darker.
        t_ns: (N,) int64, nanoseconds on the clock of the message headers.
        width, height: sensor size, pixels.
    """

    x: NDArray[np.uint16]
    y: NDArray[np.uint16]
    polarity: NDArray[np.uint8]
    t_ns: NDArray[np.int64]
    width: int
    height: int

    def __post_init__(self) -> None:
        lengths = {len(self.x), len(self.y), len(self.polarity), len(self.t_ns)}
        if len(lengths) != 1 or self.width <= 0 or self.height <= 0:
            msg = (
                f"events: found columns of lengths {sorted(lengths)} on a {self.width}x{self.height} sensor, "
                "expected equal lengths and a positive size"
            )
            raise FrameError(msg)

    def __len__(self) -> int:
        return len(self.x)

    def between(self, start_ns: int, end_ns: int) -> Events:
        """Keep the events of the half-open window (start_ns, end_ns]."""
        first, last = np.searchsorted(self.t_ns, (start_ns, end_ns), side="right")
        part = slice(int(first), int(last))
        return Events(self.x[part], self.y[part], self.polarity[part], self.t_ns[part], self.width, self.height)

    @staticmethod
    def concatenate(parts: Iterable[Events]) -> Events:
        """Join packets of one sensor, sorting by time where packets overlap."""
        packets = list(parts)
        if not packets:
            msg = "events: found no packet to join, expected at least one"
            raise FrameError(msg)
        sizes = {(packet.width, packet.height) for packet in packets}
        if len(sizes) != 1:
            msg = f"events: found packets of sizes {sorted(sizes)}, expected one sensor size; reset on a size change"
            raise FrameError(msg)
        t_ns = np.concatenate([packet.t_ns for packet in packets])
        columns = [np.concatenate([getattr(packet, name) for packet in packets]) for name in ("x", "y", "polarity")]
        if np.any(t_ns[1:] < t_ns[:-1]):
            order = np.argsort(t_ns, kind="stable")
            t_ns, columns = t_ns[order], [column[order] for column in columns]
        return Events(columns[0], columns[1], columns[2], t_ns, packets[0].width, packets[0].height)


@dataclass(frozen=True, eq=False)
class CameraModel:
    """Intrinsics of a pinhole or fisheye camera, as sensor_msgs/CameraInfo states them.

    Attributes:
        width, height: image size that K belongs to, pixels.
        k: (3, 3) float64 intrinsic matrix of the raw image.
        distortion_model: "plumb_bob", "rational_polynomial", "equidistant" or "" for none.
        d: distortion coefficients, 5, 8 or 4 of them, or none.
        r: (3, 3) float64 rectification rotation.
        p: (3, 4) float64 projection matrix of the rectified image.
        frame_id: optical frame (REP 103: z forward, x right, y down).
    """

    width: int
    height: int
    k: NDArray[np.float64]
    distortion_model: str = ""
    d: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    r: NDArray[np.float64] = field(default_factory=lambda: np.eye(3))
    p: NDArray[np.float64] | None = None
    frame_id: str = ""


MOST_PIXELS: Final = 2**25
"""More than any camera's image has: 8192 x 4096."""
MOST_ELONGATED: Final = 8
"""The longer side over the shorter: more than of any camera. Sizes grow with it when the short side is scaled."""


def image_problem(height: int, width: int) -> str:
    """Say what is wrong with the size of an image; "" if it may be.

    A few bytes can name a size that would take gigabytes of model input or labels: a size that nobody measures is
    refused before anything is made of it.
    """
    if height * width > MOST_PIXELS or max(height, width) > MOST_ELONGATED * min(height, width) > 0:
        return (
            f"found an image of {width}x{height}, expected at most {MOST_PIXELS} pixels and no side longer than "
            f"{MOST_ELONGATED} times the other"
        )
    return ""


FrameData: TypeAlias = "NDArray[Any] | Points | Events"


@dataclass(frozen=True, eq=False)
class SensorFrame:
    """One sensor's measurement at one moment.

    Attributes:
        modality: which sensor.
        stamp_ns: header stamp, nanoseconds.
        frame_id: header frame, a TF name.
        data: (H, W, 3) uint8 image; (H, W) float32 depth in metres along the optical axis, NaN where there
            is none; Points; or Events.
        end_ns: stamp of the last thing measured; equals stamp_ns for instantaneous sensors, the time of the
            last event for a packet of events.
        to_view: (4, 4) float64 transform from the sensor's frame to the view's optical frame, for Points.

    Raises:
        FrameError: the image, or the event camera's, is so large or so thin that no camera makes it (image_problem).
    """

    modality: Modality
    stamp_ns: int
    frame_id: str
    data: FrameData
    end_ns: int = -1
    to_view: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if self.end_ns < 0:
            object.__setattr__(self, "end_ns", self.stamp_ns)
        if self.size is not None and (problem := image_problem(*self.size)):
            msg = f"{self.modality.value} frame: {problem}; correct the driver"
            raise FrameError(msg)

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width in pixels, or None for points, which have no image of their own."""
        if isinstance(self.data, Points):
            return None
        if isinstance(self.data, Events):
            return self.data.height, self.data.width
        return int(self.data.shape[0]), int(self.data.shape[1])


@dataclass(frozen=True, eq=False)
class FrameSet:
    """What the sensors saw around one moment: a frame, or the reason for its absence, per modality.

    Attributes:
        anchor: the modality whose frame gives the output its stamp, frame_id and size.
        frames: the frames that are there; always holds the anchor.
        absent: for every other configured modality, why it has no frame.
        view: camera that points are projected into, and the output's size when the anchor has no image.
    """

    anchor: Modality
    frames: Mapping[Modality, SensorFrame]
    absent: Mapping[Modality, Absence] = field(default_factory=dict)
    view: CameraModel | None = None

    def __post_init__(self) -> None:
        if self.anchor not in self.frames:
            msg = f"frame set: found frames {subset_key(self.frames)!r}, expected the anchor {self.anchor.value!r} too"
            raise FrameError(msg)

    @property
    def present(self) -> tuple[Modality, ...]:
        """Modalities that have a frame, in canonical order."""
        return in_canonical_order(self.frames)

    @property
    def output_size(self) -> tuple[int, int]:
        """Height and width of the labels, pixels: the anchor's image, or the view where the anchor has none."""
        size = self.frames[self.anchor].size
        if size is not None:
            return size
        if self.view is None:
            msg = f"frame set: anchor {self.anchor.value!r} has no image and there is no view; give camera intrinsics"
            raise FrameError(msg)
        return self.view.height, self.view.width


@dataclass(frozen=True, eq=False)
class ClassTable:
    """Names and colours of the classes; label k belongs to names[k].

    Attributes:
        names: K class names.
        colours: (K, 3) uint8, RGB.
    """

    names: tuple[str, ...]
    colours: NDArray[np.uint8]

    def __post_init__(self) -> None:
        if self.colours.shape != (len(self.names), 3) or not 0 < len(self.names) < UNLABELLED:
            msg = (
                f"class table: found {len(self.names)} names and colours of shape {self.colours.shape}, "
                f"expected 1 to {UNLABELLED - 1} names and one RGB colour each"
            )
            raise CheckpointError(msg)

    def __len__(self) -> int:
        return len(self.names)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, ClassTable)
            and self.names == other.names
            and bool(np.array_equal(self.colours, other.colours))
        )

    def __hash__(self) -> int:
        return hash((self.names, self.colours.tobytes()))

    def colourize(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Paint labels (H, W) as RGB (H, W, 3); unlabelled and unknown ids are black."""
        palette = np.zeros((256, 3), np.uint8)
        palette[: len(self)] = self.colours
        return palette[labels]

    def to_json(self) -> list[dict[str, Any]]:
        """Describe the table in plain JSON types."""
        return [{"name": name, "colour": rgb} for name, rgb in zip(self.names, self.colours.tolist(), strict=True)]

    @staticmethod
    def from_json(rows: list[dict[str, Any]]) -> ClassTable:
        """Read what to_json wrote."""
        try:
            names = tuple(str(row["name"]) for row in rows)
            colours = np.array([row["colour"] for row in rows], np.uint8).reshape(len(rows), -1)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            msg = f"class table: found {rows!r:.120}, expected a list of {{name, colour: [r, g, b]}} ({error})"
            raise CheckpointError(msg) from None
        return ClassTable(names, colours)


@dataclass(frozen=True, eq=False)
class LabelMap:
    """The answer: a class for every pixel of the anchor, how sure it is, and what it was made from.

    Attributes:
        labels: (H, W) uint8, indices into classes, 255 unlabelled.
        confidence: (H, W) float32 in [0, 1], the probability of the chosen class.
        stamp_ns, frame_id: the anchor's header.
        anchor: modality that gave stamp, frame and size.
        used: modalities that contributed, canonical order.
        absent: why each other configured modality did not.
        classes: meaning of the labels.
    """

    labels: NDArray[np.uint8]
    confidence: NDArray[np.float32]
    stamp_ns: int
    frame_id: str
    anchor: Modality
    used: tuple[Modality, ...]
    absent: Mapping[Modality, Absence]
    classes: ClassTable


def _deliver_table() -> ClassTable:
    rows = """Building 70 70 70|Fence 100 40 40|Other 55 90 80|Pedestrian 220 20 60|Pole 153 153 153
    |RoadLine 157 234 50|Road 128 64 128|SideWalk 244 35 232|Vegetation 107 142 35|Cars 0 0 142|Wall 102 102 156
    |TrafficSign 220 220 0|Sky 70 130 180|Ground 81 0 81|Bridge 150 100 100|RailTrack 230 150 140
    |GroundRail 180 165 180|TrafficLight 250 170 30|Static 110 190 160|Dynamic 170 120 50|Water 45 60 150
    |Terrain 145 170 100|TwoWheeler 0 0 230|Bus 0 60 100|Truck 0 0 70"""
    fields = [row.split() for row in rows.split("|")]
    colours = np.array([[int(value) for value in row[1:]] for row in fields], np.uint8)
    return ClassTable(tuple(row[0] for row in fields), colours)


DELIVER_CLASSES: Final = _deliver_table()
"""The 25 classes of DELIVER (https://github.com/jamycheung/DELIVER), order and palette as in its loader."""
