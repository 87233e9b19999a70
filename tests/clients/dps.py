"""Walks through DPS with azure-mgmt-iothubprovisioningservices, as its users do, and checks every answer."""

import sys
import tempfile

import cloud
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceModifiedError, ResourceNotFoundError
from azure.mgmt.iothubprovisioningservices import IotDpsClient
from azure.mgmt.iothubprovisioningservices.models import (
    CertificateProperties,
    CertificateResponse,
    IotDpsPropertiesDescription,
    IotDpsSkuInfo,
    ProvisioningServiceDescription,
    VerificationCodeRequest,
)

PLACE = (cloud.GROUP, cloud.INSTANCE)


def main():
    client = IotDpsClient(
        cloud.credential(),
        cloud.SUBSCRIPTION,
        base_url=cloud.ARM,
        credential_scopes=[f"{cloud.ARM}/.default"],
    )
    with tempfile.TemporaryDirectory() as folder:
        prove_possession(client.dps_certificate, folder)
    set_up_and_tear_down(client.iot_dps_resource)


def prove_possession(certificates, folder):
    ca = cloud.make_ca(folder, "Python Root CA")
    body = CertificateResponse(properties=CertificateProperties(certificate=cloud.read(ca[1])))
    uploaded = certificates.create_or_update(*PLACE, "python-root", body)
    assert uploaded.name == "python-root" and not uploaded.properties.is_verified, uploaded
    assert uploaded.properties.subject == "Python Root CA", uploaded
    assert [item.name for item in certificates.list(*PLACE).value] == ["python-root"]

    refusal = cloud.refused(HttpResponseError, certificates.create_or_update, *PLACE, "python-root", body)
    assert refusal.status_code == 412 and "412001" in str(refusal), refusal

    current = condition(uploaded.etag)
    asked = certificates.generate_verification_code("python-root", *PLACE, **current)
    assert asked.etag != uploaded.etag, asked
    proof = cloud.make_proof(folder, ca, asked.properties.verification_code).decode()
    request = VerificationCodeRequest(certificate=proof)

    refusal = cloud.refused(
        ResourceModifiedError, certificates.verify_certificate, "python-root", *PLACE, request, **current
    )
    assert "Invalid ETag supplied." in str(refusal), refusal
    wrong = VerificationCodeRequest(certificate=cloud.make_proof(folder, ca, "ANOTHER1").decode())
    current = condition(asked.etag)
    refusal = cloud.refused(
        HttpResponseError, certificates.verify_certificate, "python-root", *PLACE, wrong, **current
    )
    assert refusal.status_code == 400 and "400053" in str(refusal), refusal

    verified = certificates.verify_certificate("python-root", *PLACE, request, **current)
    assert verified.properties.is_verified, verified
    shown = certificates.get("python-root", *PLACE)
    assert shown.properties.is_verified and shown.etag == verified.etag, shown

    anything = {"etag": "*", "match_condition": MatchConditions.IfPresent}
    certificates.delete(*PLACE, "python-root", **anything)
    refusal = cloud.refused(ResourceNotFoundError, certificates.get, "python-root", *PLACE)
    assert "404015" in str(refusal), refusal


def set_up_and_tear_down(instances):
    description = ProvisioningServiceDescription(
        location="westus2", sku=IotDpsSkuInfo(name="S1", capacity=1), properties=IotDpsPropertiesDescription()
    )
    made = instances.begin_create_or_update(cloud.GROUP, "python-dps", description).result()
    assert made.name == "python-dps" and made.location == "westus2", made
    assert instances.get("python-dps", cloud.GROUP).properties.provisioning_state == "Succeeded"
    for listed in (instances.list_by_subscription(), instances.list_by_resource_group(cloud.GROUP)):
        assert sorted(instance.name for instance in listed) == [cloud.INSTANCE, "python-dps"]
    instances.begin_delete("python-dps", cloud.GROUP).result()
    cloud.refused(ResourceNotFoundError, instances.get, "python-dps", cloud.GROUP)


def condition(etag):
    return {"etag": etag, "match_condition": MatchConditions.IfNotModified}


if __name__ == "__main__":
    sys.exit(main())
