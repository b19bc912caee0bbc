//! From an APK, a ZIP of split APKs, or the name of one, to a package that can be installed.

use super::{
    manifest::{self, Manifest},
    packages::{Activity, Package, is_name},
    zip,
};

/// Beginnings of what are archives.
const ARCHIVE: &[u8] = b"PK";
/// Archives within an archive that are looked into.
const MOST_PARTS: usize = 64;
const MANIFEST: &str = "AndroidManifest.xml";

/// Reads a package from the bytes of an APK or a ZIP of split APKs.
///
/// An archive without a manifest becomes an app that is named after its file: the small phone runs no code, so a name is
/// all that it needs of one.
///
/// # Errors
/// When it is no archive, in the words of Android's package manager.
pub(crate) fn from_bytes(file: &str, bytes: &[u8]) -> Result<Package, String> {
    if !bytes.starts_with(ARCHIVE) {
        return Err(format!(
            "Failure [INSTALL_PARSE_FAILED_NOT_APK: expected an .apk file or a .zip of such, got {} other bytes]",
            bytes.len()
        ));
    }
    match manifest_of(bytes, true) {
        Some(manifest) => package(manifest, file),
        None => named(file),
    }
}

/// A package that is known by its address alone; it is not fetched.
///
/// # Errors
/// When the address names no file.
pub(crate) fn from_url(url: &str) -> Result<Package, String> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let path = rest.and_then(|rest| rest.split(['?', '#']).next());
    let file = path.and_then(|path| path.split_once('/')).map(|(_, path)| path);
    let file = file.and_then(|path| path.rsplit('/').find(|part| !part.is_empty()));
    match file {
        Some(file) => named(file),
        None => Err(format!("apk: expected http(s)://HOST/NAME.apk, got {url:?}")),
    }
}

/// The manifest in an archive, or in the base of the archives in it.
fn manifest_of(bytes: &[u8], nested: bool) -> Option<Manifest> {
    let entries = zip::list(bytes)?;
    if let Some(entry) = entries.iter().find(|entry| entry.name == MANIFEST) {
        return manifest::read(&zip::unpack(bytes, entry)?);
    }
    let inner = entries.iter().filter(|entry| nested && entry.name.ends_with(".apk"));
    let mut inner = inner.take(MOST_PARTS);
    inner.find_map(|entry| manifest_of(&zip::unpack(bytes, entry)?, false).filter(|manifest| !manifest.split))
}

fn package(manifest: Manifest, file: &str) -> Result<Package, String> {
    let name = manifest.package;
    if !is_name(&name) {
        return Err(format!(
            "Failure [INSTALL_PARSE_FAILED_BAD_PACKAGE_NAME: {:?} in {file:?}]",
            name.chars().take(80).collect::<String>()
        ));
    }
    let full = |class: String| match class.strip_prefix('.') {
        Some(rest) => format!("{name}.{rest}"),
        None if class.contains('.') => class,
        None => format!("{name}.{class}"),
    };
    let activities = manifest.activities.into_iter().map(|declared| Activity {
        class: full(declared.name),
        exported: declared.exported.unwrap_or(declared.main),
        launcher: declared.main && declared.launcher,
        main: declared.main,
    });
    let label = manifest.label.unwrap_or_else(|| label_of(&name));
    Ok(Package {
        version: manifest.version.unwrap_or_else(|| "1.0".to_owned()),
        label: label.chars().filter(|letter| !letter.is_control()).take(80).collect(),
        apk: apk_path(&name),
        system: false,
        activities: activities.collect(),
        name,
    })
}

/// A package whose name is that of its file, e.g. `com.example.notes-1.2.apk`, or `com.example.` before it.
fn named(file: &str) -> Result<Package, String> {
    let stem = [".apk", ".apks", ".xapk", ".zip"]
        .iter()
        .find_map(|end| file.strip_suffix(end));
    let stem = stem.unwrap_or(file);
    let kept = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_');
    let word: String = stem.chars().take_while(kept).collect();
    let name = if is_name(&word) {
        word
    } else {
        let plain: String = stem.chars().filter(char::is_ascii_alphanumeric).collect();
        format!("com.example.{}", plain.to_lowercase())
    };
    if !is_name(&name) {
        return Err(format!(
            "apk: expected a file name such as com.example.app.apk, got {file:?}"
        ));
    }
    Ok(Package {
        label: label_of(&name),
        version: "1.0".to_owned(),
        apk: apk_path(&name),
        system: false,
        activities: vec![Activity {
            class: format!("{name}.MainActivity"),
            exported: true,
            launcher: true,
            main: true,
        }],
        name,
    })
}

fn apk_path(name: &str) -> String {
    format!("/data/app/{name}-1/base.apk")
}

/// The last word of a package's name, with a capital.
fn label_of(name: &str) -> String {
    let last = name.rsplit('.').next().unwrap_or(name);
    let mut letters = last.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A ZIP of stored files, as far as readers need it.
    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let (mut bytes, mut list) = (Vec::new(), Vec::new());
        let short = |value: usize| u16::try_from(value).unwrap().to_le_bytes();
        let long = |value: usize| u32::try_from(value).unwrap().to_le_bytes();
        for (name, content) in files {
            let at = bytes.len();
            bytes.extend(b"PK\x03\x04");
            bytes.extend([0; 14]);
            bytes.extend([long(content.len()), long(content.len())].concat());
            bytes.extend([short(name.len()), short(0)].concat());
            bytes.extend(name.bytes().chain(content.iter().copied()));
            list.extend(b"PK\x01\x02");
            list.extend([0; 16]);
            list.extend([long(content.len()), long(content.len())].concat());
            list.extend([short(name.len()), [0; 2], [0; 2], [0; 2], [0; 2], [0; 2], [0; 2]].concat());
            list.extend(long(at));
            list.extend(name.bytes());
        }
        let start = bytes.len();
        bytes.extend(&list);
        bytes.extend(b"PK\x05\x06");
        bytes.extend([0; 4]);
        bytes.extend([short(files.len()), short(files.len())].concat());
        bytes.extend([long(list.len()), long(start)].concat());
        bytes.extend([0; 2]);
        bytes
    }

    const PLAIN: &[u8] = br#"<manifest package="org.own"><application><activity android:name="Main"><intent-filter>
        <action android:name="android.intent.action.MAIN"/><category android:name="android.intent.category.LAUNCHER"/>
        </intent-filter></activity></application></manifest>"#;

    #[test]
    fn apks_and_archives_of_them_are_read() {
        let base = archive(&[("classes.dex", b"x"), (MANIFEST, PLAIN)]);
        let part = archive(&[(MANIFEST, br#"<manifest package="org.own" split="config.en"/>"#)]);
        let split = archive(&[("a/config.apk", &part), ("a/base.apk", &base)]);
        for bytes in [&base, &split] {
            let package = from_bytes("anything.apk", bytes).unwrap();
            assert_eq!((package.name.as_str(), package.label.as_str()), ("org.own", "Own"));
            assert_eq!(package.launcher().unwrap().class, "org.own.Main");
        }
        let empty = from_bytes("My App.apk", &archive(&[("readme", b"")])).unwrap();
        assert_eq!(empty.name, "com.example.myapp");
        assert!(from_bytes("a.apk", b"text").unwrap_err().contains("NOT_APK"));
        for end in 0..base.len() {
            // Whatever is cut off, there is an answer.
            let _ = from_bytes("a.apk", &base[..end]);
        }
    }

    #[test]
    fn addresses_name_packages() {
        let table = [
            ("https://example.com/app.apk", "com.example.app"),
            (
                "http://example.com/x/com.reddit.frontpage-gplay.zip?v=1",
                "com.reddit.frontpage",
            ),
        ];
        for (url, name) in table {
            assert_eq!(from_url(url).unwrap().name, name);
        }
        for url in ["https://example.com", "ftp://a/b.apk", "https://example.com/?.apk"] {
            assert!(from_url(url).is_err(), "{url}");
        }
    }
}
