//! The agent under test and the way to its one peer.

use koukan_base::Rng;
use koukan_sip::{Flow, Listener, ListenerId, Transport, UaConfig, UserAgent};

/// An agent that listens on 192.0.2.1.
pub(crate) fn agent(transport: Transport) -> UserAgent {
    let advertised = ([192, 0, 2, 1], 5060).into();
    let listener = Listener { id: ListenerId(0), transport, advertised };
    let config = UaConfig {
        listeners: vec![listener],
        server_name: "test".to_owned(),
        max_transactions: 500,
        max_dialogs: 100,
        ..UaConfig::default()
    };
    UserAgent::new(config, Rng::from_number(1))
}

/// A flow to 192.0.2.2.
pub(crate) fn flow(transport: Transport) -> Flow {
    let connection = u64::from(transport.is_reliable());
    Flow { transport, listener: ListenerId(0), remote: ([192, 0, 2, 2], 5060).into(), connection }
}
