//! What is built into a program and has to be watched with it.

/// Returns the version of the OpenSSL that this program runs with, such as `3.6.3`.
///
/// From the number rather than from OpenSSL's own text, with which comes the command that compiled it, folders included.
pub fn openssl_version() -> String {
    let number = openssl::version::number();
    format!("{}.{}.{}", number >> 28, (number >> 20) & 0xff, (number >> 4) & 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_one_openssl_says_itself() {
        let said = openssl::version::version();
        assert_eq!(said.split(' ').nth(1), Some(openssl_version().as_str()), "{said}");
    }
}
