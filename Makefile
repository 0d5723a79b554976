# `make demo` and `make test` are all that a newcomer needs: they make the environment first.
#
#   make test ARGS="tests/test_values.py -k uuid"   a part of the tests
#   make test PYTHON=python3.13 VENV=.venv-3.13     with another Python, in an environment of its own

PYTHON ?=
VENV := .venv
ARGS :=
REV :=
CONSTRAINT :=
PARALLEL := -n auto
EXTRAS := all
BIN = $(VENV)/bin
PIP_INSTALL = $(BIN)/python -m pip install -qq --disable-pip-version-check $(addprefix --constraint ,$(CONSTRAINT))
PYRIGHT = PATH="$(abspath $(BIN)):$$PATH" PYRIGHT_PYTHON_IGNORE_WARNINGS=1 python -m pyright# it looks for python on PATH
MADE = $(VENV)/.made$(subst /,-,$(PYTHON))
INSTALLED = $(VENV)/.installed-
SUFFIX = $$($(BIN)/python -c "import sysconfig; print(sysconfig.get_config_var('EXT_SUFFIX'))")

.DEFAULT_GOAL := help
.NOTPARALLEL:
.SECONDARY:
.PHONY: help demo test test-all interop coverage lint format types docs bench bench-against bench-durable clean
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE

help: ## list the commands
	@sed -nE 's/^([a-z-]+):.*## /\1 /p' Makefile | awk '{ name = $$1; $$1 = ""; printf "  make %-15s%s\n", name, $$0 }'

demo: $(INSTALLED)demo ## run the Task Manager on a file with good and bad lines; ARGS=--event-sourced stores events
	@$(BIN)/python -m docs.examples.task_manager $(ARGS)

test: $(INSTALLED)test ## run all tests, or those that ARGS names, on all cores
	@$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

test-all: ## run all tests on every CPython of this machine, with nothing in C, and with the lowest dependencies
	@MAKE="$(MAKE)" sh .ci/test-all

interop: $(INSTALLED)test ## run beside petisco on one exchange, and print what became of INTEROP_MESSAGES messages a run
	@CI=true INTEROP_MESSAGES=$${INTEROP_MESSAGES:-600} $(BIN)/python -m pytest -q $(PARALLEL) -o faulthandler_timeout=0 tests/interop $(ARGS)

coverage: $(INSTALLED)test ## run all tests; fail where a branch is not covered
	@$(BIN)/python -m pytest $(PARALLEL) --cov=domainkit $(ARGS)

lint: $(INSTALLED)lint ## check style, format, words, and what GitHub reads
	@$(BIN)/python -m ruff check
	@$(BIN)/python -m ruff format --check
	@$(BIN)/python .ci/words.py
	@sh .ci/check-github $(BIN)

format: $(INSTALLED)lint ## mend style and format where that is safe
	@$(BIN)/python -m ruff check --fix
	@$(BIN)/python -m ruff format

types: $(INSTALLED)test ## check the types with mypy and pyright
	@$(BIN)/python -m mypy
	@$(BIN)/python -m mypy --config-file mypy-returns.ini
	@$(PYRIGHT) --pythonpath $(BIN)/python
	@report=$$($(PYRIGHT) --verifytypes domainkit --ignoreexternal); echo "$$report" | grep "^Type completeness score: 100%$$" || { echo "$$report"; exit 1; }

docs: $(INSTALLED)docs ## build the documentation into docs/_build
	@$(BIN)/python -m sphinx -W -n --keep-going -q -E -b html docs docs/_build
	@echo "The documentation is in docs/_build/index.html"

bench: $(INSTALLED)bench ## measure, side by side with petisco and pydantic
	@$(BIN)/python -m benchmarks $(ARGS)

bench-against: $(INSTALLED)test ## measure this checkout beside the commit REV, in an environment of its own
	@[ -n "$(REV)" ] || { echo "make bench-against REV=v0.1.0: name the commit to compare with" >&2; exit 2; }
	@$(BIN)/python -m benchmarks.against $(REV) $(ARGS)

bench-durable: $(INSTALLED)test ## measure saving, events, snapshots, read models, relaying, latency and consuming, beside the drivers and petisco (PostgreSQL and RabbitMQ where they are)
	@$(BIN)/python -m benchmarks.saving
	@$(BIN)/python -m benchmarks.reading
	@$(BIN)/python -m benchmarks.event_store
	@$(BIN)/python -m benchmarks.event_store --large
	@$(BIN)/python -m benchmarks.event_store --writers
	@$(BIN)/python -m benchmarks.conditions
	@$(BIN)/python -m benchmarks.snapshots
	@$(BIN)/python -m benchmarks.projecting
	@$(BIN)/python -m benchmarks.projecting --latency
	@$(BIN)/python -m benchmarks.relaying
	@$(BIN)/python -m benchmarks.latency
	@$(BIN)/python -m benchmarks.consuming
	@$(BIN)/python -m benchmarks.inbox

clean: ## remove what the other commands made
	rm -rf .venv .venv-* *.egg-info build dist docs/_build .coverage .coverage.* .hypothesis .mypy_cache .ruff_cache .pytest_cache
	rm -f domainkit/_fast.*.so domainkit/_fast.*.pyd
	find domainkit tests docs benchmarks -name __pycache__ -prune -exec rm -rf {} +

$(MADE): pyproject.toml setup.py domainkit/_speedups/fast.c
	@sh .ci/make-environment $(VENV) $(PYTHON)
	@rm -f domainkit/_fast$(SUFFIX) # where it can't be compiled anew, the old one must not stay in use
	@echo "Installing domainkit and its dependencies"
	@$(PIP_INSTALL) --editable .
	@touch $@

$(INSTALLED)demo: $(MADE)
	@echo "Installing what the demo needs"
	@$(PIP_INSTALL) --editable '.[sql]'
	@touch $@

$(INSTALLED)test: $(MADE)
	@echo "Installing what the tests need"
	@$(PIP_INSTALL) --editable '.$(EXTRAS:%=[%])' --group test $(EXTRAS:%=--group extras)
	@touch $@

$(INSTALLED)docs: $(MADE)
	@echo "Installing what the documentation needs"
	@$(PIP_INSTALL) --editable '.[all]' --group docs
	@touch $@

$(INSTALLED)%: $(MADE)
	@echo "Installing what '$*' needs"
	@$(PIP_INSTALL) --group $*
	@touch $@
