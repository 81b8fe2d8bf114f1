//! Where a webhook may point: to the internet, never to what only this machine or its network can reach.
//!
//! An address is looked at twice. When a webhook is made, what is plainly wrong is refused with a reason.
//! When something is sent, [`is_public`] is asked about every address that the name stands for at that
//! moment: a name can be pointed elsewhere after it was looked at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::handlers::api::ApiError;

/// The address as it will be used, or why it can't be.
pub fn check(text: &str, allow_private: bool) -> Result<String, ApiError> {
    if text.len() > URL_BYTES_MAX {
        return Err(ApiError::invalid(format!("url: at most {URL_BYTES_MAX} bytes")));
    }
    let refuse = |why: &'static str| Err(ApiError::invalid(why));
    let Ok(mut url) = Url::parse(text) else { return refuse("url: expected an address such as https://example.org/") };
    if !matches!(url.scheme(), "http" | "https") {
        return refuse("url: expected http or https");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("url: must not hold a user name or password");
    }
    url.set_fragment(None);
    // What is left unescaped here, the client that sends would refuse.
    if url.as_str().len() > URL_BYTES_MAX || url.as_str().contains(|c: char| "\"<>\\^`{|} ".contains(c)) {
        return refuse("url: too long, or a character in it must be percent-encoded");
    }
    if !allow_private && !port_is_allowed(&url) {
        return refuse("url: expected port 80, 443 or one from 1024 on");
    }
    match url.host() {
        Some(host) if allow_private || may_be_public(&host) => Ok(url.into()),
        _ => refuse("url: the host is not public; only an operator can allow that (webhooks.allow_private)"),
    }
}

/// Ports below 1024 other than the web's belong to services that might take a request for something else.
fn port_is_allowed(url: &Url) -> bool {
    url.port_or_known_default().is_some_and(|port| matches!(port, 80 | 443 | 1024..))
}

fn may_be_public(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(address) => is_public(IpAddr::V4(*address)),
        Host::Ipv6(address) => is_public(IpAddr::V6(*address)),
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            name.contains('.') && !PRIVATE_NAMES.iter().any(|end| name.ends_with(end))
        }
    }
}

/// Whether an address belongs to the public internet, going by the special-purpose registries of IANA.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let special = match address.octets() {
        // This network, private, loopback.
        [0 | 10 | 127, ..] | [172, 16..=31, ..] | [192, 168, ..] => true,
        // Shared by customers of a provider; link-local, where clouds keep their metadata.
        [100, 64..=127, ..] | [169, 254, ..] => true,
        // Protocol assignments, documentation, an abandoned relay, benchmarks.
        [192, 0, 0 | 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [192, 88, 99, _] | [198, 18 | 19, ..] => true,
        // Multicast, reserved, broadcast.
        [224..=255, ..] => true,
        _ => false,
    };
    !special
}

/// Only what is handed out for global use. That leaves out loopback, link-local, unique local, multicast,
/// and every form in which an IPv4 address can be wrapped.
fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // Protocol assignments with Teredo, documentation, 6to4, documentation again.
        [0x2001, 0..=0x01ff, ..] | [0x2001, 0x0db8, ..] | [0x2002, ..] | [0x3fff, 0..=0x0fff, ..] => false,
        [0x2000..=0x3fff, ..] => true,
        _ => false,
    }
}

/// Longer than any address that somebody has to type.
const URL_BYTES_MAX: usize = 2048;

/// Names that never lead into the internet.
const PRIVATE_NAMES: [&str; 6] = [".localhost", ".local", ".internal", ".intranet", ".lan", ".home.arpa"];

#[cfg(test)]
mod tests {
    use super::*;

    /// Each kind of address that is not public, with its neighbours that are.
    #[test]
    fn only_the_internet_is_public() {
        let public = [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2000::1",
            "2001:200::1",
            "2606:4700:4700::1111",
            "2a00::1",
            "3ffe::1",
        ];
        let private = [
            "0.0.0.0",
            "0.255.255.255",
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.0.0",
            "169.254.169.254",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.170",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.0",
            "192.168.255.255",
            "198.18.0.0",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:8.8.8.8",
            "::7f00:1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:1ff::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "3fff:fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "5f00::1",
        ];
        for (addresses, wanted) in [(&public[..], true), (&private[..], false)] {
            for address in addresses {
                assert_eq!(is_public(address.parse().unwrap()), wanted, "{address}");
            }
        }
    }

    /// An address comes back as it will be used, without what is not sent.
    #[test]
    fn addresses_are_normalised() {
        let good = [
            ("https://Example.org", "https://example.org/"),
            ("http://example.org:80/a?b=c#d", "http://example.org/a?b=c"),
            ("https://example.org:8443/päth", "https://example.org:8443/p%C3%A4th"),
            ("http://134744072/", "http://8.8.8.8/"),
        ];
        for (given, used) in good {
            assert_eq!(check(given, false).as_deref(), Ok(used));
        }
        assert_eq!(check("http://127.0.0.1:99/x", true).as_deref(), Ok("http://127.0.0.1:99/x"));
    }

    /// What can't be used is refused, however a private address is written.
    #[test]
    fn private_and_odd_addresses_are_refused() {
        let private = [
            "http://127.0.0.1/",
            "http://0x7f.1/",
            "http://2130706433/",
            "http://017700000001/",
            "http://[::1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://localhost/",
            "http://a.localhost./",
            "http://printer/",
            "http://metadata.google.internal/",
            "http://１２７.0.0.1/",
            "http://169.254.169.254/latest",
        ];
        for url in private {
            let refused = check(url, false).unwrap_err();
            assert!(refused.message.contains("not public"), "{url}: {refused}");
        }
        let long = format!("https://example.org/{}", "a".repeat(2048));
        let odd = [
            "",
            "example.org",
            "ftp://example.org/",
            "file:///etc/passwd",
            "http://",
            "http://user@example.org/",
            "http://:word@example.org/",
            "http://example.org:22/",
            "https://example.org/?a|b",
            &long,
        ];
        for url in odd {
            assert!(check(url, false).unwrap_err().message.starts_with("url: "), "{url}");
        }
    }
}
