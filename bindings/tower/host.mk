##@ Rust services

TOWER = cd bindings/tower && $(CARGO)
PINGORA = cd bindings/tower/pingora && $(CARGO)
.PHONY: tower test-tower demo-tower bench-tower
tower: ## Build the examples of the tower layer, a server and a proxy, in target/tower/debug/examples
	@.ci/packages cargo
	$(TOWER) build --quiet --locked --all-features --examples
test-tower: tower ## Test the tower layer, by itself and through its proxy
	@.ci/packages cargo gcc cmake
	$(TOWER) fmt --check
	$(TOWER) clippy --locked --all-targets --all-features -- -D warnings
	set -e; for features in "" axum tokio; do (cd bindings/tower && \
		$(CARGO) clippy --locked --features "$$features" -- -D warnings); done
	export RUSTDOCFLAGS="-D warnings"; $(TOWER) doc --locked --all-features --no-deps
	.ci/crates bindings/tower keygate-tower
	$(TOWER) test --locked --all-features
	$(PINGORA) fmt --check
	$(PINGORA) clippy --locked --all-targets -- -D warnings
	$(PINGORA) test --quiet --locked
	$(MAKE) test-hosts test-sdk KEYGATE_HOSTS=tower
demo-tower: tower ## The guide to 401 with the tower layer: its commands and their answers
	@.ci/packages curl python3
	@tests/hosts/guide.py tower
bench-tower: ## Measure the tower layer beside tower-http; write its README's table
	@.ci/packages cargo valgrind python3
	tests/figures.py table bindings/tower/README.md env -C bindings/tower $(CARGO) bench --quiet --locked --bench cost
