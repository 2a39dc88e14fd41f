# make            what there is to make
# make lab        JupyterLab;  on a server: make lab ARGS=--no-browser
# make test       everything that must hold
#
# PYTHON=python3.12   the interpreter that .venv is made with
# VENV=path           another environment; a torch that it brings is left alone

PYTHON ?= python3
VENV ?= .venv
ARGS ?=

BIN := $(VENV)/bin
READY := $(VENV)/.sam2lab-ready
TORCH := $(shell sed -n 's/^torch==//p' .ci/constraints.txt)
# Jupyter refuses root unless told; in a container there is nobody else.
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)

.DEFAULT_GOAL := help
.PHONY: help lab test slow bench bench-peers bench-clicks clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

lab: $(READY) ## set up, then open JupyterLab in notebooks/ (ARGS=--no-browser on a server)
	$(BIN)/jupyter lab --config=sam2lab/jupyter/server_config.json $(AS_ROOT) $(ARGS) notebooks

test: $(READY) ## set up, then check everything: style, types, tests, doctests, notebooks, browser
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

slow: $(READY) ## run the tests that take minutes
	$(BIN)/python -m pytest -m slow

bench: bench-peers bench-clicks ## both of the following, on a machine that does nothing else

bench-peers: $(READY) ## measure our export beside others: tables, and build/bench/peers.json
	$(BIN)/python -m sam2lab peers --folder build/bench $(ARGS)

bench-clicks: $(READY) ## time clicks in a browser
	$(BIN)/python -m pytest -q -s tests/browser/bench_clicks.py

clean: ## remove what this Makefile and the tests made; models and downloads stay
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build tests/browser/screenshots
	find sam2lab tests notebooks -name __pycache__ -prune -exec rm -rf {} +

# samexporter's list wants an old torch, which the part that our tests drive never imports.
#
# The stamp is the last thing written, so an interrupted install is taken up again.
# An environment that brings a torch of another version keeps it, and then gets the bounds of
# pyproject.toml instead of our pins, which belong to our torch.
$(READY): pyproject.toml .ci/constraints.txt
	@test -x $(BIN)/python || \
	  { $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "sam2lab wants Python 3.11 or newer: make PYTHON=python3.12 ..." >&2; exit 1; }; \
	    $(PYTHON) -m venv $(VENV); }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip
	@torch=$$($(BIN)/python -c \
	  'from importlib.metadata import version; print(version("torch"))' 2>/dev/null); \
	case "$$torch" in \
	  ''|$(TORCH)|$(TORCH)+*) pins="-c .ci/constraints.txt" ;; \
	  *) pins="torch==$$torch"; echo "Keeping torch $$torch, which $(VENV) brings." ;; \
	esac; \
	set -ex; \
	$(BIN)/python -m pip install $$pins -e '.[torch,lab,openvino,peers,test]'; \
	$(BIN)/python -m pip install --no-deps -c .ci/constraints.txt samexporter
	@touch $@
