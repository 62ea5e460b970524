//! All tenants' checked plans as one value: what the switch and the server ask.
//! CONTRACT: signatures that the switch is written against.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::{Decision, Facts};

/// Every tenant and the trunks of the whole server, checked; swapped as a whole by a reload.
#[derive(Debug, Default)]
pub struct Plans { _p: () }

/// A device that may register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    pub tenant: Arc<str>, pub device: Arc<str>,
    /// `acme-801`
    pub user: Arc<str>,
    pub extension: Arc<str>,
    /// `file:secrets/A` resolved by the server, never here; the text as written.
    pub secret: Arc<str>,
    /// How many contacts it may have at once (one, S-05).
    pub max_contacts: u32,
}

/// A trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkInfo {
    pub tenant: Option<Arc<str>>, pub name: Arc<str>,
    /// `127.0.0.1:5070`, or a host name for the resolver.
    pub address: Arc<str>,
    pub channels: u32,
    /// Whether the called DID stands in To instead of the Request-URI (profile `home-gateway`).
    pub did_in_to: bool,
    /// Digest user and secret reference, when the trunk registers or challenges.
    pub user: Option<Arc<str>>, pub secret: Option<Arc<str>>,
}

impl Plans {
    pub fn decide(&self, _facts: &Facts<'_>) -> Decision { unimplemented!() }
    /// The device that registers as `user` (bare extension allowed when `domain` is one of its tenant's).
    pub fn device_by_user(&self, _user: &str, _domain: &str) -> Option<&DeviceInfo> { unimplemented!() }
    pub fn device(&self, _tenant: &str, _device: &str) -> Option<&DeviceInfo> { unimplemented!() }
    pub fn devices(&self) -> impl Iterator<Item = &DeviceInfo> { std::iter::empty() }
    pub fn trunks(&self) -> impl Iterator<Item = &TrunkInfo> { std::iter::empty() }
    pub fn trunk(&self, _tenant: Option<&str>, _name: &str) -> Option<&TrunkInfo> { unimplemented!() }
    /// The trunk whose peer this address is (the port is ignored: carriers send from any).
    pub fn trunk_by_source(&self, _source: SocketAddr) -> Option<&TrunkInfo> { unimplemented!() }
    /// The generation of a tenant's plan, for the CDR.
    pub fn generation(&self, _tenant: &str) -> u64 { unimplemented!() }
    /// Language of the tenant's prompts (`ja`).
    pub fn language(&self, _tenant: &str) -> &str { unimplemented!() }
}
