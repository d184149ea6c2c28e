# Everything a contributor or CI runs. `make` alone lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_DIR ?= $(CURDIR)/.demo
PYTEST_JOBS ?= 4
SCHEDULES ?= 500
TRIALS ?= 5
MINUTES ?= 5
NAMED := $(filter-out file,$(origin PYTHON))
MAKE_VENV = GOALS='$(MAKECMDGOALS)' NAMED='$(NAMED)' engines/venv.sh '$(PYTHON)' '$(VENV)'

.DEFAULT_GOAL := help
.PHONY: help venv dev engines engines-demo engines-s3 engines-kube engines-oracles demo demo-down lint format test e2e e2e-long e2e-packages chaos coverage mutants fuzz bench bench-autopilot bench-backup bench-files bench-kube bench-recovery bench-startup proto stories startup reference component-fields component-flags component-gates clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv:  ## Make .venv with quorate in it, or repair it (PYTHON=python3.12 names another Python)
	@$(MAKE_VENV)

dev:  ## Make .venv with the tools for tests (one minute)
	@$(MAKE_VENV) dev

engines:  ## Build etcd 3.5, 3.6, 3.7, etcdctl, etcdutl; fetch 3.4 where Debian has it (2 minutes the first time)
	$(PYTHON) engines/build.py etcd-3.6 etcdctl etcdutl etcd-3.5 etcd-3.7 etcd-3.4

engines-s3:  ## Build an object store with S3's interface, for make chaos (8 minutes)
	$(PYTHON) engines/build.py weed

engines-demo:
	$(PYTHON) engines/build.py etcd-3.6 etcdctl

engines-kube:  ## Build the Kubernetes components and kubeadm (about 8 minutes)
	$(PYTHON) engines/build.py kube

engines-oracles:  ## Build further releases of kubeadm to compare with (about 2 minutes each)
	$(PYTHON) engines/build.py kubeadm-1.29 kubeadm-1.31 kubeadm-1.37

demo: venv engines-demo  ## Three-member etcd on this machine, joined through learners (1 minute the first time)
	@bench/demo.sh '$(CURDIR)/$(BIN)' '$(CURDIR)/.engines/bin' '$(DEMO_DIR)'

demo-down:  ## Stop the demo's cluster and delete its data
	$(BIN)/quorate local down --purge --dir '$(DEMO_DIR)'

lint: dev  ## ruff, mypy --strict, import directions (1 minute)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: dev  ## Format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: lint engines  ## Unit, model, contract, hostile and real-etcd tests (15 minutes on two cores)
	$(BIN)/pytest -n $(PYTEST_JOBS)

e2e: dev engines engines-kube  ## Real control planes on nodes made of namespaces: needs root, and the packages of e2e-packages (15 minutes)
	$(BIN)/pytest -m e2e tests/e2e

e2e-long: dev engines engines-kube  ## As e2e: init, join and reset killed in every phase, every fault in every phase
	$(BIN)/pytest -m e2e_long tests/e2e

e2e-packages:  ## Install what nodes are made of, from Debian, where that is possible
	@engines/node-packages.sh

chaos: dev engines engines-s3  ## What takes long: every row on every etcd, random schedules (SEED=N replays one), every call killed, slow links, losses (TRIALS=N)
	SCHEDULES=$(SCHEDULES) $(BIN)/pytest -n $(PYTEST_JOBS) -m chaos
	rm -f .loss.jsonl
	$(BIN)/python bench/loss.py --trials $(TRIALS) --output .loss.jsonl

coverage: dev engines  ## Which part of each room the unit, model and real tests run; RAISE=--raise writes the new floors
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest -n $(PYTEST_JOBS) -o timeout=900 tests/unit tests/model tests/contract tests/hostile tests/real \
		--deselect tests/hostile/test_documents.py::test_a_text_costs_little_and_ends_in_values_or_a_typed_error
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage json --quiet -o .coverage.json
	$(BIN)/python tests/coverage_rooms.py .coverage.json $(RAISE)

component-fields:  ## Write what KubeletConfiguration and KubeProxyConfiguration have in each minor, from the Go modules (10 minutes)
	$(PYTHON) engines/component_fields.py

component-gates:  ## Write which feature gates the components know in each minor, from the Go modules (10 minutes)
	$(PYTHON) engines/component_gates.py

component-flags: engines-kube  ## Write which flags the components have in which version, and of which types, from their sources and themselves (2 minutes)
	$(PYTHON) engines/component_flags.py

mutants: dev  ## Take each safeguard of the engine away alone, and see a test fail (about 5 minutes)
	$(BIN)/python tests/mutants/run.py

fuzz: dev  ## Changed inputs for every reader of what others wrote: MINUTES=N in all, SEED=N repeats one
	PYTHONPATH=tests $(BIN)/python -m fuzz.run --minutes $(MINUTES) --seed '$(SEED)'

bench-files: dev engines-kube  ## Certificates and config validate against kubeadm and the bare interpreter
	$(BIN)/python bench/files.py

bench-startup: dev engines engines-kube  ## Short commands beside etcdctl, kubeadm and a bare interpreter, whole processes
	$(BIN)/python bench/startup.py

bench-kube: dev engines engines-kube  ## init and joins beside the real kubeadm's, on real nodes
	$(BIN)/python bench/kube.py

bench-recovery: dev engines  ## A lost majority: what is lost, and how long until it writes and has three voters, beside what is done by hand
	$(BIN)/python bench/recovery.py

bench-backup: dev engines  ## A backup and a look of a gigabyte, beside etcdctl's snapshot (4 minutes)
	$(BIN)/python bench/backup.py

bench-autopilot: dev engines  ## What the autopilot does and costs, beside a script of the same RPCs (an hour; see --help)
	$(BIN)/python bench/autopilot.py

bench: dev engines  ## Our join against the tightest loop of the same run
	$(BIN)/python bench/join_floor.py
	$(BIN)/python bench/before.py

stories: dev  ## Write what the engine decides now into tests/unit/testdata/join
	PYTHONPATH=tests $(BIN)/python -m unit.stories

startup: dev engines  ## Record which modules the frequent commands load, as the test of start-up compares them
	PYTHONPATH=tests $(BIN)/python -m startup_modules

reference: dev  ## Write docs/reference from the classes of errors and the schemas
	PYTHONPATH=tests $(BIN)/python -m reference_pages

proto: dev  ## Write the stubs from the .proto files
	cd src && ../$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. quorate/etcd/client/wire.proto quorate/host/cri.proto

clean:  ## Delete what was made in this folder (caches outside it stay)
	rm -rf .loss.jsonl $(VENV) .engines .mypy_cache .ruff_cache .pytest_cache .hypothesis .fuzz build dist
