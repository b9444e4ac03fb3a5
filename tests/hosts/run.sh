#!/usr/bin/env bash
# Runs pytest with what it needs, kept under target/: run.sh REQUIREMENTS TEST...
# With requirements-sdk.txt, the packages of node/ are installed too.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
requirements=$here/$1
shift
environment=$root/target/hosts/$(basename "$requirements" .txt)
node=$root/target/hosts/node

case " ${KEYGATE_HOSTS:-nginx} " in
    *" nginx "*) "$root/.ci/packages" nginx libnginx-mod-http-headers-more-filter libnginx-mod-http-lua ;;
    *" lua "*) "$root/.ci/packages" nginx libnginx-mod-http-lua ;;
esac
"$root/.ci/packages" curl python3 python3-venv
if ! cmp -s "$requirements" "$environment/installed.txt"; then
    rm -rf "$environment"
    python3 -m venv "$environment"
    "$environment/bin/pip" --quiet --disable-pip-version-check install --requirement "$requirements"
    cp "$requirements" "$environment/installed.txt"
fi
if [ "$(basename "$requirements")" = requirements-sdk.txt ] &&
    ! cmp -s "$here/node/package-lock.json" "$node/installed.json"
then
    "$root/.ci/packages" nodejs npm
    rm -rf "$node"
    mkdir -p "$node"
    cp "$here/node/package.json" "$here/node/package-lock.json" "$node"
    (cd "$node" && npm ci --loglevel=error --no-audit --no-fund)
    cp "$here/node/package-lock.json" "$node/installed.json"
fi

cd "$here"
export PATH=$PATH:/usr/sbin # Debian's nginx is there, where not everybody looks
exec timeout "${KEYGATE_TIMEOUT:-1200}" "$environment/bin/python" -B -m pytest -p no:cacheprovider --no-header -q -rfEP "$@"
