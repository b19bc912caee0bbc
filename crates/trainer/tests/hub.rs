//! Models by name: against a small server that plays the Hub.
//!
//! Mutations tried: the cache not looked at; a download begun anew in place of continued; a missing optional file taken
//! for a missing model; a second look for files that are known to be missing.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "common/hub_site.rs"]
mod site;

use cua_grpo_model::hub::Hub;
use site::{Shared, Site, WEIGHTS, answer, hub};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use trainer::hub::fetch;

fn asked(site: &Shared) -> Vec<String> {
    std::mem::take(&mut site.lock().unwrap().asked)
}

/// A second server with the same files, on a host of its own: `localhost` is another name than `127.0.0.1`.
fn serve(site: &Shared) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let served = site.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            answer(&served, stream.unwrap());
        }
    });
    address
}

/// Mutation tried: the header set on every hop.
#[test]
fn the_token_goes_to_the_hub_and_to_no_other_host() {
    let (hub, site, _folder) = hub();
    let mirror = Shared::new(Mutex::new(Site {
        files: site.lock().unwrap().files.clone(),
        ..Site::default()
    }));
    site.lock().unwrap().elsewhere = Some(serve(&mirror));
    let hub = Hub {
        token: Some("hf_secret".into()),
        ..hub
    };
    let dir = fetch(&hub, "org/tiny").unwrap();
    for (name, bytes) in &mirror.lock().unwrap().files {
        assert!(std::fs::read(dir.join(name)).unwrap() == *bytes, "{name}");
    }
    let tokens = |site: &Shared| std::mem::take(&mut site.lock().unwrap().tokens);
    let (own, other) = (tokens(&site), tokens(&mirror));
    assert!(
        own.len() > 3 && own.iter().all(|token| token.as_deref() == Some("Bearer hf_secret")),
        "{own:?}"
    );
    assert!(other.len() > 3 && other.iter().all(Option::is_none), "{other:?}");
}

#[test]
fn answers_that_lead_out_of_the_cache_or_nowhere_are_refused() {
    type Change = fn(&mut Site);
    let cases: [(Change, &str); 7] = [
        (
            |site| site.commit = Some("../../../out".into()),
            "expected a commit of letters and digits",
        ),
        (
            |site| site.commit = Some("/tmp/out".into()),
            "expected a commit of letters and digits",
        ),
        (
            |site| site.tag = Some("../out".into()),
            "expected a tag of the content of letters and digits",
        ),
        (|site| site.elsewhere = Some(String::new()), "more than 10 redirects"),
        (|site| site.elsewhere = Some("ftp://x".into()), "org/tiny"),
        (
            |site| {
                let index = r#"{"weight_map": {"a": "../../../out.safetensors"}}"#;
                site.files.insert("model.safetensors.index.json".into(), index.into());
            },
            "weight_map: expected names of files",
        ),
        (
            |site| drop(site.files.insert("config.json".into(), vec![b' '; (64 << 20) + 1])),
            "expected at most 67108864 bytes",
        ),
    ];
    for (change, expected) in cases {
        let (hub, site, folder) = hub();
        change(&mut site.lock().unwrap());
        let error = format!("{:#}", fetch(&hub, "org/tiny").unwrap_err());
        assert!(error.contains(expected), "{expected}: {error}");
        let outside = std::fs::read_dir(folder.path())
            .unwrap()
            .flatten()
            .map(|entry| entry.file_name());
        let outside: Vec<_> = outside.filter(|name| name != "models--org--tiny").collect();
        assert!(outside.is_empty(), "{outside:?}");
    }
}

#[test]
fn content_that_drips_ends_and_what_has_arrived_is_kept() {
    for file in ["tokenizer.json", "model-00001-of-00002.safetensors"] {
        let (hub, site, folder) = hub();
        site.lock().unwrap().drips = Some((file.to_owned(), Duration::from_millis(40)));
        site.lock()
            .unwrap()
            .files
            .insert("tokenizer.json".into(), vec![b' '; 1000]);
        let hub = Hub {
            retries: 1,
            patience: Duration::from_millis(1500),
            ..hub
        };
        let begun = Instant::now();
        let error = format!("{:#}", fetch(&hub, "org/tiny").unwrap_err());
        assert!(
            error.contains(&format!("cannot fetch {file}")) && error.contains("bytes came in"),
            "{error}"
        );
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        let blobs = folder.path().join("models--org--tiny/blobs");
        let part = blobs.join(format!("{file}-1.part"));
        assert!(std::fs::metadata(&part).unwrap().len() > 4, "{}", part.display());
    }
}

#[cfg(any(target_os = "linux", target_os = "macos"))]
#[test]
fn weights_that_have_no_room_are_told_before_the_first_of_them_is_fetched() {
    let (hub, site, folder) = hub();
    for announced in [1 << 60, u64::MAX] {
        site.lock().unwrap().announced = Some(announced);
        let error = fetch(&hub, "org/tiny").unwrap_err();
        let told = format!("{error:#}");
        let code = trainer::error::exit_code(&cua_grpo_train::TrainError::from(error));
        assert!(
            told.contains("are to be fetched") && told.contains("Make room there") && told.contains("HF_HUB_CACHE"),
            "{told}"
        );
        assert_eq!(code, 2);
        let begun = asked(&site).into_iter().filter(|line| line.contains("-of-"));
        assert!(
            begun.clone().all(|line| line.ends_with("bytes=0-0")),
            "{:?}",
            begun.collect::<Vec<_>>()
        );
        let blobs = std::fs::read_dir(folder.path().join("models--org--tiny/blobs")).unwrap();
        let parts = blobs
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().contains("-of-"));
        assert_eq!(parts.count(), 0);
    }
}

#[test]
fn a_model_is_fetched_once() {
    let (hub, site, _folder) = hub();
    let dir = fetch(&hub, "org/tiny").unwrap();
    for (name, bytes) in &site.lock().unwrap().files {
        assert!(std::fs::read(dir.join(name)).unwrap() == *bytes, "{name}");
    }
    assert!(!dir.join("chat_template.jinja").exists());
    asked(&site);

    // The second time nothing is asked for, not even what is missing; offline it is the same.
    for offline in [false, true] {
        let hub = Hub { offline, ..hub.clone() };
        assert_eq!(fetch(&hub, "org/tiny").unwrap(), dir);
    }
    assert_eq!(asked(&site), Vec::<String>::new());
}

/// As transformers: the single file is read, so the shards are not fetched.
#[test]
fn a_single_file_wins_over_an_index() {
    let (hub, site, _folder) = hub();
    site.lock()
        .unwrap()
        .files
        .insert("model.safetensors".into(), vec![5; 10]);
    let dir = fetch(&hub, "org/tiny").unwrap();
    assert_eq!(std::fs::read(dir.join("model.safetensors")).unwrap(), [5; 10]);
    let asked = asked(&site);
    assert!(!asked.iter().any(|line| line.contains("-of-")), "{asked:?}");
}

#[test]
fn a_single_file_needs_no_index() {
    let (hub, site, _folder) = hub();
    {
        let mut site = site.lock().unwrap();
        site.files.retain(|name, _| !name.starts_with("model"));
        site.files.insert("model.safetensors".into(), vec![5; 10]);
    }
    let dir = fetch(&hub, "org/tiny").unwrap();
    assert_eq!(std::fs::read(dir.join("model.safetensors")).unwrap(), [5; 10]);

    site.lock().unwrap().files.clear();
    let dir = fetch(&hub, "org/tiny").unwrap();
    assert!(dir.join("config.json").exists());
}

#[test]
fn a_download_goes_on_where_it_was_cut() {
    let (hub, site, folder) = hub();
    let shard = "model-00002-of-00002.safetensors";
    site.lock().unwrap().cut = Some(shard.to_owned());
    let error = format!("{:#}", fetch(&hub, "org/tiny").unwrap_err());
    assert!(
        error.contains(shard) && error.contains("what has arrived is kept"),
        "{error}"
    );
    asked(&site);
    let dir = fetch(&hub, "org/tiny").unwrap();
    let content = asked(&site)
        .into_iter()
        .rfind(|line| !line.ends_with("bytes=0-0"))
        .unwrap();
    let start: usize = content
        .strip_prefix(&format!("{shard} bytes="))
        .unwrap()
        .trim_end_matches('-')
        .parse()
        .unwrap();
    assert!(start > 0 && start <= WEIGHTS / 2, "{content}");
    assert!(std::fs::read(dir.join(shard)).unwrap() == site.lock().unwrap().files[shard]);

    // Another part than that which was asked for is not put behind what is there.
    std::fs::remove_dir_all(folder.path().join("models--org--tiny")).unwrap();
    site.lock().unwrap().cut = Some(shard.to_owned());
    fetch(&hub, "org/tiny").unwrap_err();
    site.lock().unwrap().shifted = Some(7);
    let error = format!("{:#}", fetch(&hub, "org/tiny").unwrap_err());
    assert!(error.contains("found others (Some(\"bytes 7-"), "{error}");
    site.lock().unwrap().shifted = None;
    let dir = fetch(&hub, "org/tiny").unwrap();
    assert!(std::fs::read(dir.join(shard)).unwrap() == site.lock().unwrap().files[shard]);

    // With retries the first call succeeds.
    std::fs::remove_dir_all(folder.path().join("models--org--tiny")).unwrap();
    site.lock().unwrap().cut = Some(shard.to_owned());
    let hub = Hub { retries: 2, ..hub };
    let dir = fetch(&hub, "org/tiny").unwrap();
    assert!(std::fs::read(dir.join(shard)).unwrap() == site.lock().unwrap().files[shard]);
}

#[test]
fn errors_say_what_to_do() {
    let (hub, site, _folder) = hub();
    let message = |hub: &Hub, name: &str| {
        let error = fetch(hub, name).unwrap_err();
        let code = cua_grpo_train::TrainError::from(error);
        (format!("{code}"), trainer::error::exit_code(&code))
    };
    let (error, code) = message(&hub, "org/none");
    assert!(error.contains("has no model `org/none`"), "{error}");
    assert_eq!(code, 2);

    let (error, code) = message(&hub, "closed/model");
    assert!(
        error.contains("accept the model's terms") && error.contains("HF_TOKEN"),
        "{error}"
    );
    assert_eq!(code, 2);
    let with_token = Hub {
        token: Some("wrong".into()),
        ..hub.clone()
    };
    let (error, _) = message(&with_token, "closed/model");
    assert!(error.contains("the token may not read `closed/model`"), "{error}");

    let offline = Hub {
        offline: true,
        ..hub.clone()
    };
    let (error, code) = message(&offline, "org/tiny");
    assert!(
        error.contains("HF_HUB_OFFLINE") && error.contains("config.json"),
        "{error}"
    );
    assert_eq!(code, 2);

    site.lock().unwrap().files.remove("tokenizer.json");
    let (error, _) = message(&hub, "org/tiny");
    assert!(error.contains("`org/tiny` has no tokenizer.json"), "{error}");

    let unreachable = Hub {
        endpoint: "http://127.0.0.1:1".into(),
        ..hub
    };
    let (error, code) = message(&unreachable, "org/other");
    assert!(
        error.contains("Check the network") && error.contains("127.0.0.1:1"),
        "{error}"
    );
    assert_eq!(code, 1);
}

#[test]
fn names_that_are_no_model_names_never_reach_the_network() {
    for name in ["./missing", "/missing/folder", "a/b/c", "missing", "../up", "org/"] {
        let error = trainer::hub::resolve(name).unwrap_err().to_string();
        assert!(
            error.contains(&format!("`{name}`")) && error.contains("org/name"),
            "{error}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        trainer::hub::resolve(folder.path().to_str().unwrap()).unwrap(),
        folder.path()
    );
}

#[test]
fn the_environment_is_that_of_the_python_tools() {
    let with = |pairs: &[(&str, &str)]| {
        let pairs: BTreeMap<String, String> = pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        Hub::from_variables(move |name| pairs.get(name).cloned())
    };
    let hub = with(&[("HOME", "home")]);
    assert_eq!(hub.cache, std::path::Path::new("home/.cache/huggingface/hub"));
    assert_eq!(
        (hub.endpoint.as_str(), hub.token, hub.offline),
        ("https://huggingface.co", None, false)
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "from-file\n").unwrap();
    let home = folder.path().to_str().unwrap();
    let hub = with(&[
        ("HF_HOME", home),
        ("HF_HUB_OFFLINE", "1"),
        ("HF_ENDPOINT", "http://mirror"),
    ]);
    assert_eq!(hub.cache, folder.path().join("hub"));
    assert_eq!((hub.endpoint.as_str(), hub.offline), ("http://mirror", true));
    assert_eq!(hub.token.as_ref().map(|token| token.reveal()), Some("from-file"));
    let hub = with(&[
        ("HF_HOME", home),
        ("HF_TOKEN", "given"),
        ("HF_HUB_CACHE", "elsewhere"),
        ("HF_HUB_OFFLINE", "0"),
    ]);
    assert_eq!(
        (hub.token.as_ref().map(|token| token.reveal()), hub.offline),
        (Some("given"), false)
    );
    assert_eq!(hub.cache, std::path::Path::new("elsewhere"));
}

#[test]
fn a_token_that_comes_back_and_passwords_of_addresses_are_in_no_message() {
    const TOKEN: &str = "hf_Planted51c7";
    let (hub, site, _folder) = hub();
    let hub = Hub {
        token: Some(TOKEN.into()),
        ..hub
    };
    let told = |hub: &Hub, name: &str| {
        let error = fetch(hub, name).unwrap_err();
        let told = format!("{error:#} {error:?}");
        assert!(!told.to_lowercase().contains("planted51c7"), "{told}");
        told
    };
    let set = |commit: Option<&str>, tag: Option<&str>, elsewhere: Option<&str>| {
        let mut site = site.lock().unwrap();
        (site.commit, site.tag, site.elsewhere) =
            (commit.map(Into::into), tag.map(Into::into), elsewhere.map(Into::into));
    };
    let long = format!("{}{TOKEN}", "x".repeat(75));
    set(Some(&format!("Bearer {TOKEN}")), None, None);
    assert!(told(&hub, "org/tiny").contains("Bearer ***"));
    set(None, Some(&long), None);
    told(&hub, "org/tiny");
    for elsewhere in [
        format!("ftp:{TOKEN}"),
        format!("http://{TOKEN} x/"),
        format!("http://u:{TOKEN}@127.0.0.1:1"),
        format!("x/?token={TOKEN}"),
    ] {
        set(None, None, Some(&elsewhere));
        told(&hub, "org/tiny");
    }
    for endpoint in [
        format!("http://u:{TOKEN}@127.0.0.1:1"),
        format!("http://{TOKEN}@127.0.0.1:1"),
        format!("http://127.0.0.1:1/?token={TOKEN}"),
    ] {
        let (token, endpoint) = (None, endpoint);
        let hub = Hub {
            token,
            endpoint,
            ..hub.clone()
        };
        assert!(told(&hub, "org/tiny").contains("HF_ENDPOINT"));
    }
    for name in [
        format!("https://user:{TOKEN}@huggingface.co/x/y"),
        format!("https://{TOKEN}@huggingface.co/x/y?token={TOKEN}"),
        format!("https://huggingface.co/x/y?token={TOKEN}"),
        format!("user:{TOKEN}@huggingface.co/x/y"),
    ] {
        let told = trainer::hub::resolve(&name).unwrap_err().to_string();
        assert!(!told.contains(TOKEN) && told.contains("huggingface.co/x/y"), "{told}");
    }
}
