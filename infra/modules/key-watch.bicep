// An alert on signatures with keys of the vaults by anyone but the app. vault-logs.bicep sends it the log.

@description('Region of the rule; that of the workspace.')
param location string

@description('Tags of all resources.')
param tags object

@description('Name of the workspace that takes the audit log of the vaults.')
param workspaceName string

@description('Object id of the identity that has CA keys sign.')
param principalId string

@description('Object ids of those who also may.')
param otherSigners array

@description('Ids of the action groups that are told. None: the alert shows in the portal only.')
param actionGroups array

var signers = toLower(join(concat([principalId], otherSigners), ','))

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-02-01' existing = {
  name: workspaceName
}

resource foreignSignatures 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: '${workspaceName}-foreign-signatures'
  location: location
  tags: tags
  properties: {
    displayName: 'A CA key was used by someone other than Keyholder'
    description: 'An identity that is not the one of the app had a key in one of the vaults sign, or tried to.'
    severity: 1
    enabled: true
    // Audit events come some minutes late: each is looked at in several windows, and the alert stays one.
    evaluationFrequency: 'PT15M'
    windowSize: 'PT1H'
    // The table is there only once the first event has come.
    skipQueryValidation: true
    scopes: [
      workspace.id
    ]
    criteria: {
      allOf: [
        {
          query: replace('''
AZKVAuditLogs
| where OperationName == "KeySign"
| extend signer = tolower(coalesce(tostring(Identity.claim.oid), tostring(Identity.claim["http://schemas.microsoft.com/identity/claims/objectidentifier"])))
| where signer !in (split("SIGNERS", ","))
| project key = tostring(split(RequestUri, "?")[0]), signer, CallerIpAddress, ClientInfo
''', 'SIGNERS', signers)
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          dimensions: [
            {
              name: 'signer'
              operator: 'Include'
              values: [
                '*'
              ]
            }
          ]
        }
      ]
    }
    actions: {
      actionGroups: actionGroups
    }
  }
}
