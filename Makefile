# What a developer runs. `make check` is what CI runs.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: check lint format proto golden test bench

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
	$(BIN)/python -m pytest

format: $(BIN)/archgw
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

proto: $(BIN)/archgw        ## regenerate router_service/pb from proto/
	$(BIN)/python -m grpc_tools.protoc -Iproto --python_out=. --pyi_out=. --grpc_python_out=. \
	    proto/router_service/pb/access_log.proto proto/router_service/pb/ext_proc.proto proto/router_service/pb/router.proto

golden: $(BIN)/archgw       ## re-render what is checked in under envoy/ (look at the diff before you commit it)
	$(BIN)/archgw render envoy config.yaml > envoy/envoy.json

bench: $(BIN)/archgw        ## needs wrk and gcc; takes about twenty minutes (bench/README.md)
	$(BIN)/python bench/bench.py --up direct,envoy,archgw --concurrency 1,16 --out bench/.work/results.json
