// UNTRIED: this has never been deployed to Azure. Assigns the policy of upload-policy.bicep to a resource group with DPS
// instances.

@description('Name of the app, which makes the name of the definition unique.')
param appName string

@description('What the policy does: Audit or Deny.')
@allowed([
  'Audit'
  'Deny'
])
param effect string

resource assignment 'Microsoft.Authorization/policyAssignments@2025-01-01' = {
  name: take('verified-uploads-${appName}', 64)
  properties: {
    displayName: 'CA certificates are not uploaded to DPS as verified'
    policyDefinitionId: subscriptionResourceId('Microsoft.Authorization/policyDefinitions', '${appName}-verified-uploads')
    enforcementMode: 'Default'
    parameters: {
      effect: {
        value: effect
      }
    }
    nonComplianceMessages: [
      {
        message: 'Upload the CA certificate without isVerified: true. Possession of its key is proven then.'
      }
    ]
  }
}
