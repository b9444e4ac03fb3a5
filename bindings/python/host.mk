##@ Python

PYTHON_ENV := $(CURDIR)/target/python/env
PYTHON_HOST = cd bindings/python && $(PYTHON_ENV)/bin
PYTHON_SOURCES := $(wildcard bindings/python/src/* bindings/python/python/*/* bindings/python/Cargo.* src/*.rs src/*/*.rs)
.PHONY: python test-python demo-python bench-python
python: $(PYTHON_ENV)/installed ## Build the wheel for Python in target/python/wheels and install it in target/python/env
$(PYTHON_ENV)/requirements: bindings/python/requirements.txt
	@.ci/packages python3 python3-venv
	rm -rf $(PYTHON_ENV)
	$(PYTHON) -m venv $(PYTHON_ENV)
	$(PYTHON_ENV)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@
$(PYTHON_ENV)/installed: $(PYTHON_ENV)/requirements bindings/python/pyproject.toml $(PYTHON_SOURCES)
	@.ci/packages cargo
	rm -rf target/python/wheels
	$(PYTHON_HOST)/maturin build --quiet --release --locked --out ../../target/python/wheels
	$(PYTHON_ENV)/bin/pip install --quiet --disable-pip-version-check --force-reinstall --no-deps target/python/wheels/*.whl
	touch $@
test-python: python ## Test the wheel and the middleware, by themselves and through the proxy of the example
	cd bindings/python && $(CARGO) fmt --check
	cd bindings/python && $(CARGO) clippy --locked --all-targets -- -D warnings
	$(PYTHON_HOST)/mypy --no-incremental --cache-dir=/dev/null python examples tests benches
	$(PYTHON_HOST)/python -B -m pytest -p no:cacheprovider --no-header -q -rfEP tests
	$(MAKE) test-hosts test-sdk KEYGATE_HOSTS=python
demo-python: python ## The guide to 401 with the middleware: its commands and their answers
	@.ci/packages curl python3
	@tests/hosts/guide.py python
bench-python: python ## Measure the middleware beside others; write its README's table
	tests/figures.py table bindings/python/README.md target/python/env/bin/python -B bindings/python/benches/cost.py
