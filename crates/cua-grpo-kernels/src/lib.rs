//! Fused operations as Burn backend extensions, each with a reference body.
