# The whole interface of a developer and of a newcomer. `make` prints it.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest
# Two workers, a file at a time: the slow suites wait much. Each has a broker of its own; Apache Kafka is too large for two.
TWO := -n 2 --dist loadfile
# Where pip's own index has no CPU build of torch, this one is asked before several GB of CUDA are taken.
TORCH := 2.13.0
TORCH_CPU_INDEX ?= https://download.pytorch.org/whl/cpu
ENCODER := hatch_build.py services/classifier/engine/native/encoder.c
KAFKA_HOME := $(wildcard ../shared/kafka/kafka-local)

.PHONY: help demo up test check lint types arch collect unit integration e2e chaos replays bench images deploy-check install format clean

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

# ---------------------------------------------------------------------------------------- set-up
$(VENV)/bin/python:
	@echo "creating $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "uproar needs Python 3.11 or newer; set PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# --no-compile: the modules that are used compile at their first import; the rest (most) never need to.
$(VENV)/.standalone: pyproject.toml $(ENCODER) | $(VENV)/bin/python
	@echo "installing uproar and its embedded parts (no torch; about half a minute)"
	@$(PIP) --no-compile --editable '.[standalone]'
	@touch $@

$(VENV)/.dev: pyproject.toml $(ENCODER) | $(VENV)/bin/python
	@echo "installing everything that the tests need (torch: CPU build where an index offers one)"
	@$(PIP) 'torch==$(TORCH)+cpu' 2>/dev/null \
	  || $(PIP) --retries 0 --timeout 20 --index-url $(TORCH_CPU_INDEX) 'torch==$(TORCH)+cpu' 2>/dev/null \
	  || $(PIP) 'torch==$(TORCH)'
	@$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.standalone

install: $(VENV)/.dev ## everything, for developers

# ----------------------------------------------------------------------------------- the product
demo: $(VENV)/.standalone ## the whole product on embedded parts, a bundled crisis, the page it sends
	@$(BIN)/uproar demo

up: $(VENV)/.standalone ## the same product, kept running; console and API on http://127.0.0.1:8080
	@$(BIN)/uproar up

# ------------------------------------------------------------------------------------- the proof
test: check integration e2e ## everything that must hold before a merge

check: lint types arch collect unit ## lint, types, import contracts, unit, property and contract tests

lint: $(VENV)/.dev
	@$(BIN)/ruff check . && $(BIN)/ruff format --check --quiet . && echo "lint: clean"

types: $(VENV)/.dev
	@$(BIN)/mypy

arch: $(VENV)/.dev
	@$(BIN)/lint-imports --no-cache | tail -n 4

# So that a module that moved is missed here, in seconds, and not when the slow tests want it.
collect: $(VENV)/.dev
	@said=$$($(PYTEST) -q --collect-only --disable-warnings tests/integration tests/e2e tests/chaos tests/bench) \
	  && echo "slow suites: $${said##*$$'\n'}" || { echo "$$said"; exit 1; }
	@$(BIN)/python -c 'import tests.chaos.campaign, tests.replays.campaign'

unit: $(VENV)/.dev
	@$(PYTEST) -q $(TWO) -p no:randomly tests/unit tests/property tests/contract

BROKER ?= embedded
DATABASE ?= sqlite
integration: $(VENV)/.dev ## real broker, model, databases, HTTP; BROKER=kafka, kafka3 or kafka-tls: the same on Apache Kafka
	@UPROAR_TEST_BROKER=$(BROKER) UPROAR_TEST_DATABASE=$(DATABASE) $(PYTEST) -q $(if $(filter embedded,$(BROKER)),$(TWO)) -p no:randomly tests/integration
	@UPROAR_TEST_DATABASE=postgresql $(PYTEST) -q $(TWO) -p no:randomly tests/unit/services/alerter tests/contract

e2e: $(VENV)/.dev ## one file per promise, on real processes
	@$(PYTEST) -q $(TWO) -p no:randomly tests/e2e

SCHEDULES ?= 10000
KILLS ?= 10
SEED ?= 1
chaos: $(VENV)/.dev ## try to lose a page: SCHEDULES= on a virtual clock, KILLS= real ones, KAFKA=1 on Apache Kafka
	@$(PYTEST) -q -p no:randomly tests/chaos
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.chaos.campaign --schedules $(SCHEDULES) --kills $(KILLS) --seed $(SEED) \
	  $(if $(filter 1,$(KAFKA)),--kafka)

replays: $(VENV)/.dev ## every recorded stream of ../shared through the product, held against the back-test; goes on where it was
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.replays.campaign $(REPLAYS)

bench: $(VENV)/.dev ## ratios measured in one run, and pictures of them in build/bench
	@$(PYTEST) -q -s -p no:randomly tests/bench
	@$(BIN)/uproar bench --plots build/bench
	@$(if $(KAFKA_HOME),$(KAFKA_BENCH),echo "ingest into Apache Kafka: skipped, it is not at ../shared/kafka")

KAFKA_BENCH = $(KAFKA_HOME) start --dir build/bench/kafka --port 19392 >/dev/null \
  && { echo "the same into Apache Kafka:"; $(BIN)/uproar bench --only ingest --kafka 127.0.0.1:19392; status=$$?; \
       $(KAFKA_HOME) stop --dir build/bench/kafka >/dev/null; rm -rf build/bench/kafka; exit $$status; }

images: ## the container images, with docker, podman or buildah; TAG= names them
	@deploy/images

deploy-check: ## the manifests on a real Kubernetes API server, where there is one
	@deploy/check

format: $(VENV)/.dev ## put the code into its canonical form
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix-only --quiet .

clean: ## remove what the targets made
	rm -rf $(VENV) .uproar .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build
