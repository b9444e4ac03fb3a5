#!/usr/bin/env bash
# Builds the WebAssembly modules into target/wasm; `build.sh library` those of the library alone. With rustup's target where it is there
# (`rustup target add wasm32-unknown-unknown`); otherwise with Debian's rustc-web, which has the sources of
# the standard library. Linked by rust-lld, which is in every toolchain of rustup's, or by wasm-ld.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=target/wasm triple=wasm32-unknown-unknown
cargo=${CARGO:-cargo}
linker=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/rust-lld
linker=("$linker" -flavor wasm)
[ -x "${linker[0]}" ] || { .ci/packages lld; linker=(wasm-ld); }

std=
if ! [ -d "$(rustc --print target-libdir --target $triple)" ]; then
    .ci/packages rustc-web rust-web-src
    export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
    std=-Zbuild-std=
fi
# Small; and nothing of this machine in it.
export CARGO_PROFILE_CAPI_OPT_LEVEL=s
export RUSTFLAGS="--remap-path-prefix=$PWD=keygate --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"
unset CARGO_TARGET_DIR

# library PACKAGE WHAT-OF-STD OPTION...
library() {
    local package=$1 crates=$2
    shift 2
    "$cargo" rustc --quiet --locked --profile capi --package "$package" --lib --crate-type staticlib \
        --target $triple --target-dir "$out/cargo" ${std:+"$std$crates"} "$@"
}

# link MODULE LIBRARY FUNCTION...
link() {
    local to=$out/$1 from=$out/cargo/$triple/capi/$2
    shift 2
    # A stack that is too small ends in a trap, and not among the data.
    "${linker[@]}" --stack-first -z stack-size="$stack" --no-entry --gc-sections --strip-all "${@/#/--export=}" "$from" -o "$to"
}

library keygate core --features capi
stack=65536
functions=$(sed -n 's/^[a-z].*\b\(keygate_[a-z_]*\)(.*/\1/p' include/keygate.h)
[ "$(wc -w <<<"$functions")" -gt 40 ]
link keygate.wasm libkeygate.a $functions
# What a gate needs that never explains: no sentences.
link keygate-gate.wasm libkeygate.a $(grep -v 'explain\|finding\|lint\|generate\|evaluation\|_text$\|status_name' <<<"$functions")

[ "${1:-}" != library ] || exit 0

library keygate-page std,panic_abort
stack=1048576 # for what is nested deeply
link page.wasm libkeygate_page.a keygate_page_{input,answer,output}
