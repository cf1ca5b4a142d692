//! The maps of this OSD: taking them in order, keeping those that are still needed, and giving them to others.
//!
//! Owns: the newest map, the increments of late, which full maps are stored, what waits for a newer map. Does not
//! know: what a placement group does with a map.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use map::{PublishedMap, decode_increment, decode_map, encode_map};
use osd_pg::SessionId;
use types::{Epoch, Error, Result, limits};
use wire::{MapShare, Message};

use crate::{
    ConfigChange, StoredOsd,
    stored::{full_key, increment_key},
};

/// A full map is stored every so many epochs: a restarted OSD applies at most this many increments beyond those that
/// its placement groups need anyway.
const FULL_MAP_EVERY: u32 = 32;
/// Increments kept in memory for peers and clients that are behind; whoever is further behind gets a full map.
const INCREMENTS_REMEMBERED_MAX: usize = 500;
/// Messages that wait for a newer map, over all sessions. Client operations are bounded by permits before they come
/// here, members repeat what is dropped.
const WAITING_MESSAGES_MAX: usize = 10_000;

/// Which maps are known, and what waits for those that are not.
#[derive(Debug, Default)]
pub(crate) struct MapGate {
    newest: Option<Arc<PublishedMap>>,
    increments: BTreeMap<Epoch, Bytes>,
    stored_increments: BTreeSet<Epoch>,
    stored_full_maps: BTreeSet<Epoch>,
    waiting: BTreeMap<Epoch, VecDeque<(SessionId, Box<Message>)>>,
    waiting_count: usize,
}

/// What a share brought.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// New maps in epoch order.
    pub maps: Vec<Arc<PublishedMap>>,
    /// What must be stored before they take effect.
    pub changes: Vec<ConfigChange>,
}

impl MapGate {
    /// The gate of an OSD that starts with these maps; also every map from the oldest stored, for its placement groups.
    pub fn open(stored: &StoredOsd) -> Result<(Self, Vec<Arc<PublishedMap>>)> {
        let mut gate = Self::default();
        let Some((_, oldest)) = stored.full_maps.first_key_value() else {
            return Ok((gate, Vec::new()));
        };
        let mut current = PublishedMap::new(decode_map(oldest)?)?;
        let mut maps = vec![current.clone()];
        // A jump leaves a gap in the increments and a full map behind it; both kinds of step are taken in order.
        loop {
            let next = current.epoch().next();
            current = if let Some(bytes) = stored.increments.get(&next) {
                gate.increments.insert(next, bytes.clone());
                current.apply(&decode_increment(bytes)?)?
            } else if let Some((_, bytes)) = stored.full_maps.range(next..).next() {
                gate.increments.clear();
                PublishedMap::new(decode_map(bytes)?)?
            } else {
                break;
            };
            maps.push(current.clone());
        }
        gate.stored_increments = stored.increments.keys().copied().collect();
        gate.stored_full_maps = stored.full_maps.keys().copied().collect();
        gate.newest = Some(current);
        gate.forget_old_increments();
        Ok((gate, maps))
    }

    /// The newest map.
    pub fn newest(&self) -> Option<&Arc<PublishedMap>> {
        self.newest.as_ref()
    }

    /// Its epoch; zero before the first.
    pub fn epoch(&self) -> Epoch {
        self.newest.as_ref().map_or(Epoch::ZERO, |map| map.epoch())
    }

    /// Takes what is new in a share. `lowest_needed` is the oldest epoch that a placement group may still ask for.
    ///
    /// A share that neither continues our maps nor brings a full one is ignored; the caller asks for what is missing.
    pub fn take(&mut self, share: &MapShare, lowest_needed: Epoch) -> Result<Taken> {
        let mut taken = Taken::default();
        let continues = share.increments.iter().any(|(epoch, _)| *epoch == self.epoch().next());
        if let Some((epoch, bytes)) = &share.full
            && *epoch > self.epoch()
            && !continues
        {
            let map = PublishedMap::new(decode_map(bytes)?)?;
            if map.epoch() != *epoch {
                return Err(Error::invalid(format!("a map said to be of epoch {epoch} is of epoch {}", map.epoch())));
            }
            self.increments.clear();
            self.store_full(&map, &mut taken);
            self.newest = Some(map.clone());
            taken.maps.push(map);
        }
        for (epoch, bytes) in &share.increments {
            let Some(current) = &self.newest else { break };
            if *epoch != current.epoch().next() {
                continue;
            }
            let map = current.apply(&decode_increment(bytes)?)?;
            taken.changes.push((increment_key(*epoch), Some(bytes.clone())));
            self.stored_increments.insert(*epoch);
            self.increments.insert(*epoch, bytes.clone());
            if epoch.0.is_multiple_of(FULL_MAP_EVERY) {
                self.store_full(&map, &mut taken);
            }
            self.newest = Some(map.clone());
            taken.maps.push(map);
        }
        self.forget_old_increments();
        self.trim(lowest_needed, &mut taken);
        Ok(taken)
    }

    /// What somebody lacks who has the map of epoch `have`.
    pub fn share_since(&self, have: Epoch) -> MapShare {
        let Some(newest) = &self.newest else {
            return MapShare::default();
        };
        let behind = usize::try_from(newest.epoch().0.saturating_sub(have.0)).unwrap_or(usize::MAX);
        let wanted: Vec<_> =
            self.increments.range(have.next()..).map(|(epoch, bytes)| (*epoch, bytes.clone())).collect();
        if have > Epoch::ZERO && behind <= limits::MAP_INCREMENTS_PER_MESSAGE_MAX && wanted.len() == behind {
            return MapShare { newest: newest.epoch(), full: None, increments: wanted };
        }
        let full = Some((newest.epoch(), encode_map(newest.map())));
        MapShare { newest: newest.epoch(), full, increments: Vec::new() }
    }

    /// Keeps a message until the map of its epoch is here. Says whether there was room.
    pub fn wait(&mut self, epoch: Epoch, session: SessionId, message: Box<Message>) -> bool {
        if self.waiting_count >= WAITING_MESSAGES_MAX {
            return false;
        }
        self.waiting_count += 1;
        self.waiting.entry(epoch).or_default().push_back((session, message));
        true
    }

    /// Messages that no longer have to wait, oldest epoch first, each session's in the order they came.
    pub fn release(&mut self) -> Vec<(SessionId, Box<Message>)> {
        let still = self.waiting.split_off(&self.epoch().next());
        let released: Vec<_> = std::mem::replace(&mut self.waiting, still).into_values().flatten().collect();
        self.waiting_count -= released.len();
        released
    }

    /// Forgets what a session that is gone had waiting.
    pub fn forget_session(&mut self, session: SessionId) {
        for queue in self.waiting.values_mut() {
            queue.retain(|(waiting, _)| *waiting != session);
        }
        self.waiting_count = self.waiting.values().map(VecDeque::len).sum();
    }

    /// Whether something waits for a newer map.
    pub fn is_waited_for(&self) -> bool {
        self.waiting_count > 0
    }

    fn store_full(&mut self, map: &Arc<PublishedMap>, taken: &mut Taken) {
        taken.changes.push((full_key(map.epoch()), Some(encode_map(map.map()))));
        self.stored_full_maps.insert(map.epoch());
    }

    fn forget_old_increments(&mut self) {
        while self.increments.len() > INCREMENTS_REMEMBERED_MAX {
            self.increments.pop_first();
        }
    }

    /// Removes what lies before the newest full map that is not newer than anything needed.
    fn trim(&mut self, lowest_needed: Epoch, taken: &mut Taken) {
        let Some(keep) = self.stored_full_maps.range(..=lowest_needed).next_back().copied() else {
            return;
        };
        let kept = self.stored_full_maps.split_off(&keep);
        let old_full = std::mem::replace(&mut self.stored_full_maps, kept);
        taken.changes.extend(old_full.into_iter().map(|epoch| (full_key(epoch), None)));
        let kept = self.stored_increments.split_off(&keep.next());
        let old_increments = std::mem::replace(&mut self.stored_increments, kept);
        taken.changes.extend(old_increments.into_iter().map(|epoch| (increment_key(epoch), None)));
    }
}
