//! The words of the text sessions in `tests/text`.

use std::time::Duration;

use map::ClusterFlags;
use serde_json::Value;
use tests_kit::{Command, run_text_tests};
use types::{BootNonce, EntityKind, EntityName, Epoch, OsdId, PgId, PoolId, StoreUsage};
use wire::{
    ClusterDigest, CommandId, ControlReply, ControlRequest, FailureEvidence, OsdFailure, OsdStatistics, PgStateFlags,
};

use super::rig::{Rig, address, admin, boot, quorum};
use crate::Event;

#[test]
fn sessions() {
    run_text_tests("tests/text", Rig::new, run);
}

fn run(rig: &mut Rig, command: &Command) -> String {
    match command.name.as_str() {
        "ask" => command.input.lines().map(|line| ask(rig, line, command)).collect::<Vec<_>>().join("\n"),
        "repeat" => {
            let request = rig.command_request(&command.input);
            let first = rig.ask(admin(), ControlRequest::Command(request.clone()));
            let again = rig.ask(admin(), ControlRequest::Command(request));
            format!("{}\nagain: {}", show(&first, command), show(&again, command))
        }
        "boot" => {
            let osd = command.required("osd");
            let nonce = command.optional("nonce").unwrap_or(1);
            let uuid = command.optional("uuid").unwrap_or(u64::from(osd));
            let host = command.optional("host").unwrap_or_else(|| "a".to_owned());
            let bytes = command.optional("gib").unwrap_or(1024u64) << 30;
            osd_asks(rig, osd, boot(osd, &host, nonce, uuid, bytes), command)
        }
        "beacon" => {
            let osd = command.required("osd");
            let usage = StoreUsage {
                total_bytes: 1 << 40,
                used_bytes: command.optional::<u64>("used_gib").unwrap_or(1) << 30,
                metadata_bytes: 1 << 20,
            };
            let request = beacon(rig, osd, command.optional("nonce").unwrap_or(1), usage);
            osd_asks(rig, osd, request, command)
        }
        "failure" => {
            let reporter = command.required("from");
            let evidence = match command.optional::<String>("evidence").as_deref() {
                Some("refused") => FailureEvidence::Refused,
                Some("closed") => FailureEvidence::Closed,
                Some("recovered") => FailureEvidence::Recovered,
                _ => FailureEvidence::Silent(Duration::from_secs(5)),
            };
            let request = ControlRequest::Failure(OsdFailure {
                reporter: OsdId(reporter),
                target: OsdId(command.required("on")),
                nonce: BootNonce(command.optional("nonce").unwrap_or(1)),
                evidence,
            });
            osd_asks(rig, reporter, request, command)
        }
        "farewell" => {
            let osd = command.required("osd");
            let nonce = BootNonce(command.optional("nonce").unwrap_or(1));
            osd_asks(rig, osd, ControlRequest::Farewell { osd: OsdId(osd), nonce }, command)
        }
        "up-thru" => {
            let osd = command.required("osd");
            let nonce = BootNonce(command.optional("nonce").unwrap_or(1));
            let epoch = Epoch(command.required("epoch"));
            osd_asks(rig, osd, ControlRequest::UpThru { osd: OsdId(osd), nonce, epoch }, command)
        }
        "pg-temp" => {
            let osd = command.required("osd");
            let members = command.values("set").unwrap_or_default();
            let members: Vec<OsdId> = members.iter().map(|id| OsdId(id.parse().unwrap())).collect();
            let sets = vec![(command.required("pg"), members)];
            let epoch = rig.states[0].epoch();
            osd_asks(rig, osd, ControlRequest::PgTemp { osd: OsdId(osd), epoch, sets }, command)
        }
        "pg-created" => {
            let pgs: Vec<PgId> = rig.map().creating_pgs.iter().copied().collect();
            let reply = osd_asks(rig, 0, ControlRequest::PgCreated { pgs }, command);
            format!("{reply}, {} left", rig.map().creating_pgs.len())
        }
        "manager" => manager(rig, command),
        "client" => {
            let reply = rig.ask(admin(), ControlRequest::NewClient(CommandId { asker: 9, sequence: 1 }));
            show(&reply, command)
        }
        "wait" => wait(rig, command),
        "suspend" => {
            rig.wait(Duration::from_millis(command.required("ms")));
            String::new()
        }
        "elect" => {
            rig.elect();
            String::new()
        }
        "quorum" => {
            let members: Vec<u64> =
                command.values("of").unwrap_or_default().iter().map(|id| id.parse().unwrap()).collect();
            rig.hear(Event::Quorum(quorum(&members)));
            String::new()
        }
        "osds" => osds(rig),
        "log" => {
            let wanted = command.optional("last").unwrap_or(5);
            let mut lines: Vec<String> = rig.states[0]
                .log()
                .rev()
                .take(wanted)
                .map(|line| format!("[{}] {}", line.level.name(), line.text))
                .collect();
            lines.reverse();
            lines.join("\n")
        }
        other => panic!("{}: unknown word `{other}`", command.position),
    }
}

fn beacon(rig: &Rig, osd: u32, nonce: u64, usage: StoreUsage) -> ControlRequest {
    let epoch = rig.states[0].epoch();
    ControlRequest::Beacon { osd: OsdId(osd), nonce: BootNonce(nonce), epoch, lowest_needed: epoch, usage }
}

fn ask(rig: &mut Rig, line: &str, command: &Command) -> String {
    let reply = rig.command(line);
    show(&reply, command)
}

fn osd_asks(rig: &mut Rig, osd: u32, request: ControlRequest, command: &Command) -> String {
    let reply = rig.ask(EntityName::osd(OsdId(osd)), request);
    show(&reply, command)
}

/// The sentence and the JSON; with `pick=(a.b, c)` only those parts of the JSON, with `quiet` none of it.
fn show(reply: &ControlReply, command: &Command) -> String {
    match reply {
        ControlReply::Done => "done".to_owned(),
        ControlReply::Client(id) => format!("client.{id}"),
        ControlReply::Failed(error) => format!("{}: {}", error.kind, error.message),
        ControlReply::Answer(answer) => {
            let mut lines = Vec::new();
            if !answer.status.is_empty() {
                lines.push(answer.status.clone());
            }
            if !answer.output.is_empty() && !command.has("quiet") {
                lines.push(show_output(&answer.output, command));
            }
            lines.join("\n")
        }
        other => format!("{other:?}"),
    }
}

fn show_output(output: &[u8], command: &Command) -> String {
    let Ok(value) = serde_json::from_slice::<Value>(output) else {
        return String::from_utf8_lossy(output).into_owned();
    };
    let Some(picks) = command.values("pick") else { return format!("{value:#}") };
    let picked = picks.iter().map(|path| {
        let found = path.split('.').try_fold(&value, |at, step| match step.parse::<usize>() {
            Ok(index) => at.get(index),
            Err(_) => at.get(step),
        });
        format!("{path} = {}", found.map_or("nothing".to_owned(), Value::to_string))
    });
    picked.collect::<Vec<_>>().join("\n")
}

/// `wait ms=5000 beacons=(0,1)`: time passes in seconds, with beacons of these OSDs and of manager `x` in each.
fn wait(rig: &mut Rig, command: &Command) -> String {
    let mut left = command.required::<u64>("ms");
    let alive: Vec<u32> =
        command.values("beacons").unwrap_or_default().iter().map(|osd| osd.parse().unwrap()).collect();
    while left > 0 {
        let step = left.min(1000);
        left -= step;
        rig.wait(Duration::from_millis(step));
        for osd in &alive {
            let nonce = rig.map().osds[&OsdId(*osd)].nonce.0;
            let usage = StoreUsage { total_bytes: 1 << 40, used_bytes: 1 << 30, metadata_bytes: 1 << 20 };
            let request = beacon(rig, *osd, nonce, usage);
            rig.ask(EntityName::osd(OsdId(*osd)), request);
        }
        if command.has("manager") {
            rig.ask(EntityName::new(EntityKind::Mgr, "x"), manager_beacon("x", 1, None));
        }
    }
    String::new()
}

fn manager_beacon(name: &str, nonce: u64, digest: Option<Box<ClusterDigest>>) -> ControlRequest {
    ControlRequest::ManagerBeacon { name: name.to_owned(), address: address(7000), nonce: BootNonce(nonce), digest }
}

/// `manager name=x clean=32 degraded=0 inactive=0 objects=1000`: a beacon, with a digest when there are figures.
fn manager(rig: &mut Rig, command: &Command) -> String {
    let name: String = command.optional("name").unwrap_or_else(|| "x".to_owned());
    let clean: u32 = command.optional("clean").unwrap_or(0);
    let degraded: u32 = command.optional("degraded").unwrap_or(0);
    let mut digest = ClusterDigest::default();
    let clean_state = PgStateFlags::ACTIVE.with(PgStateFlags::CLEAN);
    let degraded_state = PgStateFlags::ACTIVE.with(PgStateFlags::UNDERSIZED).with(PgStateFlags::DEGRADED);
    let inactive: u32 = command.optional("inactive").unwrap_or(0);
    let inactive_state = PgStateFlags::PEERING;
    for (state, count) in [(clean_state, clean), (degraded_state, degraded), (inactive_state, inactive)] {
        if count > 0 {
            digest.pg_states.push((state, count));
        }
    }
    digest.pools = vec![(PoolId(1), command.optional("objects").unwrap_or(1000), 4 << 20)];
    digest.copies = 3000;
    digest.degraded_copies = if degraded > 0 { 1000 } else { 0 };
    digest.unfound_objects = command.optional("unfound").unwrap_or(0);
    digest.rates.write_ops = 17;
    digest.osds = vec![OsdStatistics {
        osd: OsdId(0),
        usage: StoreUsage { total_bytes: 1 << 40, used_bytes: 1 << 30, metadata_bytes: 0 },
        pgs: clean + degraded,
        commit_latency_microseconds: 900,
        slow_ops: command.optional("slow").unwrap_or(0),
        recovered_bytes: 0,
    }];
    let has_figures = clean + degraded > 0;
    let request = manager_beacon(&name, command.optional("nonce").unwrap_or(1), has_figures.then(|| Box::new(digest)));
    let reply = rig.ask(EntityName::new(EntityKind::Mgr, name), request);
    show(&reply, command)
}

fn osds(rig: &Rig) -> String {
    let lines = rig.map().osds.iter().map(|(id, osd)| {
        let mut line = format!(
            "osd.{id} {} {} host {} nonce {} up_from {} up_thru {} down_at {}",
            if osd.up { "up" } else { "down" },
            if osd.is_in() { "in" } else { "out" },
            osd.host,
            osd.nonce,
            osd.up_from,
            osd.up_thru,
            osd.down_at
        );
        if osd.dead_epoch > Epoch::ZERO {
            line += &format!(" dead since {}", osd.dead_epoch);
        }
        if osd.flags != ClusterFlags::default() {
            line += " flags";
        }
        line
    });
    std::iter::once(format!("epoch {}", rig.states[0].epoch())).chain(lines).collect::<Vec<_>>().join("\n")
}
