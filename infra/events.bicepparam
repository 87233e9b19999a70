// From the environment, with the outputs of main.bicep in it: azd puts them there. See README.md.
using './events.bicep'

param functionAppId = readEnvironmentVariable('FUNCTION_APP_ID')
param storageAccountId = readEnvironmentVariable('STORAGE_ACCOUNT_ID')
param registries = split(readEnvironmentVariable('DPS_IDS'), ',')
param topicName = readEnvironmentVariable('TOPIC_NAME', 'keyholder')
param deadLetters = bool(readEnvironmentVariable('DEAD_LETTERS', 'false'))
