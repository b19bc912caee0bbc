//! Empty: its manifest makes every selection of our crates build foreign crates with the same features.
