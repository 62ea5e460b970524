//! `/metrics` in the Prometheus text format (version 0.0.4).

mod join;

use std::fmt::Write as _;

use koukan_store::OutboxCounts;
use koukan_switch::CapCount;

use crate::transport::{Counters, DropCause};

/// Everything that is measured, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Seconds since the start.
    pub uptime_s: f64,
    /// Resident memory.
    pub rss_bytes: u64,
    /// Calls under way.
    pub calls: usize,
    /// Calls since the start.
    pub calls_total: u64,
    /// Legs under way.
    pub legs: usize,
    /// Media streams.
    pub streams: usize,
    /// Applications of modules.
    pub instances: usize,
    /// SIP dialogs.
    pub dialogs: usize,
    /// Requests of ours.
    pub client_transactions: usize,
    /// Requests of peers.
    pub server_transactions: usize,
    /// Contacts bound.
    pub registrations: usize,
    /// Those of them that do not answer.
    pub unreachable: usize,
    /// Those of them whose connection has ended.
    pub lost: usize,
    /// Trunks by state.
    pub trunks: Vec<(&'static str, usize)>,
    /// Calls that were begun to trunks.
    pub trunk_calls: u64,
    /// Those of them that failed by the trunk's fault.
    pub trunk_failures: u64,
    /// Sources that are banned now.
    pub banned: usize,
    /// Bans since the start.
    pub bans: u64,
    /// Requests of banned sources that got no answer.
    pub banned_drops: u64,
    /// Messages of blocked networks.
    pub blocked: u64,
    /// Caps of `[limits]`.
    pub caps: Vec<(&'static str, CapCount)>,
    /// TCP connections.
    pub connections: usize,
    /// Transports.
    pub transports: Counters,
    /// Messages dropped by the user agent, by cause.
    pub sip_drops: Vec<(&'static str, u64)>,
    /// The media workers.
    pub media: MediaSnapshot,
    /// Records written to the journal.
    pub journal_records: u64,
    /// Appends that failed.
    pub journal_failures: u64,
    /// Records that wait for a disk that takes them.
    pub journal_waiting: usize,
    /// Records given up on a disk that stayed full.
    pub journal_lost: u64,
    /// Bytes of the journal that the database has not taken over yet.
    pub journal_behind_bytes: u64,
    /// Batches that the database refused; each is tried again.
    pub database_failures: u64,
    /// The longest append in seconds.
    pub journal_slowest_s: f64,
    /// Records that wait for modules which carry them out, and those that went.
    pub outbox: OutboxCounts,
    /// Panics caught at a call's border.
    pub panics: u64,
    /// The longest turn of the control loop in seconds.
    pub slowest_turn_s: f64,
    /// Whether the control loop falls behind.
    pub overloaded: bool,
    /// How often it has since the start.
    pub overloads: u64,
    /// New calls that were refused meanwhile.
    pub shed: u64,
    /// Whether the server drains.
    pub draining: bool,
    /// Calls that were refused for it.
    pub drained_calls: u64,
    /// Copies of SIP messages that did not get to the collector.
    pub trace_lost: u64,
    /// Log lines dropped.
    pub log_dropped: u64,
    /// Ended calls whose explain lines did not reach the disk.
    pub explain_lost: u64,
}

/// What the media workers have counted.
#[derive(Clone, Debug, Default)]
pub struct MediaSnapshot {
    /// RTP packets received.
    pub received: u64,
    /// RTP packets sent.
    pub sent: u64,
    /// Datagrams dropped.
    pub dropped: u64,
    /// Ticks that came late.
    pub late_ticks: u64,
    /// What the worker that is furthest behind has given up (0 to 4), and how often that changed.
    pub shed: u64,
    /// See `shed`.
    pub sheds: u64,
    /// Streams refused because their worker was full or behind, or the rest of it for others.
    pub refused: u64,
    /// Packets not listened to for digits and fax tones while a worker was behind.
    pub unheard: u64,
    /// How often a stream was left unread because it brought more than a peer does.
    pub rests: u64,
    /// Spans of five seconds that a party's sound was judged over.
    pub quality_spans: u64,
    /// Those below R 70.
    pub quality_poor_spans: u64,
    /// Faults of sound that began, by cause.
    pub faults: Vec<(&'static str, u64)>,
    /// Packets that the system would not send.
    pub send_errors: u64,
    /// CPU time of the workers.
    pub cpu_s: f64,
}

impl Snapshot {
    /// The text of `/metrics`.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut page = Page(String::with_capacity(8 * 1024));
        self.server(&mut page);
        self.overload(&mut page);
        self.calls(&mut page);
        self.trunks(&mut page);
        self.caps(&mut page);
        self.defence(&mut page);
        self.sip(&mut page);
        self.media(&mut page);
        self.journal(&mut page);
        page.0
    }

    fn server(&self, page: &mut Page) {
        page.gauge("koukan_uptime_seconds", "Seconds since the start.", self.uptime_s);
        page.gauge("koukan_resident_bytes", "Resident memory.", float(self.rss_bytes));
        page.counter("koukan_panics_total", "Panics caught at a call's border.", self.panics);
        page.counter(
            "koukan_log_lines_dropped_total",
            "Log lines dropped because nobody read them.",
            self.log_dropped,
        );
        page.counter(
            "koukan_explained_calls_lost_total",
            "Ended calls whose explain lines did not reach the disk.",
            self.explain_lost,
        );
        page.counter(
            "koukan_hep_lost_total",
            "Copies of SIP messages that did not get to the collector.",
            self.trace_lost,
        );
        page.gauge(
            "koukan_control_slowest_turn_seconds",
            "The longest turn of the control loop since the start.",
            self.slowest_turn_s,
        );
    }

    fn overload(&self, page: &mut Page) {
        let now = f64::from(u8::from(self.overloaded));
        page.gauge("koukan_overloaded", "1 while the control loop falls behind.", now);
        page.counter(
            "koukan_overloads_total",
            "Times that the control loop fell behind.",
            self.overloads,
        );
        page.counter(
            "koukan_calls_shed_total",
            "New calls that were refused with 503 while it fell behind.",
            self.shed,
        );
        let draining = f64::from(u8::from(self.draining));
        page.gauge("koukan_draining", "1 while the server drains before its end.", draining);
        page.counter(
            "koukan_calls_refused_draining_total",
            "New calls that were refused with 503 while it drains.",
            self.drained_calls,
        );
    }

    fn calls(&self, page: &mut Page) {
        page.gauge("koukan_calls", "Calls under way.", size(self.calls));
        page.counter("koukan_calls_total", "Calls since the start.", self.calls_total);
        page.gauge("koukan_legs", "Legs of calls under way.", size(self.legs));
        page.gauge("koukan_registrations", "Contacts bound.", size(self.registrations));
        let name = "koukan_registrations_away";
        page.head(
            name,
            "Contacts bound whose phone does not answer or has no connection.",
            "gauge",
        );
        page.labelled(name, "health", "unreachable", self.unreachable as u64);
        page.labelled(name, "health", "lost", self.lost as u64);
        page.gauge(
            "koukan_module_instances",
            "Applications of modules under way.",
            size(self.instances),
        );
    }

    fn defence(&self, page: &mut Page) {
        page.gauge("koukan_banned_sources", "Sources that are banned.", size(self.banned));
        page.counter("koukan_bans_total", "Sources that were banned.", self.bans);
        page.counter(
            "koukan_banned_requests_total",
            "Requests of banned sources that got no answer.",
            self.banned_drops,
        );
        page.counter(
            "koukan_blocked_messages_total",
            "Messages of blocked networks.",
            self.blocked,
        );
    }

    fn caps(&self, page: &mut Page) {
        let name = "koukan_caps_reached_total";
        page.head(name, "Caps that an office reached, each once a day.", "counter");
        for (cap, count) in &self.caps {
            page.labelled(name, "cap", cap, count.reached);
        }
        let name = "koukan_cap_refusals_total";
        page.head(name, "Calls that a cap of their office refused.", "counter");
        for (cap, count) in &self.caps {
            page.labelled(name, "cap", cap, count.refused);
        }
    }

    fn trunks(&self, page: &mut Page) {
        page.head("koukan_trunks", "Trunks, by state.", "gauge");
        for (state, count) in &self.trunks {
            page.labelled("koukan_trunks", "state", state, *count as u64);
        }
        page.counter(
            "koukan_trunk_calls_total",
            "Calls that were begun to trunks.",
            self.trunk_calls,
        );
        page.counter(
            "koukan_trunk_failures_total",
            "Those of them that failed by the trunk's fault.",
            self.trunk_failures,
        );
    }

    fn sip(&self, page: &mut Page) {
        let Counters { udp, tcp, tls, .. } = self.transports;
        let transports = [("udp", udp), ("tcp", tcp), ("tls", tls)];
        let name = "koukan_sip_messages_received_total";
        page.head(name, "SIP messages received.", "counter");
        for (transport, counters) in transports {
            page.labelled(name, "transport", transport, counters.received);
        }
        let name = "koukan_sip_messages_sent_total";
        page.head(name, "SIP messages sent.", "counter");
        for (transport, counters) in transports {
            page.labelled(name, "transport", transport, counters.sent);
        }
        let name = "koukan_sip_dropped_total";
        page.head(name, "SIP messages and connections dropped, by cause.", "counter");
        for cause in DropCause::ALL {
            page.labelled(name, "cause", cause.label(), self.transports.drops(cause));
        }
        for (cause, count) in &self.sip_drops {
            page.labelled(name, "cause", cause, *count);
        }
        page.counter("koukan_sip_pings_total", "Keep-alives of phones.", self.transports.pings);
        page.counter(
            "koukan_sip_tls_handshakes_total",
            "TLS handshakes that came to their end.",
            self.transports.handshakes,
        );
        page.gauge("koukan_sip_connections", "TCP and TLS connections.", size(self.connections));
        page.gauge("koukan_sip_dialogs", "SIP dialogs.", size(self.dialogs));
        let name = "koukan_sip_transactions";
        page.head(name, "SIP transactions under way.", "gauge");
        page.labelled(name, "side", "client", self.client_transactions as u64);
        page.labelled(name, "side", "server", self.server_transactions as u64);
    }

    fn media(&self, page: &mut Page) {
        let media = &self.media;
        page.gauge("koukan_media_streams", "Media streams.", size(self.streams));
        page.counter("koukan_rtp_received_total", "RTP packets received.", media.received);
        page.counter("koukan_rtp_sent_total", "RTP packets sent.", media.sent);
        page.counter("koukan_rtp_dropped_total", "Datagrams dropped by media.", media.dropped);
        page.counter(
            "koukan_media_late_ticks_total",
            "Media ticks that came late.",
            media.late_ticks,
        );
        page.gauge(
            "koukan_media_shed",
            "What the worker furthest behind has given up: 1 its encoders' effort, 2 new streams, \
             3 recordings, 4 listening for digits and fax tones in the sound.",
            float(media.shed),
        );
        page.counter(
            "koukan_media_sheds_total",
            "How often a media worker gave something up, or took it back.",
            media.sheds,
        );
        page.counter(
            "koukan_media_refused_total",
            "Streams refused by a worker that was full or behind, or kept for other tenants.",
            media.refused,
        );
        page.counter(
            "koukan_media_unheard_total",
            "Packets not listened to for digits and fax tones while a worker was behind.",
            media.unheard,
        );
        page.counter(
            "koukan_media_rests_total",
            "How often a stream was left unread because it brought more than a peer does.",
            media.rests,
        );
        page.counter(
            "koukan_rtp_send_errors_total",
            "RTP packets that the system would not send.",
            media.send_errors,
        );
        page.counter(
            "koukan_quality_spans_total",
            "Spans of five seconds that a party's sound was judged over.",
            media.quality_spans,
        );
        page.counter(
            "koukan_quality_poor_spans_total",
            "Those of them whose E-model R was below 70.",
            media.quality_poor_spans,
        );
        let name = "koukan_quality_faults_total";
        page.head(name, "Faults of a party's sound that began.", "counter");
        for (cause, count) in &media.faults {
            page.labelled(name, "cause", cause, *count);
        }
        page.head("koukan_media_cpu_seconds_total", "CPU time of the media workers.", "counter");
        page.value("koukan_media_cpu_seconds_total", media.cpu_s);
    }

    fn journal(&self, page: &mut Page) {
        page.counter(
            "koukan_journal_records_total",
            "Records appended to the journal.",
            self.journal_records,
        );
        page.counter(
            "koukan_journal_failures_total",
            "Appends to the journal that failed.",
            self.journal_failures,
        );
        page.gauge(
            "koukan_journal_waiting",
            "Records that the disk has not taken yet.",
            size(self.journal_waiting),
        );
        page.counter(
            "koukan_journal_lost_total",
            "Records given up because the disk stayed full for too long.",
            self.journal_lost,
        );
        page.gauge(
            "koukan_journal_behind_bytes",
            "Bytes of the journal that the database has not taken over yet.",
            size(usize::try_from(self.journal_behind_bytes).unwrap_or(usize::MAX)),
        );
        page.counter(
            "koukan_database_failures_total",
            "Batches that the database refused; each is tried again.",
            self.database_failures,
        );
        page.gauge(
            "koukan_journal_slowest_append_seconds",
            "The longest append to the journal.",
            self.journal_slowest_s,
        );
        let OutboxCounts { calls, events } = self.outbox;
        let name = "koukan_outbox_waiting";
        page.head(name, "Records that a module has not carried out yet.", "gauge");
        page.labelled(name, "kind", "call", calls.waiting);
        page.labelled(name, "kind", "event", events.waiting);
        let name = "koukan_outbox_lost_total";
        page.head(name, "Records that went because too many waited.", "counter");
        page.labelled(name, "kind", "call", calls.lost);
        page.labelled(name, "kind", "event", events.lost);
    }
}

/// The page as it grows. Writing to a `String` cannot fail.
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, help: &str, kind: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.head(name, help, "gauge");
        self.value(name, value);
    }

    fn value(&mut self, name: &str, value: f64) {
        let _ = writeln!(self.0, "{name} {value}");
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, help, "counter");
        let _ = writeln!(self.0, "{name} {value}");
    }

    fn labelled(&mut self, name: &str, label: &str, of: &str, value: u64) {
        let _ = writeln!(self.0, "{name}{{{label}=\"{of}\"}} {value}");
    }
}

/// Metrics are floating point by format; above 2⁵³ the last digits do not matter.
fn float(value: u64) -> f64 {
    value as f64
}

fn size(value: usize) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_has_its_help_and_type_and_no_metric_stands_twice() {
        let snapshot = Snapshot { sip_drops: vec![("stray_response", 3)], ..Snapshot::default() };
        let text = snapshot.to_text();
        let mut known = Vec::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let name = rest.split(' ').next().unwrap().to_owned();
                assert!(!known.contains(&name), "{name} stands twice");
                known.push(name);
            } else if !line.starts_with('#') {
                let name = line.split(['{', ' ']).next().unwrap();
                assert_eq!(known.last().map(String::as_str), Some(name));
                line.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
            }
        }
        assert!(known.len() >= 20, "{known:?}");
        assert!(text.contains("koukan_sip_dropped_total{cause=\"stray_response\"} 3"));
    }
}
