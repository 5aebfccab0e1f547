# Commands of the project. `make demo` demonstrates rife; `make test` runs everything that CI runs.

CARGO ?= cargo
# Incremental builds do not help a check from scratch, and take gigabytes.
export CARGO_INCREMENTAL ?= 0
SAMPLE := target/demo
# The crates of `lint`, `test-build` and `unit`. `make test` adds the trainer and the VapourSynth filter, so that what they share
# with the others is compiled once; alone they leave them out, since Burn takes minutes to build and few need the filter.
PACKAGES ?= --workspace --exclude rife-train --exclude rife-vapoursynth
# Two for each processor: many tests wait for ffmpeg.
export RUST_TEST_THREADS ?= $(shell echo $$((2 * $$(getconf _NPROCESSORS_ONLN))))

.PHONY: demo animation test setup test-setup fmt text lint test-build unit web-test api-test python-test vapoursynth-test ray-test features fuzz train-test clean

demo: setup
	$(CARGO) build --release -p rife-cli
	mkdir -p $(SAMPLE)
	target/release/rife sample $(SAMPLE)/sample.mp4 --truth $(SAMPLE)/truth.mp4 --overwrite
	target/release/rife video $(SAMPLE)/sample.mp4 -o $(SAMPLE)/smooth.mp4 --factor 2 --overwrite
	target/release/rife sample --compare $(SAMPLE)/smooth.mp4 --truth $(SAMPLE)/truth.mp4

# Makes docs/before-after.webp, the moving picture of the README.
animation: setup
	$(CARGO) build --release -p rife-cli
	sh tools/animation.sh

# The steps in order, those joined by commas side by side; prints the time of each and what was skipped.
test:
	@PACKAGES=--workspace sh tools/steps.sh test-setup fmt text lint test-build unit web-test,api-test,features python-test,vapoursynth-test ray-test
	@echo "all checks passed"

# ffmpeg, from the distribution.
setup:
	sh tools/setup.sh

# Also a software Vulkan driver, for the tests of the GPU engine.
test-setup:
	sh tools/setup.sh --tests

fmt:
	$(CARGO) fmt --all --check

# Spelling, and the workflows in .github.
text:
	sh tools/text-test.sh

lint:
	$(CARGO) clippy $(PACKAGES) --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(PACKAGES) --lib --no-deps

# The tests and the binary, for the steps after this one.
test-build:
	$(CARGO) test $(PACKAGES) --no-run

# --show-output prints which CPU tiers ran and what was skipped. RIFE_REQUIRE makes failures of skips (docs/testing.md). Tests of
# the GPU engine run on the first adapter, which is lavapipe where there is no GPU, and fail where there is none at all:
# `test-setup` installs it.
unit:
	RIFE_TEST_GPU=$${RIFE_TEST_GPU-0} RIFE_PYTHON=$$(sh tools/python.sh) RIFE_REQUIRE=$$(sh tools/require.sh) \
		$(CARGO) test $(PACKAGES) --no-fail-fast -- --show-output

# Tests of the page in a browser; screenshots are in target/page.
web-test:
	sh tools/web-test.sh

# Tests of the API against its OpenAPI document, with schemathesis.
api-test:
	sh tools/api-test.sh

# Tests of the Python package: pytest, mypy, stubtest.
python-test:
	sh tools/python-test.sh

# Tests of the VapourSynth filter in VapourSynth.
vapoursynth-test:
	sh tools/vapoursynth-test.sh

# Tests of rife.ray on a Ray cluster of three nodes on this machine, after python-test.
ray-test:
	sh tools/ray-test.sh

# Builds with no feature and with each feature alone, to find features that compile only together with others.
features:
	sh tools/check-features.sh

# Every fuzz target for a minute, with cargo-fuzz and nightly; `make unit` replays the corpus.
fuzz:
	sh tools/fuzz.sh 60

# The trainer alone.
train-test:
	$(CARGO) clippy -p rife-train --all-targets -- -D warnings
	RIFE_PYTHON=$$(sh tools/python.sh) RIFE_REQUIRE=$$(sh tools/require.sh) $(CARGO) test -p rife-train -- --show-output

clean:
	$(CARGO) clean
