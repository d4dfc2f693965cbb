#!/bin/sh
# Makes a Debian package of a folder that `make install-files` filled: deb.sh VERSION ARCH FOLDER OUTPUT.
set -eu
version=$1 arch=$2 root=$3 output=$4

mkdir -p "$root/usr/share/doc/pushring" "$root/DEBIAN"
cp LICENSE "$root/usr/share/doc/pushring/copyright"
gzip -9n < CHANGELOG.md > "$root/usr/share/doc/pushring/changelog.gz"
gzip -9n "$root"/usr/share/man/man1/*.1
(cd "$root" && find etc -type f | sort | sed 's|^|/|') > "$root/DEBIAN/conffiles"
(cd "$root" && find usr -type f | sort | xargs md5sum) > "$root/DEBIAN/md5sums"
sed -e "s/@VERSION@/$version/" -e "s/@ARCH@/$arch/" \
    -e "s/@SIZE@/$(find "$root/usr" "$root/etc" -type f -printf '%s\n' | awk '{ sum += int(($1 + 1023) / 1024) } END { print sum }')/" \
    tools/dist/control > "$root/DEBIAN/control"
for script in postinst prerm postrm; do
    install -m 755 "tools/dist/$script" "$root/DEBIAN/$script"
done

chmod -R u=rwX,go=rX "$root"
find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
# Debian and Ubuntu have different defaults for the compression.
dpkg-deb --root-owner-group -Zxz --threads-max=1 --build "$root" "$output/pushring_${version}_$arch.deb"
