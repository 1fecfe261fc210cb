"""The one-pass activations equal the plain path, for clips of every length in a batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from codec_helpers import ROOT, xcodec2
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses import FakeTensorMode

from pipeline.codec import semantic
from pipeline.codec.activation import cpu as cpu_activation
from pipeline.codec.activation import fastest_activation
from pipeline.codec.activation.plain import plain
from pipeline.codec.masking import hold_past, zero_past

CPU = torch.device("cpu")
needs_compiler = pytest.mark.skipif(cpu_activation.build() is None, reason="no C++ compiler here")


@needs_compiler
@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 1_500), min_size=1, max_size=4), st.integers(0, 40), st.floats(0.01, 30.0))
def test_the_cpu_kernel_equals_the_plain_path(lengths: list[int], extra: int, size: float) -> None:
    module = xcodec2()[0].acoustic_encoder.block[0].snake1
    generator = torch.Generator().manual_seed(sum(lengths))
    values = size * torch.randn(len(lengths), 4, max(lengths) + extra, generator=generator)
    own = torch.tensor(lengths)
    kernel = cpu_activation.build()
    assert kernel is not None
    torch.testing.assert_close(
        kernel(module, values, own), plain(module, values, own), atol=2e-6 * size, rtol=2e-6
    )


def test_the_plain_path_gives_each_clip_what_the_module_gives_it_alone() -> None:
    module = xcodec2()[0].acoustic_encoder.block[2].snake1
    values, lengths = torch.randn(3, 16, 90), [90, 1, 33]
    made = plain(module, values, torch.tensor(lengths))
    for row, clip, length in zip(made, values, lengths, strict=True):
        torch.testing.assert_close(row[:, :length], module(clip[None, :, :length])[0])
        assert not row[:, length:].any()


def test_without_a_compiler_the_plain_path_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    cpu_activation.build.cache_clear()
    try:
        assert fastest_activation(CPU) is plain
    finally:
        cpu_activation.build.cache_clear()


@needs_compiler
def test_a_broken_compiler_is_said_once_and_the_plain_path_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = tmp_path / "c++"
    broken.write_text("#!/bin/sh\necho no such processor >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    cpu_activation.build.cache_clear()
    try:
        assert fastest_activation(CPU) is plain
        assert "was not built" in caplog.text
    finally:
        cpu_activation.build.cache_clear()


def test_the_triton_kernel_equals_the_plain_path_under_its_interpreter() -> None:
    folders = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    run = subprocess.run(
        [sys.executable, "-m", "codec_triton_check"],
        env={**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": folders},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    errors = json.loads(run.stdout)
    assert errors["torch.float32"] < 5e-6
    assert errors["torch.bfloat16"] < 0.04  # half a unit in the last place of the largest values
    assert errors["torch.float16"] < 0.005


@pytest.mark.parametrize(("dtype", "most"), [("fp32", 70), ("bf16", 50)])
def test_the_triton_kernel_for_an_h200_is_short_and_keeps_everything_in_registers(
    dtype: str, most: int
) -> None:
    pytest.importorskip("triton")
    from benchmarks.cuda_static import compiled

    found = compiled(90, dtype)
    assert found.instructions <= most
    assert found.spilled == 0
    assert (found.widest_load, found.widest_store) == (64, 64)


def test_the_triton_kernel_is_an_operator_that_a_compiler_need_not_look_into() -> None:
    pytest.importorskip("triton")
    from pipeline.codec.activation.triton import fused

    module = xcodec2()[0].acoustic_encoder.block[0].snake1
    with FakeTensorMode(allow_non_fake_inputs=True):
        values = torch.empty(2, 4096, 4, device="cuda", dtype=torch.bfloat16).transpose(1, 2)
        lengths = torch.empty(2, device="cuda", dtype=torch.int64)
        made = torch.compile(fused, backend="eager", fullgraph=True)(module, values, lengths)
    assert (made.shape, made.dtype, made.device.type) == ((2, 4, 4096), torch.bfloat16, "cuda")
    assert made.transpose(1, 2).is_contiguous()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 5e-6), (torch.bfloat16, 0.04)])
def test_the_triton_kernel_equals_the_plain_path_on_a_gpu(dtype: torch.dtype, limit: float) -> None:
    module = xcodec2()[0].acoustic_encoder.block[0].snake1
    values, own = torch.randn(4, 4, 5_000).to(dtype), torch.tensor([5_000, 1, 1_023, 3_333])
    expected = plain(module, values.float(), own)
    made = fastest_activation(torch.device("cuda"))(module.cuda(), values.cuda(), own.cuda())
    assert float((made.cpu().float() - expected).abs().max()) < limit
    module.cpu()


def test_masks_zero_and_hold_what_lies_past_each_clip() -> None:
    values = torch.arange(8.0).view(2, 1, 4)
    lengths = torch.tensor([2, 4])
    assert zero_past(values, lengths)[:, 0].tolist() == [[0, 1, 0, 0], [4, 5, 6, 7]]
    assert hold_past(values, lengths)[:, 0].tolist() == [[0, 1, 1, 1], [4, 5, 6, 7]]


def test_attention_by_clamped_distances_is_the_librarys() -> None:
    model = xcodec2()[0].semantic_encoder
    features, lengths = torch.randn(3, 120, 160), torch.tensor([120, 1, 77])
    assert semantic.supported(model)
    made = semantic.encode(model, features, lengths)
    for row, clip, length in zip(made, features, lengths.tolist(), strict=True):
        alone = model(clip[None, :length]).last_hidden_state[0]
        torch.testing.assert_close(row[:length], alone, atol=2e-5, rtol=1e-4)
