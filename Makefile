# Both goals set up .venv first; they need Python 3.11 or newer and the packages' registry, nothing else.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check

demo: .venv/ready  ## the main job on a made-up talking face: prepare, train, test, read
	$(BIN)/gunileo demo

test: check  ## every test
	$(BIN)/pytest

check: .venv/ready  ## style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all]'
	touch $@
