#!/bin/sh
# SPDX-License-Identifier: MIT
# setup.sh all|build - installs the Debian packages of tools/setup-packages that are missing: all, or
# what building and the demo need.  Does nothing, and needs neither root nor a network, when all are
# installed.
set -eu

list=$(dirname "$0")/setup-packages
case "${1-}" in
all) wanted=$(sed 's/#.*//' "$list") ;;
build) wanted=$(sed -e '/^# ---/,$d' -e 's/#.*//' "$list") ;;
*)
    echo "setup: '${1-}' is unknown; allowed: all, build" >&2
    exit 2
    ;;
esac
installed=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' | sed -n 's/^.i  *//p')

missing=
for p in $wanted; do
    printf '%s\n' "$installed" | grep -qxF "$p" || missing="$missing $p"
done
if [ -z "$missing" ]; then
    exit 0
fi

echo "setup: installing$missing"
sudo=
if [ "$(id -u)" != 0 ]; then
    sudo=$(command -v sudo) || {
        echo "setup: not root and no sudo; as root run: apt-get install$missing" >&2
        exit 1
    }
fi
$sudo apt-get update -q
# shellcheck disable=SC2086 # names are separate words
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
