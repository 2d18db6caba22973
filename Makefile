# make demo            a simulated scan, from frames to dynamics, in the browser
# make demo ONCE=1     the same, checked against the known truth, then exit
# make demo FRAMES=F   the same with measured frames
# make demo KIND=frames ONCE=1   weak diffraction: denoised frames of a temperature series, checked likewise
# make test            the test suite, some quarter of an hour
# make test-unit       the unit tests, arrays in and arrays out, within a minute
# make test-long       what takes longer: kills, clusters, PostgreSQL and Redis, training
# make bench           beside pyCHX, scikit-beam, lmfit and others, in one run
# make faults          kills and faults by the hundred, an hour or two; prints what was lost (nothing)
# make faults MODE=busy     the same, fewer of each, while ten other processes compute
# make faults MODE=growth   1000 small analyses and a large one: memory, open files, seconds until a state is answered
# make hostile         files and requests that mean harm, with a longer fuzz, some half an hour
# make mutations       one-line errors written into a copy of the sources: which of them the unit tests catch
# make check           formatting, lint, types, layers

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# For example --extra-index-url https://download.pytorch.org/whl/cpu, where the registry's own torch brings CUDA along.
PIP_OPTIONS ?=
DEMO_OPTIONS := $(if $(ONCE),--once) $(if $(KIND),--kind $(KIND)) $(if $(FRAMES),--frames $(FRAMES)) $(if $(PORT),--port $(PORT))

PYTEST := $(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

FAULTS_kills := harness
FAULTS_busy := harness --load 10 --service-kills 50 --tiled-kills 10 --others 5
FAULTS_growth := growth

PEERS := lmfit asteval uncertainties dill scikit-beam pychx scikit-image lazy-loader imageio networkx

.PHONY: demo serve test test-unit test-long bench faults hostile mutations check format clean

demo: $(VENV)/.installed
	$(BIN)/twotime demo $(DEMO_OPTIONS)

serve: $(VENV)/.installed
	$(BIN)/twotime serve

test: $(VENV)/.installed-dev
	$(PYTEST) -m "not long"

test-unit: $(VENV)/.installed-dev
	$(BIN)/python -m pytest tests/unit --numprocesses 2 --dist worksteal -m "not long and not slow"

test-long: $(VENV)/.installed-dev
	$(PYTEST) -m long

faults: $(VENV)/.installed-dev
	$(BIN)/python -m tests.faults.$(FAULTS_$(or $(MODE),kills)) $(FAULTS_OPTIONS)

hostile: $(VENV)/.installed-dev
	FUZZ_EXAMPLES=100 FUZZ_S=600 $(BIN)/python -m pytest tests/hostile tests/integration/api/test_api_fuzz.py --timeout 1800

mutations: $(VENV)/.installed-dev
	$(BIN)/python -m tests.mutations

bench: $(VENV)/.installed .bench/.installed
	PYTHONPATH=.bench $(BIN)/python tests/benchmarks/peers.py

# Beside the service, not in it: what peers demand of others shall not decide what twotime runs with.
.bench/.installed:
	$(BIN)/python -m pip install --quiet --target .bench --no-deps $(PEERS)
	touch $@

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .bench var

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "twotime needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; name another with make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_OPTIONS) -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_OPTIONS) -c constraints.txt -e '.[dev]'
	@touch $@
