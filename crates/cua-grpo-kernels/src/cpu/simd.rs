//! Loops that the compiler vectorises for the instruction set it finds at run time, and the functions in them.
//!
//! A result does not depend on the number of threads. It may differ in the last bits between instruction sets.

/// Lanes of a reduction: one AVX-512 register, the same on every machine.
const LANES: usize = 16;

/// Compiles a function for the instruction sets that matter and picks one at each call.
macro_rules! simd {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        #[allow(unsafe_code, clippy::too_many_arguments)]
        $vis fn $name($($arg: $ty),*) {
            #[inline(always)]
            fn portable($($arg: $ty),*) $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
                fn avx512($($arg: $ty),*) {
                    portable($($arg),*);
                }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $ty),*) {
                    portable($($arg),*);
                }
                match crate::cpu::simd::level() {
                    // SAFETY: `level` found every feature that the function is compiled for.
                    crate::cpu::simd::Level::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    crate::cpu::simd::Level::Avx2 => return unsafe { avx2($($arg),*) },
                    crate::cpu::simd::Level::Portable => {}
                }
            }
            portable($($arg),*);
        }
    };
}
pub(super) use simd;

/// Instruction sets with a version of their own.
#[cfg(target_arch = "x86_64")]
pub(super) enum Level {
    /// AVX-512 F, VL, DQ and BW.
    Avx512,
    /// AVX2 and FMA.
    Avx2,
    /// What the target guarantees.
    Portable,
}

/// The best instruction set of this machine (the standard library remembers it).
#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) fn level() -> Level {
    let avx2 = std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma");
    let avx512 = std::is_x86_feature_detected!("avx512f")
        && std::is_x86_feature_detected!("avx512vl")
        && std::is_x86_feature_detected!("avx512dq")
        && std::is_x86_feature_detected!("avx512bw");
    match (avx2, avx512) {
        (true, true) => Level::Avx512,
        (true, false) => Level::Avx2,
        (false, _) => Level::Portable,
    }
}

/// `e^x`, relative error below 2e-7 for `x` in -87..88; below it is 1e-38 or less, above it is 2e38 or more.
///
/// Range reduction to `|r| <= ln 2 / 2`, then the polynomial of Cephes `expf`.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
    // Comparisons that keep NaN.
    let x = if x < -87.3 { -87.3 } else { x };
    let x = if x > 88.3 { 88.3 } else { x };
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-0.693_359_4, x);
    let r = n.mul_add(2.121_944_4e-4, r);
    let p = 1.987_569_1e-4f32;
    let p = p.mul_add(r, 1.398_199_9e-3);
    let p = p.mul_add(r, 8.333_452e-3);
    let p = p.mul_add(r, 4.166_579_6e-2);
    let p = p.mul_add(r, 0.166_666_65);
    let p = p.mul_add(r, 0.5);
    let p = p.mul_add(r * r, r) + 1.0;
    // 2^n from the integer that `ROUND` left.
    p * f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000))
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The error function, absolute error below 5e-7 (Abramowitz and Stegun 7.1.26).
#[inline(always)]
pub(super) fn erf(x: f32) -> f32 {
    let size = x.abs();
    let t = 1.0 / size.mul_add(0.327_591_1, 1.0);
    let p = 1.061_405_4f32;
    let p = p.mul_add(t, -1.453_152);
    let p = p.mul_add(t, 1.421_413_8);
    let p = p.mul_add(t, -0.284_496_74);
    let p = p.mul_add(t, 0.254_829_6);
    (1.0 - p * t * exp(-size * size)).copysign(x)
}

/// Adds the lanes, always in the same order.
#[inline(always)]
fn fold(mut lanes: [f32; LANES], join: impl Fn(f32, f32) -> f32) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] = join(lanes[lane], lanes[lane + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// Sum of `f(a_i, b_i)` over slices of equal length.
#[inline(always)]
pub(super) fn sum_pairs(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            lanes[lane] += f(a[lane], b[lane]);
        }
    }
    for (lane, (&a, &b)) in lanes.iter_mut().zip(a_rest.iter().zip(b_rest)) {
        *lane += f(a, b);
    }
    fold(lanes, |x, y| x + y)
}

/// Replaces every element by `f` of it and returns the sum of the results.
#[inline(always)]
pub(super) fn map_sum(values: &mut [f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (blocks, rest) = values.as_chunks_mut::<LANES>();
    for block in blocks {
        for lane in 0..LANES {
            block[lane] = f(block[lane]);
            lanes[lane] += block[lane];
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *value = f(*value);
        *lane += *value;
    }
    fold(lanes, |x, y| x + y)
}

/// The largest element; negative infinity of none.
#[inline(always)]
pub(super) fn max(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (blocks, rest) = values.as_chunks::<LANES>();
    let larger = |x: f32, y: f32| if y > x { y } else { x };
    for block in blocks {
        for lane in 0..LANES {
            lanes[lane] = larger(lanes[lane], block[lane]);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane = larger(*lane, value);
    }
    fold(lanes, larger)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_two_ulp() {
        let mut worst = 0.0f64;
        for step in 0..=1_750_000 {
            let x = -87.0 + step as f32 * 1e-4;
            let true_value = f64::from(x).exp();
            worst = worst.max((f64::from(exp(x)) - true_value).abs() / true_value);
        }
        assert!(worst < 2e-7, "worst relative error {worst:e}");
        assert!(exp(f32::NAN).is_nan());
        assert!(exp(-1e30) < 1.3e-38 && exp(1e30) > 2e38);
    }

    #[test]
    fn erf_is_within_a_millionth() {
        // erf(x) = 2/sqrt(pi) * sum (-1)^n x^(2n+1) / (n! (2n+1)), which converges fast enough up to 4.
        let series = |x: f64| {
            let (mut power, mut sum) = (x, x);
            for n in 1..120 {
                power *= -x * x / n as f64;
                sum += power / (2 * n + 1) as f64;
            }
            sum * std::f64::consts::FRAC_2_SQRT_PI
        };
        let mut worst = 0.0f64;
        for step in -4000..=4000 {
            let x = step as f32 * 1e-3;
            worst = worst.max((f64::from(erf(x)) - series(f64::from(x))).abs());
        }
        assert!(worst < 5e-7, "worst absolute error {worst:e}");
        assert!((erf(9.0) - 1.0).abs() < 1e-7 && (erf(-9.0) + 1.0).abs() < 1e-7);
    }

    #[test]
    fn reductions_take_every_element() {
        for length in [0usize, 1, 15, 16, 17, 40] {
            let mut values: Vec<f32> = (0..length).map(|i| i as f32).collect();
            let total = (length * length.saturating_sub(1) / 2) as f32;
            assert_eq!(sum_pairs(&values, &values, |a, _| a), total);
            assert_eq!(max(&values), values.last().copied().unwrap_or(f32::NEG_INFINITY));
            assert_eq!(map_sum(&mut values, |value| 2.0 * value), 2.0 * total);
        }
    }
}
