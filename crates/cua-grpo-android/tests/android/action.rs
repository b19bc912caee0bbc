//! The grammar: what is read, what is refused and why, and the way back.

use cua_grpo_android::action::*;
use cua_grpo_android::{TargetStyle, tools};
use serde_json::{Value, json};

fn call(tool: &str, arguments: Value) -> String {
    format!(
        "<tool_call>\n{}\n</tool_call>",
        json!({"name": tool, "arguments": arguments})
    )
}

fn element(name: &str) -> Target {
    Target::element(name)
}

#[test]
fn replies_that_are_read() {
    let full = Description {
        element: "switch".to_owned(),
        label: Some("Wi-Fi".to_owned()),
        color: Some("grey".to_owned()),
        size: Some("small".to_owned()),
        location: Some("top right".to_owned()),
        shape: Some("round".to_owned()),
    };
    assert_eq!(
        full.sentence(),
        "switch, label Wi-Fi, color grey, size small, location top right, shape round"
    );
    let point = |x, y| Target::Coordinate { x, y };
    let click = |target| Action::Click {
        target,
        option: ClickOption::Left,
    };
    let between = |start, end| Action::Swipe {
        path: SwipePath::Between { start, end },
    };
    let scroll = |target, distance| Action::Scroll {
        direction: Direction::Down,
        target,
        distance,
    };
    // (tool, arguments, action, canonical arguments where they differ)
    let table = [
        (
            "perform_action",
            json!({"action_type": "click", "target": {"element": "OK"}}),
            click(element("OK")),
            None,
        ),
        (
            "perform_action",
            json!({"action_type": "click", "target": {"element": "switch", "label": "Wi-Fi", "color": "grey",
                   "size": "small", "location": "top right", "shape": "round"}}),
            click(Target::Described(Box::new(full))),
            None,
        ),
        (
            "perform_action",
            json!({"option": "left", "coordinate": [0, 1000], "action_type": "click"}),
            click(point(0.0, 1000.0)),
            Some(json!({"action_type": "click", "coordinate": [0, 1000]})),
        ),
        (
            "perform_action",
            json!({"action_type": "click", "option": "double", "coordinate": [12.5, 7]}),
            Action::Click {
                target: point(12.5, 7.0),
                option: ClickOption::Double,
            },
            None,
        ),
        (
            "perform_action",
            json!({"action_type": "swipe", "direction": "left"}),
            Action::Swipe {
                path: SwipePath::Towards(Direction::Left),
            },
            None,
        ),
        (
            "perform_action",
            json!({"action_type": "swipe", "start_target": {"element": "a"}, "end_target": {"element": "b"}}),
            between(element("a"), element("b")),
            None,
        ),
        (
            "perform_action",
            json!({"action_type": "swipe", "start_coordinate": [1, 2], "end_coordinate": [3, 4]}),
            between(point(1.0, 2.0), point(3.0, 4.0)),
            None,
        ),
        (
            "perform_action",
            json!({"action_type": "scroll", "direction": "down"}),
            scroll(None, None),
            None,
        ),
        (
            "perform_action",
            json!({"action_type": "scroll", "direction": "down", "distance": 300, "target": {"element": "list"}}),
            scroll(Some(element("list")), Some(300.0)),
            None,
        ),
        (
            "perform_action",
            json!({"action_type": "input", "text": "Größe \"5\"\n"}),
            Action::Input {
                text: "Größe \"5\"\n".to_owned(),
                target: None,
            },
            None,
        ),
        (
            "perform_action",
            json!({"action_type": "key_press", "keys": ["Ctrl", "A"]}),
            Action::KeyPress {
                keys: vec!["control".to_owned(), "a".to_owned()],
            },
            Some(json!({"action_type": "key_press", "keys": ["control", "a"]})),
        ),
        (
            "perform_action",
            json!({"action_type": "button_press", "button": "home"}),
            Action::ButtonPress {
                button: ButtonName::Home,
            },
            None,
        ),
        ("sleep", json!({"duration": 1.5}), Action::Sleep { duration: 1.5 }, None),
        (
            "report_task_complete",
            json!({"success": true}),
            Action::Report {
                success: true,
                message: None,
            },
            None,
        ),
        (
            "report_task_complete",
            json!({"success": false, "result_message": "locked"}),
            Action::Report {
                success: false,
                message: Some("locked".to_owned()),
            },
            None,
        ),
    ];
    for (tool, arguments, action, canonical) in table {
        let text = call(tool, arguments.clone());
        assert_eq!(
            parse_reply(&text).unwrap().calls,
            std::slice::from_ref(&action),
            "{text}"
        );
        assert_eq!(
            to_call(&action),
            json!({"name": tool, "arguments": canonical.unwrap_or(arguments)})
        );
        assert_eq!(parse_reply(&to_reply(&action)).unwrap().calls, [action]);
    }
}

#[test]
fn canonical_text_is_that_of_python() {
    let click = Action::Click {
        target: element("Größe \"Wi-Fi\""),
        option: ClickOption::Left,
    };
    assert_eq!(
        to_reply(&click),
        "<tool_call>\n{\"name\": \"perform_action\", \"arguments\": {\"action_type\": \"click\", \"target\": \
         {\"element\": \"Größe \\\"Wi-Fi\\\"\"}}}\n</tool_call>"
    );
    assert_eq!(
        python_json(&json!([1, [2.5, null], {}, {"a": [], "b": false}])),
        r#"[1, [2.5, null], {}, {"a": [], "b": false}]"#
    );
}

#[test]
fn thoughts_and_several_calls() {
    let report = call("report_task_complete", json!({"success": true}));
    let sleep = call("sleep", json!({"duration": 1}));
    let reply = parse_reply(&format!(" I wait. {sleep}\n{report} ")).unwrap();
    assert_eq!(reply.thought, "I wait.");
    assert_eq!(
        reply.calls,
        [
            Action::Sleep { duration: 1.0 },
            Action::Report {
                success: true,
                message: None
            }
        ]
    );
}

#[test]
fn replies_that_are_refused_and_why() {
    let act = |arguments: Value| call("perform_action", arguments);
    let click = |more: Value| {
        let mut arguments = json!({"action_type": "click"});
        arguments
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        act(arguments)
    };
    let table = [
        (String::new(), "no tool call"),
        ("I click Wi-Fi.".to_owned(), "no tool call"),
        ("<tool_call>\n{\"name\": \"sleep\"".to_owned(), "not closed"),
        ("<tool_call>click</tool_call>".to_owned(), "not valid JSON"),
        (
            "<tool_call>[1]</tool_call>".to_owned(),
            "tool call: expected an object, got a list",
        ),
        (
            "<tool_call>{\"arguments\": {}}</tool_call>".to_owned(),
            "missing \"name\"",
        ),
        (
            "<tool_call>{\"name\": \"sleep\"}</tool_call>".to_owned(),
            "missing \"arguments\"",
        ),
        (
            "<tool_call>{\"name\": \"sleep\", \"arguments\": {\"duration\": 1}} x</tool_call>".to_owned(),
            "not valid JSON",
        ),
        (call("tap", json!({})), "unknown tool \"tap\""),
        (act(json!({})), "missing \"action_type\""),
        (act(json!({"action_type": "drag"})), "expected one of click, swipe"),
        (click(json!({})), "missing \"target\""),
        (
            click(json!({"target": "Wi-Fi"})),
            "target: expected an object, got a string",
        ),
        (
            click(json!({"target": {"label": "Wi-Fi"}})),
            "target: missing \"element\"",
        ),
        (
            click(json!({"target": {"element": " "}})),
            "target.element: expected a description",
        ),
        (
            click(json!({"target": {"element": "a", "colour": "b"}})),
            "target: unknown field \"colour\"; known: element, label",
        ),
        (
            click(json!({"target": {"element": "a"}, "x": 1})),
            "unknown field \"x\"",
        ),
        (
            click(json!({"target": {"element": "a"}, "coordinate": [1, 2]})),
            "not both",
        ),
        (click(json!({"coordinate": [1, 1001]})), "from 0 to 1000"),
        (click(json!({"coordinate": [1, -1]})), "from 0 to 1000"),
        (click(json!({"coordinate": [1, 2, 3]})), "two numbers"),
        (click(json!({"coordinate": [1, "2", 3]})), "two numbers"),
        (click(json!({"coordinate": {"x": 1}})), "two numbers"),
        (
            click(json!({"target": {"element": "a"}, "option": "middle"})),
            "one of left, right, double",
        ),
        (act(json!({"action_type": "swipe"})), "missing \"direction\""),
        (
            act(json!({"action_type": "swipe", "direction": "upLeft"})),
            "one of up, down, left, right",
        ),
        (
            act(json!({"action_type": "swipe", "start_coordinate": [1, 2]})),
            "missing \"end_target\"",
        ),
        (
            act(json!({"action_type": "swipe", "direction": "up", "end_coordinate": [1, 2]})),
            "not both",
        ),
        (act(json!({"action_type": "scroll"})), "missing \"direction\""),
        (
            act(json!({"action_type": "scroll", "direction": "down", "distance": 0})),
            "pixels from 1",
        ),
        (
            act(json!({"action_type": "input", "text": 5})),
            "text: expected a string, got a number",
        ),
        (act(json!({"action_type": "key_press", "keys": []})), "at least one key"),
        (
            act(json!({"action_type": "key_press", "keys": ["Hyper"]})),
            "got \"Hyper\"",
        ),
        (
            act(json!({"action_type": "button_press", "button": "power"})),
            "one of back, home, menu",
        ),
        (call("sleep", json!({"duration": 0})), "from 0.1 to 60"),
        (
            call("sleep", json!({"duration": "1"})),
            "expected a number, got a string",
        ),
        (call("report_task_complete", json!({})), "missing \"success\""),
        (
            call("report_task_complete", json!({"success": "yes"})),
            "expected true or false",
        ),
    ];
    for (text, why) in table {
        let error = parse_reply(&text).expect_err(&text).to_string();
        assert!(error.contains(why), "{text}\nexpected {why:?} in {error:?}");
    }
}

#[test]
fn tools_name_what_the_parser_knows() {
    for style in [TargetStyle::Description, TargetStyle::Coordinate] {
        let tools = tools(style);
        let names: Vec<&str> = tools
            .iter()
            .map(|tool| tool["function"]["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["perform_action", "sleep", "report_task_complete"]);
        for kind in tools[0]["function"]["parameters"]["properties"]["action_type"]["enum"]
            .as_array()
            .unwrap()
        {
            let error = parse_reply(&call("perform_action", json!({"action_type": kind, "odd": 1}))).unwrap_err();
            assert!(
                !error.to_string().contains("action_type"),
                "{kind} is taught but not known: {error}"
            );
        }
    }
}
