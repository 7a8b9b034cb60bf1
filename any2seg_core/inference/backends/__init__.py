# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Ways to run the network, by name: torch as it stands or compiled, or exported graphs in ONNX Runtime or OpenVINO."""

from __future__ import annotations

from typing import TYPE_CHECKING

from any2seg_core.errors import ConfigError
from any2seg_core.inference.backends.base import Answer, Backend, import_runtime
from any2seg_core.inference.backends.eager import CompiledBackend, TorchBackend
from any2seg_core.inference.backends.graph_backend import GraphBackend
from any2seg_core.inference.backends.onnxruntime import OnnxRuntime
from any2seg_core.inference.backends.openvino import OpenVinoRuntime
from any2seg_core.inference.backends.store import find_or_make_graphs

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from any2seg_core.config import ModelConfig
    from any2seg_core.inference.backends.graph_backend import Runtime
    from any2seg_core.model.segmentor import Any2Seg

__all__ = ["Answer", "Backend", "TorchBackend", "open_backend"]

_PRECISIONS = {"onnxruntime": ("fp32",), "openvino": ("fp32", "bf16", "fp16")}


def open_backend(
    name: str,
    model: Any2Seg,
    config: ModelConfig,
    *,
    device: torch.device,
    precision: str = "fp32",
    threads: int = 0,
    graphs: Path | None = None,
) -> Backend:
    """Make ready to run a network.

    Args:
        name: "torch", "compile", "onnxruntime" or "openvino".
        model: on its device and in evaluation mode; its modalities must share the encoder.
        config: its architecture.
        device: where to run it.
        precision: "fp32", "bf16" or "fp16".
        threads: CPU threads of runtimes other than torch; 0 leaves their choice.
        graphs: folder of exported graphs to look at before the cache folder.

    Raises:
        ConfigError: this backend has no such precision or device.
        DependencyError: its package is not installed.
        CheckpointError: graphs must be exported first, and cannot be written.
    """
    if name in ("torch", "compile"):
        return (TorchBackend if name == "torch" else CompiledBackend)(model, device, precision)
    if precision not in _PRECISIONS[name]:
        msg = f"inference.precision: found {precision!r} with backend {name}, expected {' or '.join(_PRECISIONS[name])}"
        raise ConfigError(msg)
    if name == "openvino" and device.type != "cpu":
        msg = (
            f"inference.backend: found openvino on device {device}, expected device cpu; use torch or onnxruntime there"
        )
        raise ConfigError(msg)
    import_runtime(name)  # before minutes of export
    folder = find_or_make_graphs(model, config, first=graphs)
    runtime: Runtime
    if name == "openvino":
        runtime = OpenVinoRuntime(folder, precision=precision, threads=threads)
    else:
        runtime = OnnxRuntime(folder, device=device, threads=threads)
    return GraphBackend(runtime, modalities=len(model.modalities), remembers=config.previous == "temporal")
