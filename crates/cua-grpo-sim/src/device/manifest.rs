//! The manifest of a package: Android's binary XML, or plain XML, read for its names.

/// Largest manifest, and all of its texts, in bytes: several of them may stand for one place in the file.
const LARGEST: usize = 4 * 1024 * 1024;

/// Longest name or text that is read, in bytes.
const LONGEST: usize = 1000;
/// Activities that a package may have.
const MOST: usize = 5000;

/// What a manifest says of its package.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    pub package: String,
    pub version: Option<String>,
    pub label: Option<String>,
    /// A part of an app that is installed with its base.
    pub split: bool,
    pub activities: Vec<Declared>,
}

/// An activity as a manifest declares it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Declared {
    pub name: String,
    pub exported: Option<bool>,
    pub main: bool,
    pub launcher: bool,
}

impl Manifest {
    /// Takes in the beginning of an element.
    fn element(&mut self, name: &str, attribute: &dyn Fn(&str) -> Option<String>) {
        let full = self.activities.len() >= MOST;
        match name {
            "activity" | "activity-alias" | "service" | "receiver" | "provider" if full => {}
            "manifest" => {
                self.package = attribute("package").unwrap_or_default();
                self.version = attribute("versionName");
                self.split = attribute("split").is_some();
            }
            "application" => self.label = attribute("label"),
            "activity" | "activity-alias" => self.activities.push(Declared {
                name: attribute("name").unwrap_or_default(),
                exported: attribute("exported").map(|value| value == "true"),
                ..Declared::default()
            }),
            "action" => self.intent("android.intent.action.MAIN", attribute, |activity| activity.main = true),
            "category" => self.intent("android.intent.category.LAUNCHER", attribute, |activity| {
                activity.launcher = true;
            }),
            // What follows the activities has intents of its own.
            "service" | "receiver" | "provider" => self.activities.push(Declared::default()),
            _ => {}
        }
    }

    fn intent(&mut self, name: &str, attribute: &dyn Fn(&str) -> Option<String>, note: impl Fn(&mut Declared)) {
        if attribute("name").as_deref() == Some(name)
            && let Some(activity) = self.activities.last_mut()
        {
            note(activity);
        }
    }

    fn whole(mut self) -> Option<Self> {
        self.activities.retain(|activity| !activity.name.is_empty());
        (!self.package.is_empty()).then_some(self)
    }
}

/// Reads a manifest in either form.
pub(super) fn read(bytes: &[u8]) -> Option<Manifest> {
    if bytes.len() > LARGEST {
        None
    } else if bytes.starts_with(&[3, 0, 8, 0]) {
        binary(bytes)
    } else {
        plain(std::str::from_utf8(bytes).ok()?)
    }
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(four.try_into().ok()?) as usize)
}

fn half(bytes: &[u8], at: usize) -> Option<usize> {
    let two = bytes.get(at..at.checked_add(2)?)?;
    Some(usize::from(u16::from_le_bytes(two.try_into().ok()?)))
}

/// The strings of a chunk of strings, in UTF-8 or UTF-16.
fn strings(chunk: &[u8]) -> Option<Vec<String>> {
    const UTF8: usize = 1 << 8;
    let (header, count) = (half(chunk, 2)?, word(chunk, 8)?);
    let (flags, start) = (word(chunk, 16)?, word(chunk, 20)?);
    let (mut strings, mut used) = (Vec::new(), 0);
    for index in 0..count {
        used += strings.last().map_or(0, String::len);
        if used > LARGEST {
            return None;
        }
        let mut at = start.checked_add(word(chunk, header + 4 * index)?)?;
        if flags & UTF8 != 0 {
            // First the characters, then the bytes, each in one or two bytes.
            let mut length = 0;
            for _ in 0..2 {
                length = usize::from(*chunk.get(at)?);
                at += 1;
                if length & 0x80 != 0 {
                    length = (length & 0x7f) << 8 | usize::from(*chunk.get(at)?);
                    at += 1;
                }
            }
            let text = chunk.get(at..at.checked_add(length)?)?;
            strings.push(String::from_utf8_lossy(text).into_owned());
        } else {
            let mut length = half(chunk, at)?;
            at += 2;
            if length & 0x8000 != 0 {
                length = (length & 0x7fff) << 16 | half(chunk, at)?;
                at += 2;
            }
            let units = chunk.get(at..at.checked_add(length.checked_mul(2)?)?)?;
            let units: Vec<u16> = units
                .chunks_exact(2)
                .map(|two| u16::from_le_bytes([two[0], two[1]]))
                .collect();
            strings.push(String::from_utf16_lossy(&units));
        }
    }
    Some(strings)
}

/// Android's binary XML: chunks with a type, the size of their header and their size.
fn binary(bytes: &[u8]) -> Option<Manifest> {
    const STRINGS: usize = 0x0001;
    const ELEMENT: usize = 0x0102;
    let mut manifest = Manifest::default();
    let mut pool = Vec::new();
    let mut at = half(bytes, 2)?;
    while at + 8 <= bytes.len() {
        let (kind, size) = (half(bytes, at)?, word(bytes, at + 4)?);
        if size < 8 {
            return None;
        }
        let chunk = bytes.get(at..at.checked_add(size)?)?;
        match kind {
            STRINGS => pool = strings(chunk)?,
            ELEMENT => element(&mut manifest, &pool, chunk)?,
            _ => {}
        }
        at += size;
    }
    manifest.whole()
}

/// The beginning of an element in binary XML.
fn element(manifest: &mut Manifest, pool: &[String], chunk: &[u8]) -> Option<()> {
    const TEXT: u8 = 0x03;
    const BOOLEAN: u8 = 0x12;
    let body = half(chunk, 2)?;
    let name = pool.get(word(chunk, body + 4)?)?;
    let (start, size, count) = (half(chunk, body + 8)?, half(chunk, body + 10)?, half(chunk, body + 12)?);
    let mut attributes = Vec::new();
    for index in 0..count {
        let at = body + start + index * size;
        let data = word(chunk, at + 16)?;
        let value = match *chunk.get(at + 15)? {
            TEXT => pool.get(data).map(String::as_str),
            BOOLEAN if data != 0 => Some("true"),
            BOOLEAN => Some("false"),
            // A reference to a resource, or a number: no name that is read here.
            _ => None,
        };
        attributes.push((pool.get(word(chunk, at + 4)?)?.as_str(), value));
    }
    let attribute = |wanted: &str| {
        let (_, value) = attributes.iter().find(|(name, _)| *name == wanted)?;
        value.filter(|value| value.len() <= LONGEST).map(str::to_owned)
    };
    manifest.element(name, &attribute);
    Some(())
}

/// Plain XML: elements and their quoted attributes; remarks and text are passed over.
fn plain(text: &str) -> Option<Manifest> {
    let mut manifest = Manifest::default();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        if let Some(remark) = rest.strip_prefix("!--") {
            rest = &remark[remark.find("-->")? + 3..];
            continue;
        }
        let end = rest.find('>')?;
        let (tag, after) = rest.split_at(end);
        rest = after;
        let name: String = tag
            .chars()
            .take_while(|letter| letter.is_alphanumeric() || *letter == '-')
            .collect();
        let attribute = |wanted: &str| quoted(tag, wanted);
        manifest.element(&name, &attribute);
    }
    manifest.whole()
}

/// The value of an attribute, with or without a name space.
fn quoted(tag: &str, wanted: &str) -> Option<String> {
    for (at, _) in tag.match_indices(wanted) {
        let begins = tag[..at].ends_with(|letter: char| letter.is_whitespace() || letter == ':');
        let after = tag[at + wanted.len()..].trim_start();
        let (true, Some(value)) = (begins, after.strip_prefix('=')) else {
            continue;
        };
        let value = value.trim_start();
        let quote = value.chars().next().filter(|letter| matches!(letter, '"' | '\''))?;
        let (value, _) = value[1..].split_once(quote)?;
        return (value.len() <= LONGEST).then(|| value.to_owned());
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn plain_manifests_are_read() {
        let text = r#"<?xml version="1.0"?><!-- <manifest package="no"/> -->
            <manifest xmlns:android="http://schemas.android.com/apk/res/android" package="org.own" android:versionName='2.1'>
              <application android:label="Own app">
                <activity android:name=".Main" android:exported="true"><intent-filter>
                  <action android:name="android.intent.action.MAIN"/>
                  <category android:name="android.intent.category.LAUNCHER"/></intent-filter></activity>
                <activity android:name="org.own.Other"/>
                <service android:name=".Work"><intent-filter><action android:name="android.intent.action.MAIN"/>
                </intent-filter></service>
              </application></manifest>"#;
        let manifest = read(text.as_bytes()).unwrap();
        assert_eq!(
            (manifest.package.as_str(), manifest.version.as_deref()),
            ("org.own", Some("2.1"))
        );
        assert_eq!(manifest.label.as_deref(), Some("Own app"));
        let main = Declared {
            name: ".Main".to_owned(),
            exported: Some(true),
            main: true,
            launcher: true,
        };
        assert_eq!(manifest.activities[0], main);
        assert_eq!(
            (manifest.activities[1].name.as_str(), manifest.activities[1].launcher),
            ("org.own.Other", false)
        );
        assert!(read(b"<manifest/>").is_none() && read(b"\xff\xfe").is_none() && read(b"<").is_none());
    }

    /// A name, and attributes with texts; a value that is none is a reference to a resource.
    type Element<'a> = (&'a str, &'a [(&'a str, Option<&'a str>)]);

    /// Binary XML as the build tools write it: a pool of strings, then elements.
    fn compiled(utf8: bool, elements: &[Element<'_>]) -> Vec<u8> {
        let mut pool: Vec<String> = Vec::new();
        let mut index = |text: &str| {
            let at = pool.iter().position(|known| known == text).unwrap_or(pool.len());
            if at == pool.len() {
                pool.push(text.to_owned());
            }
            u32::try_from(at).unwrap()
        };
        let words = |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|word| word.to_le_bytes()).collect() };
        let mut body = Vec::new();
        for (name, attributes) in elements {
            let count = u16::try_from(attributes.len()).unwrap();
            let mut chunk = words(&[1, u32::MAX, u32::MAX, index(name)]);
            chunk.extend([20_u16, 20, count, 0, 0, 0].iter().flat_map(|half| half.to_le_bytes()));
            for (key, value) in *attributes {
                // A truth value stands in the data; a text in the pool.
                let (kind, data) = match value {
                    Some("true") => (0x12_u8, u32::MAX),
                    Some(text) => (0x03, index(text)),
                    None => (0x01, 0x7f01_0001),
                };
                chunk.extend(words(&[u32::MAX, index(key), u32::MAX]));
                chunk.extend([8, 0, 0, kind]);
                chunk.extend(words(&[data]));
            }
            let size = u32::try_from(chunk.len() + 8).unwrap();
            body.extend([words(&[0x0010_0102, size]), chunk].concat());
        }
        let (mut texts, mut starts) = (Vec::new(), Vec::new());
        for text in &pool {
            starts.push(u32::try_from(texts.len()).unwrap());
            if utf8 {
                texts.extend([
                    u8::try_from(text.chars().count()).unwrap(),
                    u8::try_from(text.len()).unwrap(),
                ]);
                texts.extend(text.bytes().chain([0]));
            } else {
                let units: Vec<u16> = text.encode_utf16().collect();
                texts.extend(u16::try_from(units.len()).unwrap().to_le_bytes());
                texts.extend(units.iter().chain(&[0]).flat_map(|unit| unit.to_le_bytes()));
            }
        }
        let start = 28 + 4 * u32::try_from(pool.len()).unwrap();
        let size = start + u32::try_from(texts.len()).unwrap();
        let count = u32::try_from(pool.len()).unwrap();
        let head = words(&[0x001c_0001, size, count, 0, if utf8 { 1 << 8 } else { 0 }, start, 0]);
        let whole = [head, words(&starts), texts, body].concat();
        [words(&[0x0008_0003, u32::try_from(whole.len()).unwrap() + 8]), whole].concat()
    }

    #[test]
    fn compiled_manifests_are_read() {
        let elements: &[Element<'_>] = &[
            (
                "manifest",
                &[("package", Some("org.own")), ("versionName", Some("3.4 \u{fc}"))],
            ),
            ("application", &[("label", None)]),
            (
                "activity",
                &[("name", Some("org.own.Main")), ("exported", Some("true"))],
            ),
            ("action", &[("name", Some("android.intent.action.MAIN"))]),
            ("category", &[("name", Some("android.intent.category.LAUNCHER"))]),
        ];
        for utf8 in [false, true] {
            let bytes = compiled(utf8, elements);
            let manifest = read(&bytes).unwrap();
            assert_eq!(
                (manifest.package.as_str(), manifest.version.as_deref()),
                ("org.own", Some("3.4 \u{fc}"))
            );
            assert_eq!(manifest.label, None, "a reference to a resource is no text");
            let main = Declared {
                name: "org.own.Main".to_owned(),
                exported: Some(true),
                main: true,
                launcher: true,
            };
            assert_eq!(manifest.activities, [main]);
            for at in 0..bytes.len() {
                // Whatever is broken or cut off, there is an answer.
                let mut broken = bytes.clone();
                broken[at] ^= 0xff;
                let _ = (read(&broken), read(&bytes[..at]));
            }
        }
    }
}
