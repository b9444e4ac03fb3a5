#!/usr/bin/env bash
# Runs pytest in an environment of its own under target/: run.sh REQUIREMENTS TEST...
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
requirements=$here/$1
shift
environment=$root/target/hosts/$(basename "$requirements" .txt)

"$root/bindings/nginx/packages.sh" nginx curl python3-venv
if ! cmp -s "$requirements" "$environment/installed.txt"; then
    rm -rf "$environment"
    python3 -m venv "$environment"
    "$environment/bin/pip" --quiet --disable-pip-version-check install --requirement "$requirements"
    cp "$requirements" "$environment/installed.txt"
fi

cd "$here"
exec timeout 600 "$environment/bin/python" -B -m pytest -p no:cacheprovider -q -rA --no-header "$@"
