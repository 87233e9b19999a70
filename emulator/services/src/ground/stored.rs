//! How values that serde does not know are written into a snapshot, and read back.
//!
//! Keys and secrets are written as they are: a snapshot without them would bring nothing back. So each field
//! that holds one says so where it is declared, and [`Hidden`] itself can be written nowhere else.

use std::collections::BTreeMap;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::ec::EcKey;
use openssl::pkey::{PKey, Private};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::macros::datetime;

use crate::ground::hidden::Hidden;

/// Has a type judge itself when it is read: a snapshot is as foreign as a request, and what no request can bring
/// about no snapshot may either. The type derives with `#[serde(remote = "Self")]` and has a method `check_stored`.
macro_rules! checked {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                <$type>::serialize(self, serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let read = <$type>::deserialize(deserializer)?;
                read.check_stored().map_err(serde::de::Error::custom)?;
                Ok(read)
            }
        }
    };
}
pub(crate) use checked;

/// Moments that can be written down in every form, and counted on from for years.
const MOMENTS: Range<OffsetDateTime> = datetime!(1970-01-01 00:00 UTC)..datetime!(9991-01-01 00:00 UTC);
/// Counters start at zero and go up by one; whoever counts on from here never meets the end.
const MOST: u32 = u32::MAX / 2;

fn bytes<E: serde::de::Error>(text: &str) -> Result<Vec<u8>, E> {
    STANDARD.decode(text).map_err(E::custom)
}

/// A seeded source of values: where it has come to. In text, because not every reader of JSON keeps 64 bits.
pub(crate) mod random {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(random: &fastrand::Rng, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&random.get_seed())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<fastrand::Rng, D::Error> {
        let seed = String::deserialize(deserializer)?.parse().map_err(D::Error::custom)?;
        Ok(fastrand::Rng::with_seed(seed))
    }
}

/// A number that may need all of its 64 bits.
pub(crate) mod number {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A secret.
pub(crate) mod secret {
    use super::*;

    pub(crate) fn serialize<S: Serializer, T: Serialize>(
        secret: &Hidden<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        secret.0.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
        deserializer: D,
    ) -> Result<Hidden<T>, D::Error> {
        T::deserialize(deserializer).map(Hidden)
    }
}

/// A secret that may be missing.
pub(crate) mod secret_or_none {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        secret: &Option<Hidden<String>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        secret.as_ref().map(|secret| &secret.0).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Hidden<String>>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map(Hidden))
    }
}

/// A private key, PKCS#8.
pub(crate) mod private_key {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        key: &Hidden<PKey<Private>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let der = key.0.private_key_to_pkcs8().map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&STANDARD.encode(der))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Hidden<PKey<Private>>, D::Error> {
        let der = bytes(&String::deserialize(deserializer)?)?;
        PKey::private_key_from_pkcs8(&der).map(Hidden).map_err(D::Error::custom)
    }
}

/// A private key of a curve.
pub(crate) mod curve_key {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        key: &Hidden<EcKey<Private>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let der = key.0.private_key_to_der().map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&STANDARD.encode(der))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Hidden<EcKey<Private>>, D::Error> {
        let der = bytes(&String::deserialize(deserializer)?)?;
        EcKey::private_key_from_der(&der).map(Hidden).map_err(D::Error::custom)
    }
}

/// A certificate, DER.
pub(crate) mod certificate {
    use openssl::x509::X509;

    use super::*;

    pub(crate) fn serialize<S: Serializer>(certificate: &X509, serializer: S) -> Result<S::Ok, S::Error> {
        let der = certificate.to_der().map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&STANDARD.encode(der))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<X509, D::Error> {
        X509::from_der(&bytes(&String::deserialize(deserializer)?)?).map_err(D::Error::custom)
    }
}

/// An HTTP status.
pub(crate) mod status {
    use http::StatusCode;

    use super::*;

    pub(crate) fn serialize<S: Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(status.as_u16())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<StatusCode, D::Error> {
        StatusCode::from_u16(u16::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Whatever has a text that it can be read from.
pub(crate) mod text {
    use std::fmt::Display;
    use std::str::FromStr;

    use super::*;

    pub(crate) fn serialize<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, T>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
    {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A map whose keys are no texts.
pub(crate) mod pairs {
    use super::*;

    pub(crate) fn serialize<S: Serializer, K: Serialize, V: Serialize>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, K, V>(
        deserializer: D,
    ) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: DeserializeOwned + Ord,
        V: DeserializeOwned,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}

/// Reads a moment.
pub(crate) fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OffsetDateTime, D::Error> {
    possible(OffsetDateTime::deserialize(deserializer)?)
}

/// Reads a moment that may be missing.
pub(crate) fn moment_or_none<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<OffsetDateTime>, D::Error> {
    Option::deserialize(deserializer)?.map(possible).transpose()
}

/// Whether it is a moment that this emulator can work with.
pub(crate) fn is_possible(moment: OffsetDateTime) -> bool {
    MOMENTS.contains(&moment)
}

fn possible<E: serde::de::Error>(moment: OffsetDateTime) -> Result<OffsetDateTime, E> {
    if is_possible(moment) {
        Ok(moment)
    } else {
        Err(E::custom("a moment beyond the time that can be shown"))
    }
}

/// Reads a counter.
pub(crate) fn count<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + PartialOrd + From<u32>,
{
    let count = T::deserialize(deserializer)?;
    if count <= T::from(MOST) {
        Ok(count)
    } else {
        Err(D::Error::custom("a counter that nothing has counted to"))
    }
}

/// Reads a list that is never empty.
pub(crate) fn not_empty<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let items = Vec::deserialize(deserializer)?;
    if items.is_empty() { Err(D::Error::custom("an empty list where one never is")) } else { Ok(items) }
}
