// Who sends the app its events: one Event Grid topic and subscription for each resource group with DPS instances.
// Deployed after the app's code, because Event Grid refuses to send to a function that does not exist yet.
targetScope = 'subscription'

@description('Id of the function app: the output FUNCTION_APP_ID of main.bicep.')
param functionAppId string

@description('Ids of the allowed DPS instances, the same as for main.bicep.')
@minLength(1)
param registries array

@description('Name of the system topics. Azure allows one for each resource group: where there is one, give its name.')
@minLength(3)
@maxLength(50)
param topicName string = 'keyholder'

@description('Whether events that could not be delivered within a day are kept as blobs. Off, because Azure documents that a topic of a resource group cannot have the identity this takes; SweepUnverified finds what was lost.')
param deadLetters bool = false

@description('Id of the storage account for dead letters: the output STORAGE_ACCOUNT_ID of main.bicep.')
param storageAccountId string

var registryGroups = union(registryGroupOf, [])
var registryGroupOf = [for id in registries: toLower(join(take(split(id, '/'), 5), '/'))]

module uploads 'modules/event-source.bicep' = [for id in registryGroups: {
  scope: resourceGroup(split(id, '/')[2], split(id, '/')[4])
  params: {
    functionAppId: functionAppId
    topicName: topicName
    deadLetters: deadLetters
    storageAccountId: storageAccountId
  }
}]
