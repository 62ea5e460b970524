//! What lies in the boxes of all offices, and every fax of theirs.

use axum::Json;
use axum::extract::{Query, State};
use koukan_switch::BoxView;
use serde::{Deserialize, Serialize};

use super::recordings::aside;
use super::routes::{Answer, Shared};
use crate::control::Request;
use crate::fax::Listed;
use crate::fax::sending::SentView;

/// `GET /v1/boxes`: the voicemail boxes that have had a message.
pub(super) async fn list(State(service): Shared) -> Answer<Vec<BoxView>> {
    let key = |view: &BoxView| (view.tenant.clone(), view.name.clone());
    Ok(Json(service.control.list(Request::Boxes, key).await?))
}

/// Whose faxes are listed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    tenant: Option<String>,
}

/// The faxes of an office.
#[derive(Debug, Serialize)]
pub(super) struct Faxes {
    tenant: String,
    received: Vec<Listed>,
    sent: Vec<SentView>,
}

/// `GET /v1/faxes`: of every office that has any, or of one.
pub(super) async fn faxes(
    State(service): Shared,
    Query(wanted): Query<Wanted>,
) -> Answer<Vec<Faxes>> {
    let list = aside(service, move |service| {
        let mut tenants = service.faxes.tenants();
        tenants.extend(service.tray.tenants());
        tenants.retain(|tenant| wanted.tenant.as_ref().is_none_or(|wanted| wanted == tenant));
        let of = |tenant: String| Faxes {
            received: service.faxes.list(&tenant, None),
            sent: service.tray.list(&tenant),
            tenant,
        };
        tenants.into_iter().map(of).collect::<Vec<Faxes>>()
    });
    Ok(Json(list.await?))
}
