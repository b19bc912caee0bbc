//! Antialiased resize of 8-bit pictures, bit-equal to torchvision's on a CPU.
//!
//! One pass an axis (horizontal first), integer weights of at most 16 bits, a rounding shift, and a clamp to 0..=255
//! after each pass. An axis that keeps its size is skipped. Source of the recipe: `upsample_bicubic2d_aa` for uint8 in ATen.

use std::f64::consts::PI;

/// How a picture is resized; the numbers are Pillow's, which processor files hold under `resample`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Resample {
    /// 0: the pixel whose centre is nearest.
    Nearest,
    /// 1: windowed sinc over three pixels to either side.
    Lanczos,
    /// 2: linear.
    Bilinear,
    /// 3: cubic with a = -0.5, which the released models use.
    #[default]
    Bicubic,
}

impl Resample {
    /// The filter of Pillow's number; box (4) and hamming (5) are not among torchvision's for tensors.
    pub fn from_number(number: u64) -> Option<Self> {
        Some(match number {
            0 => Self::Nearest,
            1 => Self::Lanczos,
            2 => Self::Bilinear,
            3 => Self::Bicubic,
            _ => return None,
        })
    }

    /// Pillow's number.
    pub fn number(self) -> u64 {
        match self {
            Self::Nearest => 0,
            Self::Lanczos => 1,
            Self::Bilinear => 2,
            Self::Bicubic => 3,
        }
    }

    /// Half the width of the kernel in pixels, and the kernel.
    fn kernel(self) -> (f64, fn(f64) -> f64) {
        match self {
            Self::Nearest => (0.5, |_| 1.0),
            Self::Lanczos => (3.0, lanczos),
            Self::Bilinear => (1.0, |x| (1.0 - x.abs()).max(0.0)),
            Self::Bicubic => (2.0, cubic),
        }
    }
}

/// Weights of one axis in fixed point.
struct Axis {
    /// For each output index: first input index, and the range of its weights in `weights`.
    taps: Vec<(usize, std::ops::Range<usize>)>,
    weights: Vec<i32>,
    precision: u32,
}

/// Cubic convolution kernel with a = -0.5.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

/// Sinc windowed by a wider sinc, zero from three pixels on.
fn lanczos(x: f64) -> f64 {
    let sinc = |x: f64| if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) };
    if (-3.0..3.0).contains(&x) {
        sinc(x) * sinc(x / 3.0)
    } else {
        0.0
    }
}

impl Axis {
    fn new(input: usize, output: usize, filter: Resample) -> Self {
        let (reach, kernel) = filter.kernel();
        let scale = input as f64 / output as f64;
        let (support, inverse) = if scale >= 1.0 {
            (reach * scale, 1.0 / scale)
        } else {
            (reach, 1.0)
        };
        let mut taps = Vec::with_capacity(output);
        let mut exact = Vec::new();
        for index in 0..output {
            let centre = scale * (index as f64 + 0.5);
            // Truncation toward zero, as the C cast does; negative values end at 0 either way.
            let low = (centre - support + 0.5).max(0.0) as usize;
            let high = ((centre + support + 0.5) as usize).min(input);
            let start = exact.len();
            exact.extend((low..high).map(|tap| kernel((tap as f64 - centre + 0.5) * inverse)));
            let total: f64 = exact[start..].iter().sum();
            exact[start..].iter_mut().for_each(|weight| *weight /= total);
            taps.push((low, start..exact.len()));
        }
        let largest = exact.iter().copied().fold(0.0_f64, f64::max);
        let mut precision = 0;
        while precision < 22 && 0.5 + largest * f64::from(1_i32 << (precision + 1)) < f64::from(1 << 15) {
            precision += 1;
        }
        let unit = f64::from(1_i32 << precision);
        let weights = exact
            .iter()
            .map(|w| (w * unit + if *w < 0.0 { -0.5 } else { 0.5 }) as i32)
            .collect();
        Self {
            taps,
            weights,
            precision,
        }
    }

    fn rounding(&self) -> i32 {
        (1 << self.precision) >> 1
    }
}

/// Resizes `rgb` (`[height, width, 3]`, row-major bytes) to `[new_height, new_width, 3]`.
///
/// # Panics
/// When `rgb` does not hold `height * width * 3` bytes, or a size is 0.
pub fn resize_bicubic(rgb: &[u8], height: usize, width: usize, new_height: usize, new_width: usize) -> Vec<u8> {
    resize(rgb, (height, width), (new_height, new_width), Resample::Bicubic)
}

/// Resizes `rgb` (`[height, width, 3]`, row-major bytes) from `old` to `new` (height, width each) with a filter.
///
/// # Panics
/// When `rgb` does not hold `height * width * 3` bytes, or a size is 0.
pub fn resize(rgb: &[u8], old: (usize, usize), new: (usize, usize), filter: Resample) -> Vec<u8> {
    let ((height, width), (new_height, new_width)) = (old, new);
    assert_eq!(
        rgb.len(),
        height * width * 3,
        "resize: the bytes must fill height x width x 3"
    );
    assert!(
        height * width * new_height * new_width > 0,
        "resize: sizes must be positive"
    );
    if filter == Resample::Nearest {
        return nearest(rgb, old, new);
    }
    let horizontal = if width == new_width {
        None
    } else {
        Some(resize_rows(rgb, width, new_width, filter))
    };
    let wide: &[u8] = horizontal.as_deref().unwrap_or(rgb);
    if height == new_height {
        return horizontal.unwrap_or_else(|| rgb.to_vec());
    }
    resize_columns(wide, height, new_width * 3, new_height, filter)
}

/// The pixel under the centre of each new one, as torchvision's `NEAREST_EXACT`, whose arithmetic is in f32.
fn nearest(rgb: &[u8], old: (usize, usize), new: (usize, usize)) -> Vec<u8> {
    let sources = |old: usize, new: usize| {
        let scale = old as f32 / new as f32;
        let source = move |index: usize| (((index as f32 + 0.5) * scale).floor() as usize).min(old - 1);
        (0..new).map(source).collect::<Vec<_>>()
    };
    let columns = sources(old.1, new.1);
    let mut out = Vec::with_capacity(new.0 * new.1 * 3);
    for row in sources(old.0, new.0) {
        for column in &columns {
            let start = (row * old.1 + column) * 3;
            out.extend_from_slice(&rgb[start..start + 3]);
        }
    }
    out
}

fn resize_rows(rgb: &[u8], width: usize, new_width: usize, filter: Resample) -> Vec<u8> {
    let axis = Axis::new(width, new_width, filter);
    let mut out = Vec::with_capacity(rgb.len() / width * new_width);
    for row in rgb.chunks_exact(width * 3) {
        for (low, range) in &axis.taps {
            let weights = &axis.weights[range.clone()];
            let pixels = &row[low * 3..(low + weights.len()) * 3];
            let mut sums = [axis.rounding(); 3];
            for (pixel, weight) in pixels.chunks_exact(3).zip(weights) {
                sums[0] += i32::from(pixel[0]) * weight;
                sums[1] += i32::from(pixel[1]) * weight;
                sums[2] += i32::from(pixel[2]) * weight;
            }
            out.extend(sums.map(|sum| (sum >> axis.precision).clamp(0, 255) as u8));
        }
    }
    out
}

fn resize_columns(bytes: &[u8], height: usize, stride: usize, new_height: usize, filter: Resample) -> Vec<u8> {
    let axis = Axis::new(height, new_height, filter);
    let mut out = Vec::with_capacity(stride * new_height);
    let mut sums = vec![0_i32; stride];
    for (low, range) in &axis.taps {
        sums.fill(axis.rounding());
        for (row, weight) in bytes[low * stride..]
            .chunks_exact(stride)
            .zip(&axis.weights[range.clone()])
        {
            for (sum, &byte) in sums.iter_mut().zip(row) {
                *sum += i32::from(byte) * weight;
            }
        }
        out.extend(sums.iter().map(|sum| (sum >> axis.precision).clamp(0, 255) as u8));
    }
    out
}
