# keygate: every command that a person or CI runs. `make help` lists them.

CARGO ?= cargo
TOOLS := $(CURDIR)/target/tools
CAPI := target/capi
ABI := 2
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
test: needs lint test-rust test-capi test-go test-nginx test-hosts test-sdk constant-time prove-fast bench-counts ## All tests

# What `make test` needs, in the words of .ci/packages. Each part of it looks for its own once more.
NEEDS := cargo go gcc g++ clang libclang-rt-dev binutils bsdutils cmake curl perl pkg-config python3 python3-venv \
	valgrind nginx nginx-dev libnginx-mod-http-headers-more-filter nodejs npm
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

$(TOOLS)/bin/cbindgen:
	$(CARGO) install cbindgen --version $(CBINDGEN_VERSION) --locked --root $(TOOLS)

# cbindgen's output with one-line comments on one line, groups of constants together and signs in parentheses.
HEADER := include/keygate.h
.PHONY: header
header: $(TOOLS)/bin/cbindgen ## Write include/keygate.h anew from src/ffi.rs
	@.ci/packages perl
	$(TOOLS)/bin/cbindgen --quiet --config include/cbindgen.toml src/ffi.rs --output $(HEADER)
	perl -0pi -e 's{/\*\*\n *\* (.*)\n *\*/}{/** $$1 */}g; s/^(#define \w+ )(-\d+)$$/$$1($$2)/mg;' \
		-e 's{^(#define (KEYGATE_[A-Z]+)\b.*)\n\n(?=/\*\* .* \*/\n#define \g2\B)}{$$1\n}mg;' \
		-e 's{^(#define (KEYGATE_[A-Z]+)_.*)\n\n(?=/\*\* .* \*/\n#define \g2_)}{$$1\n}mg' $(HEADER)

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
VERSION := $(shell sed -n '/^\[workspace.package\]/,/^$$/s/^version = "\(.*\)"/\1/p' Cargo.toml)
SONAME := libkeygate.so.$(ABI)
SHARED := $(SONAME).$(VERSION)
CMAKEDIR := $(LIBDIR)/cmake/keygate
FILL = sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
	-e 's|@VERSION@|$(VERSION)|' -e 's|@SHARED@|$(SHARED)|' -e 's|@SONAME@|$(SONAME)|' \
	-e "s|@RELATIVE_INCLUDEDIR@|$$(realpath -m --relative-to=$(CMAKEDIR) $(INCLUDEDIR))|"
INSTALLED = $(INCLUDEDIR)/keygate.h $(INCLUDEDIR)/keygate.hpp $(LIBDIR)/libkeygate.a $(LIBDIR)/$(SHARED) \
	$(LIBDIR)/$(SONAME) $(LIBDIR)/libkeygate.so $(LIBDIR)/pkgconfig/keygate.pc \
	$(CMAKEDIR)/keygateConfig.cmake $(CMAKEDIR)/keygateConfigVersion.cmake

.PHONY: install
install: lib ## Install header, libraries, keygate.pc and CMake config (PREFIX, LIBDIR, INCLUDEDIR, DESTDIR)
	install -d $(DESTDIR)$(INCLUDEDIR) $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(CMAKEDIR)
	install -m 644 include/keygate.h bindings/c/keygate.hpp $(DESTDIR)$(INCLUDEDIR)
	install -m 644 $(CAPI)/libkeygate.a $(DESTDIR)$(LIBDIR)
	install -m 755 $(CAPI)/libkeygate.so $(DESTDIR)$(LIBDIR)/$(SHARED)
	ln -sf $(SHARED) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libkeygate.so
	$(FILL) bindings/c/keygate.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/keygate.pc
	$(FILL) bindings/c/keygateConfig.cmake.in >$(DESTDIR)$(CMAKEDIR)/keygateConfig.cmake
	$(FILL) bindings/c/keygateConfigVersion.cmake.in >$(DESTDIR)$(CMAKEDIR)/keygateConfigVersion.cmake

.PHONY: uninstall
uninstall: ## Remove what `make install` with the same settings has installed
	rm -f $(addprefix $(DESTDIR),$(INSTALLED))
	-rmdir $(DESTDIR)$(CMAKEDIR)

.PHONY: test-capi
test-capi: lib ## Test the C interface: conformance, hostile callers, sanitizers, symbols, install
	tests/c/run

.PHONY: go test-go demo-go fuzz-go
go: ## Build target/go/keygate-proxy
	@.ci/packages cargo go gcc binutils
	$(MAKE) -C bindings/go proxy
test-go: ## Test the Go module and its proxy
	@.ci/packages cargo go gcc binutils curl
	$(MAKE) -C bindings/go test
demo-go: ## A guide to 401 step by step, answered by the Go proxy
	@.ci/packages cargo go gcc binutils curl
	@$(MAKE) --no-print-directory -C bindings/go demo
fuzz-go: ## Fuzz the Go module for TIME, 60s if not given
	@.ci/packages cargo go gcc binutils
	$(MAKE) -C bindings/go fuzz

.PHONY: nginx
nginx: lib ## Build target/nginx/ngx_http_keygate_module.so for Debian's nginx
	bindings/nginx/build.sh

.PHONY: test-nginx
test-nginx: nginx ## nginx: the vectors, other modules, reloads under load
	KEYGATE_HOSTS=nginx tests/hosts/run.sh requirements.txt test_nginx.py test_nginx_entries.py test_nginx_headers.py \
		test_nginx_vectors.py test_nginx_reload.py

.PHONY: test-hosts
test-hosts: nginx go ## The vectors, and known ways around a gate, over sockets through every host
	$(CARGO) build --quiet --locked --package keygate-cli
	tests/hosts/run.sh requirements.txt test_vectors.py test_attacks.py

.PHONY: test-sdk
test-sdk: nginx go ## The vendors' clients, and the guide to 401, through nginx and the Go proxy
	KEYGATE_HOSTS="nginx go" tests/hosts/run.sh requirements-sdk.txt test_sdk.py test_document.py

.PHONY: demo-nginx
demo-nginx: nginx ## The guide to 401 with nginx: its commands and their answers
	bindings/nginx/demo.sh

PROOF := target/proof
PYTHON ?= python3
# CONTROLS=1 plants faults instead, each of which has to be found.
CONTROLLED = $(if $(CONTROLS),--controls)

$(PROOF)/installed: tests/proof/requirements.txt
	@.ci/packages python3 python3-venv
	$(PYTHON) -m venv $(PROOF)
	$(PROOF)/bin/pip install --quiet --requirement tests/proof/requirements.txt
	touch $@

.PHONY: firmware
firmware: ## The vectors and the figures on a Cortex-M4F and an RV32, emulated
	bindings/firmware/run.py

.PHONY: firmware-controls
firmware-controls: ## Plant faults; each must turn the firmware red
	bindings/firmware/run.py --controls

.PHONY: test-cross
test-cross: ## The suite on powerpc (big-endian) and i686; CONTROLS=1: find bugs that only they show
	CONTROLS=$(CONTROLS) tests/cross/run

.PHONY: prove
prove: lib $(PROOF)/installed ## Prove the machine code against the policy; CONTROLS=1: refute planted faults
	$(PROOF)/bin/python tests/proof/prove.py $(CAPI)/libkeygate.so $(CONTROLLED)

.PHONY: prove-fast
prove-fast: lib $(PROOF)/installed ## The part of it that takes a few minutes
	$(PROOF)/bin/python tests/proof/prove.py $(CAPI)/libkeygate.so --fast

.PHONY: constant-time
constant-time: ## That time depends on no key; CONTROLS=1: find planted leaks
	@.ci/packages cargo gcc python3 valgrind
	$(PYTHON) tests/constant_time/run.py $(CONTROLLED)

# The heavy checks; tests/README.md says what each shows.
MUTANTS_VERSION := 27.1.0
LLVM_COV_VERSION := 0.9.1
LLVM := $(TOOLS)/llvm/usr/lib

$(TOOLS)/bin/cargo-mutants:
	$(CARGO) install cargo-mutants --version $(MUTANTS_VERSION) --debug --locked --root $(TOOLS)

$(TOOLS)/bin/cargo-llvm-cov:
	$(CARGO) install cargo-llvm-cov --version $(LLVM_COV_VERSION) --debug --locked --root $(TOOLS)

# The tools of the LLVM that rustc is built with, unpacked beside the system's own.
$(LLVM)/llvm-22/bin/llvm-cov:
	@command -v apt-get >/dev/null || { echo "missing: apt-get, to fetch the tools of LLVM 22" >&2; exit 1; }
	mkdir -p $(TOOLS)/llvm/deb
	apt-cache show llvm-22 >/dev/null 2>&1 || apt-get update
	cd $(TOOLS)/llvm/deb && apt-get download llvm-22 libllvm22 && for deb in *.deb; do dpkg -x $$deb ..; done
	touch $@

.PHONY: exhaustive
exhaustive: ## Every case of a small world, over a billion of them, against the model
	$(CARGO) test --locked --release --all-features --test exhaustive -- --include-ignored --nocapture

.PHONY: controls
controls: ## Plant bugs shaped like public ones; each must be caught (BUGS: these only); CONTROLS=1: three that cannot be
	tests/controls/run.py $(CONTROLLED) $(BUGS)

.PHONY: hosts-controls
hosts-controls: ## Plant faults in the hosts and the core; the hosts' tests must notice (FAULTS: these only)
	tests/hosts/controls.py $(FAULTS)

.PHONY: fuzz
fuzz: ## Fuzz the core and the C interface, TIME (60) seconds each target; CONTROLS=1: find planted bugs
	CONTROLS=$(CONTROLS) tests/fuzz/run $(or $(TIME),60)

# Optimised a little, the tests take a tenth of the time.
MUTATE = CARGO_PROFILE_DEV_OPT_LEVEL=1 CARGO_PROFILE_DEV_DEBUG=0 \
	$(TOOLS)/bin/cargo-mutants mutants --config tests/mutants.toml --package keygate --all-features --cargo-arg=--locked \
	--jobs 2 --timeout 120 --build-timeout 300 $(MUTANTS)

.PHONY: mutants mutants-ffi
mutants: $(TOOLS)/bin/cargo-mutants ## Change the core everywhere; the tests must notice (MUTANTS: more options); CONTROLS=1: tests that do not
ifdef CONTROLS
	$(MUTATE) --re Secret::equals --output target/mutants-control --cargo-arg=--test=allocations; [ $$? -eq 2 ]
else
	$(MUTATE) --exclude src/ffi.rs --output target/mutants --cargo-arg=--tests
	$(MAKE) mutants-ffi
endif
mutants-ffi: $(TOOLS)/bin/cargo-mutants ## The same for the C interface and its callers
	$(MUTATE) --file src/ffi.rs --output target/mutants-ffi --cargo-arg=--test=attacks --cargo-arg=--test=from_c -- -- --include-ignored

.PHONY: coverage
coverage: $(TOOLS)/bin/cargo-llvm-cov $(LLVM)/llvm-22/bin/llvm-cov ## Branches of the core that the tests take; CONTROLS=1: find planted ones
	LD_LIBRARY_PATH=$(LLVM)/x86_64-linux-gnu:$(LLVM)/llvm-22/lib CARGO_LLVM_COV=$(TOOLS)/bin/cargo-llvm-cov \
	LLVM_COV=$(LLVM)/llvm-22/bin/llvm-cov LLVM_PROFDATA=$(LLVM)/llvm-22/bin/llvm-profdata \
	$(PYTHON) tests/coverage.py $(CONTROLLED)

.PHONY: assurance
assurance: exhaustive controls hosts-controls coverage mutants fuzz prove constant-time firmware firmware-controls test-cross ## All heavy checks
	$(MAKE) controls coverage mutants fuzz prove constant-time test-cross CONTROLS=1

GUNGRAUN_VERSION := 0.20.0
PERF_VERSION := v0.0.0-20260908200009-22c9c6c9d4da
export GUNGRAUN_RUNNER := $(TOOLS)/bin/gungraun-runner

# A debug build: it only starts valgrind and reads what that writes.
$(GUNGRAUN_RUNNER):
	@.ci/packages cargo gcc python3 valgrind
	$(CARGO) install gungraun-runner --version $(GUNGRAUN_VERSION) --locked --debug --root $(TOOLS)

$(TOOLS)/bin/benchstat:
	GOBIN=$(TOOLS)/bin go install golang.org/x/perf/cmd/benchstat@$(PERF_VERSION)

.PHONY: bench-counts
bench-counts: lib $(GUNGRAUN_RUNNER) ## Compare the instructions of a decision with the baselines (UPDATE=1 sets them)
	@.ci/packages cargo gcc python3 valgrind
	CARGO_TARGET_DIR=$(CURDIR)/target/benches $(PYTHON) benches/counts/counts.py $(if $(UPDATE),--update)

bench: export KEYGATE_NEEDS = cargo go gcc binutils python3 valgrind nginx nginx-dev
.PHONY: bench
bench: needs lib $(GUNGRAUN_RUNNER) $(TOOLS)/bin/benchstat ## Measure everything; write benches/README.md and its plot
	$(MAKE) -C bindings/go lib
	bindings/nginx/build.sh
	$(PYTHON) benches/bench.py
