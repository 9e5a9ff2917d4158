"""`python llamacpp_scores.py MODEL [ADAPTER]`: what llama.cpp says comes after each prompt of stdin.

A program of its own: llama.cpp lies in the environment of the services, torch in that of the trainer. Reads a JSON list
of lists of tokens; writes, for each, the log-probabilities of the most probable next tokens by their ids.
"""

import json
import sys

import xllamacpp

TOP = 20


def main(model: str, adapter: str | None) -> None:
    """Ask for one token after each prompt, and tell the alternatives."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.n_ctx = 512
    parameters.n_parallel = 1
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.warmup = False
    parameters.verbosity = -1
    if adapter:
        parameters.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(adapter, 1.0)]
    server = xllamacpp.Server(parameters)
    scores = []
    for tokens in json.load(sys.stdin):
        request = {"prompt": tokens, "n_predict": 1, "logprobs": TOP, "temperature": 0, "cache_prompt": False}
        answer = server.handle_completions(request)
        entries = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        scores.append({entry["id"]: entry["logprob"] for entry in entries})
    print(json.dumps(scores))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
