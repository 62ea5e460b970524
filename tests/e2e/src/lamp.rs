//! A lamp of a phone: sipp watches the dialogs of something (RFC 4235) and writes down every
//! NOTIFY.

use std::io;
use std::time::Duration;

use crate::ports::free_port;
use crate::server::{PASSWORD, Server};
use crate::sipp::{Sipp, SippSpec};
use crate::wait::wait_for;

const WATCHER: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<scenario name="a lamp">
  <send retrans="500"><![CDATA[

SUBSCRIBE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
Max-Forwards: 70
From: <sip:WATCHER@[remote_ip]:[remote_port]>;tag=[pid]SIPpTag[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: 1 SUBSCRIBE
Contact: <sip:WATCHER@[local_ip]:[local_port]>
Event: dialog
Accept: application/dialog-info+xml
Expires: 600
Content-Length: 0

  ]]></send>
  <recv response="401" auth="true"/>
  <send retrans="500"><![CDATA[

SUBSCRIBE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
Max-Forwards: 70
From: <sip:WATCHER@[remote_ip]:[remote_port]>;tag=[pid]SIPpTag[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: 2 SUBSCRIBE
Contact: <sip:WATCHER@[local_ip]:[local_port]>
Event: dialog
Accept: application/dialog-info+xml
[authentication username=WATCHER password=SECRET]
Expires: 600
Content-Length: 0

  ]]></send>
  <recv response="200"/>
  <label id="1"/>
  <recv request="NOTIFY"/>
  <send next="1"><![CDATA[

SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

  ]]></send>
</scenario>
"#;

/// What a lamp shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// Nothing was told yet.
    Nothing,
    /// Free.
    Dark,
    /// It rings, or somebody rings it.
    Blinks,
    /// In a call, or taken.
    Lit,
}

/// A lamp that somebody looks at for as long as this lives.
#[derive(Debug)]
pub struct Lamp {
    sipp: Sipp,
}

impl Lamp {
    /// Watches an extension, a device or a slot as a device of the office (`acme-805`).
    ///
    /// # Errors
    /// sipp is not installed, or the server told nothing within 10 s.
    pub fn watch(server: &Server, watcher: &str, target: &str) -> io::Result<Self> {
        let scenario = WATCHER.replace("WATCHER", watcher).replace("SECRET", PASSWORD);
        let spec = SippSpec {
            scenario: &scenario,
            server: server.sip,
            port: free_port(),
            service: target,
            calls: 1,
        };
        let directory = server.directory.join(format!("lamp-{target}"));
        let sipp = Sipp::start_with(&directory, &spec, &["-trace_msg"])?;
        let mut lamp = Self { sipp };
        if lamp.comes_to(Shows::Dark, Duration::from_secs(10)) {
            return Ok(lamp);
        }
        let words = format!("the lamp of {target} is told nothing:\n{}", lamp.sipp.messages());
        Err(io::Error::other(words))
    }

    /// What it shows now, and of whom: the dialog-info document that came last.
    #[must_use]
    pub fn shows(&self) -> (Shows, String) {
        let messages = self.sipp.messages();
        let Some((_, last)) = messages.rsplit_once("\nNOTIFY ") else {
            return (Shows::Nothing, String::new());
        };
        let shows = match last {
            text if text.contains(">confirmed<") => Shows::Lit,
            text if text.contains(">early<") || text.contains(">trying<") => Shows::Blinks,
            text if text.contains("</dialog-info>") => Shows::Dark,
            _ => Shows::Nothing,
        };
        (shows, last.to_owned())
    }

    /// How often it was told something.
    #[must_use]
    pub fn told(&self) -> usize {
        self.sipp.messages().matches("\nNOTIFY ").count()
    }

    /// Whether it shows this within `limit`.
    pub fn comes_to(&mut self, wanted: Shows, limit: Duration) -> bool {
        wait_for(limit, || (self.shows().0 == wanted).then_some(())).is_some()
    }
}
