//! Records of calls for other programs: CSV (RFC 4180), a line a call, and JSON lines, a whole
//! record each. What the columns mean stands in `CDR.md` beside this crate.

use jiff::Timestamp;
use koukan_switch::{Cdr, CdrLeg};

/// A form of the export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Comma-separated values with a head.
    Csv,
    /// One JSON object a line.
    JsonLines,
}

/// The columns of the CSV, in their order. New ones are added at the end.
pub const COLUMNS: [&str; 18] = [
    "call",
    "tenant",
    "direction",
    "caller",
    "called",
    "number",
    "started",
    "answered",
    "ended",
    "talk_s",
    "cause",
    "status",
    "price",
    "legs",
    "answered_by",
    "outside_s",
    "quality_worst",
    "sip_call_ids",
];

/// The text of an export.
#[must_use]
pub fn export(form: Form, cdrs: &[Cdr]) -> String {
    match form {
        Form::Csv => {
            let mut text = format!("{}\r\n", COLUMNS.join(","));
            for cdr in cdrs {
                let fields = fields(cdr).map(|field| quoted(&field));
                text.push_str(&fields.join(","));
                text.push_str("\r\n");
            }
            text
        }
        Form::JsonLines => {
            let line = |cdr: &Cdr| serde_json::to_string(cdr).ok().map(|line| line + "\n");
            cdrs.iter().filter_map(line).collect()
        }
    }
}

fn fields(cdr: &Cdr) -> [String; 18] {
    let date = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
    // As its serialized form says it: one name everywhere.
    let cause = serde_json::to_value(cdr.cause).ok();
    let cause = cause.as_ref().and_then(|cause| cause.as_str()).unwrap_or_default().to_owned();
    let up = |leg: &&CdrLeg| leg.answered.is_some();
    let answered_by = cdr.legs.iter().skip(1).find(up).map(|leg| leg.party.clone());
    let outside = cdr.legs.iter().filter(|leg| leg.party.starts_with("trunk "));
    let outside: u64 = outside.skip_while(|leg| is_first(cdr, leg)).map(seconds).sum();
    let worst = cdr.legs.iter().filter_map(|leg| leg.quality_worst).min();
    let ids = cdr.legs.iter().map(|leg| leg.call_id.as_str()).filter(|id| !id.is_empty());
    [
        cdr.call.clone(),
        cdr.tenant.clone(),
        cdr.direction.clone(),
        cdr.caller.clone(),
        cdr.called.clone(),
        cdr.number.clone().unwrap_or_default(),
        date(Some(cdr.started)),
        date(cdr.answered),
        date(cdr.ended),
        between(cdr.answered, cdr.ended).to_string(),
        cause,
        cdr.status.to_string(),
        cdr.price.clone().unwrap_or_default(),
        cdr.legs.len().to_string(),
        answered_by.unwrap_or_default(),
        outside.to_string(),
        worst.map(|tenths| format!("{}.{}", tenths / 10, tenths % 10)).unwrap_or_default(),
        ids.collect::<Vec<_>>().join(" "),
    ]
}

/// The caller's own leg: what comes from outside is no call of ours to it.
fn is_first(cdr: &Cdr, leg: &CdrLeg) -> bool {
    cdr.legs.first().is_some_and(|first| std::ptr::eq(first, leg))
}

fn seconds(leg: &CdrLeg) -> u64 {
    between(leg.answered, leg.ended)
}

/// Whole seconds, a begun one counted.
fn between(from: Option<Timestamp>, to: Option<Timestamp>) -> u64 {
    let (Some(from), Some(to)) = (from, to) else { return 0 };
    let ms = to.duration_since(from).as_millis().max(0).unsigned_abs();
    u64::try_from(ms.div_ceil(1000)).unwrap_or(u64::MAX)
}

/// A field as RFC 4180 wants it.
fn quoted(field: &str) -> String {
    if field.contains(['"', ',', '\r', '\n']) {
        return format!("\"{}\"", field.replace('"', "\"\""));
    }
    field.to_owned()
}

#[cfg(test)]
mod tests {
    use koukan_switch::CallCause;

    use super::*;

    fn at(text: &str) -> Option<Timestamp> {
        Some(text.parse().unwrap())
    }

    fn cdr() -> Cdr {
        let leg = |party: &str, answered: bool| CdrLeg {
            party: party.to_owned(),
            call_id: format!("{party}@host").replace(' ', "-"),
            started: at("2026-07-01T03:00:00Z").unwrap(),
            answered: at("2026-07-01T03:00:04.5Z").filter(|_| answered),
            ended: at("2026-07-01T03:01:00Z"),
            status: if answered { 200 } else { 487 },
            rtp_received: 1,
            rtp_sent: 1,
            quality_mean: Some(901),
            quality_worst: Some(if answered { 612 } else { 700 }),
            quality_cause: None,
            charge: None,
        };
        Cdr {
            call: "0001".to_owned(),
            tenant: "acme".to_owned(),
            generation: 1,
            direction: "inbound".to_owned(),
            caller: "\"Tanaka, K\" 045\r\n".to_owned(),
            called: "0312340001".to_owned(),
            number: Some("number1".to_owned()),
            started: at("2026-07-01T03:00:00Z").unwrap(),
            answered: at("2026-07-01T03:00:04.5Z"),
            ended: at("2026-07-01T03:01:00Z"),
            last_seen: at("2026-07-01T03:01:00Z").unwrap(),
            cause: Some(CallCause::CallerHungUp),
            status: 200,
            price: Some("17.5".to_owned()),
            legs: vec![leg("trunk carrier", true), leg("device A", false), leg("trunk b", true)],
        }
    }

    #[test]
    fn a_line_is_a_call_and_what_strangers_say_ends_no_line() {
        let running = Cdr { answered: None, ended: None, cause: None, legs: Vec::new(), ..cdr() };
        let text = export(Form::Csv, &[cdr(), running]);
        let started = "2026-07-01T03:00:00Z";
        let wanted = [
            COLUMNS.join(","),
            format!(
                "0001,acme,inbound,\"\"\"Tanaka, K\"\" 045\r\n\",0312340001,number1,{started},\
                 2026-07-01T03:00:04.5Z,2026-07-01T03:01:00Z,56,caller_hung_up,200,17.5,3,\
                 trunk b,56,61.2,trunk-carrier@host device-A@host trunk-b@host"
            ),
            format!(
                "0001,acme,inbound,\"\"\"Tanaka, K\"\" 045\r\n\",0312340001,number1,{started},\
                 ,,0,,200,17.5,0,,0,,"
            ),
        ];
        assert_eq!(text, wanted.map(|line| line + "\r\n").concat());
    }

    #[test]
    fn json_lines_are_whole_records() {
        let text = export(Form::JsonLines, &[cdr(), cdr()]);
        let lines: Vec<Cdr> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines, [cdr(), cdr()]);
    }

    #[test]
    fn every_column_is_documented_in_its_order() {
        let page = include_str!("../CDR.md");
        let documented: Vec<&str> = page
            .lines()
            .skip_while(|line| !line.starts_with("## CSV"))
            .take_while(|line| !line.starts_with("## JSON"))
            .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
            .collect();
        assert_eq!(documented, COLUMNS);
    }

    #[test]
    fn every_key_of_a_record_is_documented() {
        let page = include_str!("../CDR.md");
        let page = page.split("## JSON").nth(1).unwrap();
        let value = serde_json::to_value(cdr()).unwrap();
        let legs = value["legs"][0].as_object().unwrap();
        for key in value.as_object().unwrap().keys().chain(legs.keys()) {
            assert!(page.contains(&format!("| `{key}` |")), "{key} is not documented");
        }
    }
}
