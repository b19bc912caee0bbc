//! Calculator: reads what is typed as a formula.

use crate::{
    app::{App, Icon, Layer},
    draw::geom::Rect,
    state::{State, data::Info},
    ui::{Ui, sp},
};

/// Calculator.
pub struct Calculator;

const KEYS: [[&str; 4]; 5] = [
    ["AC", "( )", "%", "\u{f7}"],
    ["7", "8", "9", "\u{d7}"],
    ["4", "5", "6", "\u{2212}"],
    ["1", "2", "3", "+"],
    ["0", ".", "x", "="],
];

impl App for Calculator {
    fn info(&self) -> Info {
        Info {
            package: "com.google.android.calculator",
            label: "Calculator",
            activity: "com.android.calculator2.Calculator",
            permissions: &[],
        }
    }

    fn icon(&self) -> Icon {
        Icon {
            back: 0x42_85F4,
            layers: &[
                Layer::Glyph("add", 0xFF_FFFF, 0.30, -0.16, -0.16),
                Layer::Glyph("remove", 0xFF_FFFF, 0.30, 0.16, -0.16),
                Layer::Glyph("close", 0xFF_FFFF, 0.28, -0.16, 0.16),
                Layer::Glyph("drag_handle", 0xFF_FFFF, 0.30, 0.16, 0.16),
            ],
        }
    }

    fn build(&self, _state: &State, ui: &mut Ui) {
        let (area, theme) = (ui.area, ui.theme);
        let formula = ui.place.var("formula").to_owned();
        let result = ui.place.var("result").to_owned();
        let top = Rect::new(area.x, area.y, area.w, area.h * 0.36);
        ui.fill_corners(
            Rect::new(0.0, 0.0, ui.screen.w, top.bottom()),
            [0.0, 0.0, 28.0, 28.0],
            theme.container,
        );
        let shown = if result.is_empty() { &formula } else { &result };
        let size = match shown.chars().count() {
            0..10 => 64.0,
            10..15 => 48.0,
            _ => 34.0,
        };
        let box_ = Rect::new(area.x + 24.0, top.bottom() - 150.0, area.w - 48.0, 80.0);
        ui.label_in(box_, sp(size).right(), theme.on_surface, shown);
        if let Some(node) = ui.last() {
            node.id(if result.is_empty() { "formula" } else { "result_final" })
                .class("android.widget.EditText");
        }
        if result.is_empty() && formula.chars().any(|c| "+\u{2212}\u{d7}\u{f7}%".contains(c)) {
            let preview = compute(&formula).map_or_else(String::new, show);
            ui.label(
                area.x + 24.0,
                top.bottom() - 62.0,
                area.w - 48.0,
                sp(30.0).right(),
                theme.on_variant,
                &preview,
            );
            if let Some(node) = ui.last() {
                node.id("result_preview");
            }
        }
        ui.draw_text(
            area.x + 24.0,
            area.y + 8.0,
            80.0,
            sp(14.0).medium(),
            theme.on_variant,
            "DEG",
        );
        ui.icon(
            "more_vert",
            Rect::new(area.right() - 52.0, area.y, 40.0, 40.0),
            24.0,
            theme.on_variant,
        );
        let gap = 10.0;
        let pad = Rect::new(
            area.x + 16.0,
            top.bottom() + 20.0,
            area.w - 32.0,
            area.bottom() - top.bottom() - 32.0,
        );
        let (w, h) = ((pad.w + gap) / 4.0, (pad.h + gap) / 5.0);
        for (row, keys) in KEYS.iter().enumerate() {
            for (column, key) in keys.iter().enumerate() {
                let cell = Rect::new(pad.x + column as f32 * w, pad.y + row as f32 * h, w - gap, h - gap);
                let (back, front) = match *key {
                    "AC" => (theme.primary_container, theme.on_primary_container),
                    "=" => (theme.primary, theme.on_primary),
                    k if k.chars().all(|c| c.is_ascii_digit() || c == '.') || k == "x" => {
                        (theme.container_high, theme.on_surface)
                    }
                    _ => (theme.secondary_container, theme.on_secondary_container),
                };
                ui.fill(cell, cell.h.min(cell.w) / 2.0, back);
                if *key == "x" {
                    ui.icon("backspace_o", cell, 28.0, front);
                } else {
                    ui.draw_text_in(cell, sp(if *key == "AC" { 26.0 } else { 32.0 }).center(), front, key);
                }
                key_node(ui, cell, key);
            }
        }
    }
}

fn key_node(ui: &mut Ui, cell: Rect, key: &'static str) {
    let desc = match key {
        "AC" => "clear",
        "( )" => "parentheses",
        "%" => "percent",
        "\u{f7}" => "divide",
        "\u{d7}" => "multiply",
        "\u{2212}" => "minus",
        "+" => "plus",
        "." => "point",
        "x" => "delete",
        "=" => "equals",
        digit => digit,
    };
    ui.node(cell)
        .class("android.widget.Button")
        .text(if key == "x" { "" } else { key })
        .desc(desc)
        .tap(move |state| press(state, key));
}

fn press(state: &mut State, key: &str) {
    let place = state.page_mut();
    let mut formula = place.var("formula").to_owned();
    let result = place.var("result").to_owned();
    match key {
        "AC" => {
            formula.clear();
            place.set("result", "");
        }
        "=" => {
            if let Some(value) = compute(&formula) {
                place.set("result", show(value));
            } else if !formula.is_empty() {
                place.set("result", "Format error");
            }
            return;
        }
        "x" => {
            place.set("result", "");
            formula.pop();
        }
        key => {
            if !result.is_empty() {
                let goes_on = "+\u{2212}\u{d7}\u{f7}%".contains(key) && result != "Format error";
                formula = if goes_on {
                    result.replace(',', "")
                } else {
                    String::new()
                };
                place.set("result", "");
            }
            if formula.chars().count() < 60 {
                if key == "( )" {
                    let open = formula.matches('(').count() > formula.matches(')').count();
                    let closes = open && formula.ends_with(|c: char| c.is_ascii_digit() || c == ')' || c == '%');
                    formula.push(if closes { ')' } else { '(' });
                } else {
                    if "+\u{d7}\u{f7}".contains(key) {
                        while formula.ends_with(['+', '\u{2212}', '\u{d7}', '\u{f7}']) {
                            formula.pop();
                        }
                    }
                    formula.push_str(key);
                }
            }
        }
    }
    place.set("formula", formula);
}

/// A number as the display writes it.
fn show(value: f64) -> String {
    if !value.is_finite() {
        return "Can't divide by 0".to_owned();
    }
    let mut text = format!("{value:.10}");
    while text.contains('.') && text.ends_with(['0', '.']) {
        let dot = text.ends_with('.');
        text.pop();
        if dot {
            break;
        }
    }
    let (sign, digits) = text
        .strip_prefix('-')
        .map_or(("", text.as_str()), |rest| ("\u{2212}", rest));
    let (whole, part) = digits
        .split_once('.')
        .map_or((digits, String::new()), |(whole, part)| (whole, format!(".{part}")));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{part}")
}

/// The value of a formula with + − × ÷ % and brackets; `None` where it is none.
pub fn compute(formula: &str) -> Option<f64> {
    let letters: Vec<char> = formula.chars().filter(|c| !c.is_whitespace() && *c != ',').collect();
    let mut reader = Reader {
        letters,
        at: 0,
        depth: 0,
    };
    let value = reader.sum()?;
    (reader.at == reader.letters.len() && !reader.letters.is_empty()).then_some(value)
}

struct Reader {
    letters: Vec<char>,
    at: usize,
    depth: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.letters.get(self.at).copied()
    }

    fn sum(&mut self) -> Option<f64> {
        let mut value = self.product()?.0;
        while let Some(sign @ ('+' | '-' | '\u{2212}')) = self.peek() {
            self.at += 1;
            let (other, percent) = self.product()?;
            // As on the phone, 200 + 10 % is 220.
            let other = if percent { value * other } else { other };
            value = if sign == '+' { value + other } else { value - other };
        }
        Some(value)
    }

    /// A product, and whether it is a single percentage.
    fn product(&mut self) -> Option<(f64, bool)> {
        let (mut value, mut percent) = self.part()?;
        loop {
            match self.peek() {
                Some('\u{d7}' | '*') => {
                    self.at += 1;
                    value *= self.part()?.0;
                }
                Some('\u{f7}' | '/') => {
                    self.at += 1;
                    value /= self.part()?.0;
                }
                Some('(') => value *= self.part()?.0,
                _ => return Some((value, percent)),
            }
            percent = false;
        }
    }

    fn part(&mut self) -> Option<(f64, bool)> {
        const DEEPEST: usize = 40;
        let mut sign = 1.0;
        while let Some('-' | '\u{2212}') = self.peek() {
            self.at += 1;
            sign = -sign;
        }
        let mut value = if self.peek() == Some('(') {
            self.at += 1;
            self.depth += 1;
            if self.depth > DEEPEST {
                return None;
            }
            let inside = self.sum()?;
            self.depth -= 1;
            if self.peek() == Some(')') {
                self.at += 1;
            }
            inside
        } else {
            let start = self.at;
            while self.peek().is_some_and(|c| c.is_ascii_digit() || c == '.') {
                self.at += 1;
            }
            self.letters[start..self.at].iter().collect::<String>().parse().ok()?
        };
        let mut percent = false;
        while self.peek() == Some('%') {
            self.at += 1;
            value /= 100.0;
            percent = true;
        }
        Some((sign * value, percent))
    }
}

#[cfg(test)]
mod tests {
    use super::{compute, show};

    #[test]
    fn formulas_have_their_values() {
        let cases = [
            ("1+2\u{d7}3", Some(7.0)),
            ("200+10%", Some(220.0)),
            ("15%\u{d7}80", Some(12.0)),
            ("(2+3)\u{d7}4", Some(20.0)),
            ("2(3+4)", Some(14.0)),
            ("\u{2212}5+2", Some(-3.0)),
            ("7\u{f7}2", Some(3.5)),
            ("7\u{f7}", None),
            ("", None),
        ];
        for (formula, value) in cases {
            assert_eq!(compute(formula), value, "{formula}");
        }
        assert_eq!(show(1_234_567.5), "1,234,567.5");
        assert_eq!(show(-20.0), "\u{2212}20");
        assert_eq!(show(0.1 + 0.2), "0.3");
        assert_eq!(show(100.0), "100");
    }
}
