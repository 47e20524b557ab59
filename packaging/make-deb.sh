#!/bin/sh
# SPDX-License-Identifier: MIT
# make-deb.sh VERSION [FOLDER] - builds the Debian packages of what lies in $BUILD, in FOLDER
# (default $BUILD/deb).  VERSION replaces that of packaging/debian/changelog, for tests of upgrades.
#
# The source package's root has its debian folder at the top; ours is in packaging/, so a copy of
# what the packages need is made.
set -eu

version=$1
build=$(realpath "${BUILD:-build}")
out=${2:-$build/deb}
for tool in dpkg-buildpackage dh dh_dkms; do
    command -v $tool >/dev/null || {
        echo "make deb: no $tool: make setup (packages debhelper and dh-dkms)" >&2
        exit 1
    }
done
mkdir -p "$out"
out=$(realpath "$out")
src=$out/src
rm -rf "$src" "$out"/*.deb "$out"/*.changes "$out"/*.buildinfo
mkdir "$src"
find . -path ./build -prune -o -path ./.git -prune -o -name build.mk -print -o -name Makefile -print |
    cpio -pdm --quiet "$src"
cp -a packaging docs dom0-backend domU-frontend protocol libcudart-shim "$src"
cp -a packaging/debian "$src/debian"
if [ "$version" != "$(sed -n '1s/.*(\(.*\)).*/\1/p' "$src/debian/changelog")" ]; then
    {
        printf 'gvm (%s) unstable; urgency=medium\n\n  * Test of an upgrade.\n\n' "$version"
        sed -n '/^ -- /{p;q}' "$src/debian/changelog"
        echo
        cat "$src/debian/changelog"
    } >"$src/changelog.new"
    mv "$src/changelog.new" "$src/debian/changelog"
    cp "$src/debian/changelog" "$src/packaging/debian/changelog"
fi
# The outer make's flags are for the outer make.
cd "$src"
env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u BUILD GVM_PREBUILT="$build" \
    DEB_BUILD_OPTIONS="noautodbgsym nocheck" \
    dpkg-buildpackage -b -d -us -uc >"$out/log" 2>&1 || {
    tail -n 30 "$out/log" >&2
    echo "make deb: failed, see $out/log" >&2
    exit 1
}
rm -rf "$src"
ls "$out"/*.deb
