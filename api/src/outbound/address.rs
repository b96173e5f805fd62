//! Which addresses may be called. The text is judged before anything normalises it: what a parser would have to repair is
//! refused, because another parser might repair it differently.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use ipnet::IpNet;
use reqwest::Url;

const LONGEST: usize = 2048;
/// Names that lead into the machine or its network by definition (RFC 6761, RFC 6762, RFC 8375, RFC 9476) or by habit.
const LOCAL_NAMES: [&str; 10] = [
    "localhost",
    "localdomain",
    "local",
    "internal",
    "intranet",
    "lan",
    "home",
    "corp",
    "home.arpa",
    "alt",
];

/// Why an address is not called, e.g. `must not have a user name`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused(pub &'static str);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Refused {}

/// Judges the text of an address. `http` is for the allowed networks only, and any port is right there.
pub fn check(text: &str, networks: &[IpNet], ports: &[u16]) -> Result<Url, Refused> {
    if text.len() > LONGEST {
        return Err(Refused("is too long"));
    }
    if !text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    {
        let remedy =
            "must be ASCII without blanks and backslashes; write international names in Punycode";
        return Err(Refused(remedy));
    }
    let (rest, is_inside) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (rest, false),
        (_, Some(rest)) if !networks.is_empty() => (rest, true),
        _ => return Err(Refused("must begin with https://")),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(Refused("must not have a user name"));
    }
    let (host, port) = split(authority)?;
    let ip = literal(host)?;
    match ip {
        Some(ip) if !is_allowed(ip, networks, is_inside) => {
            return Err(Refused("must be a public address"));
        }
        Some(_) => {}
        None => check_name(host, is_inside)?,
    }
    let is_within = is_inside || ip.is_some_and(|ip| contains(networks, ip));
    if !is_within && !ports.contains(&port.unwrap_or(443)) {
        return Err(Refused("must have the port 443 or 8443"));
    }
    parse(text, host, port)
}

/// Whether a connection may go there; `is_inside` is without TLS, and only to the allowed networks.
pub fn is_allowed(ip: IpAddr, networks: &[IpNet], is_inside: bool) -> bool {
    contains(networks, ip) || (!is_inside && is_public(ip))
}

fn contains(networks: &[IpNet], ip: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&ip))
}

/// Host and port as they are written.
fn split(authority: &str) -> Result<(&str, Option<u16>), Refused> {
    let end = authority.find(']').map_or(0, |bracket| bracket + 1);
    let (host, port) = match authority[end..].find(':') {
        Some(colon) => {
            let (host, port) = authority.split_at(end + colon);
            (host, Some(&port[1..]))
        }
        None => (authority, None),
    };
    let Some(port) = port else {
        return Ok((host, None));
    };
    let digits = port.bytes().all(|byte| byte.is_ascii_digit()) && !port.starts_with('0');
    match port.parse::<u16>() {
        Ok(port) if digits => Ok((host, Some(port))),
        _ => Err(Refused("must have a port from 1 to 65535 or none")),
    }
}

/// The address, where the host is one. Forms that only some programs take for one (octal, hexadecimal, short) are refused.
fn literal(host: &str) -> Result<Option<IpAddr>, Refused> {
    let canonical = Refused("must have its IP address in the usual form");
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or(canonical)?;
        return Ipv6Addr::from_str(inner)
            .map(|ip| Some(ip.into()))
            .map_err(|_| canonical);
    }
    let last = host.rsplit('.').find(|label| !label.is_empty());
    let last = last.unwrap_or_default().to_ascii_lowercase();
    // As the URL Standard tells numbers from names ("ends in a number").
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit())
        || last
            .strip_prefix("0x")
            .is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if !is_number {
        return Ok(None);
    }
    Ipv4Addr::from_str(host)
        .map(|ip| Some(ip.into()))
        .map_err(|_| canonical)
}

fn check_name(host: &str, is_inside: bool) -> Result<(), Refused> {
    let is_plain = |label: &str| {
        let ends = [label.bytes().next(), label.bytes().last()];
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && ends.iter().flatten().all(u8::is_ascii_alphanumeric)
    };
    if host.len() > 253 || !host.split('.').all(is_plain) {
        return Err(Refused("must have a host name, without a dot at its end"));
    }
    if is_inside {
        return Ok(());
    }
    let lower = host.to_ascii_lowercase();
    let is_local = |suffix: &str| {
        lower
            .strip_suffix(suffix)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    if !lower.contains('.') || LOCAL_NAMES.into_iter().any(is_local) {
        return Err(Refused("must have a public host name"));
    }
    Ok(())
}

/// The parser must find what we have found: nothing that it normalises may change where the call goes.
fn parse(text: &str, host: &str, port: Option<u16>) -> Result<Url, Refused> {
    let url = Url::parse(text).map_err(|_| Refused("is not an address"))?;
    let same_host = match url.host_str() {
        Some(found) if found.starts_with('[') => true,
        Some(found) => found == host.to_ascii_lowercase(),
        None => false,
    };
    let default = if url.scheme() == "http" { 80 } else { 443 };
    let same_port = url.port_or_known_default() == Some(port.unwrap_or(default));
    if same_host && same_port && url.username().is_empty() && url.password().is_none() {
        Ok(url)
    } else {
        Err(Refused("is not an address"))
    }
}

/// Whether everybody on the internet finds the same machine there (IANA special-purpose registries).
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let special = match ip.octets() {
        // This network, private, loopback, multicast, reserved and broadcast.
        [0 | 10 | 127 | 224..=255, ..]
        // Carrier-grade NAT, and the metadata of a cloud in it.
        | [100, 64..=127, ..]
        // Link-local, and the metadata of most clouds.
        | [169, 254, ..]
        | [172, 16..=31, ..]
        // Protocol assignments, documentation, AS112, the relay of 6to4, private, AMT, AS112.
        | [192, 0, 0 | 2, _]
        | [192, 31, 196, _]
        | [192, 52, 193, _]
        | [192, 88, 99, _]
        | [192, 168, ..]
        | [192, 175, 48, _]
        // Benchmarks, documentation.
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        // Metadata of a cloud at an address that looks public.
        | [168, 63, 129, 16] => true,
        _ => false,
    };
    !special
}

/// Only global unicast (`2000::/3`), less what is special in it. Everything that embeds an IPv4 address is outside
/// (mapped, compatible, NAT64) or excluded here (6to4, Teredo).
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let special = match ip.segments() {
        // Protocol assignments with Teredo, ORCHID and benchmarks; documentation; 6to4; AS112.
        [0x2001, 0..=0x01ff | 0x0db8, ..] | [0x2002, ..] | [0x2620, 0x004f, 0x8000, ..] => true,
        // Documentation.
        [0x3fff, second, ..] => second <= 0x0fff,
        [first, ..] => first & 0xe000 != 0x2000,
    };
    // ISATAP carries an IPv4 address in its second half.
    let is_isatap = matches!(ip.segments(), [.., 0 | 0x0200, 0x5efe, _, _]);
    !special && !is_isatap
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(text: &str) -> Result<Url, Refused> {
        check(text, &[], &[443, 8443])
    }

    #[test]
    fn public_addresses_are_taken_as_they_are() {
        for text in [
            "https://example.com",
            "https://example.com/hooks?x=1",
            "https://Hooks.Example.com:8443/a%20b",
            "https://xn--mnchen-3ya.example.com/",
            "https://8.8.8.8/x",
            "https://[2606:4700::1111]/x",
            "https://localhost.example.com/",
            "https://a1.b2.c3d/",
        ] {
            assert!(public(text).is_ok(), "{text}: {:?}", public(text));
        }
    }

    #[test]
    fn plain_http_is_for_allowed_networks() {
        let networks = ["127.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let inside = |text: &str| check(text, &networks, &[443]).is_ok();
        for text in [
            "http://127.0.0.1:3020/hooks",
            "http://receiver:8080/",
            "http://[fd00::1]:9/",
            "https://127.0.0.1:9443/",
        ] {
            assert!(inside(text), "{text}");
        }
        for text in ["http://8.8.8.8/", "http://10.0.0.1/", "https://10.0.0.1/"] {
            assert!(!inside(text), "{text}");
        }
        assert!(public("http://example.com/").is_err());
    }

    #[test]
    fn the_registries_of_special_addresses_are_closed() {
        for text in include_str!("special.txt").lines() {
            let Some((network, _)) = text.split_once('#') else {
                continue;
            };
            let network: IpNet = network.trim().parse().unwrap();
            let hosts = [network.network(), network.broadcast()];
            for ip in hosts {
                assert!(!is_public(ip), "{network}: {ip}");
            }
        }
        for ip in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
        ]
        .into_iter()
        .chain([
            "128.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "192.169.0.0",
            "223.255.255.255",
        ])
        .chain(["2000::1", "2001:200::1", "2606:4700::1", "3ffe:ffff::1"])
        {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
    }
}
