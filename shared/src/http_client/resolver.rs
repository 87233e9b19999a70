//! Names of hosts and their addresses.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::{Context, Poll};
use std::vec;

use futures::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::Name;
use tower::Service;

/// `*.localhost` is this machine (RFC 6761, section 6.3), as curl and browsers have it and glibc has not.
/// That is how the app reaches an emulated vault by name, with certificate and challenge checks left on.
#[derive(Clone, Debug)]
pub(super) struct LocalhostAware;

impl Service<Name> for LocalhostAware {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let name = name.as_str().to_ascii_lowercase();
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = if is_this_machine(&name) {
                vec![(Ipv4Addr::LOCALHOST, 0).into(), (Ipv6Addr::LOCALHOST, 0).into()]
            } else {
                tokio::net::lookup_host((name, 0)).await?.collect()
            };
            Ok(addresses.into_iter())
        })
    }
}

fn is_this_machine(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_below_localhost_are_this_machine() {
        for name in ["localhost", "my-vault.vault.localhost"] {
            assert!(is_this_machine(name), "{name}");
        }
        for name in ["notlocalhost", "localhost.evil.example", "localhost.", ""] {
            assert!(!is_this_machine(name), "{name}");
        }
    }
}
