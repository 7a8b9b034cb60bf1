# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Times four sensors' frames to labels of full size: transformers put together plainly, and any2seg's ways to the same.

Run by itself with a backbone, a size and a way, it prints that way's peak of memory, for the benchmark to collect.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from baselines import PlainAny2Seg
from bench_inputs import Drive
from bench_measure import Case, drawn_alike, measure, timed
from torch.utils.flop_counter import FlopCounterMode

from any2seg_core.config import ModelConfig, PreprocessConfig
from any2seg_core.frames import DELIVER_CLASSES
from any2seg_core.inference import Segmenter
from any2seg_core.model.checkpoint import CheckpointInfo
from any2seg_core.model.pretrained import load_transformers_head, load_transformers_weights
from any2seg_core.model.segmentor import build_model
from any2seg_core.preprocess import Preprocessor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from tqdm import tqdm

WIDTHS: Final = {"mit_b0": 256, "mit_b2": 768}
"""Channels of transformers' decode head."""
CASES: Final = {("mit_b0", 512): 9, ("mit_b0", 1024): 3, ("mit_b2", 512): 5, ("mit_b2", 1024): 2}
"""Backbones and sizes, and how many rounds each is worth."""
QUICK_CASES: Final = {("mit_b0", 64): 1}

PLAIN: Final = "transformers, put together plainly"
NEW: Final = ", 1 of 4 new"
BACKENDS: Final = {
    "any2seg": ("torch", "fp32"),
    "any2seg, torch bf16": ("torch", "bf16"),
    "any2seg, onnxruntime fp32": ("onnxruntime", "fp32"),
    "any2seg, openvino fp32": ("openvino", "fp32"),
    "any2seg, openvino bf16": ("openvino", "bf16"),
}
"""any2seg's ways: backend and precision."""
CACHED: Final = ("any2seg", "any2seg, openvino fp32", "any2seg, openvino bf16")
"""Which of them are also timed when one of four frames is new."""
WEIGHED: Final = (PLAIN, "any2seg", "any2seg, openvino bf16")
"""Whose memory is measured."""


class Ways:
    """Makes the ways of one case, all with the same weights, each only when asked for.

    Fusion acts at the four stages, for that is where the plain way is fastest: its head is then run once.
    """

    def __init__(self, backbone: str, side: int) -> None:
        torch.manual_seed(0)
        self._naive = PlainAny2Seg(len(DELIVER_CLASSES), backbone, WIDTHS[backbone]).eval()
        config = ModelConfig(backbone=backbone, embed_dim=WIDTHS[backbone], fusion_level="stages")
        self.model = build_model(config, len(DELIVER_CLASSES)).eval()
        load_transformers_weights(self.model.encoder, self._naive.donor.state_dict())
        load_transformers_head(self.model.head, self._naive.donor.state_dict())
        self._info = CheckpointInfo("bench", config, PreprocessConfig(short_side_px=side), DELIVER_CLASSES)
        self._frames = Drive(side)

    def make(self, name: str) -> Callable[[int], NDArray[Any]]:
        """Make a way: the number of a moment to labels."""
        if name == PLAIN:
            return self._by_transformers
        backend, precision = BACKENDS[name.removesuffix(NEW)]
        cached = name.endswith(NEW)
        segmenter = Segmenter(
            self.model, self._info, device="cpu", threads=1, cache=cached, backend=backend, precision=precision
        )
        return lambda index: segmenter.segment(self._frames(index)).labels

    def _by_transformers(self, index: int) -> NDArray[Any]:
        preprocessor = Preprocessor(self._info.preprocess, self.model.modalities)
        stack = preprocessor(self._frames(index))
        with torch.inference_mode():
            return self._naive(stack.pixels, stack.output_size).numpy()


def segment_benchmark(bar: tqdm[Any], *, quick: bool) -> Iterator[dict[str, Any]]:
    """Time all ways for every backbone and size; graphs are exported to a folder that goes away."""
    with _own_cache():
        for (backbone, side), rounds in (QUICK_CASES if quick else CASES).items():
            ways = Ways(backbone, side)
            names = [PLAIN, *([next(iter(BACKENDS))] if quick else BACKENDS)]
            names += [f"{name}{NEW}" for name in CACHED if name in names]
            case = Case(
                f"segment: {backbone}, 4 sensors, {side}x{side}",
                {name: ways.make(name) for name in names},
                drawn_alike,
                rough=tuple(name for name in names if "bf16" in name),
                notes={"backbone": backbone, "side": side, "floor": floor(ways.model, side)},
            )
            result = measure(case, rounds, bar)
            result["peak_mb"] = {name: peak_mb(backbone, side, name) for name in WEIGHED if name in names}
            del ways, case  # the next one needs the memory
            gc.collect()
            yield result


def floor(model: Any, side: int) -> dict[str, float]:
    """Work of the network, and the time that torch's matrix product would need for it, on one thread."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        maps = model.encode(torch.zeros(1, 3, side, side), torch.zeros(1, dtype=torch.int64))
    encoder = counter.get_total_flops()
    width, classes, finest = model.head.classifier.in_features, model.classes, maps[0][0, 0].numel()
    head = 2 * width * (sum(level[0].numel() for level in maps) + classes * finest)  # folded, weights multiplied before
    found = {"encoder_gflop": encoder / 1e9, "head_gflop": head / 1e9}
    for name, dtype in {"fp32": torch.float32, "bf16": torch.bfloat16}.items():
        square = torch.ones(1536, 1536, dtype=dtype)
        rate = 2 * 1536**3 / 1e6 / min(timed(lambda square=square: square @ square)[1] for _ in range(6))
        found |= {f"{name}_gflop_per_s": rate, f"{name}_ms": (4 * encoder + head) / rate / 1e6}
        found[f"{name}_new_ms"] = (encoder + head) / rate / 1e6
    return found


def peak_mb(backbone: str, side: int, name: str) -> float | None:
    """Memory that a way's first call takes beyond what its process held, MB; None where the system does not tell."""
    if not Path("/proc/self/clear_refs").exists():
        return None
    command = [sys.executable, __file__, backbone, str(side), name]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


@contextmanager
def _own_cache() -> Iterator[None]:
    former = os.environ.get("XDG_CACHE_HOME")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        try:
            yield
        finally:
            os.environ.pop("XDG_CACHE_HOME")
            if former is not None:
                os.environ["XDG_CACHE_HOME"] = former


def _memory_kb(name: str) -> int:
    """Read a line of this process' memory."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _print_peak(backbone: str, side: str, name: str) -> None:
    torch.set_num_threads(1)
    way = Ways(backbone, int(side)).make(name)
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak so far is forgotten
    before = _memory_kb("VmRSS")
    way(0)
    print((_memory_kb("VmHWM") - before) / 1e3)


if __name__ == "__main__":
    _print_peak(*sys.argv[1:4])
