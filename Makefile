# make install   .venv with the `gatehouse` command
# make demo      the tool, an Open edX sandbox, a Zoom and a mailbox, in the middle of a class: prints one address
# make demo-check  the same without a browser, and what each page then shows: exits 0, or says which step failed
# make pictures  the pictures of README and guides, taken anew from the demo
# make test      every test once, on SQLite or on a real PostgreSQL: some minutes
# make sure      format, lint, types, import contracts, known vulnerabilities, every test on both databases at full length,
#                demo-check
# make audit     known vulnerabilities of what the lock files name; without a network it says so
# make materials the bill of materials of the tool: .cache/gatehouse.cdx.json (CycloneDX)
# make bench     side-by-side measurements: a quarter of an hour on a quiet machine (docs/benchmarks.md)
# make mutants   small changes of the pure rules that the tests must notice: a quarter of an hour
#
# Environments are built from the hashed lock files in requirements/ and rebuilt when a lock changes; otherwise nothing
# is downloaded. Another interpreter: make PYTHON=/path/to/python3.12 …

SHELL := /bin/sh
ifndef SIDE_BY_SIDE
.NOTPARALLEL:
endif
.DELETE_ON_ERROR:
.PHONY: install environments test-environments demo demo-check test every-test sure format lint types contracts audit materials chromium bench mutants migration reference words pictures lock clean help

PYTHON ?= $(shell for each in python3 python3.13 python3.12 python3.14 python3.11; do \
	"$$each" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& { command -v "$$each"; break; }; done)

# The stamp's name holds the checksum of what the environment was built from, and where. An environment whose
# interpreter has gone is thrown away first.
usable = $(shell [ ! -e $(1) ] || $(1)/bin/python -c "" >/dev/null 2>&1 || rm -rf $(1))
stamp = $(call usable,$(1))$(1)/.ready-$(shell { cat $(2) pyproject.toml; pwd; } | cksum | tr ' ' '-')

APP := $(call stamp,.venv,requirements/app.txt)
TEST := $(call stamp,.venv-test,requirements/test.txt)
LINT := $(call stamp,.venv-lint,requirements/lint.txt)
SANDBOX := $(call stamp,.venv-sandbox,requirements/sandbox.txt)
BENCH := $(call stamp,.venv-bench,requirements/bench.txt)
NODE := .node-bench/node_modules/.package-lock.json
MUTANTS := $(call stamp,.venv-mutants,requirements/mutants.txt)

# Tests start hundreds of processes: none shall compile anew what another one has compiled.
unexport PYTHONDONTWRITEBYTECODE
PYTEST = .venv-test/bin/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

SIDE_BY_SIDE_MAKE = $(MAKE) --no-print-directory --jobs SIDE_BY_SIDE=yes

LOCKS := app test lint sandbox bench mutants

# $(1) folder. uv where there is one: it takes seconds where pip takes a minute.
ifneq ($(shell command -v uv),)
make_environment = uv venv --quiet --clear --python "$(PYTHON)" $(1)
INSTALL = uv pip install --quiet --compile-bytecode --python $(1)/bin/python
else
make_environment = "$(PYTHON)" -m venv --clear $(1)
INSTALL = $(1)/bin/python -m pip install -qq --disable-pip-version-check --no-input
endif

# $(1) folder, $(2) lock file
define environment
@test -n "$(PYTHON)" || { echo "Gatehouse needs Python 3.11 or newer with its venv module; none was found." >&2; exit 1; }
@echo "building $(1) from $(2)"
@$(call make_environment,$(1))
@$(call INSTALL,$(1)) --require-hashes -r $(2)
endef

# The project itself, with the build tool of the lock: nothing is downloaded for it.
define ourselves
@$(call INSTALL,$(1)) --no-deps --no-build-isolation --editable .
endef

help:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile

install: $(APP)
	@echo "ready: .venv/bin/gatehouse --help"

$(APP):
	$(call environment,.venv,requirements/app.txt)
	$(call ourselves,.venv)
	@touch $@

$(TEST):
	$(call environment,.venv-test,requirements/test.txt)
	$(call ourselves,.venv-test)
	@touch $@

$(LINT):
	$(call environment,.venv-lint,requirements/lint.txt)
	@touch $@

$(SANDBOX):
	$(call environment,.venv-sandbox,requirements/sandbox.txt)
	@touch $@

$(BENCH):
	$(call environment,.venv-bench,requirements/bench.txt)
	@touch $@

# The driver of SQLite is compiled here, which takes some minutes and a C++ compiler. Without npm, its rows are skipped.
$(NODE): requirements/node/package-lock.json
	@if ! command -v npm >/dev/null; then echo "NO NPM: the peers on Node will be SKIPPED." >&2; \
	else echo "building .node-bench from $<"; mkdir -p .node-bench && cp requirements/node/*.json .node-bench \
	&& npm ci --prefix .node-bench --no-audit --no-fund --loglevel=error && touch $@ \
	|| { rm -rf .node-bench; echo "npm ci failed: the peers on Node will be SKIPPED." >&2; }; fi

$(MUTANTS):
	$(call environment,.venv-mutants,requirements/mutants.txt)
	@touch $@

# Everything that is ever downloaded (but the peers of the bench and mutmut): afterwards all other targets work without a network.
environments:
	@$(SIDE_BY_SIDE_MAKE) $(APP) $(TEST) $(LINT) $(SANDBOX) chromium

test-environments:
	@$(SIDE_BY_SIDE_MAKE) $(TEST) $(SANDBOX) chromium

demo: $(APP) $(SANDBOX)
	@.venv/bin/python -m sandbox.demo

demo-check: $(APP) $(SANDBOX)
	@.venv/bin/python -m sandbox.demo --check

# Every test once, those with a database on the one that follows from their name (docs/testing.md).
test: test-environments
	@$(PYTEST)

# The browser tests drive Debian's chromium. Where none can be had they are skipped, and say so.
chromium:
	@command -v chromium >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
	&& echo "installing chromium for the browser tests" && apt-get update -qq >/dev/null \
	&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } \
	|| echo "NO CHROMIUM: the browser tests will be SKIPPED. Install the package chromium to run them." >&2

# What must hold before a change is kept: the same tests on both databases, with all of their examples.
sure: environments format lint types contracts audit materials every-test demo-check

every-test: test-environments
	@$(PYTEST) --databases both --profile full

format: $(LINT)
	@.venv-lint/bin/ruff format --check .

lint: $(LINT)
	@.venv-lint/bin/ruff check .

types: $(LINT)
	@.venv-lint/bin/mypy

contracts: $(TEST)
	@.venv-test/bin/lint-imports

# Fails on a known vulnerability; without a network it says that nothing was audited.
audit: $(LINT)
	@.venv-lint/bin/python requirements/audit.py $(LOCKS:%=requirements/%.txt)

materials: $(LINT)
	@.venv-lint/bin/python requirements/bom.py requirements/app.txt .cache/gatehouse.cdx.json

bench: $(TEST) $(BENCH) $(SANDBOX) $(NODE)
	@.venv-test/bin/python -m benchmarks

# All mutants of the pure modules (docs/testing.md), or those of one: make mutants ONLY="lti_tool.gates.evaluate.*"
# The whole run begins anew, since mutmut would keep the results of earlier tests.
mutants: $(MUTANTS)
	@$(if $(ONLY),,rm -rf mutants)
	@nice .venv-mutants/bin/python requirements/mutants.py $(if $(ONLY),"$(ONLY)")

# A draft of the next revision, from the tables: make migration REVISION=0002 SAYS="What changes."
migration: $(TEST) $(LINT)
	@.venv-test/bin/python -m lti_tool.migrations.draft "$(REVISION)" "$(SAYS)"
	@.venv-lint/bin/ruff format --quiet lti_tool/migrations

# docs/errors.md, docs/commands.md and docs/roles.md, written anew from the source.
reference: $(TEST)
	@.venv-test/bin/python -m tests.reference

# The messages of pages and mail for translators, and the compiled catalogues: lti_tool/translations.
words: $(TEST)
	@.venv-test/bin/python -m tests.catalogue

# The pictures of README and guides, taken anew from the demo.
pictures: $(TEST) $(SANDBOX)
	@.venv-test/bin/python -m tests.browser.pictures

# The newest releases, locked for every Python from 3.11 on, without index addresses. Needs uv on the path.
lock:
	@cd requirements && for each in $(LOCKS); do \
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	--no-emit-find-links $$each.in --output-file $$each.txt; done

clean:
	rm -rf .venv .venv-test .venv-lint .venv-sandbox .venv-bench .venv-mutants .node-bench mutants .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
