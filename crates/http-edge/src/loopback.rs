//! The names under which something may be asked that only this machine can reach.
//!
//! A page of somebody else's can make its own name lead to 127.0.0.1 (DNS rebinding). The browser then takes what answers
//! there for that page's own and lets it read the answer; the `Host` alone still tells.

use std::net::SocketAddr;

use axum::http::{HeaderMap, header};

/// The names of a listener on a loopback address: the address itself, and `localhost`.
pub fn names(address: SocketAddr) -> [String; 2] {
    [address.to_string(), format!("localhost:{}", address.port())]
}

/// Whether a request is for the listener on that address, by its one `Host`; else it is to be refused (421).
pub fn is_asked(headers: &HeaderMap, address: SocketAddr) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    hosts.next().is_none() && host.is_some_and(|host| names(address).iter().any(|name| name == host))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn asked(address: &str, hosts: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, HeaderValue::from_static(host));
        }
        is_asked(&headers, address.parse().unwrap())
    }

    #[test]
    fn only_this_machines_own_names_are_asked_for() {
        assert!(asked("127.0.0.1:8090", &["127.0.0.1:8090"]));
        assert!(asked("127.0.0.1:8090", &["localhost:8090"]));
        assert!(asked("[::1]:8090", &["[::1]:8090"]));
        for other in [
            "127.0.0.1",
            "127.0.0.1:8091",
            "evil.example:8090",
            "localhost:8090.evil.example",
        ] {
            assert!(!asked("127.0.0.1:8090", &[other]), "{other}");
        }
    }

    #[test]
    fn none_and_more_than_one_host_are_no_name() {
        assert!(!asked("127.0.0.1:8090", &[]));
        assert!(!asked("127.0.0.1:8090", &["127.0.0.1:8090", "evil.example"]));
    }
}
