# One line a target. `make help` lists them. Nothing needs to be installed before but Python 3.11 and make.

SHELL := bash
UV := $(or $(shell command -v uv 2>/dev/null),$(CURDIR)/.tools/bin/uv)
RUN := $(UV) run --no-sync
export UV

.DEFAULT_GOAL := help
.PHONY: help setup demo up down test coverage test-vllm test-training check lint format types protos crds bench charts e2e e2e-gpu-path cluster cluster-down clean

help:           ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 16
setup: .venv/ready  ## install uv and the locked packages
demo: setup     ## run the whole loop on this machine: model, index, verdicts, traffic
	@$(RUN) touchstone demo
up: setup       ## start the embedded platform and leave it running
	@$(RUN) touchstone up
down: setup     ## stop the embedded platform; its state stays
	@$(RUN) touchstone down
test: setup     ## everything: lint, types, drift of protos and CRDs, tests, the demo's outcomes
	@$(MAKE) --no-print-directory check && $(RUN) pytest -q -n logical --maxprocesses 4 --dist loadfile && \
	  $(MAKE) --no-print-directory test-vllm test-training
coverage: setup ## the tests again, with what they cover
	@$(RUN) pytest --cov --cov-report=term:skip-covered -q
test-vllm: .venv-vllm/ready  ## real vLLM on the CPU, in an environment of its own (7 GB)
	@.venv-vllm/bin/python -m pytest -q --confcutdir tests/vllm tests/vllm
test-training: .venv-vllm/ready  ## trainings on the CPU, and the story of ticket triage, with the trainer in the environment of vLLM
	@.venv-vllm/bin/python -m pytest -q -n logical --maxprocesses 4 --confcutdir tests/finetuning/training tests/finetuning/training
	@TOUCHSTONE_TRAINER_PYTHON=$(CURDIR)/.venv-vllm/bin/python \
	  $(RUN) pytest -q -k "real_program or triage" tests/finetuning/test_trainer_jobs.py tests/demo/test_ticket_triage.py
check: lint types  ## what needs no running process: lint, types, drift
	@$(UV) lock --check --quiet --project services/inference/vllm && $(RUN) python -m touchstone_operator.crds charts/touchstone-crds/templates --check && $(RUN) python -m touchstone_operator.reference docs/kinds.md --check && protos/check
lint: setup     ## ruff, import contracts, buf
	@$(RUN) ruff check && $(RUN) ruff format --check && $(RUN) lint-imports && $(RUN) buf lint protos
format: setup   ## rewrite the code as the linter wants it
	@$(RUN) ruff check --fix && $(RUN) ruff format
types: setup    ## mypy, strict
	@$(RUN) mypy $(addprefix -p touchstone_,runtime operator inference retrieval evaluation finetuning data local) && cd e2e/cluster && $(RUN) mypy --strict *.py
protos: setup   ## generate protos/gen
	@protos/generate
crds: setup     ## generate the CRDs and their reference
	@$(RUN) python -m touchstone_operator.crds charts/touchstone-crds/templates && $(RUN) python -m touchstone_operator.reference docs/kinds.md
bench: setup    ## benchmarks, each against a peer in the same run (docs/benchmarks.md has those that need more)
	@$(RUN) python bench/router.py && $(RUN) python bench/reconcile.py
e2e: setup      ## the platform on a real cluster: the one of KUBECONFIG, else one brought up here (root, Debian)
	@e2e/run
e2e-gpu-path: .venv-vllm/ready  ## engines on Ray and vLLM, and a training with PyTorch, on the CPU and a real cluster (slow)
	@e2e/gpu-path
charts: setup   ## lint and test the Helm charts
	@charts/check
cluster: setup  ## a real Kubernetes of one node on this machine (root, Debian)
	@$(RUN) python e2e/cluster up
cluster-down: setup  ## remove the cluster and every trace of it
	@$(RUN) python e2e/cluster down
clean:          ## remove what the targets made: tools, environment, state
	@rm -rf .tools .venv .venv-vllm .touchstone

.venv/ready: uv.lock pyproject.toml protos/pyproject.toml operator/pyproject.toml $(wildcard services/*/pyproject.toml)
	@command -v uv >/dev/null || test -x .tools/bin/uv || { echo "Installing uv" && python3 -m venv .tools && .tools/bin/pip install -q uv==0.13.9; }
	@echo "Installing the locked packages" && $(UV) sync --locked --all-packages --all-extras --no-extra train --no-extra nf4 && touch $@
.venv-vllm/ready: services/inference/vllm/uv.lock services/inference/vllm/pyproject.toml | setup
	@echo "Installing vLLM for the CPU: some minutes at first, 7 GB" && UV_PROJECT_ENVIRONMENT=$(CURDIR)/.venv-vllm $(UV) sync --quiet --locked \
	  --project services/inference/vllm --extra cpu --group test --compile-bytecode && touch $@
