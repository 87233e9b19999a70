//! CAs that are rare in tests and not in plants: names of several string types, validity past or to come.

use super::authority::{Authority, Family, Workshop};

/// For the program `openssl ca`, the only one that takes both ends of a validity.
const ISSUING: &str = "
[req]
distinguished_name = name
[name]
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[issuing]
database = index.txt
rand_serial = yes
new_certs_dir = .
default_md = sha256
policy = names
[names]
commonName = supplied
";

impl Authority {
    /// A root whose name has the string types that a mask of OpenSSL's (`string_mask`) picks for each part.
    pub(crate) fn root_named(subject: &str, string_mask: &str, family: Family) -> Authority {
        let workshop = Workshop::new();
        workshop.make_key(family);
        workshop
            .write("openssl.cnf", &ISSUING.replace("[req]", &format!("[req]\nstring_mask = {string_mask}")));
        let request = ["req", "-x509", "-utf8", "-days", "3650", "-extensions", "root", "-out", "new.pem"];
        workshop.openssl(&[&request[..], &["-subj", subject, "-key", "new.key"], &Workshop::CONFIG].concat());
        Authority::made(workshop.read("new.key"), workshop.read("new.pem"))
    }

    /// A root that is valid between two moments, such as `20200101000000Z`.
    pub(crate) fn root_valid(name: &str, from: &str, until: &str) -> Authority {
        let workshop = Workshop::new();
        workshop.make_key(Family::P256);
        workshop.write("openssl.cnf", ISSUING);
        workshop.write("index.txt", "");
        let (subject, config) = (format!("/CN={name}"), Workshop::CONFIG);
        let request = ["req", "-new", "-subj", &subject, "-key", "new.key", "-out", "new.csr"];
        workshop.openssl(&[&request[..], &config].concat());
        let issue = ["ca", "-batch", "-notext", "-selfsign", "-name", "issuing", "-extensions", "root"];
        let terms = ["-keyfile", "new.key", "-in", "new.csr", "-out", "new.pem"];
        let validity = ["-startdate", from, "-enddate", until];
        workshop.openssl(&[&issue[..], &config, &terms, &validity].concat());
        Authority::made(workshop.read("new.key"), workshop.read("new.pem"))
    }
}
