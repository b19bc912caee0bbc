//! Which size a picture is resized to: multiples of a factor, within a budget of pixels, at nearly the same shape.

use super::ProcessorError;

/// The longest side may be this many times the shortest.
const MAX_ASPECT: f64 = 200.0;

/// The `(height, width)` that a picture is resized to (Qwen2-VL's `smart_resize`).
///
/// Both are multiples of `factor` (patch size times merge size, in pixels), rounded with ties to even; when their
/// product leaves `min_pixels..=max_pixels` both are rescaled, rounding away from the violated bound.
///
/// # Errors
/// [`ProcessorError::Size`] when a side is 0 or the sides differ by more than a factor of 200.
pub fn smart_resize(
    height: usize,
    width: usize,
    factor: usize,
    min_pixels: usize,
    max_pixels: usize,
) -> Result<(usize, usize), ProcessorError> {
    fit(1, 1, height, width, factor, min_pixels, max_pixels)
}

/// The `(height, width)` that the frames of a clip are resized to (Qwen3-VL's video `smart_resize`).
///
/// The budget counts pixels over all `frames`, rounded to a multiple of `temporal_factor` with ties to even. Frames with a
/// side below `factor` are first scaled until both sides reach it.
///
/// # Errors
/// [`ProcessorError::Size`] when there is no frame, a side is 0, or the sides differ by more than a factor of 200.
pub fn smart_resize_video(
    frames: usize,
    height: usize,
    width: usize,
    temporal_factor: usize,
    factor: usize,
    min_pixels: usize,
    max_pixels: usize,
) -> Result<(usize, usize), ProcessorError> {
    let temporal = temporal_factor.max(1);
    // A single frame fills one patch of time; transformers refuses it.
    let padded = ((frames as f64 / temporal as f64).round_ties_even() as usize).max(1) * temporal;
    let (height, width) = at_least(height, width, factor);
    fit(frames, padded, height, width, factor, min_pixels, max_pixels)
}

/// Sides scaled so that both are at least `factor`.
fn at_least(height: usize, width: usize, factor: usize) -> (usize, usize) {
    if height == 0 || width == 0 || (height >= factor && width >= factor) {
        return (height, width);
    }
    let scale = (factor as f64 / height as f64).max(factor as f64 / width as f64);
    ((height as f64 * scale) as usize, (width as f64 * scale) as usize)
}

fn fit(
    frames: usize,
    padded: usize,
    height: usize,
    width: usize,
    factor: usize,
    min_pixels: usize,
    max_pixels: usize,
) -> Result<(usize, usize), ProcessorError> {
    let error = |expected: String| ProcessorError::Size {
        height,
        width,
        expected,
    };
    if height == 0 || width == 0 || frames == 0 || factor == 0 {
        return Err(error(
            "at least one frame, one pixel a side and a positive factor".to_owned(),
        ));
    }
    let (h, w, f) = (height as f64, width as f64, factor as f64);
    if h.max(w) / h.min(w) > MAX_ASPECT {
        return Err(error(format!("sides that differ by at most a factor of {MAX_ASPECT}")));
    }
    let nearest = |side: f64| (side / f).round_ties_even() * f;
    let (rounded_h, rounded_w) = (nearest(h), nearest(w));
    let budget = padded as f64 * rounded_h * rounded_w;
    let volume = frames as f64 * h * w;
    let (min, max) = (min_pixels as f64, max_pixels as f64);
    let (new_h, new_w) = if budget > max {
        let beta = (volume / max).sqrt();
        let shrink = |side: f64| f.max((side / beta / f).floor() * f);
        (shrink(h), shrink(w))
    } else if budget < min {
        let beta = (min / volume).sqrt();
        let grow = |side: f64| (side * beta / f).ceil() * f;
        (grow(h), grow(w))
    } else {
        (rounded_h, rounded_w)
    };
    if new_h < f || new_w < f {
        // Only reachable with a minimum below factor^2: rounding gave 0 and nothing lifted it.
        return Err(error(format!("a size that rounds to at least {factor} pixels a side")));
    }
    Ok((new_h as usize, new_w as usize))
}
