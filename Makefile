# make demo            a simulated scan, from frames to dynamics, in the browser
# make demo ONCE=1     the same, checked against the known truth, then exit
# make demo FRAMES=F   the same with measured frames
# make test            the whole test suite
# make check           formatting, lint, types, layers

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# For example --extra-index-url https://download.pytorch.org/whl/cpu, where the registry's own torch brings CUDA along.
PIP_OPTIONS ?=
DEMO_OPTIONS := $(if $(ONCE),--once) $(if $(FRAMES),--frames $(FRAMES)) $(if $(PORT),--port $(PORT))

.PHONY: demo serve test check format clean

demo: $(VENV)/.installed
	$(BIN)/twotime demo $(DEMO_OPTIONS)

serve: $(VENV)/.installed
	$(BIN)/twotime serve

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) var

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "twotime needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; name another with make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_OPTIONS) -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_OPTIONS) -c constraints.txt -e '.[dev]'
	@touch $@
