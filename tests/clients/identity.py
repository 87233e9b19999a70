"""Gets tokens with azure-identity in every way the emulator hands them out, and has DPS and the vault take them."""

import os
import sys

import cloud
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential, DefaultAzureCredential, ManagedIdentityCredential
from azure.keyvault.secrets import SecretClient
from azure.mgmt.iothubprovisioningservices import IotDpsClient

TENANT = "00000000-0000-0000-0000-00000000aad0"
OPERATOR = "00000000-0000-0000-0000-000000000003"


def main():
    works(ManagedIdentityCredential())
    works(client_secret("emulator"))
    cloud.refused(ClientAuthenticationError, client_secret("guess").get_token, f"{cloud.ARM}/.default")

    # On a virtual machine there are no such variables, and another address.
    app_service = os.environ.pop("IDENTITY_ENDPOINT")
    os.environ.pop("IDENTITY_HEADER")
    os.environ["AZURE_POD_IDENTITY_AUTHORITY_HOST"] = app_service.removesuffix("/msi/token")
    works(ManagedIdentityCredential())
    works(DefaultAzureCredential(exclude_environment_credential=True))


def client_secret(secret):
    return ClientSecretCredential(TENANT, OPERATOR, secret, authority=cloud.ARM, disable_instance_discovery=True)


def works(credential):
    dps = IotDpsClient(
        credential, cloud.SUBSCRIPTION, base_url=cloud.ARM, credential_scopes=[f"{cloud.ARM}/.default"]
    )
    assert dps.dps_certificate.list(cloud.GROUP, cloud.INSTANCE).value == []
    assert list(SecretClient(cloud.VAULT, credential).list_properties_of_secrets()) == []


if __name__ == "__main__":
    sys.exit(main())
