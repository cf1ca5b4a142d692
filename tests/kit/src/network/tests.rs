//! What the simulated network promises to the machines under test, and that it does its damage.

use types::Seed;

use super::*;
use crate::{EventLog, EventQueue};

type Nodes = Network<u32, u64>;

fn network(seed: u64, link: Link) -> Nodes {
    Network::new(SeededRandom::new(Seed(seed)), link)
}

/// Two nodes that both send counted messages while faults happen; returns what each direction received.
struct Exchange {
    queue: EventQueue<Step>,
    network: Nodes,
    log: EventLog,
    received: BTreeMap<(u32, u32), Vec<Content<u64>>>,
}

enum Step {
    Send { from: u32, to: u32, message: u64 },
    Arrive(Packet<u32, u64>),
    Cut(u32, u32),
    Heal,
    Crash(u32),
    Restart(u32),
}

impl Exchange {
    fn new(seed: u64, link: Link) -> Self {
        let (queue, log) = (EventQueue::new(), EventLog::new(10_000));
        Self { queue, network: network(seed, link), log, received: BTreeMap::new() }
    }

    fn schedule(&mut self, milliseconds: u64, step: Step) {
        self.queue.schedule_at(Time::from_milliseconds(milliseconds), step);
    }

    fn run(&mut self) {
        while let Some(step) = self.queue.pop() {
            let now = self.queue.now();
            let packets = match step {
                Step::Send { from, to, message } => self.network.send(now, &from, &to, message),
                Step::Cut(from, to) => self.network.cut(now, &from, &to),
                Step::Crash(node) => self.network.crash(now, &node),
                Step::Restart(node) => self.network.restart(now, &node),
                Step::Heal => {
                    self.network.heal_all();
                    Vec::new()
                }
                Step::Arrive(packet) => {
                    if let Some(Arrival { from, to, content }) = self.network.arrive(packet) {
                        self.log.record(now, format_args!("{from} -> {to} {content:?}"));
                        self.received.entry((from, to)).or_default().push(content);
                    }
                    Vec::new()
                }
            };
            for packet in packets {
                self.queue.schedule_at(packet.at, Step::Arrive(packet));
            }
        }
    }

    fn messages(&self, from: u32, to: u32) -> Vec<u64> {
        let received = self.received.get(&(from, to)).into_iter().flatten();
        received
            .filter_map(|content| if let Content::Message(message) = content { Some(*message) } else { None })
            .collect()
    }

    fn resets(&self, from: u32, to: u32) -> usize {
        self.received
            .get(&(from, to))
            .into_iter()
            .flatten()
            .filter(|content| **content == Content::SessionReset)
            .count()
    }
}

fn two_nodes(seed: u64, link: Link, messages: u64) -> Exchange {
    let mut exchange = Exchange::new(seed, link);
    for message in 0..messages {
        exchange.schedule(message, Step::Send { from: 1, to: 2, message });
        exchange.schedule(message, Step::Send { from: 2, to: 1, message });
    }
    exchange
}

#[test]
fn a_healthy_session_delivers_everything_in_order() {
    let mut exchange = two_nodes(1, Link::healthy(), 1000);
    exchange.run();
    assert_eq!(exchange.messages(1, 2), (0..1000).collect::<Vec<_>>());
    assert_eq!(exchange.messages(2, 1), (0..1000).collect::<Vec<_>>());
    let counts = exchange.network.counts();
    assert_eq!((counts.sent, counts.delivered, counts.lost, counts.resets), (2000, 2000, 0, 0));
}

#[test]
fn a_rough_session_loses_only_where_a_reset_is_heard() {
    let mut some_resets = 0;
    for seed in 0..50 {
        let mut exchange = two_nodes(seed, Link::rough(), 2000);
        exchange.run();
        for (from, to) in [(1, 2), (2, 1)] {
            let received = &exchange.received[&(from, to)];
            let mut next = 0;
            let mut reset_heard = false;
            for content in received {
                match content {
                    Content::SessionReset => reset_heard = true,
                    Content::Message(message) => {
                        assert!(*message >= next, "seed {seed}: {message} after {next}");
                        assert!(*message == next || reset_heard, "seed {seed}: a gap before {message} without a reset");
                        next = message + 1;
                        reset_heard = false;
                    }
                }
            }
            some_resets += exchange.resets(from, to);
        }
        let counts = exchange.network.counts();
        assert_eq!(counts.sent, counts.delivered + counts.lost, "seed {seed}");
    }
    assert!(some_resets > 50, "{some_resets}");
}

#[test]
fn datagrams_are_lost_doubled_and_overtaken() {
    let mut exchange = two_nodes(3, Link::rough().unordered(), 5000);
    exchange.run();
    let received = exchange.messages(1, 2);
    let counts = exchange.network.counts();
    assert!(counts.lost > 20 && counts.duplicated > 20 && counts.resets == 0, "{counts:?}");
    assert!(!received.is_sorted());
    assert_eq!(counts.sent + counts.duplicated, counts.delivered + counts.lost);
}

#[test]
fn a_cut_direction_delivers_nothing_until_healed_and_both_ends_hear_of_it() {
    let mut exchange = two_nodes(4, Link::healthy(), 3000);
    exchange.schedule(1000, Step::Cut(1, 2));
    exchange.schedule(2000, Step::Heal);
    exchange.run();
    let received = exchange.messages(1, 2);
    assert!(received.iter().all(|message| !(1000..2000).contains(message)), "{received:?}");
    assert!(received.contains(&999 /* had arrived */) || received.contains(&998));
    assert_eq!(received.last(), Some(&2999));
    assert!(exchange.resets(1, 2) > 0 && exchange.resets(2, 1) > 0);
}

#[test]
fn a_crashed_node_hears_nothing_and_begins_anew() {
    let mut exchange = two_nodes(5, Link::healthy(), 3000);
    exchange.schedule(1000, Step::Crash(2));
    exchange.schedule(2000, Step::Restart(2));
    exchange.run();
    assert!(exchange.messages(1, 2).iter().all(|message| !(1000..2000).contains(message)));
    assert_eq!(exchange.messages(1, 2).last(), Some(&2999));
    assert_eq!(exchange.resets(1, 2), 0, "the new process lost no session");
    assert!(exchange.resets(2, 1) > 0, "its peer did");
    // The new process speaks at once; its words wait only until its peer has heard of the reset.
    assert!(exchange.messages(2, 1).contains(&2001));
}

#[test]
fn a_partition_separates_its_sides_and_nothing_else() {
    let mut network = network(6, Link::healthy());
    let now = Time::from_milliseconds(1);
    drop(network.partition(now, &[1, 2], &[3]));
    assert!(network.is_cut(&1, &3) && network.is_cut(&3, &2));
    assert!(!network.is_cut(&1, &2));
    network.heal(&1, &3);
    assert!(!network.is_cut(&1, &3) && network.is_cut(&3, &1));
}

#[test]
fn a_message_to_oneself_always_arrives() {
    let mut network = network(7, Link { loss: Chance::ALWAYS, ..Link::healthy() });
    let mut packets = network.send(Time::ZERO, &1, &1, 9);
    let arrival = network.arrive(packets.pop().unwrap()).unwrap();
    assert_eq!(arrival.content, Content::Message(9));
}

#[test]
fn one_seed_is_one_history_and_another_seed_another() {
    let run = |seed| {
        let mut exchange = two_nodes(seed, Link::rough(), 1000);
        exchange.schedule(300, Step::Cut(2, 1));
        exchange.schedule(400, Step::Heal);
        exchange.run();
        exchange.log
    };
    assert_eq!(run(11).difference(&run(11)), None);
    assert!(run(11).difference(&run(12)).is_some());
}
