//! Requests and their answers.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::map_response,
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
    routing::{get, post},
};
use client::{Cluster, ClusterKey};
use futures::{Stream, StreamExt, stream};
use serde::Deserialize;
use telemetry::clock::{boot_clock_now, instant_of, wall_clock_milliseconds};
use tokio::sync::Semaphore;
use tokio_stream::wrappers::WatchStream;

use super::{
    assets,
    session::{self, Signer},
};
use crate::{
    board::{Board, Role},
    inquiries::within,
};

/// Pages that are told of each second; each costs a snapshot's bytes.
const PAGES_MAX: usize = 64;
/// Bytes of a request's body: a password.
const BODY_BYTES_MAX: usize = 4096;
/// Passwords that wait to be compared, one after another; more are sent away.
const LOGINS_MAX: usize = 8;
/// How long a wrong password holds up the next one, so that guessing is slow from wherever it comes.
const WRONG_PASSWORD_PAUSE: Duration = Duration::from_secs(1);
/// How long the monitors may take for what a request needs of them.
const MONITORS_DEADLINE: Duration = Duration::from_secs(5);

/// What requests are answered from.
pub(crate) struct Site {
    board: Arc<Board>,
    cluster: Cluster,
    key: ClusterKey,
    own_url: String,
    pages: Arc<Semaphore>,
    logins: Semaphore,
    comparing: Semaphore,
}

impl Site {
    pub fn new(board: Arc<Board>, cluster: Cluster, key: ClusterKey, own_url: String) -> Self {
        Self {
            board,
            cluster,
            key,
            own_url,
            pages: Arc::new(Semaphore::new(PAGES_MAX)),
            logins: Semaphore::new(LOGINS_MAX),
            comparing: Semaphore::new(1),
        }
    }

    fn is_signed_in(&self, cookies: &str) -> bool {
        let password = self.board.password();
        password.is_some_and(|hash| Signer::new(&self.key, &hash).admits(cookies, wall_clock_milliseconds()))
    }

    /// Where the working manager's dashboard is, when that is not here.
    async fn elsewhere(&self) -> Option<String> {
        match within(MONITORS_DEADLINE, self.cluster.dashboard_url()).await {
            Ok(url) => url.filter(|url| *url != self.own_url),
            Err(error) => {
                tracing::info!(%error, "the monitors did not say where the dashboard is");
                None
            }
        }
    }
}

/// The manager's pages.
pub(crate) fn router(site: Site) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/dashboard.js", get(assets::script))
        .route("/dashboard.css", get(assets::style))
        .route("/icon.svg", get(assets::icon))
        .route("/api/login", post(login))
        .route("/api/logout", post(logout))
        .route("/api/session", get(look_at_session))
        .route("/api/events", get(events))
        .route("/metrics", get(metrics))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(map_response(harden))
        .with_state(Arc::new(site))
}

/// Nothing from elsewhere is loaded, nothing inline is run, nobody frames the page.
async fn harden(mut response: Response) -> Response {
    const HEADERS: [(header::HeaderName, &str); 4] = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn say(status: StatusCode, sentence: &str) -> Response {
    let body = serde_json::json!({ "message": sentence }).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn index(State(site): State<Arc<Site>>) -> Response {
    if site.board.role() == Role::Active {
        return assets::index();
    }
    match site.elsewhere().await {
        Some(url) => redirect(&url),
        None => say(StatusCode::SERVICE_UNAVAILABLE, "this manager stands by, and no other one works yet"),
    }
}

fn redirect(url: &str) -> Response {
    match HeaderValue::from_str(url) {
        Ok(location) => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response(),
        Err(_) => say(StatusCode::SERVICE_UNAVAILABLE, "the working manager's address is no URL"),
    }
}

async fn metrics(State(site): State<Arc<Site>>) -> Response {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], site.board.metrics()).into_response()
}

/// The text of the request's cookies; none when they are no text.
fn cookies(headers: &HeaderMap) -> String {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.collect::<Vec<_>>().join(";")
}

async fn look_at_session(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    // Always 200: a browser's console calls other answers errors.
    let body = match site.board.role() {
        Role::Standby => serde_json::json!({ "state": "standby", "active": site.elsewhere().await }),
        Role::Active if site.is_signed_in(&cookies(&headers)) => serde_json::json!({ "state": "in" }),
        Role::Active => serde_json::json!({ "state": "out" }),
    };
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

#[derive(Deserialize)]
struct Login {
    password: String,
}

async fn login(State(site): State<Arc<Site>>, headers: HeaderMap, body: Bytes) -> Response {
    // A form of another site cannot send this type.
    if headers.get(header::CONTENT_TYPE).is_none_or(|kind| kind != "application/json") {
        return say(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send JSON: {\"password\": \"…\"}");
    }
    let Ok(Login { password }) = serde_json::from_slice(&body) else {
        return say(StatusCode::BAD_REQUEST, "send JSON: {\"password\": \"…\"}");
    };
    let Ok(_place) = site.logins.try_acquire() else {
        return say(StatusCode::TOO_MANY_REQUESTS, "others are signing in; try again in a few seconds");
    };
    let _turn = site.comparing.acquire().await.expect("the semaphore is never closed");
    let hash = match within(MONITORS_DEADLINE, site.cluster.dashboard_password()).await {
        Ok(Some(hash)) => hash,
        Ok(None) => {
            return say(StatusCode::FORBIDDEN, "no password is set; `ika dashboard password` sets one");
        }
        Err(error) => {
            tracing::info!(%error, "the monitors did not say what is kept of the password");
            return say(StatusCode::SERVICE_UNAVAILABLE, "the monitors do not answer");
        }
    };
    site.board.set_password(Some(hash.clone()));
    let signer = Signer::new(&site.key, &hash);
    // A tenth of a second of processor time: not on the thread that hears OSDs.
    let compared = tokio::task::spawn_blocking(move || hash.matches(&password)).await;
    if !compared.unwrap_or(false) {
        tracing::info!("a wrong password for the dashboard");
        tokio::time::sleep_until(instant_of(boot_clock_now() + WRONG_PASSWORD_PAUSE).into()).await;
        return say(StatusCode::UNAUTHORIZED, "that is not the password");
    }
    with_cookie(say(StatusCode::OK, "signed in"), &signer.begin(wall_clock_milliseconds()))
}

async fn logout(headers: HeaderMap) -> Response {
    if headers.get(header::CONTENT_TYPE).is_none_or(|kind| kind != "application/json") {
        return say(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send JSON");
    }
    with_cookie(say(StatusCode::OK, "signed out"), &session::end())
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    let value = HeaderValue::from_str(cookie).expect("digits and words of our own");
    response.headers_mut().insert(header::SET_COOKIE, value);
    response
}

async fn events(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    if site.board.role() == Role::Standby {
        return say(StatusCode::CONFLICT, "another manager works");
    }
    let cookies = cookies(&headers);
    if !site.is_signed_in(&cookies) {
        return say(StatusCode::UNAUTHORIZED, "not signed in");
    }
    let Ok(place) = Arc::clone(&site.pages).try_acquire_owned() else {
        return say(StatusCode::SERVICE_UNAVAILABLE, "as many pages are open as this manager serves");
    };
    let (history, updates) = site.board.watch();
    let history = stream::once(async move { event("history", &history) });
    let snapshots = WatchStream::from_changes(updates).take_while(move |_| {
        // Ends with the session, the role, or the page; then the place is free.
        let _held = &place;
        let goes_on = site.board.role() == Role::Active && site.is_signed_in(&cookies);
        async move { goes_on }
    });
    let events = history.chain(snapshots.map(|snapshot| event("snapshot", &snapshot)));
    Sse::new(infallible(events)).into_response()
}

fn infallible(events: impl Stream<Item = Event>) -> impl Stream<Item = Result<Event, Infallible>> {
    events.map(Ok)
}

fn event(name: &str, json: &[u8]) -> Event {
    Event::default().event(name).data(std::str::from_utf8(json).expect("JSON of our own is text"))
}
