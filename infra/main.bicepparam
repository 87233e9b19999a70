// From the environment: `azd env set NAME value`, or `export` for plain az. See README.md.
using './main.bicep'

param name = readEnvironmentVariable('AZURE_ENV_NAME')
param location = readEnvironmentVariable('AZURE_LOCATION')
param registries = split(readEnvironmentVariable('DPS_IDS'), ',')
param vaults = split(readEnvironmentVariable('VAULT_IDS'), ',')
param signingKeys = filter(split(readEnvironmentVariable('KEY_IDS', ''), ','), id => !empty(id))
param keyAccess = readEnvironmentVariable('KEY_ACCESS', 'sign-in-vault')
param identity = readEnvironmentVariable('APP_IDENTITY', 'user-assigned')
param watchKeys = bool(readEnvironmentVariable('WATCH_KEYS', 'true'))
param otherSigners = filter(split(readEnvironmentVariable('OTHER_SIGNERS', ''), ','), id => !empty(id))
param verifiedByHand = split(readEnvironmentVariable('VERIFIED_BY_HAND', ''), ',')
param verifiedUploads = readEnvironmentVariable('VERIFIED_UPLOADS', 'none')
