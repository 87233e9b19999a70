// The function app and its rights. What sends it events is deployed after its code: see events.bicep.
targetScope = 'subscription'

@description('Name of this deployment, a part of the names of what it makes. The name of the azd environment.')
@minLength(2)
@maxLength(16)
param name string

@description('Region of the app; one with the Flex Consumption plan (az functionapp list-flexconsumption-locations).')
param location string

@description('Resource group of the app, made if there is none.')
param resourceGroupName string = 'rg-${name}'

@description('Ids of the existing DPS instances to serve; they may be in several resource groups and subscriptions.')
@minLength(1)
param registries array

@description('Ids of the existing Key Vaults to search for CAs, in this order. They use role-based access control.')
@minLength(1)
param vaults array

@description('Ids of the keys that may sign: the id of the vault with /keys/NAME behind it. None: all keys of the vaults, which then should hold nothing but CAs for these DPS instances.')
param signingKeys array = []

@description('What may be done with CA keys: have them sign in the vault, or also pull them out of secrets.')
@allowed([
  'sign-in-vault'
  'read-secret'
])
param keyAccess string = 'sign-in-vault'

@description('Whether the app signs with an identity that outlives it, or one that is made and deleted with it.')
@allowed([
  'user-assigned'
  'system-assigned'
])
param identity string = 'user-assigned'

@description('Seconds that one verification may take; Event Grid waits 30.')
@minValue(1)
@maxValue(29)
param deadline int = 25

@description('How many verifications run at once on one instance.')
@minValue(1)
@maxValue(1000)
param atOnce int = 64

@description('When to look for what events missed, as NCRONTAB.')
param sweepSchedule string = '0 */15 * * * *'

@description('Thumbprints of CA certificates that no vault holds and that may be verified all the same.')
param verifiedByHand array = []

@description('Untried in Azure. What a policy does about uploads with isVerified: true in the resource groups of the DPS instances.')
@allowed([
  'none'
  'Audit'
  'Deny'
])
param verifiedUploads string = 'none'

@description('Filter of the log, in the form of the tracing library.')
param log string = 'info'

@description('Memory of an instance, which is what an execution costs by.')
@allowed([
  512
  2048
  4096
])
param instanceMemoryMB int = 2048

@description('The most instances at a time. Uploads are rare; more would only wait for each other.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('How stored data is replicated. Nothing is stored that could not be deployed again.')
@allowed([
  'Standard_LRS'
  'Standard_ZRS'
])
param storageSku string = 'Standard_LRS'

@description('Days that logs are kept.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 90

@description('Ids of the action groups that are told of denials and failures. None: they show in the portal only.')
param alertActionGroups array = []

@description('Whether the audit log of the vaults is kept with the log of the app, and an alert is raised when anyone else has a key of the vaults sign.')
param watchKeys bool = true

@description('Object ids of those who may have keys of the vaults sign without an alert, such as a program that issues certificates with these CAs.')
param otherSigners array = []

var token = uniqueString(subscription().id, name, location)
var appName = '${name}-${token}'
var tags = {
  'azd-env-name': name
}

// One module for each resource group, because a role is defined once in it and given on each instance.
var registryGroups = union(registryGroupOf, [])
var registryGroupOf = [for id in registries: toLower(join(take(split(id, '/'), 5), '/'))]
var vaultGroups = union(vaultGroupOf, [])
var vaultGroupOf = [for id in vaults: toLower(join(take(split(id, '/'), 5), '/'))]
var vaultUrls = [for id in vaults: 'https://${last(split(id, '/'))}${environment().suffixes.keyvaultDns}']

resource group 'Microsoft.Resources/resourceGroups@2024-11-01' = {
  name: resourceGroupName
  location: location
  tags: tags
}

module observability 'modules/observability.bicep' = {
  scope: group
  params: {
    name: appName
    location: location
    tags: tags
    retentionDays: logRetentionDays
  }
}

module alerts 'modules/alerts.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    insightsName: observability.outputs.insightsName
    actionGroups: alertActionGroups
  }
}

module storage 'modules/storage.bicep' = {
  scope: group
  params: {
    name: 'keyholder${token}'
    location: location
    tags: tags
    sku: storageSku
  }
}

module hostAccess 'modules/host-access.bicep' = {
  scope: group
  params: {
    storageName: storage.outputs.name
    packageContainer: storage.outputs.packageContainer
    stateContainer: storage.outputs.stateContainer
    keysContainer: storage.outputs.keysContainer
    insightsName: observability.outputs.insightsName
    principalId: app.outputs.hostPrincipalId
  }
}

module app 'modules/app.bicep' = {
  scope: group
  params: {
    name: appName
    location: location
    tags: tags
    storageName: storage.outputs.name
    packageContainer: storage.outputs.packageContainer
    insightsName: observability.outputs.insightsName
    identity: identity
    registries: join(registries, ',')
    vaults: join(vaultUrls, ',')
    keyAccess: keyAccess
    deadline: deadline
    atOnce: atOnce
    sweepSchedule: sweepSchedule
    verifiedByHand: verifiedByHand
    log: log
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
  }
}

module registryAccess 'modules/registry-access.bicep' = [for id in registryGroups: {
  scope: resourceGroup(split(id, '/')[2], split(id, '/')[4])
  params: {
    appName: appName
    principalId: app.outputs.principalId
    registries: registries
  }
}]

module vaultAccess 'modules/vault-access.bicep' = [for id in vaultGroups: {
  scope: resourceGroup(split(id, '/')[2], split(id, '/')[4])
  params: {
    appName: appName
    principalId: app.outputs.principalId
    vaults: vaults
    signingKeys: signingKeys
    keyAccess: keyAccess
  }
}]

module vaultLogs 'modules/vault-logs.bicep' = [for id in vaultGroups: if (watchKeys) {
  scope: resourceGroup(split(id, '/')[2], split(id, '/')[4])
  params: {
    appName: appName
    vaults: vaults
    workspaceId: observability.outputs.workspaceId
  }
}]

module keyWatch 'modules/key-watch.bicep' = if (watchKeys) {
  scope: group
  params: {
    location: location
    tags: tags
    workspaceName: observability.outputs.workspaceName
    principalId: app.outputs.principalId
    otherSigners: otherSigners
    actionGroups: alertActionGroups
  }
}

// A policy is defined once in each subscription and assigned to each resource group with DPS instances.
var registrySubscriptions = union(registrySubscriptionOf, [])
var registrySubscriptionOf = [for id in registries: toLower(split(id, '/')[2])]

module uploadPolicy 'modules/upload-policy.bicep' = [for id in registrySubscriptions: if (verifiedUploads != 'none') {
  name: 'keyholder-upload-policy'
  scope: subscription(id)
  params: {
    appName: appName
  }
}]

module uploadPolicyAssignment 'modules/upload-policy-assignment.bicep' = [for id in registryGroups: if (verifiedUploads != 'none') {
  name: 'keyholder-upload-policy-assignment'
  scope: resourceGroup(split(id, '/')[2], split(id, '/')[4])
  dependsOn: [
    uploadPolicy
  ]
  params: {
    appName: appName
    effect: verifiedUploads == 'Deny' ? 'Deny' : 'Audit'
  }
}]

@description('Resource group of the app; azd finds the app in it.')
output AZURE_RESOURCE_GROUP string = group.name

@description('Name of the function app.')
output FUNCTION_APP_NAME string = appName

@description('Id of the function app, which events.bicep takes.')
output FUNCTION_APP_ID string = app.outputs.id

@description('Id of the storage account, which events.bicep takes for dead letters.')
output STORAGE_ACCOUNT_ID string = storage.outputs.id
