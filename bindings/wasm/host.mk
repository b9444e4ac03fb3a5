##@ WebAssembly and the page about 401

.PHONY: wasm test-wasm
wasm: ## Build keygate.wasm and the page about 401, keygate-401.html, in target/wasm
	@.ci/packages cargo clang python3
	bindings/wasm/layout.py --check
	bindings/wasm/build.sh
	$(CARGO) build --quiet --locked --package keygate-cli
	bindings/wasm/page.py
test-wasm: wasm ## Test them in Node and in Chromium
	@.ci/packages nodejs npm chromium fonts-noto-cjk
	cd bindings/wasm/tests && npm ci --loglevel=error --no-audit --no-fund
	node --test bindings/wasm/tests/
