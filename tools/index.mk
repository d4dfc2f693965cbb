# Servers of the distributed engine of metric-index, and the suites that need them. The Makefile includes it.
# Java and Maven are prerequisites of these targets: Kafka comes from Maven Central.

STORES := $(TOOLS)/stores
# Redis and MariaDB with their libraries; their versions are those of the Debian release.
STORES_DEBIAN := redis-server redis-tools libjemalloc2 liblzf1 \
	mariadb-server mariadb-server-core mariadb-client mariadb-client-core mariadb-common libaio1 liburing2
.PHONY: index-tools e2e-index e2e-index-page index-page-picture index-captures chaos-index install-index uninstall-index
# PREFIX, DESTDIR and SYSCONFDIR are those of `make install`.
INDEX_COMMAND ?= target/release/metric-index
INDEX_UNIT := $(DESTDIR)$(PREFIX)/lib/systemd/system/metric-index.service
install-index: ## build metric-index and install it with its unit on this machine; PREFIX=/usr/local DESTDIR=folder
	$(if $(filter file,$(origin INDEX_COMMAND)),cargo build --release --locked -p pushring-index)
	install -D -m 755 $(INDEX_COMMAND) $(DESTDIR)$(PREFIX)/bin/metric-index
	install -D -m 644 index/systemd/metric-index.service $(INDEX_UNIT)

uninstall-index: ## remove what `make install-index` copied; PREFIX=/usr/local DESTDIR=folder
	rm -f $(DESTDIR)$(PREFIX)/bin/metric-index $(INDEX_UNIT)

e2e-index: index-tools $(BIN)/prometheus $(BIN)/pushgateway ## test the distributed engine of metric-index with real Redis, Kafka and MariaDB
	cargo build --quiet -p pushring-index
	cargo test -p pushring-harness --test index_distributed -- --test-threads 2
	cargo test -p pushring-harness --test index_stores -- --test-threads 2
	cargo test -p pushring-harness --test index_forward -- --test-threads 2

index-tools: $(STORES)/.installed $(TOOLS)/kafka/.installed $(BIN)/.victoriametrics-built $(BIN)/remote-write-compliance ## download Redis, MariaDB and Kafka, build VictoriaMetrics and vmagent, for `make e2e-index` (a minute of CPU time)

e2e-index-page: target/page/.ready ## use the page of metric-index in headless Chromium
	cargo build --quiet -p pushring-index
	cargo test -p pushring-harness --test index_page -- --test-threads 2

index-page-picture: target/page/.ready ## draw docs/index/page.png, the page of metric-index, from a catalogue of its own
	cargo build --quiet -p pushring-index
	PICTURE=$(abspath docs/index/page.png) cargo test --quiet -p pushring-harness --test index_page -- picture::

index-captures: index-tools $(BIN)/prometheus $(BIN)/pushgateway ## capture index/testdata/captured/, bodies of a real Prometheus and a real vmagent
	cargo build --quiet -p pushring-index
	CAPTURE=$(abspath index/testdata/captured) cargo test --quiet -p pushring-harness --test index_forward -- captured::

chaos-index: index-tools ## kill gateway, indexer, Redis, Kafka and MariaDB in turn while series are sent, and look for missing ones; KILLS=10
	cargo build --quiet -p pushring-index -p pushring-harness --bin metric-index --bin pushring-chaos-index
	@target/debug/pushring-chaos-index $(if $(KILLS),--kills $(KILLS))

# Unpacked, not installed, as the packages in debian/.
$(STORES)/.installed: tools/index.mk
	@echo "Downloading Redis and MariaDB from Debian's packages (20 MB)"
	mkdir -p $(STORES)/packages
	cd $(STORES)/packages && { $(APT) download $(STORES_DEBIAN) || { mkdir -p lists/partial; \
		$(APT) -o Dir::State::lists=$$PWD/lists update && $(APT) -o Dir::State::lists=$$PWD/lists download $(STORES_DEBIAN); }; }
	for package in $(STORES)/packages/*.deb; do dpkg -x $$package $(STORES); done
	@touch $@

$(TOOLS)/kafka/.installed: tools/kafka/pom.xml
	@echo "Downloading Kafka from Maven Central (43 MB)"
	rm -rf $(TOOLS)/kafka
	mvn --quiet --batch-mode --file tools/kafka/pom.xml org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
		-DincludeScope=runtime -DoutputDirectory=$(abspath $(TOOLS))/kafka
	@touch $@

$(BIN)/.victoriametrics-built: tools/victoriametrics/go.mod tools/victoriametrics/go.sum
	@echo "Building VictoriaMetrics and vmagent (half a minute)"
	@mkdir -p $(BIN)
	cd tools/victoriametrics && go build -mod=readonly -ldflags "-s -w" -o $(abspath $(BIN))/ \
		$$(sed -n 's/^\t\(github.com\/VictoriaMetrics\/VictoriaMetrics\/app\/.*\)$$/\1/p' go.mod)
	@touch $@

# Prometheus' tests of a receiver of remote write. The path of their module is misspelled.
$(BIN)/remote-write-compliance: tools/remote-write-compliance/go.mod tools/remote-write-compliance/go.sum
	@echo "Building the tests of a receiver of remote write (half a minute)"
	@mkdir -p $(BIN)
	cd tools/remote-write-compliance && go test -mod=readonly -c -o $(abspath $@) github.com/prometheus/complicance/remotewrite2
	@touch $@
