#!/usr/bin/env bash
# Builds the firmware and runs it in QEMU against programs of this machine: over its UART with the adapter for std, over
# TCP with the one for tokio, as friend, stranger and enemy.  Ends by itself within five minutes once things are built.
#
# Installs what is missing: the target thumbv7m-none-eabi by rustup, or where that cannot be had Debian's rustc, whose
# core library is built along; and QEMU, by apt.  Honours CARGO_TARGET_DIR.
set -euo pipefail
cd "$(dirname "$0")"

target=${CARGO_TARGET_DIR:-$PWD/../../target}
triple=thumbv7m-none-eabi
export CARGO_TARGET_DIR=$target/firmware
# What the compiler is called with, and how.
cargo=(cargo)
arguments=()

root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

install() {
    command -v apt-get >/dev/null || { echo "missing: $*, and no apt-get to install it with"; return 1; }
    echo "installing $*"
    root apt-get update -qq
    root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# Debian's compiler has no core library for the target: it builds one.
use_debian() {
    [ -d /usr/src/rustc-*/library ] 2>/dev/null && [ -x /usr/bin/ld.lld ] || install rustc-web cargo-web rust-web-src lld
    cargo=(env PATH="/usr/bin:/bin" RUSTC_BOOTSTRAP=1
        RUSTFLAGS="-C linker=/usr/bin/ld.lld -C linker-flavor=ld.lld --cfg sha2_backend=\"soft\" --cfg sha2_backend_soft=\"compact\""
        /usr/bin/cargo)
    arguments=(-Zbuild-std=core,alloc)
}

firmware() { # name of the copy, cargo's arguments
    local name=$1
    shift
    "${cargo[@]}" build --release --target "$triple" --bin symbolon-firmware "${arguments[@]}" "$@"
    cp "$CARGO_TARGET_DIR/$triple/release/symbolon-firmware" "$CARGO_TARGET_DIR/$name"
}

stage() {
    local started=$SECONDS
    echo "--- $1"
    "${@:2}"
    echo "--- $1: $((SECONDS - started)) s"
}

if ! timeout 120 rustup target add "$triple"; then
    echo "no $triple by rustup; by Debian's compiler, then"
    use_debian
fi
command -v qemu-system-arm >/dev/null || install qemu-system-arm

build() {
    firmware uart
    firmware net --no-default-features --features net
    firmware tiny --features tiny-heap
    # From outside, so that the firmware's own configuration for its target does not hold.
    (cd ../firmware-host && cargo build)
}
stage "building" build

host=$CARGO_TARGET_DIR/debug/symbolon-firmware-host
stage "over the UART, against the adapter for std" timeout 160 "$host" uart "$CARGO_TARGET_DIR/uart"
stage "over TCP, against the adapter for tokio" timeout 160 "$host" tcp "$CARGO_TARGET_DIR/net"
stage "a heap too small" timeout 30 "$host" dies "$CARGO_TARGET_DIR/tiny" "memory allocation"
