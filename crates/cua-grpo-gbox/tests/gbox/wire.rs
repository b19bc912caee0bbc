//! The JSON on the wire, field by field.

use cua_grpo_gbox::wire::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

/// `value` is written as `golden`, and `golden` is read as `value`.
fn both_ways<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T, golden: Value) {
    assert_eq!(serde_json::to_value(value).unwrap(), golden);
    assert_eq!(&serde_json::from_value::<T>(golden).unwrap(), value);
}

#[test]
fn boxes() {
    both_ways(&CreateBox::default(), json!({}));
    let config = CreateBoxConfig {
        expires_in: Some("15m".to_owned()),
        envs: BTreeMap::from([("A".to_owned(), "1".to_owned())]),
        ..CreateBoxConfig::default()
    };
    let create = CreateBox {
        config: Some(config),
        timeout: Some("60s".to_owned()),
        wait: Some(true),
    };
    let golden = json!({"config": {"envs": {"A": "1"}, "expiresIn": "15m"}, "timeout": "60s", "wait": true});
    both_ways(&create, golden);
    both_ways(&Terminate { wait: Some(false) }, json!({"wait": false}));

    // What the service sends: null and unknown fields are no error.
    let sent = json!({
        "id": "c9", "type": "android", "status": "running", "createdAt": "2024-01-15T10:30:00.000Z",
        "updatedAt": "2024-01-15T10:35:00.000Z", "expiresAt": null, "publicIp": "1.2.3.4",
        "config": {"os": {"version": "13"}, "deviceType": "virtual", "workingDir": "/data/local/tmp", "labels": {"a": "b"},
                   "envs": {}, "cpu": 2, "memory": 4096, "storage": 20},
    });
    let object: BoxObject = serde_json::from_value(sent).unwrap();
    assert_eq!((object.status, object.config.memory), (BoxStatus::Running, 4096.0));
    assert_eq!(object.config.working_dir.as_deref(), Some("/data/local/tmp"));
    assert_eq!((object.expires_at, object.kind.as_str()), (None, "android"));
    let errors = [
        (
            json!({"statusCode": 400, "message": ["a", "b"]}),
            ErrorMessage::Many(vec!["a".to_owned(), "b".to_owned()]),
        ),
        (json!({"message": "a"}), ErrorMessage::One("a".to_owned())),
    ];
    for (golden, message) in errors {
        assert_eq!(
            serde_json::from_value::<ErrorBody>(golden).unwrap().message,
            Some(message)
        );
    }
}

#[test]
fn actions() {
    let point = Place::Point(Point { x: 1.0, y: 2.5 });
    let click = Click {
        place: point,
        button: None,
        double: Some(true),
        modifier_keys: Vec::new(),
        options: None,
    };
    both_ways(&click, json!({"x": 1.0, "y": 2.5, "double": true}));
    let target = Place::Target {
        target: TargetRef::Description("OK".to_owned()),
    };
    let options = Some(ActionOptions::after(Duration::from_millis(500)));
    both_ways(
        &Tap { place: target, options },
        json!({"target": "OK", "options": {"screenshot": {"phases": ["after"], "outputFormat": "base64", "delay": "500ms"}}}),
    );
    let options = Some(ActionOptions {
        model: None,
        screenshot: Some(ScreenshotOption::Enabled(false)),
    });
    both_ways(
        &PressButton {
            buttons: vec![Button::AppSwitch, Button::Back],
            options,
        },
        json!({"buttons": ["appSwitch", "back"], "options": {"screenshot": false}}),
    );
    let by = ScrollBy {
        x: 1.0,
        y: 2.0,
        scroll_x: 0.0,
        scroll_y: 300.0,
        options: None,
    };
    both_ways(
        &Scroll::By(by),
        json!({"x": 1.0, "y": 2.0, "scrollX": 0.0, "scrollY": 300.0}),
    );
    let towards = SwipeDirection {
        direction: Direction::UpLeft,
        distance: Some(Distance::Named("long".to_owned())),
        duration: None,
        location: None,
        options: None,
    };
    both_ways(
        &Swipe::Direction(towards),
        json!({"direction": "upLeft", "distance": "long"}),
    );
    let (start, end) = (
        PlaceRef::Point(Point { x: 1.0, y: 2.0 }),
        PlaceRef::Description("bin".to_owned()),
    );
    let points = SwipePoints {
        start,
        end,
        duration: Some("300ms".to_owned()),
        options: None,
    };
    both_ways(
        &Swipe::Points(points),
        json!({"start": {"x": 1.0, "y": 2.0}, "end": "bin", "duration": "300ms"}),
    );
    let text = TypeText {
        text: "a".to_owned(),
        mode: Some(TypeMode::Replace),
        press_enter: Some(true),
        options: None,
    };
    both_ways(&text, json!({"text": "a", "mode": "replace", "pressEnter": true}));
    assert!(
        serde_json::from_value::<Click>(json!({"button": "left"})).is_err(),
        "a click without a place was read"
    );
    assert!(serde_json::from_value::<Click>(json!({"x": 1, "y": 2, "button": "double"})).is_err());
}

#[test]
fn results() {
    let result: ActionResult =
        serde_json::from_value(json!({"message": "ok", "actual": {"x": 1}, "screenshot": {"after": {"uri": "data:"}}}))
            .unwrap();
    assert_eq!(result.screenshot.unwrap().after.unwrap().uri, "data:");
    for code in [json!(124), json!(124.0)] {
        let sent = json!({"stdout": "1\n", "stderr": "", "exitCode": code});
        assert_eq!(
            serde_json::from_value::<CommandResult>(sent).unwrap().exit_code,
            CommandResult::TIMED_OUT
        );
    }
    let command: Command = serde_json::from_value(json!({"commands": "ls", "workingDir": "/"})).unwrap();
    assert_eq!(
        (command.command.as_str(), command.working_dir.as_deref()),
        ("ls", Some("/"))
    );
}

#[test]
fn grounding() {
    let action = ModelAction::Drag {
        target: "a".to_owned(),
        destination: "b".to_owned(),
    };
    both_ways(
        &ModelRequest {
            model: None,
            screenshot: "data:".to_owned(),
            action,
        },
        json!({"screenshot": "data:", "action": {"type": "drag", "target": "a", "destination": "b"}}),
    );
    let point = |x| Point { x, y: 1.0 };
    both_ways(
        &ModelResponse {
            id: "1".to_owned(),
            response: ModelResult::Click(point(-1.0)),
        },
        json!({"id": "1", "response": {"type": "click", "coordinates": {"x": -1.0, "y": 1.0}}}),
    );
    both_ways(
        &ModelResult::Drag {
            target: point(1.0),
            destination: point(2.0),
        },
        json!({"type": "drag", "coordinates": {"target": {"x": 1.0, "y": 1.0}, "destination": {"x": 2.0, "y": 1.0}}}),
    );
    both_ways(
        &ModelResult::Scroll(ScrollPoint {
            x: 1.0,
            y: 2.0,
            scroll_x: 0.0,
            scroll_y: 9.0,
        }),
        json!({"type": "scroll", "coordinates": {"x": 1.0, "y": 2.0, "scrollX": 0.0, "scrollY": 9.0}}),
    );
}

#[test]
fn durations_and_pictures() {
    for (text, milliseconds) in [
        ("0ms", 0),
        ("1ms", 1),
        ("500ms", 500),
        ("1500ms", 1500),
        ("30s", 30_000),
        ("5m", 300_000),
        ("1h", 3_600_000),
    ] {
        let duration = Duration::from_millis(milliseconds);
        assert_eq!(duration_text(duration), text);
        assert_eq!(parse_duration(text).unwrap(), duration);
    }
    assert_eq!(parse_duration("1.5s").unwrap(), Duration::from_millis(1500));
    for wrong in ["", "5", "s", "-1s", "5 s", "5d", "1e99s", "NaNs"] {
        assert!(parse_duration(wrong).is_err(), "{wrong:?} was read");
    }
    let uri = data_uri("image/png", b"\x89PNG");
    assert_eq!(uri, "data:image/png;base64,iVBORw==");
    assert_eq!(decode_data_uri(&uri).unwrap(), b"\x89PNG");
    for wrong in ["", "storage://a", "data:image/png,abc", "data:image/png;base64,%%%"] {
        assert!(decode_data_uri(wrong).is_err(), "{wrong:?} was read");
    }
}
