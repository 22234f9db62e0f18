# The goals set up environments of their own; they need Python 3.11 or newer and the packages' registry, nothing else.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check docs dist lowest lock sbom

demo: .venv/ready  ## the main job on a made-up talking face: prepare, train, test, read
	$(BIN)/gunileo demo

test: check  ## every test
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile

check: .venv/ready  ## style, types, and which package imports which
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/ready  ## the docs site, in site/; a broken link or name ends it
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

dist: .venv/ready  ## the wheel and the sdist, in dist/
	$(BIN)/python -m build

lowest:  ## the quick tests with the lowest versions that pyproject.toml allows, in an environment of their own
	$(PYTHON) -m venv .lowest
	$(PYTHON) .ci/lowest.py > .lowest/constraints.txt
	.lowest/bin/pip install --quiet --disable-pip-version-check -c .lowest/constraints.txt -e '.[train,live,burn,serve,lexicon,dev]'
	.lowest/bin/pytest tests/corpus/test_labels.py tests/corpus/test_finders.py tests/corpus/test_cache.py \
		tests/corpus/test_cut_out.py tests/corpus/test_prepare.py tests/corpus/test_download.py \
		tests/decoding/test_ctc.py tests/vision/test_video.py tests/vision/test_mouth.py \
		tests/inference/test_reader.py tests/training/test_export.py tests/cli/test_main.py \
		--deselect tests/cli/test_main.py::test_help_imports_nothing_heavy  # Typer's lowest imports Rich for its help

lock:  ## constraints.txt anew: the newest version of everything that is installed, on any system
	$(PYTHON) -m venv .lock
	.lock/bin/pip install --quiet --disable-pip-version-check uv
	.lock/bin/uv pip compile --quiet --universal --python-version 3.11 --all-extras -c .ci/pinned.txt \
		--no-annotate --no-header --upgrade pyproject.toml -o .lock/all.txt
	{ echo '# Versions that the tests run with; made by `make lock`. Without PyTorch'"'"'s CUDA, which a build of it may bring.'; \
		grep -Ev '^(cuda|nvidia|triton)' .lock/all.txt; } > constraints.txt

sbom: .venv/ready  ## sbom.json: all that .venv holds, with versions and licences, as CycloneDX
	$(PYTHON) -m venv .lock
	.lock/bin/pip install --quiet --disable-pip-version-check cyclonedx-bom
	.lock/bin/cyclonedx-py environment --pyproject pyproject.toml --of JSON -o sbom.json $(BIN)/python

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all]'
	touch $@
