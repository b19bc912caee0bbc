//! The environment that transformers compiles chat templates in: its functions, and Jinja's filters and tests where the
//! engine's own differ from those under Python.

use super::kinds::{self, Kind, Number};
use super::lazy::Generator;
use super::value::{BigInteger, List, Range};
use super::{
    aggregates, arithmetic, clock, compare, dumps, filters, letters, limits, methods, numbers, operators, python,
};
use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};

/// An environment without templates.
pub(super) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    // What is written is paid for here, and once more where it is made: a template may write one text many times.
    environment.set_formatter(|out, _, value| Ok(out.write_str(&kinds::text(value)?)?));
    environment.set_unknown_method_callback(methods::call);
    // A function of the engine's that Jinja lacks; a template may ask whether a variable of this name is there.
    environment.remove_global("debug");
    environment.add_function("raise_exception", |message: &Value| -> Result<String, Error> {
        Err(wrong(python::str(message)))
    });
    environment.add_function("strftime_now", |format: &str| clock::now(format));
    environment.add_function("cycler", |items: Rest<Value>| {
        minijinja_contrib::globals::cycler(items.0)
    });
    environment.add_function("joiner", minijinja_contrib::globals::joiner);
    environment.add_function("range", Range::call);
    environment.add_filter("tojson", dumps::to_json);
    add_filters(&mut environment);
    filters::add(&mut environment);
    aggregates::add(&mut environment);
    operators::add(&mut environment);
    limits::add(&mut environment);
    add_tests(&mut environment);
    compare::add(&mut environment);
    environment
}

fn add_filters(environment: &mut Environment<'static>) {
    environment.add_filter("string", |value: &Value| match value.is_safe() {
        true => Ok(value.clone()),
        false => limits::text(kinds::text(value)?).map(Value::from),
    });
    environment.add_filter("safe", |value: &Value| match value.is_safe() {
        true => Ok(value.clone()),
        false => limits::text(kinds::text(value)?).map(Value::from_safe_string),
    });
    environment.add_filter("int", numbers::int);
    environment.add_filter("float", numbers::float);
    environment.add_filter("abs", |value: &Value| match kinds::kind(value) {
        Kind::Number(Number::Whole(whole)) => Ok(Value::from(whole.saturating_abs())),
        Kind::Number(Number::Float(float)) => Ok(Value::from(float.abs())),
        _ => Err(wrong(format!("abs: expected a number, found a {}", kinds::name(value)))),
    });
    environment.add_filter("trim", |value: &Value, characters: Option<Value>, options: Kwargs| {
        let characters = characters.or(options.get("chars")?).filter(|given| !given.is_none());
        options.assert_all_used()?;
        let characters = characters.as_ref().map(python::str);
        limits::text(methods::strip(&python::str(value), characters.as_deref(), true, true).to_owned())
    });
    environment.add_filter("title", |value: &Value| limits::text(title(&python::str(value))));
    environment.add_filter("upper", |value: &Value| limits::text(python::str(value).to_uppercase()));
    environment.add_filter("lower", |value: &Value| limits::text(python::str(value).to_lowercase()));
    environment.add_filter("center", |state: &State, value: &Value, width: Option<usize>| {
        let width = Value::from(width.unwrap_or(80));
        methods::call(state, &Value::from(python::str(value)), "center", &[width])
    });
    environment.add_filter("capitalize", |state: &State, value: &Value| {
        methods::call(state, &Value::from(python::str(value)), "capitalize", &[])
    });
    environment.add_filter("replace", replace);
    environment.add_filter("urlencode", |value: &Value| match kinds::kind(value) {
        Kind::Dict => {
            let quoted = |part: &Value| url_encode(&python::str(part)).replace('/', "%2F").replace("%20", "+");
            let pair = |key: Value| Ok(format!("{}={}", quoted(&key), quoted(&value.get_item(&key)?)));
            let pairs: Result<Vec<String>, Error> = value.try_iter()?.map(pair).collect();
            limits::text(pairs?.join("&"))
        }
        Kind::List | Kind::Tuple | Kind::Range | Kind::View | Kind::Generator => {
            Err(wrong("urlencode: expected a text or a dictionary".to_owned()))
        }
        _ => limits::text(url_encode(&python::str(value))),
    });
    environment.add_filter("items", |state: &State, value: &Value| match value.is_undefined() {
        true => Ok(Generator::of(Vec::new())),
        false => Ok(Generator::of(kinds::items(&methods::call(
            state,
            value,
            "items",
            &[],
        )?)?)),
    });
    environment.add_filter("dictsort", dict_sort);
    environment.add_filter("attr", attribute);
    environment.add_filter("pprint", pretty);
    environment.add_filter("wordcount", |value: &Value| {
        let words = python::str(value);
        words
            .split(|character: char| !letters::is_alnum(character) && character != '_')
            .filter(|word| !word.is_empty())
            .count()
    });
}

fn add_tests(environment: &mut Environment<'static>) {
    let iterable = |value: &Value| {
        !matches!(
            kinds::kind(value),
            Kind::None | Kind::Number(_) | Kind::Big | Kind::Other
        )
    };
    environment.add_test("mapping", |value: &Value| matches!(kinds::kind(value), Kind::Dict));
    environment.add_test("iterable", iterable);
    environment.add_test("sequence", move |value: &Value| {
        iterable(value) && !matches!(kinds::kind(value), Kind::Generator | Kind::View)
    });
    let big = |value: &Value| value.downcast_object_ref::<BigInteger>().is_some();
    for (name, rest) in [("even", 0), ("odd", 1)] {
        environment.add_test(name, move |value: &Value| remains(value, &Value::from(2), rest));
    }
    type Case = fn(char) -> bool;
    let cases: [(&str, Case, Case); 2] = [
        ("lower", char::is_lowercase, char::is_uppercase),
        ("upper", char::is_uppercase, char::is_lowercase),
    ];
    for (name, wanted, other) in cases {
        environment.add_test(name, move |value: &Value| {
            let text = python::str(value);
            text.chars().any(wanted) && !text.chars().any(other)
        });
    }
    environment.add_test("divisibleby", |value: &Value, by: &Value| remains(value, by, 0));
    environment.add_test("number", move |value: &Value| {
        // Truth values are numbers in Python.
        matches!(value.kind(), ValueKind::Number | ValueKind::Bool) || big(value)
    });
    environment.add_test("integer", move |value: &Value| value.is_integer() || big(value));
    environment.add_test("callable", |value: &Value| {
        // What is undefined can be called in Jinja, which is an error then.
        let object = value.as_object();
        let a_macro = object.is_some_and(|object| object.type_name().contains("Macro"));
        value.is_undefined() || a_macro || value.kind() == ValueKind::Plain && object.is_some()
    });
}

/// Whether a division leaves this.
fn remains(value: &Value, by: &Value, rest: i128) -> Result<bool, Error> {
    match (kinds::kind(value), kinds::kind(by)) {
        (Kind::Number(one), Kind::Number(other)) => compare::equal(&arithmetic::rest(one, other)?, &Value::from(rest)),
        _ => Err(wrong(format!(
            "a test of a division: expected numbers, found {}",
            kinds::name(value)
        ))),
    }
}

/// `dictsort(case_sensitive=False, by='key', reverse=False)`: pairs in order.
fn dict_sort(
    value: &Value,
    cased: Option<bool>,
    by: Option<&str>,
    reverse: Option<bool>,
    options: Kwargs,
) -> Result<Value, Error> {
    let cased = cased.or(options.get("case_sensitive")?).unwrap_or(false);
    let by = by.or(options.get("by")?).unwrap_or("key");
    let reverse = reverse.or(options.get("reverse")?).unwrap_or(false);
    options.assert_all_used()?;
    let at = match by {
        "key" => 0,
        "value" => 1,
        other => {
            return Err(wrong(format!(
                "dictsort: expected by 'key' or 'value', found '{other}'"
            )));
        }
    };
    if !matches!(kinds::kind(value), Kind::Dict) {
        return Err(wrong(format!(
            "dictsort: expected a dictionary, found a {}",
            kinds::name(value)
        )));
    }
    let mut pairs = Vec::new();
    for key in value.try_iter()? {
        limits::spend_items(4)?;
        let item = value.get_item(&key)?;
        pairs.push([key, item]);
    }
    let ranked = |pair: [Value; 2]| {
        let rank = match pair[at].as_str() {
            Some(text) if !cased => Value::from(text.to_lowercase()),
            _ => pair[at].clone(),
        };
        (rank, List::tuple(pair.to_vec()))
    };
    compare::sorted(pairs.into_iter().map(ranked).collect(), reverse).map(Value::from)
}

/// `attr(name)`: an attribute as Python has it, so not the entry of a dictionary.
fn attribute(value: &Value, name: &str) -> Result<Value, Error> {
    if value.is_undefined() {
        return Err(wrong("attr: an undefined value".to_owned()));
    }
    let plain = match value.kind() {
        ValueKind::Map => {
            let name = value.as_object().map(|object| object.type_name()).unwrap_or_default();
            !["Namespace", "Loop"].iter().any(|kind| name.contains(kind))
        }
        ValueKind::Plain => false,
        _ => true,
    };
    if plain {
        Ok(Value::UNDEFINED)
    } else {
        value.get_attr(name)
    }
}

/// `pprint`: as Python's, with keys in order, where it stays on one line.
fn pretty(value: &Value) -> Result<String, Error> {
    const WIDTH: usize = 80;
    let line = python::repr(&sorted(value)?);
    if line.chars().count() > WIDTH {
        return Err(wrong(format!(
            "pprint: expected a value of at most {WIDTH} characters, found one of {}; write tojson(indent=2) in its place",
            line.chars().count()
        )));
    }
    Ok(line)
}

/// The value with the keys of all dictionaries in order.
fn sorted(value: &Value) -> Result<Value, Error> {
    let _level = limits::Level::down().ok_or_else(|| wrong("pprint: a value that is nested too deeply".to_owned()))?;
    limits::spend(limits::VISIT)?;
    match value.kind() {
        _ if matches!(kinds::kind(value), Kind::Range | Kind::Other) => Ok(value.clone()),
        ValueKind::Map => {
            let mut keys: Vec<Value> = value.try_iter()?.collect();
            keys.sort();
            let pairs = keys
                .into_iter()
                .map(|key| Ok((key.clone(), sorted(&value.get_item(&key)?)?)));
            Ok(pairs
                .collect::<Result<Vec<(Value, Value)>, Error>>()?
                .into_iter()
                .collect())
        }
        ValueKind::Seq => {
            let items = value
                .try_iter()?
                .map(|item| sorted(&item))
                .collect::<Result<Vec<_>, _>>()?;
            let tuple = value.downcast_object_ref::<List>().is_some_and(List::is_tuple);
            Ok(if tuple { List::tuple(items) } else { Value::from(items) })
        }
        _ => Ok(value.clone()),
    }
}

fn url_encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' | b'/' => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn replace(value: &Value, old: &Value, new: &Value, count: Option<usize>) -> Result<String, Error> {
    methods::replace(&python::str(value), &python::str(old), &python::str(new), count)
}

/// Jinja's title case: a capital after white space, a hyphen or an opening bracket, the rest small.
fn title(text: &str) -> String {
    let mut start = true;
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match start {
            true => out.extend(character.to_uppercase()),
            false => out.extend(character.to_lowercase()),
        }
        start = python::is_space(character) || matches!(character, '-' | '(' | '{' | '[' | '<');
    }
    out
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}
