//! CAs made by the `openssl` program, and that program's judgement of what was signed with them: a second
//! opinion that shares no code with ours.

use std::fs;
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

/// The kind of a CA's key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Family {
    Rsa2048,
    Rsa3072,
    Rsa4096,
    P256,
    P384,
    P521,
}

/// A CA: its key, its certificate, and those above it.
#[derive(Clone)]
pub(crate) struct Authority {
    key: String,
    certificate: String,
    /// Itself first, the root last.
    chain: String,
}

/// Our own, so that no machine's `openssl.cnf` adds to it.
const CONFIGURATION: &str = "
[req]
distinguished_name = name
[name]
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature, keyEncipherment
[intermediate]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[proof]
basicConstraints = critical, CA:FALSE
authorityKeyIdentifier = keyid
";

impl Authority {
    /// A self-signed CA for ten years. Its subject cannot be rebuilt from text: two OUs, and letters outside
    /// ASCII.
    pub(crate) fn root(name: &str, family: Family) -> Authority {
        let workshop = Workshop::new();
        let subject = subject(name);
        let request = ["req", "-x509", "-utf8", "-days", "3650", "-extensions", "root", "-out", "new.pem"];
        workshop.make_key(family);
        workshop
            .openssl(&[&request[..], &["-subj", &subject, "-key", "new.key"], &Workshop::CONFIG].concat());
        Authority::made(workshop.read("new.key"), workshop.read("new.pem"))
    }

    /// A self-signed certificate that is no CA's.
    pub(crate) fn server(name: &str) -> Authority {
        let workshop = Workshop::new();
        workshop.make_key(Family::P256);
        let subject = subject(name);
        let request = ["req", "-x509", "-utf8", "-days", "365", "-extensions", "server", "-out", "new.pem"];
        workshop
            .openssl(&[&request[..], &["-subj", &subject, "-key", "new.key"], &Workshop::CONFIG].concat());
        Authority::made(workshop.read("new.key"), workshop.read("new.pem"))
    }

    /// A certificate that this CA wrote around the key of another one, which had no part in it.
    pub(crate) fn around_the_key_of(&self, other: &Authority, name: &str) -> Authority {
        let workshop = Workshop::new();
        workshop.write("new.key", &other.key);
        let certificate = self.issue(&workshop, &subject(name), "intermediate", 7300);
        Authority::made(other.key.clone(), certificate)
    }

    /// A self-signed CA that was made elsewhere.
    pub(super) fn made(key: String, certificate: String) -> Authority {
        Authority { key, chain: certificate.clone(), certificate }
    }

    /// A CA below this one, for a year.
    pub(crate) fn intermediate(&self, name: &str, family: Family) -> Authority {
        let workshop = Workshop::new();
        workshop.make_key(family);
        let certificate = self.issue(&workshop, &subject(name), "intermediate", 365);
        let chain = format!("{certificate}{}", self.chain);
        Authority { key: workshop.read("new.key"), certificate, chain }
    }

    /// The certificate, PEM.
    pub(crate) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The private key, PKCS#8 in PEM.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Its certificate and those above it, PEM.
    pub(crate) fn chain(&self) -> &str {
        &self.chain
    }

    /// Key and certificate, PEM, as a vault imports them or keeps them as a secret.
    pub(crate) fn key_and_certificate(&self) -> String {
        format!("{}{}", self.key, self.certificate)
    }

    /// Key and certificate as a PFX without a password, base64: what a vault hands out for a certificate.
    pub(crate) fn pfx(&self) -> String {
        let workshop = Workshop::new();
        workshop.write("ca.pem", &self.key_and_certificate());
        workshop.openssl(&["pkcs12", "-export", "-passout", "pass:", "-in", "ca.pem", "-out", "ca.pfx"]);
        STANDARD.encode(workshop.read_bytes("ca.pfx"))
    }

    /// A verification certificate as a person makes it by hand: PEM, for one day.
    pub(crate) fn prove(&self, code: &str) -> String {
        let workshop = Workshop::new();
        workshop.make_key(Family::P256);
        self.issue(&workshop, &format!("/CN={code}"), "proof", 1)
    }

    /// Has OpenSSL say that a proof, base64 of DER, is one of this CA for this code, and good for nothing else.
    pub(crate) fn assert_proven(&self, proof: &str, code: &str) {
        let workshop = Workshop::new();
        workshop.write("chain.pem", &self.chain);
        workshop.write("proof.pem", &pem(proof));
        workshop.openssl(&["verify", "-x509_strict", "-CAfile", "chain.pem", "proof.pem"]);

        let show = ["x509", "-in", "proof.pem", "-noout", "-nameopt", "RFC2253"];
        let shown = workshop.openssl(&[&show[..], &["-subject", "-ext", "basicConstraints"]].concat());
        let shown: Vec<&str> = shown.lines().map(str::trim).collect();
        let expected = [&format!("subject=CN={code}"), "X509v3 Basic Constraints: critical", "CA:FALSE"];
        assert_eq!(shown, expected);
        let expiry = workshop.run(&["x509", "-in", "proof.pem", "-noout", "-checkend", "86400"]);
        assert!(!expiry.status.success(), "the proof is valid for more than a day");
    }

    fn issue(&self, workshop: &Workshop, subject: &str, extensions: &str, days: u32) -> String {
        workshop.write("ca.key", &self.key);
        workshop.write("ca.pem", &self.certificate);
        let request = ["req", "-new", "-utf8", "-subj", subject, "-key", "new.key", "-out", "new.csr"];
        workshop.openssl(&[&request[..], &Workshop::CONFIG].concat());
        let days = days.to_string();
        let issue =
            ["x509", "-req", "-in", "new.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
        let terms = ["-days", &days, "-extfile", "openssl.cnf", "-extensions", extensions, "-out", "new.pem"];
        workshop.openssl(&[&issue[..], &terms].concat());
        workshop.read("new.pem")
    }
}

/// A folder to work in, gone when the work is done.
pub(super) struct Workshop(TempDir);

impl Workshop {
    pub(super) const CONFIG: [&str; 2] = ["-config", "openssl.cnf"];

    pub(super) fn new() -> Workshop {
        let workshop = Workshop(tempfile::tempdir().expect("a folder for keys"));
        workshop.write("openssl.cnf", CONFIGURATION);
        workshop
    }

    pub(super) fn make_key(&self, family: Family) {
        let options = match family {
            Family::Rsa2048 => ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
            Family::Rsa3072 => ["RSA", "-pkeyopt", "rsa_keygen_bits:3072"],
            Family::Rsa4096 => ["RSA", "-pkeyopt", "rsa_keygen_bits:4096"],
            Family::P256 => ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            Family::P384 => ["EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
            Family::P521 => ["EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
        };
        self.openssl(&[&["genpkey", "-out", "new.key", "-algorithm"][..], &options].concat());
    }

    /// What the program printed; it has to succeed.
    pub(super) fn openssl(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {}: {errors}", arguments.join(" "));
        String::from_utf8(output.stdout).expect("openssl prints text")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let run = Command::new("openssl").args(arguments).current_dir(self.0.path()).output();
        run.expect("these tests need the openssl program: apt install openssl, brew install openssl")
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).expect("the folder is ours");
    }

    pub(super) fn read(&self, name: &str) -> String {
        String::from_utf8(self.read_bytes(name)).expect("PEM is text")
    }

    pub(super) fn read_bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.path().join(name)).expect("openssl wrote it")
    }
}

fn subject(name: &str) -> String {
    format!("/O=Käse & Söhne/OU=Plant 1/OU=Line 7/CN={name}")
}

/// Base64 of DER, with the lines around it that the program wants.
fn pem(base64: &str) -> String {
    let der = STANDARD.decode(base64).expect("a proof is handed in as base64");
    let lines: Vec<String> =
        STANDARD.encode(der).as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}
