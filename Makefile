# What a developer runs. `make check` is what CI runs.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: check lint format proto golden assets lock test bench bench-peers growth streams speed clean-root

$(BIN)/archgw: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -e '.[dev]'
	@touch $@

check: lint test

lint: $(BIN)/archgw
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test: $(BIN)/archgw
	$(BIN)/python -m pytest -n 3 --dist loadfile

format: $(BIN)/archgw
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

proto: $(BIN)/archgw        ## regenerate router_service/pb from proto/
	$(BIN)/python -m grpc_tools.protoc -Iproto --python_out=. --pyi_out=. --grpc_python_out=. \
	    proto/router_service/pb/access_log.proto proto/router_service/pb/ext_proc.proto proto/router_service/pb/router.proto

golden: $(BIN)/archgw       ## re-render what is checked in of it (look at the diff before you commit it)
	$(BIN)/archgw render envoy config.yaml > envoy/envoy.json
	for target in plain istio envoy-gateway gateway-api; do \
	    $(BIN)/archgw render mesh --for $$target config.yaml --out envoy/mesh/$$target; done
	$(BIN)/archgw render compose config.yaml > docker-compose.yaml
	$(BIN)/archgw render kubernetes config.yaml

DASHBOARD := cli/archgw/dashboard
assets:                     ## copy what the dashboard takes from others into its assets/vendor/; needs npm, as nothing else does
	cd $(DASHBOARD) && npm ci --no-audit --no-fund --ignore-scripts
	cp $(DASHBOARD)/node_modules/uplot/dist/uPlot.iife.min.js $(DASHBOARD)/node_modules/uplot/dist/uPlot.min.css \
	    $(DASHBOARD)/assets/vendor/
	cp $(DASHBOARD)/node_modules/uplot/LICENSE $(DASHBOARD)/assets/vendor/uPlot.LICENSE
	cd $(DASHBOARD)/assets/vendor && sha256sum uPlot.* > SHA256SUMS

# For Linux and macOS, and each Python from 3.11 on; hashes of every file that there is of a release.
LOCK := pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --upgrade --quiet \
    --no-annotate --no-header --no-emit-index-url --no-emit-find-links
lock: $(BIN)/archgw         ## pin every dependency anew, in requirements.lock and requirements-dev.lock
	$(BIN)/pip install -q uv==0.13.9
	rm -f requirements.lock requirements-dev.lock
	$(BIN)/uv $(LOCK) --extra bedrock --extra demo --extra otel --extra postgresql --extra redis --extra vertex -o requirements.lock
	$(BIN)/uv $(LOCK) --extra dev -c requirements.lock -o requirements-dev.lock
	for lock in requirements.lock requirements-dev.lock; do \
	    echo "# Made by \`make lock\`. Install: pip install --require-hashes -r $$lock && pip install --no-deps ." \
	        | cat - $$lock > $$lock.new && mv $$lock.new $$lock; done

clean-root: $(BIN)/archgw   ## carry out deploy/Dockerfile in a clean Debian and start what comes of it; root, debootstrap, minutes
	$(BIN)/python bench/clean_root.py

BENCH := $(BIN)/python bench/bench.py --concurrency 1,16 --out bench/.work/results.json
bench: $(BIN)/archgw        ## needs wrk and gcc; takes about twenty minutes (bench/README.md)
	$(BENCH) --up direct,envoy,archgw

PEERS ?= ccr,litellm,portkey,sglang
bench-peers: $(BIN)/archgw  ## the same beside other gateways, which it installs; needs npm, too; about an hour
	$(BENCH) --up direct,envoy,archgw,$(PEERS)

growth: $(BIN)/archgw       ## whether cost grows linearly; draws docs/performance-growth.svg; needs gcc; about fifteen minutes
	$(BIN)/python bench/growth.py --write

streams: $(BIN)/archgw      ## how many streams at once a core carries; needs gcc; about five minutes
	$(BIN)/python bench/streams.py

speed: $(BIN)/archgw        ## write anew what tests/test_speed.py compares with (look at the diff before you commit it)
	$(BIN)/python bench/speed.py --write
