//! Whether an answer is what the document says, as far as the document uses JSON Schema.

use serde_json::Value;

/// What is wrong with `value` under `schema`; a keyword this does not know is wrong too.
pub(crate) fn faults(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let (mut found, mut own) = (Vec::new(), Vec::new());
    let mut fault = |what: String| own.push(format!("{at}: {what}"));
    for (keyword, rule) in schema.as_object().expect("a schema is an object") {
        match keyword.as_str() {
            "description" | "format" | "title" => {}
            "$ref" => {
                let pointer = rule.as_str().and_then(|text| text.strip_prefix('#'));
                let target = pointer.and_then(|pointer| document.pointer(pointer));
                found.extend(faults(document, target.expect("leads somewhere"), value, at));
            }
            "type" => {
                let several = rule.as_array().map(|several| several.iter().collect());
                let allowed: Vec<&Value> = several.unwrap_or_else(|| vec![rule]);
                if !allowed.iter().any(|word| is_of(value, word.as_str().expect("a word"))) {
                    fault(format!("{value} is no {rule}"));
                }
            }
            "enum" => {
                if !rule.as_array().expect("a list").contains(value) {
                    fault(format!("{value} is none of {rule}"));
                }
            }
            "required" => {
                for name in rule.as_array().expect("a list") {
                    if value.get(name.as_str().expect("a name")).is_none() {
                        fault(format!("lacks {name}"));
                    }
                }
            }
            "properties" => {
                for (name, rule) in rule.as_object().expect("an object") {
                    if let Some(member) = value.get(name) {
                        found.extend(faults(document, rule, member, &format!("{at}.{name}")));
                    }
                }
            }
            "additionalProperties" => {
                assert_eq!(rule, &Value::Bool(false), "the only one in use");
                let known = schema["properties"].as_object().expect("has members");
                for name in value.as_object().into_iter().flatten().map(|(name, _)| name) {
                    if !known.contains_key(name) {
                        fault(format!("has {name}"));
                    }
                }
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    found.extend(faults(document, rule, item, &format!("{at}[{index}]")));
                }
            }
            "oneOf" | "anyOf" => {
                let branches = rule.as_array().expect("a list");
                if !branches.iter().any(|rule| faults(document, rule, value, at).is_empty()) {
                    fault(format!("{value} fits no branch"));
                }
            }
            "allOf" => {
                for rule in rule.as_array().expect("a list") {
                    found.extend(faults(document, rule, value, at));
                }
            }
            "minimum" => {
                if value.is_number() && value.as_f64() < rule.as_f64() {
                    fault(format!("{value} is below {rule}"));
                }
            }
            "maximum" => {
                if value.is_number() && value.as_f64() > rule.as_f64() {
                    fault(format!("{value} is above {rule}"));
                }
            }
            "minLength" | "maxLength" | "maxItems" => {
                let text = value.as_str().map(|text| text.chars().count());
                let length = text.or(value.as_array().map(Vec::len)).expect("has a length");
                let bound = rule.as_u64().expect("a number") as usize;
                let fits = if keyword == "minLength" { length >= bound } else { length <= bound };
                if !fits {
                    fault(format!("{value} against {keyword} {rule}"));
                }
            }
            "pattern" => {
                let text = value.as_str().expect("a pattern is of texts");
                if !fits_pattern(text, rule.as_str().expect("a text")) {
                    fault(format!("{text:?} against {rule}"));
                }
            }
            other => fault(format!("the keyword {other} is not known here")),
        }
    }
    found.append(&mut own);
    found
}

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("the type {other} is not known here"),
    }
}

/// The two patterns that messages use.
fn fits_pattern(text: &str, pattern: &str) -> bool {
    if let Some(digits) = pattern.strip_prefix("^[0-9a-fA-F]{").and_then(|p| p.strip_suffix("}$")) {
        let digits: usize = digits.parse().expect("a number");
        return text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    }
    assert_eq!(pattern, "^[0-9A-Za-z_-]*$", "the only other in use");
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

#[test]
fn what_does_not_fit_is_found() {
    let document = serde_json::json!({});
    let schema = serde_json::json!({
        "type": "object", "required": ["a"], "additionalProperties": false,
        "properties": { "a": { "type": "integer", "minimum": 0 }, "b": { "enum": ["x"] } },
    });
    let count = |value| faults(&document, &schema, &value, "").len();
    assert_eq!(count(serde_json::json!({ "a": 1, "b": "x" })), 0);
    assert_eq!(count(serde_json::json!({ "a": -1, "b": "y", "c": 1 })), 3);
    assert_eq!(count(serde_json::json!({})), 1);
    assert_eq!(count(serde_json::json!({ "a": "1" })), 1);
}
