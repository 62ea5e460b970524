//! The health check that places a call with sound (N-18).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use koukan_switch::Cdr;

use super::routes::{Answer, Refused, Service, Shared};
use crate::os;
use crate::plans::device_secret;
use crate::selftest::{self, Account, Outcome, Wanted};

/// Of so many latest records one is the call's own.
const RECORDS: u32 = 200;

/// `POST /v1/selftest`: `{"tenant": "acme"}`, with `device` and `number` when they matter.
pub(super) async fn run(State(service): Shared, Json(wanted): Json<Wanted>) -> Answer<Outcome> {
    let (account, number) = asked(&service, &wanted).await?;
    let status = service.control.status().await?;
    let server = status.listeners.iter().find_map(|listener| selftest::reached(listener));
    let server = server.ok_or_else(|| wrong("the server has no listener by UDP"))?;
    let fault = |words: String| Refused(StatusCode::INTERNAL_SERVER_ERROR, words);
    let seed = os::random_seed().map_err(|error| fault(error.to_string()))?;
    let call = move || selftest::call(server, &account, &number, seed);
    let trial =
        tokio::task::spawn_blocking(call).await.map_err(|error| fault(error.to_string()))?;
    let record = match &trial.call_id {
        Some(call_id) => record_of(&service, call_id).await,
        None => Ok(None),
    };
    Ok(Json(trial.judged(record)))
}

/// As whom the call is made, and what it dials.
async fn asked(service: &Service, wanted: &Wanted) -> Result<(Account, String), Refused> {
    let directory = service.generations.lock().await.current().directory.clone();
    let plans = &directory.plans;
    let tenant = &*wanted.tenant;
    let mut devices = plans.devices_of(tenant);
    let device = match &wanted.device {
        Some(name) => devices.find(|device| *device.device == **name),
        None => devices.next(),
    };
    let device = device.ok_or_else(|| wrong("no such tenant or device"))?;
    let number = match &wanted.number {
        Some(number) => number.clone(),
        None => plans
            .echo_of(tenant)
            .map(ToString::to_string)
            .ok_or_else(|| wrong("the office has no extension that is an echo: name a number"))?,
    };
    let secret = device_secret(&service.places.conf, plans, device);
    let secret = secret.map_err(|error| wrong(&format!("its secret: {error}")))?;
    Ok((Account { credentials: selftest::credentials(&device.user, &secret) }, number))
}

/// The final record of a call; it is written when the counts of its stream have come.
async fn record_of(service: &Service, call_id: &str) -> Result<Option<Cdr>, String> {
    for _ in 0..10 {
        let latest = service.cdrs.latest(RECORDS).await.map_err(|error| error.to_string())?;
        let own =
            |cdr: &Cdr| cdr.ended.is_some() && cdr.legs.iter().any(|leg| leg.call_id == *call_id);
        if let Some(found) = latest.into_iter().find(own) {
            return Ok(Some(found));
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    Ok(None)
}

fn wrong(words: &str) -> Refused {
    Refused(StatusCode::BAD_REQUEST, words.to_owned())
}
