# `make` lists the targets. Needs GNU make, a POSIX shell and Python 3.11 or newer.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install install-dev run test test-long test-debian check counterparts format bench simulate \
        fuzz damage soak soak-cluster sqlite reference docs smoke dist lock swagger-ui htmx clean

ARGS ?=
BIN := .venv/bin
PIP_INSTALL := $(BIN)/python -m pip --disable-pip-version-check --quiet \
               install --root-user-action=ignore

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: .venv/.run ## Create .venv with the pinned runtime dependencies and the editable project

install-dev: .venv/.dev ## Create .venv as install does, and add the pinned development tools

run: install ## Start ringback on this machine (ARGS="--help" shows its options)
	@exec $(BIN)/ringback dev $(ARGS)

# ARGS="-n 0" runs one test after the other, so that a debugger works. Bytecode is kept, because
# hundreds of tests start a process that would compile everything again.
PYTEST = PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses auto --dist worksteal

test: install-dev ## Run the tests (ARGS="-k name -x" goes to pytest)
	@$(PYTEST) $(ARGS)

test-long: install-dev ## Run the long versions of tests that `make test` shortens
	@$(PYTEST) -m long --timeout 1200 $(ARGS)

test-debian: install-dev ## Run the tests of stores on the PostgreSQL of Debian's package
	@TEST_POSTGRES=debian $(PYTEST) tests/stores -k postgres $(ARGS)

check: install-dev ## Run all checks except the tests, and list those that failed
	@failed=; \
	run() { printf '%s\n' "--- $$*"; "$(BIN)/$$@" || failed="$$failed $$1"; }; \
	run ruff format --check --quiet .; \
	run ruff check --quiet .; \
	run basedpyright; \
	run python -m tests.house; \
	run deptry src; \
	run codespell; \
	if [ -n "$$failed" ]; then echo "--- failed:$$failed"; exit 1; fi; \
	echo "--- all checks passed"

counterparts: install-dev ## Check that each module of core is covered by its own test file
	@$(BIN)/python -m tests.counterparts

format: install-dev ## Format the code and fix what ruff can fix by itself
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

bench: install-dev ## Run the benchmarks (ARGS="--quick --only T1,T4"; "--against COMMIT" compares)
	@$(BIN)/python -m benchmarks $(ARGS)

simulate: install-dev ## Simulate the engine, time and faults (ARGS="--seeds 100000", "--seed 7")
	@$(BIN)/python -m tests.simulation $(ARGS)

fuzz: install-dev ## Send random inputs to the receiver (ARGS="--inputs 1000000", "--seed 7")
	@$(BIN)/python -m tests.fuzz $(ARGS)

damage: install-dev ## Damage data files, and try to use them (ARGS="--seeds 10000", "--seed 7")
	@$(BIN)/python -m tests.damage $(ARGS)

soak: install-dev ## Kill a server repeatedly, and check that nothing is lost (ARGS="--kills 500")
	@$(BIN)/python -m tests.crash.soak $(ARGS)

soak-cluster: install-dev ## Break servers on PostgreSQL, it too (ARGS="--rate 150 --server debian --pooler")
	@$(BIN)/python -m tests.crash.cluster_soak $(ARGS)

sqlite: install-dev ## Test the data file with the oldest SQLite that is supported, and a new one
	@$(BIN)/python -m tests.sqlite_versions $(ARGS)

reference: install-dev ## Write the tables of docs/reference: options, settings, triggers
	@$(BIN)/python -m docs_build.reference --write

smoke: install-dev ## Test an installed wheel on each other Python here, with the first commands
	@$(BIN)/python -m tests.installed

# The wheel is built from the sdist, which shows that both are complete. Both contain the
# documentation site, which `ringback docs` opens.
dist: install-dev ## Build the sdist and the wheel into dist/, with the documentation inside
	@rm -rf dist
	@$(BIN)/python -m docs_build.site src/ringback/_site
	@$(BIN)/uv --quiet build --no-build-isolation --python $(BIN)/python --out-dir dist
	@ls dist

SITE ?= build/site

docs: install-dev ## Build the documentation website (into SITE=build/site)
	@$(BIN)/python -m docs_build.site "$(SITE)"

# Releases are pinned only when they are a week old, since a bad one is often withdrawn by then. uv
# keeps existing pins; ARGS=--upgrade looks for newer releases. The pins have no registry address,
# so that any registry can be used.
LOCK = $(BIN)/uv --quiet --system-certs pip compile --universal --python-version 3.11 \
       --generate-hashes --exclude-newer '7 days' --no-emit-index-url \
       --custom-compile-command 'make lock' $(ARGS)

lock: install-dev ## Pin the dependencies in pyproject.toml and requirements/*.in (ARGS=--upgrade: newest)
	@$(LOCK) --extra server --extra migrate --extra postgres --extra kinesis pyproject.toml requirements/run.in \
	        -o requirements/run.txt >/dev/null
	@$(LOCK) requirements/dev.in -o requirements/dev.txt >/dev/null

SWAGGER_UI := src/ringback/api/openapi/swagger_ui
swagger-ui: ## Replace the Swagger UI files by those of VERSION=… (needs npm)
	@: $${VERSION:?set VERSION to a release of the npm package swagger-ui-dist, such as 5.32.8}
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && \
	npm pack --silent --pack-destination "$$fresh" "swagger-ui-dist@$$VERSION" >/dev/null && \
	tar -xzf "$$fresh/swagger-ui-dist-$$VERSION.tgz" -C "$$fresh" && \
	cd "$$fresh/package" && \
	{ echo "# swagger-ui-dist $$VERSION, from npm; made by make swagger-ui"; \
	  sha256sum swagger-ui-bundle.js swagger-ui.css LICENSE NOTICE \
	            swagger-ui-bundle.js.LICENSE.txt; } >SHA256SUMS && \
	cp SHA256SUMS $$(sed -n 's/^[0-9a-f]*  //p' SHA256SUMS) "$(CURDIR)/$(SWAGGER_UI)"

HTMX := src/ringback/console/static
htmx: ## Replace the console's htmx by that of VERSION=… (needs npm)
	@: $${VERSION:?set VERSION to a release of the npm package htmx.org, such as 2.0.11}
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && \
	npm pack --silent --pack-destination "$$fresh" "htmx.org@$$VERSION" >/dev/null && \
	tar -xzf "$$fresh/htmx.org-$$VERSION.tgz" -C "$$fresh" && \
	cp "$$fresh/package/dist/htmx.min.js" "$(HTMX)/htmx.min.js" && \
	cp "$$fresh/package/LICENSE" "$(HTMX)/LICENSE-htmx" && \
	cd "$(HTMX)" && \
	{ echo "# htmx.org $$VERSION, from npm; made by make htmx"; \
	  sha256sum htmx.min.js LICENSE-htmx; } >SHA256SUMS

clean: ## Remove .venv, caches and reports; never ringback-data
	@rm -rf .venv .coverage .coverage.* htmlcov dist build src/ringback/_site \
	        .hypothesis .import_linter_cache .pytest_cache .ruff_cache benchmarks/.peers-venv
	@find src tests benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || :


# The stamp files .venv/.run and .venv/.dev mark what .venv contains. An install removes .run while
# it works, so an interrupted install leaves no stamp, and the next make creates a new .venv.

.venv/.run: $(BIN)/python requirements/run.txt pyproject.toml
.venv/.dev: .venv/.run requirements/dev.txt

ifndef ALONE
# Only one make installs at a time. Others wait, and then look again at what there is to do. The lock
# is on this file, and ends with the shell that has it open.
.venv/.run .venv/.dev:
	@exec 9<Makefile; for python in $(PYTHON) python3 $(BIN)/python; do \
	   "$$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)' 2>/dev/null && break; \
	 done; $(MAKE) --silent --no-print-directory ALONE=yes $@

$(BIN)/python: ;
else
.venv/.run:
	@[ -e $@ ] || { $(find_python); echo "creating .venv with $$python"; \
	                rm -rf .venv && "$$python" -m venv .venv; }
	@rm -f $@
	@echo "installing ringback and its pinned dependencies"
	@$(PIP_INSTALL) --require-hashes -r requirements/run.txt
	@$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev:
	@rm -f .venv/.run $@
	@echo "installing the pinned tools (about a minute, the first time)"
	@$(PIP_INSTALL) --require-hashes -r requirements/dev.txt
	@touch .venv/.run $@

# Runs only if .venv has no working interpreter: at the first install, or without the old Python.
$(BIN)/python:
	@rm -f .venv/.run
endif

# Sets $$python to the first suitable Python.
define find_python
looked=; python=; \
for name in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
  if ! version=$$("$$name" -c 'import sys; print(sys.version.split()[0])' 2>/dev/null); then \
    why="not found"; \
  elif ! "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
    why="$$version, too old"; \
  elif ! "$$name" -c 'import venv, ensurepip' 2>/dev/null; then \
    why="$$version, without venv or ensurepip"; \
  else \
    python=$$name; break; \
  fi; \
  looked="$$looked\n  $$name: $$why"; \
done; \
if [ -z "$$python" ]; then \
  printf "ringback needs Python 3.11 or newer, with venv and ensurepip. Tried:$$looked\n" >&2; \
  echo "Install one (Debian and Ubuntu: python3 and python3-venv), or name one:" >&2; \
  echo "  make install PYTHON=/path/to/python3" >&2; \
  exit 1; \
fi
endef
