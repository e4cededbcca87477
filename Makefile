# The two commands of the README: `make demo` and `make test`. Everything lives in .venv.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
DEMO   := build/demo

.PHONY: demo test check lint torture bench peers fuzz clean help

help:            ## what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## */\t/'

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "evlog needs Python 3.11 or newer; say which with: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . \
	  $$($(BIN)/python -c 'import tomllib; print(*(d.replace(" ", "") for d in tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["dev"]))')
	$(BIN)/python -m compileall -q evlog  # else the first run of each command does it, or every run where nothing may be written
	@touch $(READY)

test: $(READY)   ## install and run the tests, but for the longest
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not long"

lint: $(READY)   ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint      ## everything CI runs: the linters and all tests
	$(BIN)/python -m pytest -n auto --dist worksteal

torture: $(READY) fuzz ## every fault at every point, many random logs, fuzzing (hours); what cannot run here is counted
	EVLOG_TORTURE=1 $(BIN)/python -m pytest -n auto --dist worksteal

bench: $(READY)  ## measure against the peers (SIZE=small for a quick look; ROWS='funnel*,purge' for some)
	$(BIN)/python tests/benchmarks/run.py --size $(or $(SIZE),full) --rows '$(or $(ROWS),*)'

peers: $(READY)  ## put the same questions to ClickHouse (installs chdb, half a gigabyte, into build/peers)
	test -x build/peers/bin/python || $(PYTHON) -m venv build/peers
	build/peers/bin/python -m pip install --quiet --disable-pip-version-check --editable . chdb pytest hypothesis
	build/peers/bin/python -m pytest --override-ini addopts= --import-mode=importlib -q tests/peers

fuzz: $(READY)   ## look for inputs that break it (installs atheris into build/fuzz; SECONDS=300 for longer, TARGET=times)
	test -x build/fuzz/env/bin/python || $(PYTHON) -m venv build/fuzz/env
	build/fuzz/env/bin/python -m pip install --quiet --disable-pip-version-check --editable . atheris pytest hypothesis
	build/fuzz/env/bin/python tests/fuzz/run.py --seconds $(or $(SECONDS),30) $(TARGET)

demo: $(READY)   ## ingest the sample logs and look at them
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh sample_logs/demo.sh $(DEMO)

clean:
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
