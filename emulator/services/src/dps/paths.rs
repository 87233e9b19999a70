//! Every path DPS answers, with the actions roles and events know, and the names the journal and faults know.

use crate::arm::{Below, Form, Path, Paths, Verb, verb};
use crate::steering::operation::Operation;

/// Where DPS is in Azure Resource Manager.
const NAMESPACE: &str = "Microsoft.Devices";

pub(super) const INSTANCES: &str = "provisioningServices";
pub(super) const INSTANCE: &str = "provisioningServices/{}";
pub(super) const NAME_AVAILABILITY: &str = "checkProvisioningServiceNameAvailability";
pub(super) const OPERATION_RESULT: &str = "provisioningServices/{}/operationResults/{}";
pub(super) const REGIONAL_OPERATION_RESULT: &str = "locations/{}/provisioningServiceOperationResults/{}";
pub(super) const CERTIFICATES: &str = "provisioningServices/{}/certificates";
pub(super) const CERTIFICATE: &str = "provisioningServices/{}/certificates/{}";
pub(super) const GENERATE_CODE: &str = "provisioningServices/{}/certificates/{}/generateVerificationCode";
pub(super) const VERIFY: &str = "provisioningServices/{}/certificates/{}/verify";

/// What looking at an instance is called, or at all of a resource group.
pub(super) const READ_INSTANCE: &str = "Microsoft.Devices/provisioningServices/read";
/// What an upload is called.
pub(super) const WRITE_CERTIFICATE: &str = "Microsoft.Devices/provisioningServices/certificates/write";

const READ_CERTIFICATE: &str = "Microsoft.Devices/provisioningServices/certificates/read";
const SERVICES: &str = "provisioningServices";
const OF_SERVICES: &str = "provisioningServices/certificates";

/// An operation that is asked about needs a token and no role.
const ASK: &[Verb] = &[Verb { method: "GET", action: None, operation: Operation::Arm }];

/// The namespace, and every path in it.
pub(crate) const PATHS: Paths = (NAMESPACE, ALL);

const ALL: &[Path] = &[
    Path {
        below: Below::Subscription,
        pattern: INSTANCES,
        resource_type: SERVICES,
        form: Form::FilteredCollection,
        verbs: &[verb("GET", READ_INSTANCE, Operation::Arm)],
    },
    Path {
        below: Below::ResourceGroup,
        pattern: INSTANCES,
        resource_type: SERVICES,
        form: Form::FilteredCollection,
        verbs: &[verb("GET", READ_INSTANCE, Operation::Arm)],
    },
    Path {
        below: Below::ResourceGroup,
        pattern: INSTANCE,
        resource_type: SERVICES,
        form: Form::Resource,
        verbs: &[
            verb("GET", READ_INSTANCE, Operation::Arm),
            verb("PUT", "Microsoft.Devices/provisioningServices/write", Operation::Arm),
            verb("PATCH", "Microsoft.Devices/provisioningServices/write", Operation::Arm),
            verb("DELETE", "Microsoft.Devices/provisioningServices/delete", Operation::Arm),
        ],
    },
    Path {
        below: Below::Subscription,
        pattern: NAME_AVAILABILITY,
        resource_type: NAME_AVAILABILITY,
        form: Form::Collection,
        verbs: &[verb(
            "POST",
            "Microsoft.Devices/checkProvisioningServiceNameAvailability/action",
            Operation::Arm,
        )],
    },
    Path {
        below: Below::Subscription,
        pattern: REGIONAL_OPERATION_RESULT,
        resource_type: SERVICES,
        form: Form::Resource,
        verbs: ASK,
    },
    Path {
        below: Below::ResourceGroup,
        pattern: OPERATION_RESULT,
        resource_type: SERVICES,
        form: Form::Resource,
        verbs: ASK,
    },
    Path {
        below: Below::ResourceGroup,
        pattern: CERTIFICATES,
        resource_type: OF_SERVICES,
        form: Form::Collection,
        verbs: &[verb("GET", READ_CERTIFICATE, Operation::ListCertificates)],
    },
    Path {
        below: Below::ResourceGroup,
        pattern: CERTIFICATE,
        resource_type: OF_SERVICES,
        form: Form::Resource,
        verbs: &[
            verb("GET", READ_CERTIFICATE, Operation::GetCertificate),
            verb("PUT", WRITE_CERTIFICATE, Operation::PutCertificate),
            verb(
                "DELETE",
                "Microsoft.Devices/provisioningServices/certificates/delete",
                Operation::DeleteCertificate,
            ),
        ],
    },
    Path {
        below: Below::ResourceGroup,
        pattern: GENERATE_CODE,
        resource_type: OF_SERVICES,
        form: Form::Action,
        verbs: &[verb(
            "POST",
            "Microsoft.Devices/provisioningServices/certificates/generateVerificationCode/action",
            Operation::GenerateVerificationCode,
        )],
    },
    Path {
        below: Below::ResourceGroup,
        pattern: VERIFY,
        resource_type: OF_SERVICES,
        form: Form::Action,
        verbs: &[verb(
            "POST",
            "Microsoft.Devices/provisioningServices/certificates/verify/action",
            Operation::Verify,
        )],
    },
];

/// Whether this is the id of a DPS certificate.
pub fn is_certificate_id(id: &str) -> bool {
    let segments: Vec<String> = id.split('/').skip(1).map(str::to_owned).collect();
    let mut certificates = ALL.iter().filter(|path| path.pattern == CERTIFICATE);
    certificates.any(|path| path.matches(NAMESPACE, &segments).is_some())
}
