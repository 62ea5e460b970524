//! Keep-alives to registered phones (RFC 5626, section 4.4; OPTIONS of RFC 3261, section 11): what
//! the registrar asks for is sent, and what came of it goes back.

use koukan_sip::registrar::{BindingKey, Keepalive, KeepaliveBy};
use koukan_sip::{ClientTx, FailureCause, Flow, Method, Request};

use crate::action::{Action, Now};
use crate::switch::Switch;

/// Whose presence an OPTIONS asks for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    user: Box<str>,
    key: BindingKey,
}

impl Switch {
    pub(crate) fn keep_alive(&mut self, now: Now, keepalive: Keepalive) {
        let Keepalive { user, key, flow, path, by } = keepalive;
        match by {
            KeepaliveBy::LineEnds => {
                self.actions.push_back(Action::Send { flow, bytes: b"\r\n\r\n".to_vec() });
            }
            KeepaliveBy::Options => {
                let request = self.question(flow, &key, path);
                let tx = self.ua.request(now.time, request);
                self.asked.insert(tx, Asked { user, key });
            }
        }
    }

    fn question(&self, flow: Flow, key: &BindingKey, path: Vec<Vec<u8>>) -> Request {
        let listeners = &self.config.listeners;
        let listener = listeners.iter().find(|known| known.id == flow.listener);
        let host = listener.map_or_else(String::new, |known| known.advertised.to_string());
        Request {
            method: Method::Options,
            flow,
            request_uri: key.uri.clone(),
            from: format!("<sip:koukan@{host}>").into_bytes(),
            to: [b"<", key.uri.as_slice(), b">"].concat(),
            route: path,
            max_forwards: 70,
            headers: Vec::new(),
            body: None,
            credentials: None,
        }
    }

    /// The outcome of a request outside dialogs: any answer shows that the phone is there.
    pub(crate) fn question_ended(&mut self, now: Now, tx: ClientTx, cause: FailureCause) -> bool {
        let Some(Asked { user, key }) = self.asked.remove(&tx) else { return false };
        let answered = match cause {
            FailureCause::Response => true,
            FailureCause::Timeout | FailureCause::Transport => false,
        };
        self.registrar.keepalive_ended(now.time, &user, &key, answered);
        true
    }
}
