//! Pictures of every kind that is read, against the pixels of Pillow, and files that were cut short.
//!
//! `fixtures/pictures` holds small files that Pillow 13 wrote, and in `pictures.json` the pixels that transformers 5.24 reads
//! from a path: `load_image`, and `load_image_as_tensor` for GIF, whose see-through pixels are the screen's background.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

use cua_grpo_model::processor::{ProcessorError, decode_rgb, image_size};
use serde_json::Value;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures")
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap()
}

/// Name, height, width and pixels of every file.
fn pictures() -> Vec<(String, usize, usize, Vec<u8>)> {
    let text = std::fs::read_to_string(folder().join("pictures.json")).unwrap();
    let files: Value = serde_json::from_str(&text).unwrap();
    let pixel = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap();
    let entry = |(name, entry): (&String, &Value)| {
        let side = |key: &str| entry[key].as_u64().unwrap() as usize;
        let pixels = entry["rgb"].as_str().unwrap().as_bytes().chunks(2).map(pixel).collect();
        (name.clone(), side("height"), side("width"), pixels)
    };
    files.as_object().unwrap().iter().map(entry).collect()
}

#[test]
fn every_kind_has_the_pixels_of_pillow() {
    let all = pictures();
    assert_eq!(all.len(), 43);
    for (name, height, width, want) in all {
        let bytes = read(&name);
        let got = decode_rgb(&bytes).unwrap();
        assert_eq!((got.height, got.width), (height, width), "{name}");
        assert_eq!(
            image_size(&bytes).unwrap(),
            (height, width),
            "{name}: from the header alone"
        );
        let off = got.data.iter().zip(&want).map(|(a, b)| a.abs_diff(*b));
        // Lossy WebP rounds differently; everything else is exact, JPEG too.
        let tolerance = match name.rsplit_once('.').unwrap() {
            ("lossy", "webp") => 4,
            _ => 0,
        };
        assert!(
            off.clone().max().unwrap() <= tolerance,
            "{name}: off by {:?}",
            off.max()
        );
    }
}

#[test]
fn files_that_were_cut_short_are_errors_wherever_the_cut_is() {
    for name in [
        "seq.jpg",
        "prog.jpg",
        "gray.jpg",
        "cmyk.jpg",
        "exif6.jpg",
        "lossless.webp",
        "lossy.webp",
    ] {
        let bytes = read(name);
        for cut in 0..bytes.len() {
            let error = decode_rgb(&bytes[..cut]).expect_err(name);
            assert!(
                matches!(error, ProcessorError::Decode { .. }),
                "{name} cut at {cut}: {error}"
            );
        }
    }
    // Of these Pillow reads all pixels a few bytes before the end.
    for (name, spare) in [("rgba.png", 20), ("rgb.bmp", 3), ("palette.bmp", 3), ("palette.gif", 3)] {
        let bytes = read(name);
        for cut in 0..bytes.len() - spare {
            assert!(
                decode_rgb(&bytes[..cut]).is_err(),
                "{name} cut at {cut} of {}",
                bytes.len()
            );
        }
    }
}

#[test]
fn the_thumbnail_in_a_photograph_does_not_end_it() {
    // An APP1 segment with a whole small picture in it, before the picture itself, which is cut.
    let (whole, thumbnail) = (read("seq.jpg"), read("gray.jpg"));
    let mut segment = vec![0xFF, 0xE1];
    segment.extend(u16::try_from(thumbnail.len() + 2).unwrap().to_be_bytes());
    segment.extend(&thumbnail);
    let with_thumbnail = [&whole[..2], &segment, &whole[2..]].concat();
    assert_eq!(decode_rgb(&with_thumbnail).unwrap(), decode_rgb(&whole).unwrap());
    assert!(decode_rgb(&with_thumbnail[..with_thumbnail.len() - 20]).is_err());
}
