# Each recipe is one line. UV is the uv on PATH, or one put into .uv/ by a private venv or pip.
UV := $(shell command -v uv || echo .uv/bin/uv)
RUN := $(UV) run --frozen
.PHONY: demo test simulate faults mutants check bench openapi asyncapi metrics monitoring dashboards dashboard-pictures lock

demo: $(UV) ## Watch a street live on prepaid credit; options: make demo ARGS="--seconds 45 --json"
	@$(RUN) --no-dev meterline demo $(ARGS)

test: $(UV) ## All tests
	@$(RUN) pytest $(ARGS)

simulate: $(UV) ## The machine against its model; options: make simulate ARGS="--histories 50000 --seed 7"
	@$(RUN) pytest -n 0 tests/flows/test_model.py --timeout 0 $(or $(ARGS),--histories 5000 --seed any)

faults: $(UV) ## Real processes under kills, power cuts and lost replies; options: make faults ARGS="--seed 7 --faults 24"
	@$(RUN) python tests/faults/fault_run.py $(ARGS)

mutants: $(UV) ## Break the code in ways that the fault suite must notice, each in a copy of the tree
	@$(RUN) python tests/faults/mutants.py $(ARGS)

check: $(UV) ## Format, lint and types, without changing anything
	@$(RUN) ruff format --check . && $(RUN) ruff check . && $(RUN) mypy

bench: $(UV) ## Measure; options: make bench ARGS="settle --meters 100000"
	@$(RUN) meterline bench $(or $(ARGS),settle)

openapi: $(UV) ## Write docs/openapi.json and docs/openapi-changes.md anew
	@$(RUN) meterline openapi --write-to docs

asyncapi: $(UV) ## Write docs/asyncapi.json anew
	@$(RUN) meterline asyncapi > docs/asyncapi.json

metrics: $(UV) ## Write docs/metrics.md anew
	@$(RUN) meterline metrics --write-to docs

monitoring: $(UV) ## Prometheus and Alertmanager against what runs here; options: make monitoring ARGS="--data /var/lib/meterline"
	@$(RUN) --no-dev meterline monitoring $(ARGS)

dashboards: $(UV) ## Write dashboards/json and docs/dashboards.md anew
	@$(RUN) python -m dashboards

dashboard-pictures: $(UV) ## Draw docs/pictures/dashboards from a demo of some minutes that a Prometheus watches
	@$(RUN) python -m dashboards.pictures

lock: $(UV) ## Renew uv.lock
	@$(UV) lock --upgrade

.uv/bin/uv: ## Where there is no uv: a private one, by whichever Python works
	@for python in python3.12 python3.11 python3; do $$python -m venv .uv 2>/dev/null && .uv/bin/pip install --quiet --disable-pip-version-check uv && exit 0; done; echo "install uv, or Python 3.11 or 3.12 with venv" >&2; exit 1
