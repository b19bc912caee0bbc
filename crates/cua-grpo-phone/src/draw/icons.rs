//! Icons as paths in a square of 24, read once from the embedded list.

use std::{collections::HashMap, sync::LazyLock};
use tiny_skia::{Path, PathBuilder};

static ICONS: LazyLock<HashMap<&'static str, Path>> = LazyLock::new(|| {
    include_str!("../../assets/icons/icons.txt")
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(name, data)| Some((name, path(data)?)))
        .collect()
});

/// The path of an icon: a name of Material icons, with `_o` behind it for the outlined one.
pub fn icon(name: &str) -> Option<&'static Path> {
    ICONS.get(name)
}

/// Reads a path of absolute `M`, `L`, `Q`, `C` and `Z` with spaces between the numbers; `None` where it is none.
pub fn path(data: &str) -> Option<Path> {
    let mut builder = PathBuilder::new();
    let mut rest = data.trim();
    while let Some(command) = rest.chars().next() {
        rest = &rest[command.len_utf8()..];
        let end = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let numbers: Vec<f32> = rest[..end].split_whitespace().map_while(|n| n.parse().ok()).collect();
        rest = &rest[end..];
        match (command, numbers.as_slice()) {
            ('M', [x, y]) => builder.move_to(*x, *y),
            ('L', [x, y]) => builder.line_to(*x, *y),
            ('Q', [a, b, x, y]) => builder.quad_to(*a, *b, *x, *y),
            ('C', [a, b, c, d, x, y]) => builder.cubic_to(*a, *b, *c, *d, *x, *y),
            ('Z', []) => builder.close(),
            _ => return None,
        }
    }
    builder.finish()
}
