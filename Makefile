# Commands of the project. `make demo` demonstrates rife; `make test` runs everything that CI runs.

CARGO ?= cargo
# Incremental builds do not help a check from scratch, and take gigabytes.
export CARGO_INCREMENTAL ?= 0
SAMPLE := target/demo

.PHONY: demo test setup test-setup fmt lint unit web-test api-test features train-test clean

demo: setup
	$(CARGO) build --release -p rife-cli
	mkdir -p $(SAMPLE)
	target/release/rife sample $(SAMPLE)/sample.mp4 --truth $(SAMPLE)/truth.mp4 --overwrite
	target/release/rife video $(SAMPLE)/sample.mp4 -o $(SAMPLE)/smooth.mp4 --factor 2 --overwrite
	target/release/rife sample --compare $(SAMPLE)/smooth.mp4 --truth $(SAMPLE)/truth.mp4

test: test-setup fmt lint unit web-test api-test features train-test
	@echo "all checks passed"

# ffmpeg, from the distribution.
setup:
	sh tools/setup.sh

# Also a software Vulkan driver, for the tests of the GPU engine.
test-setup:
	sh tools/setup.sh --tests

fmt:
	$(CARGO) fmt --all --check

lint:
	$(CARGO) clippy --workspace --exclude rife-train --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --exclude rife-train --no-deps

# --show-output prints which CPU tiers ran and what was skipped. Tests of the GPU engine run on the first
# adapter, which is lavapipe where there is no GPU, and fail where there is none at all: `test-setup` installs it.
unit:
	RIFE_TEST_GPU=$${RIFE_TEST_GPU-0} RIFE_PYTHON=$$(sh tools/python.sh) $(CARGO) test --workspace --exclude rife-train -- --show-output

# Tests of the page in a browser; screenshots are in target/page.
web-test:
	sh tools/web-test.sh

# Tests of the API against its OpenAPI document, with schemathesis.
api-test:
	sh tools/api-test.sh

# Builds with no feature and with each feature alone, to find features that compile only together with others.
features:
	sh tools/check-features.sh

# A separate target, since Burn takes minutes to build.
train-test:
	$(CARGO) clippy -p rife-train --all-targets -- -D warnings
	$(CARGO) test -p rife-train -- --show-output

clean:
	$(CARGO) clean
