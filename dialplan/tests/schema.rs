//! The JSON Schema and the reader are one thing: the schema takes the sample, and refuses what the
//! reader refuses as misspelt or of another type.

mod office;

use koukan_dialplan::{Capabilities, json_schema};
use office::{load, sample};
use serde_json::{Map, Value, json};
use toml::de::{DeTable, DeValue};

fn to_json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => json!(text.to_string()),
        DeValue::Integer(number) => json!(number.as_str().parse::<i64>().unwrap_or(i64::MAX)),
        DeValue::Float(number) => json!(number.as_str().parse::<f64>().unwrap_or(f64::MAX)),
        DeValue::Boolean(flag) => json!(flag),
        DeValue::Datetime(date) => json!(date.to_string()),
        DeValue::Array(items) => items.iter().map(|item| to_json(item.get_ref())).collect(),
        DeValue::Table(table) => table_to_json(table),
    }
}

fn table_to_json(table: &DeTable<'_>) -> Value {
    let entries = table.iter();
    let object: Map<String, Value> =
        entries.map(|(key, value)| (key.get_ref().to_string(), to_json(value.get_ref()))).collect();
    Value::Object(object)
}

/// As much of JSON Schema as ours uses.
fn valid(schema: &Value, root: &Value, value: &Value) -> bool {
    let Some(rules) = schema.as_object() else { return schema == &json!(true) };
    rules.iter().all(|(rule, wanted)| match rule.as_str() {
        "type" => match wanted.as_str().expect("a type") {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64(),
            other => panic!("type {other}"),
        },
        "minimum" => value.as_i64() >= wanted.as_i64(),
        "maximum" => value.as_i64() <= wanted.as_i64(),
        "enum" => wanted.as_array().expect("words").contains(value),
        "anyOf" => wanted.as_array().expect("schemas").iter().any(|one| valid(one, root, value)),
        "items" => {
            value.as_array().is_some_and(|all| all.iter().all(|one| valid(wanted, root, one)))
        }
        "required" => {
            let keys = wanted.as_array().expect("keys");
            keys.iter().all(|key| value.get(key.as_str().expect("a key")).is_some())
        }
        "properties" => value.as_object().is_none_or(|object| {
            object.iter().all(|(key, one)| wanted.get(key).is_none_or(|s| valid(s, root, one)))
        }),
        "additionalProperties" => value.as_object().is_none_or(|object| {
            let known = rules.get("properties").and_then(Value::as_object).expect("properties");
            let mut others = object.iter().filter(|(key, _)| !known.contains_key(*key));
            others.all(|(_, one)| valid(wanted, root, one))
        }),
        "$ref" => {
            let pointer = wanted.as_str().expect("a reference").replace("#/", "/");
            valid(root.pointer(&pointer).expect("a definition"), root, value)
        }
        "$schema" | "$defs" | "title" | "description" => true,
        other => panic!("rule {other}"),
    })
}

fn takes(text: &str) -> bool {
    let schema: Value = serde_json::from_str(&json_schema()).expect("JSON");
    let (table, errors) = DeTable::parse_recoverable(text);
    errors.is_empty() && valid(&schema, &schema, &table_to_json(table.get_ref()))
}

#[test]
fn the_schema_takes_both_samples() {
    assert!(takes(&sample()));
    assert!(takes(include_str!("../../conf/tenants/acme/office.toml")));
}

#[test]
fn the_schema_refuses_what_the_reader_refuses() {
    let text = sample();
    let changes = [
        ("kind = \"desk\"", "kind = \"dekt\""),
        ("caller_id = \"number1\"", "caler_id = \"number1\""),
        ("channels = 30", "channels = \"many\""),
        ("max_messages = 15", "max_messages = 16"),
        ("retries = 3", "retries = 4"),
        ("verified = true", "verified = \"yes\""),
        ("did = \"0312340001\"\n", ""),
        ("do = \"echo\"", "do = \"ehco\""),
        ("do = { conference = \"main\" }", "do = { confrence = \"main\" }"),
        ("detect = \"auto\"", "detect = \"sometimes\""),
        ("formats = [\"pdf\"", "formats = [\"doc\""),
        ("currency = \"JPY\"", "currency = \"USD\""),
        ("prefix = [\"010\"]", "prefix = \"010\""),
        ("rings = [\"A\"", "rings = [1, \"A\""),
        ("sunday = []", "sundays = []"),
    ];
    for (from, to) in changes {
        assert!(text.contains(from), "the sample has no {from}");
        let broken = text.replacen(from, to, 1);
        assert!(!load(&broken, &Capabilities::all()).report.is_ok(), "the reader takes {to}");
        assert!(!takes(&broken), "the schema takes {to}");
    }
}

#[test]
fn the_schema_takes_what_the_reader_takes_beyond_the_sample() {
    let text = sample();
    let changes = [
        ("language = \"ja\"", "language = \"ja\", hold_music = \"sounds/ours.wav\""),
        ("language = \"ja\"", "language = \"ja\", domains = [\"example.jp\"]"),
        ("kind = \"desk\"", "kind = \"desk\"\nsrtp = \"offer\"\nredirect = true"),
        ("kind = \"desk\"", "kind = \"desk\"\nmwi = \"unsolicited\"\nbusy = \"one\""),
        ("kind = \"desk\"", "kind = \"desk\"\nforward = { busy = \"802\", after = \"15s\" }"),
        ("kind = \"desk\"", "kind = \"desk\"\narea_code = \"03\"\nprivacy = true\ncontacts = 2"),
        ("profile = \"jp-ngn\"", "profile = \"jp-ngn\"\ntrusted = false\nidentity = \"preferred\""),
        ("return_after = \"90s\"", "return_after = \"90s\"\nhold_after = \"3s\""),
    ];
    for (from, to) in changes {
        assert!(text.contains(from), "the sample has no {from}");
        let more = text.replacen(from, to, 1);
        let report = load(&more, &Capabilities::all()).report;
        assert!(report.is_ok(), "the reader refuses {to}: {report:?}");
        assert!(takes(&more), "the schema refuses {to}");
    }
}

#[test]
fn the_schema_as_it_is() {
    insta::assert_snapshot!(json_schema());
}
