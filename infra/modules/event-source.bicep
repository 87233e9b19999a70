// The uploads to the DPS instances of this resource group, as events for the app. DPS has no events of its own; an
// upload is a write that Azure Resource Manager reports.

@description('Id of the function app.')
param functionAppId string

@description('Name of the system topic.')
param topicName string

@description('Whether events that could not be delivered are kept.')
param deadLetters bool

@description('Id of the storage account that they are kept in.')
param storageAccountId string

var deadLetterContainer = 'dead-letters'

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' = {
  name: topicName
  location: 'global'
  identity: {
    type: deadLetters ? 'SystemAssigned' : 'None'
  }
  properties: {
    source: resourceGroup().id
    topicType: 'Microsoft.Resources.ResourceGroups'
  }
}

module deadLetterAccess 'dead-letter-access.bicep' = if (deadLetters) {
  scope: resourceGroup(split(storageAccountId, '/')[2], split(storageAccountId, '/')[4])
  params: {
    storageName: last(split(storageAccountId, '/'))
    container: deadLetterContainer
    principalId: deadLetters ? topic.identity.principalId : ''
  }
}

resource uploads 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: topic
  name: last(split(functionAppId, '/'))
  dependsOn: [
    deadLetterAccess
  ]
  properties: {
    // Event Grid gets the function's key by itself; there is none in this deployment.
    destination: {
      endpointType: 'AzureFunction'
      properties: {
        resourceId: '${functionAppId}/functions/VerifyOnUpload'
        // Deliveries succeed or fail as a whole, and one CA has nothing to do with another.
        maxEventsPerBatch: 1
      }
    }
    eventDeliverySchema: 'EventGridSchema'
    filter: {
      // The same as keyholder::event::EVENT_TYPE.
      includedEventTypes: [
        'Microsoft.Resources.ResourceWriteSuccess'
      ]
      advancedFilters: [
        {
          operatorType: 'StringIn'
          key: 'data.operationName'
          // The same as keyholder::event::OPERATION_NAME.
          values: [
            'Microsoft.Devices/provisioningServices/certificates/write'
          ]
        }
      ]
    }
    // As long as Event Grid ever tries.
    retryPolicy: {
      maxDeliveryAttempts: 30
      eventTimeToLiveInMinutes: 1440
    }
    deadLetterWithResourceIdentity: deadLetters ? {
      identity: {
        type: 'SystemAssigned'
      }
      deadLetterDestination: {
        endpointType: 'StorageBlob'
        properties: {
          resourceId: storageAccountId
          blobContainerName: deadLetterContainer
        }
      }
    } : null
  }
}
