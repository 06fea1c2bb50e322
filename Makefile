# `make` lists what there is to do. Needs GNU make, a POSIX shell and Python 3.11 or newer.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install install-dev run test test-long check counterparts format bench simulate fuzz \
        damage soak reference docs smoke dist lock swagger-ui clean

ARGS ?=
BIN := .venv/bin
PIP_INSTALL := $(BIN)/python -m pip --disable-pip-version-check --quiet \
               install --root-user-action=ignore

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: .venv/.run ## Make .venv with the pinned runtime dependencies and the project, editable

install-dev: .venv/.dev ## The same .venv with the pinned tools as well

run: install ## Start ringback on this machine (ARGS="--help" shows its options)
	@exec $(BIN)/ringback dev $(ARGS)

# ARGS="-n 0" is one test after the other, with all that a debugger needs. What is compiled is kept,
# since hundreds of tests start a process that would compile all of it again.
PYTEST = PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses auto --dist worksteal

test: install-dev ## Run the tests (ARGS="-k name -x" goes to pytest)
	@$(PYTEST) $(ARGS)

test-long: install-dev ## Run at length what `make test` has a short form of
	@$(PYTEST) -m long $(ARGS)

check: install-dev ## Run every check that is not a test; all of them, then say which failed
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

counterparts: install-dev ## See that each module of core is covered by its own test file alone
	@$(BIN)/python -m tests.counterparts

format: install-dev ## Format the code and fix what ruff can fix by itself
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

bench: install-dev ## Run the benchmarks (ARGS="--quick --only T1,T4"; "--against COMMIT" compares)
	@$(BIN)/python -m benchmarks $(ARGS)

simulate: install-dev ## Run the engine through made-up histories (ARGS="--seeds 100000", "--seed 7")
	@$(BIN)/python -m tests.simulation $(ARGS)

fuzz: install-dev ## Throw inputs at the receiver (ARGS="--inputs 1000000", "--seed 7")
	@$(BIN)/python -m tests.fuzz $(ARGS)

damage: install-dev ## Damage data files, and use them (ARGS="--seeds 10000", "--seed 7")
	@$(BIN)/python -m tests.damage $(ARGS)

soak: install-dev ## Kill a server again and again, and count (ARGS="--kills 500")
	@$(BIN)/python -m tests.crash.soak $(ARGS)

reference: install-dev ## Write the tables of docs/reference: options, settings, triggers
	@$(BIN)/python -m docs_build.reference --write

smoke: install-dev ## Install the wheel on each other Python here, and run the first commands
	@$(BIN)/python -m tests.installed

# The wheel is built from the sdist, so that both are known to be complete. Both hold the site, which
# `ringback docs` opens.
dist: install-dev ## Build the sdist and the wheel into dist/, with the documentation inside
	@rm -rf dist
	@$(BIN)/python -m docs_build.site src/ringback/_site
	@$(BIN)/uv --quiet build --no-build-isolation --python $(BIN)/python --out-dir dist
	@ls dist

SITE ?= build/site

docs: install-dev ## Build the documents as a site (SITE=build/site is where)
	@$(BIN)/python -m docs_build.site "$(SITE)"

# A release gets a week to be withdrawn before it is pinned here. uv keeps the pins there are;
# ARGS=--upgrade looks for newer ones. No registry address is written: anyone's own will do.
LOCK = $(BIN)/uv --quiet --system-certs pip compile --universal --python-version 3.11 \
       --generate-hashes --exclude-newer '7 days' --no-emit-index-url \
       --custom-compile-command 'make lock' $(ARGS)

lock: install-dev ## Pin what pyproject.toml and requirements/*.in ask for (ARGS=--upgrade: anew)
	@$(LOCK) --extra server --extra migrate pyproject.toml requirements/run.in \
	        -o requirements/run.txt >/dev/null
	@$(LOCK) requirements/dev.in -o requirements/dev.txt >/dev/null

SWAGGER_UI := src/ringback/api/openapi/swagger_ui
swagger-ui: ## Replace the Swagger UI files by those of VERSION=… (needs npm)
	@: $${VERSION:?names the release of the npm package swagger-ui-dist, such as 5.32.8}
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && \
	npm pack --silent --pack-destination "$$fresh" "swagger-ui-dist@$$VERSION" >/dev/null && \
	tar -xzf "$$fresh/swagger-ui-dist-$$VERSION.tgz" -C "$$fresh" && \
	cd "$$fresh/package" && \
	{ echo "# swagger-ui-dist $$VERSION, from npm; made by make swagger-ui"; \
	  sha256sum swagger-ui-bundle.js swagger-ui.css LICENSE NOTICE \
	            swagger-ui-bundle.js.LICENSE.txt; } >SHA256SUMS && \
	cp SHA256SUMS $$(sed -n 's/^[0-9a-f]*  //p' SHA256SUMS) "$(CURDIR)/$(SWAGGER_UI)"

clean: ## Remove .venv, caches and reports; never ringback-data
	@rm -rf .venv .coverage .coverage.* htmlcov dist build src/ringback/_site \
	        .hypothesis .import_linter_cache .pytest_cache .ruff_cache benchmarks/.peers-venv
	@find src tests benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || :


# The stamps .venv/.run and .venv/.dev say what .venv holds. An install takes .run away while it
# works, so one that was cut short leaves none, and the next make starts over with a new .venv.

.venv/.run: $(BIN)/python requirements/run.txt pyproject.toml
	@[ -e $@ ] || { $(find_python); echo "making .venv with $$python"; \
	                rm -rf .venv && "$$python" -m venv .venv; }
	@rm -f $@
	@echo "installing ringback and its pinned dependencies"
	@$(PIP_INSTALL) --require-hashes -r requirements/run.txt
	@$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: .venv/.run requirements/dev.txt
	@rm -f .venv/.run $@
	@echo "installing the pinned tools (about a minute, the first time)"
	@$(PIP_INSTALL) --require-hashes -r requirements/dev.txt
	@touch .venv/.run $@

# Runs only when there is no interpreter there: a first install, or the system's Python has gone.
$(BIN)/python:
	@rm -f .venv/.run

# The first Python that will do becomes $$python.
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
  printf "ringback needs Python 3.11 or newer, with venv and ensurepip. Looked at:$$looked\n" >&2; \
  echo "Install one (Debian and Ubuntu: python3 and python3-venv), or name one:" >&2; \
  echo "  make install PYTHON=/path/to/python3" >&2; \
  exit 1; \
fi
endef
