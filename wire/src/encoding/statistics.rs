//! Tags of reports and of the manager's digest.

use super::field::{newtype, record};
use crate::{ClusterDigest, IoCounters, OsdStatistics, PgStateFlags, PgStatistics, StatisticsReport};

newtype!(PgStateFlags);
record!(IoCounters {
    1 read_ops, 2 read_bytes, 3 write_ops, 4 write_bytes, 5 recovered_objects, 6 recovered_bytes,
});
record!(PgStatistics {
    1 pg, 2 state, 3 epoch, 4 last_update, 5 up, 6 acting, 7 objects, 8 bytes, 9 degraded_copies, 10 misplaced_copies,
    11 unfound_objects, 12 last_epoch_clean, 13 io, 60 scrub,
});
record!(OsdStatistics { 1 osd, 2 usage, 3 pgs, 4 commit_latency_microseconds, 5 slow_ops, 80 recovered_bytes });
record!(StatisticsReport { 1 osd, 2 pgs });
record!(ClusterDigest {
    1 osds, 2 pools, 3 pg_states, 4 pgs_not_clean, 5 rates, 6 degraded_copies, 7 misplaced_copies, 8 copies,
    9 unfound_objects, 60 scrub_errors,
});
