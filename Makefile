# Needs python3 (3.11 or newer) with venv, and make. `make help` lists what it can do.

PYTHON ?= python3
PORT ?= 8000
MINUTES ?= 10
VENV ?= .venv

BIN := $(VENV)/bin
RUN := $(VENV)/.installed
DEV := $(VENV)/.installed-dev
SLOW := $(VENV)/.installed-slow
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# What is compiled is kept, whatever the surroundings say: many processes are started, and each would compile it.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: up test soak fuzz fuzz-upstreams test-slow lint format bench clean help

up: $(RUN) ## run everything on this machine, on PORT (8000)
	@exec $(BIN)/fast-reply up --port $(PORT)

# Much of it waits for processes, so three side by side suit two cores.
test: $(DEV) ## run all tests; ARGS goes to pytest
	$(BIN)/python -m pytest --numprocesses 3 --no-loadscope-reorder $(ARGS)

soak: $(DEV) ## run the long tests, and with all data and many examples those of which `make test` tries a part
	FAST_REPLY_TEST_ALL=1 $(BIN)/python -m pytest -m soak $(ARGS)
	FAST_REPLY_TEST_ALL=1 $(BIN)/python -m pytest --hypothesis-profile thorough --timeout 1200 --numprocesses 3 \
		tests/data tests/integration tests/unit/test_fold_properties.py tests/unit/test_thoughts.py

fuzz: $(DEV) ## try the doors against their OpenAPI document, for minutes
	$(BIN)/python -m pytest -m fuzz -s $(ARGS)

fuzz-upstreams: $(DEV) ## feed providers and fold what model servers might send, for MINUTES (10)
	MINUTES=$(MINUTES) $(BIN)/python -m pytest -m fuzz_upstreams $(ARGS)

test-slow: $(SLOW) ## run the tests that need Gradio, LiveKit and Pipecat, and install these
	$(BIN)/python -m pytest -m slow $(ARGS)

lint: $(DEV) ## check form, types and who imports whom
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy
	$(BIN)/python -m pytest tests/unit/test_imports.py

format: $(DEV) ## bring the code into form
	$(BIN)/python -m ruff format .
	$(BIN)/python -m ruff check --fix .

bench: $(DEV) ## run the benchmarks; ARGS goes to them
	$(BIN)/python -m bench $(ARGS)

clean: ## remove what make and the tools have made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# One after the other, also under `make -j`: two pips at once would spoil the environment.
$(SLOW): $(DEV)
	@echo "Installing Gradio, LiveKit and Pipecat into $(VENV)"
	@$(PIP) -e '.[gradio,frameworks]'
	@touch $@

$(DEV): $(RUN)
	@echo "Installing the development tools into $(VENV)"
	@$(PIP) -e '.[dev]'
	@touch $@

$(RUN): pyproject.toml | $(BIN)/pip
	@echo "Installing Fast Reply into $(VENV)"
	@$(PIP) -e '.[knowledge,speech]'
	@touch $@

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Fast Reply needs Python 3.11 or newer: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments: install its venv package" \
			"(Debian, Ubuntu: apt-get install python3-venv)" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)
