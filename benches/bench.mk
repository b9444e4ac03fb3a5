##@ Benches

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
