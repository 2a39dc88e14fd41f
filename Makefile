# make            list what there is to make
# make lab        open JupyterLab;  on a server: make lab ARGS=--no-browser
# make test       check everything
#
# PYTHON=python3.12   the interpreter that .venv is made with
# VENV=path           another environment; a torch that is in it stays
# MORE=,qnn           further extras of pyproject.toml

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
MORE ?=

BIN := $(VENV)/bin
READY := $(VENV)/.sam2lab-ready
TORCH := $(shell sed -n 's/^torch==//p' .ci/constraints.txt)
# Jupyter refuses to run as root unless told to; in a container there is no other user.
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)
EXECUTED := $(patsubst %,build/%,$(wildcard notebooks/*.ipynb))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help lab test docs gallery slow bench bench-peers bench-clicks bench-page bench-video \
  native bench-native clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

lab: $(READY) ## set up, then open JupyterLab in notebooks/ (ARGS=--no-browser on a server)
	$(BIN)/jupyter lab --config=sam2lab/jupyter/server_config.json $(AS_ROOT) $(ARGS) notebooks

test: $(READY) ## set up, then check everything: style, types, tests, doctests, notebooks, browser
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2

docs: $(READY) $(EXECUTED) ## build the site in build/site; runs only notebooks that changed since the tests
	@rm -rf build/site
	@$(BIN)/python -m sphinx -q -W --keep-going -E -b html -c docs -d build/doctrees . build/site
	@echo "The site is in build/site/index.html"

gallery: $(READY) $(EXECUTED) ## make the pictures of notebooks/README.md anew
	$(BIN)/python -m tests.notebooks.gallery

# pytest runs a copy of a notebook, and leaves it with its outputs in build/notebooks.
build/notebooks/%.ipynb: notebooks/%.ipynb | $(READY)
	$(BIN)/python -m pytest -q $<

slow: $(READY) ## run the tests that take minutes
	$(BIN)/python -m pytest -m slow -o faulthandler_timeout=7200

bench: bench-peers bench-clicks ## measure both of the following, on a machine that does nothing else

bench-peers: $(READY) ## measure our export beside others: tables, and build/bench/peers.json
	$(BIN)/python -m sam2lab peers --folder build/bench $(ARGS)

bench-clicks: $(READY) ## time clicks in a browser
	$(BIN)/python -m pytest -q -s tests/browser/bench_clicks.py

bench-page: $(READY) ## time the page that segments: until it is ready, and each click
	$(BIN)/python -m pytest -q -s tests/browser/bench_page.py

bench-video: $(READY) ## measure following beside upstream, for hours: tables, and build/bench/video.json
	$(BIN)/python -m sam2lab video-bench --folder build/bench $(ARGS)

native: ## build the program in C++, which needs no Python: build/native/sam2lab-segment
	cmake -S native -B build/native
	cmake --build build/native --config Release

bench-native: $(READY) native ## measure the program in C++ beside Python and torch
	$(BIN)/python -m tests.native.bench $(ARGS)

clean: ## remove what this Makefile and the tests made; models and downloads stay
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build tests/browser/screenshots
	find sam2lab tests notebooks docs -name __pycache__ -prune -exec rm -rf {} +

# The stamp file is written last, so the next make goes on with an interrupted install.
# An environment that has another version of torch keeps it, and then gets the bounds of
# pyproject.toml instead of our pins, which belong to our torch.
# samexporter wants an old torch, but the part of it that our tests use never imports torch.
# vos-benchmark wants another build of the OpenCV that is there, and scikit-image for a disk.
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
	$(BIN)/python -m pip install $$pins -e '.[torch,lab,openvino,litert,video,peers,docs,test$(MORE)]'; \
	$(BIN)/python -m pip install --no-deps -c .ci/constraints.txt samexporter vos-benchmark
	@touch $@
