//! The table itself: every command with its arguments and its help.
//!
//! Argument names are those of Ceph's commands, so that scripts that send JSON keep working.

use map::CONFIG_TEXT_BYTES_MAX;
use types::limits;

use super::{
    blocklist, config, config_key, crush_classes, crush_places, crush_tree, crush_tunables, crush_weight_sets, df,
    exceptions, general, health, health_mute, mon, osd_look, osd_state, pg, pool, pool_snapshots, status,
    table::{
        ArgumentKind::{Choice, Client, Confirm, Decimal, Flag, Integer, Osd, Osds, Pg, Pool, Text, Words},
        CONFIRM, CONFIRM_TWICE, CommandSpec, FORCE, TEXT, change, look, may, need,
    },
};
use crate::state::{KEY_BYTES_MAX, KEY_VALUE_BYTES_MAX, LOG_LINES_MAX};

const POOL_NAME: super::table::ArgumentKind = Text { bytes_max: limits::POOL_NAME_BYTES_MAX };
/// The number of a snapshot that may have been given.
const SNAPSHOT: super::table::ArgumentKind = Integer { min: 1, max: types::SnapshotId::HEAD.0 - 1 };
const SNAPSHOT_NAME: super::table::ArgumentKind = Text { bytes_max: limits::SNAPSHOT_NAME_BYTES_MAX };
const KEY: super::table::ArgumentKind = Text { bytes_max: KEY_BYTES_MAX };
const WHO: super::table::ArgumentKind = Text { bytes_max: CONFIG_TEXT_BYTES_MAX };
const OPTION: super::table::ArgumentKind = Text { bytes_max: CONFIG_TEXT_BYTES_MAX };
const ONE: u32 = 0x1_0000;
const CRUSH_WEIGHT_MAX: u32 = 10_000 << 16;

/// Every command, in order of families.
pub(crate) static TABLE: &[CommandSpec] = &[
    // general
    look("status", &[], "the cluster at a glance", status::status),
    look("health", &[may("detail", Choice(&["detail"]))], "what is wrong, if anything", health::health),
    change(
        "health mute",
        &[need("code", TEXT), may("ttl", TEXT), may("sticky", Confirm)],
        "let a check not count, for a time such as 4h or until it is over or worse",
        health_mute::mute,
    ),
    change(
        "health unmute",
        &[may("code", TEXT)],
        "let a muted check, or all of them, count again",
        health_mute::unmute,
    ),
    look("fsid", &[], "the cluster's id", general::fsid),
    look("versions", &[], "versions of the daemons", general::versions),
    look("features", &[], "what every daemon of this cluster must know", general::features),
    look("df", &[may("detail", Choice(&["detail"]))], "how full the cluster and its pools are", df::df),
    look(
        "log last",
        &[may("num", Integer { min: 1, max: LOG_LINES_MAX as u64 })],
        "the newest lines of the cluster log",
        general::log_last,
    ),
    change("log", &[need("logtext", Words)], "write a line into the cluster log", general::log_line),
    look("get_command_descriptions", &[], "this table", general::descriptions),
    look("node ls", &[], "daemons by host", general::node_ls),
    // monitors and managers
    look("mon stat", &[], "the monitors in a line", mon::mon_stat),
    look("mon dump", &[], "the monitors", mon::mon_dump),
    look("quorum_status", &[], "which monitors agree, and who leads", mon::quorum_status),
    look("mgr stat", &[], "the active manager", mon::mgr_stat),
    look("mgr dump", &[], "the managers", mon::mgr_dump),
    // OSDs
    look("osd stat", &[], "how many OSDs are up and in", osd_look::stat),
    look("osd ls", &[], "numbers of the OSDs", osd_look::ls),
    look(
        "osd tree",
        &[may("states", Choice(&["up", "down", "in", "out"]))],
        "OSDs in the placement tree",
        osd_look::tree,
    ),
    look("osd dump", &[], "the whole cluster map", osd_look::dump),
    look("osd df", &[], "how full each OSD is", df::osd_df),
    look("osd find", &[need("id", Osd)], "where an OSD is", osd_look::find),
    look(
        "osd map",
        &[need("pool", Pool), need("object", TEXT), may("nspace", TEXT)],
        "where an object is",
        pg::osd_map,
    ),
    look(
        "osd ok-to-stop",
        &[need("ids", Osds)],
        "whether all data stays available without these",
        osd_look::ok_to_stop,
    ),
    look("osd safe-to-destroy", &[need("ids", Osds)], "whether no data needs these", osd_look::safe_to_destroy),
    look("osd getmap", &[], "the cluster map in its binary form", osd_look::getmap),
    change("osd out", &[need("ids", Osds)], "let OSDs give their data to others", osd_state::out),
    change("osd in", &[need("ids", Osds)], "let OSDs take data", osd_state::mark_in),
    change("osd down", &[need("ids", Osds)], "mark OSDs down; those that live come back", osd_state::down),
    change("osd rm", &[need("ids", Osds)], "forget OSDs that are down and out of the placement tree", osd_state::rm),
    change(
        "osd destroy",
        &[need("id", Osd), FORCE, CONFIRM],
        "declare an OSD's data gone; its number stays",
        osd_state::destroy,
    ),
    change("osd purge", &[need("id", Osd), FORCE, FORCE, CONFIRM], "remove an OSD from everything", osd_state::purge),
    change("osd lost", &[need("id", Osd), CONFIRM], "go on without what only this OSD has", osd_state::lost),
    change(
        "osd reweight",
        &[need("id", Osd), need("weight", Decimal { max: ONE })],
        "let an OSD take a share of its data only",
        osd_state::reweight,
    ),
    change(
        "osd primary-affinity",
        &[need("id", Osd), need("weight", Decimal { max: ONE })],
        "how likely an OSD leads placement groups",
        osd_state::primary_affinity,
    ),
    change("osd set", &[need("key", Flag)], "set a flag of the cluster", osd_state::set_flag),
    change("osd unset", &[need("key", Flag)], "clear a flag of the cluster", osd_state::unset_flag),
    change("osd pause", &[], "let client I/O wait", osd_state::pause),
    change("osd unpause", &[], "let client I/O go on", osd_state::unpause),
    change(
        "osd set-nearfull-ratio",
        &[need("ratio", Decimal { max: ONE })],
        "from which fill level health warns",
        osd_state::set_nearfull,
    ),
    change(
        "osd set-backfillfull-ratio",
        &[need("ratio", Decimal { max: ONE })],
        "from which fill level an OSD takes no backfill",
        osd_state::set_backfillfull,
    ),
    change(
        "osd set-full-ratio",
        &[need("ratio", Decimal { max: ONE })],
        "from which fill level writes are refused",
        osd_state::set_full,
    ),
    // pools
    change(
        "osd pool create",
        &[
            need("pool", POOL_NAME),
            may("pg_num", Integer { min: 1, max: limits::POOL_PG_NUM_MAX as u64 }),
            may("pgp_num", Integer { min: 1, max: limits::POOL_PG_NUM_MAX as u64 }),
            may("pool_type", Choice(&["replicated", "erasure"])),
            may("erasure_code_profile", TEXT),
            may("rule", TEXT),
            may("expected_num_objects", Integer { min: 0, max: u64::MAX }),
            may("size", Integer { min: 1, max: limits::POOL_SIZE_MAX as u64 }),
            may("autoscale_mode", Choice(&["off"])),
        ],
        "make a pool",
        pool::create,
    ),
    look("osd pool ls", &[may("detail", Choice(&["detail"]))], "names of the pools", pool::ls),
    look("osd pool stats", &[may("pool_name", Pool)], "what the pools hold", df::pool_stats),
    change(
        "osd pool rm",
        &[need("pool", Pool), may("pool2", Pool), CONFIRM_TWICE],
        "remove a pool with all its data",
        pool::rm,
    ),
    change(
        "osd pool delete",
        &[need("pool", Pool), may("pool2", Pool), CONFIRM_TWICE],
        "remove a pool with all its data",
        pool::rm,
    ),
    change(
        "osd pool rename",
        &[need("srcpool", Pool), need("destpool", POOL_NAME)],
        "give a pool another name",
        pool::rename,
    ),
    look("osd pool get", &[need("pool", Pool), need("var", TEXT)], "a pool's setting, or `all`", pool::get),
    change(
        "osd pool set",
        &[need("pool", Pool), need("var", TEXT), need("val", TEXT), CONFIRM],
        "change a pool's setting",
        pool::set,
    ),
    change(
        "osd pool set-quota",
        &[
            need("pool", Pool),
            need("field", Choice(&["max_objects", "max_bytes"])),
            need("val", Integer { min: 0, max: u64::MAX }),
        ],
        "bound what a pool holds; zero lifts the bound",
        pool::set_quota,
    ),
    look("osd pool get-quota", &[need("pool", Pool)], "what bounds a pool", pool::get_quota),
    change(
        "osd pool mksnap",
        &[need("pool", Pool), need("snap", SNAPSHOT_NAME)],
        "make a named snapshot of all objects of a pool",
        pool_snapshots::make_named,
    ),
    change(
        "osd pool rmsnap",
        &[need("pool", Pool), need("snap", SNAPSHOT_NAME)],
        "remove a named snapshot of a pool; its space comes back in the background",
        pool_snapshots::remove_named,
    ),
    change(
        "osd pool self-managed-snap create",
        &[need("pool", Pool)],
        "give a client the number of a new snapshot, which its writes then name",
        pool_snapshots::make_numbered,
    ),
    change(
        "osd pool self-managed-snap rm",
        &[need("pool", Pool), need("snapid", SNAPSHOT)],
        "remove a client's snapshot; its space comes back in the background",
        pool_snapshots::remove_numbered,
    ),
    change(
        "osd pool application enable",
        &[need("pool", Pool), need("app", TEXT), CONFIRM],
        "say what a pool is for",
        pool::application_enable,
    ),
    change(
        "osd pool application disable",
        &[need("pool", Pool), need("app", TEXT), CONFIRM],
        "say that a pool is not for this any more",
        pool::application_disable,
    ),
    look("osd pool application get", &[may("pool", Pool)], "what pools are for", pool::application_get),
    // placement
    look("osd crush tree", &[may("show_shadow", Confirm)], "the placement tree", crush_tree::tree),
    look("osd crush dump", &[], "the placement hierarchy", crush_tree::dump),
    look("osd crush rule ls", &[], "names of the placement rules", crush_tree::rule_ls),
    look("osd crush rule dump", &[may("name", TEXT)], "the placement rules", crush_tree::rule_dump),
    change(
        "osd crush rule create-replicated",
        &[need("name", TEXT), need("root", TEXT), need("type", TEXT), may("class", TEXT)],
        "make a rule that puts each copy into another bucket of a type",
        crush_tree::rule_create_replicated,
    ),
    change("osd crush rule rm", &[need("name", TEXT)], "remove a rule that no pool uses", crush_tree::rule_rm),
    change(
        "osd crush rule rename",
        &[need("srcname", TEXT), need("dstname", TEXT)],
        "give a rule another name",
        crush_tree::rule_rename,
    ),
    change(
        "osd crush add-bucket",
        &[need("name", TEXT), need("type", TEXT), may("args", Words)],
        "make a bucket, at a place such as root=default",
        crush_tree::add_bucket,
    ),
    change(
        "osd crush move",
        &[need("name", TEXT), need("args", Words)],
        "move a bucket or an OSD to a place such as rack=r1 root=default",
        crush_tree::move_item,
    ),
    change(
        "osd crush set",
        &[need("id", Osd), need("weight", Decimal { max: CRUSH_WEIGHT_MAX }), need("args", Words)],
        "put an OSD at a place with a weight",
        crush_tree::set_item,
    ),
    change(
        "osd crush reweight",
        &[need("name", TEXT), need("weight", Decimal { max: CRUSH_WEIGHT_MAX })],
        "set an OSD's weight in the placement tree",
        crush_tree::reweight,
    ),
    change(
        "osd crush reweight-subtree",
        &[need("name", TEXT), need("weight", Decimal { max: CRUSH_WEIGHT_MAX })],
        "set the weight of every OSD below a bucket",
        crush_tree::reweight_subtree,
    ),
    change("osd crush rm", &[need("name", TEXT)], "remove an OSD or an empty bucket from the tree", crush_tree::rm),
    change("osd crush remove", &[need("name", TEXT)], "remove an OSD or an empty bucket from the tree", crush_tree::rm),
    change(
        "osd crush rename-bucket",
        &[need("srcname", TEXT), need("dstname", TEXT)],
        "give a bucket another name",
        crush_tree::rename_bucket,
    ),
    change(
        "osd crush set-device-class",
        &[need("class", TEXT), need("ids", Osds)],
        "give OSDs a device class",
        crush_tree::set_device_class,
    ),
    change(
        "osd crush rm-device-class",
        &[need("ids", Osds)],
        "take OSDs' device class away",
        crush_tree::rm_device_class,
    ),
    change(
        "osd crush create-or-move",
        &[need("id", Osd), need("weight", Decimal { max: CRUSH_WEIGHT_MAX }), need("args", Words)],
        "put an OSD at a place, with this weight if it is new",
        crush_places::create_or_move,
    ),
    change(
        "osd crush add",
        &[need("id", Osd), need("weight", Decimal { max: CRUSH_WEIGHT_MAX }), need("args", Words)],
        "put an OSD at a place with a weight",
        crush_tree::set_item,
    ),
    change(
        "osd crush link",
        &[need("name", TEXT), need("args", Words)],
        "put a bucket at one more place such as root=fast",
        crush_places::link,
    ),
    change(
        "osd crush unlink",
        &[need("name", TEXT), may("ancestor", TEXT)],
        "take an item out of a bucket, or out of all",
        crush_places::unlink,
    ),
    change(
        "osd crush swap-bucket",
        &[need("source", TEXT), need("dest", TEXT), CONFIRM],
        "exchange what is in two buckets",
        crush_places::swap_bucket,
    ),
    change(
        "osd crush rule create-simple",
        &[need("name", TEXT), need("root", TEXT), need("type", TEXT), may("mode", Choice(&["firstn", "indep"]))],
        "make a rule that puts each copy into another bucket of a type",
        crush_tree::rule_create_simple,
    ),
    change(
        "osd crush rule create-erasure",
        &[need("name", TEXT), may("profile", TEXT)],
        "make a rule that puts each shard on another host",
        crush_tree::rule_create_erasure,
    ),
    look("osd crush class ls-osd", &[need("class", TEXT)], "the OSDs of a device class", crush_classes::ls_osd),
    change("osd crush class create", &[need("class", TEXT)], "make a device class", crush_classes::create),
    change("osd crush class rm", &[need("class", TEXT)], "remove a device class that no rule uses", crush_classes::rm),
    change(
        "osd crush class rename",
        &[need("srcname", TEXT), need("dstname", TEXT)],
        "give a device class another name",
        crush_classes::rename,
    ),
    look(
        "osd crush get-device-class",
        &[need("ids", Osds)],
        "the device classes of OSDs",
        crush_classes::get_device_class,
    ),
    look("osd crush show-tunables", &[], "how placement chooses", crush_tunables::show),
    change(
        "osd crush tunables",
        &[need(
            "profile",
            Choice(&["legacy", "argonaut", "bobtail", "firefly", "hammer", "jewel", "optimal", "default"]),
        )],
        "let placement choose as a release of Ceph did",
        crush_tunables::set_profile,
    ),
    change(
        "osd crush set-tunable",
        &[need("tunable", Choice(&["straw_calc_version"])), need("value", Integer { min: 0, max: 1 })],
        "set one tunable",
        crush_tunables::set_one,
    ),
    look(
        "osd crush get-tunable",
        &[need("tunable", Choice(&["straw_calc_version"]))],
        "one tunable",
        crush_tunables::get_one,
    ),
    look("osd crush weight-set ls", &[], "which weight sets there are", crush_weight_sets::ls),
    look("osd crush weight-set dump", &[], "the weight sets", crush_weight_sets::dump),
    change(
        "osd crush weight-set create-compat",
        &[],
        "make the weight set for all pools",
        crush_weight_sets::create_compat,
    ),
    change(
        "osd crush weight-set create",
        &[need("pool", Pool), need("mode", Choice(&["flat", "positional"]))],
        "make a weight set for a pool",
        crush_weight_sets::create,
    ),
    change("osd crush weight-set rm-compat", &[], "remove the weight set for all pools", crush_weight_sets::rm_compat),
    change("osd crush weight-set rm", &[need("pool", Pool)], "remove a pool's weight set", crush_weight_sets::rm),
    change(
        "osd crush weight-set reweight-compat",
        &[need("item", TEXT), need("weight", Decimal { max: CRUSH_WEIGHT_MAX })],
        "set an item's weight in the weight set for all pools",
        crush_weight_sets::reweight_compat,
    ),
    change(
        "osd crush weight-set reweight",
        &[need("pool", Pool), need("item", TEXT), need("weight", Words)],
        "set an item's weights in a pool's weight set: one, or one per position",
        crush_weight_sets::reweight,
    ),
    look("osd crush class ls", &[], "names of the device classes", crush_tree::class_ls),
    look("osd getcrushmap", &[], "the placement hierarchy in Ceph's binary form", crush_tree::getcrushmap),
    change("osd setcrushmap", &[], "replace the placement hierarchy by the input", crush_tree::setcrushmap),
    // exceptions to placement
    change("osd pg-temp", &[need("pgid", Pg), may("id", Osds)], "set a temporary acting set", exceptions::pg_temp),
    change(
        "osd primary-temp",
        &[need("pgid", Pg), need("id", Osd)],
        "set a temporary primary",
        exceptions::primary_temp,
    ),
    change("osd rm-primary-temp", &[need("pgid", Pg)], "clear a temporary primary", exceptions::rm_primary_temp),
    change("osd pg-upmap", &[need("pgid", Pg), need("id", Osds)], "place a group on these OSDs", exceptions::pg_upmap),
    change("osd rm-pg-upmap", &[need("pgid", Pg)], "clear such an exception", exceptions::rm_pg_upmap),
    change(
        "osd pg-upmap-items",
        &[need("pgid", Pg), need("id", Osds)],
        "replace OSDs of a group: pairs of from and to",
        exceptions::pg_upmap_items,
    ),
    change("osd rm-pg-upmap-items", &[need("pgid", Pg)], "clear such exceptions", exceptions::rm_pg_upmap_items),
    change(
        "osd pg-upmap-primary",
        &[need("pgid", Pg), need("id", Osd)],
        "let an OSD of its up set lead a group",
        exceptions::pg_upmap_primary,
    ),
    change("osd rm-pg-upmap-primary", &[need("pgid", Pg)], "clear such an exception", exceptions::rm_pg_upmap_primary),
    // fences
    change(
        "osd blocklist add",
        &[need("client", Client), may("expire", Integer { min: 1, max: 365 * 24 * 3600 })],
        "fence a client for so many seconds",
        blocklist::add,
    ),
    change("osd blocklist rm", &[need("client", Client)], "lift a fence", blocklist::rm),
    look("osd blocklist ls", &[], "fenced clients", blocklist::ls),
    // placement groups
    look("pg stat", &[], "placement groups in a line", pg::stat),
    look("pg dump", &[], "every placement group", pg::dump),
    look("pg ls-by-pool", &[need("poolstr", Pool)], "the placement groups of a pool", pg::ls_by_pool),
    look(
        "pg list-inconsistent",
        &[need("pool", Pool)],
        "placement groups of a pool with objects that scrubs found inconsistent",
        pg::list_inconsistent,
    ),
    look("pg map", &[need("pgid", Pg)], "where a placement group is", pg::map_of),
    // settings
    change(
        "config set",
        &[need("who", WHO), need("name", OPTION), need("value", TEXT)],
        "set an option for everybody, a kind of daemon, one daemon, or OSDs of a class or place",
        config::set,
    ),
    change("config rm", &[need("who", WHO), need("name", OPTION)], "forget what was set", config::rm),
    look("config get", &[need("who", WHO), may("key", OPTION)], "what was set for somebody", config::get),
    look("config dump", &[], "everything that was set", config::dump),
    look("config show", &[need("who", WHO)], "every option of a daemon, and who set it", config::show),
    look("config ls", &[], "names of the options", config::ls),
    look("config help", &[need("key", OPTION)], "what an option does and takes", config::help),
    look("config log", &[may("num", Integer { min: 1, max: 1000 })], "who changed what when", config::log),
    change(
        "config reset",
        &[need("num", Integer { min: 0, max: u64::MAX })],
        "go back to the settings of a version of `config log`",
        config::reset,
    ),
    // key/value store
    change(
        "config-key set",
        &[need("key", KEY), may("val", Text { bytes_max: KEY_VALUE_BYTES_MAX })],
        "store a value; without one, the input",
        config_key::set,
    ),
    look("config-key get", &[need("key", KEY)], "a stored value", config_key::get),
    look("config-key exists", &[need("key", KEY)], "whether a value is stored", config_key::exists),
    look("config-key ls", &[], "keys of stored values", config_key::ls),
    change("config-key rm", &[need("key", KEY)], "remove a stored value", config_key::rm),
];
