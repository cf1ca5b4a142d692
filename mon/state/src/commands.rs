//! Every command of the monitors: Ceph's grammar in one declared table.
//!
//! Owns: the table and who is asked. Each family of commands has its file. Does not know: who waits for the answer,
//! or how a change becomes an entry.

mod arguments;
mod blocklist;
mod config;
mod config_key;
mod crush_classes;
mod crush_places;
mod crush_tree;
mod crush_tunables;
mod crush_weight_sets;
mod df;
pub(crate) mod dry_run;
mod exceptions;
mod general;
pub(crate) mod health;
pub(crate) mod health_mute;
mod mon;
mod osd_look;
mod osd_state;
mod pg;
mod pool;
mod pool_snapshots;
mod status;
mod suggest;
mod table;
mod tables;
pub(crate) mod view;

pub(crate) use arguments::{Arguments, parse};
pub(crate) use table::{DRY_RUN, Handler};
pub(crate) use tables::TABLE;
