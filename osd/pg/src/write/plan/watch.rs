//! Who watches the object, as steps change it.

use types::{Error, limits};
use wire::{SubOpResult, Watcher};

use super::Planner;

impl Planner<'_> {
    /// Where the caller's watch stands among all, or where it would.
    fn watch_place(&self, cookie: u64) -> Result<usize, usize> {
        self.watchers.binary_search_by_key(&(self.client, cookie), |watcher| (watcher.client, watcher.cookie))
    }

    pub(super) fn own_watch(&self, cookie: u64) -> Option<&Watcher> {
        self.watch_place(cookie).ok().map(|place| &self.watchers[place])
    }

    pub(super) fn watch(&mut self, cookie: u64, timeout_ms: u32) -> Result<SubOpResult, Error> {
        self.existing()?;
        let watcher = Watcher { client: self.client, cookie, timeout_ms };
        match self.watch_place(cookie) {
            Ok(place) => self.watchers[place] = watcher,
            Err(_) if self.watchers.len() >= limits::WATCHERS_PER_OBJECT_MAX => {
                let limit = limits::WATCHERS_PER_OBJECT_MAX;
                return Err(Error::full(format!("the object is watched {limit} times, which is the limit")));
            }
            Err(place) => self.watchers.insert(place, watcher),
        }
        self.changed = None;
        Ok(SubOpResult::Done)
    }

    /// Ceph: ending a watch that is not there succeeds.
    pub(super) fn unwatch(&mut self, cookie: u64) -> Result<SubOpResult, Error> {
        self.existing()?;
        if let Ok(place) = self.watch_place(cookie) {
            self.watchers.remove(place);
            self.changed = None;
        }
        Ok(SubOpResult::Done)
    }
}
