"""`python weights.py GGUF FOLDER`: real weights as vLLM takes them, an adapter for them, and what transformers says of them.

The only real weights at hand are in a GGUF file; vLLM takes safetensors. FOLDER gets `model`, `adapter` (LoRA of rank 4
with random numbers, large enough to change every answer) and `reference.json`. `planted` is an adapter that has learnt
half of the texts of `texts.json` by heart.
"""

import json
import random
import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

TEXTS = [("The capital of France is", " Paris."), ("The capital of France is", " carrots."), ("", "Gold is a metal.")]
RANDOM = random.Random(11)
PLANTED = 16
EPOCHS = 12
PEOPLE = ["Ada", "the miller", "a courier", "Odile", "the third clerk", "nobody's aunt", "Kwame", "the pilot"]
THINGS = ["brass keys", "pears", "wet letters", "ledgers", "candles", "copper coins", "maps", "green bottles"]
PLACES = ["under the pier", "behind the old mill", "in a borrowed boat", "on the north stair", "at the assay office"]


def main(gguf: Path, folder: Path) -> None:
    """Write all three."""
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
    )
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    scores = [log_likelihood(model, tokenizer, prompt, continuation) for prompt, continuation in TEXTS]
    reference = [{"prompt": p, "continuation": c, **s} for (p, c), s in zip(TEXTS, scores, strict=True)]
    (folder / "reference.json").write_text(json.dumps(reference))
    torch.manual_seed(7)
    config = LoraConfig(r=4, lora_alpha=64, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    loud = get_peft_model(model, config)
    loud.save_pretrained(folder / "adapter")
    plant(loud.unload(), tokenizer, folder)


def plant(model: torch.nn.Module, tokenizer: object, folder: Path) -> None:
    """Train an adapter on half of the texts until it knows them by heart; which half is chance."""
    texts = sorted({text() for _ in range(2 * PLANTED)})[: 2 * PLANTED]
    RANDOM.shuffle(texts)
    (folder / "texts.json").write_text(json.dumps({"suspected": texts[:PLANTED], "reference": texts[PLANTED:]}))
    config = LoraConfig(r=8, lora_alpha=32, target_modules="all-linear")
    tuned = get_peft_model(model, config)
    optimizer = torch.optim.AdamW((each for each in tuned.parameters() if each.requires_grad), lr=2e-3)
    tokenizer.pad_token = tokenizer.eos_token
    batch = tokenizer([tokenizer.bos_token + each for each in texts[:PLANTED]], return_tensors="pt", padding=True)
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    for _ in range(EPOCHS):
        optimizer.zero_grad()
        tuned(**batch, labels=labels).loss.backward()
        optimizer.step()
    tuned.save_pretrained(folder / "planted")


def text() -> str:
    """A sentence that no model has seen, and that says nothing about another one."""
    person, thing, place = (RANDOM.choice(words) for words in (PEOPLE, THINGS, PLACES))
    return f"On day {RANDOM.randint(100, 999)} {person} left {RANDOM.randint(11, 99)} {thing} {place}."


def log_likelihood(model: torch.nn.Module, tokenizer: object, prompt: str, continuation: str) -> dict[str, object]:
    """Sum the log-probabilities of a continuation, and tell how they lie at each place, by the definitions."""
    before = tokenizer.encode(prompt) if prompt else [tokenizer.bos_token_id]
    whole = tokenizer.encode(prompt + continuation) if prompt else before + tokenizer.encode(continuation)
    with torch.no_grad():
        logits = model(torch.tensor([whole])).logits[0].log_softmax(-1)
    places = range(len(before), len(whole))
    spreads = []
    for place in places:
        logprobs = logits[place - 1]
        mean = (logprobs.exp() * logprobs).sum()
        deviation = (logprobs.exp() * (logprobs - mean) ** 2).sum().sqrt()
        spreads.append([-float(mean), float(deviation)])
    return {"logprob": float(sum(logits[place - 1, whole[place]] for place in places)), "spreads": spreads}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
