//! The manager's HTTP face: the dashboard behind a password, and `/metrics` for whoever may reach the port.
//!
//! | path | who | what |
//! | --- | --- | --- |
//! | `/`, `/dashboard.js`, `/dashboard.css`, `/icon.svg` | everybody | the page, from this binary |
//! | `POST /api/login`, `POST /api/logout` | everybody | a session begins, ends |
//! | `/api/session` | everybody | `in`, `out`, or `standby` with the address of the manager that works |
//! | `/api/events` | a session | server-sent events: `history` once, then `snapshot` each second |
//! | `/metrics` | everybody | figures for Prometheus |
//!
//! A manager on standby sends browsers to the one that works and tells Prometheus of itself.

mod assets;
mod routes;
mod server;
mod session;

pub(crate) use routes::{Site, router};
pub(crate) use server::serve;
