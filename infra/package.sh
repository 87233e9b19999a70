#!/usr/bin/env bash
# Builds the handler as one static binary, which runs on any Functions image, and lays the app out as the host wants
# it: target/app for azd, target/app.zip for az.
set -euo pipefail
cd "$(dirname "$0")/.."

triple=x86_64-unknown-linux-musl
command -v musl-gcc >/dev/null || {
    echo "OpenSSL is built with musl-gcc, which is missing: apt-get install musl-tools" >&2
    exit 1
}
rustup target add "$triple"
unset OPENSSL_NO_VENDOR # the system's OpenSSL is not a static one
cargo build --release --locked --target "$triple" --package keyholder-functions --bin handler

app=target/app
rm -rf "$app" "$app.zip"
install -D -m 644 host.json "$app/host.json"
install -D -m 755 "${CARGO_TARGET_DIR:-target}/$triple/release/handler" "$app/handler"
for function in functions/*/function.json; do
    install -D -m 644 "$function" "$app/${function#functions/}"
done
# zip keeps the execute bit.
(cd "$app" && zip --quiet --recurse-paths ../app.zip .)
echo "packaged: $app, $app.zip"
