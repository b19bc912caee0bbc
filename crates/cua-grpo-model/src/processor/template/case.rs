//! Capital and small letters where Python goes by Unicode's tables for titles and for folding.

/// Every letter after something that is none becomes a capital, every other small.
pub(super) fn title(text: &str) -> String {
    let mut inside = false;
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match inside {
            true => out.extend(character.to_lowercase()),
            false => out.push_str(&title_of(character)),
        }
        inside = character.is_alphabetic();
    }
    out
}

/// A character at the head of a word: of a letter that stands for several only the first becomes a capital.
pub(super) fn title_of(character: char) -> String {
    let own = match character {
        '\u{1C4}'..='\u{1C6}' => Some('\u{1C5}'),
        '\u{1C7}'..='\u{1C9}' => Some('\u{1C8}'),
        '\u{1CA}'..='\u{1CC}' => Some('\u{1CB}'),
        '\u{1F1}'..='\u{1F3}' => Some('\u{1F2}'),
        // Greek with the iota below, which stays there.
        '\u{1F80}'..='\u{1FAF}' => char::from_u32(u32::from(character) | 8),
        '\u{1FB3}' | '\u{1FC3}' | '\u{1FF3}' => char::from_u32(u32::from(character) + 9),
        '\u{1FBC}' | '\u{1FCC}' | '\u{1FFC}' => Some(character),
        // Georgian has capitals for whole words only.
        '\u{10D0}'..='\u{10FF}' => Some(character),
        _ => None,
    };
    if let Some(own) = own {
        return own.to_string();
    }
    let mut capitals = character.to_uppercase();
    let mut out: String = capitals.next().into_iter().collect();
    // The apostrophe of the letter n with one is no letter.
    let small = out.chars().all(char::is_alphabetic) && character != '\u{149}';
    for rest in capitals {
        match small {
            true => out.extend(rest.to_lowercase()),
            false => out.push(rest),
        }
    }
    out
}

/// `str.casefold`: letters that differ in their case only become the same.
pub(super) fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            // Without a dot, which its capital has not either, but that is also the capital of another letter.
            '\u{131}' => out.push(character),
            '\u{1E9E}' => out.push_str("ss"),
            // Cherokee folds to its capitals.
            '\u{13A0}'..='\u{13F5}' => out.push(character),
            '\u{13F8}'..='\u{13FD}' | '\u{AB70}'..='\u{ABBF}' => out.extend(character.to_uppercase()),
            _ => character
                .to_uppercase()
                .flat_map(char::to_lowercase)
                .for_each(|folded| out.push(folded)),
        }
    }
    out
}
