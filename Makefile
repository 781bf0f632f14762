# The two commands: `make demo` and `make test`. Both need Rust; a Vulkan driver is installed where none is found.

OUT ?= out

.PHONY: demo test test-examples test-c fuzz-c valgrind-c install-c test-python test-ray wheel check bench-check test-swiftshader \
	compilers lint features msrv deny package peers rust driver display clean

demo: rust driver
	cargo run --release -- detect assets/demo.png --out "$(OUT)"

test: rust driver display
	cargo test --no-run
	NODEVICE_SELECT=1 cargo test

# The examples, built and run: a service, and a window on a display without a screen.
test-examples: rust driver display
	NODEVICE_SELECT=1 cargo test --test examples

# While working: format, lints, the tests that need no driver, and each kernel's cases in the first of its variants.
check: rust
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	cargo test --lib --test host
	@if tools/vulkan-driver.sh --found; then \
		MASKRCNN_FIRST_VARIANT_ONLY=1 NODEVICE_SELECT=1 cargo test --test gpu kernels::; \
	else \
		echo "LEFT OUT: the kernels, as no Vulkan driver is found; \`make driver\` installs one"; \
	fi

# What the clock judges: for a machine that nobody else uses. `make test` leaves it out.
bench-check: rust driver display
	MASKRCNN_BENCH_CHECK=1 NODEVICE_SELECT=1 cargo test --test timing
	MASKRCNN_BENCH_CHECK=1 NODEVICE_SELECT=1 cargo test --test examples live::

# On a second driver: the default model end to end against the goldens, what its shaders take to compile, every kernel.
test-swiftshader: rust
	icd=$$(tools/swiftshader.sh) && export VK_DRIVER_FILES=$$icd NODEVICE_SELECT=1 && \
	cargo test --test gpu -- $(SWIFTSHADER_TESTS)

# Stage by stage and whole; CI has no time for the rest, which passes as well.
SWIFTSHADER_TESTS ?= model::demo_ model::scene_ model::flat_ model::blank_ small_detections compile:: kernels::

# Every text through every compiler at hand (docs/COMPILERS.md): Mesa's, for GPUs that are not here too, DXC, clang.
compilers: rust
	cargo build --release
	tools/compilers.sh

# The C interface (bindings/c): its header, programs in C and C++, misuse, random calls, valgrind. The header's crate is tested by itself, so
# that the library is not built for what cbindgen asks of crates that both have, and the interface's with the Python package's, so that what
# both need is built once.
test-c: rust driver
	cargo test -p maskrcnn-c-header
	NODEVICE_SELECT=1 cargo test -p maskrcnn-c -p maskrcnn-python

# For longer than the tests do, with what seed.
SECONDS ?= 120
SEED ?= 1
fuzz-c: rust driver
	MASKRCNN_FUZZ_SECONDS=$(SECONDS) MASKRCNN_FUZZ_SEED=$(SEED) NODEVICE_SELECT=1 cargo test -p maskrcnn-c --test c -- fuzz --nocapture

# A detection under valgrind, where lavapipe compiles its shaders, too: minutes.
valgrind-c: rust driver
	NODEVICE_SELECT=1 cargo test -p maskrcnn-c --test c -- memory --include-ignored --nocapture

# Header, libraries, pkg-config and CMake files (docs/C.md).
PREFIX ?= /usr/local
install-c: rust
	DESTDIR="$(DESTDIR)" bindings/c/install.sh "$(PREFIX)"

# The Python package (docs/PYTHON.md): a release wheel in target/python; the tests of one as CI builds it; Ray's example with it.
wheel: rust
	bindings/python/test.sh --wheel

test-python: rust driver
	bindings/python/test.sh

test-ray: rust driver
	bindings/python/test.sh --ray

# What CI runs beside the tests.
lint: rust
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy --lib --no-default-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

# Every combination of features by itself, as somebody else's Cargo.toml may ask for it.
features: rust
	tools/features.sh

# The oldest Rust that Cargo.toml promises.
msrv: rust
	tools/msrv.sh

# Licences and sources of everything that is linked (deny.toml); `DENY=check` asks for advisories too, from GitHub.
DENY ?= check licenses bans sources
deny: rust
	@command -v cargo-deny >/dev/null || { echo "cargo install cargo-deny --locked" >&2; exit 1; }
	cargo deny $(DENY)

# What the registry would get: no larger than it takes, and it builds by itself.
package: rust
	tools/package.sh

# The same work by others and by us (benches/peers/README.md).
peers: rust driver
	benches/peers/run

rust:
	@tools/rust.sh

driver:
	@tools/vulkan-driver.sh

display:
	@tools/xvfb.sh

clean:
	cargo clean
	rm -rf out
