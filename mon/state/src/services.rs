//! What the leader decides by itself, each part in one file: who is up, who is down, who is out, who serves.
//!
//! Owns: the decisions. Does not know: commands, entries, who waits for what. Each service reads the leader's memory
//! and the working map of a draft, and adds changes to that draft.

pub(crate) mod boot;
pub(crate) mod clients;
pub(crate) mod failure;
pub(crate) mod health;
pub(crate) mod history;
pub(crate) mod managers;
pub(crate) mod out;
pub(crate) mod placement_requests;
pub(crate) mod quotas;
