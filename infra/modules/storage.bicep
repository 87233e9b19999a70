// What the Functions host keeps: the app's package, the locks of its timer, its own function keys, each in a container
// of its own. Roles are given at the containers, in host-access.bicep. The account has no keys that work, so nothing
// can be handed a connection string.

@description('Name of the storage account.')
@minLength(3)
@maxLength(24)
param name string

@description('Region.')
param location string

@description('Tags of the storage account.')
param tags object

@description('How its data is replicated.')
param sku string

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: {
    name: sku
  }
  properties: {
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    // The host has no virtual network, so it comes from outside too. What keeps others out is that only its identity
    // has a role here.
    publicNetworkAccess: 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: 'Allow'
    }
  }

  resource blobs 'blobServices' = {
    name: 'default'
    properties: {
      deleteRetentionPolicy: {
        enabled: true
        days: 7
      }
      containerDeleteRetentionPolicy: {
        enabled: true
        days: 7
      }
    }

    resource package 'containers' = {
      name: 'app-package'
    }

    // The host makes these two by itself where it may. Here it may not: its roles are at containers that exist.
    resource state 'containers' = {
      name: 'azure-webjobs-hosts'
    }

    resource functionKeys 'containers' = {
      name: 'azure-webjobs-secrets'
    }

    // Used by events.bicep, where it can be.
    resource deadLetters 'containers' = {
      name: 'dead-letters'
    }
  }
}

@description('Id of the storage account.')
output id string = account.id

@description('Name of the storage account.')
output name string = account.name

@description('Name of the container that the app is deployed from.')
output packageContainer string = account::blobs::package.name

@description('Name of the container that the Functions host keeps its locks and timers in.')
output stateContainer string = account::blobs::state.name

@description('Name of the container that the Functions host keeps its function keys in.')
output keysContainer string = account::blobs::functionKeys.name
