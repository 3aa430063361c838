# Two commands set everything up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c .ci/constraints.txt

.PHONY: demo test lint types docs formal formal-checker figures check-train check-lens clean

demo: $(VENV)/.core
	$(BIN)/compactproofs prove max-of-4/123 --all --out $(VENV)/certificates
	$(BIN)/compactproofs verify $(VENV)/certificates max-of-4/123

# As many processes as there are processors, four at most, each with one thread unless the environment says otherwise.
test: export OMP_NUM_THREADS ?= 1
test: export OPENBLAS_NUM_THREADS ?= 1
test: lint types
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo --no-cache

types: $(VENV)/.dev
	$(BIN)/mypy

# The documentation as a site, build/docs/index.html, in an environment of its own; a warning is an error.  It is built
# from nothing: what is there from another build may link to what is gone.
docs: $(VENV)-docs/.installed
	rm -rf build/docs build/doctrees
	$(VENV)-docs/bin/python -m sphinx -q --fail-on-warning --keep-going -d build/doctrees docs build/docs

# The library for theorems in Coq; `docs/formal.md` says what to install for it.
formal:
	$(MAKE) -C formal

# The same, extracted to a program; it needs OCaml besides.
formal-checker: formal
	$(MAKE) -C formal/checker

# The tables and figures of the documentation, from the results that are stored in docs and formal.
figures: $(VENV)/.dev
	$(BIN)/python tools/draw_docs.py
	$(BIN)/python tools/draw_tightening.py
	$(BIN)/python benchmarks/two_arguments.py draw docs/strategies/pair-sum.csv \
		--tightened docs/tighten/pairs/results.csv --out docs/figures/pair-sum
	$(BIN)/python benchmarks/scaling.py draw docs/scaling.csv --out docs/figures/scaling
	$(BIN)/python tools/count_trusted.py
	$(BIN)/python tools/pages.py

# The tests that need PyTorch; `make test` skips them where it is not installed.
check-train: $(VENV)/.train
	$(BIN)/python -m pytest tests/test_training.py tests/test_pair_training.py tests/test_tightening.py

# The tests of the conversion from and to TransformerLens, in an environment of their own.
check-lens:
	$(PYTHON) -m venv $(VENV)-lens
	$(VENV)-lens/bin/python -m pip install --quiet -c .ci/constraints.txt torch -e exactcheck -e ".[lens,dev]"
	$(VENV)-lens/bin/python -m pytest tests/test_lens.py

$(VENV)/.core: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) -e .
	touch $@

# The plug-in among the examples and the second part of the zoo are tested as they are used: installed.
$(VENV)/.dev: $(VENV)/.core examples/min-of-k/pyproject.toml zoo-pairs/pyproject.toml
	$(INSTALL) -e exactcheck -e ".[dev]" -e examples/min-of-k -e zoo-pairs
	touch $@

$(VENV)/.train: $(VENV)/.dev
	$(INSTALL) -e ".[train]"
	touch $@

$(VENV)-docs/.installed: pyproject.toml .ci/constraints-docs.txt
	$(PYTHON) -m venv $(VENV)-docs
	$(VENV)-docs/bin/python -m pip install --quiet --disable-pip-version-check -c .ci/constraints-docs.txt -e ".[docs]"
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-docs build docs/generated $(VENV)-lens .mypy_cache .pytest_cache .ruff_cache
