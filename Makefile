# The commands of the lab. `make help` lists them.

PYTHON ?= python3
PRESET ?= quick

ifeq ($(OS),Windows_NT)
    BIN := .venv/Scripts
else
    BIN := .venv/bin
endif
PY := $(BIN)/python
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
.PHONY: help lab test release validate jupyter formgrader mistakes benchmark ablation results expected picture lint format clean

help: ## list the commands
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=python3.12")'
	@test -x $(PY) || $(PYTHON) -m venv .venv
	@echo "Installing into .venv (several minutes the first time) ..."
	@$(PY) -m pip install -q --disable-pip-version-check -e '.[dev]'
	@touch $@

lab: $(INSTALLED) ## build, run and grade everything on the real data, print one table
	@$(PY) -m labhelpers.instructor.course.overview

test: $(INSTALLED) ## lint, unit tests, notebooks under nbval, nbgrader round trip
	$(call part,lint,$(MAKE) --no-print-directory lint)
	$(call part,unit tests,$(PY) -m pytest -q -m "not slow")
	$(call part,notebooks,$(PY) -m labhelpers.instructor.course.validate --preset quick)
	$(call part,release and grading,$(PY) -m pytest -q -m slow)

release: $(INSTALLED) ## student version and solution, as folders and zips under build/
	@$(PY) -m labhelpers.instructor.course.release

validate: $(INSTALLED) ## run all notebooks under nbval; PRESET=full trains for real
	@$(PY) -m labhelpers.instructor.course.validate --preset $(PRESET)

jupyter: $(INSTALLED) ## open JupyterLab on the student version
	@test -d build/student || $(PY) -m labhelpers.instructor.course.release --student-only
	@$(PY) -m jupyterlab --notebook-dir build/student

formgrader: $(INSTALLED) ## open JupyterLab on the course, for grading
	@$(PY) -m jupyterlab

mistakes: $(INSTALLED) ## grade every known mistake with nbgrader, print one table
	@$(PY) -m labhelpers.instructor.authoring.mistakes

benchmark: $(INSTALLED) ## measure speed against the plain recipe, and of data, checks, grading
	@$(PY) -m labhelpers.instructor.experiments.benchmark

ablation: $(INSTALLED) ## train each recipe with one choice changed at a time (hours; can be resumed)
	@$(PY) -m labhelpers.instructor.experiments.trials ablation

results: $(INSTALLED) ## train both recipes of each method, three seeds (hours; can be resumed)
	@$(PY) -m labhelpers.instructor.experiments.trials results

expected: $(INSTALLED) ## compute anew the numbers that the checks compare with
	@$(PY) -m labhelpers.instructor.authoring.expected

picture: $(INSTALLED) ## draw the README's picture, from the phantom
	@$(PY) -c "from labhelpers import data, phantom, plots; \
	  pairs = data.IXIDataset(phantom.write_phantom('build/phantom-30', 30)); \
	  plots.show_pairs(pairs, subjects=6).save('.github/phantom-pairs.png')"

lint: $(INSTALLED) ## check code, notebooks and workflows
	@$(PY) -m ruff format --check
	@$(PY) -m ruff check
	@$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows $(WORKFLOWS)
	@$(BIN)/zizmor --offline --quiet .github/workflows

format: $(INSTALLED) ## format code and notebooks
	@$(PY) -m ruff check --fix
	@$(PY) -m ruff format

clean: ## remove what can be made again; submissions, grades and the environment stay
	@rm -rf build/release build/student* build/solution* build/solved build/run build/validate \
	  build/phantom-30 build/mistakes .pytest_cache .ruff_cache .hypothesis
