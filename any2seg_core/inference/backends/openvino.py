# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Exported graphs run by OpenVINO on a CPU: https://docs.openvino.ai."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from any2seg_core.errors import ConfigError
from any2seg_core.inference.backends.base import import_runtime, unreadable
from any2seg_core.inference.backends.graphs import ENCODE, FUSE, numbered

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from any2seg_core.inference.backends.graph_backend import Arrays

PRECISIONS: Final = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
"""OpenVINO's names."""
_SIZES: Final = 2
"""Compiled sizes that are kept."""


@functools.cache
def core() -> Any:
    """Give this process' one OpenVINO core, which lives as long as the process.

    Each core sets the thread's stack for signals and sets back the one that it found when it ends (openvino 2026.4,
    plugins/intel_cpu, SigAltStackSetup): of several, the last may leave one behind that is freed, and the next signal
    ends the process.

    Raises:
        DependencyError: openvino is not installed.
    """
    return import_runtime("openvino").Core()


class OpenVinoRuntime:
    """Both graphs, compiled once for each size of input: with sizes known, OpenVINO drops half of its copies.

    Fusion always computes in float32, for cosines of similar features differ by less than bf16 holds; so the second
    graph is cut in two after it.

    Args:
        folder: where the graphs are.
        precision: a key of PRECISIONS.
        threads: CPU threads; 0 leaves OpenVINO's choice.

    Raises:
        DependencyError: openvino is not installed.
        ConfigError: the processor cannot compute in this precision.
        CheckpointError: the graphs cannot be read.
    """

    def __init__(self, folder: Path, *, precision: str, threads: int) -> None:
        self._openvino = import_runtime("openvino")
        self._passes = import_runtime("openvino.passes")
        self._core = core()
        able = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision.upper() not in able:
            msg = f"inference.precision: found {precision!r}, this processor computes in {', '.join(able)}; use fp32"
            raise ConfigError(msg)
        self._precision = PRECISIONS[precision]
        self._settings = {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": threads} if threads else {"NUM_STREAMS": 1}
        try:
            self._models = {name: self._core.read_model(folder / name) for name in (ENCODE, FUSE)}
        except RuntimeError as error:
            raise unreadable(folder, error) from error
        self._compiled: dict[tuple[str, tuple[tuple[int, ...], ...]], tuple[Any, ...]] = {}

    def encode(self, inputs: Arrays) -> list[NDArray[np.float32]]:
        """See Runtime."""
        (encode,) = self._requests(ENCODE, inputs)
        return self._run(encode, inputs)

    def fuse(self, inputs: Arrays) -> list[NDArray[np.float32]]:
        """See Runtime."""
        fuse, decode = self._requests(FUSE, inputs)
        fused = self._run(fuse, inputs)
        return [*self._run(decode, dict(zip(numbered("fused", fused), fused, strict=True))), *fused]

    def _run(self, request: Any, inputs: Arrays) -> list[NDArray[np.float32]]:
        outputs = [np.empty(port.shape, np.float32) for port in request.model_outputs]
        for index, output in enumerate(outputs):
            request.set_output_tensor(index, self._openvino.Tensor(output, shared_memory=True))
        request.infer(dict(inputs), share_inputs=True, share_outputs=True)
        return outputs

    def _requests(self, name: str, inputs: Arrays) -> tuple[Any, ...]:
        """Compile a graph for shapes of input, unless that was done."""
        key = (name, tuple(array.shape for array in inputs.values()))
        if key not in self._compiled:
            model = self._models[name].clone()
            model.reshape({port: list(array.shape) for port, array in inputs.items()})
            same = [other for other in self._compiled if other[0] == name]
            for other in same[: len(same) - _SIZES + 1]:
                del self._compiled[other]
            if name == ENCODE:
                self._compiled[key] = (self._compile(model, self._precision),)
            else:
                fuse, decode = self._cut(model)
                self._compiled[key] = (self._compile(fuse, PRECISIONS["fp32"]), self._compile(decode, self._precision))
        return self._compiled[key]

    def _compile(self, model: Any, precision: str) -> Any:
        settings = {**self._settings, "INFERENCE_PRECISION_HINT": precision}
        return self._core.compile_model(model, "CPU", settings).create_infer_request()

    def _cut(self, model: Any) -> tuple[Any, Any]:
        """Cut FUSE, its sizes known, into what makes the fused maps, and what makes the logits of them."""
        manager = self._passes.Manager()
        manager.register_pass(self._passes.ConstantFolding())  # sizes of inputs become numbers in the head
        manager.run_passes(model)
        decode = model.clone()
        parameters = []
        for name in numbered("fused", model.outputs[1:]):
            source = next(port for port in decode.outputs if name in port.names).get_node().input_value(0)
            parameter = self._openvino.opset8.parameter(source.get_partial_shape(), source.get_element_type())
            parameter.output(0).set_names({name})
            for reader in source.get_target_inputs():
                reader.replace_source_output(parameter.output(0))
            parameters.append(parameter)
        return (
            self._openvino.Model(model.get_results()[1:], model.get_parameters(), "fuse"),
            self._openvino.Model(decode.get_results()[:1], parameters, "decode"),
        )
