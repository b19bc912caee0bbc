//! What a conversation has in a cache: tokens, pictures, and which weights computed them.

use crate::batch::RowInput;
use crate::processor::{Pixels, PositionState};
use crate::{ModelConfig, ModelError};
use cua_grpo_core::TokenId;
use std::sync::{Arc, Weak};

/// A token in a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Fed {
    token: TokenId,
    /// Whether a part of a picture stands for it.
    visual: bool,
    /// Number of the weights that computed it.
    weights: u64,
}

/// A picture among the tokens.
#[derive(Debug, Clone)]
struct Picture {
    /// Its first token, and the one behind its last.
    tokens: [usize; 2],
    /// Kept from being mixed up with others, not from being dropped.
    pixels: Weak<Pixels>,
}

impl PartialEq for Picture {
    fn eq(&self, other: &Self) -> bool {
        self.tokens == other.tokens && self.pixels.ptr_eq(&other.pixels)
    }
}

/// What a conversation has in a cache.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct History {
    tokens: Vec<Fed>,
    pictures: Vec<Picture>,
}

impl History {
    /// Tokens.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Appends what the weights of number `weights` are fed.
    ///
    /// # Errors
    /// When pad tokens and pictures disagree.
    pub fn feed(
        &mut self,
        config: &ModelConfig,
        input: &RowInput,
        positions: PositionState,
        weights: u64,
    ) -> Result<(), ModelError> {
        if input.pixels.is_empty() {
            self.draw(&input.tokens, weights);
            return Ok(());
        }
        let visual = input.place(config, positions)?.visual;
        let merge = config.vision.spatial_merge_size;
        let mut places = (self.tokens.len()..).zip(&visual).filter(|(_, visual)| **visual);
        for pixels in &input.pixels {
            let mut own = places.by_ref().map(|(place, _)| place).take(pixels.grid.tokens(merge));
            let first = own.next().unwrap_or(self.tokens.len());
            self.pictures.push(Picture {
                tokens: [first, own.last().unwrap_or(first) + 1],
                pixels: Arc::downgrade(pixels),
            });
        }
        let fed = input.tokens.iter().zip(visual);
        self.tokens
            .extend(fed.map(|(&token, visual)| Fed { token, visual, weights }));
        Ok(())
    }

    /// Appends text.
    pub fn draw(&mut self, tokens: &[TokenId], weights: u64) {
        self.tokens.extend(tokens.iter().map(|&token| Fed {
            token,
            visual: false,
            weights,
        }));
    }

    /// Pictures among them.
    pub fn pictures(&self) -> usize {
        self.pictures.len()
    }

    /// The first `length` tokens, or fewer: a picture is in whole.
    pub fn beginning(&self, mut length: usize) -> Self {
        if let Some(cut) = self.pictures.iter().find(|picture| picture.tokens[1] > length) {
            length = length.min(cut.tokens[0]);
        }
        let pictures = self.pictures.iter().filter(|picture| picture.tokens[1] <= length);
        Self {
            tokens: self.tokens[..length].to_vec(),
            pictures: pictures.cloned().collect(),
        }
    }

    /// How many tokens stand at the start of both.
    pub fn common(&self, other: &Self) -> usize {
        let tokens = self.tokens.iter().zip(&other.tokens);
        let equal = tokens.take_while(|(a, b)| a == b).count();
        let mut pictures = self.pictures.iter().zip(&other.pictures);
        let differs = pictures.find(|(a, b)| a != b);
        differs.map_or(equal, |(a, b)| equal.min(a.tokens[0]).min(b.tokens[0]))
    }
}
