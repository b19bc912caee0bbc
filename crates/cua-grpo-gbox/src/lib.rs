//! Typed GBox client, box pool, action grammar and device validators.
