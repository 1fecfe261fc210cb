# make help lists the targets. Each makes the environment (.venv) when it is missing or out of date.
CONFIG ?= configs/sample.yaml
OUT ?= out/sample
AUDIO ?=
TEXT ?=
ARGS ?=
PYTHON ?= python3
JOBS ?= 2
SECONDS ?= 3600
RUN = .venv/bin/python
INSTALL = $(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help dataset plan status validate export push speak ui bench gpu-check parity sample-models test lint types tests faults soak screenshots env

help:  ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' Makefile

dataset: .venv/base  ## recordings to a dataset: [AUDIO= TEXT=] [CONFIG=] [OUT=] [ARGS=]; without, the sample corpus
	$(RUN) create_dataset.py $(AUDIO) $(TEXT) -o $(OUT) --config $(CONFIG) $(ARGS)

plan: .venv/base  ## what dataset would do, without encoding: the same variables
	$(RUN) -m pipeline plan $(AUDIO) $(TEXT) -o $(OUT) --config $(CONFIG) $(ARGS)

status: .venv/base  ## how far OUT is, and whether its files are as they were written
	$(RUN) -m pipeline status $(OUT) --verify

validate: .venv/validate build/models/tiny.en.pt  ## a verdict on OUT before training: [OUT=] [ARGS=]
	$(RUN) -m pipeline validate $(OUT) $(ARGS)

export: .venv/base  ## OUT to a training format: TO=sft|llasa-memmap|webdataset|… [TOKENIZER=…] [ARGS=]
	$(RUN) -m pipeline export $(OUT) --to $(TO) $(if $(TOKENIZER),--tokenizer $(TOKENIZER)) $(ARGS)

push: .venv/base  ## OUT to the Hugging Face Hub: REPO=USER/NAME [ARGS=--private]
	$(RUN) -m pipeline push $(OUT) $(REPO) $(ARGS)

speak: .venv/tts  ## a LLASA model says TEXT="…": [ARGS=-o hello.wav --model …]
	$(RUN) -m pipeline speak "$(TEXT)" $(ARGS)

ui: .venv/tts  ## the web page on this machine: [ARGS="MODEL --codec …"]
	$(RUN) gradio_tts_ui.py $(ARGS)

bench: .venv/all  ## every benchmark that this machine can run; results in benchmarks/results/
	for name in feed encode end_to_end plan restart export validate speak; do $(RUN) -m benchmarks.$$name || exit 1; done

gpu-check: .venv/all  ## prove the CUDA path on this machine's GPU: [ARGS=--dry] without one
	$(RUN) -m benchmarks.gpu_check $(ARGS)

parity: .venv/all  ## the original xcodec2 package gives the same codes
	$(RUN) tools/parity.py

sample-models: .venv/all  ## train the sample codec and LLASA again (hours on a CPU)
	$(RUN) tools/train_sample_models.py $(ARGS)

test: lint types tests  ## lint, types and every test

lint: .venv/all  ## style
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types: .venv/all  ## static types
	.venv/bin/mypy

tests: .venv/all build/models/tiny.en.pt  ## every test: [JOBS=2 processes, each a file at a time] [ARGS=]
	$(RUN) -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

faults: .venv/all  ## every fault of the disk and every kill, at every call of small runs (hours): [ARGS=--every 10]
	PYTHONPATH=.:tests $(RUN) -m faults.sweep --table tests/faults/results.md $(ARGS)

soak: .venv/all  ## runs, killed and run again for an hour, leave nothing behind: [SECONDS=3600]
	PYTHONPATH=.:tests $(RUN) -m faults.soak --seconds $(SECONDS) $(ARGS)

screenshots: .venv/all build/models/tiny.en.pt  ## the README's pictures again, in docs/images/
	PYTHONPATH=.:tests $(RUN) -m screenshots docs/images

env: .venv/all  ## the whole environment, extras and tools included

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=python3.11 …")'
	@$(PYTHON) -m venv .venv

.venv/base: .venv/bin/python pyproject.toml constraints.txt
	@echo "installing the pipeline's packages into .venv (torch is large: some minutes the first time)"
	@$(INSTALL) --editable .
	@touch $@

.venv/tts: .venv/base
	@echo "installing what speaking needs"
	@$(INSTALL) --editable '.[tts]'
	@touch $@

# Resemblyzer asks for packages that clash with the others; only its weights are used.
.venv/validate: .venv/base
	@echo "installing what validation measures with"
	@$(INSTALL) --editable '.[validate]'
	@$(INSTALL) --no-deps Resemblyzer
	@touch $@

build/models/tiny.en.pt: tools/fetch_whisper.py | .venv/base
	@echo "fetching the English speech recogniser that validation listens with"
	@$(RUN) tools/fetch_whisper.py --to $@ && touch $@

.venv/all: .venv/validate
	@echo "installing the extras and the tools that the tests need"
	@$(INSTALL) --editable '.[$(EXTRAS)]'
	@touch $@

EXTRAS = tts,onnx,validate,segment,ray,s3,gs,dev
