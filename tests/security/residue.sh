#!/bin/sh
# SPDX-License-Identifier: MIT
# residue.sh DIR - what can be read of device memory that other processes have used: natively, and in
# a guest of the local transport. Takes about a minute of a GPU of its own. DIR holds gvm and its
# workers as well as security/; results go to standard output. docs/security.md states them.
DIR=${1:-build}
DRIVER=${DRIVER:-/usr/local/nvidia/lib64}
KIND=${KIND:-cuda}
export RESIDUE_IMAGE="$DIR/security/residue.fatbin"

native() {
    if [ "$KIND" = cuda ]; then
        LD_LIBRARY_PATH=$DRIVER:$LD_LIBRARY_PATH timeout 20 "$DIR/security/residue" "$@"
    else
        guest "$@"
    fi
}
guest() {
    timeout 20 "$DIR/gvm" run --kind "$KIND" -- "$DIR/security/residue" "$@"
}

echo "== cost of clearing"
native cost
echo "== native, after a process that ended"
for kind in alloc vmm pool array small heap local shared; do
    native write $kind
    native read $kind
done
echo "== native, after a process that was killed"
native write alloc die
native read alloc
echo "== native, while another process writes"
for kind in shared local; do
    native loop $kind 3 &
    sleep 1
    native read $kind 40
    wait $!
done
echo "== native, within one process"
native self
echo "== guest, after native processes"
for kind in alloc vmm pool array small heap local shared; do
    native write $kind
    guest read $kind
done
echo "== guest, while a native process writes"
for kind in shared local; do
    native loop $kind 3 &
    sleep 1
    guest read $kind 40
    wait $!
done
