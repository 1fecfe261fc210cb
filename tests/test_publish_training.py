"""What `export --to sft` writes trains a LLASA, with the Trainer and LoRA that people use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from publish_helpers import make_dataset, row

from pipeline.__main__ import main

SAMPLE = Path(__file__).parents[1] / "data" / "sample" / "llasa-random"
STEPS = 12
QUICK: dict[str, Any] = {
    "max_steps": STEPS,
    "learning_rate": 2e-2,
    "logging_steps": 1,
    "lr_scheduler_type": "constant",
    "report_to": "none",
    "save_strategy": "no",
    "use_cpu": True,
    "disable_tqdm": True,
    "dataloader_pin_memory": False,
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_lora_of_the_sample_llasa_loses_its_loss_on_the_sft_export(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    from transformers import (
        AutoModelForCausalLM,
        AutoTokenizer,
        DataCollatorForSeq2Seq,
        Trainer,
        TrainingArguments,
    )

    samples = exported(tmp_path)
    lora = peft.LoraConfig(
        r=8, lora_alpha=16, target_modules=["q_proj", "k_proj", "v_proj", "o_proj"], task_type="CAUSAL_LM"
    )
    model = peft.get_peft_model(AutoModelForCausalLM.from_pretrained(SAMPLE, dtype="float32"), lora)
    trainer = Trainer(
        model=model,
        args=TrainingArguments(output_dir=str(tmp_path / "trained"), per_device_train_batch_size=2, **QUICK),
        train_dataset=samples,
        data_collator=DataCollatorForSeq2Seq(AutoTokenizer.from_pretrained(SAMPLE)),
    )
    trainer.train()
    assert_learned(trainer)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_the_sft_trainer_of_trl_reads_the_sft_export_as_it_is(tmp_path: Path) -> None:
    trl = pytest.importorskip("trl")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    samples = exported(tmp_path)
    trainer = trl.SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(SAMPLE, dtype="float32"),
        args=trl.SFTConfig(
            output_dir=str(tmp_path / "trained"),
            per_device_train_batch_size=2,
            max_length=2048,  # trl's own default of 1,024 would cut
            bf16=False,
            **QUICK,
        ),
        train_dataset=samples,
        processing_class=AutoTokenizer.from_pretrained(SAMPLE),
    )
    batch = next(iter(trainer.get_train_dataloader()))
    for ours, theirs in zip(samples, batch["labels"].tolist(), strict=True):
        assert theirs[: len(ours["labels"])] == ours["labels"]  # the prompt is masked as it was written
    trainer.train()
    assert_learned(trainer)


def exported(tmp_path: Path) -> Any:
    """The `sft` export of two short rows, as `datasets` reads it."""
    datasets = pytest.importorskip("datasets")
    rows = [row(i, text="Good morning.", code=[(7 * j) % 50 for j in range(20)]) for i in range(2)]
    out = make_dataset(tmp_path / "out", rows).root
    assert main(["export", str(out), "--to", "sft", "--tokenizer", str(SAMPLE)]) == 0
    return datasets.load_dataset(str(out / "export" / "sft"), cache_dir=str(tmp_path), split="train")


def assert_learned(trainer: Any) -> None:
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(losses) == STEPS
    assert losses[-1] < losses[0] - 1.5  # nats a token; it began at chance, ln 65,536 and more
