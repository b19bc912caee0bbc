//! Drives the phone by lines of text, one command a line with tabs between its words: for scripts that try tasks.
//!
//! `new SEED`, `sh COMMAND`, `find WHAT`, `shows WHAT`, `switch WHAT`, `slider WHAT`, `more`, `tap X Y`, `swipe X Y X Y MS`,
//! `scroll DX DY`, `type TEXT`, `key NAME`, `all`, `wait MS`, `open LABEL`, `png PATH`. Each answers in one line; line ends are `\n`.

use cua_grpo_phone::{Key, Phone, state::Display};
use std::io::{BufRead, Write};

fn main() {
    let mut phone = Phone::new(1, Display::HALF);
    let mut start = phone.clone();
    let out = std::io::stdout();
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let words: Vec<String> = line.split('\t').map(|word| word.replace("\\n", "\n")).collect();
        let number = |index: usize| words.get(index).and_then(|word| word.parse::<f32>().ok()).unwrap_or(0.0);
        let text = words.get(1).cloned().unwrap_or_default();
        let mut acted = true;
        let answer = match words[0].as_str() {
            "new" => {
                phone = Phone::new(text.parse().unwrap_or(1), Display::HALF);
                acted = false;
                String::new()
            }
            "keep" => {
                start = phone.clone();
                acted = false;
                String::new()
            }
            "again" => {
                phone = start.clone();
                acted = false;
                String::new()
            }
            "sh" => {
                let output = phone.shell(&text);
                acted = false;
                format!("{}\t{}\t{}", output.exit_code, output.stdout.trim(), output.stderr.trim())
            }
            "find" => {
                acted = false;
                phone.find(&text).map_or("none".to_owned(), |(x, y)| format!("{x}\t{y}"))
            }
            "shows" => {
                acted = false;
                phone.shows(&text).to_string()
            }
            "switch" => {
                acted = false;
                phone.switch(&text).map_or("none".to_owned(), |(on, (x, y))| format!("{on}\t{x}\t{y}"))
            }
            "slider" => {
                acted = false;
                phone.slider(&text).map_or("none".to_owned(), |(a, b, y)| format!("{a}\t{b}\t{y}"))
            }
            "more" => {
                acted = false;
                let (up, down) = phone.can_scroll();
                format!("{up}\t{down}")
            }
            "nodes" => {
                acted = false;
                let nodes = phone.nodes();
                let said = nodes.iter().filter(|node| !node.text.is_empty() || !node.desc.is_empty());
                said.map(|node| format!("{}|{}", node.text, node.desc)).collect::<Vec<_>>().join("; ")
            }
            "tap" => {
                phone.tap(number(1), number(2));
                String::new()
            }
            "swipe" => {
                phone.swipe((number(1), number(2)), (number(3), number(4)), number(5) as i64);
                String::new()
            }
            "scroll" => {
                phone.scroll(270.0, 600.0, number(1), number(2));
                String::new()
            }
            "type" => {
                phone.type_text(&text, false);
                String::new()
            }
            "all" => {
                phone.state_mut().select_all();
                String::new()
            }
            "key" => {
                phone.key(match text.as_str() {
                    "enter" => Key::Enter,
                    "backspace" => Key::Backspace,
                    "back" => Key::Back,
                    _ => Key::Home,
                });
                String::new()
            }
            "open" => {
                let found = phone.state().packages.iter().find(|(_, package)| package.label == text);
                let package = found.map(|(name, _)| name.clone()).unwrap_or_default();
                phone.state_mut().stop(&package);
                phone.state_mut().launch(&package);
                package
            }
            "wait" => {
                phone.advance(number(1) as i64);
                acted = false;
                String::new()
            }
            "png" => {
                acted = false;
                let frame = phone.frame();
                let file = std::fs::File::create(&text).expect("a path for the picture");
                let mut encoder = png::Encoder::new(file, frame.width, frame.height);
                encoder.set_color(png::ColorType::Rgba);
                encoder.write_header().expect("a header").write_image_data(&frame.rgba).expect("the picture");
                String::new()
            }
            other => format!("unknown {other}"),
        };
        if acted {
            phone.settle();
            phone.advance(1000);
        }
        let mut out = out.lock();
        let _ = writeln!(out, "{}", answer.replace('\n', "\\n"));
        let _ = out.flush();
    }
}
