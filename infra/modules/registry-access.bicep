// What the app may do with the DPS instances of one resource group: look, ask for a code, submit a verification certificate. Not
// upload, not delete, not read the keys of the instance.

@description('Name of the function app; the role is its own.')
param appName string

@description('Object id of the identity of the app.')
param principalId string

@description('Ids of all allowed DPS instances; the role is given on those of this resource group.')
param registries array

var prefix = toLower('${resourceGroup().id}/')

resource role 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, appName, 'registry')
  properties: {
    type: 'CustomRole'
    roleName: 'Keyholder registry, ${appName}, ${uniqueString(resourceGroup().id)}'
    description: 'Prove possession of CA certificates that were uploaded to DPS.'
    assignableScopes: [
      resourceGroup().id
    ]
    permissions: [
      {
        // The same as keyholder::permissions::ACTIONS.
        actions: [
          'Microsoft.Devices/provisioningServices/Read'
          'Microsoft.Devices/provisioningServices/certificates/Read'
          'Microsoft.Devices/provisioningServices/certificates/generateVerificationCode/Action'
          'Microsoft.Devices/provisioningServices/certificates/verify/Action'
        ]
      }
    ]
  }
}

resource registry 'Microsoft.Devices/provisioningServices@2022-12-12' existing = [for id in registries: {
  name: last(split(id, '/'))
}]

resource appProvesPossession 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (id, index) in registries: if (startsWith(toLower(id), prefix)) {
  scope: registry[index]
  name: guid(id, principalId, role.name)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.name)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}]
