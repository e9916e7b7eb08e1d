# Everything starts from a fresh clone: each target sets up what it needs.
# PYTHON=python3.13 chooses the interpreter; ARGS="-k kafka" goes to pytest, ARGS=trees to bench.
PYTHON ?= python3
ARGS ?=
bin := .venv/bin
# One more than there are processors: a third of their time the suites wait.
workers := $(shell echo $$(($$(nproc 2>/dev/null || echo 2) + 1)))
parallel := -m "not alone and not mock" -n $(workers) --dist loadgroup
# Old libraries say that newer ones deprecate what they use; that is not for us to mend.
aged := -W ignore::DeprecationWarning -W ignore::PendingDeprecationWarning -W ignore::ImportWarning
# 5: no test found. Chosen by ARGS, they need not be in every run.
or_none := || [ $$? -eq $(if $(ARGS),5,0) ] || failed=1
sources := src tests tools $(wildcard examples benchmarks)
docs := $(wildcard README.md docs/*.md)

# Each program is compiled once, for 0.35 s less at each start; and not among the sources.
export PYTHONDONTWRITEBYTECODE :=
export PYTHONPYCACHEPREFIX := $(CURDIR)/build/bytecode

.PHONY: help demo example-a example-b example-c example-d test fast check format bench dist setup dev lowest servers constraints clean

help:
	@echo "make demo    three services, one broker, what caused what (ONCE=1 ends by itself)"
	@echo "make example-a  an order in flow a, b, c or d: who stores and who publishes (ONCE=1 as above)"
	@echo "make test    all tests, on the newest and the lowest versions of the client libraries"
	@echo "make fast    the tests that need no server and no patience"
	@echo "make check   the gates: style, types, layers, spelling, docs, coverage"
	@echo "make format  mend what the gates can mend"
	@echo "make bench   the benchmarks: one table, and build/bench.json (LARGE=1, ARGS=NAME)"
	@echo "make dist    wheel and source distribution"
	@echo "make constraints [ARGS=--upgrade]   renew the pins"

demo: dev
	$(bin)/python -m examples.demo

example-a example-b example-c example-d: dev
	$(bin)/python -m examples.flows $(@:example-%=%)

# Three runs, each whatever the others say: in parallel the newest versions, measured, and the
# lowest, briefly; then, one at a time, what goes by the clock.
test: setup
	rm -rf build/coverage
	mkdir -p build/coverage
	@failed=0; \
	echo "== newest versions"; \
	$(bin)/coverage run -m pytest $(parallel) $(ARGS) $(or_none); \
	echo "== lowest versions"; \
	.venv-lowest/bin/pytest --brief $(parallel) $(aged) tests/contract $(ARGS) $(or_none); \
	echo "== by the clock"; \
	$(bin)/pytest -m alone $$(grep -rl --include='*.py' mark.alone tests) $(ARGS) $(or_none); \
	exit $$failed

fast: dev
	$(bin)/pytest -n $(workers) $(ARGS)

check: dev
	$(bin)/python tools/check.py $(sources)

format: dev
	$(bin)/ruff check --fix-only $(sources)
	$(bin)/ruff format $(sources)
	$(bin)/cog -r $(docs)

bench: dev
	$(bin)/python -m benchmarks $(ARGS)

dist: dev
	rm -rf dist
	$(bin)/uv build --quiet --build-constraints constraints.txt
	ls -l dist

# Side by side: one computes, one downloads, one unpacks.
setup:
	@$(MAKE) --no-print-directory -j3 dev lowest servers

dev lowest:
	@$(PYTHON) tools/environment.py $@

servers:
	@$(PYTHON) -m tests.e2e.servers.install

constraints: dev
	$(bin)/python tools/constraints.py $(ARGS)

clean:
	rm -rf .venv .venv-lowest build dist .mypy_cache .ruff_cache .hypothesis .import_linter_cache
