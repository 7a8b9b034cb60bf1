# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What a robot does when memory does not suffice: a smaller model input, then, if allowed, the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from any2seg_core.config import PreprocessConfig
from any2seg_core.errors import CheckpointError, ConfigError
from any2seg_core.inference.device import DeviceMemoryError, choose_device, memory_use, release_memory
from any2seg_core.inference.segmenter import Segmenter, open_segmenter
from any2seg_core.preprocess import SIZE_MULTIPLE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from any2seg_core.config import InferenceConfig
    from any2seg_core.errors import Any2SegError
    from any2seg_core.frames import ClassTable, FrameSet, LabelMap, Modality

T = TypeVar("T")

CPU: Final = "cpu"


class EnduringSegmenter:
    """A Segmenter that answers with less where memory does not suffice, and says what it gave up.

    Out of memory, it halves the model input, down to min_short_side_px, and goes on from there with the same frame;
    labels keep the sensor's size. Below that it moves to the CPU, if allow_cpu_fallback. It never goes back up by
    itself: what else needs the memory would only lose it again. Scores are not made with it, for they have to be of one
    size. Not for several threads at once.

    Args:
        config: which model, where it runs, and what may be given up.
        modalities: what an untrained model is built for; a checkpoint knows its own.

    Attributes:
        degraded: what was given up and why; "" while nothing was.

    Raises:
        ConfigError: no checkpoint is named, the device is not there, or memory does not suffice for the weights.
        CheckpointError: the checkpoint cannot be used.
    """

    def __init__(self, config: InferenceConfig, modalities: Sequence[Modality]) -> None:
        self.degraded = ""
        self._config = config
        self._segmenter = self._open(config, modalities)

    @property
    def name(self) -> str:
        """Name of the weights."""
        return self._segmenter.name

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """Modalities that the model knows."""
        return self._segmenter.modalities

    @property
    def classes(self) -> ClassTable:
        """Meaning of the labels."""
        return self._segmenter.classes

    @property
    def preprocess(self) -> PreprocessConfig:
        """How the model's input is made now."""
        return self._segmenter.preprocess

    @property
    def device(self) -> str:
        """Where it runs now."""
        return str(self._segmenter.device)

    @property
    def prepare_ns(self) -> int:
        """Time that the newest frame set took to become model input, nanoseconds."""
        return self._segmenter.prepare_ns

    @property
    def memory(self) -> dict[str, str]:
        """Use of the GPU's memory in MiB, by name; empty on a CPU."""
        return memory_use(self._segmenter.device)

    def segment(self, frame_set: FrameSet) -> LabelMap:
        """Label every pixel of the anchor.

        Raises:
            Any2SegError: as Segmenter.segment; for want of memory only once there is nothing left to give up.
        """
        return self._with_less(lambda: self._segmenter.segment(frame_set))

    def unusable(self, frame_set: FrameSet) -> Mapping[Modality, Any2SegError]:
        """Tell which frames segment refuses, and why."""
        return self._segmenter.unusable(frame_set)

    def warm_up(self, height: int, width: int) -> None:
        """Do once what the first frame of this size would otherwise wait for, finding out what memory allows."""
        self._with_less(lambda: self._segmenter.warm_up(height, width))

    def reset(self) -> None:
        """Forget all frames."""
        self._segmenter.reset()

    def close(self) -> None:
        """Let the model go, whoever still holds this object; nothing may be asked of it any more.

        release_memory then gives its memory back, which is not done here, for that stops all threads for a while.
        """
        del self._segmenter

    def _with_less(self, work: Callable[[], T]) -> T:
        """Do some work, giving up more until memory suffices for it."""
        while True:
            try:
                return work()
            except (DeviceMemoryError, MemoryError) as error:
                if not self._give_up(str(error)):
                    raise
            # Not before here, where the error no longer holds what the network had made so far.
            self._segmenter.reset()
            release_memory()

    def _give_up(self, reason: str) -> bool:
        """Give up something; False where there is nothing left."""
        before = self.preprocess.short_side_px
        after = max(before // 2 // SIZE_MULTIPLE * SIZE_MULTIPLE, self._config.min_short_side_px)
        if after < before:
            values = self.preprocess.model_dump() | {"short_side_px": after}
            self._segmenter.preprocess = PreprocessConfig.from_mapping(values, source="segmenter")
        elif not self._config.allow_cpu_fallback or self._segmenter.device.type == CPU:
            return False
        else:
            self._segmenter = self._reopened()
        self.degraded = f"model input lowered to {self.preprocess.short_side_px} px on {self.device}: {reason}"
        return True

    def _reopened(self) -> Segmenter:
        """Open the same model on the CPU.

        Raises:
            CheckpointError: the folder holds another one by now.
        """
        old, size = self._segmenter, self.preprocess.short_side_px
        new = open_segmenter(_on_cpu(self._config, short_side_px=size), old.modalities)
        if (new.name, new.classes, new.modalities) != (old.name, old.classes, old.modalities):
            msg = (
                f"segmenter: the GPU's memory does not suffice, and {self._config.checkpoint} holds {new.name!r} where "
                f"{old.name!r} was, so it cannot go on on the CPU; reload the checkpoint"
            )
            raise CheckpointError(msg)
        return new

    def _open(self, config: InferenceConfig, modalities: Sequence[Modality]) -> Segmenter:
        if not config.allow_cpu_fallback:
            return open_segmenter(config, modalities)
        try:
            choose_device(config.device)
            return open_segmenter(config, modalities)
        except CheckpointError:
            raise
        except ConfigError as error:
            if not config.device.startswith("cuda") and not isinstance(error, DeviceMemoryError):
                raise
            reason = str(error)
        release_memory()
        segmenter = open_segmenter(_on_cpu(config), modalities)
        self.degraded = f"on the CPU in place of {config.device}: {reason}"
        return segmenter


def _on_cpu(config: InferenceConfig, **changes: int) -> InferenceConfig:
    """The same settings for the CPU, which does not compute in fp16."""
    precision = "fp32" if config.precision == "fp16" else config.precision
    return config.model_copy(update={"device": CPU, "precision": precision, **changes})
