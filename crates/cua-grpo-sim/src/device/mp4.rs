//! MP4 files whose frames are PNG pictures: ISO 14496-12 boxes around what the screen showed.

use std::{sync::Arc, time::Duration};

/// Ticks of a second.
const TICKS: u32 = 1000;
/// The codec "PNG" among the object types of ISO 14496-1.
const PNG: u8 = 0x6d;

/// A box: its length, its name and what is in it.
fn wrap(name: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let length = 8 + parts.iter().map(|part| part.len()).sum::<usize>();
    let mut bytes = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes().to_vec();
    bytes.extend_from_slice(name);
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes
}

fn numbers(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// A transformation that changes nothing.
const UNITY: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];

/// A film of PNG pictures of one size, each with the time for which it is shown.
pub(super) fn film(frames: &[(Arc<Vec<u8>>, Duration)], (width, height): (u32, u32)) -> Vec<u8> {
    // Every frame is shown for a tick at least, or players leave it out.
    let ticks = |length: &Duration| u32::try_from(length.as_millis()).unwrap_or(u32::MAX).max(1);
    let lengths: Vec<u32> = frames.iter().map(|(_, length)| ticks(length)).collect();
    let whole = lengths.iter().fold(0_u32, |sum, length| sum.saturating_add(*length));

    let head = wrap(b"ftyp", &[b"isom", &numbers(&[0x200]), b"isomiso2mp41"]);
    let pictures: Vec<&[u8]> = frames.iter().map(|(png, _)| png.as_slice()).collect();
    let data = wrap(b"mdat", &pictures);
    let start = count(head.len() + 8);

    let times: Vec<u32> = lengths.iter().flat_map(|length| [1, *length]).collect();
    let sizes: Vec<u32> = pictures.iter().map(|picture| count(picture.len())).collect();
    let frames = count(pictures.len());
    let tables = wrap(
        b"stbl",
        &[
            &wrap(b"stsd", &[&numbers(&[0, 1]), &sample(width, height)]),
            &wrap(b"stts", &[&numbers(&[0, frames]), &numbers(&times)]),
            &wrap(b"stsc", &[&numbers(&[0, 1, 1, frames.max(1), 1])]),
            &wrap(b"stsz", &[&numbers(&[0, 0, frames]), &numbers(&sizes)]),
            &wrap(b"stco", &[&numbers(&[0, 1, start])]),
        ],
    );
    let reference = wrap(b"dref", &[&numbers(&[0, 1]), &wrap(b"url ", &[&numbers(&[1])])]);
    let media = wrap(
        b"minf",
        &[
            &wrap(b"vmhd", &[&numbers(&[1, 0, 0])]),
            &wrap(b"dinf", &[&reference]),
            &tables,
        ],
    );
    // `und`: no language.
    let media = wrap(
        b"mdia",
        &[
            &wrap(b"mdhd", &[&numbers(&[0, 0, 0, TICKS, whole, 0x55c4_0000])]),
            &wrap(b"hdlr", &[&numbers(&[0, 0]), b"vide", &[0; 12], b"Screen\0"]),
            &media,
        ],
    );
    let header = [numbers(&[7, 0, 0, 1, 0, whole, 0, 0, 0, 0]), numbers(&UNITY)].concat();
    let size = numbers(&[width << 16, height << 16]);
    let track = wrap(b"trak", &[&wrap(b"tkhd", &[&header, &size]), &media]);
    let movie = [
        numbers(&[0, 0, 0, TICKS, whole, 0x1_0000, 0x0100_0000, 0, 0]),
        numbers(&UNITY),
        numbers(&[0, 0, 0, 0, 0, 0, 2]),
    ]
    .concat();
    [head, data, wrap(b"moov", &[&wrap(b"mvhd", &[&movie]), &track])].concat()
}

/// How frames are coded: the codec's number, in the words of ISO 14496-1.
fn sample(width: u32, height: u32) -> Vec<u8> {
    let side = |pixels: u32| u16::try_from(pixels).unwrap_or(u16::MAX).to_be_bytes();
    let config: Vec<u8> = [&[0x04, 13, PNG, 0x11][..], &[0; 11]].concat();
    let descriptor = [&[0x03, 21, 0, 1, 0][..], &config, &[0x06, 1, 2]].concat();
    let codec = wrap(b"esds", &[&numbers(&[0]), &descriptor]);
    wrap(
        b"mp4v",
        &[
            &[0, 0, 0, 0, 0, 0, 0, 1],
            &[0; 16],
            &side(width),
            &side(height),
            &numbers(&[0x48_0000, 0x48_0000, 0]),
            &[0, 1],
            &[0; 32],
            &[0, 24, 0xff, 0xff],
            &codec,
        ],
    )
}
