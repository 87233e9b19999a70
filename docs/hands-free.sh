#!/usr/bin/env bash
# The tutorial without its toil: put a CA into Key Vault, upload its certificate, and see Keyholder verify it. CI runs
# this very file.
#
# In another terminal:   cargo run -- up
# Needs:                 az (the Azure CLI), openssl, curl, and a machine that finds my-vault.vault.localhost
#                        (docs/clients.md says how, if it does not)
# Leaves behind:         nothing but the CA in the emulator
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

step "Make a CA, and put it into the vault, granted for one DPS instance"
openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj "/CN=Hands-free Root CA" -keyout ca.key -out ca.pem 2>/dev/null
cat ca.key ca.pem >ca-with-key.pem
run az keyvault certificate import --vault-name my-vault --name hands-free-ca --file ca-with-key.pem \
    --tags keyholder=my-dps-x509 --query id

step "Upload its certificate, and let go"
dps=(--dps-name my-dps-x509 --resource-group iot-x509-demo-rg)
run az iot dps certificate create "${dps[@]}" --certificate-name hands-free-ca --path ca.pem --query properties.isVerified

step "Look"
for _ in {1..100}; do
    verified=$(az iot dps certificate show "${dps[@]}" --certificate-name hands-free-ca --query properties.isVerified)
    [ "$verified" = false ] || break
done
echo "isVerified: $verified"
[ "$verified" = true ]
