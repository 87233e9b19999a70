#!/usr/bin/env bash
# Proof of possession the way the tutorial has it: the Azure CLI asks and hands in, openssl signs with the CA's key from a
# file. Made to be measured beside Keyholder (cargo run --release -- bench peers), so it says and repeats nothing; to read
# or to try it, take docs/tutorial.sh.
#
# Usage: tutorial.sh RESOURCE_GROUP INSTANCE NAME CA KEY      (CA and KEY are files, PEM; az is logged in)
set -euo pipefail
group=$1 instance=$2 name=$3 ca=$4 key=$5
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
dps=(--dps-name "$instance" --resource-group "$group" --certificate-name "$name" --output tsv)

az iot dps certificate create "${dps[@]}" --path "$ca" >/dev/null
etag=$(az iot dps certificate show "${dps[@]}" --query etag)
az iot dps certificate generate-verification-code "${dps[@]}" --etag "$etag" >/dev/null
code=$(az iot dps certificate show "${dps[@]}" --query properties.verificationCode)
openssl req -new -newkey rsa:2048 -nodes -subj "/CN=$code" -keyout "$work/proof.key" -out "$work/proof.csr" 2>/dev/null
openssl x509 -req -in "$work/proof.csr" -CA "$ca" -CAkey "$key" -CAcreateserial -CAserial "$work/serial" -days 1 \
    -sha256 -out "$work/proof.pem" 2>/dev/null
etag=$(az iot dps certificate show "${dps[@]}" --query etag)
az iot dps certificate verify "${dps[@]}" --path "$work/proof.pem" --etag "$etag" >/dev/null
test "$(az iot dps certificate show "${dps[@]}" --query properties.isVerified)" = true
