# Source this to have az, in this shell, work with the emulator that `cargo run -- up` started:
#
#     . docs/az-here.sh
#
# It fetches the CA to trust, and gives az a configuration folder of its own, so that your real one stays as it is.
# KEYHOLDER_ARM_ENDPOINT and IDENTITY_ENDPOINT say where the emulator is, if not at its standard addresses.

export IDENTITY_ENDPOINT=${IDENTITY_ENDPOINT:-http://127.0.0.1:8081/msi/token} IDENTITY_HEADER=${IDENTITY_HEADER:-any}
AZURE_CONFIG_DIR=$(mktemp -d)
export AZURE_CONFIG_DIR REQUESTS_CA_BUNDLE=$AZURE_CONFIG_DIR/emulator-ca.pem AZURE_CORE_ONLY_SHOW_ERRORS=true

curl -fsS "${IDENTITY_ENDPOINT%/msi/token}/_emulator/ca.pem" -o "$REQUESTS_CA_BUNDLE"
az cloud register --name keyholder --endpoint-resource-manager "${KEYHOLDER_ARM_ENDPOINT:-https://localhost:8443}"
az cloud set --name keyholder
az login --identity --output table
