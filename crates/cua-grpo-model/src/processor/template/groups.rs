//! Jinja's filter `groupby`.

use super::compare::{equal, keyed, sorted};
use super::limits;
use super::limits::wrong;
use super::value::List;
use minijinja::value::{Enumerator, Kwargs, Object, ObjectRepr};
use minijinja::{Error, Value};
use std::sync::Arc;

/// A group: a tuple of what its items have in common, and the items.
#[derive(Debug)]
struct GroupTuple([Value; 2]);

impl Object for GroupTuple {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let at = match key.as_str() {
            Some("grouper") => 0,
            Some("list") => 1,
            Some(_) => return None,
            None => key.as_usize()?,
        };
        self.0.get(at).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.0.len())
    }
}

/// `groupby(attribute, default=None, case_sensitive=False)`: groups in the order of what their items have in common, which is
/// that of the first item as it stands, also where the case does not count.
pub(super) fn group(
    value: &Value,
    attribute: Option<&Value>,
    default: Option<&Value>,
    cased: Option<bool>,
    options: Kwargs,
) -> Result<Value, Error> {
    let attribute = attribute.cloned().or(options.get::<Option<Value>>("attribute")?);
    let default = default.cloned().or(options.get::<Option<Value>>("default")?);
    let cased = cased.or(options.get("case_sensitive")?).unwrap_or(false);
    options.assert_all_used()?;
    let attribute = attribute.ok_or_else(|| wrong("groupby: expected an attribute".to_owned()))?;
    let of = |items: &Value, cased: bool| -> Result<Vec<Value>, Error> {
        let keys = keyed(items, Some(&attribute), cased)?.into_iter();
        let key = |(key, _): (Value, Value)| match &default {
            Some(default) if key.is_undefined() => default.clone(),
            _ => key,
        };
        Ok(keys.map(key).collect())
    };
    let items = Value::from(super::kinds::items(value)?);
    let compared = of(&items, cased)?;
    let plain = of(&items, true)?.into_iter().zip(items.try_iter()?);
    let entries = compared.into_iter().zip(plain);
    let entries = entries.map(|(compared, (key, item))| {
        let entry = List::tuple(vec![compared.clone(), key, item]);
        (compared, entry)
    });
    let mut groups: Vec<(Value, Value, Vec<Value>)> = Vec::new();
    for entry in sorted(entries.collect(), false)? {
        limits::spend_items(3)?;
        let mut parts = entry.try_iter()?;
        let (Some(compared), Some(key), Some(item)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        match groups.last_mut() {
            Some((last, _, items)) if equal(last, &compared)? => items.push(item),
            _ => groups.push((compared, key, vec![item])),
        }
    }
    let groups = groups.into_iter();
    Ok(groups
        .map(|(_, key, items)| Value::from_object(GroupTuple([key, Value::from(items)])))
        .collect())
}
