"""`python llamacpp_tokens.py MODEL`: the tokens that llama.cpp cuts each text of stdin into.

A program of its own, as `llamacpp_scores.py`. Reads a JSON list of texts; writes a list of lists of tokens.
"""

import json
import sys

import httpx
import xllamacpp


def main(model: str) -> None:
    """Ask for the tokens of each text."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.n_ctx = 512
    parameters.n_parallel = 1
    parameters.warmup = False
    parameters.verbosity = -1
    server = xllamacpp.Server(parameters)
    with httpx.Client(base_url=server.listening_address, trust_env=False) as client:
        asked = [{"content": text, "add_special": True, "parse_special": True} for text in json.load(sys.stdin)]
        print(json.dumps([client.post("/tokenize", json=each).raise_for_status().json()["tokens"] for each in asked]))


if __name__ == "__main__":
    main(sys.argv[1])
