##@ The command line

.PHONY: cli
cli: ## Build target/release/keygate
	@.ci/packages cargo
	$(CARGO) build --release --locked --package keygate-cli

.PHONY: demo
demo: ## Explain the requests that people get a 401 for
	$(CARGO) build --locked --package keygate-cli
	@PATH="$(CURDIR)/target/debug:$$PATH" bindings/cli/demo
