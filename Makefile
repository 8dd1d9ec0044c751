# `make run` and `make test` need only Python 3.11 or newer, git and make; everything else is installed into .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test test-pythons check check-all coverage mutation lowest lock clean

# The tests of the parts whose branch coverage is held (scripts/maintenance/check_coverage.py).
CORE := tests/analysis tests/facts tests/fetcher tests/loader tests/test_emergence.py tests/test_emergence_tables.py tests/test_table_files.py \
  tests/cli/test_fetch.py tests/cli/test_load.py

# What `pip install .` needs, and nothing else. A marker file is newer than its lock only after a complete install, so an
# interrupted set-up is repeated.
.venv/.run-ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

# The tools of tests and checks on top: the same versions of what both locks hold.
.venv/.ready: .venv/.run-ready requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	touch $@

run: .venv/.run-ready
	$(BIN)/bigbench-meta run --force

test: .venv/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n auto -m "not slow and not browser and not latex and not train"

check: test

# The core, a few commands and the exported formats on the other supported Pythons, where an interpreter is found.
ON_OTHER_PYTHONS := $(CORE) tests/cli/test_main.py tests/export/test_formats.py
test-pythons: .venv/.ready
	$(BIN)/python scripts/maintenance/other_pythons.py $(ON_OTHER_PYTHONS)

# Everything, the long parts too; installs PyTorch and Debian packages if they are missing.
check-all: .venv/.ready
	bash scripts/maintenance/install_check_tools.sh
	$(BIN)/python scripts/maintenance/other_pythons.py
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n auto

# Branch coverage of emergence, analysis, loader and fetcher, a table of it, and an error where a part is below 95%.
coverage: .venv/.ready
	rm -f .coverage .coverage.* coverage.json
	$(BIN)/coverage run -m pytest -n auto -m "not slow and not browser and not latex and not train" $(CORE)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage json --quiet -o coverage.json
	$(BIN)/python scripts/maintenance/check_coverage.py coverage.json

# Mutation testing of emergence.py and the concentration test by their own tests (docs/mutation.md); goes on where it stopped.
mutation: .venv/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check mutmut==3.8.1
	$(BIN)/mutmut run
	$(BIN)/mutmut results

# The core on the lowest version of each dependency that pyproject.toml admits, beside the newest ones of the lock. Warnings
# are errors in tests, and pyparsing, which only Matplotlib uses, warns of what early Matplotlib does from 3.3 on.
lowest:
	$(PYTHON) -m venv --clear .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check uv
	.venv-lowest/bin/python -m uv pip install --quiet --python .venv-lowest/bin/python --resolution lowest-direct \
	  -r pyproject.toml --extra test 'pyparsing>=3.1,<3.3'
	.venv-lowest/bin/python -m pytest -n auto -m "not slow and not browser and not latex and not train" $(CORE)

# Two locks, for running and for developing, with hashes and without any index line. A package that another one asks for
# with an extra is pinned with that extra: pip takes `coverage[toml]` for pinned only where the lock says `coverage[toml]`.
# One version of a package serves every Python: NumPy draws other numbers from one release to the next. The third lock is that
# of a tool apart, the validator of exported records.
COMPILE = $(BIN)/uv pip compile --quiet --universal --fork-strategy fewest --generate-hashes \
  --no-strip-extras --no-emit-index-url --no-annotate --custom-compile-command "make lock"
lock: .venv/.ready
	$(COMPILE) pyproject.toml --group build --python-version 3.11 --output-file requirements.lock
	$(COMPILE) pyproject.toml --group build --extra test --extra dev --python-version 3.11 --constraint requirements.lock \
	  --output-file requirements-dev.lock
	$(COMPILE) --group records --python-version 3.12 --output-file requirements-records.lock

clean:
	rm -rf .venv .venv-lowest .venv-records .venv-3.* bigbench-meta-out

# Wheel and source distribution in dist/, checked as a stranger would meet them: metadata, contents, licences, and the tables
# of the wheel alone in clean environments of the oldest and the newest supported Python. PYTHONS="3.12 /a/python3" chooses others.
.PHONY: dist
dist: .venv/.ready
	$(BIN)/python scripts/maintenance/check_dist.py $(addprefix --python ,$(PYTHONS))
