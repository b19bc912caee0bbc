//! How many experts a mixture has, and how many of them a token goes through.

use super::read::{maybe_size, size};
use serde_json::Value;

/// Experts, and those of them that each token takes, from the keys of `text_config`.
///
/// # Errors
/// The key that is missing, out of range, or contradicts another.
pub(super) fn experts(text: &Value) -> Result<(usize, usize), String> {
    // transformers 4.57 writes num_experts, 5.x num_local_experts.
    let (new, old) = (maybe_size(text, "num_local_experts")?, maybe_size(text, "num_experts")?);
    if let (Some(new), Some(old)) = (new, old)
        && new != old
    {
        return Err(format!(
            "num_experts {old} and num_local_experts {new} differ; they name one number"
        ));
    }
    let experts = old.or(new).ok_or("num_local_experts is missing")?;
    let chosen = size(text, "num_experts_per_tok")?;
    if chosen == 0 || chosen > experts {
        return Err(format!(
            "num_experts_per_tok: expected 1 to {experts} (the experts), found {chosen}"
        ));
    }
    Ok((experts, chosen))
}
