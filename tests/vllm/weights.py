"""`python weights.py GGUF FOLDER`: real weights as vLLM takes them, an adapter for them, and what transformers says of them.

The only real weights at hand are in a GGUF file; vLLM takes safetensors. FOLDER gets `model`, `adapter` (LoRA of rank 4
with random numbers, large enough to change every answer) and `reference.json`.
"""

import json
import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

TEXTS = [("The capital of France is", " Paris."), ("The capital of France is", " carrots."), ("", "Gold is a metal.")]


def main(gguf: Path, folder: Path) -> None:
    """Write all three."""
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
    )
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    scores = [log_likelihood(model, tokenizer, prompt, continuation) for prompt, continuation in TEXTS]
    reference = [{"prompt": p, "continuation": c, "logprob": s} for (p, c), s in zip(TEXTS, scores, strict=True)]
    (folder / "reference.json").write_text(json.dumps(reference))
    torch.manual_seed(7)
    config = LoraConfig(r=4, lora_alpha=64, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    get_peft_model(model, config).save_pretrained(folder / "adapter")


def log_likelihood(model: torch.nn.Module, tokenizer: object, prompt: str, continuation: str) -> float:
    """Sum the log-probabilities of a continuation, by the definition."""
    before = tokenizer.encode(prompt) if prompt else [tokenizer.bos_token_id]
    whole = tokenizer.encode(prompt + continuation) if prompt else before + tokenizer.encode(continuation)
    with torch.no_grad():
        logits = model(torch.tensor([whole])).logits[0].log_softmax(-1)
    return float(sum(logits[place - 1, whole[place]] for place in range(len(before), len(whole))))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
