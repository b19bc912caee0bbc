//! Pictures and conversations that would be read without end, or stand for gigabytes.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use common::{folder, make_pipe};
use cua_grpo_model::processor::{ChatRenderer, Conversation, Literals, MOST_BYTES, decode_rgb, image_size};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

fn picture(name: &str) -> Vec<u8> {
    std::fs::read(folder("a").parent().unwrap().join("pictures").join(name)).unwrap()
}

/// The checksum of a PNG's chunk.
fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32| (crc >> 1) ^ (0xEDB8_8320 & 0_u32.wrapping_sub(crc & 1));
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc))
    })
}

/// Small files whose headers say that they are large.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let side = 20_000_u32;
    let mut png = picture("gray.png");
    png[16..20].copy_from_slice(&side.to_be_bytes());
    png[20..24].copy_from_slice(&side.to_be_bytes());
    let sum = crc(&png[12..29]);
    png[29..33].copy_from_slice(&sum.to_be_bytes());
    let mut jpeg = picture("seq.jpg");
    let frame = jpeg.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xFF, 0x00, 0xFF, 0x00]);
    let mut bmp = picture("rgb.bmp");
    bmp[18..22].copy_from_slice(&side.to_le_bytes());
    bmp[22..26].copy_from_slice(&side.to_le_bytes());
    let mut gif = picture("gray.gif");
    gif[6..10].copy_from_slice(&[0xFF; 4]);
    vec![("png", png), ("jpeg", jpeg), ("bmp", bmp), ("gif", gif)]
}

#[test]
fn pictures_are_refused_by_their_header() {
    for (kind, bytes) in bombs() {
        let start = Instant::now();
        for error in [image_size(&bytes).map(|_| ()), decode_rgb(&bytes).map(|_| ())] {
            let error = error.unwrap_err().to_string();
            assert!(error.contains("more than 100000000; scale it down"), "{kind}: {error}");
        }
        assert!(start.elapsed() < Duration::from_secs(2), "{kind}");
    }
    let long = vec![0; MOST_BYTES as usize + 1];
    assert!(decode_rgb(&long).is_err());
}

#[test]
fn what_torchvision_reads_otherwise_is_told() {
    for (name, word) in [
        ("exif6.webp", "WebP picture with an EXIF orientation"),
        ("rgb16.png", "a picture of 16 bits"),
        ("rgba16.png", "a picture of 16 bits"),
        ("la16.png", "a picture of 16 bits"),
        ("gray16.png", "a gray picture of 16 bits"),
    ] {
        let (_, said) = common::logged::warnings(|| decode_rgb(&picture(name)).unwrap());
        assert!(said.iter().any(|line| line.contains(word)), "{name}: {said:?}");
    }
    // Values that eight bits hold are told as well.
    let mut low = std::io::Cursor::new(Vec::new());
    let gray = image::ImageBuffer::from_fn(4, 4, |x, y| image::Luma([(x * 16 + y) as u16]));
    image::DynamicImage::ImageLuma16(gray)
        .write_to(&mut low, image::ImageFormat::Png)
        .unwrap();
    let (_, said) = common::logged::warnings(|| decode_rgb(low.get_ref()).unwrap());
    assert!(
        said.iter().any(|line| line.contains("a gray picture of 16 bits")),
        "{said:?}"
    );
    for name in ["lossless.webp", "rgb_t.png", "exif6.jpg"] {
        let (_, said) = common::logged::warnings(|| decode_rgb(&picture(name)).unwrap());
        assert!(
            !said.iter().any(|line| line.contains("torchvision")),
            "{name}: {said:?}"
        );
    }
}

/// What a conversation with this content gives, its file in `dir`.
fn encode(dir: &Path, content: &Value) -> Result<usize, String> {
    encode_for(&folder("a"), dir, content)
}

/// The same for the model of the folder `model`.
fn encode_for(model: &Path, dir: &Path, content: &Value) -> Result<usize, String> {
    let path = dir.join("messages.json");
    std::fs::write(
        &path,
        json!({"messages": [{"role": "user", "content": content}]}).to_string(),
    )
    .unwrap();
    let conversation = Conversation::read(&path).map_err(|error| error.to_string())?;
    let renderer = ChatRenderer::load(&folder("a")).unwrap();
    let encoded = conversation.encode(model, &renderer, Literals::Tokens, true);
    encoded
        .map(|encoded| encoded.row.tokens.len())
        .map_err(|error| format!("{error:?}: {error}"))
}

#[test]
fn what_a_part_asks_for_and_is_not_done_is_told() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("p.png"), picture("rgb_t.png")).unwrap();
    let plain = json!([{"type": "image", "image": "p.png", "max_pixels": null}]);
    let sized = json!([{"type": "image", "image": "p.png", "max_pixels": 4096, "resized_height": 28}]);
    let (plain, said) = common::logged::warnings(|| encode(dir.path(), &plain).unwrap());
    assert!(!said.iter().any(|line| line.contains("_pixels")), "{said:?}");
    let (sized, said) = common::logged::warnings(|| encode(dir.path(), &sized).unwrap());
    for key in ["`max_pixels` of the picture `p.png`", "`resized_height`"] {
        assert!(said.iter().any(|line| line.contains(key)), "{key}: {said:?}");
    }
    assert_eq!(plain, sized);
    let strange = json!([{"type": "audio", "audio": "a.wav"}, {"type": "text", "text": "hi"}]);
    let (_, said) = common::logged::warnings(|| encode(dir.path(), &strange).unwrap());
    assert!(
        said.iter()
            .any(|line| line.contains("a part of the type \"audio\" has no text")),
        "{said:?}"
    );
}

#[cfg(unix)]
#[test]
fn paths_of_what_is_no_file_are_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    make_pipe(&pipe);
    std::fs::create_dir(dir.path().join("folder")).unwrap();
    std::fs::File::create(dir.path().join("hole.png"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    for (source, expected) in [
        ("/dev/zero", "found a pipe, a socket or a device"),
        ("pipe", "found a pipe, a socket or a device"),
        ("file:///dev/stdin", "found a"),
        ("folder", "found a folder"),
        ("hole.png", "expected at most 67108864 bytes"),
        ("missing.png", "expected the path of a picture"),
    ] {
        let error = encode(dir.path(), &json!([{"type": "image", "image": source}])).unwrap_err();
        assert!(error.contains(expected), "{source}: {error}");
    }
    for path in [Path::new("/dev/zero"), &pipe, dir.path(), &dir.path().join("hole.png")] {
        let error = Conversation::read(path).unwrap_err().to_string();
        assert!(error.contains("cannot be read: expected "), "{error}");
    }
}

#[test]
fn conversations_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let data = |bytes: usize| format!("data:image/png;base64,{}", "A".repeat(bytes));
    let error = encode(dir.path(), &json!([{"type": "image", "image": data(96 << 20)}])).unwrap_err();
    assert!(error.contains("no base64 of at most 67108864 bytes"), "{error}");
    let path = dir.path().join("deep.json");
    std::fs::write(
        &path,
        format!("{{\"messages\": {}{}}}", "[".repeat(200_000), "]".repeat(200_000)),
    )
    .unwrap();
    let error = Conversation::read(&path).unwrap_err().to_string();
    assert!(error.contains("recursion limit"), "{error}");
}

#[test]
fn pictures_beyond_the_context_are_refused_by_their_heads() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("p.png"), picture("seq.jpg")).unwrap();
    let config = json!({"text_config": {"max_position_embeddings": 100}});
    std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
    let part = json!({"type": "image", "image": "p.png"});
    let start = Instant::now();
    let error = encode_for(dir.path(), dir.path(), &Value::from(vec![part; 200_000])).unwrap_err();
    assert!(
        error.contains("the model has a context of 100 tokens") && error.contains("show fewer"),
        "{error}"
    );
    assert!(start.elapsed() < Duration::from_secs(10));
    let twice = json!([{"type": "image", "image": "p.png", "url": "other.png"}]);
    let error = encode(dir.path(), &twice).unwrap_err();
    assert!(error.contains("two sources, image and url"), "{error}");
    let address = format!("DATA:image/png;base64,{}", "A".repeat(4000));
    let error = encode(dir.path(), &json!([{"type": "image", "image": address}])).unwrap_err();
    assert!(error.len() < 600, "{error}");
}

#[test]
fn a_gif_that_is_larger_than_its_screen_is_refused() {
    let mut gif = picture("gray.gif");
    assert!(decode_rgb(&gif).is_ok());
    gif[6] -= 1;
    let error = decode_rgb(&gif).unwrap_err().to_string();
    assert!(error.contains("first frame is larger than its screen"), "{error}");
}

#[test]
fn literal_placeholders_of_both_kinds_are_told() {
    let dir = tempfile::tempdir().unwrap();
    for pad in ["<|image_pad|>", "<|video_pad|>"] {
        let error = encode(dir.path(), &json!(format!("what does {pad} mean?"))).unwrap_err();
        assert!(
            error.starts_with("Placeholder") && error.contains(&format!("a literal {pad} in")),
            "{error}"
        );
    }
    assert!(encode(dir.path(), &json!("what does it mean?")).unwrap() > 5);
}
