//! Encoded pictures to opaque 8-bit pixels, as Pillow reads them; a file that was cut short is an error.

use super::{ProcessorError, jpeg};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};
use std::io::Cursor;
use std::panic::AssertUnwindSafe;

/// Most bytes of an encoded picture.
pub const MOST_BYTES: u64 = 64 << 20;

/// Most pixels of a picture. Larger ones are refused by their header: a file of a few bytes may stand for many gigabytes.
pub const MOST_PIXELS: usize = 100_000_000;

/// An opaque 8-bit picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RgbImage {
    /// Row-major `[height, width, 3]`.
    pub data: Vec<u8>,
    /// Pixels from top to bottom.
    pub height: usize,
    /// Pixels from left to right.
    pub width: usize,
}

/// `(height, width)` of an encoded picture, from its header; an EXIF orientation is honoured.
///
/// # Errors
/// [`ProcessorError::Decode`], also for one of more than [`MOST_PIXELS`] pixels.
pub fn image_size(bytes: &[u8]) -> Result<(usize, usize), ProcessorError> {
    survived(bytes, || read_size(bytes))
}

fn read_size(bytes: &[u8]) -> Result<(usize, usize), ProcessorError> {
    let mut decoder = decoder(bytes)?;
    let orientation = decoder.orientation().map_err(decode_error(bytes))?;
    let (height, width) = check_size(bytes, &decoder)?;
    let turned = matches!(
        orientation,
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
    );
    Ok(if turned { (width, height) } else { (height, width) })
}

/// Decodes a PNG, JPEG, WebP, GIF (first frame) or BMP file as transformers reads a path: alpha is dropped, gray is
/// repeated, palettes are looked up. A see-through pixel of a GIF is the background of its screen. Of 16 bits the upper
/// eight are taken; gray of 16 bits is cut at 255, as Pillow has it. JPEG has the pixels of libjpeg-turbo.
///
/// # Errors
/// [`ProcessorError::Decode`], also for a file that ends early, or one of more than [`MOST_PIXELS`] pixels.
pub fn decode_rgb(bytes: &[u8]) -> Result<RgbImage, ProcessorError> {
    survived(bytes, || decode(bytes))
}

/// What `read` gives. A panic of a decoder is an error of its file.
fn survived<T>(bytes: &[u8], read: impl FnOnce() -> Result<T, ProcessorError>) -> Result<T, ProcessorError> {
    std::panic::catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        Err(ProcessorError::Decode {
            bytes: bytes.len(),
            message: "a file that its decoder does not survive; save it anew".to_owned(),
        })
    })
}

/// `(height, width)` as the header says, within bounds.
fn check_size(bytes: &[u8], decoder: &impl ImageDecoder) -> Result<(usize, usize), ProcessorError> {
    let (width, height) = decoder.dimensions();
    let (width, height) = (width as usize, height as usize);
    if height.saturating_mul(width) > MOST_PIXELS {
        return Err(ProcessorError::Decode {
            bytes: bytes.len(),
            message: format!("{height}x{width} pixels, more than {MOST_PIXELS}; scale it down first"),
        });
    }
    Ok((height, width))
}

fn decode(bytes: &[u8]) -> Result<RgbImage, ProcessorError> {
    if bytes.len() as u64 > MOST_BYTES {
        return Err(ProcessorError::Decode {
            bytes: bytes.len(),
            message: format!("a file of more than {MOST_BYTES} bytes; save it smaller"),
        });
    }
    let mut decoder = decoder(bytes)?;
    let orientation = decoder.orientation().map_err(decode_error(bytes))?;
    check_size(bytes, &decoder)?;
    let format = image::guess_format(bytes).ok();
    check_whole(bytes, format)?;
    if format == Some(ImageFormat::WebP) && orientation != Orientation::NoTransforms {
        tracing::warn!(
            "a WebP picture with an EXIF orientation is turned upright, as Pillow does it; transformers with torchvision leaves it as it lies: save it upright"
        );
    }
    let mut image = match format {
        Some(ImageFormat::Jpeg) => jpeg::decode(bytes, MOST_PIXELS)?,
        _ => DynamicImage::from_decoder(decoder).map_err(decode_error(bytes))?,
    };
    image.apply_orientation(orientation);
    let (width, height) = (image.width() as usize, image.height() as usize);
    if format == Some(ImageFormat::Gif) && gif_frame_is_cut(bytes) {
        return Err(ProcessorError::Decode {
            bytes: bytes.len(),
            message: "a GIF whose first frame is larger than its screen: programs show it differently; save it as PNG"
                .to_owned(),
        });
    }
    let background = (format == Some(ImageFormat::Gif)).then(|| gif_background(bytes));
    Ok(RgbImage {
        data: opaque(image, background),
        height,
        width,
    })
}

/// The colours without alpha, `[height, width, 3]`; see-through pixels are `background` where there is one.
fn opaque(image: DynamicImage, background: Option<[u8; 3]>) -> Vec<u8> {
    if matches!(
        image,
        DynamicImage::ImageRgb16(_) | DynamicImage::ImageRgba16(_) | DynamicImage::ImageLumaA16(_)
    ) {
        tracing::warn!(
            "a picture of 16 bits: the upper eight are taken, as Pillow does it; transformers with torchvision takes all: save it with 8 bits"
        );
    }
    match image {
        DynamicImage::ImageRgb16(pixels) => pixels.into_raw().into_iter().map(upper).collect(),
        DynamicImage::ImageRgba16(pixels) => {
            tell_of_holes(pixels.pixels().map(|pixel| pixel.0[3] == u16::MAX));
            let rgb = |[r, g, b, _]: [u16; 4]| [r, g, b].map(upper);
            pixels.pixels().flat_map(|pixel| rgb(pixel.0)).collect()
        }
        DynamicImage::ImageLumaA16(pixels) => {
            tell_of_holes(pixels.pixels().map(|pixel| pixel.0[1] == u16::MAX));
            pixels.pixels().flat_map(|pixel| [upper(pixel.0[0]); 3]).collect()
        }
        DynamicImage::ImageLuma16(pixels) => {
            let gray = pixels.into_raw();
            let above = match gray.iter().any(|&value| value > 255) {
                true => ", and values above 255 become white",
                false => "",
            };
            tracing::warn!(
                "a gray picture of 16 bits: its values are those of 8 bits{above}, as in Pillow; transformers with torchvision takes them otherwise: save it with 8 bits"
            );
            let cut = |value: u16| u8::try_from(value).unwrap_or(u8::MAX);
            gray.into_iter().flat_map(|value| [cut(value); 3]).collect()
        }
        other if other.color().has_alpha() => {
            let pixels = other.into_rgba8();
            if background.is_none() {
                tell_of_holes(pixels.pixels().map(|pixel| pixel.0[3] == u8::MAX));
            }
            let rgb = |[r, g, b, a]: [u8; 4]| match background {
                Some(background) if a == 0 => background,
                _ => [r, g, b],
            };
            pixels.pixels().flat_map(|pixel| rgb(pixel.0)).collect()
        }
        other => other.into_rgb8().into_raw(),
    }
}

/// Warns where not every pixel is fully there.
fn tell_of_holes(mut full: impl Iterator<Item = bool>) {
    if !full.all(|full| full) {
        tracing::warn!(
            "a picture with see-through pixels: as in transformers, their colours count as they are stored; save the picture without transparency to choose what stands there"
        );
    }
}

/// The background of a GIF's screen: an entry of its global palette, black where it has none.
fn gif_background(bytes: &[u8]) -> [u8; 3] {
    let (Some(flags), Some(index)) = (bytes.get(10), bytes.get(11)) else {
        return [0; 3];
    };
    let entries = 2 << (flags & 7);
    if flags & 0x80 == 0 || usize::from(*index) >= entries {
        return [0; 3];
    }
    let at = 13 + 3 * usize::from(*index);
    let colour = bytes.get(at..at + 3).and_then(|colour| colour.try_into().ok());
    colour.unwrap_or([0; 3])
}

/// Whether the first frame of a GIF reaches beyond its screen.
fn gif_frame_is_cut(bytes: &[u8]) -> bool {
    let number = |at: usize| Some(u32::from(*bytes.get(at)?) | u32::from(*bytes.get(at + 1)?) << 8);
    let reaches = || {
        let (width, height) = (number(6)?, number(8)?);
        let flags = *bytes.get(10)?;
        let mut at = 13 + if flags & 0x80 == 0 { 0 } else { 3 * (2 << (flags & 7)) };
        // Extensions are a mark, a label and blocks, of which the last one is empty.
        while *bytes.get(at)? == 0x21 {
            at += 2;
            while *bytes.get(at)? != 0 {
                at += 1 + usize::from(*bytes.get(at)?);
            }
            at += 1;
        }
        let frame = *bytes.get(at)? == 0x2c;
        let (left, top, wide, high) = (number(at + 1)?, number(at + 3)?, number(at + 5)?, number(at + 7)?);
        Some(frame && (left + wide > width || top + high > height))
    };
    reaches().unwrap_or(false)
}

fn upper(value: u16) -> u8 {
    (value >> 8) as u8
}

fn decode_error(bytes: &[u8]) -> impl Fn(image::ImageError) -> ProcessorError {
    let bytes = bytes.len();
    move |error| ProcessorError::Decode {
        bytes,
        message: error.to_string(),
    }
}

/// Most bytes that a PNG may take beside its pixels: a row, and a colour profile, which is unpacked though nothing reads it.
const MOST_BESIDE: u64 = 8 << 20;

fn decoder(bytes: &[u8]) -> Result<impl ImageDecoder + '_, ProcessorError> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let mut reader = reader.map_err(|error| decode_error(bytes)(image::ImageError::IoError(error)))?;
    if reader.format() == Some(ImageFormat::Png) {
        let mut limits = image::Limits::default();
        limits.max_alloc = Some(MOST_BESIDE);
        reader.limits(limits);
    }
    reader.into_decoder().map_err(decode_error(bytes))
}

/// That the file is all there, where its decoder would fill in what is missing.
fn check_whole(bytes: &[u8], format: Option<ImageFormat>) -> Result<(), ProcessorError> {
    let whole = match format {
        Some(ImageFormat::Jpeg) => jpeg::has_end(bytes),
        Some(ImageFormat::WebP) => webp_has_end(bytes),
        _ => true,
    };
    whole.then_some(()).ok_or_else(|| ProcessorError::Decode {
        bytes: bytes.len(),
        message: "a file that was cut short; copy or download it again".to_owned(),
    })
}

/// Whether the file is as long as its header says.
fn webp_has_end(bytes: &[u8]) -> bool {
    let size = bytes.get(4..8).and_then(|size| <[u8; 4]>::try_from(size).ok());
    size.is_some_and(|size| bytes.len() as u64 >= 8 + u64::from(u32::from_le_bytes(size)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small PNG whose colour profile unpacks to so many bytes or more.
    fn with_profile(bytes: u32) -> Vec<u8> {
        let encode = |width, height| {
            let mut file = Cursor::new(Vec::new());
            let picture = image::GrayImage::new(width, height);
            picture.write_to(&mut file, ImageFormat::Png).unwrap();
            file.into_inner()
        };
        // The values of a large picture are a profile of zeros for a small one.
        let (large, mut at) = (encode(1024, bytes.div_ceil(1024)), 8);
        let mut chunk = b"iCCPa\0\0".to_vec();
        while at < large.len() {
            let length = u32::from_be_bytes(large[at..at + 4].try_into().unwrap()) as usize;
            if &large[at + 4..at + 8] == b"IDAT" {
                chunk.extend(&large[at + 8..at + 8 + length]);
            }
            at += length + 12;
        }
        let step = |crc: u32| (crc >> 1) ^ (0xEDB8_8320 & 0_u32.wrapping_sub(crc & 1));
        let crc = !chunk.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc))
        });
        let mut small = encode(4, 4);
        let head = (chunk.len() as u32 - 4).to_be_bytes();
        let chunk = [&head[..], &chunk, &crc.to_be_bytes()].concat();
        small.splice(33..33, chunk);
        small
    }

    #[test]
    fn a_colour_profile_that_unpacks_to_much_is_left_packed() {
        let profile = |bytes| decoder(&with_profile(bytes)).unwrap().icc_profile().unwrap();
        assert!(profile(1 << 20).is_some());
        assert!(profile(64 << 20).is_none());
        assert!(decode_rgb(&with_profile(64 << 20)).is_ok());
    }
}
