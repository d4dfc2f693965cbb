# Versions of the tools that `make` installs and that have no lock file of their own. The other pinned versions are in
# this folder too: */go.mod for the servers built from Go modules, envoy.txt, python.txt for the Python client and typos.
# rust-toolchain.toml pins the compiler, tests/clients/*/ the client libraries that the tests push with.

# Older Envoys that the files in envoy/ support; envoy.txt has the newest. 1.38.3 lacks the V8 runtime.
ENVOYS ?= 1.36.4 1.37.0 1.38.2 1.39.3
CARGO_DENY := 0.20.2
CARGO_FUZZ := 0.13.2
# The test runner must have the version of the library in Cargo.lock.
WASM_BINDGEN := $(shell sed -n '/^name = "wasm-bindgen"$$/{n;s/version = "\(.*\)"/\1/p;}' Cargo.lock)
# The proxies that `make bench` compares with, its second load generator, and the oldest etcd that is supported; their versions
# are those of the Debian release.
DEBIAN := etcd-server nginx haproxy wrk libluajit-5.1-2 liblua5.3-0 libopentracing-c-wrapper0 libopentracing1
# The DNS server of the suite `discover`, with the libraries that it links.
DEBIAN += dnsmasq-base libnetfilter-conntrack3 libnfnetlink0 libnftables1 libnftnl11 libmnl0 libjansson4 libxtables12 libedit2
# Runs the containers of the suite `images`.
DEBIAN += runc libseccomp2
# The oldest Prometheus that the rules in monitoring/ support, with promtool.
DEBIAN += prometheus
# A Pushgateway of 2023, built with a Go of that time, for `make e2e-versions`.
DEBIAN += prometheus-pushgateway
# Metrics of the machine in `make observe`.
DEBIAN += prometheus-node-exporter
# Shells that check the completions of `make dist`.
DEBIAN += zsh fish libpcre2-32-0
# Shows traces in `make observe`.
ZIPKIN := 3.4.2
# Its resource definitions check deploy/envoy-gateway.
ENVOY_GATEWAY := v1.9.1
