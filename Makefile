# All that a newcomer types; CI runs the same. Use inside a virtual environment.
.PHONY: setup check test slow browser schema demo wheel benchmarks

setup:
	pip install -e '.[dev]'

check:
	ruff check .
	ruff format --check .
	mypy
	lint-imports

test:
	pytest

slow:
	pytest -n 2 --dist worksteal -m "slow or conformance"

browser:
	pytest -n 0 -m browser

schema:
	python -m fedaffect.reports.json_schema docs/schema

demo:
	fedaffect simulate --clients 20 --dp gaussian --eps 5

wheel:
	python -m build

benchmarks:
	python benchmarks/peers.py install
	python benchmarks/run_all.py
