# Every target makes its own environment first; nothing but Python 3.11 or newer is needed.
# ARGS goes to the program: `make demo ARGS=--keep`, `make test ARGS="-k deployments -x"`.

PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11 python3; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; done; echo $$name)
RUN := .venv/bin
WORKERS ?= 2
UV = .bootstrap/bin/python -m uv
COMPILE = $(UV) pip compile --quiet --universal --python-version=3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-config --custom-compile-command="make lock" $(UPGRADE)
ARGS ?=
test nightly: export OPENBLAS_NUM_THREADS = 1    # several tests at once: threads of one would starve the others

.PHONY: environment demo up test browser check static schema mlflow ray drift-rivals nightly acceptance bench when-to-retrain lock clean

environment:
	@$(PYTHON) requirements/environment.py

mlflow:                      ## an MLflow server of its own, for the nightly tests and benchmarks
	@$(PYTHON) requirements/environment.py mlflow

ray:                         ## a Ray cluster's environment with mlreg in it, for the nightly tests
	@$(PYTHON) requirements/environment.py ray

drift-rivals:                ## Evidently and NannyML, for the benchmark of drift reports
	@$(PYTHON) requirements/environment.py drift

demo: environment            ## replay a year of real flights
	@$(RUN)/mlreg demo $(ARGS)

up: environment              ## serve and stay
	@$(RUN)/mlreg up $(ARGS)

test: environment            ## the per-push test suite, servers included
	$(RUN)/pytest -n $(WORKERS) --dist=worksteal $(ARGS)

browser: environment         ## the pages in a real browser: fault 37 (needs chromium)
	$(RUN)/pytest -n 0 -k browser tests/faults/test_f37_stored_scripts.py $(ARGS)

check: static schema         ## what CI runs
	$(MAKE) test

static: environment
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/lint-imports

schema: environment          ## models against migrations, on a real server
	$(RUN)/python tests/migration/check.py

nightly: export HYPOTHESIS_PROFILE = new             # properties meet examples that no push has met
nightly: environment mlflow ray  ## the long tests, properties anew, then the README in a fresh clone
	$(RUN)/pytest -n $(WORKERS) --dist=worksteal --timeout=1800 -m nightly $(ARGS)
	$(RUN)/pytest -n $(WORKERS) --dist=worksteal tests/unit
	$(MAKE) acceptance

acceptance: environment      ## the README's two commands in a fresh clone
	$(RUN)/python tests/acceptance/two_commands.py $(ARGS)

bench: environment           ## measured against target, one line each
	$(RUN)/python -m benchmarks $(ARGS)

when-to-retrain: environment ## triggers and lanes measured on generated streams, into their page
	OMP_NUM_THREADS=1 $(RUN)/python -m benchmarks.triggers --write $(ARGS)

lock: environment            ## renew requirements/*.txt; UPGRADE=--upgrade takes newer versions
	$(COMPILE) requirements/bootstrap.in -o requirements/bootstrap.txt
	$(COMPILE) pyproject.toml --extra=dev -o requirements/dev.txt
	$(COMPILE) requirements/mlflow.in -o requirements/mlflow.txt
	$(COMPILE) pyproject.toml requirements/build.in --extra=server --extra=search --extra=sklearn --extra=ray -c requirements/dev.txt -o requirements/ray.txt
	$(COMPILE) requirements/drift.in -o requirements/drift.txt
	$(COMPILE) requirements/build.in -c requirements/dev.txt -o requirements/build.txt
	$(COMPILE) pyproject.toml --extra=server --extra=delta --extra=search --extra=sklearn -c requirements/dev.txt -o requirements/server.txt
	$(COMPILE) pyproject.toml -c requirements/dev.txt -o requirements/client.txt

clean:
	rm -rf .venv .mlflow .ray .drift .bootstrap dist build
