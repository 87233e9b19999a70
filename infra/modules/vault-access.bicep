// What the app may do with the vaults of one resource group: find a CA in each, and have keys sign, all of a vault or
// those that are named. Reading secrets, and with them private keys, is only in the role where the app is meant to pull
// keys.

@description('Name of the function app; the role is its own.')
param appName string

@description('Object id of the identity of the app.')
param principalId string

@description('Ids of all vaults searched; the role is given on those of this resource group.')
param vaults array

@description('Ids of the keys that may sign. None: all keys of the vaults.')
param signingKeys array

@description('What may be done with CA keys.')
@allowed([
  'sign-in-vault'
  'read-secret'
])
param keyAccess string

var prefix = toLower('${resourceGroup().id}/')

// The id does not depend on keyAccess: going back to sign-in-vault narrows the role where it is given.
resource role 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, appName, 'vault')
  properties: {
    type: 'CustomRole'
    roleName: 'Keyholder vault, ${appName}, ${uniqueString(resourceGroup().id)}'
    description: 'Find CA certificates in Key Vault.'
    assignableScopes: [
      resourceGroup().id
    ]
    permissions: [
      {
        actions: []
        // With the role below, the same as keyholder::permissions::DATA_ACTIONS and DATA_ACTIONS_TO_READ_SECRETS.
        dataActions: concat([
          'Microsoft.KeyVault/vaults/certificates/read'
        ], keyAccess == 'read-secret' ? [
          'Microsoft.KeyVault/vaults/secrets/readMetadata/action'
          'Microsoft.KeyVault/vaults/secrets/getSecret/action'
        ] : [])
      }
    ]
  }
}

resource signingRole 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, appName, 'sign')
  properties: {
    type: 'CustomRole'
    roleName: 'Keyholder signing, ${appName}, ${uniqueString(resourceGroup().id)}'
    description: 'Have keys in Key Vault sign.'
    assignableScopes: [
      resourceGroup().id
    ]
    permissions: [
      {
        actions: []
        dataActions: [
          'Microsoft.KeyVault/vaults/keys/sign/action'
        ]
      }
    ]
  }
}

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' existing = [for id in vaults: {
  name: last(split(id, '/'))
}]

resource key 'Microsoft.KeyVault/vaults/keys@2024-11-01' existing = [for id in signingKeys: {
  name: '${split(id, '/')[8]}/${last(split(id, '/'))}'
}]

resource appFindsCas 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (id, index) in vaults: if (startsWith(toLower(id), prefix)) {
  scope: vault[index]
  name: guid(id, principalId, role.name)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.name)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}]

resource appSignsWithAllKeys 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (id, index) in vaults: if (empty(signingKeys) && startsWith(toLower(id), prefix)) {
  scope: vault[index]
  name: guid(id, principalId, signingRole.name)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', signingRole.name)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}]

resource appSignsWithOneKey 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (id, index) in signingKeys: if (startsWith(toLower(id), prefix)) {
  scope: key[index]
  name: guid(id, principalId, signingRole.name)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', signingRole.name)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}]
