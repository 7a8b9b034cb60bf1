# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Load a model once, then turn frame sets into label maps: numpy in, numpy out."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch.nn import functional

from any2seg_core.config import UNTRAINED, ModelConfig, PreprocessConfig
from any2seg_core.errors import Any2SegError, CheckpointError, ConfigError, FrameError
from any2seg_core.frames import DELIVER_CLASSES, CameraModel, Events, FrameSet, LabelMap, Modality, Points, SensorFrame
from any2seg_core.model.checkpoint import CheckpointInfo, load_checkpoint
from any2seg_core.model.segmentor import build_model
from any2seg_core.preprocess import Preprocessor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor
    from typing_extensions import Self

    from any2seg_core.config import InferenceConfig
    from any2seg_core.frames import ClassTable, FrameData
    from any2seg_core.model.segmentor import Any2Seg, Maps, Prediction
    from any2seg_core.preprocess import ModalityStack

_OUT_OF_MEMORY: Final = ("out of memory", "not enough memory", "can't allocate memory")


class Segmenter:
    """A model, its preprocessing and its device behind one verb: segment.

    Frames of modalities that the model does not know are left out. The same frames give the same labels on the same
    machine, except that a model whose t-1 means the frame before ("temporal") also remembers that frame.

    Args:
        model: the network; moved to the device and put into evaluation mode.
        info: what the checkpoint says of it.
        device: "auto" (a GPU if there is one), "cpu", "cuda" or "cuda:N".
        threads: CPU threads for torch in this whole process; 0 leaves them alone.
        short_side_px: model input size in place of the checkpoint's; 0 keeps that.
        max_gap_s: longest step between frames over which the fused feature of a "temporal" model is remembered.

    Raises:
        ConfigError: the device is unknown or not there, or short_side_px is not a multiple of 32.
    """

    def __init__(
        self,
        model: Any2Seg,
        info: CheckpointInfo,
        *,
        device: str = "auto",
        threads: int = 0,
        short_side_px: int = 0,
        max_gap_s: float = 1.0,
    ) -> None:
        self.device = _choose_device(device)
        if threads > 0:
            torch.set_num_threads(threads)
        self.name = info.name
        self.classes = info.classes
        self.modalities = model.modalities
        self.preprocess = _with_short_side(info.preprocess, short_side_px)
        self._prepare = Preprocessor(self.preprocess, self.modalities)
        with _torch_errors_as_ours():
            self._model = model.to(self.device).eval()
        self._memory = _Memory(round(max_gap_s * 1e9) if info.model.previous == "temporal" else 0)

    @classmethod
    def load(cls, path: Path, *, device: str = "auto", threads: int = 0, short_side_px: int = 0) -> Self:
        """Load a checkpoint folder.

        Raises:
            CheckpointError, ConfigError, DependencyError: see load_checkpoint and the constructor.
        """
        model, info = load_checkpoint(path)
        return cls(model, info, device=device, threads=threads, short_side_px=short_side_px)

    @classmethod
    def untrained(
        cls,
        model: ModelConfig,
        classes: ClassTable,
        preprocess: PreprocessConfig,
        *,
        seed: int = 0,
        device: str = "auto",
        threads: int = 0,
        short_side_px: int = 0,
    ) -> Self:
        """Build a model with seeded random weights, for dry runs, timing and tests; its name is "untrained"."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            network = build_model(model, len(classes))
        info = CheckpointInfo(UNTRAINED, model, preprocess, classes)
        return cls(network, info, device=device, threads=threads, short_side_px=short_side_px)

    def segment(self, frame_set: FrameSet) -> LabelMap:
        """Label every pixel of the anchor.

        Raises:
            FrameError: the model knows none of the frames, or one cannot be used.
            CalibrationError: points come without a way into the view.
            CheckpointError: the network's answer is not finite.
            ConfigError: memory does not suffice.
        """
        stack = self._prepare(frame_set)
        anchor = frame_set.frames[frame_set.anchor]
        with torch.inference_mode(), _torch_errors_as_ours():
            circumstances = (stack.pixels.shape, frame_set.anchor, *stack.present[0].tolist())
            prediction = self._predict(stack, self._memory.recall(anchor.stamp_ns, circumstances))
            self._check(prediction, stack)
            self._memory.keep(anchor.stamp_ns, circumstances, prediction.state)
            labels, confidence = _decide(prediction.logits, stack.output_size)
        return LabelMap(
            labels=labels.cpu().numpy(),
            confidence=confidence.cpu().numpy(),
            stamp_ns=anchor.stamp_ns,
            frame_id=anchor.frame_id,
            anchor=frame_set.anchor,
            used=_names(stack),
            absent=frame_set.absent,
            classes=self.classes,
        )

    def unusable(self, frame_set: FrameSet) -> dict[Modality, Any2SegError]:
        """Find the frames for which segment refuses a set, so that the caller can go on with the others."""
        return self._prepare.unusable(frame_set)

    def warm_up(self, height: int, width: int) -> None:
        """Segment a made-up frame of every modality at this image size, so that the first real one is not late."""
        self.segment(_made_up(self.modalities, height, width))
        self.reset()

    def reset(self) -> None:
        """Forget the frame before."""
        self._memory.forget()

    def _predict(self, stack: ModalityStack, previous: Maps | None) -> Prediction:
        rows = stack.pixels[stack.present].to(self.device)
        present = stack.present.to(self.device)
        # One image at a time is faster on a CPU, whose caches it fits, and slower on a GPU, which it cannot fill.
        parts = rows.chunk(len(rows) if self.device.type == "cpu" else 1)
        encoded = [self._model.encode(part) for part in parts]
        features = tuple(torch.cat(maps) for maps in zip(*encoded, strict=True))
        return self._model.fuse_and_decode(features, present, previous)

    def _check(self, prediction: Prediction, stack: ModalityStack) -> None:
        """Refuse an answer that is not finite, naming who is to blame."""
        if torch.isfinite(prediction.logits).all():
            return
        used = ", ".join(modality.value for modality in _names(stack))
        if not torch.isfinite(stack.pixels[stack.present]).all():
            msg = f"segmenter: found pixels that are not finite in {used}, expected numbers; check the sensor"
            raise FrameError(msg)
        msg = (
            f"segmenter: model {self.name!r} gave logits that are not finite on {used}, expected numbers; its weights "
            "are broken, use another checkpoint"
        )
        raise CheckpointError(msg)


def open_segmenter(config: InferenceConfig, modalities: Sequence[Modality]) -> Segmenter:
    """Open the model that the settings name.

    Args:
        config: which model, and where it runs.
        modalities: what an untrained model is built for; a checkpoint knows its own.

    Raises:
        ConfigError: no checkpoint is named, or the device is not there.
        CheckpointError: the checkpoint cannot be used.
    """
    where: dict[str, Any] = {"device": config.device, "threads": config.threads, "short_side_px": config.short_side_px}
    if not config.checkpoint:
        msg = (
            "inference.checkpoint is empty, expected the folder of a checkpoint; set it, or set it to 'untrained' to "
            "check the wiring with random weights"
        )
        raise ConfigError(msg)
    if config.checkpoint != UNTRAINED:
        return Segmenter.load(Path(config.checkpoint).expanduser(), **where)
    model = ModelConfig(modalities=[modality.value for modality in modalities])
    return Segmenter.untrained(model, DELIVER_CLASSES, PreprocessConfig(), **where)


class _Memory:
    """The fused maps of the frame before, valid for a next frame in the same circumstances and not long after.

    Args:
        max_gap_ns: longest step between two frames; 0 remembers nothing.
    """

    def __init__(self, max_gap_ns: int) -> None:
        self._max_gap_ns = max_gap_ns
        self.forget()

    def forget(self) -> None:
        self._maps: Maps | None = None
        self._stamp_ns = 0
        self._circumstances: tuple[object, ...] = ()

    def recall(self, stamp_ns: int, circumstances: tuple[object, ...]) -> Maps | None:
        follows = 0 < stamp_ns - self._stamp_ns <= self._max_gap_ns
        return self._maps if follows and circumstances == self._circumstances else None

    def keep(self, stamp_ns: int, circumstances: tuple[object, ...], maps: Maps) -> None:
        if self._max_gap_ns:
            self._maps, self._stamp_ns, self._circumstances = maps, stamp_ns, circumstances


def _decide(logits: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Labels (H, W) uint8 and their softmax probability (H, W) from logits (1, K, h, w) upsampled to H, W."""
    scores = functional.interpolate(logits.float(), size=size, mode="bilinear", align_corners=False)[0]
    best, labels = scores.max(0)
    confidence = (best - scores.logsumexp(0)).exp().clamp(0, 1)
    return labels.to(torch.uint8), confidence


def _names(stack: ModalityStack) -> tuple[Modality, ...]:
    return tuple(modality for modality, there in zip(stack.modalities, stack.present[0].tolist(), strict=True) if there)


def _choose_device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        msg = f"device: found {name!r}, expected auto, cpu, cuda or cuda:N"
        raise ConfigError(msg) from None
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type not in ("cpu", "cuda"):
        msg = f"device: found {name!r}, expected auto, cpu, cuda or cuda:N"
        raise ConfigError(msg)
    if device.type == "cuda" and (device.index or 0) >= count:
        msg = f"device: found {name!r} but torch sees {count} CUDA device(s); use auto or cpu, or check the driver"
        raise ConfigError(msg)
    return device


def _with_short_side(preprocess: PreprocessConfig, short_side_px: int) -> PreprocessConfig:
    if not short_side_px:
        return preprocess
    values = preprocess.model_dump() | {"short_side_px": short_side_px}
    return PreprocessConfig.from_mapping(values, source="segmenter")


@contextmanager
def _torch_errors_as_ours() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, MemoryError) or any(sign in str(error) for sign in _OUT_OF_MEMORY):
            msg = f"segmenter: memory does not suffice ({error}); lower short_side_px or use another device"
            raise ConfigError(msg) from error
        msg = f"segmenter: torch failed ({error}); report this with the sizes and devices in use"
        raise Any2SegError(msg) from error


def _made_up(modalities: tuple[Modality, ...], height: int, width: int) -> FrameSet:
    """Frames of every modality, as empty as they may be."""
    picture = np.zeros((height, width, 3), np.uint8)
    corner = np.zeros(1, np.uint16)
    special: dict[Modality, FrameData] = {
        Modality.DEPTH: np.ones((height, width), np.float32),
        Modality.EVENT: Events(corner, corner, np.ones(1, np.uint8), np.zeros(1, np.int64), width, height),
        Modality.LIDAR: Points(np.array([[0, 0, 10]], np.float32), np.ones(1, np.float32)),
    }
    frames = {
        modality: SensorFrame(modality, 0, "", special.get(modality, picture), to_view=np.eye(4))
        for modality in modalities
    }
    k = np.array([[width, 0, width / 2], [0, width, height / 2], [0, 0, 1]], np.float64)
    return FrameSet(modalities[0], frames, view=CameraModel(width, height, k))
