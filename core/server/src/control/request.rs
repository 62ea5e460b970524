//! What the service thread asks of the control loop: bounded queue in, one answer out.

use std::net::IpAddr;
use std::sync::Arc;

use koukan_base::CallId;
use koukan_dialplan::{Aside, Change, ChangeError, Entry, FaxSenderError, Settings};
use koukan_switch::{
    BanView, BoxView, CallView, Directory, FaxOffice, QueueView, RegistrationView, ResolvedHosts,
    RoomError, RoomOrder, RoomView, TrunkKey, TrunkView,
};
use tokio::sync::oneshot;

use super::drain::DrainOrder;
use crate::api;
use crate::metrics::Snapshot;
use crate::module::LoadedModule;
use crate::modules::{ChangeRefused, Changed};
use crate::simulation::{Question, QuestionError, Simulated};
use crate::trace::Traced;
use crate::transport::Tls;

/// Where the answer goes. Whoever asked may have gone meanwhile.
pub type Reply<T> = oneshot::Sender<T>;

/// One question or order.
#[derive(Debug)]
pub enum Request {
    /// `GET /v1/status`.
    Status(Reply<api::Status>),
    /// `GET /v1/calls`.
    Calls(Reply<Vec<CallView>>),
    /// `DELETE /v1/calls/{id}`: whether there is such a call.
    Kill(CallId, Reply<bool>),
    /// `GET /v1/rooms`.
    Rooms(Reply<Vec<RoomView>>),
    /// `GET /v1/queues`.
    Queues(Reply<Vec<QueueView>>),
    /// `POST /v1/tenants/{tenant}/rooms/{room}`.
    InRoom(InRoom, Reply<Result<(), RoomError>>),
    /// `GET /v1/registrations`.
    Registrations(Reply<Vec<RegistrationView>>),
    /// `GET /v1/bans`.
    Bans(Reply<Vec<BanView>>),
    /// `DELETE /v1/bans/{address}`: whether it was banned.
    LiftBan(IpAddr, Reply<bool>),
    /// `GET /v1/trunks`.
    Trunks(Reply<Vec<TrunkView>>),
    /// The names of trunks stand for these hosts.
    TrunkHosts(Vec<ResolvedHosts>, Reply<()>),
    /// `PUT /v1/trunks/.../maintenance`: whether there is such a trunk.
    Maintenance(MaintenanceOrder, Reply<Option<bool>>),
    /// `GET /v1/trace`: every message that is kept, and the SIP Call-IDs of the call.
    Trace(Option<CallId>, Reply<Option<(Vec<Traced>, Vec<String>)>>),
    /// `GET /v1/boxes`.
    Boxes(Reply<Vec<BoxView>>),
    /// `GET /v1/why/{call}`.
    Why(CallId, Reply<Option<api::Why>>),
    /// `POST /v1/sim`.
    Simulate(Box<Question>, Reply<Result<Box<Simulated>, QuestionError>>),
    /// New plans and certificates are checked and ready; what live settings have no place in them.
    Install(Arc<Directory>, Option<Tls>, Reply<Vec<(Arc<str>, Aside)>>),
    /// What an office has flipped.
    Settings(Arc<str>, Reply<Settings>),
    /// Flip a setting of an office.
    Set(SetOrder, Reply<Result<SetDone, ChangeError>>),
    /// Who sends a fax of a tenant, by the number that is named.
    FaxOffice(Arc<str>, Option<String>, Reply<Result<FaxOffice, FaxSenderError>>),
    /// What was kept is written to the journal: whether the disk has taken it.
    Commit(Reply<bool>),
    /// `GET /v1/modules`.
    Modules(Reply<Vec<api::ModuleInfo>>),
    /// A build is ready to serve: of a module that is not loaded yet (true), or in another's place.
    InstallModule(Box<LoadedModule>, bool, Reply<Result<Changed, ChangeRefused>>),
    /// Take a module out of service.
    UnloadModule(String, Reply<Result<Changed, ChangeRefused>>),
    /// `GET /metrics`.
    Metrics(Reply<Box<Snapshot>>),
    /// The date was moved: deadlines that follow the date are looked at again.
    ClockMoved(Reply<()>),
    /// `POST /v1/drain`: take no new calls, and end when nothing is up or the time is over.
    Drain(DrainOrder, Reply<api::Drain>),
    /// `GET /v1/drain`.
    Drained(Reply<api::Drain>),
    /// `DELETE /v1/drain`: whether it drained.
    CallOffDrain(Reply<bool>),
    /// End: running calls get their BYE.
    Shutdown,
}

/// An order in a conference room.
#[derive(Debug)]
pub struct InRoom {
    /// The tenant's id.
    pub tenant: String,
    /// The room's name in the plan.
    pub room: String,
    /// What is to be done.
    pub order: RoomOrder,
}

/// A trunk is taken out or in.
#[derive(Debug)]
pub struct MaintenanceOrder {
    /// Which.
    pub trunk: TrunkKey,
    /// Who says so.
    pub by: String,
    /// Out.
    pub on: bool,
}

/// A change of a live setting.
#[derive(Debug)]
pub struct SetOrder {
    /// The tenant's id.
    pub tenant: Arc<str>,
    /// What is flipped.
    pub change: Change,
    /// Who asks.
    pub by: Arc<str>,
}

/// A change that was taken.
#[derive(Debug)]
pub struct SetDone {
    /// What was written.
    pub written: Vec<Entry>,
    /// Whether it is in the journal. If not, the disk refuses: it is in force, and tried again.
    pub safe: bool,
}

/// The control loop did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// Too many wait already.
    #[error("the control loop has too many requests waiting; try again")]
    Busy,
    /// No answer within the time-out.
    #[error("the control loop did not answer within {} s", super::handle::TIMEOUT.as_secs())]
    TimedOut,
    /// It has ended.
    #[error("the server is shutting down")]
    Ended,
}
