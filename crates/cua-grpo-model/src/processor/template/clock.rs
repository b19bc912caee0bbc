//! The function `strftime_now`: the local time in the form that a template asks for.

use chrono::{DateTime, Local};
use minijinja::{Error, ErrorKind};
use std::fmt::Write;

/// The present time, as Python's `datetime.now().strftime(format)` writes it.
pub(super) fn now(format: &str) -> Result<String, Error> {
    const MOST: usize = 1000;
    if format.len() > MOST {
        let message = format!(
            "strftime_now: expected a format of at most {MOST} bytes, found {}",
            format.len()
        );
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    }
    write_time(&Local::now(), format)
}

fn write_time(time: &DateTime<Local>, format: &str) -> Result<String, Error> {
    // Python's naive time has microseconds and no zone.
    let microseconds = time.format("%6f").to_string();
    let mut ours = String::new();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        ours.push_str(&rest[..at]);
        let directive = rest[at + 1..].chars().next();
        match directive {
            Some('f') => ours.push_str(&microseconds),
            Some('z' | 'Z') => {}
            // Directives of this library alone.
            Some(other @ ('q' | 'v')) => {
                ours.push_str("%%");
                ours.push(other);
            }
            Some(directive) => {
                ours.push('%');
                ours.push(directive);
            }
            None => ours.push_str("%%"),
        }
        rest = &rest[at + 1 + directive.map_or(0, char::len_utf8)..];
    }
    ours.push_str(rest);
    let mut out = String::new();
    write!(out, "{}", time.format(&ours)).map_err(|_| {
        let message = format!("strftime_now: the format {format:?} has a directive that is not known");
        Error::new(ErrorKind::InvalidOperation, message)
    })?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::write_time;
    use chrono::{Local, TimeZone};

    #[test]
    fn times_are_written_as_python_writes_them() {
        let time = Local.with_ymd_and_hms(2026, 3, 5, 7, 8, 9).unwrap();
        for (format, python) in [
            ("%d %b %Y", "05 Mar 2026"),
            ("%Y-%m-%d %H:%M:%S.%f", "2026-03-05 07:08:09.000000"),
            ("%A, %B %-d, %y %I %p %j", "Thursday, March 5, 26 07 AM 064"),
            ("a%zb%Zc 100%%", "abc 100%"),
            ("%x %X %a %U %w", "03/05/26 07:08:09 Thu 09 4"),
        ] {
            assert_eq!(write_time(&time, format).unwrap(), python, "{format}");
        }
        assert!(write_time(&time, "%Q").is_err());
    }
}
