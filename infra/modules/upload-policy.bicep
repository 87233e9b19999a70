// UNTRIED: this has never been deployed to Azure. A policy against uploads that say they need no proof.
//
// DPS asks for no proof of a certificate that is uploaded with `isVerified: true`. Only Azure Resource Manager can refuse
// such an upload, before DPS sees it. The alias is one of Azure's list of aliases, which says nothing about whether the
// service's requests are evaluated with it; try it with the effect Audit first.
targetScope = 'subscription'

@description('Name of the app, which makes the name of the definition unique.')
param appName string

resource definition 'Microsoft.Authorization/policyDefinitions@2025-01-01' = {
  name: '${appName}-verified-uploads'
  properties: {
    displayName: 'CA certificates are not uploaded to DPS as verified'
    description: 'Refuses CA certificates of Device Provisioning Services that are uploaded with isVerified: true, for which no proof of possession would be asked.'
    policyType: 'Custom'
    mode: 'All'
    metadata: {
      category: 'Internet of Things'
    }
    parameters: {
      effect: {
        type: 'String'
        allowedValues: [
          'Audit'
          'Deny'
          'Disabled'
        ]
        defaultValue: 'Audit'
      }
    }
    policyRule: {
      if: {
        allOf: [
          {
            field: 'type'
            equals: 'Microsoft.Devices/provisioningServices/certificates'
          }
          {
            field: 'Microsoft.Devices/provisioningServices/certificates/isVerified'
            equals: true
          }
        ]
      }
      then: {
        effect: '[parameters(\'effect\')]'
      }
    }
  }
}
