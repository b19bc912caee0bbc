//! What is tried again and what is not, against a service that fails on demand.

use crate::double::{Double, Failure};
use cua_grpo_gbox::wire::{Click, Command, CreateBox, Place, Point, ScreenshotRequest};
use cua_grpo_gbox::{BoxFilter, ClientConfig, GboxClient, GboxError};
use std::time::{Duration, Instant};

fn click() -> Click {
    let place = Place::Point(Point { x: 10.0, y: 20.0 });
    Click {
        place,
        button: None,
        double: None,
        modifier_keys: Vec::new(),
        options: None,
    }
}

async fn with_box() -> (Double, GboxClient, String) {
    let double = Double::start().await;
    let client = double.client();
    let id = client.create_android(&CreateBox::default()).await.unwrap().id;
    (double, client, id)
}

#[tokio::test]
async fn reading_calls_are_tried_again() {
    let (double, client, id) = with_box().await;
    for status in [429, 503, 500, 502, 504, 408, 409, 0] {
        double.fail([Failure::new("GET /box-0", status)]);
        let before = double.with(|service| service.count("/boxes/box-0"));
        client.get_box(&id).await.unwrap();
        assert_eq!(
            double.with(|service| service.count("/boxes/box-0")) - before,
            2,
            "status {status}"
        );
    }
    assert_eq!(client.retries(), 8);
    // Those of a service that is busy are waited for, the others are tried a few times.
    double.fail(vec![Failure::new("GET /box-0", 503); 9]);
    client.get_box(&id).await.unwrap();
    double.fail(vec![Failure::new("GET /box-0", 500); 3]);
    let error = client.get_box(&id).await.unwrap_err();
    assert!(error.to_string().contains("status 500 (injected)"), "{error}");
}

#[tokio::test]
async fn an_outage_is_waited_for_within_its_budget_and_counted() {
    let (double, client, id) = with_box().await;
    assert_eq!(client.outages().count, 0);
    double.fail(vec![Failure::new("GET /box-0", 503); 20]);
    client.get_box(&id).await.unwrap();
    let outages = client.outages();
    assert!(
        outages.count == 1 && outages.waited >= Duration::from_millis(15),
        "{outages:?}"
    );

    double.fail(vec![Failure::new("GET /box-0", 429); 100_000]);
    let begin = Instant::now();
    let error = client.get_box(&id).await.unwrap_err();
    let spent = begin.elapsed();
    assert!((400..900).contains(&spent.as_millis()), "{spent:?}");
    let text = error.to_string();
    assert!(text.contains("status 429") && text.contains("outage_budget"), "{text}");
    assert_eq!((error.status(), client.outages().count), (Some(429), 2));
    // What was given up is not waited for again by the next call.
    let begin = Instant::now();
    client.get_box(&id).await.unwrap_err();
    assert!(begin.elapsed().as_millis() < 200, "{:?}", begin.elapsed());
    double.with(|service| service.failures.clear());
    client.get_box(&id).await.unwrap();
    double.fail(vec![Failure::new("GET /box-0", 503); 20]);
    client.get_box(&id).await.unwrap();
}

#[tokio::test]
async fn an_action_is_sent_again_only_where_nothing_was_sent() {
    let (double, client, id) = with_box().await;
    for acts in [false, true] {
        for status in [429, 503, 500, 502, 504, 408, 409, 400, 404, 302, 0] {
            double.fail([Failure {
                acts,
                retry_after_ms: Some(1),
                ..Failure::new("POST /click", status)
            }]);
            let before = double.with(|service| service.count("/click"));
            let error = client.click(&id, &click()).await.unwrap_err();
            assert_eq!(
                double.with(|service| service.count("/click")) - before,
                1,
                "status {status}"
            );
            assert_eq!(error.is_ambiguous(), ![400, 404].contains(&status), "{error}");
        }
    }
    double.fail([Failure::new("POST /commands", 503)]);
    let command = Command {
        command: "settings get global wifi_on".to_owned(),
        ..Command::default()
    };
    assert!(client.command(&id, &command).await.is_err());
    double.fail([Failure::new("POST /commands", 503)]);
    assert!(client.query(&id, &command).await.unwrap().stdout.ends_with('\n'));
}

#[tokio::test]
async fn the_end_is_the_end_of_every_call_but_the_brief_ones() {
    let (double, client, id) = with_box().await;
    double.with(|service| service.hung = true);
    let patient = GboxClient::new(ClientConfig::new("key").at(&double.base_url)).unwrap();
    let (waits, began) = (patient.clone(), Instant::now());
    let waiting = tokio::spawn(async move { waits.screenshot("box-0", &ScreenshotRequest::default()).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    patient.end(Duration::from_millis(100));
    assert!(matches!(waiting.await.unwrap(), Err(GboxError::Ended { .. })));
    assert!(matches!(patient.get_box(&id).await, Err(GboxError::Ended { .. })));
    let brief = patient.brief(Duration::from_millis(100));
    assert!(matches!(brief.get_box(&id).await, Err(GboxError::TimedOut { .. })));
    assert!(began.elapsed().as_millis() < 1500, "{:?}", began.elapsed());
    double.with(|service| service.hung = false);
    brief.get_box(&id).await.unwrap();
    assert!(!client.ending());
}

#[tokio::test]
async fn create_is_never_tried_again() {
    let double = Double::start().await;
    for status in [429, 503, 500, 408, 401, 400] {
        double.fail([Failure::new("POST /android", status)]);
        let before = double.with(|service| service.count("/android"));
        let error = double.client().create_android(&CreateBox::default()).await.unwrap_err();
        assert_eq!(
            double.with(|service| service.count("/android")) - before,
            1,
            "status {status}"
        );
        assert_eq!(error.status(), Some(status));
        assert_eq!(error.is_ambiguous(), ![401, 400].contains(&status), "{error}");
    }
}

#[tokio::test]
async fn the_service_says_how_long_to_wait() {
    let (double, client, id) = with_box().await;
    double.fail([Failure {
        retry_after_ms: Some(150),
        ..Failure::new("GET /box-0", 429)
    }]);
    let begin = Instant::now();
    client.get_box(&id).await.unwrap();
    assert!(begin.elapsed().as_millis() >= 150, "waited only {:?}", begin.elapsed());
}

#[tokio::test]
async fn errors_say_what_to_do() {
    let double = Double::start().await;
    let wrong_key = GboxClient::new(ClientConfig::new("wrong").at(&double.base_url)).unwrap();
    let error = wrong_key.list_boxes(&BoxFilter::default(), 1).await.unwrap_err();
    assert!(matches!(error, GboxError::Unauthorized { status: 401, .. }));
    assert!(
        error.to_string().contains("no such key") && error.to_string().contains("GBOX_API_KEY"),
        "{error}"
    );
    assert!(
        !format!("{wrong_key:?}").contains("wrong"),
        "the key is in the debug text"
    );

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let nowhere = Double {
        base_url: nobody.clone(),
        ..double.clone()
    }
    .client();
    let error = nowhere.create_android(&CreateBox::default()).await.unwrap_err();
    assert!(
        matches!(&error, GboxError::Unreachable { base_url, .. } if *base_url == nobody),
        "{error}"
    );
    assert_eq!(nowhere.retries(), 0);
    assert!(nowhere.click("box", &click()).await.is_err());
    assert!(nowhere.retries() > 2, "nothing was sent, so a click may be tried again");

    let error = GboxClient::new(ClientConfig::new("key").at("gbox.ai"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("http://"), "{error}");
    let error = double.client().get_box("box-9").await.unwrap_err();
    assert_eq!(
        (error.status(), error.to_string().contains("no such box")),
        (Some(404), true)
    );
    double
        .client()
        .terminate("box-9", false)
        .await
        .expect("a box that is gone is terminated");
}
