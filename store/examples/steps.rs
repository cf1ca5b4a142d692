//! Commits 4 KiB overwrites from one thread, always the same: what an instruction counter runs.
//!
//! `steps MODE TRANSACTIONS`; `memory` keeps metadata in memory, `rocks` in a database in a new temporary folder.

use std::{error::Error, sync::Arc};

use store::{KeyValue, MemoryKeyValue, RocksKeyValue, bench_steps};

/// Transactions in each journal group.
const DEPTH: u64 = 32;
/// Memory of the database: half of what an OSD's store has by default.
const DATABASE_BYTES: usize = 128 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, mode, transactions] = &arguments[..] else { return Err("steps memory|rocks TRANSACTIONS".into()) };
    let folder = tempfile::tempdir()?;
    let keys: Arc<dyn KeyValue> = match mode.as_str() {
        "memory" => Arc::new(MemoryKeyValue::new()),
        "rocks" => Arc::new(RocksKeyValue::create(&folder.path().join("db"), DATABASE_BYTES)?),
        other => return Err(format!("no mode {other}: memory or rocks").into()),
    };
    bench_steps(keys, transactions.parse()?, DEPTH)?;
    Ok(())
}
