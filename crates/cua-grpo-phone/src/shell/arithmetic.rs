//! `$((1 + 2 * 3))`: whole numbers of 32 bits, as the shell of Android counts.

/// The value of what stands between `$((` and `))`.
///
/// # Errors
/// What is wrong with it.
pub fn value(text: &str) -> Result<i32, String> {
    let mut reader = Reader {
        letters: text.chars().filter(|letter| !letter.is_whitespace()).collect(),
        at: 0,
        depth: 0,
    };
    let value = reader.sum()?;
    match reader.peek() {
        None => Ok(value),
        Some(letter) => Err(format!("unexpected {letter:?} in $(({text}))")),
    }
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

    fn take(&mut self, wanted: &[char]) -> Option<char> {
        let letter = self.peek().filter(|letter| wanted.contains(letter))?;
        self.at += 1;
        Some(letter)
    }

    fn sum(&mut self) -> Result<i32, String> {
        let mut value = self.product()?;
        while let Some(sign) = self.take(&['+', '-']) {
            let other = self.product()?;
            value = match sign {
                '+' => value.wrapping_add(other),
                _ => value.wrapping_sub(other),
            };
        }
        Ok(value)
    }

    fn product(&mut self) -> Result<i32, String> {
        let mut value = self.part()?;
        while let Some(sign) = self.take(&['*', '/', '%']) {
            let other = self.part()?;
            value = match sign {
                '*' => value.wrapping_mul(other),
                _ if other == 0 => return Err("a division by zero".to_owned()),
                '/' => value.wrapping_div(other),
                _ => value.wrapping_rem(other),
            };
        }
        Ok(value)
    }

    fn part(&mut self) -> Result<i32, String> {
        const DEEPEST: usize = 50;
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("brackets or signs that are nested too deep".to_owned());
        }
        let value = if self.take(&['-']).is_some() {
            self.part()?.wrapping_neg()
        } else if self.take(&['(']).is_some() {
            let value = self.sum()?;
            self.take(&[')']).ok_or("a bracket that is not closed")?;
            value
        } else {
            let start = self.at;
            while self.peek().is_some_and(|letter| letter.is_ascii_digit()) {
                self.at += 1;
            }
            let digits: String = self.letters[start..self.at].iter().collect();
            digits
                .parse()
                .map_err(|_| format!("expected a number of 32 bits, got {digits:?}"))?
        };
        self.depth -= 1;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn numbers_are_counted_as_the_shell_of_android_does() {
        for (text, wanted) in [
            ("1 + 2 * 3", 7),
            ("(1+2)*3", 9),
            ("-7 / 2", -3),
            ("17 % 5", 2),
            ("10 - 3 - 2", 5),
            ("2147483647 + 1", i32::MIN),
            ("1748908800 + 9*3600 + 30*60", 1_748_943_000),
        ] {
            assert_eq!(value(text), Ok(wanted), "{text}");
        }
        for text in ["", "1 +", "(1", "1 2 x", "1/0", "99999999999"] {
            assert!(value(text).is_err(), "{text}");
        }
        assert!(value(&"(".repeat(200)).is_err());
    }
}
