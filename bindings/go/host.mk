##@ Go

.PHONY: go go-wasm test-go test-go-wasm demo-go fuzz-go
go: ## Build target/go/keygate-proxy
	@.ci/packages cargo go gcc binutils
	$(MAKE) -C bindings/go proxy
go-wasm: ## Build target/go/keygate-proxy-wasm, which runs keygate.wasm
	@.ci/packages cargo go clang
	$(MAKE) -C bindings/go proxy-wasm
test-go: ## Test the Go module and its proxy
	@.ci/packages cargo go gcc binutils clang curl
	$(MAKE) -C bindings/go test
test-go-wasm: go-wasm ## What every host is asked, of the proxy that runs keygate.wasm
	$(MAKE) test-hosts test-sdk KEYGATE_HOSTS=go KEYGATE_GO=wasm
demo-go: go ## The guide to 401 with the Go proxy: its commands and their answers
	@.ci/packages curl python3
	@tests/hosts/guide.py go
fuzz-go: ## Fuzz the Go module for TIME, 60s if not given
	@.ci/packages cargo go gcc binutils
	$(MAKE) -C bindings/go fuzz
