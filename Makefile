# Every target sets up what it needs. Another Python: make run PYTHON=python3.12
PYTHON ?= python3
# quick, offline in minutes, or full, with large downloads: tlutils fetch --profile full --dry-run lists them.
PROFILE ?= quick
BIN := .venv/bin
# On a CI machine the tests of the PyTorch backend run too; elsewhere PyTorch is not worth its size.
TORCH := $(if $(filter true 1,$(CI)),-torch)
comma := ,
EXTRAS := [test$(if $(TORCH),$(comma)torch)]
ENV := build/env$(TORCH).stamp

.DEFAULT_GOAL := help
.PHONY: help env run check test again notebooks lab bench real frameworks

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(ENV) ## set up the environment in .venv

run: $(ENV) ## execute the whole course and print what came of it; on real data of publishers: make run PROFILE=full
	@# Where something cannot be had, this says so, and the lessons that need it say so again.
	-$(BIN)/tlutils fetch --profile $(PROFILE)
	$(BIN)/tlutils run $(if $(filter-out quick,$(PROFILE)),-p profile $(PROFILE) )--output-dir build/run

# Two processes, since most tests use one core. Their own cache: a test must not depend on what the reader has fetched.
PYTEST := $(BIN)/pytest --numprocesses 2 --dist worksteal
style = $(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports --no-logo
check test again: export TLUTILS_CACHE ?= $(CURDIR)/build/cache
# The two share the cores already: threads of OpenBLAS that wait for each other made small heads ten times slower.
check test again: export OMP_NUM_THREADS ?= 1
check test again: export OPENBLAS_NUM_THREADS ?= 1

check: $(ENV) ## style, types, layers and the fast tests: before each commit
	$(style)
	$(PYTEST) -m "not slow and not network and not again"

test: $(ENV) ## what CI checks: style, types, layers, all tests, every notebook executed, every claim checked
	$(style)
	$(PYTEST) -m "not again"
	KERAS_BACKEND=torch $(PYTEST) tests/test_cut.py tests/test_inference.py tests/tuning tests/models/test_backbones.py tests/models/test_minilm.py tests/models/test_speech.py \
		"tests/test_notebooks.py::test_a_student_copy_without_solutions_runs_to_its_end_with_another_seed[14_frameworks]"
	-$(BIN)/tlutils fetch review_sentences  # Lessons 12 and 12a compare what they say of these; the tests above may have them.
	TLUTILS_STRICT=1 $(PYTEST) --dist loadfile notebooks --nbval-lax --nbval-current-env --nbval-cell-timeout=600 \
		--nbval-sanitize-with=tests/sanitize.cfg

again: $(ENV) ## every lesson once more, with another seed and unanswered exercises: before a release
	$(PYTEST) -m again

notebooks: $(ENV) ## execute lessons where they lie, for their stored outputs; one of them: make notebooks ONLY=12b_speech
	@# What is other people's stays out of these outputs: see only_here in tlutils/course/lesson.py.
	TLUTILS_STORED=1 $(BIN)/jupyter nbconvert --to notebook --execute --inplace \
		--ExecutePreprocessor.record_timing=False notebooks/$(or $(ONLY),*).ipynb

lab: $(ENV) ## open the course in JupyterLab
	$(BIN)/jupyter lab notebooks

bench: $(ENV) ## measure the speed ratios of the course into build/bench.json; one of them: make bench ONLY=head_speedup
	$(BIN)/python tests/bench.py $(ONLY)

real: $(ENV) ## run lessons on real data into data/real_runs.csv: make real REAL=folder with flowers, daynight, ...
	$(BIN)/python tests/real_runs.py $(REAL) $(LESSONS)

frameworks: $(ENV) ## run lessons under TensorFlow, PyTorch and JAX into data/framework_runs.csv; hours on two cores
	$(BIN)/pip install -c constraints.txt -e '.[torch,jax]'
	$(BIN)/python tests/framework_runs.py

$(ENV): .venv/pyvenv.cfg pyproject.toml constraints.txt
	$(BIN)/pip install -c constraints.txt -e '.$(EXTRAS)'
	@mkdir -p build && touch $@

# Said before anything is downloaded. TensorFlow has had no build for Intel Macs since 2.17.
define CHECK
import platform, sys
if not (3, 11, 2) <= sys.version_info[:3] < (3, 14):
    sys.exit("The course needs Python 3.11.2 to 3.13, this is %d.%d.%d. "
             "Name another one: make PYTHON=python3.12" % sys.version_info[:3])
if sys.platform == "darwin" and platform.machine() == "x86_64":
    sys.exit("TensorFlow has no build for Python on Intel Macs. On a Mac with Apple silicon, name a Python for arm64: "
             "make PYTHON=/opt/homebrew/bin/python3.12; with an Intel processor, take another machine.")
endef
export CHECK

.venv/pyvenv.cfg:
	@$(PYTHON) -c "$$CHECK"
	@$(PYTHON) -c "import ensurepip, venv" 2>/dev/null || { echo "$(PYTHON) cannot make environments. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv .venv
