//! The S3 gateway of a fresh cluster under load, alone or beside another S3 service on the same machine.
//!
//! Both are measured with every load in turn, A B A B, so that a machine that is busy for a while slows both. Objects
//! are new ones in every round: nobody has anything to throw away while the clock runs. What was written is deleted
//! after each round, outside of the figures.

mod cluster;
mod load;
mod service;

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, bail};
use hyper::Method;
use telemetry::clock::{boot_clock_now, instant_of};

use cluster::OwnCluster;
use load::{End, Figures, Load, Order};
use service::Service;

/// Requests in flight, except for listings.
const IN_FLIGHT: usize = 16;
/// Sizes of objects.
const SIZES: [(&str, usize); 2] = [("4 KiB", 4 << 10), ("4 MiB", 4 << 20)];
/// Keys of the bucket that is listed.
const LISTED: usize = 10_000;
/// Between two measurements: what the one before left to be written in the background shall not be paid by the next.
const PAUSE: Duration = Duration::from_secs(2);
/// Bytes that a measurement writes at most, however fast it is: three copies of them fit devices of a few GiB, which is
/// what a service beside ours may have been given.
const WRITTEN_BYTES_MAX: usize = 1536 << 20;

const BUCKET: &str = "ika-bench";
const BUCKET_LISTED: &str = "ika-bench-listed";

/// What the command line says.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Of each measurement.
    pub seconds: u32,
    /// How often everything is measured.
    pub rounds: u32,
    /// Whether the service of the variables `PEER_…` is measured too.
    pub compare: bool,
    /// Only loads whose name has this in it: `4 KiB`, `4 MiB`, `LIST`.
    pub only: String,
}

impl Options {
    /// `--seconds N`, `--rounds N`, `--compare`, `--only TEXT`.
    pub fn parse(words: &[&str]) -> Result<Self> {
        let mut options = Self { seconds: 10, rounds: 3, compare: false, only: String::new() };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if *word == "--only" {
                (*words.next().context("--only wants a text")?).clone_into(&mut options.only);
                continue;
            }
            let mut number = || -> Result<u32> {
                let number = words.next().and_then(|number| number.parse().ok()).filter(|number| *number > 0);
                number.with_context(|| format!("{word} wants a number above 0"))
            };
            match *word {
                "--seconds" => options.seconds = number()?,
                "--rounds" => options.rounds = number()?,
                "--compare" => options.compare = true,
                other => bail!("`{other}` is none of --seconds N, --rounds N, --compare, --only TEXT"),
            }
        }
        Ok(options)
    }
}

/// Figures of all rounds, by what was measured (in order) and by service.
type Found = BTreeMap<(usize, String, usize), Vec<Figures>>;

pub(crate) fn run(options: Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start the runtime")?;
    let peer = if options.compare { Some(Service::peer()?) } else { None };
    let cluster = OwnCluster::start()?;
    let measured = cluster.service().and_then(|own| {
        let services: Vec<Service> = std::iter::once(own).chain(peer).collect();
        let found = tokio::task::LocalSet::new().block_on(&runtime, measure(&cluster, &services, &options))?;
        Ok((services, found))
    });
    let memory = cluster.gateway_memory_peak();
    cluster.end()?;
    let (services, found) = measured?;
    print!("{}", table(&services, &found));
    println!("\nMost memory of the gateway: {} MiB.", memory? >> 20);
    Ok(())
}

async fn measure(cluster: &OwnCluster, services: &[Service], options: &Options) -> Result<Found> {
    let mut found = Found::new();
    for service in services {
        load::make_bucket(service, BUCKET).await?;
        load::make_bucket(service, BUCKET_LISTED).await?;
        if !"LIST".contains(&options.only) {
            continue;
        }
        eprintln!("bench: {} gets {LISTED} keys to list", service.name);
        let filling = Load {
            method: Method::PUT,
            bucket: BUCKET_LISTED.to_owned(),
            prefix: "listed/".to_owned(),
            keys: LISTED,
            bytes: 16,
            in_flight: IN_FLIGHT,
            order: Order::in_turn(),
            end: End::AfterAll,
        };
        load::run(service, filling).await.with_context(|| format!("fill {}", service.name))?;
    }
    for round in 0..options.rounds {
        for (kind, (size, bytes)) in SIZES.into_iter().enumerate() {
            if !size.contains(&options.only) {
                continue;
            }
            let mut made = Vec::new();
            for method in [Method::PUT, Method::GET] {
                for (at, service) in services.iter().enumerate() {
                    pause().await;
                    let what = format!("{method} {size}, {IN_FLIGHT} in flight");
                    let load = Load {
                        prefix: prefix(round, bytes),
                        bucket: BUCKET.to_owned(),
                        keys: made.get(at).copied().unwrap_or(WRITTEN_BYTES_MAX / bytes),
                        order: if method == Method::PUT { Order::in_turn() } else { Order::random() },
                        method: method.clone(),
                        bytes,
                        in_flight: IN_FLIGHT,
                        end: End::At(boot_clock_now() + seconds(options)),
                    };
                    let figures =
                        load::run(service, load).await.with_context(|| format!("{what} at {}", service.name))?;
                    eprintln!("bench: round {round}: {what}: {}: {:.1}/s", service.name, figures.per_second);
                    if method == Method::PUT {
                        made.push(figures.count);
                    }
                    let row = 2 * kind + usize::from(method == Method::GET);
                    found.entry((row, what, at)).or_default().push(figures);
                }
            }
            clean(cluster, services, round, bytes, &made).await?;
        }
        for (at, service) in services.iter().enumerate().filter(|_| "LIST".contains(&options.only)) {
            pause().await;
            let deadline = boot_clock_now() + seconds(options);
            let figures = load::list(service, BUCKET_LISTED, LISTED, deadline).await?;
            eprintln!("bench: round {round}: LIST: {}: {:.1}/s", service.name, figures.per_second);
            found.entry((2 * SIZES.len(), format!("LIST of {LISTED} keys"), at)).or_default().push(figures);
        }
    }
    Ok(found)
}

fn seconds(options: &Options) -> Duration {
    Duration::from_secs(options.seconds.into())
}

fn prefix(round: u32, bytes: usize) -> String {
    format!("{round}/{bytes}/")
}

async fn pause() {
    tokio::time::sleep_until(instant_of(boot_clock_now() + PAUSE).into()).await;
}

/// Deletes what the round wrote.
async fn clean(cluster: &OwnCluster, services: &[Service], round: u32, bytes: usize, made: &[usize]) -> Result<()> {
    for (service, keys) in services.iter().zip(made) {
        let deletion = Load {
            method: Method::DELETE,
            bucket: BUCKET.to_owned(),
            prefix: prefix(round, bytes),
            keys: *keys,
            bytes: 0,
            in_flight: IN_FLIGHT,
            order: Order::in_turn(),
            end: End::AfterAll,
        };
        load::run(service, deletion).await.with_context(|| format!("clean {}", service.name))?;
    }
    cluster.collect_garbage()
}

fn median(figures: &[Figures], of: impl Fn(&Figures) -> f64) -> f64 {
    let mut values: Vec<f64> = figures.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A row for each load: medians, least and most of the rates, and the ratio of the medians.
fn table(services: &[Service], found: &Found) -> String {
    use std::fmt::Write;
    let mut text = String::from("| load |");
    for service in services {
        write!(text, " {} per second (least–most) | p50 ms | p99 ms | CPU ms |", service.name).expect("text grows");
    }
    text += if services.len() > 1 { " ratio |\n" } else { "\n" };
    text += &format!(
        "| --- |{}{}\n",
        " --- | --- | --- | --- |".repeat(services.len()),
        if services.len() > 1 { " --- |" } else { "" }
    );
    let mut rows: BTreeMap<(usize, &String), Vec<&Vec<Figures>>> = BTreeMap::new();
    for ((row, what, _), figures) in found {
        rows.entry((*row, what)).or_default().push(figures);
    }
    for ((_, what), columns) in rows {
        write!(text, "| {what} |").expect("text grows");
        for figures in &columns {
            let rates = figures.iter().map(|figures| figures.per_second);
            let (least, most) =
                rates.fold((f64::MAX, 0.0_f64), |(least, most), rate| (least.min(rate), most.max(rate)));
            let rate = median(figures, |figures| figures.per_second);
            let digits = if rate < 100.0 { 1 } else { 0 };
            let cpu = median(figures, |figures| figures.service_cpu_ms);
            let (p50, p99) = (median(figures, |figures| figures.p50_ms), median(figures, |figures| figures.p99_ms));
            write!(text, " {rate:.digits$} ({least:.digits$}–{most:.digits$}) | {p50:.2} | {p99:.2} | {cpu:.2} |")
                .expect("text grows");
        }
        if let [ours, theirs] = columns[..] {
            let ratio = median(ours, |figures| figures.per_second) / median(theirs, |figures| figures.per_second);
            write!(text, " {ratio:.2} |").expect("text grows");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_medians_and_their_ratio() {
        let service = |name: &str| Service::new(name, "http://127.0.0.1:1", "r", "a", "s").unwrap();
        let figures = |rate: f64| Figures { count: 1, per_second: rate, p50_ms: 1.0, p99_ms: 2.0, service_cpu_ms: 0.5 };
        let mut found = Found::new();
        found.insert((0, "PUT".to_owned(), 0), [300.0, 900.0, 600.0].map(figures).to_vec());
        found.insert((0, "PUT".to_owned(), 1), [20.0, 30.0, 10.0].map(figures).to_vec());
        let text = table(&[service("ours"), service("theirs")], &found);
        assert_eq!(
            text.lines().last().unwrap(),
            "| PUT | 600 (300–900) | 1.00 | 2.00 | 0.50 | 20.0 (10.0–30.0) | 1.00 | 2.00 | 0.50 | 30.00 |"
        );
        assert_eq!(text.lines().next().unwrap().matches('|').count(), 11);
    }

    #[test]
    fn options_are_read() {
        let options = Options::parse(&["--compare", "--seconds", "3"]).unwrap();
        assert_eq!((options.seconds, options.rounds, options.compare), (3, 3, true));
        assert!(Options::parse(&["--seconds", "0"]).is_err() && Options::parse(&["--what"]).is_err());
    }
}
