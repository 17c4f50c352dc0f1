# Everything a developer types. `make help` lists it.
SHELL := /bin/sh
.DEFAULT_GOAL := help

CACHE := $(or $(ARK_CACHE_DIR),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/ark-backup)
VENV := $(CACHE)/venv
PY := $(VENV)/bin/python
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

.PHONY: venv
venv: ## the Python environment, outside the tree
	@hack/venv.sh $(VENV)

.PHONY: check
check: venv ## format, lint, types, layers, sizes, generated files
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-logo
	$(PY) hack/check_sizes.py
	$(PY) -m pkg.apis.schema --check config/crd

.PHONY: format
format: venv ## let ruff format and fix
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

.PHONY: crds
crds: venv ## write config/crd from the structs
	$(PY) -m pkg.apis.schema --write config/crd

.PHONY: test
test: venv ## everything: checks, unit, control plane, whole cluster
	@$(PY) hack/test.py

.PHONY: test-unit
test-unit: venv ## only the unit tests
	$(PY) -m pytest test/unit

.PHONY: test-controlplane
test-controlplane: venv ## only the tests on a real control plane
	$(PY) -m pytest test/controlplane

.PHONY: test-cluster
test-cluster: venv ## only the tests on a real cluster (root)
	$(PY) -m pytest test/cluster

.PHONY: demo
demo: venv ## an application loses its namespace and gets it back (KEEP=1, TIER=controlplane, DEMO_DAMAGE=…)
	@$(PY) hack/demo.py

.PHONY: bench
bench: venv ## figures, each beside a reference of the same run (SUITE=cli, runtime, engines, restic)
	@$(PY) hack/bench.py

.PHONY: soak
soak: venv ## informers in random faults for minutes (SECONDS=300 SEED=…)
	@$(PY) hack/soak.py

.PHONY: cluster-up
cluster-up: venv ## a real cluster on this machine that stays (root; NODES=2)
	@$(PY) -m pkg.testing.cluster_cli up --nodes $(or $(NODES),1)

.PHONY: cluster-down
cluster-down: venv ## remove that cluster, also after a crash
	@$(PY) -m pkg.testing.cluster_cli down

.PHONY: lock
lock: ## lock the dependencies again (needs uv)
	uv pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -o requirements/runtime.txt pyproject.toml
	uv pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --group dev -o requirements/dev.txt pyproject.toml
