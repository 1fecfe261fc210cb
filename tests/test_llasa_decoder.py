"""The decode loop: what `transformers` itself would generate, only legal tokens, rows that do not know each
other.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from functorch.compile import make_boxed_func
from llasa_helpers import (
    CODEBOOK,
    GREEDY,
    decoder,
    end_bias,
    layout,
    model,
    prompts,
    run,
    speak,
    tokenizer,
)
from torch._functorch.aot_autograd import aot_module_simplified
from torch.utils._python_dispatch import TorchDispatchMode

from pipeline.errors import UsageError
from pipeline.llasa import attention, compiling
from pipeline.llasa.decoder import cut_at_end
from pipeline.llasa.sampling import Sampling
from pipeline.runtime import cpp_compiler

TEXTS = ["Hi.", "A somewhat longer text, to be said at leisure.", "日本語のテキスト。"]


def test_greedy_speech_is_what_plain_generate_gives_among_the_legal_tokens() -> None:
    ids = prompts().tokens(TEXTS[1])
    legal = {*layout().code_ids.tolist(), layout().speech_end}
    illegal = sorted(set(range(len(tokenizer()))) - legal)
    plain = model().generate(
        torch.tensor([ids]),
        attention_mask=torch.ones(1, len(ids), dtype=torch.int64),
        max_new_tokens=40,
        do_sample=False,
        suppress_tokens=illegal,
        eos_token_id=layout().speech_end,
    )
    expected = plain[0, len(ids) :].numpy() - layout().code_ids[0]
    codes = speak(decoder(), [TEXTS[1]], GREEDY)[0]
    assert len(codes) > 10
    np.testing.assert_array_equal(codes, expected[expected >= 0])


def test_a_batch_of_different_lengths_gives_each_what_it_gets_alone() -> None:
    made = decoder()
    alone = [speak(made, [text], GREEDY)[0] for text in TEXTS]
    together = speak(made, TEXTS, GREEDY)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_same_seed_gives_the_same_speech_in_any_batch_and_another_seed_other_speech() -> None:
    made = decoder()
    first, second = (Sampling(temperature=1, max_codes=40, seed=seed) for seed in (1, 2))
    alone = speak(made, TEXTS[:1], first)[0]
    together = speak(made, [TEXTS[1], TEXTS[0], TEXTS[0]], second, first, second)
    np.testing.assert_array_equal(together[1], alone)
    assert not np.array_equal(together[2], alone)


def test_windows_of_the_cache_do_not_change_what_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = speak(decoder(), TEXTS, GREEDY)
    monkeypatch.setattr("pipeline.llasa.decoder.WINDOWS", ())
    whole = speak(decoder(), TEXTS, GREEDY)
    for one, other in zip(narrow, whole, strict=True):
        np.testing.assert_array_equal(one, other)


def test_nothing_of_an_earlier_batch_is_heard_in_a_later_one() -> None:
    made = decoder()
    at_first = speak(made, TEXTS[:1], GREEDY)[0]
    speak(made, [TEXTS[1] * 3, *TEXTS], GREEDY)
    np.testing.assert_array_equal(speak(made, TEXTS[:1], GREEDY)[0], at_first)


def test_only_codes_are_said_however_little_the_model_wants_to() -> None:
    made = decoder()
    codes = speak(made, TEXTS[:1], Sampling(temperature=5, top_k=0, max_codes=200, seed=0))[0]
    assert codes.max() < CODEBOOK
    assert len(set(codes.tolist())) > CODEBOOK / 2


def test_speech_ends_at_the_first_end_marker() -> None:
    made = decoder()
    end_bias(made, 100.0)
    assert [len(codes) for codes in speak(made, TEXTS, GREEDY)] == [0, 0, 0]


def test_nothing_is_lost_at_the_length_limit() -> None:
    made = decoder()
    end_bias(made, -100.0)
    lengths = [7, 40, 1]
    spoken = speak(made, TEXTS, *(Sampling(temperature=0, max_codes=length) for length in lengths))
    assert [len(codes) for codes in spoken] == lengths


def test_speech_stops_where_the_cache_is_full_and_the_whole_cache_is_used() -> None:
    made = decoder(length=256)
    end_bias(made, -100.0)
    ids = prompts().tokens("x")
    codes = run(made.start([ids], [Sampling(temperature=0, max_codes=5000)]))[0]
    assert len(codes) == 256 - len(ids)


def test_a_prompt_that_fills_the_cache_is_refused_in_one_sentence() -> None:
    with pytest.raises(UsageError, match=r"take \d+ tokens and the model reads 256: shorten them"):
        speak(decoder(length=256), ["x" * 300], GREEDY)


def test_codes_are_cut_in_one_go() -> None:
    written = np.array([[1, 2, 9, 3], [1, 2, 3, 4], [9, 9, 9, 9]])
    cut = cut_at_end(written, 9, [4, 3, 4])
    assert [one.tolist() for one in cut] == [[1, 2], [1, 2, 3], []]
    assert all(one.dtype == np.uint16 for one in cut)


aten = torch.ops.aten
READS = (aten._local_scalar_dense, aten.item, aten.is_nonzero, aten.nonzero)


class Waits(TorchDispatchMode):
    """Counts what would wait for a device: operations that read a value of a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func.overloadpacket in READS
        return func(*args, **(kwargs or {}))


def test_the_device_is_waited_for_once_in_sixteen_codes() -> None:
    made = decoder()
    end_bias(made, -100.0)
    session = made.start([prompts().tokens("x")], [Sampling(temperature=1, max_codes=65, seed=1)])
    with Waits() as waits:
        while not session.advance(16):
            pass
    assert waits.count == 3  # after 17, 33 and 49 codes; at 65 the limit needs no asking
    assert len(session.codes()[0]) == 65


class Counting:
    """A backend of torch.compile that runs the graph as it is and counts graphs and runs."""

    def __init__(self) -> None:
        self.graphs, self.runs = 0, 0

    def __call__(self, graph: Any, inputs: Any) -> Any:
        self.graphs += 1

        def ran(*args: Any) -> Any:
            self.runs += 1
            return graph(*args)

        return ran


@pytest.fixture
def fresh_dynamo() -> Any:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.usefixtures("fresh_dynamo")
def test_the_whole_step_is_one_compiled_frame_that_is_never_compiled_again() -> None:
    backend = Counting()
    compiler = partial(compiling.compiled, device=torch.device("cpu"), backend=backend)
    made = decoder(compiler=compiler)
    plain = decoder()
    settings = [Sampling(temperature=t, top_p=p, max_codes=40, seed=3) for t, p in ((0.7, 0.9), (1.0, 1.0))]
    spoken = speak(made, TEXTS[:1], settings[0])
    assert backend.graphs == 1
    with torch._dynamo.config.patch(error_on_recompile=True):
        again = speak(made, TEXTS[1:2], settings[1])
    assert backend.graphs == 1
    assert backend.runs == sum(len(codes) == 40 for codes in (*spoken, *again)) * 39
    for text, one, said in ((TEXTS[0], settings[0], spoken), (TEXTS[1], settings[1], again)):
        np.testing.assert_array_equal(said[0], speak(plain, [text], one)[0])


@pytest.mark.usefixtures("fresh_dynamo")
def test_after_warming_up_no_window_waits_for_the_compiler() -> None:
    backend = Counting()
    compiler = partial(compiling.compiled, device=torch.device("cpu"), backend=backend)
    made = decoder(compiler=compiler)
    end_bias(made, -100.0)
    made.warm_up(prompts().tokens("a"), Sampling())
    assert backend.graphs == 2  # windows of 256 and of all 512
    assert backend.runs == 3 * backend.graphs  # to compile, to record a CUDA graph, to replay it
    with torch._dynamo.config.patch(error_on_recompile=True):
        assert len(speak(made, TEXTS[:1], Sampling(max_codes=300))[0]) == 300
    assert backend.graphs == 2


# inductor imports a module of torch's own that still uses torch.jit
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
@pytest.mark.usefixtures("fresh_dynamo")
def test_compiled_code_for_a_cpu_says_what_plain_code_says() -> None:
    if not cpp_compiler():
        pytest.skip("no C++ compiler here")
    made = decoder(compiler=partial(compiling.compiled, device=torch.device("cpu")))
    for codes, plain in zip(speak(made, TEXTS[:1], GREEDY), speak(decoder(), TEXTS[:1], GREEDY), strict=True):
        np.testing.assert_array_equal(codes, plain)


@pytest.mark.usefixtures("fresh_dynamo")
def test_every_input_of_the_compiled_step_stays_in_its_place_so_that_a_cuda_graph_copies_none() -> None:
    moving: list[int] = []

    def backend(graph: Any, inputs: Any) -> Any:
        def inner(traced: Any, given: Any) -> Any:
            metadata = torch._guards.TracingContext.get().fw_metadata
            moving.append(len(given) - len(metadata.static_input_indices))
            return make_boxed_func(traced.forward)

        return aot_module_simplified(graph, inputs, fw_compiler=inner, inference_compiler=inner)

    made = decoder(compiler=partial(compiling.compiled, device=torch.device("cpu"), backend=backend))
    assert len(speak(made, TEXTS[:1], GREEDY)[0]) > 1
    assert moving == [0]


# inductor imports a module of torch's own that still uses torch.jit
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
@pytest.mark.usefixtures("fresh_dynamo")
def test_compiled_flex_attention_says_what_sdpa_says() -> None:
    if not cpp_compiler():
        pytest.skip("no C++ compiler here")
    flex = decoder(compiler=partial(compiling.compiled, device=torch.device("cpu")))
    attention.use(flex.model, attention.FLEX)
    for codes, plain in zip(speak(flex, TEXTS, GREEDY), speak(decoder(), TEXTS, GREEDY), strict=True):
        np.testing.assert_array_equal(codes, plain)


def test_compiling_for_a_cpu_without_a_compiler_is_refused_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(UsageError, match="needs a C\\+\\+ compiler"):
        decoder(compiler=partial(compiling.compiled, device=torch.device("cpu")))
