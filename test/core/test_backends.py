# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Every backend gives the answer of torch in float32, for every subset, size and history, or says why it cannot.

Exporting takes seconds even for a tiny network, so one is exported, once, and many questions are asked of it.
"""

import itertools
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from any2seg_core.config import InferenceConfig, ModelConfig, PreprocessConfig
from any2seg_core.errors import CheckpointError, ConfigError, DependencyError
from any2seg_core.frames import CameraModel, ClassTable, FrameSet, Modality, Points, SensorFrame
from any2seg_core.inference import Segmenter, open_segmenter
from any2seg_core.inference.backends import graphs, open_backend, store
from any2seg_core.inference.backends.openvino import core
from any2seg_core.model import Any2Seg, CheckpointInfo
from any2seg_core.model.decoder import DecodeHead
from any2seg_core.model.encoder import MiTVariant, MixTransformer
from any2seg_core.model.fusion import ModalityFusion
from any2seg_core.model.max_fusion import MaxFusion
from any2seg_core.model.norms import NORMS

R, D, E, L = MODALITIES = (Modality.RGB, Modality.DEPTH, Modality.EVENT, Modality.LIDAR)
CLASSES = ClassTable(("road", "sky", "car", "tree", "person"), np.arange(15, dtype=np.uint8).reshape(5, 3))
SUBSETS = [slots for count in range(1, 5) for slots in itertools.combinations(range(4), count)]
CPU = torch.device("cpu")
RUNTIMES = ("onnxruntime", "openvino")
CONFIGS = {
    "stages": ModelConfig(fusion_level="stages", norms="per_modality", previous="temporal"),
    "embedding": ModelConfig(),
}
TOLERANCE = {"atol": 2e-5, "rtol": 1e-4}
"""Of float32 in another order of summation."""


def tiny(level, norms="shared", fusion=None):
    """A network of four blocks, far from its start, so that norms and biases matter."""
    torch.manual_seed(0)
    encoder = MixTransformer(MiTVariant((1, 1, 1, 1), (8, 16, 40, 64)), norm=NORMS[norms](4))
    head = DecodeHead(encoder.channels, 16, len(CLASSES))
    model = Any2Seg(encoder, head, fusion or ModalityFusion(), level=level, modalities=MODALITIES).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape), alpha=0.1)
    return model


MODELS = {name: tiny(config.fusion_level, config.norms) for name, config in CONFIGS.items()}


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """Exported graphs stay within the test."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def opened():
    """Backends by model and name, each opened once."""
    known = {}

    def get(model, name):
        if (model, name) not in known:
            known[model, name] = open_backend(name, MODELS[model], CONFIGS[model], device=CPU)
        return known[model, name]

    return get


def pixels(seed=0, size=(64, 96)):
    return torch.randn(4, 3, *size, generator=torch.Generator().manual_seed(seed))


def maps_of(backend, images, slots=range(4)):
    slots = list(slots)
    return dict(zip(slots, backend.encode(images[slots], slots), strict=True))


def close(found, expected):
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, **TOLERANCE)


@pytest.mark.parametrize("name", RUNTIMES)
@torch.inference_mode()
def test_all_subsets_are_those_of_torch(opened, name):
    backend, torch_s = opened("stages", name), opened("stages", "torch")
    images = pixels()
    found, expected = maps_of(backend, images), maps_of(torch_s, images)
    for slot in range(4):
        close(found[slot], expected[slot])
    answers = []
    for subset in SUBSETS:
        one = backend.fuse_and_decode({slot: found[slot] for slot in subset}, None)
        other = torch_s.fuse_and_decode({slot: expected[slot] for slot in subset}, None)
        torch.testing.assert_close(one.logits, other.logits, **TOLERANCE)
        whole = MODELS["stages"](images[None], torch.tensor([[slot in subset for slot in range(4)]]))
        torch.testing.assert_close(one.logits, whole.logits, **TOLERANCE)
        answers.append(one.logits)
    assert not any(torch.allclose(*pair, atol=1e-3) for pair in itertools.combinations(answers, 2))


@pytest.mark.parametrize("name", RUNTIMES)
@torch.inference_mode()
def test_any_size_in_any_order(opened, name):
    backend, torch_s = opened("stages", name), opened("stages", "torch")
    for size in ((96, 160), (32, 64), (96, 160)):
        images = pixels(1, size)
        one = backend.fuse_and_decode(maps_of(backend, images, (0, 2, 3)), None)
        other = torch_s.fuse_and_decode(maps_of(torch_s, images, (0, 2, 3)), None)
        torch.testing.assert_close(one.logits, other.logits, **TOLERANCE)


@pytest.mark.parametrize("name", RUNTIMES)
@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), 1e30])
@torch.inference_mode()
def test_garbage_of_an_absent_modality_changes_no_bit(opened, name, garbage):
    backend = opened("stages", name)
    maps = maps_of(backend, pixels())
    given = {0: maps[0], 2: maps[2]}
    clean = backend.fuse_and_decode(given, None).logits.clone()
    dirty = tuple(torch.full_like(level, garbage) for level in maps[3])
    assert not torch.equal(backend.fuse_and_decode({**given, 3: dirty}, None).logits, clean)  # leaves it in its place
    assert torch.equal(backend.fuse_and_decode(given, None).logits, clean)


@pytest.mark.parametrize("name", RUNTIMES)
@torch.inference_mode()
def test_the_frame_before_joins_as_in_torch(opened, name):
    backend, torch_s = opened("stages", name), opened("stages", "torch")
    first, second = pixels(3), pixels(4)
    before, expected_before = (one.fuse_and_decode(maps_of(one, first), None) for one in (backend, torch_s))
    close(before.state, expected_before.state)
    after, expected = (
        one.fuse_and_decode(maps_of(one, second, (0, 1)), state.state)
        for one, state in ((backend, before), (torch_s, expected_before))
    )
    torch.testing.assert_close(after.logits, expected.logits, **TOLERANCE)
    alone = backend.fuse_and_decode(maps_of(backend, second, (0, 1)), None)
    assert not torch.allclose(after.logits, alone.logits, atol=1e-4)


@pytest.mark.parametrize("name", ["torch", *RUNTIMES])
@torch.inference_mode()
def test_maps_and_answers_are_not_written_to_later(opened, name):
    backend = opened("stages", name)
    maps = maps_of(backend, pixels())
    answer = backend.fuse_and_decode(maps, None)
    copies = [level.clone() for levels in maps.values() for level in levels] + [answer.logits.clone()]
    backend.fuse_and_decode(maps_of(backend, pixels(5)), None)
    kept = [level for levels in maps.values() for level in levels] + [answer.logits]
    assert all(torch.equal(one, other) for one, other in zip(kept, copies, strict=True))


def frames(stamp_ns, *, size=(70, 101)):
    """Pictures of three modalities, and points; how they are prepared is not the question here."""
    height, width = size
    random = np.random.default_rng(stamp_ns)
    picture = {m: random.integers(0, 256, (height, width, 3), dtype=np.uint8) for m in (R, D, E)}
    points = Points(random.uniform((-5, -5, 2), (5, 5, 30), (500, 3)).astype(np.float32), np.ones(500, np.float32))
    data = {**picture, L: points}
    view = CameraModel(width, height, np.array([[80.0, 0, width / 2], [0, 80, height / 2], [0, 0, 1]]))
    return FrameSet(
        R, {m: SensorFrame(m, stamp_ns, m.value, one, to_view=np.eye(4)) for m, one in data.items()}, {}, view
    )


def segmenter(name, model="stages", **settings):
    info = CheckpointInfo("tiny", CONFIGS[model], PreprocessConfig(short_side_px=64), CLASSES)
    return Segmenter(MODELS[model], info, device="cpu", backend=name, **settings)


def same(one, other):
    return np.array_equal(one.labels, other.labels) and np.array_equal(one.confidence, other.confidence)


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_drive_with_dropouts_is_the_same_with_and_without_the_cache_and_as_in_torch(name):
    kept, plain, torch_s = segmenter(name), segmenter(name, cache=False), segmenter("torch")
    slow = frames(10**9).frames
    for step in range(5):
        given = frames(10**9 + step * 33_000_000)
        chosen = {R: given.frames[R], **{m: slow[m] for m in (D, E, L) if (step, m) not in ((2, L), (3, D))}}
        given = replace(given, frames=chosen)
        found = kept.segment(given)
        assert same(found, plain.segment(given))
        expected = torch_s.segment(given)
        np.testing.assert_allclose(found.confidence, expected.confidence, atol=1e-4)
        assert np.mean(found.labels == expected.labels) > 0.999
    assert (kept.encoded, kept.cache_hits) == (torch_s.encoded, torch_s.cache_hits) == (8, 10)


def test_torch_in_bf16_answers_nearly_the_same():
    found, expected = (segmenter("torch", precision=precision).segment(frames(7)) for precision in ("bf16", "fp32"))
    assert not same(found, expected)
    assert np.mean(found.labels == expected.labels) > 0.95


def test_openvino_in_bf16_where_the_processor_can():
    able = core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if "BF16" not in able:
        with pytest.raises(ConfigError, match="found 'bf16', this processor computes in"):
            segmenter("openvino", precision="bf16")
        return
    found, expected = (segmenter("openvino", precision=precision).segment(frames(7)) for precision in ("bf16", "fp32"))
    assert np.mean(found.labels == expected.labels) > 0.95


SIGNALS = """
import gc, os, signal, sys
from any2seg_core.inference.backends.openvino import OpenVinoRuntime
from pathlib import Path
signal.signal(signal.SIGUSR1, lambda *_: print("heard", flush=True))
opened = [OpenVinoRuntime(Path(sys.argv[1]), precision="fp32", threads=1) for _ in range(3)]
while opened:
    del opened[0]
    gc.collect()
os.kill(os.getpid(), signal.SIGUSR1)
"""


def test_signals_are_survived_after_openvino_models_went(tmp_path):
    """A node that loaded another checkpoint, and is then interrupted or loses a child process."""
    made = store.make_graphs(tmp_path / "onnx", MODELS["embedding"], CONFIGS["embedding"])
    done = subprocess.run([sys.executable, "-c", SIGNALS, str(made)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr
    (made / "check_openvino_fp32.json").write_text("{}", encoding="utf-8")
    assert store.make_graphs(made, MODELS["embedding"], CONFIGS["embedding"]) == made
    assert (made / "check_openvino_fp32.json").is_file(), "what was found out about the same graphs is kept"


# The other fusions: the second graph alone

FUSIONS = {
    "soft": (ModalityFusion(selection="soft", temperature=0.3), "logits"),
    "max": (MaxFusion(), "embedding"),
    "mean": (ModalityFusion(reweight=False, select=False), "logits"),
}


@pytest.mark.parametrize("case", FUSIONS)
@torch.inference_mode()
def test_graph_of_other_fusions(case):
    """As torch runs it, which export writes down; batches of different subsets at once."""
    fusion, level = FUSIONS[case]
    model = tiny(level, fusion=fusion)
    maps = model.encode(pixels(), torch.arange(4))
    present = torch.tensor([subset_row(subset) for subset in SUBSETS])
    stacks = tuple(graphs.channels_last(one)[None].expand(len(SUBSETS), -1, -1, -1, -1) for one in maps)
    found, *_ = graphs.FuseGraph(model)(present, stacks)
    expected = model(pixels()[None].expand(len(SUBSETS), -1, -1, -1, -1), present).logits
    torch.testing.assert_close(graphs.channels_first(found), expected, **TOLERANCE)


def subset_row(subset):
    return [slot in subset for slot in range(4)]


# Where graphs come from


def test_graphs_are_made_once_and_found_again(cache, opened, monkeypatch):
    opened("stages", "onnxruntime")
    folders = set(cache.glob("any2seg/graphs/*"))
    assert {path.name for path in next(iter(folders)).iterdir()} == {graphs.ENCODE, graphs.FUSE, store.DESCRIPTION}
    monkeypatch.setattr(store, "export_graphs", None)
    open_backend("openvino", MODELS["stages"], CONFIGS["stages"], device=CPU)
    assert set(cache.glob("any2seg/graphs/*")) == folders


def write_some(folder, text="graph"):
    for name in (graphs.ENCODE, graphs.FUSE):
        (folder / name).write_text(text)


def test_the_checkpoint_s_own_graphs_come_first_and_others_never(tmp_path):
    model, config = tiny("embedding"), CONFIGS["embedding"]
    other = tiny("embedding")
    with torch.no_grad():
        other.head.classifier.bias[0] += 1e-3
    beside = tmp_path / "onnx"
    store.write_graphs(beside, other, config, write_some)
    found = {"first": beside}
    assert store.find_graphs(other, config, **found) == beside
    assert store.find_graphs(model, config, **found) != beside
    assert store.find_graphs(other, config.model_copy(update={"residual": False}), **found) != beside
    (beside / graphs.FUSE).unlink()
    assert store.find_graphs(other, config, **found) is None
    store.write_graphs(beside, other, config, write_some)
    assert store.find_graphs(other, config, **found) == beside
    (beside / store.DESCRIPTION).write_text("{")
    assert store.find_graphs(other, config, **found) is None


def test_a_write_that_breaks_leaves_what_was_there(tmp_path):
    def breaks(folder):
        write_some(folder, "half")
        raise OSError(28, "no space left on device")

    store.write_graphs(tmp_path / "onnx", MODELS["embedding"], CONFIGS["embedding"], write_some)
    with pytest.raises(CheckpointError, match=r"cannot be written .*no space left.*; set XDG_CACHE_HOME"):
        store.write_graphs(tmp_path / "onnx", MODELS["embedding"], CONFIGS["embedding"], breaks)
    assert (tmp_path / "onnx" / graphs.FUSE).read_text() == "graph"
    assert [path.name for path in tmp_path.iterdir()] == ["onnx"]
    assert json.loads((tmp_path / "onnx" / store.DESCRIPTION).read_text())["opset"] == graphs.OPSET
    with pytest.raises(CheckpointError, match="found something else than exported graphs"):
        store.write_graphs(tmp_path, MODELS["embedding"], CONFIGS["embedding"], write_some)


@pytest.mark.parametrize("name", RUNTIMES)
def test_broken_graphs_are_named(tmp_path, name):
    store.write_graphs(tmp_path / "onnx", MODELS["embedding"], CONFIGS["embedding"], write_some)
    with pytest.raises(CheckpointError, match=r"the graphs in .*onnx cannot be read .*; remove that folder"):
        segmenter(name, "embedding", graphs=tmp_path / "onnx")


# What cannot be


def test_missing_packages_name_the_extra(monkeypatch):
    for name in RUNTIMES:
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(DependencyError, match=rf"found no {name}; run pip install 'any2seg\[backends\]'"):
            segmenter(name, "embedding")


@pytest.mark.parametrize(
    ("name", "precision", "message"),
    [
        ("torch", "fp16", "found 'fp16' with torch on cpu, expected fp32 or bf16"),
        ("compile", "fp16", "found 'fp16' with torch on cpu, expected fp32 or bf16"),
        ("onnxruntime", "bf16", "found 'bf16' with backend onnxruntime, expected fp32"),
    ],
)
def test_precisions_that_are_not_to_be_had(name, precision, message):
    with pytest.raises(ConfigError, match=message):
        segmenter(name, "embedding", precision=precision)


def test_a_device_that_openvino_does_not_have():
    with pytest.raises(ConfigError, match="found openvino on device cuda:0, expected device cpu"):
        open_backend("openvino", MODELS["embedding"], CONFIGS["embedding"], device=torch.device("cuda:0"))


def test_modalities_joined_before_the_encoder_run_in_torch_only():
    settings = {"model": ModelConfig(fusion="concat", embed_dim=16), "classes": CLASSES}
    preprocess = PreprocessConfig(short_side_px=64)
    with pytest.raises(ConfigError, match="found openvino in fp32 for a model with fusion 'concat'"):
        Segmenter.untrained(**settings, preprocess=preprocess, device="cpu", backend="openvino")


def test_settings_reach_the_backend():
    config = InferenceConfig(checkpoint="untrained", device="cpu", backend="onnxruntime", precision="bf16")
    with pytest.raises(ConfigError, match="found 'bf16' with backend onnxruntime"):
        open_segmenter(config, MODALITIES)
