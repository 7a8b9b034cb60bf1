# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The Segmenter: a loaded model that turns frame sets into label maps."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch

from any2seg_core.config import UNTRAINED, ModelConfig, PreprocessConfig
from any2seg_core.errors import CheckpointError, ConfigError, FrameError
from any2seg_core.frames import DELIVER_CLASSES, FrameSet, LabelMap, Modality
from any2seg_core.inference.backends import Answer, open_backend
from any2seg_core.inference.backends.store import FOLDER
from any2seg_core.inference.cache import FeatureCache
from any2seg_core.inference.device import choose_device, torch_errors_as_ours
from any2seg_core.inference.made_up import made_up_frames
from any2seg_core.inference.memory import FrameMemory
from any2seg_core.inference.upsample import label_pixels
from any2seg_core.model.checkpoint import CheckpointInfo, load_checkpoint
from any2seg_core.model.segmentor import build_model
from any2seg_core.model.shipped import find_checkpoint
from any2seg_core.preprocess import Preprocessor, input_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor
    from typing_extensions import Self

    from any2seg_core.config import InferenceConfig
    from any2seg_core.errors import Any2SegError
    from any2seg_core.frames import ClassTable
    from any2seg_core.model.segmentor import Any2Seg, Maps


@dataclass(frozen=True, eq=False)
class _Input:
    """A frame set made ready for the network.

    Attributes:
        used: the modalities to fuse.
        size: height and width of the model input.
        known: maps of frames that were encoded before.
        fresh: the other modalities.
        pixels: (1, F, 3, H, W), the F fresh ones; None if there are none.
    """

    used: tuple[Modality, ...]
    size: tuple[int, int]
    known: Mapping[Modality, Maps]
    fresh: tuple[Modality, ...]
    pixels: Tensor | None


class Segmenter:
    """A model, its preprocessing and its device behind one verb: segment.

    Frames of modalities that the model does not know are left out. The same frames give the same labels on the same
    machine, except that a model whose t-1 means the frame before ("temporal") also remembers that frame.

    A frame that comes again, with the same data object and stamps and seen the same way, is not encoded again. On a CPU
    the answer is the same to the bit with and without that; on a GPU, which encodes all new frames together, up to
    rounding. The cache holds the newest frame of each modality and its maps. Not for several threads at once.

    Args:
        model: the network; moved to the device and put into evaluation mode.
        info: what the checkpoint says of it.
        device: "auto" (a GPU if there is one), "cpu", "cuda" or "cuda:N".
        threads: CPU threads for torch in this whole process; 0 leaves them alone.
        short_side_px: model input size in place of the checkpoint's; 0 keeps that.
        max_gap_s: longest step between frames over which the fused feature of a "temporal" model is remembered.
        cache: keep the encoded maps of each modality's newest frame, where modalities are encoded one by one.
        backend: what runs the network: "torch", "compile", "onnxruntime" or "openvino".
        precision: what it computes in: "fp32", "bf16" or "fp16".
        graphs: folder of exported graphs to look at before the cache folder.

    Attributes:
        encoded: frames encoded so far.
        cache_hits: frames so far whose encoded maps were there already.
        prepare_ns: time that the newest frame set took to become model input, nanoseconds.

    Raises:
        ConfigError: the device is unknown or not there, short_side_px is not a multiple of 32, or the backend does not
            take this model, device or precision.
        DependencyError, CheckpointError: see open_backend.
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
        cache: bool = True,
        backend: str = "torch",
        precision: str = "fp32",
        graphs: Path | None = None,
    ) -> None:
        self.encoded = 0
        self.cache_hits = 0
        self.prepare_ns = 0
        self.device = choose_device(device)
        if threads > 0:
            torch.set_num_threads(threads)
        self.name = info.name
        self.classes = info.classes
        self.modalities = model.modalities
        self.preprocess = _with_short_side(info.preprocess, short_side_px)
        with torch_errors_as_ours():
            self._model = model.to(self.device).eval()
        self._memory = FrameMemory(round(max_gap_s * 1e9) if info.model.previous == "temporal" else 0)
        self._cache = FeatureCache(enabled=cache and model.shares_encoder)
        self._predict = self._from_features
        if model.shares_encoder:
            self._backend = open_backend(
                backend,
                model,
                info.model,
                device=self.device,
                precision=precision,
                threads=threads,
                graphs=graphs,
            )
        elif (backend, precision) == ("torch", "fp32"):
            self._predict = self._from_pixels
        else:
            msg = (
                f"inference.backend: found {backend} in {precision} for a model with fusion 'concat', expected torch "
                "in fp32; only modalities that share the encoder run elsewhere"
            )
            raise ConfigError(msg)

    @classmethod
    def load(cls, path: Path, **settings: Any) -> Self:
        """Load a checkpoint folder; settings are the constructor's.

        Raises:
            CheckpointError, ConfigError, DependencyError: see load_checkpoint and the constructor.
        """
        model, info = load_checkpoint(path)
        return cls(model, info, graphs=path / FOLDER, **settings)

    @classmethod
    def untrained(
        cls,
        model: ModelConfig,
        classes: ClassTable,
        preprocess: PreprocessConfig,
        *,
        seed: int = 0,
        **settings: Any,
    ) -> Self:
        """Build a model with seeded random weights, for dry runs, timing and tests; its name is "untrained".

        Settings are the constructor's.
        """
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            network = build_model(model, len(classes))
        info = CheckpointInfo(UNTRAINED, model, preprocess, classes)
        return cls(network, info, **settings)

    def segment(self, frame_set: FrameSet) -> LabelMap:
        """Label every pixel of the anchor.

        Raises:
            FrameError: the model knows none of the frames, or one cannot be used.
            CalibrationError: points come without a way into the view.
            CheckpointError: the network's answer is not finite.
            ConfigError: memory does not suffice.
        """
        begun_ns = time.perf_counter_ns()
        given = self._prepare(frame_set)
        self.prepare_ns = time.perf_counter_ns() - begun_ns
        anchor = frame_set.frames[frame_set.anchor]
        with torch.inference_mode(), torch_errors_as_ours():
            circumstances = (given.size, frame_set.anchor, given.used)
            prediction, new = self._predict(given, self._memory.recall(anchor.stamp_ns, circumstances))
            self._check(prediction, given)
            self._memory.keep(anchor.stamp_ns, circumstances, prediction.state)
            self._cache.keep(frame_set, given.size, new)
            labels, confidence = label_pixels(prediction.logits, frame_set.output_size)
        return LabelMap(
            labels=labels,
            confidence=confidence,
            stamp_ns=anchor.stamp_ns,
            frame_id=anchor.frame_id,
            anchor=frame_set.anchor,
            used=given.used,
            absent=frame_set.absent,
            classes=self.classes,
        )

    def unusable(self, frame_set: FrameSet) -> dict[Modality, Any2SegError]:
        """Find the frames for which segment refuses a set, so that the caller can go on with the others."""
        return Preprocessor(self.preprocess, self.modalities).unusable(frame_set)

    def warm_up(self, height: int, width: int) -> None:
        """Segment a made-up frame of every modality at this image size, so that the first real one is not late."""
        self.segment(made_up_frames(self.modalities, height, width))
        self.reset()

    def reset(self) -> None:
        """Forget all frames."""
        self._memory.forget()
        self._cache.forget()

    def _prepare(self, frame_set: FrameSet) -> _Input:
        size = input_size(frame_set.output_size, self.preprocess.short_side_px)
        known = self._cache.recall(frame_set, size)
        used = tuple(modality for modality in self.modalities if modality in frame_set.frames)
        fresh = tuple(modality for modality in used if modality not in known)
        if known and not fresh:
            return _Input(used, size, known, (), None)
        # Where nothing can be used, the preprocessor says so, naming all that the model takes.
        stack = Preprocessor(self.preprocess, fresh or self.modalities)(frame_set)
        return _Input(used, size, known, fresh, stack.pixels)

    def _from_features(self, given: _Input, previous: Maps | None) -> tuple[Answer, dict[Modality, Maps]]:
        """Fuse maps known before and fresh ones; the latter are given back."""
        self.cache_hits += len(given.known)
        new: dict[Modality, Maps] = {}
        if given.pixels is not None:
            self.encoded += len(given.fresh)
            slots = [self.modalities.index(modality) for modality in given.fresh]
            new = dict(zip(given.fresh, self._backend.encode(given.pixels[0], slots), strict=True))
        maps = {self.modalities.index(modality): feature for modality, feature in {**given.known, **new}.items()}
        return self._backend.fuse_and_decode(maps, previous), new

    def _from_pixels(self, given: _Input, previous: Maps | None) -> tuple[Answer, dict[Modality, Maps]]:
        """Run the model whole, for it has no maps of each modality."""
        slots = [self.modalities.index(modality) for modality in given.fresh]
        rows = cast("Tensor", given.pixels)[0].to(self.device)  # without a cache every frame is fresh
        self.encoded += len(rows)
        pixels = rows.new_zeros(1, len(self.modalities), *rows.shape[1:])
        pixels[0, slots] = rows
        present = torch.tensor([[modality in given.fresh for modality in self.modalities]], device=self.device)
        prediction = self._model(pixels, present, previous)
        return Answer(prediction.logits, prediction.state), {}

    def _check(self, prediction: Answer, given: _Input) -> None:
        """Refuse an answer that is not finite, naming who is to blame."""
        if torch.isfinite(prediction.logits.sum(dtype=torch.float64)):  # a sum is finite if all of it is
            return
        if given.pixels is not None and not torch.isfinite(given.pixels).all():
            fresh = ", ".join(modality.value for modality in given.fresh)
            msg = f"segmenter: found pixels that are not finite in {fresh}, expected numbers; check the sensor"
            raise FrameError(msg)
        used = ", ".join(modality.value for modality in given.used)
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
        ConfigError: no checkpoint is named, or the device or the backend does not take it.
        CheckpointError: the checkpoint cannot be used.
        DependencyError: the backend's package is not installed.
    """
    names = ("device", "threads", "short_side_px", "backend", "precision")
    where = {name: getattr(config, name) for name in names}
    if not config.checkpoint:
        msg = (
            "inference.checkpoint is empty, expected the folder of a checkpoint; set it, or set it to 'untrained' to "
            "check the wiring with random weights"
        )
        raise ConfigError(msg)
    if config.checkpoint != UNTRAINED:
        return Segmenter.load(find_checkpoint(config.checkpoint), **where)
    model = ModelConfig(modalities=[modality.value for modality in modalities])
    return Segmenter.untrained(model, DELIVER_CLASSES, PreprocessConfig(), **where)


def _with_short_side(preprocess: PreprocessConfig, short_side_px: int) -> PreprocessConfig:
    if not short_side_px:
        return preprocess
    values = preprocess.model_dump() | {"short_side_px": short_side_px}
    return PreprocessConfig.from_mapping(values, source="segmenter")
