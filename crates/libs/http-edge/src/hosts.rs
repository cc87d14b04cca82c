//! Under which names a service answers.
//!
//! A web page can make its own name resolve to 127.0.0.1 (DNS rebinding). The browser then treats this service as the page's own
//! server, and lets the page read from it and write to it. Only the name in `Host` reveals this.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::http::{Request, StatusCode, Version, header};

use crate::problem::Problem;

/// Which names are allowed beside those of this machine itself (`localhost`, `*.localhost`, addresses of the loopback).
///
/// None by default. Then a service on a loopback address answers under this machine's own names. A service on any other address
/// answers under every name, because it cannot know its names.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct AllowedHosts {
    /// Host names, separated by commas, under which the service answers besides localhost; others get 421. Without any, it
    /// answers under every name, unless it listens on a loopback address: then under localhost alone.
    #[arg(long, env = "ALLOWED_HOSTS", value_delimiter = ',', value_parser = parse_host)]
    allowed_hosts: Vec<String>,
}

impl AllowedHosts {
    /// These names, without ports. An empty one is none; one that is no name is the error.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let allowed_hosts = names.into_iter().map(parse_host).collect::<Result<_, _>>()?;
        Ok(Self { allowed_hosts })
    }
}

/// Empty is allowed, for a list that is put together of variables, some of which are empty.
fn parse_host(text: &str) -> Result<String, String> {
    let text = text.trim();
    match Host::parse(text) {
        _ if text.is_empty() => Ok(String::new()),
        Some(Host { name, port: None }) if !name.contains('*') => Ok(name.to_owned()),
        _ => Err("must be a host name without a port, such as page.example".to_owned()),
    }
}

/// What one listener makes of the names it is asked under.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    allowed: Vec<String>,
    any: bool,
}

impl Hosts {
    pub(crate) fn new(allowed: AllowedHosts, listens: SocketAddr) -> Self {
        let mut allowed = allowed.allowed_hosts;
        allowed.retain(|name| !name.is_empty());
        Self {
            any: allowed.is_empty() && !listens.ip().is_loopback(),
            allowed,
        }
    }

    /// Refuses a request that does not name one host (RFC 9112, section 3.2), and one for a foreign host.
    pub(crate) fn check<B>(&self, request: &Request<B>) -> Result<(), Problem> {
        let mut lines = request.headers().get_all(header::HOST).iter();
        let (first, second) = (lines.next(), lines.next());
        if first.is_none() && request.version() < Version::HTTP_11 {
            return Ok(()); // A browser speaks HTTP/1.1.
        }
        let host = first.and_then(|line| Host::parse(line.to_str().ok()?));
        let host = host.filter(|_| second.is_none()).ok_or_else(|| {
            Problem::from_status(StatusCode::BAD_REQUEST)
                .with_detail("the request must have one Host header: a name, and a port if it is not 80")
        })?;
        // The target's own name counts for more, if it has one (RFC 9112, section 3.2.2).
        let name = request.uri().host().unwrap_or(host.name);
        if self.any || is_this_machine(name) || self.allowed.iter().any(|allowed| same(allowed, name)) {
            return Ok(());
        }
        Err(Problem::from_status(StatusCode::MISDIRECTED_REQUEST).with_detail(
            "this service does not answer under this name: ask for localhost or 127.0.0.1, or add the name to its --allowed-hosts",
        ))
    }
}

/// `uri-host [":" port]` of RFC 9110, section 7.2.
#[derive(Clone, Copy, Debug)]
struct Host<'a> {
    /// With the brackets of an IPv6 address.
    name: &'a str,
    port: Option<u16>,
}

impl<'a> Host<'a> {
    /// None if it is no host, or an empty one, which no http address may have (RFC 9110, section 4.2.1).
    fn parse(text: &'a str) -> Option<Self> {
        let end = if text.starts_with('[') {
            text.find(']')? + 1
        } else {
            text.find(':').unwrap_or(text.len())
        };
        let (name, port) = text.split_at(end);
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            Some("") => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
            _ => return None,
        };
        let valid = if name.starts_with('[') {
            ipv6(name).is_some()
        } else {
            is_registered_name(name)
        };
        valid.then_some(Self { name, port })
    }
}

/// `reg-name` of RFC 3986, section 3.2.2, IPv4 addresses included; not empty.
fn is_registered_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    while let Some(byte) = bytes.next() {
        let valid = match byte {
            b'%' => [bytes.next(), bytes.next()]
                .iter()
                .all(|digit| digit.is_some_and(|digit| digit.is_ascii_hexdigit())),
            byte => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte),
        };
        if !valid {
            return false;
        }
    }
    !name.is_empty()
}

fn ipv6(name: &str) -> Option<Ipv6Addr> {
    name.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

fn address(name: &str) -> Option<IpAddr> {
    let four = || name.parse::<Ipv4Addr>().ok().map(IpAddr::from);
    ipv6(name).map(IpAddr::from).or_else(four)
}

/// Whether nobody's name server can make this name lead elsewhere, or somebody else's name lead here.
fn is_this_machine(name: &str) -> bool {
    if let Some(address) = address(name) {
        return address.to_canonical().is_loopback();
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let (above, last) = name.rsplit_once('.').unwrap_or(("x", name));
    last.eq_ignore_ascii_case("localhost") && !above.is_empty()
}

fn same(allowed: &str, name: &str) -> bool {
    if let (Some(allowed), Some(name)) = (address(allowed), address(name)) {
        return allowed == name;
    }
    let bare = |name: &'_ str| name.len() - usize::from(name.ends_with('.'));
    allowed[..bare(allowed)].eq_ignore_ascii_case(&name[..bare(name)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_holds_names_without_ports() {
        assert!(AllowedHosts::of(["page.example", " [::1]", ""]).is_ok());
        for wrong in ["http://page.example", "page.example:80", "a b", "*"] {
            assert!(AllowedHosts::of([wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_port_is_a_number_or_absent() {
        let port = |text| Host::parse(text).map(|host| host.port);
        assert_eq!(port("a"), Some(None));
        assert_eq!(port("a:"), Some(None));
        assert_eq!(port("[::1]:80"), Some(Some(80)));
        assert_eq!(port("a:+80"), None);
    }
}
