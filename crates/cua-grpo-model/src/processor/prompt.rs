//! Growing vision placeholders to the number of tokens that the vision tower makes.

use super::ProcessorError;
use cua_grpo_core::TokenId;

/// What a template writes for a clip.
const CLIP: &str = "<|vision_start|><|video_pad|><|vision_end|>";

/// One clip as the prompt shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoSpan {
    /// Seconds of each temporal patch, see [`super::frame_timestamps`].
    pub timestamps: Vec<f64>,
    /// Merged tokens of one temporal patch, `(h / merge) * (w / merge)`.
    pub tokens: usize,
}

/// Repeats the i-th `pad` of `ids` `counts[i]` times; everything else stays.
///
/// # Errors
/// [`ProcessorError::Mismatch`] when there are not as many pads as counts.
pub fn expand_pads(ids: &[TokenId], pad: TokenId, counts: &[usize]) -> Result<Vec<TokenId>, ProcessorError> {
    let found = ids.iter().filter(|&&id| id == pad).count();
    if found != counts.len() {
        return Err(ProcessorError::Mismatch {
            operation: "place images in the prompt",
            expected: format!("a placeholder for each of {} images", counts.len()),
            got: format!("{found} placeholders; the template drops images of system and assistant messages"),
        });
    }
    let mut counts = counts.iter();
    let mut out = Vec::with_capacity(ids.len() + counts.as_slice().iter().sum::<usize>());
    for &id in ids {
        let times = if id == pad {
            counts.next().copied().unwrap_or(1)
        } else {
            1
        };
        out.extend(std::iter::repeat_n(id, times));
    }
    Ok(out)
}

/// Replaces each clip placeholder of a rendered text by `<t seconds>` and a vision block for every temporal patch.
///
/// This is the layout of transformers 4.57, with which the released models were published: the outer
/// `<|vision_start|>` and `<|vision_end|>` of the template are replaced too.
///
/// # Errors
/// [`ProcessorError::Mismatch`] when there are not as many placeholders as clips.
pub fn expand_videos(text: &str, videos: &[VideoSpan]) -> Result<String, ProcessorError> {
    let found = text.matches(CLIP).count();
    if found != videos.len() {
        return Err(ProcessorError::Mismatch {
            operation: "place clips in the prompt",
            expected: format!("a placeholder for each of {} clips", videos.len()),
            got: format!("{found} placeholders"),
        });
    }
    let mut pieces = text.split(CLIP);
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for (video, after) in videos.iter().zip(pieces) {
        for seconds in &video.timestamps {
            let pads = "<|video_pad|>".repeat(video.tokens);
            out.push_str(&format!("<{seconds:.1} seconds><|vision_start|>{pads}<|vision_end|>"));
        }
        out.push_str(after);
    }
    Ok(out)
}
