//! Odd values and rare filters of templates against jinja2 as transformers 5.23 sets it up: what it renders, or none for an
//! error. The right values were written by running it.

#![allow(clippy::unwrap_used, reason = "tests")]

use cua_grpo_model::processor::ChatTemplate;
use serde_json::{Map, json};

fn check(cases: &[(&str, Option<&str>)]) {
    let messages = json!([{"role": "user", "content": "Open the notes"}]);
    let mut wrong = Vec::new();
    for (source, want) in cases {
        let rendered = ChatTemplate::new(source).and_then(|template| template.render(&messages, None, &Map::new()));
        let got = rendered.map_err(|error| error.to_string());
        if got.as_deref().ok() != *want {
            wrong.push(format!("{source}\n  want {want:?}\n  here {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn equal_keys_of_a_dictionary_are_one() {
    check(&[
        ("{{ {1:2,true:4} }}", Some("{1: 4}")),
        ("{{ {1:2,true:4}|length }}", Some("1")),
        ("{{ {0:1,false:2}|tojson }}", Some("{\"0\": 2}")),
        ("{% set x=1 %}{% set y=true %}{{ {x:1,y:2} }}", Some("{1: 2}")),
        (
            "{% set x=1 %}{% set y=true %}{{ {(1,2):3,(1.0,2):4} }}",
            Some("{(1, 2): 4}"),
        ),
        (
            "{% set x=1 %}{% set y=true %}{{ {1:'a',1.0:'b','1':'c'}|items|list }}",
            Some("[(1, 'b'), ('1', 'c')]"),
        ),
        (
            "{% set x=1 %}{% set y=true %}{{ {1:'a',1.0:'b','1':'c'}[true] }}",
            Some("b"),
        ),
        ("{% set x=1 %}{% set y=true %}{{ {'a':1,'a':2} }}", Some("{'a': 2}")),
        ("{{ {[1]:2} }}", None),
        ("{% set x=1 %}{% set y=true %}{{ {none:1,'none':2}|dictsort }}", None),
    ]);
}

#[test]
fn numbers_are_read_as_python_reads_them() {
    check(&[
        ("{{ '٣'|int }}", Some("3")),
        ("{{ '٣.٥'|float }}", Some("3.5")),
        ("{{ '1__0'|int }}", Some("0")),
        ("{{ '1_'|float }}", Some("0.0")),
        ("{{ '1_e5'|int }}", Some("0")),
        ("{{ '1_e5'|int(base=16) }}", Some("485")),
        ("{{ '-0x1f'|int(base=16) }}", Some("-31")),
        ("{{ '0x_1f'|int(0,0) }}", Some("31")),
        ("{{ '007'|int(0,0) }}", Some("7")),
        ("{{ 'abc'|int(default=none) }}", Some("None")),
        ("{{ 'z'|int(none) }}", Some("None")),
        ("{{ 'z'|int(5,36) }}", Some("35")),
        ("{{ '  12\\x1c'|int }}", Some("0")),
        ("{{ '12\\u00a0'|int }}", Some("12")),
        ("{{ '1e400'|int('d') }}", Some("d")),
        ("{{ '--5'|float('q') }}", Some("q")),
        (
            "{{ '99999999999999999999999999999999999999999'|int }}",
            Some("99999999999999999999999999999999999999999"),
        ),
    ]);
}

#[test]
fn classes_of_characters_are_pythons() {
    check(&[
        ("{{ '²'.isdecimal() }}", Some("False")),
        ("{{ '²'.isdigit() }}", Some("True")),
        ("{{ 'Ⅷ'.isdigit() }}", Some("False")),
        ("{{ 'Ⅷ'.isnumeric() }}", Some("True")),
        ("{{ 'Ⅷ'.isalpha() }}", Some("False")),
        ("{{ '一'.isnumeric() }}", Some("True")),
        ("{{ '一'.isdigit() }}", Some("False")),
        ("{{ 'ा'.isalpha() }}", Some("False")),
        ("{{ 'ⓐ'.isalpha() }}", Some("False")),
        ("{{ '፩'.isdigit() }}", Some("True")),
        ("{{ '፩'.isdecimal() }}", Some("False")),
        ("{{ 'ा bा'|wordcount }}", Some("1")),
        ("{{ '½'.isalnum() }}", Some("True")),
    ]);
}

#[test]
fn arithmetic_and_forms() {
    check(&[
        ("{{ -7 // 1e400 }}", Some("-1.0")),
        ("{{ 1e16 // -3 }}", Some("-3333333333333335.0")),
        ("{{ -2.5 // 1e400 }}", Some("-1.0")),
        ("{{ -0.3 // 0.1 }}", Some("-3.0")),
        ("{{ 7 // -1e400 }}", Some("-1.0")),
        ("{{ (-0.4)|round(0,'ceil') }}", Some("0.0")),
        ("{{ (-5)|round(-1,'ceil') }}", Some("0.0")),
        ("{{ ('inf'|float)|round(0,'ceil') }}", None),
        ("{{ '{:<06d}'.format(5) }}", Some("500000")),
        ("{{ '{:*<06d}'.format(5) }}", Some("5*****")),
        ("{{ '{:^06}'.format('ab') }}", Some("00ab00")),
        ("{{ '{:.2}'.format(5) }}", None),
        ("{{ '{:.2}'.format(none) }}", None),
        ("{{ '{:#.0f}'.format(5) }}", Some("5.")),
        ("{{ '{:+}'.format([1]) }}", None),
    ]);
}

#[test]
fn what_is_safe_is_written_as_python_writes_it() {
    check(&[
        ("{{ 1e16|safe }}", Some("1e+16")),
        ("{{ [1.0,'a']|safe }}", Some("[1.0, 'a']")),
        ("{{ {'a':(1,)}|safe }}", Some("{'a': (1,)}")),
        ("{{ none|safe }}", Some("None")),
        ("{{ dict(a=1).items()|safe }}", Some("dict_items([('a', 1)])")),
        ("{{ (range(3)|safe) ~ '<' }}", Some("range(0, 3)<")),
        ("{{ ('<a>'|e) + '<b>' }}", Some("&lt;a&gt;&lt;b&gt;")),
        ("{{ '<b>' + ('<a>'|e) }}", Some("&lt;b&gt;&lt;a&gt;")),
        ("{{ ('<a>'|safe) + ('<b>'|safe) }}", Some("<a><b>")),
        ("{{ ('<a>'|safe) + 1 }}", None),
        ("{{ ('a'|e)|string + '<' }}", Some("a&lt;")),
    ]);
}

#[test]
fn groups_keep_what_their_first_item_has() {
    check(&[
        (
            "{{ [{'a':'X','b':1},{'a':'x','b':2},{'a':'Y','b':3}]|groupby('a') }}",
            Some("[('X', [{'a': 'X', 'b': 1}, {'a': 'x', 'b': 2}]), ('Y', [{'a': 'Y', 'b': 3}])]"),
        ),
        (
            "{{ [{'a':'X','b':1},{'a':'x','b':2},{'a':'Y','b':3}]|groupby('a',case_sensitive=true) }}",
            Some("[('X', [{'a': 'X', 'b': 1}]), ('Y', [{'a': 'Y', 'b': 3}]), ('x', [{'a': 'x', 'b': 2}])]"),
        ),
        (
            "{{ [{'a':1},{'a':true},{'a':1.0}]|groupby('a') }}",
            Some("[(1, [{'a': 1}, {'a': True}, {'a': 1.0}])]"),
        ),
        (
            "{{ [{'a':'b'},{},{'a':'A'}]|groupby('a',default='q') }}",
            Some("[('A', [{'a': 'A'}]), ('b', [{'a': 'b'}]), ('q', [{}])]"),
        ),
        (
            "{{ [[2,1],[1,2],[2,3]]|groupby(0) }}",
            Some("[(1, [[1, 2]]), (2, [[2, 1], [2, 3]])]"),
        ),
        (
            "{{ [{'c':{'d':'Z'}},{'c':{'d':'z'}}]|groupby('c.d') }}",
            Some("[('Z', [{'c': {'d': 'Z'}}, {'c': {'d': 'z'}}])]"),
        ),
        (
            "{% for g in [{'a':'X','b':1},{'a':'x','b':2},{'a':'Y','b':3}]|groupby('a') %}{{ g.grouper }}:{{ g.list|length }}:{{ g[0] }}:{{ g|length }};{% endfor %}",
            Some("X:2:X:2;Y:1:Y:2;"),
        ),
        ("{{ ([{'a':1}]|groupby('a'))|tojson }}", Some("[[1, [{\"a\": 1}]]]")),
        ("{{ ([{'a':1}]|groupby('a'))[0] == (1,[{'a':1}]) }}", Some("True")),
    ]);
}

#[test]
fn ranges_namespaces_and_macros() {
    check(&[
        ("{{ range(6)[5:0:-2] }}", Some("range(5, 0, -2)")),
        ("{{ range(6)[::-1] }}", Some("range(5, -1, -1)")),
        ("{{ range(2,20,3)[-1:-5:-1] }}", Some("range(17, 5, -3)")),
        ("{{ range(3)|pprint }}", Some("range(0, 3)")),
        (
            "{% set ns=namespace(a=1) %}{{ ns is mapping }}{{ ns is iterable }}{{ ns is sequence }}{{ ns is defined }}",
            Some("FalseFalseFalseTrue"),
        ),
        ("{% set ns=namespace(a=1) %}{{ ns|length }}", None),
        ("{% set ns=namespace(a=1) %}{{ ns|tojson }}", None),
        (
            "{% macro m() %}a{% endmacro %}{{ m is callable }}{{ m is mapping }}{{ m is string }}{{ m is defined }}",
            Some("TrueFalseFalseTrue"),
        ),
        ("{{ undef|attr('a') }}", None),
        ("{{ dict(a=1).keys()|urlencode }}", None),
        ("{% for x in [1,2] %}{% break %}{{x}}{% else %}b{% endfor %}", Some("b")),
    ]);
}

#[test]
fn the_else_of_a_loop_with_continue_is_refused() {
    let source = "{% for x in [1] %}{% if x %}{% continue %}{% endif %}{% else %}b{% endfor %}";
    let error = ChatTemplate::new(source).unwrap_err().to_string();
    assert!(error.contains("`else` of a loop with `continue`"), "{error}");
    check(&[
        (
            "{% for x in [1, 2] %}{% if x == 1 %}{% continue %}{% else %}{{ x }}{% endif %}{% endfor %}",
            Some("2"),
        ),
        (
            "{% for x in [1] %}{% for y in [1] %}{% continue %}{% endfor %}{% else %}b{% endfor %}",
            Some(""),
        ),
    ]);
}
