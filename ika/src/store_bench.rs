//! `ika store bench`: measuring a store of its own.

use anyhow::Result;
use serde_json::{Value, json};
use store::{
    BenchLimit, BenchLoad, BenchMedium, BenchOrder, BenchRound, BenchRow, BenchSettings, BenchWork, StoreOptions, bench,
};

use crate::arguments::{Bench, Medium, Work};

/// Without loads on the command line: those that the store promises figures for.
const LOADS: [(Work, BenchOrder, u64, usize); 5] = [
    (Work::Overwrite, BenchOrder::Random, 4 << 10, 1),
    (Work::Overwrite, BenchOrder::Random, 4 << 10, 32),
    (Work::Overwrite, BenchOrder::Random, 4 << 20, 4),
    (Work::Read, BenchOrder::Random, 4 << 10, 32),
    (Work::Read, BenchOrder::Random, 4 << 20, 4),
];

/// Measures and prints.
pub fn measure(options: &Bench) -> Result<()> {
    let settings = settings(options);
    let mut rows = Vec::new();
    if !options.json {
        println!("{HEAD}");
    }
    bench(&settings, |row| {
        if options.json {
            rows.push(json_of(row));
        } else {
            println!("{}", line_of(row));
        }
    })?;
    if options.json {
        println!("{:#}", Value::Array(rows));
    }
    Ok(())
}

fn settings(options: &Bench) -> BenchSettings {
    let work = |work: Work| match work {
        Work::Overwrite => BenchWork::Overwrite,
        Work::New => BenchWork::New,
        Work::Read => BenchWork::Read,
    };
    let load = |(kind, order, block_bytes, depth)| BenchLoad { work: work(kind), order, block_bytes, depth };
    let order = if options.sequential { BenchOrder::Sequential } else { BenchOrder::Random };
    let mut loads = Vec::new();
    for kind in &options.work {
        for block in &options.block {
            loads.extend(options.depth.iter().map(|depth| load((*kind, order, *block, *depth))));
        }
    }
    if loads.is_empty() {
        loads = LOADS.into_iter().map(load).collect();
    }
    let medium = match options.medium {
        Medium::Folder => BenchMedium::Folder(options.folder.clone()),
        Medium::Memory => BenchMedium::Memory,
    };
    let memory_bytes = options.memory.and_then(|bytes| usize::try_from(bytes).ok());
    let store = StoreOptions { journal_bytes: options.journal, ..StoreOptions::default() };
    BenchSettings {
        medium,
        loads,
        rounds: options.rounds,
        milliseconds: options.milliseconds,
        data_bytes: options.data,
        object_bytes: options.object,
        store: memory_bytes.map_or(store, |memory_bytes| StoreOptions { memory_bytes, ..store }),
        with_limits: !options.no_fio,
        seed: options.seed,
    }
}

const HEAD: &str = "\
| load | ops/s | MB/s | of fio, batched | of fio, joined | mean us | p50 | p99 | p99.9 | CPU us/op | device B/B | keys B/B | process B/B | per flush |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |";

fn name_of(load: &BenchLoad) -> String {
    let work = match load.work {
        BenchWork::Overwrite => "overwrite",
        BenchWork::New => "new",
        BenchWork::Read => "read",
    };
    let order = match load.order {
        BenchOrder::Random => "random",
        BenchOrder::Sequential => "sequential",
    };
    let block = match load.block_bytes {
        bytes if bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        bytes => format!("{} KiB", bytes >> 10),
    };
    format!("{work} {order} {block}, depth {}", load.depth)
}

/// The medians of a row; least and most where rounds are compared with a limit.
fn line_of(row: &BenchRow) -> String {
    let median =
        |figure: fn(&BenchRound) -> f64| row.spread(|round| Some(figure(round))).map_or(0.0, |[median, ..]| median);
    let share = |limit| {
        row.share_of(limit).map_or("–".to_owned(), |[median, least, most]| {
            format!("{:.0} % ({:.0}–{:.0})", median * 100.0, least * 100.0, most * 100.0)
        })
    };
    let rate = median(|round| round.rate);
    format!(
        "| {} | {rate:.0} | {:.1} | {} | {} | {:.0} | {:.0} | {:.0} | {:.0} | {:.1} | {:.2} | {:.2} | {:.2} | {:.1} |",
        name_of(&row.load),
        rate * row.load.block_bytes as f64 / 1e6,
        share(BenchLimit::Batched),
        share(BenchLimit::Joined),
        median(|round| round.latency_mean),
        median(|round| round.latency_percentiles[0]),
        median(|round| round.latency_percentiles[1]),
        median(|round| round.latency_percentiles[2]),
        median(|round| round.processor_per_operation),
        median(|round| round.device_bytes_per_byte),
        median(|round| round.key_value_bytes_per_byte),
        median(|round| round.process_bytes_per_byte),
        median(|round| round.records_per_group),
    )
}

fn json_of(row: &BenchRow) -> Value {
    let limit_name = |limit| match limit {
        BenchLimit::Batched => "batched",
        BenchLimit::Joined => "joined",
    };
    let round = |round: &BenchRound| {
        let limits: serde_json::Map<String, Value> =
            round.limits.iter().map(|(limit, rate)| (limit_name(*limit).to_owned(), json!(rate))).collect();
        json!({
            "operations_per_second": round.rate,
            "latency_us": {
                "mean": round.latency_mean,
                "p50": round.latency_percentiles[0],
                "p99": round.latency_percentiles[1],
                "p99_9": round.latency_percentiles[2],
            },
            "processor_us_per_operation": round.processor_per_operation,
            "written_bytes_per_byte": {
                "device": round.device_bytes_per_byte,
                "key_value": round.key_value_bytes_per_byte,
                "process": round.process_bytes_per_byte,
            },
            "transactions_per_flush": round.records_per_group,
            "fio_operations_per_second": limits,
        })
    };
    json!({
        "load": name_of(&row.load),
        "block_bytes": row.load.block_bytes,
        "depth": row.load.depth,
        "rounds": row.rounds.iter().map(round).collect::<Vec<_>>(),
        "share_of_fio_batched": row.share_of(BenchLimit::Batched),
        "share_of_fio_joined": row.share_of(BenchLimit::Joined),
        "key_value_memory_bytes": row.key_value_memory_bytes,
        "hit_rates": { "headers": row.hit_rates[0], "segments": row.hit_rates[1], "key_value": row.hit_rates[2] },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> BenchRow {
        let round = BenchRound {
            rate: 1000.0,
            latency_mean: 1.0,
            latency_percentiles: [1.0, 2.0, 3.0],
            processor_per_operation: 9.0,
            device_bytes_per_byte: 2.0,
            key_value_bytes_per_byte: 0.1,
            process_bytes_per_byte: 2.1,
            records_per_group: 16.0,
            limits: vec![(BenchLimit::Batched, 2000.0)],
        };
        BenchRow {
            load: BenchLoad { work: BenchWork::Overwrite, order: BenchOrder::Random, block_bytes: 4096, depth: 32 },
            rounds: vec![round],
            key_value_memory_bytes: 7,
            hit_rates: [1.0, 0.5, 0.25],
        }
    }

    #[test]
    fn a_line_has_a_cell_for_each_column_and_json_the_same_figures() {
        let line = line_of(&row());
        assert_eq!(line.matches('|').count(), HEAD.lines().next().expect("a head").matches('|').count());
        assert!(line.contains("overwrite random 4 KiB, depth 32") && line.contains("50 % (50–50)"), "{line}");
        let json = json_of(&row());
        assert_eq!(json["rounds"][0]["fio_operations_per_second"]["batched"], json!(2000.0));
        assert_eq!(json["share_of_fio_joined"], Value::Null);
    }
}
