//! Draws the screens of the documentation and prints how long each took.
//!
//! `cargo run -p cua-grpo-phone --example tour -- OUT_DIR [WIDTHxHEIGHT DENSITY]`

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a program for people")]

mod tour;

use cua_grpo_phone::{Frame, state::Display};
use std::{fs, io::BufWriter, path::Path, process::ExitCode, time::Instant};

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let Some(folder) = words.next() else {
        eprintln!("screens: expected OUT_DIR [WIDTHxHEIGHT DENSITY]");
        return ExitCode::from(2);
    };
    let size = words.next().unwrap_or_else(|| "540x1200".to_owned());
    let density = words.next().and_then(|word| word.parse().ok());
    let display = size.split_once('x').and_then(|(w, h)| {
        let (width, height) = (w.parse().ok()?, h.parse().ok()?);
        Some(Display {
            width,
            height,
            density: density.unwrap_or(width * 420 / 1080),
        })
    });
    let Some(display) = display else {
        eprintln!("screens: expected a size as WIDTHxHEIGHT, got {size:?}");
        return ExitCode::from(2);
    };
    match draw(Path::new(&folder), display) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("screens: {error}");
            ExitCode::FAILURE
        }
    }
}

fn draw(folder: &Path, display: Display) -> Result<(), Box<dyn std::error::Error>> {
    fs::create_dir_all(folder)?;
    let mut slowest: f64 = 0.0;
    let phone = cua_grpo_phone::Phone::new(1, display);
    let timed = |what: &str, work: &dyn Fn()| {
        let start = Instant::now();
        (0..100).for_each(|_| work());
        println!("{what:24} {:.1} us", start.elapsed().as_secs_f64() * 1e4);
    };
    timed("fork", &|| drop(phone.fork()));
    timed("state hash", &|| {
        let _ = phone.state().hash();
    });
    timed("nodes", &|| drop(phone.nodes()));
    for (name, mut phone) in tour::screens(display) {
        let start = Instant::now();
        let first = phone.frame();
        let cold = start.elapsed().as_secs_f64() * 1e3;
        save(&folder.join(format!("{name}.png")), &first)?;
        // Once more from nothing, with fonts and glyphs at hand.
        let mut times: Vec<f64> = (0..5)
            .map(|_| {
                let mut again = cua_grpo_phone::Phone::with_state(phone.state().clone());
                let start = Instant::now();
                let _ = again.frame();
                start.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        let start = Instant::now();
        let _ = phone.frame();
        let unchanged = start.elapsed().as_secs_f64() * 1e6;
        println!(
            "{name:24} first {cold:6.1} ms, again {:6.1} ms, unchanged {unchanged:5.1} us",
            times[2]
        );
        slowest = slowest.max(times[2]);
    }
    println!("slowest of {}x{}: {slowest:.1} ms", display.width, display.height);
    Ok(())
}

fn save(path: &Path, frame: &Frame) -> Result<(), Box<dyn std::error::Error>> {
    let mut encoder = png::Encoder::new(BufWriter::new(fs::File::create(path)?), frame.width, frame.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let rgb: Vec<u8> = frame
        .rgba
        .chunks_exact(4)
        .flat_map(|pixel| [pixel[0], pixel[1], pixel[2]])
        .collect();
    encoder.write_header()?.write_image_data(&rgb)?;
    Ok(())
}
