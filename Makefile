# What a person types. Every command is here with one line of explanation: `make help`.
.DEFAULT_GOAL := help
SHELL := bash

# Last on PATH: the uv that tools/setup makes for a person who has none.
export PATH := $(PATH):$(CURDIR)/.venv/bin
# tools/setup has just brought the environment in line with the lock.
RUN := uv run --no-sync

.PHONY: help setup fmt lint test test-modes rotations matrix drift-matrix troubles faults support contract canaries demo bench clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: ## Provide what is missing: uv, Python packages, the Pulumi CLI, PostgreSQL with pg_cron
	@tools/setup

fmt: ## Format the code and mend what can be mended
	@tools/setup lint
	$(RUN) ruff check --fix-only --quiet
	$(RUN) ruff format --quiet

WORKFLOWS = $(wildcard .github/workflows/*.yml template/.github/workflows/*.yml examples/*/.github/workflows/*.yml examples/ci/github/*.yml)

lint: ## Check style, types, import directions, shell scripts and workflows
	@tools/setup lint
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy
	$(RUN) lint-imports
	$(RUN) shellcheck tools/setup tools/rehearse .ci/run examples/*/*.sh
	@# It does not know the syntax for an action of the workflow's own repository.
	GOWORK=off go -C tools/actionlint tool actionlint -ignore 'specifying action "\$$/"' $(abspath $(WORKFLOWS))
	$(RUN) zizmor --offline --pedantic --quiet action.yml $(WORKFLOWS)

# Five processes: a test that waits leaves its core to another one.
PARALLEL := --numprocesses 5 --dist loadscope --no-loadscope-reorder

test: ## Run the tests, and a sample of those that make matrix and others run whole
	@tools/setup tests
	$(RUN) pytest $(PARALLEL) $(TESTS)

# All but the file that is about the client's own connection, and the one that calls these modes itself.
THROUGH_POOLER := tests/database --ignore tests/database/test_database.py --ignore tests/database/test_modes.py

test-modes: ## Run the database tests as a superuser, and through pgbouncer in session and in transaction mode
	@tools/setup tests
	$(RUN) pytest -q -m modes --database-mode superuser
	$(RUN) pytest -q $(THROUGH_POOLER) --database-mode session
	$(RUN) pytest -q $(THROUGH_POOLER) --database-mode transaction

rotations: ## Change the key fifty times a kind under constant dispatch, and print the table
	@tools/setup tests
	$(RUN) pytest tests/stack/test_rotations.py -m matrix -q

# Those two have a target each.
matrix: ## Run the tests and the cases that `make test` leaves out for their time
	@tools/setup tests
	$(RUN) pytest tests/stack tests/database tests/local -m matrix $(PARALLEL) \
		--ignore tests/stack/test_rotations.py --ignore tests/stack/test_drift_matrix.py

drift-matrix: ## Change every field by hand, and count what preview and drift find, and what they find for nothing
	@tools/setup tests
	$(RUN) pytest tests/stack/test_drift_matrix.py -m matrix -q

troubles: ## Break the sync in each known way, do what the doctor prints, and verify
	@tools/setup tests
	$(RUN) pytest tests/stack/test_troubleshooting.py -m "" -q

faults: ## Cut, kill, starve and overload the sync at every point, and print the table
	@tools/setup tests
	@POSTGRES=15 tools/setup tests # for the upgrades of a server
	$(RUN) pytest tests/faults tests/canaries/test_canaries.py -m matrix --numprocesses 4 --dist loadscope --no-loadscope-reorder

support: setup ## Run the tests that depend on the server on every supported PostgreSQL, and print the table
	@$(RUN) python -m tools.support

# Out of the command line: an address may hold a password.
contract: export CONTRACT_DSN = $(value DSN)
contract: setup ## Hold the platform's extensions against the records of the real ones (DSN=...: another server's)
	@$(RUN) pytest tests/contract -m "" -q

canaries: ## Hunt for secrets in every place that could hold one, and print the table
	@tools/setup tests
	$(RUN) pytest tests/canaries -m matrix -q

demo: setup ## Watch a sign-up being synced by cron on the embedded platform (WAKE=1: by its insert; KEEP=1: leave it running)
	$(RUN) bubble-sync local demo$(if $(WAKE), --wake)$(if $(KEEP), --keep)$(if $(VERBOSE), --verbose)

bench: setup ## Measure speed against baselines (ARGS="--rounds 15 import": others, some; see docs/reference/performance.md)
	$(RUN) python -m bench $(ARGS)

clean: ## Remove what the targets made in this checkout
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist *.egg-info report.html
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
