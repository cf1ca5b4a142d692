//! The manager: hears what OSDs report and makes of it what operators ask for.
//!
//! Owns: the newest report of each OSD and placement group, rates, the digest for the monitors. Does not know: how
//! to change anything; it proposes, the monitors decide. A manager that dies loses nothing but a few seconds of
//! figures: OSDs report again to whoever is active.

mod collector;
mod run;
mod settings;

pub use collector::Collector;
pub use run::run;
pub use settings::ManagerSettings;
