//! What a manager asks of others from time to time: the monitors' view of health, the dashboard's password, buckets.

use std::{convert::Infallible, time::Duration};

use client::{Cluster, Error, Result};
use telemetry::clock::{boot_clock_now, instant_of};
use tokio::time::MissedTickBehavior;

use crate::{
    board::{Board, Role},
    buckets::BucketSource,
    standing::Standing,
};

/// How often the monitors are asked.
const INTERVAL: Duration = Duration::from_secs(2);
/// How long one answer may take.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);
/// Every so many rounds what is kept of the password is read again: a changed one ends sessions so soon.
const PASSWORD_ROUNDS: u64 = 3;
/// How often buckets are looked through while a page is open: it costs a read for each shard of each.
const BUCKETS_INTERVAL: Duration = Duration::from_secs(15);
/// How long that may take.
const BUCKETS_DEADLINE: Duration = Duration::from_secs(30);
/// Buckets that are looked through: as many as a page can show.
const BUCKETS_MAX: usize = 500;

/// Asks the monitors until the future is dropped. `own_url` is where this manager's dashboard is.
pub(crate) async fn ask_monitors(cluster: &Cluster, board: &Board, own_url: &str) -> Infallible {
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut was_active, mut round) = (false, 0_u64);
    loop {
        interval.tick().await;
        round += 1;
        let is_active = board.role() == Role::Active;
        if is_active {
            note(within(ANSWER_DEADLINE, ask_status(cluster)).await, |standing| board.set_standing(standing));
        }
        if round % PASSWORD_ROUNDS == 1 {
            note(within(ANSWER_DEADLINE, cluster.dashboard_password()).await, |hash| board.set_password(hash));
        }
        if is_active && !was_active {
            // Said again until it is known.
            note(within(ANSWER_DEADLINE, say_where(cluster, own_url)).await, |()| was_active = true);
        }
        was_active &= is_active;
    }
}

/// Looks through the buckets until the future is dropped.
pub(crate) async fn ask_for_buckets(cluster: &Cluster, board: &Board, source: Option<&dyn BucketSource>) -> Infallible {
    let Some(source) = source else { return std::future::pending().await };
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        if board.role() == Role::Standby || !board.is_watched() {
            continue;
        }
        note(within(BUCKETS_DEADLINE, source.buckets(cluster, BUCKETS_MAX)).await, |rows| board.set_buckets(rows));
        interval.reset_after(BUCKETS_INTERVAL);
    }
}

async fn ask_status(cluster: &Cluster) -> Result<Standing> {
    let answer = cluster.command("status", client::CommandArguments::new(), Vec::new()).await?;
    Standing::of(boot_clock_now(), &answer)
}

async fn say_where(cluster: &Cluster, own_url: &str) -> Result<()> {
    if cluster.dashboard_url().await?.as_deref() == Some(own_url) {
        return Ok(());
    }
    cluster.set_dashboard_url(own_url).await
}

/// A manager that cannot ask shows what it knew, with its age.
fn note<T>(answer: Result<T>, use_it: impl FnOnce(T)) {
    match answer {
        Ok(answer) => use_it(answer),
        Err(error) => tracing::info!(%error, "an inquiry for the dashboard failed"),
    }
}

/// An answer, or `Retry` when it took too long.
pub(crate) async fn within<T>(deadline: Duration, asked: impl Future<Output = Result<T>>) -> Result<T> {
    let answer = tokio::time::timeout_at(instant_of(boot_clock_now() + deadline).into(), asked).await;
    answer.unwrap_or_else(|_| Err(Error::retry(format!("no answer within {} s", deadline.as_secs()))))
}
