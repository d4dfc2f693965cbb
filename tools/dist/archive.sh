#!/bin/sh
# Packs the archive of one architecture: archive.sh VERSION ARCH COMMAND MODULE NATIVE REFERENCE OUTPUT. Links between the documents
# and the files that they name stay valid. SOURCE_DATE_EPOCH is the time of every file.
set -eu
version=$1 arch=$2 command=$3 module=$4 native=$5 reference=$6 output=$7
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/pushring-$version

mkdir -p "$root/bin" "$root/lib" "$root/deploy"
install -m 755 "$command" "$root/bin/pushring"
install -m 644 "$module" "$root/lib/pushring_filter.wasm"
install -m 644 "$native" "$root/lib/libpushring_native.so"
cp -R "$reference/completions" "$reference/man" envoy consul-template monitoring docs "$root"
cp LICENSE CHANGELOG.md README.md SECURITY.md "$root"
# Only what an operator uses: the rest tests these files or makes them.
rm -rf "$root/consul-template/fixtures" "$root/monitoring/dashboard" "$root/monitoring/preview" "$root/monitoring/tests"
mkdir "$root/examples"
cp -R examples/security examples/observability "$root/examples"
cp -R deploy/systemd "$root"
for folder in kubernetes istio envoy-gateway nomad; do
    if [ -d "deploy/$folder" ]; then cp -R "deploy/$folder" "$root/deploy"; fi
done
rm -f "$root/deploy/kubernetes/render.sh"
rmdir --ignore-fail-on-non-empty "$root/deploy"

chmod -R u=rwX,go=rX "$root"
tar -C "$work" --create --format=gnu --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" \
    "pushring-$version" | gzip -9n > "$output/pushring-$version-$arch-linux-musl.tar.gz"
