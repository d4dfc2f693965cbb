// The version of Alertmanager for `make monitoring-tools`, which builds it from a copy of this module.
module pushring/tools/alertmanager

go 1.26.7

require github.com/prometheus/alertmanager v0.35.0
