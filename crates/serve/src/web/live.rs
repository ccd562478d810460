//! A run as it goes on: server-sent events.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::stream;
use larder_runs::{name::RunId, run_log::RunState};
use tokio::time;

use super::{App, blocking, headers, no_page, problem};
use crate::{
    html::{self, Frame, Links},
    model::live,
};

/// How often one looks how far a run has come.
const BEAT: Duration = Duration::from_secs(1);

/// Tells how far a run has come whenever that changes, and at last that it has ended: `progress` events with a part of the
/// run's page, then one `ended`.
pub async fn events(State(app): State<App>, Path(run): Path<String>) -> Response {
    let missing = || problem(&app, StatusCode::NOT_FOUND, "there is no such run", false);
    let Ok(run) = run.parse::<RunId>() else { return missing() };
    let (site, id) = (app.site.clone(), run.clone());
    let is_there = blocking(move || Ok(site.look(|view| view.snapshot.run(&id).is_some())?)).await;
    match is_there {
        Ok(true) => {}
        Ok(false) => return missing(),
        Err(error) => return no_page(&app, &error, false),
    }
    let state = Some((app, run, String::new()));
    let events = stream::unfold(state, |state| async {
        let (app, run, mut told) = state?;
        loop {
            let now = now(&app, &run).await;
            match now {
                Some(part) if part != told => {
                    let event = Event::default().event("progress").data(&part);
                    told = part;
                    return Some((Ok::<_, Infallible>(event), Some((app, run, told))));
                }
                Some(_) => {}
                None => {
                    // Browsers drop an event that has no data.
                    let event = Event::default().event("ended").data(run.as_str());
                    return Some((Ok(event), None));
                }
            }
            let mut ending = app.ending.clone();
            tokio::select! {
                () = time::sleep(BEAT) => {}
                _ = ending.wait_for(|ending| *ending) => return None,
            }
        }
    });
    headers::piece_by_piece(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}

/// The part of its page that says how far a run has come; none when it does not go on.
async fn now(app: &App, run: &RunId) -> Option<String> {
    let (site, run) = (app.site.clone(), run.clone());
    let looked = blocking(move || {
        Ok(site.look(|view| {
            let facts = view.snapshot.run(&run).filter(|run| run.state == RunState::Running)?;
            let name = view.ecosystem.name.as_deref();
            let frame = Frame { name, links: &Links::Server, kept: Some(view.snapshot) };
            Some(html::live(&frame, &live::of(view, facts)).into_string())
        })?)
    });
    looked.await.ok().flatten()
}
