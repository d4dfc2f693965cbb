#!/usr/bin/env bash
# Packs the chart: package.sh FILE. The same files give the same bytes; `helm package` would add their times. The archive has the
# files that the chart links to.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
mkdir -p "$(dirname "$1")"
tar --create --directory="$here" --dereference --exclude=pushring/ci --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner \
  --mode=u=rw,go=r,a+X pushring | gzip --no-name --best > "$1"
