# Every command of Plumbline. Needs Python 3.11 or newer and make; writes nothing outside this folder.

BIN := .venv/bin
READY := .venv/ready
SQL := $(addprefix dbt_project/models/,staging intermediate marts)
LOCKS := requirements-uv.txt requirements.txt requirements-dev.txt

# uv's cache lies in .venv too: files are linked from it, not copied. So do temporary files, pytest's above all.
export UV_CACHE_DIR := $(CURDIR)/.venv/cache
export TMPDIR := $(CURDIR)/.venv/tmp
export VIRTUAL_ENV := $(CURDIR)/.venv
export GX_ANALYTICS_ENABLED := false
export DBT_SEND_ANONYMOUS_USAGE_STATS := false

LOCK := UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --upgrade

.DEFAULT_GOAL := help
.PHONY: help nightly test lint format demo bench docs up down lock clean

help: ## list every command
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

nightly: $(READY) ## collect, build, reconcile and release: the real DAGs, once, here
	@$(BIN)/python -m plumbline.airflow.nightly

test: $(READY) ## the whole test suite
	@$(BIN)/python -m pytest -q -n logical --dist loadfile --no-loadscope-reorder

lint: $(READY) ## ruff, mypy (strict) and sqlfluff
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/sqlfluff lint $(SQL)

format: $(READY) ## let ruff and sqlfluff put the code into shape
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format
	@$(BIN)/sqlfluff fix $(SQL)

demo: $(READY) ## write the demo's inbox: a year of submissions from two real places
	@$(BIN)/plumbline demo

up: $(READY) ## start Airflow with its UI on 127.0.0.1; says where and with which login
	@$(BIN)/python -m plumbline.airflow.standalone up

down: $(READY) ## stop Airflow
	@$(BIN)/python -m plumbline.airflow.standalone down

bench: $(READY) ## an inbox, a country's month, its registry: time and memory, beside bare reads and roll-ups
	@$(BIN)/python -m plumbline.bench

docs: $(READY) ## docs/rules.md, and dbt's documentation of every table and column, as one page
	@$(BIN)/plumbline rules docs
	@$(BIN)/plumbline docs

lock: $(READY) ## choose the newest versions that requirements*.in allow, and write their hashes
	@echo uv | $(LOCK) - -o requirements-uv.txt
	@$(LOCK) requirements.in -o requirements.txt
	@$(LOCK) requirements-dev.in -o requirements-dev.txt

clean: ## remove .venv, Airflow's home and caches; data/ stays
	@test ! -d .venv || $(MAKE) --no-print-directory down
	@rm -rf .venv .airflow .mypy_cache .ruff_cache .pytest_cache .hypothesis include/*.egg-info *.egg-info

# The first Python that is new enough and can make environments; PYTHON=… chooses another.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	"$$python" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)

# Compiled at once (10 to 20 s): a night imports Airflow, dbt and Great Expectations, 12 s from source, 5 s compiled.
# So is the dbt project: parsing it takes 9 s, reading what was parsed 1 s.
$(READY): $(LOCKS) pyproject.toml
	@test -n "$(PYTHON)" || { echo "Plumbline needs Python 3.11 or newer with its venv module, and found none." \
	  "Install one, or say where it is: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/pip || { echo "Installing into .venv with $$($(PYTHON) --version)"; $(PYTHON) -m venv .venv; }
	@mkdir -p $(TMPDIR)
	@$(BIN)/pip install --quiet --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-uv.txt
	@$(BIN)/uv pip install --quiet --compile-bytecode --require-hashes -r requirements.txt -r requirements-dev.txt
	@$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/python -c 'from plumbline.build.dbt import parse; parse()'
	@touch $@
