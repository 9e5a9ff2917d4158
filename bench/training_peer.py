"""What bench/training.py runs beside ours: trl as its own examples use it, and a clock at the end of each step."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig, TrainerCallback
from trl import SFTConfig, SFTTrainer


class Clock(TrainerCallback):
    """Notes when steps end."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Note the time."""
        self.times.append(time.time())


def main(base: Path, records: Path, folder: Path, numbers: dict[str, Any]) -> None:
    """Train an adapter."""
    torch.set_num_threads(numbers["threads"])
    place = {"pretrained_model_name_or_path": str(base.parent), "gguf_file": base.name}
    tokenizer = AutoTokenizer.from_pretrained(**place)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(
        **place, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True), attn_implementation="sdpa"
    )
    turns = [json.loads(line)["messages"] for line in records.read_text().splitlines()]
    clock = Clock()
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(
            output_dir=str(folder), max_steps=numbers["steps"], per_device_train_batch_size=numbers["batch"],
            learning_rate=numbers["learning_rate"], lr_scheduler_type="linear", seed=42, data_seed=42, max_length=1024,
            logging_steps=1, save_strategy="no", report_to="none", use_cpu=True, bf16=False, disable_tqdm=True,
            gradient_checkpointing=False, completion_only_loss=True,
        ),
        train_dataset=Dataset.from_list([{"prompt": each[:-1], "completion": each[-1:]} for each in turns]),
        processing_class=tokenizer,
        peft_config=LoraConfig(
            r=numbers["rank"], lora_alpha=2 * numbers["rank"], target_modules="all-linear", task_type="CAUSAL_LM"
        ),
        callbacks=[clock],
    )  # fmt: skip
    trainer.train()
    trainer.save_model(str(folder / "adapter"))
    losses = [each["loss"] for each in trainer.state.log_history if "loss" in each]
    (folder / "told.json").write_text(json.dumps({"times": clock.times, "losses": losses}))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), json.loads(sys.argv[4]))
