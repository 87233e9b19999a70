//! A credential that keeps the tokens of one that does not.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use time::OffsetDateTime;
use tokio::sync::Mutex;

/// Developer tools are programs that take a second to start, and their credential starts one for every token it is
/// asked for. So each token is kept until it has less than [`LEAST_LEFT`].
#[derive(Debug)]
pub(super) struct Remembering {
    inner: Arc<dyn TokenCredential>,
    tokens: Mutex<HashMap<Vec<String>, AccessToken>>,
}

/// As the other credentials of the SDK have it.
const LEAST_LEFT: Duration = Duration::from_secs(300);

impl Remembering {
    pub(super) fn new(inner: Arc<dyn TokenCredential>) -> Remembering {
        Remembering { inner, tokens: Mutex::default() }
    }
}

#[async_trait::async_trait]
impl TokenCredential for Remembering {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let key: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        // Held while the program runs, so that it runs once for all who wait.
        let mut tokens = self.tokens.lock().await;
        if let Some(token) = tokens.get(&key)
            && token.expires_on - OffsetDateTime::now_utc() > LEAST_LEFT
        {
            return Ok(token.clone());
        }
        let token = self.inner.get_token(scopes, options).await?;
        tokens.insert(key, token.clone());
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Counts how often it is asked; each token is good for as long as it says.
    #[derive(Debug)]
    struct Counting(Duration, AtomicU32);

    #[async_trait::async_trait]
    impl TokenCredential for Counting {
        async fn get_token(
            &self,
            _: &[&str],
            _: Option<TokenRequestOptions<'_>>,
        ) -> azure_core::Result<AccessToken> {
            let asked = self.1.fetch_add(1, Ordering::Relaxed) + 1;
            Ok(AccessToken::new(format!("token {asked}"), OffsetDateTime::now_utc() + self.0))
        }
    }

    #[tokio::test]
    async fn the_token_of_a_developer_is_kept_while_it_is_valid_for_long_enough() {
        for (lifetime, asked) in [(Duration::from_secs(3600), 2), (Duration::from_secs(299), 4)] {
            let credential = Arc::new(Counting(lifetime, AtomicU32::new(0)));
            let remembering = Remembering::new(credential.clone());
            for scope in ["a", "b", "a", "b"] {
                remembering.get_token(&[scope], None).await.expect("it counts");
            }
            assert_eq!(credential.1.load(Ordering::Relaxed), asked, "{lifetime:?}");
        }
    }
}
