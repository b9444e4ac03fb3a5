#!/usr/bin/env bash
# Puts keygate.lua and what it needs into target/lua. The declarations come from include/keygate.h by the C
# preprocessor, so that no copy of them can grow old.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=$root/target/lua

"$root/.ci/packages" gcc
[ -f "$root/target/capi/libkeygate.so" ] || make -C "$root" lib

mkdir -p "$out/none"
# LuaJIT knows the types of these.
touch "$out/none/stdbool.h" "$out/none/stddef.h" "$out/none/stdint.h"
{
    echo '-- Written by bindings/lua/build.sh from include/keygate.h. Do not edit.'
    echo 'require("ffi").cdef [['
    gcc -E -P -nostdinc -I"$out/none" "$root/include/keygate.h"
    gcc -E -dM -nostdinc -I"$out/none" "$root/include/keygate.h" |
        sed -nE 's/^#define (KEYGATE_[A-Z0-9_]+) (\(?-?[0-9]+\)?)$/static const int \1 = \2;/p' | sort
    echo ']]'
} > "$out/keygate_h.lua"
rm -rf "$out/none"
cp "$here/keygate.lua" "$here/keygate.conf" "$out/"
# By rename: a worker that has the old file mapped keeps it.
install -m 0644 "$root/target/capi/libkeygate.so" "$out/.libkeygate.so.new"
mv "$out/.libkeygate.so.new" "$out/libkeygate.so"
echo "$out"
