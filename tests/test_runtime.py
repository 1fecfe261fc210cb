"""Devices as every room picks them, and what is taken for a lack of memory."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

from pipeline.codec.loading import load
from pipeline.config import CodecSettings
from pipeline.errors import UsageError
from pipeline.runtime import ALLOCATOR_SETTINGS, is_out_of_memory, pick_device

OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has 79.10 GiB in all"),
    RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported at some other API call"),
    torch.AcceleratorError("CUDA error: out of memory\nSearch for `cudaErrorMemoryAllocation'"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
    RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED"),
    RuntimeError("Triton Error [CUDA]: out of memory"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
    MemoryError(),
]
OTHERS = [
    RuntimeError("shapes do not match"),
    RuntimeError("CUDA error: an illegal memory access was encountered"),
    RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx`"),
    ValueError("out of memory"),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=str)
def test_a_lack_of_memory_is_recognised_in_every_librarys_words(error: BaseException) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", OTHERS, ids=str)
def test_other_failures_are_not_taken_for_a_lack_of_memory(error: BaseException) -> None:
    assert not is_out_of_memory(error)


def test_asking_a_cpu_for_too_much_is_out_of_memory() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**58, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[torch.device]]:
    """A machine that shows two GPUs; gives the devices that are made current, in order."""
    current: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    for name in ALLOCATOR_SETTINGS:
        monkeypatch.setenv(name, "")  # so that it is as before after the test
        monkeypatch.delenv(name)
    backends = torch.backends
    before = (
        backends.cuda.matmul.allow_tf32,
        backends.cudnn.allow_tf32,
        backends.cudnn.benchmark,
        backends.cudnn.deterministic,
        backends.cuda.cudnn_sdp_enabled(),
    )
    backends.cuda.matmul.allow_tf32 = backends.cudnn.allow_tf32 = backends.cudnn.benchmark = True
    backends.cudnn.deterministic = False
    backends.cuda.enable_cudnn_sdp(True)
    yield current
    backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32, backends.cudnn.benchmark = before[:3]
    backends.cudnn.deterministic = before[3]
    backends.cuda.enable_cudnn_sdp(before[4])


def assert_results_depend_on_neither_timing_nor_tf32() -> None:
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cudnn.benchmark
    assert torch.backends.cudnn.deterministic
    assert not torch.backends.cuda.cudnn_sdp_enabled()
    assert torch.backends.cuda.flash_sdp_enabled()


@pytest.mark.parametrize("name", ["cuda:1", "cuda", "auto"])
def test_a_gpu_that_is_picked_is_the_current_one_and_computes_exactly(
    name: str, two_gpus: list[torch.device]
) -> None:
    device = pick_device(name)
    assert two_gpus == [device]
    assert device.type == "cuda"
    assert_results_depend_on_neither_timing_nor_tf32()
    assert os.environ["PYTORCH_ALLOC_CONF"] == "expandable_segments:True"


def test_a_users_own_allocator_settings_stay(
    two_gpus: list[torch.device], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", "max_split_size_mb:512")
    pick_device("cuda")
    assert "PYTORCH_ALLOC_CONF" not in os.environ


def test_a_codec_loaded_for_a_gpu_computes_exactly(
    two_gpus: list[torch.device], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.nn.Module, "to", lambda module, device: module)  # weights cannot go there
    load(CodecSettings(device="cuda:1"))
    assert two_gpus == [torch.device("cuda:1")]
    assert_results_depend_on_neither_timing_nor_tf32()


def test_a_cpu_changes_no_setting_of_cuda(two_gpus: list[torch.device]) -> None:
    assert pick_device("cpu").type == "cpu"
    assert two_gpus == []
    assert torch.backends.cudnn.benchmark


@pytest.mark.parametrize(
    ("name", "words"), [("cuda:2", "no device cuda:2: .* 2 CUDA GPUs"), ("tpu", "give auto, cpu")]
)
def test_a_device_that_is_not_there_is_said_in_one_sentence(
    name: str, words: str, two_gpus: list[torch.device]
) -> None:
    with pytest.raises(UsageError, match=words):
        pick_device(name)
    assert two_gpus == []
