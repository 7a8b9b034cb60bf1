# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Typed, validated settings: a field holds type, default, unit (in its name), bounds, meaning, and if it is live.

Everything else comes from these fields: ROS parameter descriptors, the YAML check, the parameter table in the docs.
Field types are bool, int, float, str and lists of one of them, because ROS parameters know nothing else.
"""

from __future__ import annotations

import difflib
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator, model_validator

from any2seg_core.errors import ConfigError
from any2seg_core.frames import Modality

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from typing_extensions import Self

LIVE: Final[dict[str, JsonValue]] = {"live": True}
"""Marks a field that may change while the node runs; all others are read once, at configure."""

UNTRAINED: Final = "untrained"
"""In place of a checkpoint: seeded random weights; also their name, so that nobody takes their labels for an answer."""
SHIPPED: Final = "any2seg-b0-street"
"""The checkpoint that comes with the package: trained on simulated streets alone."""
_ALL_MODALITIES: Final = tuple(modality.value for modality in Modality)


def _modalities(names: list[str], only: tuple[str, ...] = _ALL_MODALITIES) -> list[str]:
    """Check modality names."""
    wrong = [name for name in names if name not in only]
    if wrong or len(set(names)) != len(names):
        msg = f"each name once, out of {', '.join(only)}"
        raise ValueError(msg)
    return names


class Settings(BaseModel):
    """A frozen group of settings that refuses what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, strict=True, allow_inf_nan=False)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], *, source: str = "settings") -> Self:
        """Validate nested plain values, reporting every problem at once.

        Raises:
            ConfigError: naming each unknown, mistyped or out-of-bounds setting and what was expected.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            known = [setting.name for setting in describe(cls)]
            problems = [_problem(detail, known) for detail in error.errors()]
            msg = f"{source}: {len(problems)} problem(s): " + "; ".join(problems)
            raise ConfigError(msg) from None


class PreprocessConfig(Settings):
    """How frames become model input. Travels in the checkpoint: what was trained is what is deployed."""

    short_side_px: int = Field(512, ge=32, le=4096, multiple_of=32, description="shorter side of the model input")
    rgb_mean: list[float] = Field([0.485, 0.456, 0.406], min_length=3, max_length=3, description="mean of RGB / 255")
    rgb_std: list[float] = Field([0.229, 0.224, 0.225], min_length=3, max_length=3, description="spread of RGB / 255")
    lidar_encoding: Literal["inverse", "log"] = Field("inverse", description="how range becomes a grey value")
    lidar_min_range_m: float = Field(1.0, gt=0, le=100, description="nearer returns are dropped (the robot itself)")
    lidar_max_range_m: float = Field(100.0, gt=0, le=1000, description="farther returns are dropped")
    lidar_height_min_m: float = Field(-3.0, description="height in the LiDAR frame that becomes 0")
    lidar_height_max_m: float = Field(5.0, description="height in the LiDAR frame that becomes 1")
    lidar_intensity_scale: float = Field(255.0, gt=0, description="intensity that becomes 1, in the driver's units")
    lidar_splat_px: int = Field(1, ge=0, le=8, description="radius to which a near return is drawn")
    event_representation: Literal["histogram", "polarity", "voxel"] = Field("histogram", description="event image kind")
    event_max_count: int = Field(5, ge=1, le=255, description="events per pixel that become 1")
    event_window_s: float = Field(0.05, gt=0, le=10, description="length of the event window before the anchor")
    depth_encoding: Literal["inverse", "log", "hha"] = Field("inverse", description="how depth becomes three channels")
    depth_min_m: float = Field(0.5, gt=0, le=100, description="nearer depth is clipped")
    depth_max_m: float = Field(100.0, gt=0, le=1000, description="farther depth is clipped")

    @model_validator(mode="after")
    def _check_order(self) -> PreprocessConfig:
        for low, high in (
            ("lidar_min_range_m", "lidar_max_range_m"),
            ("lidar_height_min_m", "lidar_height_max_m"),
            ("depth_min_m", "depth_max_m"),
        ):
            if getattr(self, low) >= getattr(self, high):
                msg = f"{low} {getattr(self, low)} must be below {high} {getattr(self, high)}"
                raise ValueError(msg)
        return self


class ModelConfig(Settings):
    """Architecture of a model. Travels in the checkpoint, never in the node's YAML."""

    modalities: list[str] = Field(["rgb", "depth", "event", "lidar"], min_length=1, description="what it can take")
    backbone: str = Field("mit_b0", description="mit_b0 to mit_b5, or timm:NAME")
    embed_dim: int = Field(256, ge=8, le=2048, description="channels of the decode head")
    fusion_level: Literal["embedding", "logits", "stages"] = Field("embedding", description="where MFF acts")
    reweight: bool = Field(default=True, description="MFF: weight modalities by cosine with the anchor feature")
    select: bool = Field(default=True, description="MFF: per location, take the modality most like the balanced one")
    residual: bool = Field(default=True, description="MFF: add the balanced feature to the selected one")
    previous: Literal["mean", "carry", "temporal"] = Field("mean", description="meaning of f_ma at t-1")
    drop_path: float = Field(0.1, ge=0, lt=1, description="stochastic depth rate while training")
    fusion: Literal["mff", "max", "concat"] = Field(
        "mff", description="MFF; or a baseline: the largest feature, or all pictures stacked before one encoder"
    )
    selection: Literal["hard", "soft"] = Field("hard", description="MFF: take the most similar, or blend by similarity")
    selection_temperature: float = Field(0.1, ge=0.01, le=10, description="MFF: softness of soft selection")
    norms: Literal["shared", "per_modality"] = Field(
        "shared", description="layer norms of a mit_b* encoder: for all modalities, or a scale and a shift for each"
    )

    @field_validator("modalities")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        return _modalities(names)

    @model_validator(mode="after")
    def _check_concat(self) -> ModelConfig:
        if self.fusion == "concat" and (self.norms != "shared" or self.fusion_level != "embedding"):
            msg = (
                f"fusion 'concat' joins modalities before the encoder: norms must be 'shared', not {self.norms!r}, and "
                f"fusion_level 'embedding', not {self.fusion_level!r}"
            )
            raise ValueError(msg)
        return self


class SyncConfig(Settings):
    """When frames become a frame set (any2seg_core.synchronizer)."""

    anchors: list[str] = Field(
        ["rgb", "depth", "event", "lidar"],
        min_length=1,
        description="anchor modality, then who replaces it when it dies, in order",
    )
    max_wait_s: float = Field(0.05, ge=0, le=10, description="longest wait for late frames after the anchor arrived")
    anchor_timeout_s: float = Field(
        0.5, gt=0, le=60, description="silence after which the anchor is replaced at latest"
    )
    dropout_periods: float = Field(
        3.0, ge=1, le=100, description="missed periods after which nobody waits for a sensor"
    )
    recovery_count: int = Field(
        2, ge=1, le=100, description="messages in a row after which a lost sensor is live again"
    )
    jump_threshold_s: float = Field(1.0, gt=0, le=3600, description="step back of stamps that clears everything")
    queue_limit: int = Field(256, ge=2, le=100000, description="most frames kept per modality")
    min_anchor_period_s: float = Field(0.04, ge=0, le=10, description="closest spacing of outputs on event packets")

    @field_validator("anchors")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        return _modalities(names)


class SensorConfig(Settings):
    """One sensor's topic and timing."""

    reliability: Literal["best_effort", "reliable"] = Field("best_effort", description="QoS reliability of the topic")
    queue_depth: int = Field(5, ge=1, le=1000, description="QoS history depth of the topic")
    slop_s: float = Field(0.05, ge=0, le=10, description="largest stamp distance to the anchor, inclusive")
    offset_s: float = Field(0.0, ge=-10, le=10, description="stamp of this sensor minus stamp of the anchor")
    max_age_s: float = Field(0.2, ge=0, le=60, description="oldest frame that may still serve")
    period_s: float = Field(0.0, ge=0, le=60, description="time between frames; 0 learns it")


class CameraConfig(SensorConfig):
    """The camera."""

    transport: Literal["raw", "compressed"] = Field(
        "raw", description="image transport; compressed (JPEG, PNG) subscribes to the image topic's name/compressed"
    )


class DepthConfig(SensorConfig):
    """The depth camera."""

    transport: Literal["raw", "compressed", "compressedDepth"] = Field(
        "raw", description="image transport; compressed (PNG) and compressedDepth append their name to the topic's"
    )
    unit_m: float = Field(0.001, gt=0, le=1, description="metres per count of 16UC1 depth (REP 118: 0.001)")
    geometry: Literal["axial", "radial"] = Field(
        "axial", description="what is measured: depth along the optical axis (REP 118), or distance along the ray"
    )
    registered: Literal["auto", "registered", "unregistered"] = Field(
        "auto", description="whether depth is seen from the anchor's camera; auto: if frame_id and shape are the same"
    )
    extrinsic: list[float] = Field(
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        min_length=7,
        max_length=7,
        description="x y z qx qy qz qw of the depth camera in the camera's optical frame; all zero: ask TF",
    )


class EventConfig(SensorConfig):
    """The event camera."""

    queue_depth: int = Field(100, ge=1, le=10000, description="QoS history depth of the topic")
    message: Literal["event_packet", "event_array", "point_cloud", "image"] = Field(
        "event_packet", description="message type: EventPacket, dvs EventArray, PointCloud2 x y t p, rendered Image"
    )
    width_px: int = Field(0, ge=0, le=16384, description="sensor width, for PointCloud2 events, which do not tell it")
    height_px: int = Field(0, ge=0, le=16384, description="sensor height, likewise")
    cloud_time_unit: Literal["", "s", "ms", "us", "ns"] = Field(
        "", description="unit of t in PointCloud2 events; empty: s in floating point fields, us in integer ones"
    )

    @model_validator(mode="after")
    def _check_size(self) -> EventConfig:
        if self.message == "point_cloud" and not (self.width_px and self.height_px):
            msg = "message point_cloud needs width_px and height_px above 0: such events do not tell the sensor's size"
            raise ValueError(msg)
        return self


class LidarConfig(SensorConfig):
    """The LiDAR."""

    intensity_field: str = Field("", description="field that holds intensity; empty finds it")
    extrinsic: list[float] = Field(
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        min_length=7,
        max_length=7,
        description="x y z qx qy qz qw of the LiDAR in the camera's optical frame; all zero: ask TF",
    )
    tf_tolerance_s: float = Field(0.2, ge=0, le=60, description="oldest TF that may stand in for the scan's moment")
    fixed_frame: str = Field(
        "", description="TF frame, such as odom, by which the robot's motion is taken out of scans; empty: it is not"
    )
    time_field: str = Field("", description="field that holds each point's time; empty finds it")
    time_unit: Literal["", "s", "ms", "us", "ns"] = Field("", description="unit of that field; empty finds it")


class ViewConfig(Settings):
    """Pinhole camera to project points into where no CameraInfo arrives; width_px 0: wait for CameraInfo."""

    width_px: int = Field(0, ge=0, le=16384, description="image width; 0: no fallback view")
    height_px: int = Field(0, ge=0, le=16384, description="image height")
    fx_px: float = Field(0.0, ge=0, description="focal length in x")
    fy_px: float = Field(0.0, ge=0, description="focal length in y")
    cx_px: float = Field(0.0, description="principal point x")
    cy_px: float = Field(0.0, description="principal point y")
    frame_id: str = Field("", description="optical frame of the view")
    rectified: bool = Field(default=False, description="camera images are rectified: project with P instead of K and D")

    @model_validator(mode="after")
    def _check_whole(self) -> ViewConfig:
        if self.width_px and not (self.height_px and self.fx_px and self.fy_px):
            msg = f"width_px {self.width_px} needs height_px, fx_px and fy_px above 0 too"
            raise ValueError(msg)
        return self


class InferenceConfig(Settings):
    """The model and where it runs."""

    checkpoint: str = Field(
        SHIPPED,
        description="checkpoint folder, or name of one that comes with the package; 'untrained' runs seeded random "
        "weights for a dry run; while the node runs, the service ~/reload_checkpoint puts a change into force",
        json_schema_extra=LIVE,
    )
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    backend: Literal["torch", "compile", "onnxruntime", "openvino"] = Field(
        "torch",
        description="what runs the model; onnxruntime and openvino export it once (pip install any2seg[backends])",
    )
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32", description="what it computes in; check with training/export.py before using less than fp32"
    )
    allow_cpu_fallback: bool = Field(
        default=False,
        description="go on on the CPU where the GPU named is not there or its memory does not suffice; outputs may "
        "then come much more slowly",
    )
    threads: int = Field(0, ge=0, le=1024, description="CPU threads; 0 leaves torch's choice")
    short_side_px: int = Field(0, ge=0, le=4096, multiple_of=32, description="model input size; 0: the checkpoint's")
    min_short_side_px: int = Field(
        128, ge=32, le=4096, multiple_of=32, description="model input size down to which a lack of memory may halve it"
    )
    warm_up_width_px: int = Field(640, ge=32, le=16384, description="image width of the warm-up pass at configure")
    warm_up_height_px: int = Field(480, ge=32, le=16384, description="image height of the warm-up pass")


class OutputConfig(Settings):
    """What the node publishes."""

    reliability: Literal["best_effort", "reliable"] = Field("reliable", description="QoS reliability of the outputs")
    overlay_alpha: float = Field(
        0.5, ge=0, le=1, description="weight of colours in the overlay", json_schema_extra=LIVE
    )
    confidence_floor: float = Field(
        0.0, ge=0, le=1, description="pixels less sure than this are unlabelled (255)", json_schema_extra=LIVE
    )
    label_info_with_labels: bool = Field(
        default=False,
        description="publish label_info with every label image too, under its header, and not only latched",
        json_schema_extra=LIVE,
    )


class DiagnosticsConfig(Settings):
    """What the node tells about itself."""

    period_s: float = Field(1.0, gt=0, le=60, description="time between diagnostics messages")
    log_period_s: float = Field(5.0, ge=0, le=3600, description="shortest time between equal log lines")


class NodeConfig(Settings):
    """Everything that segmentation_node can be told."""

    modalities: list[str] = Field(
        ["rgb", "depth", "event", "lidar"],
        min_length=1,
        description="sensors to subscribe to, of those the model knows",
    )
    autostart: bool = Field(default=True, description="configure and activate at start, without a lifecycle manager")
    rgb: CameraConfig = Field(default_factory=CameraConfig)
    depth: DepthConfig = Field(default_factory=DepthConfig)
    event: EventConfig = Field(default_factory=EventConfig)
    lidar: LidarConfig = Field(default_factory=LidarConfig)
    view: ViewConfig = Field(default_factory=ViewConfig)
    sync: SyncConfig = Field(default_factory=SyncConfig)
    inference: InferenceConfig = Field(default_factory=InferenceConfig)
    output: OutputConfig = Field(default_factory=OutputConfig)
    diagnostics: DiagnosticsConfig = Field(default_factory=DiagnosticsConfig)

    @field_validator("modalities")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        return _modalities(names, only=("rgb", "depth", "event", "lidar"))

    @model_validator(mode="after")
    def _check_anchors(self) -> NodeConfig:
        if not set(self.sync.anchors) & set(self.modalities):
            msg = f"sync.anchors {self.sync.anchors} must name at least one of modalities {self.modalities}"
            raise ValueError(msg)
        return self

    def sensor(self, modality: Modality) -> SensorConfig:
        """Settings of one sensor."""
        return typing.cast("SensorConfig", getattr(self, modality.value))

    def transport(self, modality: Modality) -> str:
        """Image transport of a sensor's topic; "raw" for all that are not cameras."""
        return str(getattr(self.sensor(modality), "transport", "raw"))


@dataclass(frozen=True)
class Setting:
    """One field of a settings tree, flattened: what a ROS descriptor or a row of the parameter table needs."""

    name: str
    type: type
    default: Any
    lower: float | None
    upper: float | None
    choices: tuple[str, ...]
    description: str
    live: bool


def describe(settings: type[Settings], prefix: str = "") -> Iterator[Setting]:
    """Walk all fields below a settings class, naming nested ones group.field as ROS does."""
    for name, info in settings.model_fields.items():
        annotation = info.annotation
        if isinstance(annotation, type) and issubclass(annotation, Settings):
            yield from describe(annotation, f"{prefix}{name}.")
            continue
        literal = typing.get_origin(annotation) is Literal
        bounds = [(getattr(item, "ge", getattr(item, "gt", None)), getattr(item, "le", None)) for item in info.metadata]
        extra = info.json_schema_extra
        yield Setting(
            name=prefix + name,
            type=str if literal else typing.get_origin(annotation) or typing.cast("type", annotation),
            default=info.default,
            lower=next((low for low, _ in bounds if low is not None), None),
            upper=next((high for _, high in bounds if high is not None), None),
            choices=typing.get_args(annotation) if literal else (),
            description=info.description or "",
            live=isinstance(extra, dict) and bool(extra.get("live")),
        )


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Turn {"sync.max_wait_s": 1.0} into {"sync": {"max_wait_s": 1.0}}.

    Raises:
        ConfigError: a name is a setting and a group of settings at once.
    """
    tree: dict[str, Any] = {}
    for name, value in flat.items():
        clash = next((other for other in flat if other.startswith(f"{name}.")), None)
        if clash is not None:
            msg = f"{name}: found {value!r:.80} beside {clash!r}, expected a group of settings; remove one of the two"
            raise ConfigError(msg)
        *groups, leaf = name.split(".")
        node = tree
        for group in groups:
            node = node.setdefault(group, {})
        node[leaf] = value
    return tree


def unknown_setting(name: str, known: list[str]) -> str:
    """Say that a setting does not exist, naming the nearest that does."""
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
    return f"{name!r} is not a setting, the nearest is {nearest!r}"


def _problem(detail: Any, known: list[str]) -> str:
    """Put one pydantic finding into found, expected, next step."""
    name = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return unknown_setting(name, known)
    message = detail["msg"].removeprefix("Value error, ")
    return f"{name}: found {detail['input']!r:.80}, {message[0].lower()}{message[1:]}" if name else message
