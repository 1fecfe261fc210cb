"""What `export --to sft` writes trains a LLASA, with the Trainer and LoRA that people use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from publish_helpers import make_dataset, row

from pipeline.__main__ import main
from pipeline.llasa.tiny import build_model, build_tokenizer

datasets = pytest.importorskip("datasets")
peft = pytest.importorskip("peft")
CODES = 64


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_lora_trained_on_the_sft_export_loses_its_loss(tmp_path: Path) -> None:
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    rows = [row(i, code=[(i * 7 + j) % CODES for j in range(20)]) for i in range(8)]
    out = make_dataset(tmp_path / "out", rows, codebook_size=CODES).root
    tokenizer = build_tokenizer(CODES)
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    assert main(["export", str(out), "--to", "sft", "--tokenizer", str(tmp_path / "tokenizer")]) == 0
    samples = datasets.load_dataset(str(out / "export" / "sft"), cache_dir=str(tmp_path), split="train")
    lora = peft.LoraConfig(
        r=8, lora_alpha=16, target_modules=["q_proj", "k_proj", "v_proj", "o_proj"], task_type="CAUSAL_LM"
    )
    model = peft.get_peft_model(build_model(tokenizer, hidden=64), lora)
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(tmp_path / "trained"),
            per_device_train_batch_size=8,
            max_steps=40,
            learning_rate=2e-2,
            logging_steps=1,
            lr_scheduler_type="constant",
            report_to="none",
            save_strategy="no",
            use_cpu=True,
            disable_tqdm=True,
            dataloader_pin_memory=False,
        ),
        train_dataset=samples,
        data_collator=DataCollatorForSeq2Seq(tokenizer),
    )
    trainer.train()
    losses: list[Any] = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(losses) == 40
    assert losses[-1] < 0.7 * losses[0]
