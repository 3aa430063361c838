# Two commands set everything up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c .ci/constraints.txt

.PHONY: demo test lint types check-train clean

demo: $(VENV)/.core
	$(BIN)/compactproofs prove max-of-4/123 --all --out $(VENV)/certificates
	@for certificate in $(VENV)/certificates/*.cert.json; do \
	  echo "verify $$(basename $$certificate)"; \
	  $(BIN)/compactproofs verify $$certificate max-of-4/123 || exit 1; \
	done

test: lint types
	$(BIN)/python -m pytest

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

# The tests that need PyTorch; `make test` skips them where it is not installed.
check-train: $(VENV)/.train
	$(BIN)/python -m pytest tests/test_training.py

$(VENV)/.core: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) -e .
	touch $@

$(VENV)/.dev: $(VENV)/.core
	$(INSTALL) -e ".[dev]"
	touch $@

$(VENV)/.train: $(VENV)/.dev
	$(INSTALL) -e ".[train]"
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache
