//! What is tried again and what is not, against a service that fails on demand.

use crate::double::{Double, Failure};
use cua_grpo_gbox::wire::{Click, Command, CreateBox, Place, Point};
use cua_grpo_gbox::{BoxFilter, ClientConfig, GboxClient, GboxError};

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
    double.fail(vec![Failure::new("GET /box-0", 503); 3]);
    let error = client.get_box(&id).await.unwrap_err();
    assert!(error.to_string().contains("status 503 (injected)"), "{error}");
}

#[tokio::test]
async fn acting_calls_are_tried_again_only_before_they_begin() {
    let (double, client, id) = with_box().await;
    for (status, tries) in [
        (429, 2),
        (503, 2),
        (500, 1),
        (502, 1),
        (504, 1),
        (408, 1),
        (409, 1),
        (400, 1),
        (404, 1),
        (0, 1),
    ] {
        double.fail([Failure::new("POST /click", status)]);
        let before = double.with(|service| service.count("/click"));
        let outcome = client.click(&id, &click()).await;
        assert_eq!(
            double.with(|service| service.count("/click")) - before,
            tries,
            "status {status}"
        );
        assert_eq!(outcome.is_ok(), tries == 2, "status {status}: {outcome:?}");
    }
    double.fail([Failure::new("POST /commands", 500)]);
    let command = Command {
        command: "settings get global wifi_on".to_owned(),
        ..Command::default()
    };
    assert!(client.command(&id, &command).await.is_err());
    double.fail([Failure::new("POST /commands", 500)]);
    assert_eq!(client.query(&id, &command).await.unwrap().stdout, "0\n");
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
        assert_eq!(error.is_ambiguous(), [503, 500, 408].contains(&status), "{error}");
    }
}

#[tokio::test]
async fn the_service_says_how_long_to_wait() {
    let (double, client, id) = with_box().await;
    double.fail([Failure {
        retry_after_ms: Some(150),
        ..Failure::new("GET /box-0", 429)
    }]);
    let begin = std::time::Instant::now();
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
    assert_eq!(nowhere.retries(), 2, "nothing was sent, so a click may be tried again");

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
