//! Chat templates that would hang, or take all memory or stack: each is one error, in bounded time.
//!
//! A template comes with a model, so whoever made the model wrote it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers are not seen as tests; figures are shown with --nocapture"
)]

use cua_grpo_model::processor::ChatTemplate;
use serde_json::{Map, json};
use std::time::{Duration, Instant};

/// What the template gives, or its error.
fn render(source: &str) -> Result<String, String> {
    let template = ChatTemplate::new(source).map_err(|error| error.to_string())?;
    let messages = json!([{"role": "user", "content": "x".repeat(1000)}, {"role": "user", "content": "a b c"}]);
    template
        .render(&messages, None, &Map::new())
        .map_err(|error| error.to_string())
}

/// `{% set ns.x = ... %}`, so often.
fn repeated(start: &str, times: usize, step: &str) -> String {
    format!(
        "{{% set ns = namespace(x={start}, y=0) %}}{{% for i in range({times}) %}}{{% set ns.x = {step} %}}{{% endfor %}}{{{{ ns.x }}}}"
    )
}

#[test]
fn chains_of_signs_end_with_their_value() {
    assert_eq!(
        render(&format!("{{{{ {}1 }}}}", "not ".repeat(4000))),
        Ok("True".into())
    );
    assert_eq!(render(&format!("{{{{ {}1 }}}}", "-".repeat(4000))), Ok("1".into()));
}

#[test]
fn what_would_not_end_or_fit_is_an_error() {
    let loops = "{% for a in range(100000) %}".repeat(4);
    let ends = "{% endfor %}".repeat(4);
    let raw = "word ".repeat(20_000);
    let cases = [
        // Text that doubles.
        repeated("'x'", 60, "ns.x + ns.x"),
        repeated("'x'", 60, "ns.x ~ ns.x"),
        repeated("'x'", 60, "[ns.x, ns.x]|join"),
        repeated("'x'", 60, "'%s%s' % (ns.x, ns.x)"),
        repeated("'x'", 60, "'%s%s'|format(ns.x, ns.x)"),
        repeated("'x'", 60, "'{}{}'.format(ns.x, ns.x)"),
        repeated("'x'", 60, "ns.x|replace('x', 'xx')"),
        repeated("'x'", 60, "ns.x.replace('x', 'xx')"),
        repeated("'x'", 60, "''.join([ns.x, ns.x])"),
        repeated("'x'", 60, "ns.x * 2"),
        repeated("'x'", 60, "2 * ns.x"),
        repeated("'x'", 60, "(ns.x ~ '')[0:] + ns.x[0:]"),
        repeated("'x'", 40, "ns.x|indent(1, true) + ns.x|upper"),
        "{% macro f(x) %}{{ x }}{{ x }}{% endmacro %}".to_owned() + &repeated("'x'", 60, "f(ns.x)"),
        repeated("'x'", 60, "1") + "{% set ns2 = namespace(x='x') %}{% for i in range(60) %}{% set y %}{{ ns2.x }}{{ ns2.x }}{% endset %}{% set ns2.x = y %}{% endfor %}",
        // Lists that double, and what is shared in them written out.
        repeated("[1]", 60, "ns.x + ns.x"),
        repeated("[1]", 60, "ns.x * 2"),
        repeated("[1]", 60, "[ns.x, ns.x]"),
        repeated("[1]", 60, "{'a': ns.x, 'b': ns.x}") .replace("{{ ns.x }}", "{{ ns.x|tojson }}"),
        repeated("[1]", 60, "[ns.x, ns.x]").replace("{{ ns.x }}", "{{ ns.x|pprint }}"),
        repeated("[1]", 60, "[ns.x, ns.x]").replace("{{ ns.x }}", "{{ ns.x|string|length }}"),
        // Depth.
        repeated("[1]", 90_000, "[ns.x]"),
        repeated("[1]", 90_000, "[ns.x]").replace("{{ ns.x }}", "{{ ns.x|tojson }}"),
        repeated("{}", 90_000, "{'a': ns.x}").replace("{{ ns.x }}", "{{ ns.x|tojson }}"),
        "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}".to_owned(),
        "{% macro f(x) %}{{ g(x) }}{% endmacro %}{% macro g(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}".to_owned(),
        "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}".to_owned(),
        format!("{{{{ {}1{} }}}}", "(".repeat(3000), ")".repeat(3000)),
        format!("{{{{ {}1{} }}}}", "[".repeat(2000), "]".repeat(2000)),
        format!("{}x{}", "{% if a %}".repeat(20_000), "{% endif %}".repeat(20_000)),
        format!("{{% if a %}}{}{{% endif %}}", "{% elif a %}".repeat(60_000)) + "{{ raise_exception('deep') }}",
        // Numbers as widths and counts.
        "{{ 'x' * 10000000000 }}".to_owned(),
        "{{ 'x' * 99999999 }}{{ raise_exception('large') }}".to_owned(),
        "{{ [1] * 10000000000 }}".to_owned(),
        "{{ 'x'.center(10000000000) }}".to_owned(),
        "{{ 'x'.ljust(100000000, messages[0].content) }}".to_owned(),
        "{{ 'x'.zfill(10000000000) }}".to_owned(),
        "{{ '%1000000000d' % 1 }}".to_owned(),
        "{{ '%*d' % (1000000000, 1) }}".to_owned(),
        "{{ '{:1000000000}'.format(1) }}".to_owned(),
        "{{ '{:{}}'.format(1, 1000000000) }}".to_owned(),
        "{{ 'x'|indent(1000000000, true) }}".to_owned(),
        "{{ [1]|batch(1000000000, 0)|list }}".to_owned(),
        "{{ [1]|slice(1000000000)|list }}".to_owned(),
        "{{ range(1000000000) }}".to_owned(),
        "{{ strftime_now(messages[0].content * 100) }}".to_owned(),
        // Loops.
        format!("{loops}x{ends}"),
        format!("{loops}{{{{ '' }}}}{ends}"),
        format!("{{% for a in range(100000) %}}{{% for b in range(100000) %}}{raw}{{% endfor %}}{{% endfor %}}"),
        format!("{{% set x %}}{{% for a in range(100000) %}}{raw}{{% endfor %}}{{% endset %}}"),
        format!("{{% for a in range(100000) %}}{{{{ '{raw}' }}}}{{% endfor %}}"),
        "{% for a in range(100000) %}{{ messages[0].content * 1000 }}{% endfor %}".to_owned(),
        "{% set ns = namespace(l=[]) %}{% for a in range(100000) %}{% set ns.l = ns.l + [messages[0].content * 1000] %}{% endfor %}"
            .to_owned(),
        "{% set ns = namespace(l=[]) %}{% for a in range(100000) %}{% set ns.l = [ns.l, (messages[0].content * 1000)[1:]] %}{% endfor %}"
            .to_owned(),
        "{% set big = (messages[0].content * 10000)|list %}{% for a in range(1000) %}{{ big|sort|length }}{% endfor %}"
            .to_owned(),
        "{{ ((messages[0].content ~ ' ') * 10000).split('x')|length }}{{ raise_exception('pieces') }}".to_owned(),
        "{% set big = messages[0].content * 10000 %}{% for a in range(100000) %}{{ big|upper|lower|length }}{% endfor %}"
            .to_owned(),
        // Too long.
        "a".repeat(2 << 20),
        " ".repeat(10_000),
        format!("{{{{ {} }}}}", "a ~ ".repeat(10_000) + "a"),
        format!("{{{{ raise_exception('{}') }}}}", "long ".repeat(10_000)),
    ];
    let mut wrong = Vec::new();
    for source in cases {
        let shown: String = source.chars().take(160).collect();
        let start = Instant::now();
        let error = render(&source).map(|text| text.len());
        let took = start.elapsed();
        println!("{took:?} {shown}");
        match error {
            Err(error) if error.contains("the chat template") && error.len() < 5000 => (),
            other => wrong.push(format!("{shown}: {other:?}")),
        }
        if took >= Duration::from_secs(9) {
            wrong.push(format!("{shown}: {took:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What a template asks for is obeyed or refused, never cut down to a limit, and the error says what is too much.
#[test]
fn limits_say_what_they_count() {
    for (source, expected) in [
        (
            "{{ [1]|tojson(indent=1000000000000) }}",
            "tojson: indent: expected at most 10000, found 1000000000000",
        ),
        (
            "{{ [1]|tojson(indent=10001) }}",
            "tojson: indent: expected at most 10000, found 10001",
        ),
        (
            "{{ [1]|tojson(indent=1e12) }}",
            "tojson: indent: expected a whole number or a text, found 1000000000000.0",
        ),
        (
            "{{ [1]|tojson(indent=2.0) }}",
            "tojson: indent: expected a whole number or a text, found 2.0",
        ),
        (
            "{{ [1]|tojson(indent=[]) }}",
            "tojson: indent: expected a whole number or a text, found []",
        ),
        (
            "{{ [1] * 100000000 }}",
            "256 MiB of texts and lists (an item of a list is counted as 32 bytes)",
        ),
    ] {
        let error = render(source).unwrap_err();
        assert!(error.contains(expected), "{source}: {error}");
    }
    let wide = format!("[\n{}1\n]", " ".repeat(1500));
    for (source, want) in [
        ("{{ [1]|tojson(indent=1500) }}", wide.as_str()),
        ("{{ [1]|tojson(indent=true) }}", "[\n 1\n]"),
        ("{{ [1]|tojson(indent=-3) }}", "[\n1\n]"),
        ("{{ [1]|tojson(indent=none) }}", "[1]"),
    ] {
        assert_eq!(render(source).unwrap(), want, "{source}");
    }
}

/// Going over what is shared in lists goes over it as often as it is shared: comparing pays. A list is no key of a
/// dictionary, and is not gone over to find that out.
#[test]
fn what_is_shared_is_given_up() {
    for (last, expected) in [
        ("ns.x == ns.y", "it makes more than 256 MiB"),
        ("{ns.x: 1}", "a key of the type list"),
    ] {
        let source = format!(
            "{{% set ns = namespace(x=[1], y=[1]) %}}{{% for i in range(64) %}}{{% set ns.x = [ns.x, ns.x] %}}\
             {{% set ns.y = [ns.y, ns.y] %}}{{% endfor %}}{{{{ {last} }}}}"
        );
        let start = Instant::now();
        let error = render(&source).unwrap_err();
        assert!(error.contains(expected), "{error}");
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn what_is_large_but_meant_is_rendered() {
    let template = ChatTemplate::new(ChatTemplate::QWEN3_VL).unwrap();
    let message = |index: usize| json!({"role": if index.is_multiple_of(2) { "user" } else { "assistant" }, "content": "word ".repeat(200)});
    let messages: Vec<_> = (0..1000).map(message).collect();
    let text = template.render(&messages.into(), None, &Map::new()).unwrap();
    assert!(text.len() > 1_000_000);
    let raw = "word ".repeat(2000);
    assert_eq!(render(&format!("{raw}{{{{ 1 + 2 * 3 }}}}")).unwrap(), format!("{raw}7"));
    for (source, want) in [
        (
            "{{ 'ab' * 3 }}{{ 3 * 'ab' }}{{ [1, 2] * 2 }}",
            "abababababab[1, 2, 1, 2]",
        ),
        (
            "{{ 2 * 3 * 4 + 1 }} {{ 7 // 2 * 3 }} {{ 1.5 * 2 }} {{ -2 * 3 }} {{ 2 * -3 }} {{ 2 ** 3 * 2 }}",
            "25 9 3.0 -6 -6 16",
        ),
        (
            "{{ 2 * 3 ** 2 }} {{ 10 - 2 * 3 }} {{ (1 + 2) * (3 + 4) }} {{ true * 3 }}",
            "18 4 21 3",
        ),
        ("{{ 'a' + 'b' ~ 1 }}", "ab1"),
        (
            "{% set x = [1] + [2] %}{{ x[0:] + x[1:] }} {{ 'hello'[1:3] + 'x' }}",
            "[1, 2, 2] elx",
        ),
        ("{{ ' ' * 2 * 2 ~ '|' }}{{ '-' * (2 + 1) }}", "    |---"),
        ("{{ messages[1:][0].content.split(' ')|join('+') }}", "a+b+c"),
        (
            "{{ 'a\nb\n\nc\n'|indent }}|{{ 'a\nb'|indent('--', true) }}|{{ '<&'|e }}",
            "a\n    b\n\n    c\n|--a\n--b|&lt;&amp;",
        ),
        (
            "{{ [3, 1, 2]|sort|reverse|list }} {{ ['a', 'b']|map('upper')|join }} {{ [1, 2, 3]|batch(2)|list }}",
            "[3, 2, 1] AB [[1, 2], [3]]",
        ),
        (
            "{{ messages|selectattr('role', 'equalto', 'user')|list|length }} {{ [0, 1]|select|list }} {{ [0, 1]|reject|list }}",
            "2 [1] [0]",
        ),
    ] {
        assert_eq!(render(source).unwrap(), want, "{source}");
    }
}

/// What the engine would not survive, or would say in several lines, is one line.
#[test]
fn errors_are_one_line() {
    for (source, expected) in [
        ("{#".repeat(100_000), "line 1: a comment without its `#}`"),
        (
            format!("{{{{ {} }}}}", "9".repeat(100_000)),
            "line 1: a number of 100000 digits; expected at most 4300",
        ),
        (
            "{{ raise_exception('one\\r\\n  two\\x1b[31m\\tthree\\x00') }}".to_owned(),
            "one two\\u{1b}[31m three\\u{0}",
        ),
        ("{{ ".to_owned(), "line 1: a tag without its `}}`"),
        ("{{ (((((".to_owned(), "line 1: a tag without its `}}`"),
        (
            format!("{{{{ {}1{} }}}}", "f(".repeat(500), ")".repeat(500)),
            "levels of brackets",
        ),
    ] {
        let error = render(&source).unwrap_err();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains(char::is_control) && error.len() < 400, "{error}");
    }
    assert_eq!(render("{{ [1,2,3][0:5:-1] }}{{ [][-1::-1] }}"), Ok("[][]".to_owned()));
    assert_eq!(
        render(&format!("{{# {} #}}a", "{#".repeat(100_000))),
        Ok("a".to_owned())
    );
}
