# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Messages in, matched frames out: conversion, refusal, synchronization. Live node and replay share it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from any2seg_core.errors import FrameError
from any2seg_core.frames import Modality, SensorFrame
from any2seg_core.synchronizer import DropTolerantSynchronizer, Match, StreamPolicy, StreamStatus, SyncPolicy
from any2seg_ros.conversions import (
    PointTime,
    cloud_frame,
    compressed_depth_frame,
    compressed_image_frame,
    depth_frame,
    image_frame,
)
from any2seg_ros.diagnostics import describe_problem
from any2seg_ros.event_codecs import EventReader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from any2seg_core.config import NodeConfig

    Converter = Callable[[Any], SensorFrame]


class Intake:
    """Turns messages of each modality into frames and groups them by stamp.

    Not thread-safe: one caller at a time.

    Args:
        config: the sensors' timing and what the synchronizer does.
        modalities: the sensors to expect.
        event_window_s: length of the event window before the anchor, as the model was trained.
        report: called with (sensor, kind, message) when something is refused.
    """

    def __init__(
        self,
        config: NodeConfig,
        modalities: Sequence[Modality],
        *,
        event_window_s: float,
        report: Callable[[str, str, str], None],
    ) -> None:
        self._report = report
        self._events = _event_reader(config) if Modality.EVENT in modalities else None
        self._converters = {modality: self._converter(config, modality) for modality in modalities}
        self._synchronizer: DropTolerantSynchronizer[Modality, SensorFrame] = DropTolerantSynchronizer(
            {modality: _stream_policy(config, modality, event_window_s) for modality in modalities},
            _sync_policy(config, modalities),
        )

    def _converter(self, config: NodeConfig, modality: Modality) -> Converter:
        if modality is Modality.DEPTH:
            unit_m = config.depth.unit_m
            return _by_type(partial(depth_frame, unit_m=unit_m), partial(compressed_depth_frame, unit_m=unit_m))
        if modality is Modality.LIDAR:
            lidar = config.lidar
            time = PointTime(lidar.time_field, lidar.time_unit) if lidar.fixed_frame else None
            return partial(cloud_frame, intensity_field=lidar.intensity_field, time=time)
        if modality is Modality.EVENT and self._events is not None:
            return self._events.frame
        return _by_type(partial(image_frame, modality=modality), partial(compressed_image_frame, modality=modality))

    def add(self, modality: Modality, message: Any, arrival_ns: int) -> list[Match[Modality, SensorFrame]]:
        """Take a message; give the matches that it completes, oldest first.

        Args:
            modality: the sensor it came from.
            message: of the type configured for the sensor; rclpy's and rosbags' alike.
            arrival_ns: when it arrived, on a steady clock.
        """
        try:
            frame = self.read(modality, message)
        except Exception as error:  # noqa: BLE001  # whatever a message holds, the node lives on and reports it
            return self.refuse(modality, error, arrival_ns)
        return self.add_frame(frame, arrival_ns)

    def read(self, modality: Modality, message: Any) -> SensorFrame:
        """Turn a message into a frame.

        Raises:
            Any2SegError, and whatever else a message leads the converters to.
        """
        frame = self._converters[modality](message)
        _check_stamp(frame)
        return frame

    def add_frame(self, frame: SensorFrame, arrival_ns: int) -> list[Match[Modality, SensorFrame]]:
        """Take a frame as if its message had arrived; give the matches that it completes, oldest first."""
        return self._synchronizer.add(frame.modality, frame, frame.stamp_ns, arrival_ns, frame.end_ns)

    def refuse(self, modality: Modality, error: Exception, arrival_ns: int) -> list[Match[Modality, SensorFrame]]:
        """Count a message that cannot be read; give the matches whose waiting time is over."""
        kind, text = describe_problem(error, "refused")
        self._synchronizer.reject(modality, text)
        self._report(modality.value, kind, text)
        return self.poll(arrival_ns)

    def poll(self, now_ns: int) -> list[Match[Modality, SensorFrame]]:
        """Give the matches whose waiting time is over."""
        return self._synchronizer.poll(now_ns)

    def states(self, now_ns: int) -> Mapping[Modality, StreamStatus]:
        """Tell how each sensor does."""
        return self._synchronizer.states(now_ns)

    @property
    def pending(self) -> int:
        """Matches that wait for late frames."""
        return self._synchronizer.pending

    def enable(self, modality: Modality, *, enabled: bool) -> None:
        """Use a sensor's frames from now on, or neither use nor wait for them; they are counted either way."""
        change = self._synchronizer.enable if enabled else self._synchronizer.disable
        change(modality)

    def notes(self) -> dict[Modality, dict[str, object]]:
        """What the sensors' decoders had to leave out, counted."""
        return {} if self._events is None else {Modality.EVENT: vars(self._events.counts)}

    def reset(self, reason: str) -> None:
        """Forget all frames, as after a jump of the clock."""
        self._synchronizer.reset(reason)
        if self._events is not None:
            self._events.reset()


def _by_type(plain: Converter, compressed: Converter) -> Converter:
    """Read an Image with one function and a CompressedImage with the other, whichever a topic or recording has."""
    return lambda message: (compressed if hasattr(message, "format") else plain)(message)


def _check_stamp(frame: SensorFrame) -> None:
    if frame.stamp_ns <= 0:
        msg = (
            f"header stamp is {frame.stamp_ns} ns, expected the time of measurement; make the driver stamp its messages"
        )
        raise FrameError(msg)


def _event_reader(config: NodeConfig) -> EventReader | None:
    event = config.event
    if event.message == "image":
        return None
    return EventReader(width=event.width_px, height=event.height_px, cloud_time_unit=event.cloud_time_unit)


def _stream_policy(config: NodeConfig, modality: Modality, event_window_s: float) -> StreamPolicy:
    sensor = config.sensor(modality)
    packets = modality is Modality.EVENT and config.event.message != "image"
    return StreamPolicy(
        slop_ns=_ns(sensor.slop_s),
        offset_ns=_ns(sensor.offset_s),
        max_age_ns=_ns(sensor.max_age_s),
        period_ns=_ns(sensor.period_s),
        window_ns=_ns(event_window_s) if packets else 0,
    )


def _sync_policy(config: NodeConfig, modalities: Sequence[Modality]) -> SyncPolicy[Modality]:
    sync = config.sync
    return SyncPolicy(
        anchors=tuple(Modality(name) for name in sync.anchors if Modality(name) in modalities),
        max_wait_ns=_ns(sync.max_wait_s),
        anchor_timeout_ns=_ns(sync.anchor_timeout_s),
        dropout_periods=sync.dropout_periods,
        recovery_count=sync.recovery_count,
        jump_threshold_ns=_ns(sync.jump_threshold_s),
        queue_limit=sync.queue_limit,
        anchor_period_ns=_ns(sync.min_anchor_period_s),
    )


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
