# make help lists the targets. Every target makes the environment (.venv) when it is missing or out of date.
CONFIG ?= configs/sample.yaml
OUT ?= out/sample
AUDIO ?=
TEXT ?=
ARGS ?=
PYTHON ?= python3
RUN = .venv/bin/python
INSTALL = $(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help dataset plan status test lint types tests env

help:  ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "make %-15s %s\n", $$1, $$2}' Makefile

dataset: .venv/base  ## audio and transcripts to a dataset: [CONFIG=] [AUDIO= TEXT=] [OUT=] [ARGS=]; the sample corpus without
	$(RUN) create_dataset.py $(AUDIO) $(TEXT) -o $(OUT) --config $(CONFIG) $(ARGS)

plan: .venv/base  ## what dataset would do, without encoding: the same variables
	$(RUN) -m pipeline plan $(AUDIO) $(TEXT) -o $(OUT) --config $(CONFIG) $(ARGS)

status: .venv/base  ## how far OUT is, and whether its files are as written
	$(RUN) -m pipeline status $(OUT) --verify

test: lint types tests  ## lint, types and every test

lint: .venv/all  ## style
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types: .venv/all  ## static types
	.venv/bin/mypy

tests: .venv/all  ## every test
	$(RUN) -m pytest $(ARGS)

env: .venv/all  ## the whole environment, extras and tools included

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/base: .venv/bin/python pyproject.toml constraints.txt
	@echo "installing what the pipeline needs into .venv (torch is large: some minutes)"
	$(INSTALL) --editable .
	@touch $@

.venv/all: .venv/base
	@echo "installing the extras and the tools that the tests need"
	$(INSTALL) --editable '.[$(EXTRAS)]'
	@touch $@

EXTRAS = dev
