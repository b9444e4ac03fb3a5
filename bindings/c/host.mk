##@ C and C++

CBINDGEN_VERSION := 0.29.4
$(TOOLS)/bin/cbindgen:
	$(CARGO) install cbindgen --version $(CBINDGEN_VERSION) --locked --root $(TOOLS)

# cbindgen's output with one-line comments on one line, groups of constants together and signs in parentheses.
HEADER := include/keygate.h
.PHONY: header
header: $(TOOLS)/bin/cbindgen ## Write include/keygate.h anew from src/ffi.rs
	@.ci/packages perl
	$(TOOLS)/bin/cbindgen --quiet --config include/cbindgen.toml src/ffi.rs --output $(HEADER)
	perl -0pi -e 's{/\*\*\n *\* (.*)\n *\*/}{/** $$1 */}g; s/^(#define \w+ )(-\d+)$$/$$1($$2)/mg;' \
		-e 's{^(#define (KEYGATE_[A-Z]+)\b.*)\n\n(?=/\*\* .* \*/\n#define \g2\B)}{$$1\n}mg;' \
		-e 's{^(#define (KEYGATE_[A-Z]+)_.*)\n\n(?=/\*\* .* \*/\n#define \g2_)}{$$1\n}mg' $(HEADER)

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
BINDIR ?= $(PREFIX)/bin
VERSION := $(shell sed -n '/^\[workspace.package\]/,/^$$/s/^version = "\(.*\)"/\1/p' Cargo.toml)
SONAME := libkeygate.so.$(ABI)
SHARED := $(SONAME).$(VERSION)
CMAKEDIR := $(LIBDIR)/cmake/keygate
FILL = sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
	-e 's|@VERSION@|$(VERSION)|' -e 's|@SHARED@|$(SHARED)|' -e 's|@SONAME@|$(SONAME)|' \
	-e "s|@RELATIVE_INCLUDEDIR@|$$(realpath -m --relative-to=$(CMAKEDIR) $(INCLUDEDIR))|"
INSTALLED = $(BINDIR)/keygate $(INCLUDEDIR)/keygate.h $(INCLUDEDIR)/keygate.hpp $(LIBDIR)/libkeygate.a $(LIBDIR)/$(SHARED) \
	$(LIBDIR)/$(SONAME) $(LIBDIR)/libkeygate.so $(LIBDIR)/pkgconfig/keygate.pc \
	$(CMAKEDIR)/keygateConfig.cmake $(CMAKEDIR)/keygateConfigVersion.cmake

.PHONY: install
install: lib cli ## Install the command line, header, libraries, keygate.pc and CMake config (PREFIX, DESTDIR)
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(INCLUDEDIR) $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(CMAKEDIR)
	install -m 755 target/release/keygate $(DESTDIR)$(BINDIR)
	install -m 644 include/keygate.h bindings/c/keygate.hpp $(DESTDIR)$(INCLUDEDIR)
	install -m 644 $(CAPI)/libkeygate.a $(DESTDIR)$(LIBDIR)
	install -m 755 $(CAPI)/libkeygate.so $(DESTDIR)$(LIBDIR)/$(SHARED)
	ln -sf $(SHARED) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libkeygate.so
	$(FILL) bindings/c/keygate.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/keygate.pc
	$(FILL) bindings/c/keygateConfig.cmake.in >$(DESTDIR)$(CMAKEDIR)/keygateConfig.cmake
	$(FILL) bindings/c/keygateConfigVersion.cmake.in >$(DESTDIR)$(CMAKEDIR)/keygateConfigVersion.cmake

.PHONY: uninstall
uninstall: ## Remove what `make install` with the same settings has installed
	rm -f $(addprefix $(DESTDIR),$(INSTALLED))
	-rmdir $(DESTDIR)$(CMAKEDIR)

.PHONY: test-capi
test-capi: lib ## Test the C interface: conformance, hostile callers, sanitizers, symbols, install
	tests/c/run
