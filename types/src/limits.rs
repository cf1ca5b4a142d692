//! Every bound on what arrives from outside or grows, with its argument (FOUNDATIONS 19).
//!
//! A request just inside a bound passes, one just outside is refused with kind `Invalid`; both sides are tested
//! where the bound is enforced. Larger things are striped over objects by the client library.

/// Bytes in one object. Recovery moves objects whole at worst; 128 MiB keeps one move under a second on 1 GbE.
pub const OBJECT_BYTES_MAX: u64 = 128 << 20;
/// Payload bytes in one operation, in or out. Four of them fit the default session permit of 128 MiB.
pub const OPERATION_PAYLOAD_BYTES_MAX: usize = 32 << 20;
/// Sub-operations in one operation. The largest real users (S3 index, block images) send fewer than 20.
pub const SUB_OPERATIONS_MAX: usize = 64;
/// Bytes in a frame's encoded body; bulk data rides in the payload beside it. Holds a full page of omap keys.
pub const FRAME_BODY_BYTES_MAX: usize = 1 << 20;
/// Bytes in a frame's payload: one operation, or one recovery chunk with its attributes and omap.
pub const FRAME_PAYLOAD_BYTES_MAX: usize = OPERATION_PAYLOAD_BYTES_MAX + (16 << 20);
/// Bytes in an object's name. S3 keys have up to 1,024 bytes; escaping may double that.
pub const OBJECT_NAME_BYTES_MAX: usize = 2048;
/// Bytes in a namespace.
pub const NAMESPACE_BYTES_MAX: usize = 256;
/// Bytes in a locator key; it takes the name's place in the hash and so has its bound.
pub const LOCATOR_KEY_BYTES_MAX: usize = OBJECT_NAME_BYTES_MAX;
/// Bytes in an xattr's name.
pub const XATTR_NAME_BYTES_MAX: usize = 256;
/// Bytes in one xattr's value.
pub const XATTR_VALUE_BYTES_MAX: usize = 64 << 10;
/// Bytes of all xattrs of one object, names included: they are read and pushed together.
pub const XATTR_SUM_BYTES_MAX: usize = 1 << 20;
/// Bytes in an omap key.
pub const OMAP_KEY_BYTES_MAX: usize = 4 << 10;
/// Bytes in an omap value.
pub const OMAP_VALUE_BYTES_MAX: usize = 1 << 20;
/// Bytes of keys and values in one omap update.
pub const OMAP_BATCH_BYTES_MAX: usize = 8 << 20;
/// Keys in one page of an omap or object listing.
pub const PAGE_KEYS_MAX: usize = 1000;
/// Bytes in a pool's name.
pub const POOL_NAME_BYTES_MAX: usize = 256;
/// Replicas of a pool.
pub const POOL_SIZE_MAX: u32 = 10;
/// Bytes in the name of an object class or of one of its methods.
pub const CLASS_NAME_BYTES_MAX: usize = 64;
/// Changes that one call of a class's method may make. Each is one change of the store's transaction.
pub const CALL_EFFECTS_MAX: usize = 1024;
/// Bytes that all class methods of one operation may write together. With the operation's own payload they fit the
/// frame that carries them to the other members.
pub const CALL_EFFECT_BYTES_MAX: usize = 8 << 20;
/// Bytes that the class methods of one write may answer together. They are remembered with the request, so that a
/// repeat gets them: 1 KiB for each of the requests remembered are 3 MiB per PG at worst. Ceph's bound is 64 bytes.
pub const CALL_OUTPUTS_REMEMBERED_BYTES_MAX: usize = 1 << 10;
/// Watches of one object. They are kept in its info, about 24 bytes each, which fit an attribute's value.
pub const WATCHERS_PER_OBJECT_MAX: usize = 1500;
/// Least and most milliseconds that a watcher may be silent. Below, a busy machine loses its watches; above, somebody
/// who died is waited for by every notification.
pub const WATCH_TIMEOUT_MS_MIN: u32 = 1_000;
/// See [`WATCH_TIMEOUT_MS_MIN`].
pub const WATCH_TIMEOUT_MS_MAX: u32 = 3_600_000;
/// Milliseconds that a notification may wait for its watchers at most.
pub const NOTIFY_TIMEOUT_MS_MAX: u32 = 300_000;
/// Bytes of a notification: it is copied to each watcher.
pub const NOTIFY_PAYLOAD_BYTES_MAX: usize = 64 << 10;
/// Bytes that a watcher answers to a notification: those of all watchers fit one reply.
pub const NOTIFY_ANSWER_BYTES_MAX: usize = 4 << 10;
/// Snapshots that a write may be told to preserve, and named snapshots of one pool: they stand in the attribute of each
/// clone, at most ten bytes each, which fit an attribute's value.
pub const SNAPSHOTS_IN_CONTEXT_MAX: usize = 4096;
/// Bytes in the name of a pool's snapshot.
pub const SNAPSHOT_NAME_BYTES_MAX: usize = 256;
/// Clones of one object in one page of their listing; each names the snapshots it preserves.
pub const CLONES_PAGE_MAX: usize = 100;
/// Ranges that an object is known to share with its newest clone. Beyond it the shortest are forgotten: then more counts as
/// changed than was, never less.
pub const OVERLAP_EXTENTS_MAX: usize = 64;
/// Placement groups of one pool; Ceph's `mon_max_pool_pg_num`.
pub const POOL_PG_NUM_MAX: u32 = 65_536;
/// Highest OSD id plus one. The map holds a dense table of states; 100,000 are 10 MB.
pub const OSD_COUNT_MAX: u32 = 100_000;
/// Entries in one PG's log. What a replica missed beyond it is found by scanning instead.
pub const PG_LOG_ENTRIES_MAX: usize = 3000;
/// Entries in one PG's log below which nothing is trimmed, so that a short absence recovers by log.
pub const PG_LOG_ENTRIES_MIN: usize = 1500;
/// Encoded bytes of one PG's log. 500 PGs per OSD keep logs under 2 GiB of metadata at the very worst.
pub const PG_LOG_BYTES_MAX: usize = 4 << 20;
/// Request ids that a PG remembers beyond its log, in total.
pub const PG_REQUESTS_REMEMBERED_MAX: usize = 3000;
/// Bytes of a recovery push's data chunk.
pub const RECOVERY_CHUNK_BYTES: u64 = 4 << 20;
/// Extents in one part of what changed of an object: as many reads, small enough to be answered together.
pub const CHANGED_EXTENTS_PER_PART_MAX: usize = 256;
/// Objects in one page of a backfill or verify scan.
pub const SCAN_PAGE_OBJECTS: usize = 256;
/// Inconsistent objects in one page of a listing: each names every member's copy, with names of up to 2 KiB.
pub const INCONSISTENT_PAGE_OBJECTS: usize = 50;
/// Inconsistent objects that a placement group remembers one by one; more are only counted.
pub const INCONSISTENT_OBJECTS_MAX: usize = 1000;
/// Map increments sent in one message; a peer that lacks more gets a full map.
pub const MAP_INCREMENTS_PER_MESSAGE_MAX: usize = 100;
/// Bytes of an encoded cluster map or of a control-plane message. 10,000 OSDs with 1,000,000 upmap entries fit.
pub const CONTROL_MESSAGE_BYTES_MAX: usize = 64 << 20;
/// Words and arguments of one monitor command, encoded.
pub const COMMAND_BYTES_MAX: usize = 1 << 20;
