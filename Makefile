# The project's own commands. `make demo` shows what rife does; `make test` is everything CI runs.

CARGO ?= cargo
# A check from nothing gains nothing by it, and it takes gigabytes.
export CARGO_INCREMENTAL ?= 0
SAMPLE := target/demo

.PHONY: demo test setup fmt lint unit web-test api-test features train-test clean

demo: setup
	$(CARGO) build --release -p rife-cli
	mkdir -p $(SAMPLE)
	target/release/rife sample $(SAMPLE)/sample.mp4 --truth $(SAMPLE)/truth.mp4 --overwrite
	target/release/rife video $(SAMPLE)/sample.mp4 -o $(SAMPLE)/smooth.mp4 --factor 2 --overwrite
	target/release/rife sample --compare $(SAMPLE)/smooth.mp4 --truth $(SAMPLE)/truth.mp4

test: setup fmt lint unit web-test api-test features train-test
	@echo "all checks passed"

# ffmpeg, from the distribution.
setup:
	sh tools/setup.sh

fmt:
	$(CARGO) fmt --all --check

lint:
	$(CARGO) clippy --workspace --exclude rife-train --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --exclude rife-train --no-deps

# Shown output says which CPU tiers ran and what was skipped.
unit:
	RIFE_PYTHON=$$(sh tools/python.sh) $(CARGO) test --workspace --exclude rife-train -- --show-output

# The page in a real browser; screenshots are left in target/page.
web-test:
	sh tools/web-test.sh

# The API against its own OpenAPI document, by schemathesis.
api-test:
	sh tools/api-test.sh

# Each feature alone and none: a feature that only compiles beside another is a broken feature.
features:
	sh tools/check-features.sh

# Burn takes minutes to build, so the trainer has a step of its own.
train-test:
	$(CARGO) clippy -p rife-train --all-targets -- -D warnings
	$(CARGO) test -p rife-train -- --show-output

clean:
	$(CARGO) clean
