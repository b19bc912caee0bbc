//! A small server that plays the Hub.

use cua_grpo_model::hub::Hub;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// Bytes of a file of weights.
pub const WEIGHTS: usize = 300_000;

/// What the server has, and what it was asked for.
#[derive(Default)]
pub struct Site {
    pub files: BTreeMap<String, Vec<u8>>,
    /// `file range` of each request for content.
    pub asked: Vec<String>,
    /// A file that is cut off halfway, once.
    pub cut: Option<String>,
    /// A file whose content comes a byte at a time, with so much time between two.
    pub drips: Option<(String, Duration)>,
    /// The length that is announced for every file of weights, in place of its own.
    pub announced: Option<u64>,
    /// Where the content begins that is sent in place of what was asked for.
    pub shifted: Option<usize>,
    /// Where requests are sent on to, as the Hub does with large files.
    pub elsewhere: Option<String>,
    /// The commit and the tag that the headers name, where these are not plain ones.
    pub commit: Option<String>,
    pub tag: Option<String>,
    /// The tokens that requests came with.
    pub tokens: Vec<Option<String>>,
}

pub type Shared = Arc<Mutex<Site>>;

/// Answers one request, then closes the connection.
pub fn answer(site: &Shared, mut stream: TcpStream) {
    let mut lines = BufReader::new(stream.try_clone().unwrap())
        .lines()
        .map_while(Result::ok);
    let Some(request) = lines.next() else { return };
    let headers: BTreeMap<String, String> = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            line.split_once(": ")
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        })
        .collect();
    let path = request.split(' ').nth(1).unwrap();
    let (model, file) = path.trim_start_matches('/').split_once("/resolve/main/").unwrap();
    let mut site = site.lock().unwrap();
    let mut plain = |status: &str| {
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
    };
    if model == "closed/model" {
        return match headers.get("authorization") {
            Some(_) => plain("403 Forbidden"),
            None => plain("401 Unauthorized"),
        };
    }
    site.tokens.push(headers.get("authorization").cloned());
    let commit = site.commit.clone().unwrap_or_else(|| COMMIT.to_owned());
    let tag = site.tag.clone().unwrap_or_else(|| format!("{file}-1"));
    if let Some(elsewhere) = site.elsewhere.clone().filter(|_| model == "org/tiny") {
        write!(
            stream,
            "HTTP/1.1 302 Found\r\nLocation: {elsewhere}{path}\r\nX-Repo-Commit: {commit}\r\nX-Linked-ETag: \"{tag}\"\r\n\
             Content-Length: 0\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        return;
    }
    let range = headers.get("range").cloned().unwrap_or_default();
    site.asked.push(format!("{file} {range}"));
    let Some(bytes) = site.files.get(file).filter(|_| model == "org/tiny").cloned() else {
        return plain("404 Not Found");
    };
    let (start, end) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
    let start: usize = start.parse().unwrap();
    let start = site.shifted.filter(|_| start > 0).unwrap_or(start);
    let end = end
        .parse::<usize>()
        .map_or(bytes.len(), |end| (end + 1).min(bytes.len()));
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\nETag: \"{tag}\"\r\nX-Repo-Commit: {commit}\r\nContent-Length: {}\r\n\
         Content-Range: bytes {start}-{}/{}\r\nConnection: close\r\n\r\n",
        end - start,
        end - 1,
        site.announced
            .filter(|_| file.ends_with(".safetensors"))
            .unwrap_or(bytes.len() as u64)
    );
    let mut content = &bytes[start..end];
    if content.len() > 1 && site.cut.as_deref() == Some(file) {
        site.cut = None;
        content = &content[..content.len() / 2];
    }
    stream.write_all(head.as_bytes()).unwrap();
    let drips = site.drips.clone().filter(|(name, _)| name == file && content.len() > 1);
    // Who waits for the end of this answer may ask for another.
    drop(site);
    let Some((_, pause)) = drips else {
        return stream.write_all(content).unwrap();
    };
    for byte in content.chunks(1) {
        if stream.write_all(byte).is_err() {
            return;
        }
        std::thread::sleep(pause);
    }
}

/// A hub on a port of its own, with the sharded model `org/tiny`.
pub fn hub() -> (Hub, Shared, tempfile::TempDir) {
    let mut files = BTreeMap::new();
    for name in ["config.json", "tokenizer.json", "preprocessor_config.json"] {
        files.insert(name.to_owned(), format!("{{\"name\": \"{name}\"}}").into_bytes());
    }
    let index = r#"{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}"#;
    files.insert("model.safetensors.index.json".to_owned(), index.into());
    let shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    for (number, name) in shards.into_iter().enumerate() {
        files.insert(name.to_owned(), (0..WEIGHTS).map(|i| (i * 7 + number) as u8).collect());
    }
    let site = Shared::new(Mutex::new(Site {
        files,
        ..Site::default()
    }));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let served = site.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            answer(&served, stream.unwrap());
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub {
        endpoint,
        cache: folder.path().to_owned(),
        token: None,
        offline: false,
        retries: 0,
        patience: Duration::from_secs(60),
    };
    (hub, site, folder)
}
