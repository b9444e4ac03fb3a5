##@ Go

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
