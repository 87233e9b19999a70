// The function app: one plan, one app with the custom runtime, and two identities. The host's fetches the package, keeps
// the host's state and writes logs (host-access.bicep). The app's has the CA keys sign (registry-access.bicep and
// vault-access.bicep), and no role on anything in this resource group.

@description('Name of the function app, and of what belongs to it.')
param name string

@description('Region.')
param location string

@description('Tags of all resources.')
param tags object

@description('Name of the storage account that the Functions host uses.')
param storageName string

@description('Name of the container that the app is deployed from.')
param packageContainer string

@description('Name of the Application Insights resource that takes the logs.')
param insightsName string

@description('Which kind of identity the app signs with.')
@allowed([
  'user-assigned'
  'system-assigned'
])
param identity string

@description('Comma-separated ids of the DPS instances to serve.')
param registries string

@description('Comma-separated URLs of the vaults to search, in order.')
param vaults string

@description('What may be done with CA keys.')
@allowed([
  'sign-in-vault'
  'read-secret'
])
param keyAccess string

@description('Seconds that one verification may take.')
param deadline int

@description('How many verifications run at once on one instance.')
param atOnce int

@description('When to look for what events missed, as NCRONTAB.')
param sweepSchedule string

@description('Thumbprints of CA certificates that no vault holds and that may be verified all the same.')
param verifiedByHand array

@description('Filter of the log.')
param log string

@description('Memory of an instance.')
param instanceMemoryMB int

@description('The most instances at a time.')
param maximumInstanceCount int

var userAssigned = identity == 'user-assigned'
var clientId = userAssigned ? own!.properties.clientId : ''
var principalId = userAssigned ? own!.properties.principalId : app.identity.principalId

resource storage 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: storageName
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource host 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: '${name}-host'
  location: location
  tags: tags
}

resource own 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = if (userAssigned) {
  name: name
  location: location
  tags: tags
}

resource plan 'Microsoft.Web/serverfarms@2024-11-01' = {
  name: name
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    tier: 'FlexConsumption'
    name: 'FC1'
  }
  properties: {
    reserved: true
  }
}

resource app 'Microsoft.Web/sites@2024-11-01' = {
  name: name
  location: location
  kind: 'functionapp,linux'
  tags: union(tags, {
    'azd-service-name': 'handler'
  })
  identity: userAssigned ? {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${host.id}': {}
      '${own.id}': {}
    }
  } : {
    type: 'SystemAssigned, UserAssigned'
    userAssignedIdentities: {
      '${host.id}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    // Event Grid calls from outside. It brings a key that it reads from the app itself.
    publicNetworkAccess: 'Enabled'
    functionAppConfig: {
      runtime: {
        name: 'custom'
        version: '1.0'
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
      }
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${storage.properties.primaryEndpoints.blob}${packageContainer}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: host.id
          }
        }
      }
    }
    siteConfig: {
      ftpsState: 'Disabled'
      http20Enabled: true
      minTlsVersion: '1.2'
      // tests/suite/infrastructure.rs holds the names against what the app and the host read.
      appSettings: concat([
        { name: 'AzureWebJobsStorage__accountName', value: storage.name }
        { name: 'AzureWebJobsStorage__credential', value: 'managedidentity' }
        { name: 'AzureWebJobsStorage__clientId', value: host.properties.clientId }
        { name: 'APPLICATIONINSIGHTS_CONNECTION_STRING', value: insights.properties.ConnectionString }
        { name: 'APPLICATIONINSIGHTS_AUTHENTICATION_STRING', value: 'ClientId=${host.properties.clientId};Authorization=AAD' }
        { name: 'KEYHOLDER_REGISTRIES', value: registries }
        { name: 'KEYHOLDER_VAULTS', value: vaults }
        { name: 'KEYHOLDER_KEY_ACCESS', value: keyAccess }
        { name: 'KEYHOLDER_IDENTITY', value: 'managed' }
        { name: 'KEYHOLDER_ARM_ENDPOINT', value: environment().resourceManager }
        { name: 'KEYHOLDER_DEADLINE', value: string(deadline) }
        { name: 'KEYHOLDER_AT_ONCE', value: string(atOnce) }
        { name: 'KEYHOLDER_VERIFIED_BY_HAND', value: join(verifiedByHand, ',') }
        { name: 'KEYHOLDER_LOG', value: log }
        { name: 'KEYHOLDER_SWEEP_SCHEDULE', value: sweepSchedule }
      ], userAssigned ? [
        { name: 'AZURE_CLIENT_ID', value: clientId }
      ] : [])
    }
  }

  // Deployments are authenticated with Entra ID; the passwords that every site is born with are off.
  resource scmPassword 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: {
      allow: false
    }
  }

  resource ftpPassword 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: {
      allow: false
    }
  }
}

@description('Id of the function app.')
output id string = app.id

@description('Object id of the identity that fetches the package, keeps the state of the host and writes logs.')
output hostPrincipalId string = host.properties.principalId

@description('Object id of the identity that has CA keys sign.')
output principalId string = principalId
