//! Replies of the service changed at random: every type of the wire reads them or is an error.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers are not seen as tests; figures are shown with --nocapture"
)]

use cua_grpo_core::testing::fuzz::run;
use cua_grpo_gbox::wire::{
    ActionResult, BoxList, BoxObject, CommandResult, ErrorBody, ModelResponse, Screenshot, decode_data_uri,
    parse_duration,
};
use serde_json::json;

#[test]
fn replies() {
    let one = json!({"id": "b-1", "status": "running", "type": "android", "createdAt": "2026-01-02T03:04:05Z",
        "updatedAt": "2026-01-02T03:04:05Z", "expiresAt": "2026-01-02T04:04:05Z", "config": {"os": {"version": "14"}, "cpu": 2,
        "memory": 4096, "storage": 8, "envs": {}, "labels": {"run": "x"}, "deviceType": "virtual",
        "resolution": {"width": 720, "height": 1280}}});
    let uri = "data:image/png;base64,iVBORw0KGgo=";
    let values = [
        one.clone(),
        json!({"data": [one], "page": 1, "pageSize": 10, "total": 1}),
        json!({"stdout": "a", "stderr": "", "exitCode": 0}),
        json!({"output": "done", "screenshot": {"before": {"uri": uri}, "after": {"uri": uri}, "trace": {"uri": uri}}}),
        json!({"response": {"type": "click", "coordinates": {"x": 10, "y": 20.5}}, "id": "m"}),
        json!({"error": {"message": "no", "code": 400}}),
        json!({"uri": uri}),
        json!("500ms"),
    ];
    let inputs = run(
        "wire",
        |mutator| {
            let value = &values[mutator.below(values.len())];
            match mutator.below(2) {
                0 => mutator.json(value).to_string().into_bytes(),
                _ => mutator.bytes(
                    value.to_string().as_bytes(),
                    &["null", "[", "{", "1e999", "data:;base64,", "ms"],
                ),
            }
        },
        |bytes| {
            let _ = serde_json::from_slice::<BoxObject>(bytes);
            let _ = serde_json::from_slice::<BoxList>(bytes);
            let _ = serde_json::from_slice::<CommandResult>(bytes);
            let _ = serde_json::from_slice::<ActionResult>(bytes);
            let _ = serde_json::from_slice::<ModelResponse>(bytes);
            let _ = serde_json::from_slice::<ErrorBody>(bytes);
            let _ = serde_json::from_slice::<Screenshot>(bytes);
            let text = String::from_utf8_lossy(bytes);
            let _ = decode_data_uri(text.trim_matches('"'));
            if let Ok(duration) = parse_duration(text.trim_matches('"')) {
                let _ = cua_grpo_gbox::wire::duration_text(duration);
            }
        },
    );
    println!("wire: {inputs} inputs");
}
