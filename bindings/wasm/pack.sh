#!/usr/bin/env bash
# Packs the npm package as target/wasm/keygate-VERSION.tgz, and installs it for the example and the tests in
# target/wasm/example, as anybody would.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$PWD/target/wasm
rm -rf "$out/npm" "$out/example" "$out"/keygate-*.tgz
mkdir -p "$out/npm" "$out/example"
cp bindings/wasm/npm/* bindings/wasm/README.md LICENSE-* "$out"/keygate{,-gate}.wasm "$out/npm"
(cd "$out/npm" && npm pack --silent --pack-destination "$out" >/dev/null)
cp bindings/wasm/example/* "$out/example"
cd "$out/example"
echo '{"private": true}' >package.json
npm install --silent --offline --no-audit --no-fund "$out"/keygate-*.tgz
