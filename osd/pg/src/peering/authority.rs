//! Whose log rules, and who can serve by it.

use types::{
    Epoch, LogVersion, OsdId,
    simulation::{Bug, planted},
};
use wire::PgInfo;

use super::Stage;
use crate::{Action, pg::Pg, turn::Turn};

/// What one choice came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// Nobody has a whole copy of the newest history.
    Nobody,
    /// This OSD's log rules.
    Authority(OsdId),
}

/// Ceph (`find_best_info`): the newest activation bounds from below what may have been acknowledged; whoever has a whole
/// copy and took part in it has at least that. Of those: the newest update, then the longer log, then oneself.
pub fn choose(infos: &[(OsdId, &PgInfo)], own: OsdId) -> Choice {
    let started = infos
        .iter()
        .map(|(_, info)| {
            let own_start = if info.is_whole() { info.last_epoch_started } else { Epoch::ZERO };
            info.history.last_epoch_started.max(own_start)
        })
        .max()
        .unwrap_or(Epoch::ZERO);
    let took_part = |info: &PgInfo| info.last_epoch_started >= started || planted(Bug::LastStartIgnored);
    let Some(acceptable) = infos.iter().filter(|(_, info)| took_part(info)).map(|(_, info)| info.last_update).min()
    else {
        return Choice::Nobody;
    };
    infos
        .iter()
        .filter(|(_, info)| took_part(info) && (info.is_whole() || planted(Bug::PartialCopyRules)))
        .filter(|(_, info)| info.last_update >= acceptable)
        .max_by_key(|(osd, info)| {
            let rank = if planted(Bug::ShortestLogRules) { acceptable } else { info.last_update };
            (rank, std::cmp::Reverse(info.log_tail), *osd == own, std::cmp::Reverse(*osd))
        })
        .map_or(Choice::Nobody, |(osd, _)| Choice::Authority(*osd))
}

/// Who should act, by the authoritative log's tail.
///
/// Ceph (`calc_replicated_acting`): the up primary when the log reaches it, otherwise the authority; then those of the up
/// set that the log reaches; then, up to the pool's size, others that it reaches. The rest of the up set is filled by
/// scanning while these serve.
pub fn acting_for(
    up_primary: Option<OsdId>,
    up: &[OsdId],
    acting: &[OsdId],
    others: &[OsdId],
    size: usize,
    authority: OsdId,
    reaches: impl Fn(OsdId) -> bool,
) -> Vec<OsdId> {
    let primary = up_primary.filter(|osd| reaches(*osd)).unwrap_or(authority);
    let mut wanted = vec![primary];
    for osd in up.iter().copied().filter(|osd| reaches(*osd)) {
        if !wanted.contains(&osd) {
            wanted.push(osd);
        }
    }
    for osd in acting.iter().chain(others).copied().filter(|osd| reaches(*osd)) {
        if wanted.len() < size && !wanted.contains(&osd) {
            wanted.push(osd);
        }
    }
    wanted
}

impl Pg {
    /// The account of a member that has answered, or of this one.
    pub(crate) fn info_of(&self, osd: OsdId) -> Option<&PgInfo> {
        if osd == self.config.whoami { Some(&self.info) } else { self.peers.get(&osd).map(|peer| &peer.info) }
    }

    /// The temporary acting set to ask for when that log rules, if it is another one than what acts; empty for the up set.
    pub(crate) fn acting_wish(&self, authority: OsdId) -> Option<Vec<OsdId>> {
        let tail = self.info_of(authority).map_or(LogVersion::ZERO, |info| info.log_tail);
        let reaches = |osd: OsdId| {
            let reached = |info: &PgInfo| info.is_whole() && info.last_update >= tail;
            osd == authority || self.map.is_up(osd) && self.info_of(osd).is_some_and(reached)
        };
        let up: Vec<OsdId> = self.interval.up_osds().collect();
        let acting: Vec<OsdId> = self.interval.acting_osds().collect();
        let others: Vec<OsdId> = self.peers.keys().copied().collect();
        let size = usize::try_from(self.interval.size).unwrap_or(usize::MAX);
        let wanted = acting_for(self.interval.up_primary, &up, &acting, &others, size, authority, reaches);
        if is_same_set(&wanted, &acting, self.interval.primary) {
            return None;
        }
        Some(if is_same_set(&wanted, &up, self.interval.up_primary) { Vec::new() } else { wanted })
    }

    /// Decides whose log rules and whether the acting set can serve; asks for another one when it cannot.
    pub(crate) fn choose_authority(&mut self, turn: &mut Turn<'_>) {
        self.info.last_update = self.log.head();
        self.info.log_tail = self.log.tail();
        let infos: Vec<(OsdId, &PgInfo)> = std::iter::once((self.config.whoami, &self.info))
            .chain(self.peers.iter().map(|(osd, peer)| (*osd, &peer.info)))
            .collect();
        let authority = match choose(&infos, self.config.whoami) {
            Choice::Authority(osd) => osd,
            Choice::Nobody => {
                self.peering.stage = Stage::Incomplete;
                return;
            }
        };
        if let Some(wish) = self.acting_wish(authority) {
            if self.peering.acting_wanted.as_ref() != Some(&wish) {
                self.peering.acting_wanted = Some(wish.clone());
                turn.act(Action::WantPgTemp(wish));
            }
            self.peering.stage = Stage::WaitActing;
            return;
        }
        self.peering.acting_wanted = None;
        let (head, tail) = self
            .info_of(authority)
            .map_or((LogVersion::ZERO, LogVersion::ZERO), |info| (info.last_update, info.log_tail));
        if authority != self.config.whoami && (head, tail) != (self.log.head(), self.log.tail()) {
            self.peering.log_from = Some((authority, turn.now));
            self.ask_log(authority, turn);
            self.peering.stage = Stage::GetLog;
            return;
        }
        self.begin_proof(turn);
    }
}

/// Whether these are the same OSDs under the same primary; the order of the others means nothing in a replicated pool.
fn is_same_set(wanted: &[OsdId], set: &[OsdId], primary: Option<OsdId>) -> bool {
    wanted.first().copied() == primary && wanted.len() == set.len() && wanted.iter().all(|osd| set.contains(osd))
}

#[cfg(test)]
mod tests;
