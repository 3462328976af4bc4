# `make demo` shows what the tool does, `make test` checks that it does it, and `make check` is the part of that which
# takes a minute or two and needs nothing but Python. Each makes its own environment in .venv on the first call and
# reuses it afterwards.

PYTHON ?= python3
# Anything pip understands, for example TORCH="torch==2.13.0 --index-url URL" for another build of torch.
TORCH ?= torch==2.13.0

BIN := .venv/bin

.PHONY: demo test check lint docs build gimp-testbed chromium space space-smoke clean
.DELETE_ON_ERROR:

demo: .venv/.installed
	mkdir -p demo
	$(BIN)/kf upscale kf_core/examples/hats_ring.png --scale 4 --preset fast -o demo/result.png --force \
		--side-by-side demo/side_by_side.png --save-kernel demo/kernel.npy --report demo/report.json

# Two processes, each computing on one thread: threads of both on the same two cores wait for each other more than they do.
test: lint gimp-testbed chromium
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

check: lint
	$(BIN)/python -m pytest -q -m "not slow" --ignore=tests/gimp --ignore=tests/web

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The documentation site, in build/site. A link that leads nowhere is an error.
docs: .venv/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# What is published: the wheel, and the source distribution that it is made from, in dist.
build: .venv/.dev
	$(BIN)/python -m build

# A real GIMP 3 for the tests, outside the checkout. Where it cannot be had, the tests that need it say why.
gimp-testbed:
	tests/gimp/testbed.sh setup || test -z "$$CI"

# A real browser for the tests of the web demo. Where it cannot be had, they say why.
chromium:
	@command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 \
		|| apt-get install -y --no-install-recommends chromium fonts-dejavu-core >/dev/null 2>&1 \
		|| { apt-get update && apt-get install -y --no-install-recommends chromium fonts-dejavu-core; } \
		|| test -z "$$CI"

# The folder to push to a Hugging Face Space, in build/space.
space:
	$(PYTHON) web_demo/space build/space

# Starts that folder under the Space's Python, in an environment with the Space's own requirements and nothing else.
SPACE_PYTHON ?= python3.12
space-smoke: space .venv/.dev
	$(SPACE_PYTHON) -m venv build/space-venv
	build/space-venv/bin/python -m pip install --disable-pip-version-check -r build/space/requirements.txt \
		"gradio[mcp]==$$(sed -n 's/^sdk_version: //p' build/space/README.md)"
	KF_SPACE_PYTHON=$(CURDIR)/build/space-venv/bin/python $(BIN)/python -m pytest -q tests/web/test_web_space.py -k starts

clean:
	rm -rf .venv demo build dist kernelfusion.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find kf_core tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps say how far the environment is, so that nothing is installed twice.
.venv/.made:
	$(PYTHON) -m venv .venv
	touch $@

# torch first and alone: it is the large one, and the build of it is the caller's choice.
.venv/.torch: .venv/.made
	$(BIN)/python -m pip install --disable-pip-version-check $(TORCH)
	touch $@

.venv/.installed: .venv/.torch pyproject.toml
	$(BIN)/python -m pip install --disable-pip-version-check -e .
	touch $@

.venv/.dev: .venv/.installed
	$(BIN)/python -m pip install --disable-pip-version-check -e ".[dev]"
	touch $@
