# keygate: every command that a person or CI runs. `make help` lists them.

CARGO ?= cargo
TOOLS := $(CURDIR)/target/tools
CAPI := target/capi
ABI := 2
# What is built is looked for under target/.
unexport CARGO_TARGET_DIR

.DELETE_ON_ERROR:

##@ Every day

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^##@ /{print "\n" substr($$0, 5)} /^[a-z-]+:.*## /{printf "  %-18s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: test
test: needs lint faults test-rust test-capi test-go test-nginx test-hosts test-sdk constant-time prove-fast bench-counts ## The tests of the core, C, nginx, Go and the command line

# What `make test` needs, in the words of .ci/packages. Each part of it looks for its own once more.
NEEDS := abigail-tools cargo go gcc g++ clang libclang-rt-dev binutils bsdutils cmake curl perl pkg-config python3 python3-venv \
	valgrind nginx nginx-dev libnginx-mod-http-headers-more-filter libnginx-mod-http-lua nodejs npm lld rustc-web rust-web-src
test: export KEYGATE_NEEDS = $(NEEDS)
.PHONY: needs
needs: ## Install what `make test` needs, or say what is missing
	@.ci/packages $(or $(KEYGATE_NEEDS),$(NEEDS))

# Tests that run a command, which a machine may lack: the command and the test.
RUNS := curl/requests_are_those_that_curl_sends curl/every_option_of_curl_is_known script/a_terminal_gets_a_layout
.PHONY: check
check: ## Formatting, clippy and the Rust tests: about a minute; installs nothing
	@.ci/packages --look cargo
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets --all-features -- -D warnings
	@left= skip=; for test in $(RUNS); do \
		command -v $${test%/*} >/dev/null || { left="$$left $${test#*/}"; skip="$$skip --skip $${test#*/}"; }; \
	done; \
	$(CARGO) test --locked --workspace --all-features -- $$skip && \
	if [ -n "$$left" ]; then echo "check: NOT RUN, since there is no curl or no script here:$$left"; fi

FEATURES := httparse capi # each alone, and none, besides all of them
ALONE = set -e; for features in "" $(FEATURES); do
.PHONY: lint
lint: ## Formatting, clippy, the documentation's links and the packages, with every feature
	@.ci/packages cargo
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets --all-features -- -D warnings
	$(ALONE) $(CARGO) clippy --locked --package keygate --all-targets --features "$$features" -- -D warnings; done
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --all-features --no-deps
	$(ALONE) RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --package keygate --features "$$features" --no-deps; done
	.ci/crates

.PHONY: test-rust
test-rust: ## The core and the command line
	@.ci/packages cargo curl bsdutils
	$(CARGO) test --locked --workspace --all-features
	$(ALONE) $(CARGO) test --locked --quiet --package keygate --features "$$features"; done
	$(CARGO) test --locked --release --all-features --test wiped

.PHONY: lib
lib: ## Build target/capi/libkeygate.a and libkeygate.so
	@.ci/packages cargo
	$(CARGO) rustc --locked --profile capi --lib --features capi --crate-type staticlib
	$(CARGO) rustc --locked --profile capi --lib --features capi --crate-type cdylib -- \
		-C link-arg=-Wl,-soname,libkeygate.so.$(ABI) -C link-arg=-Wl,-z,defs -C link-arg=-lc

include $(wildcard bindings/*/host.mk) tests/checks.mk benches/bench.mk .packaging/dist.mk
