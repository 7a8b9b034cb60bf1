# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What can happen to a sensor: the settings of each kind of fault.

A fault acts on frames whose arrival lies in [start, end) of the stream. Chance is drawn from the script's seed, the
fault's place in the script and the frame's number among those of its sensor, and from nothing else.
"""

from __future__ import annotations

import math
from typing import ClassVar, Final, Literal

from pydantic import Field, field_validator, model_validator

from any2seg_core.config import Settings
from any2seg_core.frames import Modality

_ALL: Final = tuple(modality.value for modality in Modality)
_PICTURES: Final = tuple(name for name in _ALL if name not in ("depth", "event", "lidar"))
_CAMERAS: Final = tuple(name for name in _ALL if name != "lidar")


class Fault(Settings):
    """One sensor failing in one way for a time; without end_s and duration_s to the end of the stream."""

    sensors: ClassVar[tuple[str, ...]] = _ALL

    kind: str
    sensor: str = Field(description="modality of the sensor")
    start_s: float = Field(0.0, ge=0, description="first moment, from the start of the stream, inclusive")
    end_s: float | None = Field(None, gt=0, description="last moment, exclusive")
    duration_s: float | None = Field(None, gt=0, description="length, in place of end_s")
    what: str = Field("", description="in a few words for readers of a report")

    @field_validator("sensor")
    @classmethod
    def _fits(cls, sensor: str) -> str:
        if sensor not in cls.sensors:
            msg = f"this kind of fault knows {', '.join(cls.sensors)}"
            raise ValueError(msg)
        return sensor

    @model_validator(mode="after")
    def _check_time(self) -> Fault:
        if self.end_s is not None and self.duration_s is not None:
            msg = f"end_s {self.end_s} and duration_s {self.duration_s} are two answers to one question; give one"
            raise ValueError(msg)
        if self.end_s is not None and self.end_s <= self.start_s:
            msg = f"end_s {self.end_s} must be above start_s {self.start_s}"
            raise ValueError(msg)
        return self

    @property
    def modality(self) -> Modality:
        """The sensor."""
        return Modality(self.sensor)

    @property
    def until_s(self) -> float:
        """End of the fault, infinite where it lasts to the end of the stream."""
        if self.end_s is not None:
            return self.end_s
        return math.inf if self.duration_s is None else self.start_s + self.duration_s

    @property
    def told(self) -> str:
        """Say which sensor fails how and when."""
        until = f"to {self.until_s:g} s" if math.isfinite(self.until_s) else "on"
        return f"{self.sensor} {self.kind} from {self.start_s:g} s {until}"

    def holds_at(self, moment_ns: int) -> bool:
        """Say whether a moment of the stream, in whole nanoseconds, lies in the fault's time."""
        return round(self.start_s * 1e9) <= moment_ns and (
            self.until_s == math.inf or moment_ns < round(self.until_s * 1e9)
        )


class Dropout(Fault):
    """Nothing arrives."""

    kind: Literal["dropout"] = "dropout"


class Freeze(Fault):
    """The last frame from before comes again in place of each new one; without one, the first frame of the fault."""

    kind: Literal["freeze"] = "freeze"
    stamps: Literal["new", "old"] = Field("new", description="the repeated frame bears new stamps or its own, old ones")


class Latency(Fault):
    """Frames arrive later, with their true stamps; with jitter some overtake others."""

    kind: Literal["latency"] = "latency"
    delay_s: float = Field(0.2, ge=0, le=60, description="added to every arrival")
    jitter_s: float = Field(0.0, ge=0, le=60, description="up to so much more, equally likely")


class StampOffset(Fault):
    """Stamps are wrong, arrivals are right."""

    kind: Literal["stamp_offset"] = "stamp_offset"
    offset_s: float = Field(0.1, ge=-3600, le=3600, description="added to every stamp, which stays above zero")


class PacketLoss(Fault):
    """Some frames are lost by chance."""

    kind: Literal["packet_loss"] = "packet_loss"
    share: float = Field(0.3, ge=0, le=1, description="probability that a frame is lost")


class LowRate(Fault):
    """Only every so-many-th frame arrives, the first one of the fault among them."""

    kind: Literal["low_rate"] = "low_rate"
    keep_each: int = Field(3, ge=2, le=1000, description="one frame in so many arrives")


class Blank(Fault):
    """The sensor goes on sending with nothing in it: a black picture, depth all NaN, no points, no events."""

    kind: Literal["blank"] = "blank"


class Dirt(Fault):
    """Blobs on the lens that stay where they are: pictures are dark and blurred there, depth and events have holes."""

    sensors: ClassVar[tuple[str, ...]] = _CAMERAS

    kind: Literal["dirt"] = "dirt"
    blobs: int = Field(6, ge=1, le=200, description="number of blobs")
    radius: float = Field(0.15, gt=0, le=1, description="mean radius of a blob, in heights of the picture")
    opacity: float = Field(0.9, gt=0, le=1, description="share of the light that the middle of a blob takes")


class Noise(Fault):
    """Random errors on top of the measurement; each sensor takes the parameter in its own unit."""

    kind: Literal["noise"] = "noise"
    sigma_grey: float | None = Field(None, gt=0, le=255, description="of pictures, in grey levels; 25 unless given")
    sigma_m: float | None = Field(None, gt=0, le=100, description="of depth and LiDAR ranges; 0.3 unless given")
    events_hz: float | None = Field(None, gt=0, le=1000, description="false events per pixel; 1 unless given")

    @model_validator(mode="after")
    def _check_unit(self) -> Noise:
        own = self.parameter
        others = [name for name in ("sigma_grey", "sigma_m", "events_hz") if name != own]
        wrong = [name for name in others if getattr(self, name) is not None]
        if wrong:
            msg = f"{' and '.join(wrong)} says nothing about sensor {self.sensor!r}; its noise is {own}"
            raise ValueError(msg)
        return self

    @property
    def parameter(self) -> str:
        """Name of the parameter that this sensor takes."""
        return {"depth": "sigma_m", "lidar": "sigma_m", "event": "events_hz"}.get(self.sensor, "sigma_grey")

    @property
    def strength(self) -> float:
        """Value of that parameter."""
        given = getattr(self, self.parameter)
        return float(given or {"sigma_grey": 25.0, "sigma_m": 0.3, "events_hz": 1.0}[self.parameter])


class SectorLoss(Fault):
    """Part of each LiDAR turn is gone: azimuth in the LiDAR's own frame, x is 0, counter-clockwise (REP 103)."""

    sensors: ClassVar[tuple[str, ...]] = ("lidar",)

    kind: Literal["sector_loss"] = "sector_loss"
    from_deg: float = Field(-45.0, ge=-360, le=360, description="azimuth at which the sector begins, inclusive")
    to_deg: float = Field(45.0, ge=-360, le=360, description="azimuth at which it ends, exclusive, counter-clockwise")

    @model_validator(mode="after")
    def _check_sector(self) -> SectorLoss:
        if self.to_deg == self.from_deg:
            msg = f"from_deg {self.from_deg} must differ from to_deg; for the whole turn use 0 and 360, or blank"
            raise ValueError(msg)
        return self


KINDS: Final[dict[str, type[Fault]]] = {
    "dropout": Dropout,
    "freeze": Freeze,
    "latency": Latency,
    "stamp_offset": StampOffset,
    "packet_loss": PacketLoss,
    "low_rate": LowRate,
    "blank": Blank,
    "dirt": Dirt,
    "noise": Noise,
    "sector_loss": SectorLoss,
}
"""Kinds of faults by the name that a script gives them."""
