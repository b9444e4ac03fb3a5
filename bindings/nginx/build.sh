#!/usr/bin/env bash
# Builds the module against the headers of Debian's nginx (installed if missing), or in a plain
# source tree: build.sh [SOURCE_TREE [CONFIGURE_OPTION...]]
# It ends up as target/nginx/ngx_http_keygate_module.so.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=$root/target/nginx
build=$out/build

if [ $# -gt 0 ]; then
    source=$(cd "$1" && pwd)
    shift
    flags=("$@")
else
    "$here/../../.ci/packages" gcc nginx nginx-dev
    source=/usr/share/nginx/src
    # shellcheck source=/dev/null
    . "$source/conf_flags"
    flags=("${NGX_CONF_FLAGS[@]}")
fi

[ -f "$root/target/capi/libkeygate.a" ] || make -C "$root" lib

rm -rf "$build"
mkdir -p "$build"
cd "$source"
if [ -f configure ]; then configure=configure; else configure=auto/configure; fi
# The flags that Debian hardens its own modules with, and no name of this folder in what is built.
"./$configure" --builddir="$build" "${flags[@]}" --add-dynamic-module="$here" \
    --with-cc-opt="-g -O2 -fstack-protector-strong -Wformat -Werror=format-security -fPIC -D_FORTIFY_SOURCE=2 -ffile-prefix-map=$root=." \
    --with-ld-opt="-Wl,-z,relro -Wl,-z,now -fPIC" > "$build/configure.log"
make -f "$build/Makefile" modules > "$build/make.log"

# By rename: a master that has the old file mapped keeps it until its next reload.
install -m 0644 "$build/ngx_http_keygate_module.so" "$out/.ngx_http_keygate_module.so.new"
mv "$out/.ngx_http_keygate_module.so.new" "$out/ngx_http_keygate_module.so"
echo "$out/ngx_http_keygate_module.so"
