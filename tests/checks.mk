# How each promise is checked; tests/README.md says what each check shows.

##@ All hosts

# Those that `make test` asks. The others have a test-HOST, which asks theirs.
KEYGATE_HOSTS ?= nginx go
export KEYGATE_HOSTS

.PHONY: test-hosts
test-hosts: $(KEYGATE_HOSTS) ## The vectors, known attacks, the guide to 401 and more through KEYGATE_HOSTS (nginx go)
	$(CARGO) build --quiet --locked --package keygate-cli
	tests/hosts/run.sh requirements.txt test_vectors.py test_guide.py test_reload.py test_forwarding.py \
		test_config.py test_attacks.py

.PHONY: test-sdk
test-sdk: $(KEYGATE_HOSTS) ## The vendors' clients through KEYGATE_HOSTS
	tests/hosts/run.sh requirements-sdk.txt test_sdk.py

.PHONY: test-more-hosts
test-more-hosts: test-go-wasm test-tower test-wasm test-python test-lua ## Test the hosts that `make test` leaves out

##@ Heavier checks

PROOF := target/proof
PYTHON ?= python3
# CONTROLS=1 plants faults instead, each of which has to be found.
CONTROLLED = $(if $(CONTROLS),--controls)

$(PROOF)/installed: tests/proof/requirements.txt
	@.ci/packages python3 python3-venv
	$(PYTHON) -m venv $(PROOF)
	$(PROOF)/bin/pip install --quiet --requirement tests/proof/requirements.txt
	touch $@

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

.PHONY: figures
figures: lib ## Write the figures of the C library and the firmware into their READMEs
	tests/figures.py table bindings/c/README.md tests/c/figures
	tests/figures.py table bindings/firmware/README.md bindings/firmware/run.py

.PHONY: record
record: ## Run checks and write their figures into tests/README.md (CHECKS: these only, of tests/results/checks.toml)
	tests/figures.py record $(CHECKS)

.PHONY: faults
faults: ## See that every fault that a control plants can be planted
	@.ci/packages python3
	tests/plant/plant.py

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

DENY_VERSION := 0.20.2
SEMVER_VERSION := 0.51.0

$(TOOLS)/bin/cargo-deny:
	$(CARGO) install cargo-deny --version $(DENY_VERSION) --debug --locked --root $(TOOLS)

$(TOOLS)/bin/cargo-semver-checks:
	$(CARGO) install cargo-semver-checks --version $(SEMVER_VERSION) --debug --locked --root $(TOOLS)

.PHONY: deny
deny: $(TOOLS)/bin/cargo-deny ## The crates behind what is shipped: licences, duplicates, sources; ADVISORIES=1: RustSec's too
	@for manifest in Cargo.toml bindings/tower/Cargo.toml bindings/python/Cargo.toml; do \
		$(TOOLS)/bin/cargo-deny --locked --manifest-path $$manifest --config .deny.toml \
			check $(if $(ADVISORIES),advisories) bans licenses sources || exit; \
	done

# The last release, or any commit.
BASE = $(shell git describe --tags --abbrev=0)
.PHONY: semver
semver: $(TOOLS)/bin/cargo-semver-checks ## That the Rust interface keeps the promise of its version since BASE (the last tag)
	$(TOOLS)/bin/cargo-semver-checks semver-checks --package keygate --all-features --baseline-rev $(or $(BASE),$(error there is no tag: say BASE=COMMIT))

.PHONY: soak
soak: $(KEYGATE_HOSTS) ## KEYGATE_HOSTS under load for MINUTES (5) each, with everything that goes wrong meanwhile
	$(CARGO) build --quiet --locked --package keygate-cli
	KEYGATE_TIMEOUT=7200 tests/hosts/run.sh requirements.txt test_soak.py

.PHONY: assurance
assurance: exhaustive controls hosts-controls coverage mutants fuzz prove constant-time firmware firmware-controls test-cross ## All heavy checks
	$(MAKE) controls coverage mutants fuzz prove constant-time test-cross CONTROLS=1
