//! The INVITEs that we send (RFC 3261, section 13.2.1): what stands in them.

use std::sync::Arc;

use koukan_sip::{Flow, Method, Request};

use crate::action::Now;
use crate::call::diverted::for_phone;
use crate::call::page::answer_yourself;
use crate::call::{Call, Stage};
use crate::leg::identity::{address, name_addr, shown_name};
use crate::leg::{Leg, LegState, Party};
use crate::switch::{Fate, Switch};

impl Switch {
    /// The leg's stream is open: send its INVITE.
    pub(crate) fn call_leg(&mut self, now: Now, call: &mut Call, index: u16) -> Fate {
        let first = call.leg(0).and_then(|caller| {
            let offer = caller.offer.as_ref()?.audio()?.1;
            offer
                .audio_formats()
                .map(|format| format.name)
                .find(|name| name == "PCMU" || name == "PCMA")
        });
        let first = call
            .leg(0)
            .and_then(|leg| leg.agreed.as_ref().map(|a| a.format.name.clone()))
            .or(first);
        let Some(leg) = call.leg(index) else { return Fate::Keep };
        let Some(local) = self.local_audio(leg, first.as_deref(), None) else { return Fate::Keep };
        let request = match &leg.party {
            Party::Device { tenant, device } => self.device_request(call, leg, tenant, device),
            Party::Trunk(key) => self.trunk_request(call, leg, key),
            Party::FaxBox { .. } => None,
        };
        let Some(mut request) = request else {
            return self.callee_over(now, call, index, 480);
        };
        let Some(leg) = call.leg_mut(index) else { return Fate::Keep };
        let body = koukan_sip::Body::sdp(leg.session.offer(&local));
        request.body = Some(body);
        leg.offered = Some(local);
        leg.called_at = Some(now.time);
        let (party, flow) = (leg.party.name(), leg.flow);
        let tx = self.ua.invite(now.time, request);
        if let Some(leg) = call.leg_mut(index) {
            leg.state = LegState::Calling { tx, rang: false };
        }
        self.by_client.insert(tx, (call.id, index));
        self.explain(call.id, format!("calls {party} at {flow}"));
        Fate::Keep
    }

    /// The INVITE to a phone: the caller in From, the called number beside it (S-10).
    fn device_request(
        &self,
        call: &Call,
        leg: &Leg,
        tenant: &str,
        device: &str,
    ) -> Option<Request> {
        let info = self.directory.plans.device(tenant, device)?;
        let contact = leg.contact.clone()?;
        let host = self.own_host(leg);
        let called_name = match &call.stage {
            Stage::Ringing(ringing) => ringing.called_name.clone(),
            Stage::Queue(waiting) => Some(waiting.name.clone()),
            _ => None,
        };
        let mut headers = for_phone(call, &host);
        if let Some(transfer) = &call.transfer
            && !transfer.referred_by.is_empty()
        {
            headers.push(("Referred-By", transfer.referred_by.to_vec()));
        }
        if call.auto_answer {
            headers.extend(answer_yourself(&host));
        }
        if call.max_breadth.is_some() {
            // Of the caller's breadth each phone that rings gets one.
            headers.push(("Max-Breadth", b"1".to_vec()));
        }
        if let Some(did) = &call.did {
            let name = called_name.as_deref().unwrap_or("");
            headers.push(("P-Called-Party-ID", name_addr(name, did, &host)));
        }
        Some(Request {
            method: Method::Invite,
            flow: leg.flow,
            request_uri: contact.uri,
            from: self.shown_caller(call, called_name.as_deref(), &host),
            to: name_addr("", &info.user, &host),
            route: contact.path,
            max_forwards: call.max_forwards,
            headers,
            body: None,
            credentials: None,
        })
    }

    /// `"0455550001 (代表)" <sip:0455550001@host>`: the number stays alone in the URI, so that
    /// calling back works; a colleague's URI is its SIP user.
    fn shown_caller(&self, call: &Call, called_name: Option<&str>, host: &str) -> Vec<u8> {
        let identity = call.leg(0).map(|leg| leg.identity.clone()).unwrap_or_default();
        let name = shown_name(&identity, called_name);
        match call.leg(0).and_then(|leg| self.user_of(leg)) {
            Some(user) => address(&name, &user, host),
            None => [name.as_slice(), b" <sip:anonymous@anonymous.invalid>"].concat(),
        }
    }

    /// What stands as user in the URI of a party; `None` when it wants to stay unknown.
    pub(crate) fn user_of(&self, leg: &Leg) -> Option<Arc<str>> {
        let number = leg.identity.number.as_ref()?;
        let colleague = match &leg.party {
            Party::Device { tenant, device } => self.directory.plans.device(tenant, device),
            Party::Trunk(_) | Party::FaxBox { .. } => None,
        };
        let colleague = colleague.filter(|info| info.extension == *number);
        Some(colleague.map_or(number, |info| &info.user).clone())
    }

    /// Our host on a leg's flow.
    pub(crate) fn own_host(&self, leg: &Leg) -> String {
        self.host_of(leg.flow)
    }

    /// Our host as the peer of a flow knows it.
    pub(crate) fn host_of(&self, flow: Flow) -> String {
        let listeners = &self.config.listeners;
        let listener = listeners.iter().find(|known| known.id == flow.listener);
        listener
            .or_else(|| listeners.first())
            .map_or_else(String::new, |known| known.advertised.to_string())
    }
}
