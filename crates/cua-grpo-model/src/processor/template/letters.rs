//! Classes of characters as Python has them, and the value of a digit of any script.

use regex::Regex;
use std::sync::LazyLock;

/// Characters of the class that a pattern names.
struct Class(LazyLock<Option<Regex>>);

impl Class {
    fn has(&self, character: char) -> bool {
        let mut bytes = [0; 4];
        let text: &str = character.encode_utf8(&mut bytes);
        self.0.as_ref().is_some_and(|pattern| pattern.is_match(text))
    }
}

static DECIMAL: Class = Class(LazyLock::new(|| Regex::new(r"^\p{Nd}$").ok()));
static LETTER: Class = Class(LazyLock::new(|| Regex::new(r"^\p{L}$").ok()));
static NUMBER: Class = Class(LazyLock::new(|| Regex::new(r"^\p{N}$").ok()));

/// Digits that are no decimal ones: small, in circles, with a point.
const DIGITS: [(char, char); 20] = [
    ('\u{b2}', '\u{b3}'),
    ('\u{b9}', '\u{b9}'),
    ('\u{1369}', '\u{1371}'),
    ('\u{19da}', '\u{19da}'),
    ('\u{2070}', '\u{2070}'),
    ('\u{2074}', '\u{2079}'),
    ('\u{2080}', '\u{2089}'),
    ('\u{2460}', '\u{2468}'),
    ('\u{2474}', '\u{247c}'),
    ('\u{2488}', '\u{2490}'),
    ('\u{24ea}', '\u{24ea}'),
    ('\u{24f5}', '\u{24fd}'),
    ('\u{24ff}', '\u{24ff}'),
    ('\u{2776}', '\u{277e}'),
    ('\u{2780}', '\u{2788}'),
    ('\u{278a}', '\u{2792}'),
    ('\u{10a40}', '\u{10a43}'),
    ('\u{10e60}', '\u{10e68}'),
    ('\u{11052}', '\u{1105a}'),
    ('\u{1f100}', '\u{1f10a}'),
];

/// Ideographs that stand for numbers.
const IDEOGRAPHS: &str = "㐅㒃㠪㭍一七万三九二五亖亿什仟仨伍佰億兆兩八六十千卄卅卌叁参參叄四壱壹幺廾廿弌弍弎弐拾捌柒漆玖百肆萬貮貳贰阡陆陌陸零參拾兩零六陸什𠀁𠁤𠃢𠄡𠤪𠦃𠦌𠦜𠫪𠫽𠬙𢎐𢦘𣬛𦉭廾";

/// `str.isdecimal` of one character.
pub(super) fn is_decimal(character: char) -> bool {
    character.is_ascii_digit() || !character.is_ascii() && DECIMAL.has(character)
}

/// `str.isdigit` of one character.
pub(super) fn is_digit(character: char) -> bool {
    is_decimal(character) || DIGITS.iter().any(|(first, last)| (*first..=*last).contains(&character))
}

/// `str.isnumeric` of one character.
pub(super) fn is_numeric(character: char) -> bool {
    is_decimal(character) || NUMBER.has(character) || IDEOGRAPHS.contains(character)
}

/// `str.isalpha` of one character.
pub(super) fn is_alpha(character: char) -> bool {
    character.is_ascii_alphabetic() || !character.is_ascii() && LETTER.has(character)
}

/// `str.isalnum` of one character; with `_`, what a pattern's `\w` matches.
pub(super) fn is_alnum(character: char) -> bool {
    is_alpha(character) || is_numeric(character)
}

/// The text with the decimal digits of all scripts as those of ASCII.
pub(super) fn with_ascii_digits(text: &str) -> String {
    text.chars()
        .map(|character| digit(character).unwrap_or(character))
        .collect()
}

/// The digit of ASCII that a decimal digit stands for. The digits of a script stand in ten places on end, and the scripts
/// begin at whole tens behind the first of a row.
fn digit(character: char) -> Option<char> {
    if character.is_ascii() || !is_decimal(character) {
        return None;
    }
    let mut places = 0;
    let mut before = u32::from(character);
    while let Some(next) = before
        .checked_sub(1)
        .and_then(char::from_u32)
        .filter(|next| is_decimal(*next))
    {
        (places, before) = (places + 1, u32::from(next));
    }
    char::from_digit(places % 10, 10)
}
