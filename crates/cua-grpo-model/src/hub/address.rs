//! Addresses as they may be shown.

/// A name or an address as it may be shown: a user, a password and a query have asterisks in their place.
pub fn shown(address: &str) -> String {
    let begin = address.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = address.split_at(begin);
    // A password may hold anything, so the last `@` counts.
    let (user, rest) = rest.rsplit_once('@').map_or(("", rest), |(_, rest)| ("***@", rest));
    let (path, query) = match rest.find(['?', '#']) {
        Some(at) if begin > 0 => (&rest[..at], "?***"),
        _ => (rest, ""),
    };
    format!("{scheme}{user}{path}{query}")
}
