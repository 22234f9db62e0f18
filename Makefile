# Both goals set up .venv first; they need Python 3.11 or newer and the packages' registry, nothing else.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check lowest

demo: .venv/ready  ## the main job on a made-up talking face: prepare, train, test, read
	$(BIN)/gunileo demo

test: check  ## every test
	$(BIN)/pytest

check: .venv/ready  ## style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

lowest:  ## the quick tests with the lowest versions that pyproject.toml allows, in an environment of their own
	$(PYTHON) -m venv .lowest
	$(PYTHON) .ci/lowest.py > .lowest/constraints.txt
	.lowest/bin/pip install --quiet --disable-pip-version-check -c .lowest/constraints.txt -e '.[train,live,burn,serve,lexicon,dev]'
	.lowest/bin/pytest tests/test_labels.py tests/test_corpus.py tests/test_decode.py tests/test_video.py tests/test_mouth.py \
		tests/test_prepare.py tests/test_engine.py tests/test_export.py tests/test_cli.py tests/test_download.py

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all]'
	touch $@
