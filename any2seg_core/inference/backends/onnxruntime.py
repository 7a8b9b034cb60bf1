# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Exported graphs run by ONNX Runtime: https://onnxruntime.ai."""

from __future__ import annotations

from typing import TYPE_CHECKING

from any2seg_core.errors import ConfigError
from any2seg_core.inference.backends.base import import_runtime, unreadable
from any2seg_core.inference.backends.graphs import ENCODE, FUSE

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from any2seg_core.inference.backends.graph_backend import Arrays


class OnnxRuntime:
    """Both graphs, for any size of input.

    Args:
        folder: where the graphs are.
        device: a CPU, or a GPU where onnxruntime-gpu is installed.
        threads: CPU threads; 0 leaves ONNX Runtime's choice.

    Raises:
        DependencyError: onnxruntime is not installed.
        ConfigError: it has no provider for the device.
        CheckpointError: the graphs cannot be read.
    """

    def __init__(self, folder: Path, *, device: torch.device, threads: int) -> None:
        onnxruntime = import_runtime("onnxruntime")
        provider = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}[device.type]
        known = onnxruntime.get_available_providers()
        if provider not in known:
            msg = (
                f"backend onnxruntime: found providers {', '.join(known)}, expected {provider} for {device.type}; "
                "install onnxruntime-gpu in place of onnxruntime, or use device cpu"
            )
            raise ConfigError(msg)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors; warnings are about its own rewriting of graphs
        where = (provider, {"device_id": device.index or 0}) if device.type == "cuda" else provider
        # Its errors have no base of their own.
        self._errors = tuple(
            getattr(onnxruntime.capi.onnxruntime_pybind11_state, error)
            for error in ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "RuntimeException")
        )
        try:
            self._sessions = {
                name: onnxruntime.InferenceSession(folder / name, options, providers=[where]) for name in (ENCODE, FUSE)
            }
        except self._errors as error:
            raise unreadable(folder, error) from error

    def encode(self, inputs: Arrays) -> list[NDArray[np.float32]]:
        """See Runtime."""
        return self._run(ENCODE, inputs)

    def fuse(self, inputs: Arrays) -> list[NDArray[np.float32]]:
        """See Runtime."""
        return self._run(FUSE, inputs)

    def _run(self, name: str, inputs: Arrays) -> list[NDArray[np.float32]]:
        try:
            return list(self._sessions[name].run(None, dict(inputs)))
        except self._errors as error:
            msg = f"onnxruntime: {error}"
            raise RuntimeError(msg) from error
