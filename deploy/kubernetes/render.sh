#!/usr/bin/env bash
# Writes the files called rendered.yaml from the chart, here or into another folder: render.sh [FOLDER]. HELM is the program.
# `make manifests` runs it, and a test compares its output with the files.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
to=$(readlink -f "${1:-$here}")

render() {
  local file=$to/$1/rendered.yaml
  shift
  mkdir -p "$(dirname "$file")"
  {
    echo '# Rendered from deploy/helm/pushring by `make manifests`; do not edit.'
    # Without what only a release of Helm has.
    "${HELM:-helm}" template pushring "$here/../helm/pushring" "$@" 2> >(grep -v 'symbolic link' >&2) |
      sed -e '/^ *helm\.sh\/chart: /d' -e '/^ *app\.kubernetes\.io\/managed-by: Helm$/d' -e '/^# Source: /d'
  } > "$file"
}

render endpoint --set mode=endpoint
render cluster --set mode=cluster
render components/serve --set serve.enabled=true --show-only templates/serve.yaml
render components/network-policy --set networkPolicy.enabled=true,serve.enabled=true --show-only templates/networkpolicy.yaml
render components/monitoring --show-only templates/monitoring.yaml \
  --set monitoring.monitors.enabled=true,monitoring.rules.enabled=true,monitoring.dashboard.enabled=true
render components/monitoring-serve --show-only templates/monitoring-serve.yaml --set monitoring.monitors.enabled=true,serve.enabled=true
