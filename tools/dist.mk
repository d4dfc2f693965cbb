# Release files in target/dist by `make dist`, and `make install` for this machine. The Makefile includes this file.

PREFIX ?= /usr/local
# Configuration is in /etc, unless everything goes to a folder of a user.
SYSCONFDIR ?= $(if $(filter /usr /usr/local,$(PREFIX)),/etc,$(PREFIX)/etc)
VERSION := $(shell sed -n '/^\[workspace.package\]/,/^$$/s/^version = "\(.*\)"/\1/p' Cargo.toml)
# Architectures of the static command; the first word of a target of Rust. That of this machine must be among them.
ARCHES ?= x86_64 aarch64
DEB_x86_64 := amd64
DEB_aarch64 := arm64

DIST := target/dist
# A folder of its own: other flags in `target` would rebuild everything for each `cargo build`.
DIST_BUILD := target/dist-build
DIST_TOOLS := $(TOOLS)/dist
DIST_MODULE := $(DIST_BUILD)/$(WASM_TARGET)/release/pushring_filter.wasm
DIST_REFERENCE := $(DIST_BUILD)/reference
# Envoy loads it, so it needs the C library of Envoy, which is no older than this one.
DIST_GLIBC := 2.31
DIST_NATIVE = $(DIST_BUILD)/$(1)-unknown-linux-gnu/native/libpushring_native.so
DIST_COMMAND = $(DIST_BUILD)/$(1)-unknown-linux-musl/release/pushring

# Two builds of a commit are equal: the same commit and date, and no path of this machine. In a copy without git, set both
# variables. Each is asked for once, so that a commit during the build changes nothing.
DIST_COMMIT = $(eval DIST_COMMIT := $(or $(PUSHRING_COMMIT),$(shell git describe --always --dirty --exclude='*' --abbrev=12),$(error set PUSHRING_COMMIT, because git does not know it)))$(DIST_COMMIT)
DIST_DATE = $(eval DIST_DATE := $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct),$(error set SOURCE_DATE_EPOCH to the seconds of the commit, because git does not know them)))$(DIST_DATE)
DIST_FLAGS = $(foreach path,$(CURDIR)=/pushring $(shell rustc --print sysroot)/lib/rustlib/src/rust=/rust \
	$(addsuffix =/registry,$(shell ls -d $(or $(CARGO_HOME),$(HOME)/.cargo)/registry/src/*)),--remap-path-prefix=$(path))
DIST_ENV = PUSHRING_COMMIT=$(DIST_COMMIT) SOURCE_DATE_EPOCH=$(DIST_DATE) RUSTFLAGS="$(DIST_FLAGS)" CARGO_INCREMENTAL=0
DIST_CARGO = $(DIST_ENV) PATH="$(abspath $(DIST_TOOLS))/bin:$$PATH" cargo

# Files for `make dist` that others build; they are in $(DIST) when `dist` writes the checksums.
DIST_PARTS := dist-commands

.PHONY: dist dist-commands dist-build build install install-files uninstall
dist: $(DIST_PARTS) ## build the release in target/dist: static commands, packages, module, checksums, list of dependencies; ARCHES=x86_64
	cd $(DIST) && rm -f SHA256SUMS && sha256sum * > SHA256SUMS.new && mv SHA256SUMS.new SHA256SUMS

dist-build: $(DIST_TOOLS)/.installed $(RUST)
	rustup target add $(foreach arch,$(ARCHES),$(arch)-unknown-linux-musl $(arch)-unknown-linux-gnu)
	cargo fetch --locked
	$(DIST_CARGO) build --locked --release -p pushring-filter --target $(WASM_TARGET) --target-dir $(DIST_BUILD)
	$(foreach arch,$(ARCHES),$(DIST_CARGO) zigbuild --locked --release -p pushring --target $(arch)-unknown-linux-musl --target-dir $(DIST_BUILD) &&) true
	$(foreach arch,$(ARCHES),$(DIST_CARGO) zigbuild --locked --profile native -p pushring-native --target $(arch)-unknown-linux-gnu.$(DIST_GLIBC) --target-dir $(DIST_BUILD) &&) true
	$(DIST_CARGO) zigbuild --locked --release -p pushring --example reference --target $(shell uname -m)-unknown-linux-musl --target-dir $(DIST_BUILD)
	rm -rf $(DIST_REFERENCE)
	$(DIST_BUILD)/$(shell uname -m)-unknown-linux-musl/release/examples/reference $(DIST_REFERENCE)/completions $(DIST_REFERENCE)/man

dist-commands: dist-build
	rm -rf $(DIST)
	mkdir -p $(DIST)
	cp $(DIST_MODULE) $(DIST)/pushring_filter-$(VERSION).wasm
	$(foreach arch,$(ARCHES),cp $(call DIST_NATIVE,$(arch)) $(DIST)/libpushring_native-$(VERSION)-$(arch).so &&) true
	$(foreach arch,$(ARCHES),SOURCE_DATE_EPOCH=$(DIST_DATE) tools/dist/archive.sh $(VERSION) $(arch) $(call DIST_COMMAND,$(arch)) $(DIST_MODULE) $(call DIST_NATIVE,$(arch)) $(DIST_REFERENCE) $(DIST) &&) true
	$(foreach arch,$(ARCHES),rm -rf $(DIST_BUILD)/deb && $(MAKE) --no-print-directory install-files PREFIX=/usr DESTDIR=$(DIST_BUILD)/deb \
		COMMAND=$(call DIST_COMMAND,$(arch)) MODULE=$(DIST_MODULE) NATIVE_MODULE=$(call DIST_NATIVE,$(arch)) REFERENCE=$(DIST_REFERENCE) ZSH=/usr/share/zsh/vendor-completions && \
		SOURCE_DATE_EPOCH=$(DIST_DATE) tools/dist/deb.sh $(VERSION) $(DEB_$(arch)) $(DIST_BUILD)/deb $(DIST) &&) true
	SOURCE_DATE_EPOCH=$(DIST_DATE) $(DIST_TOOLS)/bin/python tools/dist/sbom.py $(VERSION) > $(DIST)/pushring-$(VERSION).cdx.json

# Suites of what `make dist` builds.
DIST_SUITES := dist

# Only root can boot a machine.
AS_ROOT := $(if $(filter-out 0,$(shell id -u)),--config 'target."cfg(unix)".runner = "sudo --preserve-env"')

.PHONY: e2e-dist
e2e-dist: dist $(addprefix $(BIN)/,envoy pushgateway consul) $(TOOLS)/debian/.installed ## check the release, in a second build as well; follow docs/install/vm.md on a machine that systemd boots, by sudo
	ARCHES="$(ARCHES)" cargo test -p pushring-harness $(addprefix --test ,$(DIST_SUITES))
	cargo test -p pushring-harness --test systemd $(AS_ROOT) -- --test-threads 2

$(DIST_TOOLS)/.installed: tools/dist.txt
	@echo "Installing Zig, cargo-zigbuild and the CycloneDX library into $(DIST_TOOLS) (450 MB)"
	python3 -m venv $(DIST_TOOLS)
	$(DIST_TOOLS)/bin/pip install --quiet --disable-pip-version-check --requirement tools/dist.txt
	@touch $@

# `make dist` installs its own builds of these into the Debian package.
COMMAND ?= target/release/pushring
MODULE ?= target/$(WASM_TARGET)/release/pushring_filter.wasm
NATIVE_MODULE ?= target/native/libpushring_native.so
REFERENCE ?= target/release/reference
ZSH ?= $(PREFIX)/share/zsh/site-functions

build: wasm native ## build what `make install` copies: the command for this machine, both forms of the filter, completions and man pages
	cargo build --release --locked -p pushring
	cargo build --release --locked -p pushring --example reference
	target/release/examples/reference $(REFERENCE)/completions $(REFERENCE)/man

install: build install-files ## install on this machine; PREFIX=/usr/local DESTDIR=folder SYSCONFDIR=/etc

SHARE := $(DESTDIR)$(PREFIX)/share
CONFIG := $(DESTDIR)$(SYSCONFDIR)/pushring
SHARED := $(wildcard envoy/*.yaml envoy/live/*/*.yaml) $(addprefix consul-template/,pushring.hcl registrations.json.ctmpl settings.yaml) \
	$(wildcard monitoring/*.yml) monitoring/grafana/pushring.json $(wildcard examples/security/*.patch examples/security/files/*)
UNITS := $(wildcard deploy/systemd/*.service)
# Files of an operator are kept.
KEEPING = test -e $(CONFIG)/$(2) || install -D -m 644 $(1) $(CONFIG)/$(2)

install-files:
	install -D -m 755 $(COMMAND) $(DESTDIR)$(PREFIX)/bin/pushring
	install -D -m 644 $(MODULE) $(DESTDIR)$(PREFIX)/lib/pushring/pushring_filter.wasm
	install -D -m 644 $(NATIVE_MODULE) $(DESTDIR)$(PREFIX)/lib/pushring/libpushring_native.so
	set -e; for file in $(SHARED); do install -D -m 644 $$file $(SHARE)/pushring/$$file; done
	install -d $(addprefix $(DESTDIR)$(PREFIX)/lib/,systemd/system sysusers.d tmpfiles.d) $(SHARE)/man/man1 $(CONFIG)
	install -m 644 $(UNITS) $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m 644 deploy/systemd/sysusers.d/pushring.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d
	sed 's|/usr/|$(PREFIX)/|' deploy/systemd/tmpfiles.d/pushring.conf > $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/pushring.conf
	install -m 644 $(REFERENCE)/man/*.1 $(SHARE)/man/man1
	install -D -m 644 $(REFERENCE)/completions/pushring.bash $(SHARE)/bash-completion/completions/pushring
	install -D -m 644 $(REFERENCE)/completions/_pushring $(DESTDIR)$(ZSH)/_pushring
	install -D -m 644 $(REFERENCE)/completions/pushring.fish $(SHARE)/fish/vendor_completions.d/pushring.fish
	$(call KEEPING,envoy/cluster.yaml,envoy.yaml)
	$(call KEEPING,consul-template/settings.yaml,settings.yaml)
	set -e; for file in $(notdir $(wildcard deploy/systemd/etc/*)); do $(call KEEPING,deploy/systemd/etc/$$file,$$file); done

uninstall: ## remove what `make install` copied, except for /etc/pushring; PREFIX=/usr/local DESTDIR=folder
	rm -f $(DESTDIR)$(PREFIX)/bin/pushring $(addprefix $(DESTDIR)$(PREFIX)/lib/systemd/system/,$(notdir $(UNITS)))
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/lib/,sysusers.d/pushring.conf tmpfiles.d/pushring.conf)
	rm -f $(SHARE)/man/man1/pushring.1 $(SHARE)/man/man1/pushring-*.1 $(DESTDIR)$(ZSH)/_pushring
	rm -f $(SHARE)/bash-completion/completions/pushring $(SHARE)/fish/vendor_completions.d/pushring.fish
	rm -rf $(DESTDIR)$(PREFIX)/lib/pushring $(SHARE)/pushring
