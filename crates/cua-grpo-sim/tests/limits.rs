//! What a client cannot do to the simulator: make it panic, hold its lock, take its memory, or keep its connections.
#![allow(clippy::unwrap_used)]

use cua_grpo_sim::{Limits, Phone, SimConfig, SimServer};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

async fn server(limits: Limits) -> SimServer {
    let config = SimConfig {
        limits,
        ..SimConfig::default()
    };
    SimServer::start(config).await.unwrap()
}

async fn post(server: &SimServer, path: &str, body: &Value) -> (u16, Value) {
    let request = reqwest::Client::new().post(format!("{}{path}", server.base_url()));
    let answer = request.bearer_auth("any").json(body).send().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or_default())
}

async fn born(server: &SimServer) -> String {
    let (status, object) = post(server, "/boxes/android", &json!({})).await;
    assert_eq!(status, 201);
    object["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn places_out_of_the_world_are_refused_and_those_beside_the_screen_are_not() {
    let server = server(Limits::default()).await;
    let id = born(&server).await;
    let traced = json!({ "screenshot": { "phases": ["before", "after", "trace"] } });
    let far = [1e308, -1e308, 2147483647.0, -2147483648.0, 4294967296.0, 1e19];
    let near = [0.0, -1.0, 191.0, 192.0, 99_999.0, -99_999.0];
    let bodies = |at: f64| {
        [
            ("click", json!({ "x": at, "y": 5, "options": traced })),
            ("tap", json!({ "x": 5, "y": at, "options": traced })),
            ("long-press", json!({ "x": at, "y": at, "options": traced })),
            (
                "click",
                json!({ "target": {
                    "boundingBox": { "x": 0, "y": 0, "width": 1, "height": 1 }, "centerX": at, "centerY": 1
                }, "options": traced }),
            ),
            (
                "swipe",
                json!({ "start": { "x": 5, "y": 5 }, "end": { "x": at, "y": at }, "options": traced }),
            ),
            (
                "drag",
                json!({ "path": [{ "x": at, "y": 5 }, { "x": 5, "y": 5 }], "options": traced }),
            ),
            (
                "scroll",
                json!({ "x": at, "y": 5, "scrollX": 0, "scrollY": at, "options": traced }),
            ),
        ]
    };
    for at in far {
        for (action, body) in bodies(at) {
            let (status, answer) = post(&server, &format!("/boxes/{id}/actions/{action}"), &body).await;
            assert_eq!(status, 400, "{action} {body}: {answer}");
        }
    }
    let mut carried_out = 0;
    for at in near {
        for (action, body) in bodies(at) {
            let (status, answer) = post(&server, &format!("/boxes/{id}/actions/{action}"), &body).await;
            assert!(status == 200 || status == 400, "{action} {body}: {answer}");
            carried_out += usize::from(status == 200);
        }
    }
    assert!(carried_out >= 5 * near.len(), "{carried_out}");
}

#[test]
fn a_line_of_the_shell_takes_bounded_memory_and_time() {
    let mut phone = Phone::new(3);
    let variables = BTreeMap::from([("A".to_owned(), "x".repeat(60_000))]);
    let begin = Instant::now();
    let grown = phone.shell_with(&format!("echo {}", "$A".repeat(100_000)), &variables);
    assert_eq!((grown.exit_code, grown.stdout.len()), (2, 0), "{}", grown.stderr);
    let line = "echo a;".repeat(5000);
    assert_eq!(phone.shell(&line).exit_code, 2);
    assert_eq!(phone.shell(&"a".repeat(200_000)).exit_code, 2);
    // What is stored is bounded, and so is what is printed of it.
    let value = "v".repeat(50_000);
    let put = |phone: &mut Phone, key: usize| phone.shell(&format!("settings put system k{key} {value}")).exit_code;
    let codes: Vec<i32> = (0..10).map(|key| put(&mut phone, key)).collect();
    assert!(codes[0] == 0 && codes[9] == 1, "{codes:?}");
    let printed = phone.shell(&"settings list system;".repeat(900));
    assert!(printed.stdout.len() <= 1024 * 1024 && printed.exit_code == 1);
    assert!(printed.stderr.contains("cut off"), "{}", printed.stderr);
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    // What tasks use has all its room.
    let small = phone.shell_with("echo $A | grep x", &variables);
    assert_eq!((small.exit_code, small.stdout.len()), (0, 60_001));
}

#[tokio::test]
async fn one_phone_that_is_busy_holds_up_no_other() {
    let server = server(Limits::default()).await;
    let (busy, other) = (born(&server).await, born(&server).await);
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let (entered, inside) = std::sync::mpsc::channel();
    let phones = server.phones();
    let work = std::thread::spawn(move || {
        phones.with_phone(&busy, |_| {
            entered.send(()).unwrap();
            held.recv().unwrap();
        })
    });
    inside.recv().unwrap();
    let (path, command) = (format!("/boxes/{other}/commands"), json!({ "command": "echo a" }));
    let asked = post(&server, &path, &command);
    let answer = tokio::time::timeout(Duration::from_secs(5), asked).await;
    hold.send(()).unwrap();
    work.join().unwrap();
    assert_eq!(answer.unwrap().1["stdout"], "a\n");
}

#[tokio::test]
async fn words_of_a_box_and_bodies_are_bounded() {
    let limits = Limits {
        body_bytes: 1024 * 1024,
        ..Limits::default()
    };
    let server = server(limits).await;
    let words = json!({ "config": { "envs": { "A": "x".repeat(100_000) } } });
    assert_eq!(post(&server, "/boxes/android", &words).await.0, 400);
    let large = json!({ "config": { "envs": { "A": "x".repeat(2_000_000) } } });
    assert_eq!(post(&server, "/boxes/android", &large).await.0, 413);
    // Not large, but no body.
    let mut broken = TcpStream::connect(server.address()).await.unwrap();
    let head = b"POST /boxes/android HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer any\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}";
    broken.write_all(head).await.unwrap();
    assert!(closed(broken).await.contains(" 400 "));
    assert_eq!(server.stats().live_boxes, 0);
}

/// Waits until the other side has closed; what it sent before.
async fn closed(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes)).await;
    // A reset is an end too.
    let _ = read.expect("the connection should have been closed");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn who_sends_nothing_or_half_is_cut_off_and_others_are_served() {
    let short = Duration::from_millis(300);
    let limits = Limits {
        connections: 4,
        first_byte: short,
        head: short,
        body: short,
        ..Limits::default()
    };
    let server = server(limits).await;
    let connect = || TcpStream::connect(server.address());
    let silent = connect().await.unwrap();
    let mut half = connect().await.unwrap();
    half.write_all(b"POST /boxes/android HTTP/1.1\r\nHos").await.unwrap();
    let mut bodyless = connect().await.unwrap();
    let head = b"POST /boxes/android HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer any\r\nContent-Length: 10\r\n\r\n{";
    bodyless.write_all(head).await.unwrap();
    // More than there are places: they wait, and are served in their turn.
    let mut more = Vec::new();
    for _ in 0..4 {
        more.push(connect().await.unwrap());
    }
    let id = tokio::time::timeout(Duration::from_secs(20), born(&server))
        .await
        .unwrap();
    assert!(!id.is_empty());
    assert_eq!(closed(silent).await, "");
    assert!(!closed(half).await.contains(" 200 "));
    assert!(closed(bodyless).await.contains(" 408 "));
    for stream in more {
        closed(stream).await;
    }
}

/// Requests whose values are drawn from a list of odd ones: each is answered, none with 500, and the server lives on.
#[tokio::test]
async fn odd_requests_are_answered_and_none_is_an_error_of_the_server() {
    use rand::{Rng, SeedableRng};
    let server = server(Limits::default()).await;
    let id = born(&server).await;
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    let odd = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1e308),
        json!(0.5),
        json!(""),
        json!("10000000000h"),
        json!("é\u{0}\u{202e}"),
        json!([]),
        json!([1, "a", null]),
        json!({}),
        json!({ "x": 1e308, "y": -1e308 }),
        json!("up"),
        json!("long"),
        json!(["enter", "a"]),
        json!(18446744073709551615_u64),
    ];
    let names = [
        "x",
        "y",
        "target",
        "start",
        "end",
        "direction",
        "distance",
        "duration",
        "path",
        "scrollX",
        "scrollY",
        "text",
        "mode",
        "pressEnter",
        "keys",
        "combination",
        "buttons",
        "options",
        "clip",
        "outputFormat",
        "command",
        "envs",
        "timeout",
        "wait",
        "config",
        "button",
        "double",
        "location",
        "scrollCapture",
    ];
    let actions = [
        "click",
        "tap",
        "long-press",
        "swipe",
        "scroll",
        "drag",
        "type",
        "press-key",
        "press",
        "press-button",
        "screenshot",
    ];
    let http = reqwest::Client::new();
    for _ in 0..600 {
        let mut body = serde_json::Map::new();
        for _ in 0..rng.random_range(0..5) {
            let name = names[rng.random_range(0..names.len())];
            body.insert(name.to_owned(), odd[rng.random_range(0..odd.len())].clone());
        }
        let path = match rng.random_range(0..14) {
            0 => format!("/boxes/{id}/commands"),
            1 => "/model".to_owned(),
            2 => "/boxes/no-such-box/terminate".to_owned(),
            number => format!("/boxes/{id}/actions/{}", actions[number - 3]),
        };
        let request = http.post(format!("{}{path}", server.base_url())).bearer_auth("any");
        let answer = request.json(&body).send().await.unwrap();
        assert!(answer.status().as_u16() < 500, "{path} {body:?}: {}", answer.status());
    }
    let (status, _) = post(&server, &format!("/boxes/{id}/actions/screenshot"), &json!({})).await;
    assert_eq!(status, 200);
}

/// Asks again and again and takes no answer, until nothing more can be sent.
async fn deaf(address: std::net::SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.unwrap();
    let asked = b"GET /boxes HTTP/1.1\r\nHost: a\r\n\r\n".repeat(500);
    let stuck = |stream: &TcpStream| stream.try_write(&asked).is_err();
    let mut times = 0;
    // Buffers of the system are finite; a pause lets the server take what it can.
    while times < 10 {
        times = if stuck(&stream) { times + 1 } else { 0 };
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stream
}

#[tokio::test]
async fn who_takes_nothing_of_the_answers_is_cut_off_and_others_are_served() {
    let limits = Limits {
        connections: 2,
        answer: Duration::from_millis(500),
        ..Limits::default()
    };
    let server = server(limits).await;
    let held = [deaf(server.address()).await, deaf(server.address()).await];
    let id = tokio::time::timeout(Duration::from_secs(20), born(&server)).await;
    assert!(!id.expect("places should have come free").is_empty());
    drop(held);
}

/// A message of adb.
fn adb(command: &[u8; 4], first: u32, second: u32, data: &[u8]) -> Vec<u8> {
    let command = u32::from_le_bytes(*command);
    let words = [command, first, second, data.len() as u32, 0, !command];
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.extend_from_slice(data);
    bytes
}

#[tokio::test]
async fn connections_of_adb_and_what_waits_on_them_are_bounded() {
    let server = server(Limits::default()).await;
    let id = born(&server).await;
    let url = format!("{}/boxes/{id}/android/connect-address", server.base_url());
    let asked = reqwest::Client::new().get(url).bearer_auth("any").send();
    let told: Value = asked.await.unwrap().json().await.unwrap();
    let port: u16 = told["adb"]
        .as_str()
        .unwrap()
        .rsplit(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let connected = async || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream
            .write_all(&adb(b"CNXN", 0x0100_0000, 4096, b"host::\0"))
            .await
            .unwrap();
        stream
    };
    let mut head = [0; 24];
    let mut streams = Vec::new();
    for _ in 0..16 {
        let mut stream = connected().await;
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!(&head[..4], b"CNXN");
        streams.push(stream);
    }
    // One more waits until another ends.
    let mut more = connected().await;
    let answered = tokio::time::timeout(Duration::from_millis(1500), more.read_exact(&mut head)).await;
    assert!(answered.is_err(), "a seventeenth was served");
    drop(streams.pop());
    let answered = tokio::time::timeout(Duration::from_secs(20), more.read_exact(&mut head)).await;
    answered.unwrap().unwrap();

    // While output waits to be taken, other messages may not pile up.
    let mut greedy = streams.pop().unwrap();
    greedy.write_all(&adb(b"OPEN", 1, 0, b"shell:echo a\0")).await.unwrap();
    let large = vec![0; 256 * 1024];
    let flood = async {
        for _ in 0..60 {
            greedy.write_all(&adb(b"OPEN", 1, 0, &large)).await?;
        }
        std::io::Result::Ok(())
    };
    let flooded = tokio::time::timeout(Duration::from_secs(20), flood).await.unwrap();
    let cut = flooded.is_err() || {
        tokio::time::sleep(Duration::from_millis(500)).await;
        greedy.write_all(&adb(b"OPEN", 1, 0, &large)).await.is_err()
    };
    assert!(cut, "15 MiB wait on one connection");
}
