"""Gets tokens with azure-identity in every way there is, and checks them with PyJWT as a stranger would."""

import base64
import json
import os
import time

import cloud
import jwt
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientAssertionCredential, ClientSecretCredential, ManagedIdentityCredential

TENANT = os.environ["AZURE_TENANT_ID"]
AUTHORITY = os.environ["AZURE_AUTHORITY_HOST"]
OPERATOR, APP = ("00000000-0000-0000-0000-00000000000" + digit for digit in "31")
VAULT = "https://vault.azure.net"
# Microsoft's directory of authorities does not know this one.
HERE = {"authority": AUTHORITY, "disable_instance_discovery": True}


def main():
    by_secret = ClientSecretCredential(TENANT, OPERATOR, "emulator", **HERE)
    assert claims(by_secret.get_token(f"{VAULT}/.default").token)["appid"] == OPERATOR
    refusal = refused(ClientSecretCredential(TENANT, OPERATOR, "guess", **HERE))
    assert "AADSTS7000215" in refusal and "guess" not in refusal, refusal
    assert "AADSTS700016" in refused(ClientSecretCredential(TENANT, TENANT, "emulator", **HERE))

    by_assertion = ClientAssertionCredential(TENANT, APP, assertion, **HERE)
    assert claims(by_assertion.get_token(f"{VAULT}/.default").token)["appid"] == APP

    assert claims(ManagedIdentityCredential().get_token(f"{VAULT}/.default").token)["tid"] == TENANT
    unknown = refused(ManagedIdentityCredential(client_id=TENANT))
    assert "No User Assigned or Delegated Managed Identity found" in unknown, unknown


def claims(token):
    """What a token says, after everything a careful service would check."""
    metadata = requests.get(f"{AUTHORITY}/{TENANT}/.well-known/openid-configuration").json()
    keys = jwt.PyJWKSet.from_dict(requests.get(metadata["jwks_uri"]).json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    return jwt.decode(token, key, algorithms=["ES256"], audience=VAULT, issuer=metadata["issuer"])


def assertion():
    """A token of somebody whom the app trusts."""
    def part(value):
        return base64.urlsafe_b64encode(value).decode().rstrip("=")
    said = {"iss": "https://issuer.example", "sub": "app", "aud": "api://AzureADTokenExchange"}
    said["exp"] = int(time.time()) + 600
    return f"{part(b'{}')}.{part(json.dumps(said).encode())}.{part(b'signature')}"


def refused(credential):
    return str(cloud.refused(ClientAuthenticationError, credential.get_token, f"{VAULT}/.default"))


if __name__ == "__main__":
    main()
