"""What Keyholder does, as a careful Python program would do it with the official SDKs: a custom handler for the Functions
host that reacts to an upload, has Key Vault sign, and hands the proof in.

Made to be measured beside Keyholder (`cargo run --release -- bench peers`), so it is written to be fast: one client of
each kind for the whole process, connections and tokens kept, one thread for each invocation, its own key made once. It
asks both locks. It checks less than Keyholder does: it does not lint what it has signed, finds a CA by name alone, and
knows one way for a run to fail.
"""

import base64
import datetime
import hashlib
import json
import os
import sys
import threading
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests
from azure.core import MatchConditions
from azure.core.pipeline.transport import RequestsTransport
from azure.identity import ManagedIdentityCredential
from azure.keyvault.certificates import CertificateClient
from azure.keyvault.keys.crypto import CryptographyClient
from azure.mgmt.iothubprovisioningservices import IotDpsClient
from azure.mgmt.iothubprovisioningservices.models import VerificationCodeRequest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

ARM = os.environ["KEYHOLDER_ARM_ENDPOINT"].rstrip("/")
VAULT = os.environ["KEYHOLDER_VAULTS"].split(",")[0]
SERVED = [scope.strip().lower().rstrip("/") for scope in os.environ["KEYHOLDER_REGISTRIES"].split(",")]
# Where the app's OpenSSL finds the CA to trust, if it is not a public one, requests is to find it too.
if "SSL_CERT_FILE" in os.environ:
    os.environ["REQUESTS_CA_BUNDLE"] = os.environ["SSL_CERT_FILE"]
UPLOADED = "Microsoft.Devices/provisioningServices/certificates/write"
CONNECTIONS = 64


def transport():
    """Keeps as many connections as there may be calls at once; the default keeps ten."""
    session = requests.Session()
    session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=CONNECTIONS))
    return RequestsTransport(session=session, session_owner=False)


CREDENTIAL = ManagedIdentityCredential()
VAULT_CERTIFICATES = CertificateClient(VAULT, CREDENTIAL, transport=transport())
SIGNING = transport()
LEAF = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()


@lru_cache
def certificates_of(subscription):
    client = IotDpsClient(
        CREDENTIAL, subscription, base_url=ARM, credential_scopes=[f"{ARM}/.default"], transport=transport()
    )
    return client.dps_certificate


@lru_cache(maxsize=4096)
def vault_key(key_id):
    """A key that signs in the vault. Its public half is fetched when it is first used."""
    return CryptographyClient(key_id, CREDENTIAL, transport=SIGNING).create_rsa_private_key()


def verify(event):
    """Proves possession of an uploaded CA: what came of it."""
    resource_id = event["subject"]
    parts = resource_id.strip("/").split("/")
    subscription, group, instance, name = parts[1], parts[3], parts[7], parts[9]
    if not any(resource_id.lower().startswith(f"{scope}/") for scope in SERVED):
        return "not served"
    certificates, place = certificates_of(subscription), (group, instance)

    registered = certificates.get(name, *place)
    if registered.properties.is_verified:
        return "already verified"
    kept = VAULT_CERTIFICATES.get_certificate(name)
    if hashlib.sha1(kept.cer).hexdigest().upper() != registered.properties.thumbprint:
        return "another certificate"
    if not {"*", instance} & set((kept.properties.tags or {}).get("keyholder", "").split(",")):
        return "no grant"

    asked = certificates.generate_verification_code(name, *place, **unless_changed(registered.etag))
    ca = x509.load_der_x509_certificate(bytes(kept.cer))
    proof = sign(ca, asked.properties.verification_code, vault_key(kept.key_id))
    proof.verify_directly_issued_by(ca)
    request = VerificationCodeRequest(certificate=base64.b64encode(proof.public_bytes(Encoding.DER)).decode())
    certificates.verify_certificate(name, *place, request, **unless_changed(asked.etag))

    return "verified" if certificates.get(name, *place).properties.is_verified else "not accepted"


def sign(ca, code, key):
    now = datetime.datetime.now(datetime.timezone.utc)
    begin = now - datetime.timedelta(minutes=5)
    authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
        ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    )
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, code)]))
        .issuer_name(ca.subject)
        .public_key(LEAF)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(authority, critical=False)
        .sign(key, hashes.SHA256())
    )


def unless_changed(etag):
    return {"etag": etag, "match_condition": MatchConditions.IfNotModified}


class Handler(BaseHTTPRequestHandler):
    """The Functions host's side."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(200, {"ready": True})

    def do_POST(self):
        event = json.loads(self.body())["Data"]["event"]
        if event.get("data", {}).get("operationName") != UPLOADED:
            self.answer(200, {"Outputs": {}, "Logs": ["ignored"], "ReturnValue": None})
            return
        try:
            outcome = verify(event)
        except Exception as failure:  # whatever it was, Event Grid is to deliver it again
            print(f"{event['subject']}: {failure!r}", file=sys.stderr, flush=True)
            self.answer(503, {"error": repr(failure)})
            return
        self.answer(200, {"Outputs": {}, "Logs": [outcome], "ReturnValue": None})

    def body(self):
        """The host sends it in chunks."""
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def answer(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024


if __name__ == "__main__":
    threading.stack_size(512 * 1024)
    Server(("127.0.0.1", int(os.environ["FUNCTIONS_CUSTOMHANDLER_PORT"])), Handler).serve_forever()
