// Alerts on what a person has to look at: denials, failures that are not delivered again, and certificates that are
// verified without proof.

@description('Region of the rules; that of the Application Insights resource.')
param location string

@description('Tags of all resources.')
param tags object

@description('Name of the Application Insights resource that the app logs to.')
param insightsName string

@description('Ids of the action groups that are told. None: the alerts show in the portal only.')
param actionGroups array

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource denials 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: '${insightsName}-denials'
  location: location
  tags: tags
  properties: {
    displayName: 'Keyholder denied a certificate'
    description: 'Somebody uploaded a CA certificate that one of the two locks does not allow.'
    severity: 2
    enabled: true
    evaluationFrequency: 'PT15M'
    windowSize: 'PT15M'
    scopes: [
      insights.id
    ]
    criteria: {
      allOf: [
        {
          query: '''
traces
| extend line = parse_json(message)
| where line.event == "verification.ended" and line.outcome in ("registry-not-allowed", "no-grant")
| project certificate = tostring(line.certificateId), outcome = tostring(line.outcome)
'''
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          dimensions: [
            {
              name: 'certificate'
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

resource failures 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: '${insightsName}-failures'
  location: location
  tags: tags
  properties: {
    displayName: 'Keyholder could not verify a certificate'
    description: 'A verification failed in a way that a person has to mend; delivering the event again would not help.'
    severity: 1
    enabled: true
    evaluationFrequency: 'PT15M'
    windowSize: 'PT15M'
    scopes: [
      insights.id
    ]
    criteria: {
      allOf: [
        {
          query: '''
traces
| extend line = parse_json(message)
| where line.event == "verification.ended" and line.answer == "needs-action"
| where line.outcome !in ("registry-not-allowed", "no-grant", "verified-without-proof")
| project certificate = tostring(line.certificateId), outcome = tostring(line.outcome)
'''
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          dimensions: [
            {
              name: 'certificate'
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

// The sweep reports them again every quarter of an hour, so an alert stays fired until each is deleted or accounted for.
resource unproven 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: '${insightsName}-unproven'
  location: location
  tags: tags
  properties: {
    displayName: 'A certificate is verified without proof'
    description: 'A CA certificate counts as verified, and neither a proof by Keyholder nor a granted CA in a vault accounts for it.'
    severity: 1
    enabled: true
    evaluationFrequency: 'PT15M'
    windowSize: 'PT1H'
    scopes: [
      insights.id
    ]
    criteria: {
      allOf: [
        {
          query: '''
traces
| extend line = parse_json(message)
| where line.event == "sweep.unproven" or (line.event == "verification.ended" and line.outcome == "verified-without-proof")
| extend certificates = iff(line.event == "sweep.unproven", split(tostring(line.certificates), ", "), pack_array(tostring(line.certificateId)))
| mv-expand certificate = certificates to typeof(string)
| project certificate
'''
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          dimensions: [
            {
              name: 'certificate'
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
