//! What this process and the one that holds a key say to each other: frames, each four bytes of length and then so many
//! bytes. The first one in is the secret as it is, so that no encoder makes copies of it; the others are JSON.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

use crate::ca::SignatureAlgorithm;
use crate::pulled_key::UnusableSecret;

/// The longest frame. A secret has 25,600 bytes, and JSON makes up to four of one.
const LONGEST: u32 = 1 << 20;

/// What is in a secret.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Opened {
    /// A key: its public half as SubjectPublicKeyInfo, and the certificates beside it, in DER.
    Key { public_key: Vec<u8>, certificates: Vec<Vec<u8>> },
    /// None.
    Unusable(UnusableSecret),
}

/// The bytes to be signed.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ToSign {
    pub(super) algorithm: SignatureAlgorithm,
    pub(super) tbs: Vec<u8>,
}

/// The signature, as OpenSSL writes it, or its reason not to.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Signed {
    Signature(Vec<u8>),
    Refused(String),
}

pub(super) fn write(output: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    output.write_all(&length(bytes)?)?;
    output.write_all(bytes)?;
    output.flush()
}

pub(super) fn read(input: &mut impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    let mut bytes = room(length)?;
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

pub(super) async fn send(output: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    output.write_all(&length(bytes)?).await?;
    output.write_all(bytes).await?;
    output.flush().await
}

pub(super) async fn receive(input: &mut (impl AsyncRead + Unpin)) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut length = [0; 4];
    input.read_exact(&mut length).await?;
    let mut bytes = room(length)?;
    input.read_exact(&mut bytes).await?;
    Ok(bytes)
}

pub(super) fn encode<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    Ok(serde_json::to_vec(message)?)
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    Ok(serde_json::from_slice(bytes)?)
}

fn length(bytes: &[u8]) -> io::Result<[u8; 4]> {
    let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= LONGEST);
    length.map(u32::to_be_bytes).ok_or_else(too_long)
}

fn room(length: [u8; 4]) -> io::Result<Zeroizing<Vec<u8>>> {
    match u32::from_be_bytes(length) {
        length if length > LONGEST => Err(too_long()),
        length => Ok(Zeroizing::new(vec![0; usize::try_from(length).map_err(|_| too_long())?])),
    }
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a frame has more than {LONGEST} bytes"))
}
