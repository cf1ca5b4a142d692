//! Real processes: what they survive, and what an operator sees of their lives.

mod full;
mod kill;
mod life;
mod quota;
mod recovery;
mod snapshots;
mod stopped_store;
mod storm;
