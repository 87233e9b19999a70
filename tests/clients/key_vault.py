"""Walks through Key Vault with azure-keyvault-certificates, -keys and -secrets, as their users do, and checks every
answer."""

import hashlib
import sys
import tempfile

import certifi
import cloud
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError, ServiceRequestError
from azure.keyvault.certificates import CertificateClient, CertificatePolicy
from azure.keyvault.keys import JsonWebKey, KeyClient
from azure.keyvault.keys.crypto import CryptographyClient, SignatureAlgorithm
from azure.keyvault.secrets import SecretClient
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.x509 import load_der_x509_certificate


def main():
    credential = cloud.credential()
    certificates = CertificateClient(cloud.VAULT, credential)
    keys = KeyClient(cloud.VAULT, credential)
    secrets = SecretClient(cloud.VAULT, credential)
    with tempfile.TemporaryDirectory() as folder:
        keep_certificates(certificates, keys, secrets, credential, folder)
    keep_keys(keys, credential)
    keep_secrets(secrets)
    trust_is_needed(credential)


def keep_certificates(certificates, keys, secrets, credential, folder):
    key, pem = cloud.make_ca(folder, "Python Vault CA")
    pfx = cloud.openssl("pkcs12", "-export", "-inkey", key, "-in", pem, "-passout", "pass:secret")
    imported = certificates.import_certificate("python-pfx", pfx, password="secret", tags={"keyholder": "*"})
    assert imported.properties.tags == {"keyholder": "*"}, imported
    both = cloud.read(key) + cloud.read(pem)
    as_pem = CertificatePolicy(issuer_name="Unknown", content_type="application/x-pem-file")
    imported = certificates.import_certificate("python-pem", both, policy=as_pem)
    der = cloud.openssl("x509", "-in", pem, "-outform", "DER")
    assert bytes(imported.cer) == der and imported.properties.x509_thumbprint == hashlib.sha1(der).digest()

    policy = CertificatePolicy.get_default()
    made = certificates.begin_create_certificate("python-made", policy).result()
    assert load_der_x509_certificate(bytes(made.cer)).subject.rfc4514_string() == "CN=DefaultPolicy"
    assert certificates.get_certificate_operation("python-made").status == "completed"

    # The key of a certificate signs, and its secret holds it.
    signer = CryptographyClient(keys.get_key("python-pem"), credential)
    digest = hashlib.sha256(b"to be signed").digest()
    signature = signer.sign(SignatureAlgorithm.rs256, digest).signature
    public = load_der_x509_certificate(der).public_key()
    public.verify(signature, b"to be signed", padding.PKCS1v15(), hashes.SHA256())
    assert b"PRIVATE KEY" in secrets.get_secret("python-pem").value.encode()

    again = certificates.import_certificate("python-pem", both, policy=as_pem)
    assert len(list(certificates.list_properties_of_certificate_versions("python-pem"))) == 2
    former = certificates.get_certificate_version("python-pem", imported.properties.version)
    assert former.properties.version != again.properties.version
    updated = certificates.update_certificate_properties("python-pem", enabled=False, tags={"a": "b"})
    assert (updated.properties.enabled, updated.properties.tags) == (False, {"a": "b"}), updated
    names = {listed.name for listed in certificates.list_properties_of_certificates()}
    assert {"python-pfx", "python-pem", "python-made"} <= names, names

    delete_recover_and_purge(certificates, "certificate", "python-pem")
    certificates.begin_delete_certificate("python-pfx").result()
    cloud.refused(ResourceExistsError, certificates.import_certificate, "python-pfx", pfx, password="secret")


def keep_keys(keys, credential):
    digest = hashlib.sha384(b"to be signed").digest()
    made = keys.create_ec_key("python-ec", curve="P-384")
    signature = CryptographyClient(made, credential).sign(SignatureAlgorithm.es384, digest).signature
    r, s = (int.from_bytes(half, "big") for half in (signature[:48], signature[48:]))
    point = ec.EllipticCurvePublicNumbers(
        int.from_bytes(made.key.x, "big"), int.from_bytes(made.key.y, "big"), ec.SECP384R1()
    )
    point.public_key().verify(encode_dss_signature(r, s), b"to be signed", ec.ECDSA(hashes.SHA384()))

    numbers = ec.generate_private_key(ec.SECP256R1()).private_numbers()
    x, y, d = (n.to_bytes(32, "big") for n in (numbers.public_numbers.x, numbers.public_numbers.y, numbers.private_value))
    brought = keys.import_key("python-own", JsonWebKey(kty="EC", crv="P-256", key_ops=["sign"], x=x, y=y, d=d))
    assert brought.key.d is None and keys.get_key("python-own").key.x == x

    updated = keys.update_key_properties("python-own", enabled=False, tags={"a": "b"})
    assert (updated.properties.enabled, updated.properties.tags) == (False, {"a": "b"}), updated
    disabled = CryptographyClient(updated.id, credential)
    refusal = cloud.refused(HttpResponseError, disabled.sign, SignatureAlgorithm.es256, hashlib.sha256(b"").digest())
    assert refusal.status_code == 403, refusal
    assert {"python-ec", "python-own"} <= {listed.name for listed in keys.list_properties_of_keys()}
    assert len(list(keys.list_properties_of_key_versions("python-ec"))) == 1

    delete_recover_and_purge(keys, "key", "python-ec")


def keep_secrets(secrets):
    first = secrets.set_secret("python-secret", "one", content_type="text/plain", tags={"a": "b"})
    secrets.set_secret("python-secret", "two")
    assert secrets.get_secret("python-secret").value == "two"
    assert secrets.get_secret("python-secret", first.properties.version).value == "one"
    assert len(list(secrets.list_properties_of_secret_versions("python-secret"))) == 2
    assert "python-secret" in {listed.name for listed in secrets.list_properties_of_secrets()}
    updated = secrets.update_secret_properties("python-secret", content_type="text/html")
    assert updated.content_type == "text/html", updated

    delete_recover_and_purge(secrets, "secret", "python-secret")


def delete_recover_and_purge(client, kind, name):
    def call(method, *arguments):
        return getattr(client, method.format(kind))(*arguments)

    call("begin_delete_{}", name).result()
    cloud.refused(ResourceNotFoundError, getattr(client, f"get_{kind}"), name)
    assert call("get_deleted_{}", name).name == name
    assert name in {deleted.name for deleted in call("list_deleted_{}s")}
    call("begin_recover_deleted_{}", name).result()
    assert call("get_{}", name).name == name
    call("begin_delete_{}", name).result()
    call("purge_deleted_{}", name)
    cloud.refused(ResourceNotFoundError, getattr(client, f"get_deleted_{kind}"), name)


def trust_is_needed(credential):
    """The certificate of the listener is verified: with the CAs of the web alone there is no connection."""
    stranger = SecretClient(cloud.VAULT, credential, connection_verify=certifi.where(), retry_total=0)
    cloud.refused(ServiceRequestError, stranger.get_secret, "python-secret")


if __name__ == "__main__":
    sys.exit(main())
