#!/bin/sh
# SPDX-License-Identifier: MIT
# build.sh FOLDER - Debian's xl, xen-init-dom0, libxenlight and libxlutil with vgpu.patch, built in
# FOLDER from Debian's source package of Xen 4.17; FOLDER/out has the four. Status 77: the source
# cannot be fetched, or a tool is missing.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
cd "$1"
if [ -e out/stamp ] && cmp -s out/stamp "$here/vgpu.patch"; then
    exit 0
fi
for tool in iasl bison flex autoconf dpkg-source; do
    command -v $tool >/dev/null || {
        echo "packaging/xen/build.sh: no $tool: run make setup" >&2
        exit 77
    }
done

# The package sources that apt knows, as sources of source packages, without a change to the system.
fetch() {
    mkdir -p apt/lists/partial
    # shellcheck disable=SC2016 # apt's variables
    apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' | sort -u |
        sed -n 's/^\([^ ]*\) \(bookworm[^ ]*\)$/deb-src [signed-by=\/usr\/share\/keyrings\/debian-archive-keyring.gpg] \1 \2 main/p' \
            >apt/sources.list
    set -- -o quiet=1 -o Dir::Etc::sourcelist="$PWD/apt/sources.list" -o Dir::Etc::sourceparts=- \
        -o Dir::State::lists="$PWD/apt/lists" -o APT::Sandbox::User=root
    apt-get "$@" update
    # Not every mirror has the source of its newest package.
    for version in $(apt-cache "$@" showsrc xen | sed -n 's/^Version: \(4\.17.*\)/\1/p' | sort -rVu); do
        apt-get "$@" source --download-only "xen=$version" && return
    done
    return 1
}
find . -maxdepth 1 -name 'xen_4.17*.dsc' | grep -q . || fetch >fetch.out 2>&1 || {
    tail -n 5 fetch.out >&2
    echo "packaging/xen/build.sh: the source package xen 4.17 cannot be fetched" >&2
    exit 77
}

rm -rf src out
mkdir out
dpkg-source -x "$(find . -maxdepth 1 -name 'xen_4.17*.dsc' | sort -V | tail -n 1)" src >unpack.out 2>&1
cd src
patch -p1 -s <"$here/vgpu.patch"
# What can be generated, Debian leaves out.
cp /usr/share/misc/config.guess /usr/share/misc/config.sub .
./autogen.sh >autogen.out 2>&1
./configure --disable-docs --disable-stubdom --disable-xen --disable-golang --disable-ocamltools \
    --disable-qemu-traditional --disable-rombios --disable-seabios --disable-ovmf --disable-ipxe \
    --with-system-qemu=/usr/bin/false --disable-pvshim --prefix=/usr >configure.out 2>&1
for part in include libs/toolcore libs/toollog libs/evtchn libs/gnttab libs/call libs/foreignmemory \
    libs/devicemodel libs/ctrl libs/hypfs libs/store libs/guest libs/light libs/util xl; do
    make -s -j2 -C tools/$part >>make.out 2>&1 || {
        tail -n 30 make.out >&2
        exit 1
    }
done
make -s -C tools/helpers xen-init-dom0 >>make.out 2>&1
cp tools/xl/xl tools/helpers/xen-init-dom0 ../out/
for lib in light/libxenlight util/libxlutil; do
    cp tools/libs/$lib.so.4.17.0 "../out/$(basename $lib).so.4.17"
done
strip ../out/*
cp "$here/vgpu.patch" ../out/stamp
