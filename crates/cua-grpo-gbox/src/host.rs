//! Names of hosts, for whoever sends requests to one.

use std::net::IpAddr;

/// Whether `host`, as it stands in an address, is this machine: `localhost` or an address that leads back (`127.0.0.1`,
/// `[::1]`). A proxy reaches another machine under such a name, so it is not asked.
pub(crate) fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = bare.trim_end_matches('.').to_ascii_lowercase();
    let address: Option<IpAddr> = bare.parse().ok();
    name == "localhost"
        || name.ends_with(".localhost")
        || address.is_some_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_several_names() {
        for host in [
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "127.0.0.1",
            "127.8.9.1",
            "[::1]",
            "::1",
            "::ffff:127.0.0.1",
        ] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in [
            "gbox.ai",
            "10.0.0.1",
            "0.0.0.0",
            "mylocalhost",
            "localhost.example",
            "[2001:db8::1]",
            "127.0.0.1.nip.io",
        ] {
            assert!(!is_this_machine(host), "{host}");
        }
    }
}
