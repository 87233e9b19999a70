// Sends the audit log of the vaults of one resource group to the workspace of the app: who had which key sign, and when.

@description('Name of the function app; the diagnostic settings are its own.')
param appName string

@description('Ids of all vaults searched; those of this resource group are logged.')
param vaults array

@description('Id of the workspace that takes the log.')
param workspaceId string

var prefix = toLower('${resourceGroup().id}/')

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' existing = [for id in vaults: {
  name: last(split(id, '/'))
}]

resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = [for (id, index) in vaults: if (startsWith(toLower(id), prefix)) {
  scope: vault[index]
  name: appName
  properties: {
    workspaceId: workspaceId
    // The table AZKVAuditLogs, which key-watch.bicep asks.
    logAnalyticsDestinationType: 'Dedicated'
    logs: [
      {
        category: 'AuditEvent'
        enabled: true
      }
    ]
  }
}]
