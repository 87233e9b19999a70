//! The forms in which people keep the key of a CA as a secret, each written by the `openssl` program.

use super::authority::{Authority, Workshop};

/// How a PFX is encrypted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PfxCipher {
    /// As current programs do it.
    Aes256,
    /// As a vault does it.
    TripleDes,
}

impl Authority {
    /// The key as older programs write it: PKCS#1 or SEC1, PEM.
    pub(crate) fn traditional_key(&self) -> String {
        self.openssl(&["pkey", "-in", "ca.key", "-traditional"])
    }

    /// The key under a passphrase, PKCS#8 in PEM.
    pub(crate) fn encrypted_key(&self, passphrase: &str) -> String {
        self.openssl(&["pkcs8", "-topk8", "-in", "ca.key", "-passout", &format!("pass:{passphrase}")])
    }

    /// The key under a passphrase in the older form, which names the cipher in a header.
    pub(crate) fn encrypted_traditional_key(&self, passphrase: &str) -> String {
        let passphrase = format!("pass:{passphrase}");
        self.openssl(&["pkey", "-in", "ca.key", "-traditional", "-aes128", "-passout", &passphrase])
    }

    /// Key, certificate and all above it as a PFX.
    pub(crate) fn pfx_with(&self, password: &str, cipher: PfxCipher) -> Vec<u8> {
        let workshop = self.workshop();
        workshop.write("chain.pem", self.chain());
        let export = ["pkcs12", "-export", "-inkey", "ca.key", "-in", "chain.pem", "-out", "ca.pfx"];
        let triple_des = ["-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"];
        let cipher = match cipher {
            PfxCipher::Aes256 => &[][..],
            PfxCipher::TripleDes => &triple_des,
        };
        workshop.openssl(&[&export[..], cipher, &["-passout", &format!("pass:{password}")]].concat());
        workshop.read_bytes("ca.pfx")
    }

    /// A PFX without a password, whose MAC takes so many rounds.
    pub(crate) fn pfx_with_rounds(&self, rounds: u32) -> Vec<u8> {
        let workshop = self.workshop();
        workshop.write("chain.pem", self.chain());
        let export = ["pkcs12", "-export", "-inkey", "ca.key", "-in", "chain.pem", "-out", "ca.pfx"];
        workshop.openssl(&[&export[..], &["-passout", "pass:"]].concat());
        let mut pfx = workshop.read_bytes("ca.pfx");
        // The count is the last number in it. It is made four octets long where it had two, and so are the lengths
        // around it.
        assert!(pfx.ends_with(&[2, 2, 8, 0]), "2,048 rounds are the default");
        pfx.truncate(pfx.len() - 3);
        pfx.push(4);
        pfx.extend(rounds.to_be_bytes());
        let whole = u16::from_be_bytes([pfx[2], pfx[3]]) + 2;
        pfx[2..4].copy_from_slice(&whole.to_be_bytes());
        // `MacData` begins after version and contents, and is short.
        let contents = usize::from(u16::from_be_bytes([pfx[9], pfx[10]]));
        let mac = 11 + contents;
        assert_eq!(pfx[mac], 0x30, "the MAC follows the contents");
        pfx[mac + 1] += 2;
        pfx
    }

    /// Key and chain with the remarks that stand between them after a PFX was taken apart.
    pub(crate) fn pem_out_of_pfx(&self) -> String {
        let workshop = self.workshop();
        workshop.write("chain.pem", self.chain());
        let named = ["-name", "plant ca", "-passout", "pass:", "-out", "ca.pfx"];
        workshop
            .openssl(&[&["pkcs12", "-export", "-inkey", "ca.key", "-in", "chain.pem"][..], &named].concat());
        workshop.openssl(&["pkcs12", "-in", "ca.pfx", "-passin", "pass:", "-nodes"])
    }

    fn openssl(&self, arguments: &[&str]) -> String {
        self.workshop().openssl(arguments)
    }

    fn workshop(&self) -> Workshop {
        let workshop = Workshop::new();
        workshop.write("ca.key", self.key());
        workshop
    }
}
