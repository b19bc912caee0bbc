//! Seeds for independent random streams, derived from what they are for.

/// Mixes the parts into one seed (SplitMix64 steps): equal parts give equal seeds, any change gives another stream.
///
/// ```
/// use cua_grpo_core::derive_seed;
/// assert_eq!(derive_seed(&[42, 1, 2]), derive_seed(&[42, 1, 2]));
/// assert_ne!(derive_seed(&[42, 1, 2]), derive_seed(&[42, 2, 1]));
/// ```
pub fn derive_seed(parts: &[u64]) -> u64 {
    let mut state = 0x243F_6A88_85A3_08D3_u64;
    for &part in parts {
        state = mix(state ^ mix(part.wrapping_add(0x9E37_79B9_7F4A_7C15)));
    }
    state
}

fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
