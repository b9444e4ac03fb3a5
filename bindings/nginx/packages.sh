#!/usr/bin/env bash
# Installs Debian packages that are missing: packages.sh NAME...
set -euo pipefail

missing=()
for name in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null || true)" = installed ] ||
        missing+=("$name")
done
[ ${#missing[@]} -gt 0 ] || exit 0

sudo=()
[ "$(id -u)" = 0 ] || sudo=(sudo)

# Packages go to a folder of their own: where apt is set to empty its cache after each run, another
# run would take ours away. Debian's nginx starts a service where there is an init system.
cache=$(mktemp -d)
trap '${sudo[@]+"${sudo[@]}"} rm -rf "$cache"' EXIT
mkdir "$cache/partial"
options=(-o DPkg::Lock::Timeout=300 -o "Dir::Cache::archives=$cache" -o APT::Sandbox::User=root)
export DEBIAN_FRONTEND=noninteractive
for attempt in 1 2 3; do
    if "${sudo[@]}" apt-get "${options[@]}" -q update &&
        "${sudo[@]}" apt-get "${options[@]}" -q install -y --no-install-recommends "${missing[@]}"
    then
        exit 0
    fi
    sleep $((attempt * 5))
done
exit 1
