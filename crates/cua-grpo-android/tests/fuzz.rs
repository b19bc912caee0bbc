//! Replies changed at random: the grammar reads them or says what is wrong, and what it reads it writes back as the same.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers are not seen as tests; figures are shown with --nocapture"
)]

use cua_grpo_android::action::{parse_reply, to_reply};
use cua_grpo_core::testing::fuzz::run;

const REPLIES: [&str; 6] = [
    r#"I tap it. <tool_call>{"name": "perform_action", "arguments": {"action_type": "click", "target": {"element": "the switch", "label": "Wi-Fi", "color": "blue", "size": "small", "location": "top", "shape": "round"}, "option": "left"}}</tool_call>"#,
    r#"<tool_call>{"name": "perform_action", "arguments": {"action_type": "swipe", "direction": "up", "distance": 300}}</tool_call>"#,
    r#"<tool_call>{"name": "perform_action", "arguments": {"action_type": "input", "text": "hello \"you\"", "target": {"element": "a field"}}}</tool_call>"#,
    r#"<tool_call>{"name": "perform_action", "arguments": {"action_type": "key_press", "keys": ["ctrl", "a"]}}</tool_call>"#,
    r#"<tool_call>{"name": "sleep", "arguments": {"duration": 1.5}}</tool_call>"#,
    r#"done <tool_call>{"name": "report_task_complete", "arguments": {"success": true, "message": "it is on"}}</tool_call>"#,
];

#[test]
fn replies() {
    let words = [
        "<tool_call>",
        "</tool_call>",
        "{\"name\":",
        "\"arguments\":",
        "\\u0000",
        "1e999",
        "[[",
        "null",
        "\u{e9}",
    ];
    let mut read = 0;
    let inputs = run(
        "reply",
        |mutator| {
            let reply = REPLIES[mutator.below(REPLIES.len())];
            mutator.bytes(reply.as_bytes(), &words)
        },
        |bytes| {
            let Ok(reply) = parse_reply(&String::from_utf8_lossy(bytes)) else {
                return;
            };
            read += 1;
            for action in &reply.calls {
                assert_eq!(
                    parse_reply(&to_reply(action)).unwrap().calls,
                    std::slice::from_ref(action)
                );
            }
        },
    );
    println!("reply: {inputs} inputs, {read} of them read");
    assert!(read > 0, "of {inputs}");
}
