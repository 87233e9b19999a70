#!/usr/bin/env bash
# Proof of possession by hand, with the Azure CLI, against the emulator. CI runs this very file.
#
# In another terminal:   cargo run -- up
# Needs:                 az (the Azure CLI), openssl, curl
# Leaves behind:         nothing
set -euo pipefail

step() { printf '\n# %s\n' "$*"; }
run() {
    printf '$ %s\n' "$*"
    "$@"
}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work" "${AZURE_CONFIG_DIR:?}"' EXIT
cd "$work"

step "Point az at the emulator"
. "$here/az-here.sh"

step "Make a root CA, and an intermediate CA that it signs"
openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj "/CN=Tutorial Root CA" \
    -keyout root-ca.key -out root-ca.pem 2>/dev/null
openssl req -new -newkey rsa:2048 -nodes -subj "/CN=Tutorial Intermediate CA" \
    -keyout intermediate-ca.key -out intermediate-ca.csr 2>/dev/null
printf 'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n' >ca.ext
openssl x509 -req -in intermediate-ca.csr -CA root-ca.pem -CAkey root-ca.key -days 180 -extfile ca.ext \
    -out intermediate-ca.pem 2>/dev/null

dps=(--dps-name my-dps-x509 --resource-group iot-x509-demo-rg)
for ca in root-ca intermediate-ca; do
    step "$ca: upload it; it is unverified"
    run az iot dps certificate create "${dps[@]}" --certificate-name "$ca" --path "$ca.pem"
    uploaded=$(az iot dps certificate show "${dps[@]}" --certificate-name "$ca" --query etag --output tsv)

    step "$ca: ask for a verification code"
    run az iot dps certificate generate-verification-code "${dps[@]}" --certificate-name "$ca" --etag "$uploaded" \
        --query properties.verificationCode
    code=$(az iot dps certificate show "${dps[@]}" --certificate-name "$ca" \
        --query properties.verificationCode --output tsv)

    step "$ca: sign a certificate whose common name is the code"
    openssl req -new -newkey rsa:2048 -nodes -subj "/CN=$code" -keyout proof.key -out proof.csr 2>/dev/null
    run openssl x509 -req -in proof.csr -CA "$ca.pem" -CAkey "$ca.key" -days 1 -out proof.pem

    step "$ca: hand it in with the etag of the upload; the code has made that stale, so it is refused"
    if az iot dps certificate verify "${dps[@]}" --certificate-name "$ca" --path proof.pem --etag "$uploaded" \
        2>refusal; then
        echo "a stale etag went through" >&2
        exit 1
    fi
    grep 'Invalid ETag supplied' refusal

    step "$ca: hand it in with the current etag; it is verified"
    etag=$(az iot dps certificate show "${dps[@]}" --certificate-name "$ca" --query etag --output tsv)
    run az iot dps certificate verify "${dps[@]}" --certificate-name "$ca" --path proof.pem --etag "$etag" \
        --query properties.isVerified
done

step "Both are verified"
run az iot dps certificate list "${dps[@]}" --output table \
    --query 'value[].{Name: name, Subject: properties.subject, Verified: properties.isVerified}'

for ca in root-ca intermediate-ca; do
    step "$ca: delete it"
    etag=$(az iot dps certificate show "${dps[@]}" --certificate-name "$ca" --query etag --output tsv)
    run az iot dps certificate delete "${dps[@]}" --certificate-name "$ca" --etag "$etag"
done
test "$(az iot dps certificate list "${dps[@]}" --query 'length(value)')" = 0
