"""Train a small Llama to speak: next-code prediction on the prompts, until it knows them.

Knows the model's size, optimisers and schedule. Does not know where samples come from or how speech sounds.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from pipeline.llasa import tiny
from pipeline.llasa_format import DATE
from pipeline.llasa_format.prompt import INSTRUCTION
from sample_models.llasa_data import IGNORED, Sample, batches, pad

TEXT_VOCABULARY = 290  # the bytes, and pieces that make most words of the chat template one token


@dataclass(frozen=True, slots=True)
class LlasaRun:
    """What is needed to repeat a run."""

    steps: int
    seed: int = 0
    tokens: int = 2000  # tokens a step, padding included
    longest: int = 300  # codes (6 s): the few longer prompts would take half of the time
    rate: float = 0.02  # of Muon, for the matrices of the layers
    embedding_rate: float = 3e-3  # of AdamW, for embeddings and norms
    warmup: int = 50  # steps
    dropout: float = 0.1  # of the embeddings' values
    wrong: float = 0.15  # share of the codes it goes on from that are replaced: it has to listen to the text
    save_every: int = 100  # steps


def tokenizer_for(codebook_size: int) -> PreTrainedTokenizerFast:
    """A tokenizer in the LLASA layout. Text stays nearly letter by letter: so few prompts teach no words."""
    template = ["system", "user", "assistant", "Today", f"Date: {DATE}", INSTRUCTION] * 2
    return tiny.build_tokenizer(codebook_size, text_vocabulary=TEXT_VOCABULARY, corpus=template)


def model_for(tokenizer: PreTrainedTokenizerFast, seed: int) -> LlamaForCausalLM:
    """About 5.4 M parameters, embeddings shared with the output."""
    model = tiny.build_model(
        tokenizer, hidden=256, layers=5, heads=4, kv_heads=4, intermediate=768, tied=True, seed=seed
    )
    with torch.no_grad():
        for layer in model.model.layers:  # residual branches start small
            layer.self_attn.o_proj.weight.mul_(0.3)
            layer.mlp.down_proj.weight.mul_(0.2)
    return model


def optimisers(model: nn.Module, run: LlasaRun) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices, which takes fewer steps (Jordan et al. 2024); AdamW for the rest."""
    matrices = [p for name, p in model.named_parameters() if ".layers." in name and p.ndim == 2]
    rest = [p for name, p in model.named_parameters() if ".layers." not in name or p.ndim != 2]
    return [
        torch.optim.Muon(matrices, lr=run.rate, momentum=0.95, weight_decay=0.05),
        torch.optim.AdamW(rest, lr=run.embedding_rate, betas=(0.9, 0.98), weight_decay=0.01),
    ]


def schedule(step: int, run: LlasaRun) -> float:
    """Share of the learning rate: up over the warm-up, then level, then down in a line over the last half."""
    return min(1.0, (step + 1) / run.warmup, max(0.02, 2 * (1 - step / run.steps)))


def misheard(ids: Tensor, labels: Tensor, share: float) -> Tensor:
    """`ids` with this share of the codes exchanged for other codes of the batch."""
    speech = labels != IGNORED
    codes = ids[speech]
    others = codes[torch.randint(len(codes), codes.shape, device=ids.device)]
    changed = ids.clone()
    changed[speech] = torch.where(torch.rand(codes.shape, device=ids.device) < share, others, codes)
    return changed


def loss_of(model: LlamaForCausalLM, ids: Tensor, labels: Tensor, dropout: float) -> Tensor:
    """Cross-entropy over the codes and the end marker. Only their rows go through the output layer."""
    embedded = F.dropout(model.get_input_embeddings()(ids), dropout)
    with torch.autocast(ids.device.type, dtype=torch.bfloat16):
        hidden = model.model(inputs_embeds=embedded, use_cache=False).last_hidden_state[:, :-1]
        wanted = labels[:, 1:]
        spoken = wanted != IGNORED
        logits = model.lm_head(hidden[spoken])
    return F.cross_entropy(logits.float(), wanted[spoken])


def train(
    model: LlamaForCausalLM, passing: Callable[[], list[Sample]], run: LlasaRun, state: Path, device: str
) -> LlamaForCausalLM:
    """Train, or go on from the file `state`; `passing` gives the samples of each pass."""
    torch.manual_seed(run.seed)
    generator = torch.Generator().manual_seed(run.seed)
    model.to(device).train()
    chosen = optimisers(model, run)
    rates = [group["lr"] for optimiser in chosen for group in optimiser.param_groups]
    step = 0
    if state.exists():
        saved = torch.load(state, map_location=device)
        model.load_state_dict(saved["model"])
        for optimiser, kept in zip(chosen, saved["optimisers"], strict=True):
            optimiser.load_state_dict(kept)
        step = saved["step"]
        generator.manual_seed(run.seed + step)
    began, first, waiting = time.perf_counter(), step, []
    while step < run.steps:
        waiting = waiting or batches(passing(), run.tokens, generator)
        ids, labels = pad(waiting.pop())
        groups = [group for optimiser in chosen for group in optimiser.param_groups]
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate * schedule(step, run)
        ids, labels = ids.to(device), labels.to(device)
        loss = loss_of(model, misheard(ids, labels, run.wrong), labels, run.dropout)
        model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser in chosen:
            optimiser.step()
        step += 1
        if step % 25 == 0:
            pace = (time.perf_counter() - began) / (step - first)
            print(f"step {step}, {pace:.2f} s a step: loss {loss.item():.3f}", flush=True)
        if step % run.save_every == 0 or step == run.steps:
            kept = {"model": model.state_dict(), "step": step}
            torch.save({**kept, "optimisers": [o.state_dict() for o in chosen]}, state.with_suffix(".new"))
            state.with_suffix(".new").replace(state)
    return model.eval()
