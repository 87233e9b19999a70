#!/usr/bin/env bash
# Deploys events.bicep, once the function it sends to is there. azd runs it with its environment; az has to be logged
# in on its own.
set -euo pipefail
cd "$(dirname "$0")"

az deployment sub create \
    --subscription "$AZURE_SUBSCRIPTION_ID" \
    --name "keyholder-events-$AZURE_ENV_NAME" \
    --location "$AZURE_LOCATION" \
    --parameters events.bicepparam \
    --output none
