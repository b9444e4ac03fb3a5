# keygate: every command that a person or CI runs. `make help` lists them.

CARGO ?= cargo
TOOLS := $(CURDIR)/target/tools
CAPI := target/capi
ABI := 1
CBINDGEN_VERSION := 0.29.4

.DELETE_ON_ERROR:

.PHONY: help
help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

.PHONY: demo
demo: ## Explain the requests that people get a 401 for
	$(CARGO) build --locked --package keygate-cli
	@PATH="$(CURDIR)/target/debug:$$PATH" bindings/cli/demo

.PHONY: test
test: lint test-rust ## All tests

.PHONY: lint
lint: ## Formatting, clippy and the documentation's links
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --all-features --no-deps

.PHONY: test-rust
test-rust: ## The core and the command line
	$(CARGO) test --locked --workspace --all-features

.PHONY: lib
lib: ## Build target/capi/libkeygate.a and libkeygate.so
	$(CARGO) rustc --locked --profile capi --lib --features capi --crate-type staticlib
	$(CARGO) rustc --locked --profile capi --lib --features capi --crate-type cdylib -- \
		-C link-arg=-Wl,-soname,libkeygate.so.$(ABI) -C link-arg=-Wl,-z,defs -C link-arg=-lc

$(TOOLS)/bin/cbindgen:
	$(CARGO) install cbindgen --version $(CBINDGEN_VERSION) --locked --root $(TOOLS)

.PHONY: header
header: $(TOOLS)/bin/cbindgen ## Write include/keygate.h anew from src/ffi.rs
	$(TOOLS)/bin/cbindgen --quiet --config include/cbindgen.toml src/ffi.rs --output include/keygate.h
