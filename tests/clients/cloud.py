"""Where the cloud is and who we are, from the variables that a deployed app has.

TLS is verified against REQUESTS_CA_BUNDLE, and Key Vault's challenge against the vault's host: both are the SDKs'
defaults, and nothing here switches them off.
"""

import os
import subprocess

from azure.identity import ManagedIdentityCredential

ARM = os.environ["KEYHOLDER_ARM_ENDPOINT"].rstrip("/")
VAULT = os.environ["KEYHOLDER_VAULTS"].split(",")[0]

SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
GROUP = "iot-x509-demo-rg"
INSTANCE = "my-dps-x509"


def credential():
    """The managed identity, by IDENTITY_ENDPOINT and IDENTITY_HEADER."""
    return ManagedIdentityCredential()


def openssl(*arguments, stdin=b""):
    """Has the openssl program do something: its output."""
    return subprocess.run(["openssl", *arguments], input=stdin, check=True, capture_output=True).stdout


def make_ca(folder, name):
    """A self-signed CA: the files of its key and of its certificate, both PEM."""
    key, certificate = f"{folder}/{name}.key", f"{folder}/{name}.pem"
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN={name}",
            "-keyout", key, "-out", certificate)
    return key, certificate


def make_proof(folder, ca, code):
    """A certificate for a verification code, signed by a CA: PEM."""
    key, certificate = ca
    request = openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={code}",
                      "-keyout", f"{folder}/proof.key")
    return openssl("x509", "-req", "-CA", certificate, "-CAkey", key, "-days", "1", stdin=request)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def refused(error, call, *arguments, **options):
    """The error that a call has to end in."""
    try:
        call(*arguments, **options)
    except error as refusal:
        return refusal
    raise AssertionError(f"{call.__qualname__} went through; {error.__name__} was expected")
