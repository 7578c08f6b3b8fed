# `make demo` and `make test` are all a newcomer needs: Python 3.11 or newer, make, and a package index.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
UPRIGHT = $(BIN)/python -m standalone
# Many tests wait for servers and clocks, so a few more workers than two cores.
WORKERS ?= 6
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check
# On all cores, where pip takes one; packages carry templates of Python files, which don't compile.
COMPILE = $(BIN)/python -m compileall -qq -j 0 $(VENV)/lib chassis schemas services standalone || true
LOCK = uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --extra standalone \
	--no-header --no-emit-index-url --no-emit-find-links pyproject.toml

.PHONY: help demo test bench chaos fuzz check setup format contracts templates screenshots wheel audit sbom secrets compose lock

help: ## Show these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.runtime ## Play the story on this machine and open it in the browser; ONCE=1 ends by itself
	@$(UPRIGHT) demo $(if $(ONCE),--once)

test: setup ## Run all tests; with TEST_KAFKA and TEST_POSTGRES set also against those servers; ARGS=… goes to pytest
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup $(ARGS)

bench: setup ## Measure against limits of the same run: a table, and build/bench.json; ARGS=name one, PEERS=1 other queues
	PEERS=$(PEERS) $(BIN)/python -m bench $(ARGS)

chaos: setup ## Hurt an installation on servers of its own, N=200 times and in every way, and count (docs/chaos.md)
	$(BIN)/python -m tests.chaos --kills $(or $(N),200)

fuzz: setup ## Try 100,000 inputs that nobody should send (FUZZ=… another number): HTTP, Kafka, SMTP, fields of mails
	FUZZ=$(or $(FUZZ),100000) $(BIN)/pytest tests/fuzz -n 2 --dist worksteal

check: setup ## Lint, types, import contracts, drift of contracts and templates, programs
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m standalone.contracts check
	$(BIN)/python -m standalone.compile_templates --check
	$(UPRIGHT) programs check

setup: $(VENV)/.dev ## Install everything locked into .venv (PYTHON=… chooses the interpreter)

format: setup ## Let ruff mend what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

contracts: setup ## Write schemas/generated and schemas/examples from the models
	$(BIN)/python -m standalone.contracts write

templates: setup ## Compile the mails' MJML sources
	$(BIN)/python -m standalone.compile_templates

screenshots: setup ## Take the pictures in docs/images (needs a Chromium)
	$(BIN)/python -m standalone.screenshots

wheel: setup ## Build dist/upright-*.whl
	@rm -rf dist
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

audit: ## Look for known weaknesses of the locked packages
	@bash .ci/audit

sbom: ## Write build/sbom.json: what an image installs (CycloneDX)
	@bash .ci/sbom

secrets: ## Make the secrets of a deployment in deploy/secrets
	@deploy/make-secrets

compose: ## Play a story on the deployment in containers while its services are killed (needs a Docker engine)
	@bash .ci/compose

lock: ## Renew the locks after a change in pyproject.toml (needs uv; UPGRADE=1 takes newer versions)
	$(LOCK) $(if $(UPGRADE),--upgrade) --output-file requirements.lock
	$(LOCK) $(if $(UPGRADE),--upgrade) --group dev --constraint requirements.lock --output-file requirements-dev.lock

# The demo needs the runtime lock alone. The stamps skip what the locks haven't changed.
$(VENV)/.runtime: requirements.lock | $(BIN)/python
	@echo "Installing the locked packages into $(VENV) (about a minute)"
	@$(PIP) --no-compile --require-hashes --requirement $<
	@$(COMPILE)
	@touch $@

# It holds the runtime lock's packages, the same ones.
$(VENV)/.dev: requirements-dev.lock requirements.lock | $(BIN)/python
	@echo "Installing the locked development packages into $(VENV) (about a minute)"
	@$(PIP) --no-compile --require-hashes --requirement $<
	@$(COMPILE)
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $(VENV)/.runtime $@

# Some names are shims that fail when run, so each is tried.
$(BIN)/python:
	@for python in $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python); do \
	  "$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2> /dev/null || continue; \
	  "$$python" -m venv $(VENV) && exit 0; \
	done; \
	echo "Python 3.11 or newer with venv is needed (on Debian: python3-venv). PYTHON=… names another one." >&2; exit 1
