# Shortcuts: `make help` lists them. Everything else is a command of `labhelpers`.

PYTHON ?= python3

ifeq ($(OS),Windows_NT)
    BIN := .venv/Scripts
else
    BIN := .venv/bin
endif
PY := $(BIN)/python
LABHELPERS := $(PY) -m labhelpers
INSTALLED := .venv/installed
WORKFLOWS := $(wildcard .github/workflows/*.yml)

# nbgrader starts programs by name; they are those of our environment.
export PATH := $(CURDIR)/$(BIN):$(PATH)

# $(call part,NAME,COMMAND) runs a part of `make test` and prints the time it took.
define part
	@echo "==> $(1)"
	@start=$$(date +%s); $(2) || exit 1; echo "<== $(1): $$(( $$(date +%s) - start )) s"
endef

.DEFAULT_GOAL := help
.PHONY: help install lab system test jupyter formgrader lint format clean

help: ## list the commands
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18
	@echo "More, in the environment .venv: labhelpers --help"

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=python3.12")'
	@test -x $(PY) || $(PYTHON) -m venv .venv
	@echo "Installing into .venv (several minutes the first time) ..."
	@$(PY) -m pip install -q --disable-pip-version-check -e '.[dev]'
	@touch $@

install: $(INSTALLED) ## create the environment in .venv

lab: $(INSTALLED) ## build, run and grade everything on the real data, print one table
	@$(LABHELPERS) lab

# What the tests need beside Python, installed by apt where there is apt.
PACKAGES := $(if $(shell command -v bwrap),,bubblewrap) \
  $(if $(wildcard /usr/lib/postgresql/*/bin/initdb),,postgresql) \
  $(if $(shell command -v chromium chromium-browser google-chrome),,chromium)
APT := $(if $(filter 0,$(shell id -u)),,sudo) apt-get

system:
ifneq ($(and $(strip $(PACKAGES)),$(shell command -v apt-get)),)
	@echo "Installing $(strip $(PACKAGES)) ..."
	@$(APT) update -qq || true
	@DEBIAN_FRONTEND=noninteractive $(APT) install -qq -y $(PACKAGES) > /dev/null
endif

# Coverage costs little from Python 3.12 on; before, it nearly doubles the time of many tests.
COVERAGE = $(shell $(PY) -c 'import sys; print("--cov" if sys.version_info >= (3, 12) else "")')
test: export COVERAGE_CORE := sysmon

test: $(INSTALLED) system ## lint, unit tests, notebooks, release and grading
	$(call part,lint,$(MAKE) --no-print-directory lint)
	$(call part,tests,$(PY) -m pytest -q --numprocesses auto $(COVERAGE))

jupyter: $(INSTALLED) ## open JupyterLab on a copy of the student version that nothing overwrites
	@test -d build/student || $(LABHELPERS) release --student-only
	@test -d build/work || cp -R build/student build/work
	@$(PY) -m jupyterlab --notebook-dir build/work

formgrader: $(INSTALLED) ## open JupyterLab on the course, for grading
	@$(PY) -m jupyterlab

lint: $(INSTALLED) ## check code, notebooks and workflows
	@$(PY) -m ruff format --check
	@$(PY) -m ruff check
	@$(PY) -m mypy
	@$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows $(WORKFLOWS)
	@$(BIN)/zizmor --offline --quiet .github/workflows

format: $(INSTALLED) ## format code and notebooks
	@$(PY) -m ruff check --fix
	@$(PY) -m ruff format

clean: ## remove what can be made again; submissions, grades and the environment stay
	@rm -rf build/release build/student* build/solution* build/solved build/run build/validate \
	  build/phantom-30 build/mistakes .coverage .pytest_cache .ruff_cache .mypy_cache
