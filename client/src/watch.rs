//! Watching an object, and telling everybody who does.
//!
//! Owns: the task that keeps a watch alive, and the order in which its holder hears. Does not know: how the OSDs keep
//! who watches.
//!
//! A watch outlives broken sessions and changes of the primary: whenever one of these happens, and three times within
//! the time-out, the task says that it is still there. When the cluster has not heard it for the time-out, or the object
//! was removed, the watch has ended: its holder hears [`WatchEvent::Lost`], and must look at the object anew.

use std::{collections::VecDeque, fmt, time::Duration};

use bytes::Bytes;
use map::PublishedMap;
use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
    time::Instant,
};
use types::{ClientId, Error, ErrorKind, ObjectName, OsdId, Result};
use wire::{Notification, NotifyAnswer, SubOp, SubOpResult, Watcher};

use crate::{Object, driver::Request, object::unexpected};

/// How long a watcher may be silent before it counts as gone. Ceph's default.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// How often a watcher says that it is there, within the time-out: two of three may be lost.
const PINGS_PER_TIMEOUT: u32 = 3;
/// Notifications of one watch that nobody has taken yet; further ones are missed.
const UNTAKEN_MAX: usize = 256;
/// Numbers of notifications that a watch remembers, to know one that comes twice.
const REMEMBERED_MAX: usize = 256;

/// From the driver and the watch's task to its holder.
#[derive(Debug)]
pub(crate) enum WatchSignal {
    Notification(Box<Notification>),
    Lost(Error),
}

/// What a watch hears.
#[derive(Debug)]
pub enum WatchEvent {
    /// Somebody notified. Who notified waits until it is acknowledged.
    Notified(Notified),
    /// The watch has ended: notifications may have been missed, and no more will come.
    Lost(Error),
}

/// A notification that has come.
#[must_use = "who notified waits until this is acknowledged"]
pub struct Notified {
    object: Object,
    notification: Box<Notification>,
}

impl Notified {
    /// What was said.
    pub fn payload(&self) -> &Bytes {
        &self.notification.payload
    }

    /// The client that said it.
    pub fn notifier(&self) -> ClientId {
        self.notification.notifier
    }

    /// Tells the notifier that this watch has heard it, with an answer of at most 4 KiB.
    pub async fn acknowledge(self, answer: impl Into<Bytes>) -> Result<()> {
        let (notify, cookie) = (self.notification.notify, self.notification.cookie);
        self.object.run_one(SubOp::NotifyAcknowledge { notify, cookie, payload: answer.into() }).await.map(drop)
    }
}

impl fmt::Debug for Notified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Notified").field(&self.notification).finish()
    }
}

/// How a notification went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifyOutcome {
    /// Who acknowledged it, with what.
    pub answers: Vec<NotifyAnswer>,
    /// Who watched and did not acknowledge it in time, by client and cookie.
    pub missed: Vec<(ClientId, u64)>,
}

/// A watch that is held. Dropping it ends the keeping alive; the cluster forgets it after its time-out, at once with
/// [`Watch::unwatch`].
#[derive(Debug)]
pub struct Watch {
    object: Object,
    cookie: u64,
    signals: mpsc::Receiver<WatchSignal>,
    heard: VecDeque<u64>,
    keeper: AbortHandle,
}

impl Object {
    /// Watches the object, which must exist, with a time-out of 30 s.
    ///
    /// ```no_run
    /// # async fn tour(object: client::Object) -> client::Result<()> {
    /// let mut watch = object.watch().await?;
    /// while let Some(event) = watch.next().await {
    ///     match event {
    ///         client::WatchEvent::Notified(notified) => {
    ///             println!("{:?}", notified.payload());
    ///             notified.acknowledge("heard").await?;
    ///         }
    ///         client::WatchEvent::Lost(error) => return Err(error),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn watch(&self) -> Result<Watch> {
        self.watch_with_timeout(TIMEOUT_DEFAULT).await
    }

    /// The same with another time-out, from a second to an hour.
    pub async fn watch_with_timeout(&self, timeout: Duration) -> Result<Watch> {
        let cluster = self.pool().cluster();
        let cookie = cluster.unique_number();
        let (sender, signals) = mpsc::channel(UNTAKEN_MAX);
        let listen = Request::Listen { cookie, listener: sender.clone() };
        let closed = |_| Error::closed("the connection to the cluster was closed");
        self.pool().submitter().requests.send(listen).await.map_err(closed)?;
        // From here on the watch's end is the end of the listening too.
        let keeper = Keeper {
            object: self.clone(),
            cookie,
            timeout,
            maps: cluster.maps(),
            resets: cluster.resets(),
            signals: sender,
        };
        let timeout_ms = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        if let Err(error) = self.run_one(SubOp::Watch { cookie, timeout_ms }).await {
            ignore(self, cookie);
            return Err(error);
        }
        let keeper = tokio::spawn(keeper.run()).abort_handle();
        Ok(Watch { object: self.clone(), cookie, signals, heard: VecDeque::new(), keeper })
    }

    /// Tells everybody who watches the object, and waits until all have acknowledged it, at most so long (five
    /// minutes). A watcher may hear it twice when the primary changes meanwhile.
    pub async fn notify(&self, payload: impl Into<Bytes>, timeout: Duration) -> Result<NotifyOutcome> {
        let timeout_ms = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        match self.run_one(SubOp::Notify { timeout_ms, payload: payload.into() }).await? {
            SubOpResult::Notified { answers, missed } => Ok(NotifyOutcome { answers, missed }),
            _ => Err(unexpected(self.name())),
        }
    }

    /// Who watches the object.
    pub async fn watchers(&self) -> Result<Vec<Watcher>> {
        match self.run_one(SubOp::ListWatchers).await? {
            SubOpResult::Watchers(watchers) => Ok(watchers),
            _ => Err(unexpected(self.name())),
        }
    }
}

impl Watch {
    /// Tells this watch from the client's others.
    pub fn cookie(&self) -> u64 {
        self.cookie
    }

    /// The next thing to hear; `None` once the watch was lost. May be dropped without missing anything.
    pub async fn next(&mut self) -> Option<WatchEvent> {
        loop {
            match self.signals.recv().await? {
                WatchSignal::Lost(error) => {
                    self.signals.close();
                    return Some(WatchEvent::Lost(error));
                }
                WatchSignal::Notification(notification) => {
                    if self.heard.contains(&notification.notify) {
                        continue;
                    }
                    self.heard.push_back(notification.notify);
                    if self.heard.len() > REMEMBERED_MAX {
                        self.heard.pop_front();
                    }
                    return Some(WatchEvent::Notified(Notified { object: self.object.clone(), notification }));
                }
            }
        }
    }

    /// Ends the watch: when this is done nobody waits for it any more.
    pub async fn unwatch(self) -> Result<()> {
        self.keeper.abort();
        self.object.run_one(SubOp::Unwatch { cookie: self.cookie }).await.map(drop)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.keeper.abort();
        ignore(&self.object, self.cookie);
    }
}

/// The driver forgets the listener. When it has no ear for that now it keeps a closed channel until the client's end.
fn ignore(object: &Object, cookie: u64) {
    drop(object.pool().submitter().requests.try_send(Request::Ignore { cookie }));
}

/// The task that keeps one watch alive.
struct Keeper {
    object: Object,
    cookie: u64,
    timeout: Duration,
    maps: watch::Receiver<std::sync::Arc<PublishedMap>>,
    resets: watch::Receiver<u64>,
    signals: mpsc::Sender<WatchSignal>,
}

impl Keeper {
    async fn run(mut self) {
        let mut heard = Instant::now();
        loop {
            let members = self.members();
            match self.object.run_one(SubOp::WatchPing { cookie: self.cookie }).await {
                Ok(_) => heard = Instant::now(),
                // Without an answer the cluster may still count on us.
                Err(error) if error.kind == ErrorKind::Retry && heard.elapsed() < self.timeout => {}
                Err(error) => {
                    // A holder that went away need not know.
                    drop(self.signals.send(WatchSignal::Lost(error)).await);
                    return;
                }
            }
            self.wait(&members).await;
        }
    }

    /// Until it is time to say again that we are there.
    async fn wait(&mut self, members: &Members) {
        let until = Instant::now() + self.timeout / PINGS_PER_TIMEOUT;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return,
                _ = self.resets.changed() => return,
                changed = self.maps.changed() => {
                    if changed.is_err() || self.members() != *members {
                        return;
                    }
                }
            }
        }
    }

    /// Who serves the object, by the newest map.
    fn members(&mut self) -> Members {
        let map = std::sync::Arc::clone(&self.maps.borrow_and_update());
        let name: &ObjectName = self.object.name();
        let Ok((pg, _)) = map.object_pg(self.object.pool().id(), name) else { return Members::default() };
        let placement = map.place(pg);
        Members { primary: placement.acting_primary, acting: placement.acting }
    }
}

/// The members of a placement group, as far as a watch cares.
#[derive(Debug, Default, PartialEq, Eq)]
struct Members {
    primary: Option<OsdId>,
    acting: Vec<Option<OsdId>>,
}
