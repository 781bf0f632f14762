# The two commands: `make demo` and `make test`. Both need Rust; a Vulkan driver is installed where none is found.

OUT ?= out

.PHONY: demo test bench-check test-swiftshader lint peers rust driver clean

demo: rust driver
	cargo run --release -- detect assets/demo.png --out "$(OUT)"

test: rust driver
	cargo test --no-run
	NODEVICE_SELECT=1 cargo test

# What the clock judges: for a machine that nobody else uses. `make test` leaves it out.
bench-check: rust driver
	MASKRCNN_BENCH_CHECK=1 NODEVICE_SELECT=1 cargo test --test timing

# On a second driver: the default model end to end against the goldens, what its shaders take to compile, every kernel.
test-swiftshader: rust
	icd=$$(tools/swiftshader.sh) && export VK_DRIVER_FILES=$$icd NODEVICE_SELECT=1 && \
	cargo test --test gpu -- $(SWIFTSHADER_TESTS)

# Stage by stage and whole; CI has no time for the rest, which passes as well.
SWIFTSHADER_TESTS ?= model::demo_ model::scene_ model::flat_ model::blank_ small_detections compile:: kernels::

# What CI runs beside the tests.
lint: rust
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	cargo clippy --lib --no-default-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items

# The same work by others and by us (benches/peers/README.md).
peers: rust driver
	benches/peers/run

rust:
	@tools/rust.sh

driver:
	@tools/vulkan-driver.sh

clean:
	cargo clean
	rm -rf out
