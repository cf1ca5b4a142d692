//! The primary takes over the authoritative log when its own is another one.

use types::{
    LogVersion, OsdId,
    simulation::{Bug, planted},
};
use wire::{MissingSet, PgBody, PgInfo, PgLogSlice};

use super::Stage;
use crate::{
    missing::{Divergence, merge},
    pg::{Pending, Pg, remove_ops},
    turn::Turn,
};

impl Pg {
    pub(crate) fn ask_log(&self, from: OsdId, turn: &mut Turn<'_>) {
        // The whole log: only the entries themselves tell where the two logs part.
        self.send(from, PgBody::QueryLog { since: LogVersion::ZERO }, turn);
    }

    /// Asked by a primary.
    pub(crate) fn answer_log(&mut self, from: OsdId, since: LogVersion, turn: &mut Turn<'_>) {
        if !self.peering.interval_stored {
            return;
        }
        let PgBody::Info { info, .. } = self.own_account(turn.now) else { unreachable!("an account is an `Info`") };
        let log = self.log.slice_after(since, self.remembered.to_vec());
        let body = PgBody::Log { info, log, missing: self.missing.objects().clone() };
        self.send(from, body, turn);
    }

    /// The authoritative log has come.
    pub(crate) fn hear_log(
        &mut self,
        from: OsdId,
        info: PgInfo,
        slice: &PgLogSlice,
        missing: MissingSet,
        turn: &mut Turn<'_>,
    ) {
        let awaited = self.peering.stage == Stage::GetLog && self.peering.log_from.is_some_and(|(osd, _)| osd == from);
        if !awaited {
            return;
        }
        let remove = match self.merge_slice(slice) {
            Ok(remove) => remove,
            Err(error) => {
                tracing::error!(pg = %self.pg, %from, %error, "the authoritative log does not join the log here");
                return;
            }
        };
        // One commit: a copy with the authority's log and other counts must not survive a crash.
        self.info.last_user_version = self.info.last_user_version.max(info.last_user_version);
        self.info.objects = info.objects;
        self.info.bytes = info.bytes;
        self.commit(remove_ops(remove), Pending::Logged(self.log.head()), Vec::new(), turn);
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.info = info;
            peer.missing = missing;
        }
        self.peering.log_from = None;
        self.begin_proof(turn);
    }

    /// Merges log, missing set and remembered requests; says which objects must go from the store.
    pub(crate) fn merge_slice(
        &mut self,
        slice: &PgLogSlice,
    ) -> types::Result<std::collections::BTreeSet<types::ObjectId>> {
        let divergence = if planted(Bug::DivergentEntriesKept) { Divergence::Kept } else { Divergence::Undone };
        let cursor = self.info.backfill.clone();
        let remove = merge(&mut self.log, &mut self.missing, &cursor, slice, divergence, &mut self.changes)?;
        if !planted(Bug::RememberedAnswersNotCopied) {
            self.remember(&slice.requests);
        }
        self.info_changed = true;
        self.info.last_update = self.log.head();
        Ok(remove)
    }

    pub(crate) fn remember(&mut self, outcomes: &[wire::RequestOutcome]) {
        for outcome in outcomes {
            self.remembered.insert(outcome.clone(), self.config.requests_remembered_max, &mut self.changes);
        }
    }
}
