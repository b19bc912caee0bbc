//! M-RoPE positions: three numbers a token (time, height, width), for whole rows and for rows that grow.

use super::{Grid, ProcessorError};
use cua_grpo_core::TokenId;

/// The ids that stand for vision tokens, and how patches are merged into them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PadIds {
    /// `<|image_pad|>`.
    pub image: TokenId,
    /// `<|video_pad|>`.
    pub video: TokenId,
    /// Patches a side that become one token (spatial merge size).
    pub merge: usize,
}

/// Where the next token of a row stands.
///
/// Extending a row piece by piece gives the same positions as [`rope_index`] on the whole row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PositionState {
    /// Position of the next text token on all three axes.
    pub next: i64,
}

impl PositionState {
    /// Positions `[3][tokens]` (time, height, width) of tokens appended to the row.
    ///
    /// Text advances by one a token on all axes. A picture of `gh` x `gw` merged patches starts at the current
    /// position `p`: the token in row `r`, column `c` gets `(p, p + r, p + c)`, and the position advances by
    /// `max(gh, gw)`. A clip counts as one picture a temporal patch. `images` and `videos` are the grids of the pad
    /// tokens in `tokens`, in order; a picture, and a clip with all its temporal patches, must lie wholly within one call.
    ///
    /// # Errors
    /// [`ProcessorError::Mismatch`] when pads and grids do not fit; the state is unchanged then.
    pub fn extend(
        &mut self,
        tokens: &[TokenId],
        images: &[Grid],
        videos: &[Grid],
        ids: PadIds,
    ) -> Result<[Vec<i64>; 3], ProcessorError> {
        let mut positions = [(); 3].map(|()| Vec::with_capacity(tokens.len()));
        let mut images = images.iter().copied();
        let mut frames = videos
            .iter()
            .flat_map(|grid| std::iter::repeat_n(Grid { t: 1, ..*grid }, grid.t));
        let (mut next, mut index) = (self.next, 0);
        while index < tokens.len() {
            let id = tokens[index];
            if id != ids.image && id != ids.video {
                positions.iter_mut().for_each(|axis| axis.push(next));
                next += 1;
                index += 1;
                continue;
            }
            let grid = if id == ids.image { images.next() } else { frames.next() };
            let grid = grid.ok_or_else(|| too_many_pads(index))?;
            let count = grid.tokens(ids.merge);
            let found = tokens[index..]
                .iter()
                .take(count)
                .take_while(|&&token| token == id)
                .count();
            if found != count || count == 0 {
                return Err(ProcessorError::Mismatch {
                    operation: "positions",
                    expected: format!("{count} pad tokens at index {index} for the grid {:?}", grid.thw()),
                    got: format!("{found}; expand each picture with its own grid"),
                });
            }
            let (rows, columns) = ((grid.h / ids.merge) as i64, (grid.w / ids.merge) as i64);
            for _ in 0..grid.t {
                for row in 0..rows {
                    for column in 0..columns {
                        positions[0].push(next);
                        positions[1].push(next + row);
                        positions[2].push(next + column);
                    }
                }
            }
            next += rows.max(columns);
            index += count;
        }
        let unused = images.count() + frames.count();
        if unused > 0 {
            return Err(ProcessorError::Mismatch {
                operation: "positions",
                expected: "a run of pad tokens for every grid".to_owned(),
                got: format!("{unused} grids (temporal patches of clips counted singly) without pads"),
            });
        }
        self.next = next;
        Ok(positions)
    }
}

fn too_many_pads(index: usize) -> ProcessorError {
    ProcessorError::Mismatch {
        operation: "positions",
        expected: "a grid for every run of pad tokens".to_owned(),
        got: format!("a pad token at index {index} and no grid left"),
    }
}

/// Positions `[3][tokens]` of one unpadded row, and its rope delta.
///
/// The delta is the largest position plus one, minus the number of tokens: the position of a token generated later is
/// its index in the row plus the delta. See [`PositionState::extend`] for the rules.
///
/// # Errors
/// [`ProcessorError::Mismatch`] when pads and grids do not fit.
pub fn rope_index(
    tokens: &[TokenId],
    images: &[Grid],
    videos: &[Grid],
    ids: PadIds,
) -> Result<([Vec<i64>; 3], i64), ProcessorError> {
    let mut state = PositionState::default();
    let positions = state.extend(tokens, images, videos, ids)?;
    Ok((positions, state.next - tokens.len() as i64))
}
