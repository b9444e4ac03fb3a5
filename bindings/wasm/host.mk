##@ WebAssembly, Node and the page about 401

WASM_TESTS := bindings/wasm/tests
.PHONY: wasm test-wasm demo-wasm bench-wasm
wasm: ## Build keygate.wasm, the npm package and the page about 401, keygate-401.html, in target/wasm
	@.ci/packages cargo clang nodejs npm python3
	bindings/wasm/layout.py --check
	bindings/wasm/build.sh
	bindings/wasm/page.py
	bindings/wasm/pack.sh
$(WASM_TESTS)/node_modules: $(WASM_TESTS)/package-lock.json
	cd $(WASM_TESTS) && npm ci --loglevel=error --no-audit --no-fund
	touch $@
test-wasm: wasm $(WASM_TESTS)/node_modules ## Test the modules and the package in Node, and the page in Chromium
	@.ci/packages chromium fonts-noto-cjk
	$(CARGO) build --quiet --locked --package keygate-cli
	cd $(WASM_TESTS) && node --test
	$(MAKE) test-hosts test-sdk KEYGATE_HOSTS=wasm
demo-wasm: wasm ## The guide to 401 with the package's proxy: its commands and their answers
	@.ci/packages curl python3
	@tests/hosts/guide.py wasm
bench-wasm: wasm ## Measure a decision in Node; write its README's table
	tests/figures.py table bindings/wasm/README.md node bindings/wasm/bench.mjs
