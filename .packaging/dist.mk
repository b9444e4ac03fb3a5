##@ Packages

CYCLONEDX_VERSION := 0.5.9
$(TOOLS)/bin/cargo-cyclonedx:
	$(CARGO) install cargo-cyclonedx --version $(CYCLONEDX_VERSION) --debug --locked --root $(TOOLS)
$(TOOLS)/python/bin/maturin: bindings/python/requirements.txt
	@.ci/packages python3 python3-venv
	rm -rf $(TOOLS)/python
	$(PYTHON) -m venv $(TOOLS)/python
	$(TOOLS)/python/bin/pip install --quiet --disable-pip-version-check "$$(grep '^maturin==' $<)"
	touch $@

DIST := target/dist
DIST_BUILD = CARGO="$(CARGO)" TOOLS="$(TOOLS)" VERSION="$(VERSION)" .packaging/build
.PHONY: dist test-dist
dist: $(TOOLS)/bin/cargo-cyclonedx $(TOOLS)/python/bin/maturin ## Build every package of HEAD in target/dist: crates, .debs, wheel, npm, Go, wasm, SBOM
	@.ci/packages cargo go gcc binutils clang nodejs npm python3 debhelper nginx nginx-dev
	$(DIST_BUILD) $(DIST) target/dist-work/one
test-dist: dist ## Build them once more in another folder, which must give the same bytes; install and use each
	$(DIST_BUILD) target/dist-work/again target/dist-work/another-folder
	diff $(DIST)/SHA256SUMS target/dist-work/again/SHA256SUMS
	@.ci/packages cargo go gcc cmake pkg-config curl nodejs npm python3 python3-venv lintian man-db mandoc
	TOOLS="$(TOOLS)" VERSION="$(VERSION)" .packaging/test $(DIST) target/dist-work
