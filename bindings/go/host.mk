##@ Go

.PHONY: go test-go demo-go fuzz-go
go: ## Build target/go/keygate-proxy
	@.ci/packages cargo go gcc binutils
	$(MAKE) -C bindings/go proxy
test-go: ## Test the Go module and its proxy
	@.ci/packages cargo go gcc binutils curl
	$(MAKE) -C bindings/go test
demo-go: go ## The guide to 401 with the Go proxy: its commands and their answers
	@.ci/packages curl python3
	@tests/hosts/guide.py go
fuzz-go: ## Fuzz the Go module for TIME, 60s if not given
	@.ci/packages cargo go gcc binutils
	$(MAKE) -C bindings/go fuzz
