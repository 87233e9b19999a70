// What the host's identity may do: put the app's package into its container and fetch it, keep the host's state, write
// its logs. It has no role on a DPS instance or a vault, and the identity that signs has none here.

@description('Name of the storage account.')
param storageName string

@description('Name of the container that the app is deployed from.')
param packageContainer string

@description('Name of the container that the host keeps its locks and timers in.')
param stateContainer string

@description('Name of the container that the host keeps its function keys in.')
param keysContainer string

@description('Name of the Application Insights resource that takes the logs.')
param insightsName string

@description('Object id of the identity of the host.')
param principalId string

// Built-in roles have the same ids everywhere.
var storageBlobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
var storageBlobDataOwner = 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
var monitoringMetricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb'

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: storageName

  resource blobs 'blobServices' existing = {
    name: 'default'

    resource package 'containers' existing = {
      name: packageContainer
    }

    resource state 'containers' existing = {
      name: stateContainer
    }

    resource functionKeys 'containers' existing = {
      name: keysContainer
    }
  }
}

// A deployment of code goes through the platform, which writes the package with this identity.
resource hostDeploysThePackage 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: account::blobs::package
  name: guid(account::blobs::package.id, principalId, storageBlobDataContributor)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageBlobDataContributor)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

resource hostKeepsItsState 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: account::blobs::state
  name: guid(account::blobs::state.id, principalId, storageBlobDataOwner)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageBlobDataOwner)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

resource hostKeepsItsKeys 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: account::blobs::functionKeys
  name: guid(account::blobs::functionKeys.id, principalId, storageBlobDataOwner)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageBlobDataOwner)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

resource hostWritesLogs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: insights
  name: guid(insights.id, principalId, monitoringMetricsPublisher)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', monitoringMetricsPublisher)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}
