//! The judge of what clients saw: was there one order of all operations on each register that explains every answer?
//!
//! A register is whatever a client writes whole and reads whole: an object, an attribute, a key. Each write of a test
//! carries a value that no other write to that register carries. Then the question has an exact and cheap answer
//! (Gibbons and Korach, "Testing shared memories", 1997): all operations of one value form a cluster; a cluster whose
//! earliest end lies before its latest beginning must hold the register in all the time between (its *hold*); any other must fit as a
//! whole into one moment of its time. A history is linearizable exactly when no two holds overlap, no
//! cluster that needs a moment has all its moments inside another's hold, and no read ends before its write begins.
//!
//! Owns: the operations in order of their beginnings and ends as recorded. Does not know: clients, objects, time's
//! source. The order of the calls is the real-time order: record the beginning before the request leaves and the end
//! after the answer is there.
//!
//! A write of unknown outcome may take effect at any time after its beginning, or never. A failed operation has no
//! effect at all, and to read its value is a violation. So is reading a value that nobody wrote.

use std::{collections::BTreeMap, fmt, fmt::Debug};

use types::Time;

/// Names one operation of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationKey(usize);

/// What an operation did, as far as its client knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// No answer yet, or none will come.
    Unknown,
    /// Answered at this position.
    Done(u64),
    /// Refused for certain.
    Failed,
}

#[derive(Debug, Clone)]
struct Operation<V> {
    client: u64,
    /// The value written; for a read the value that came, if it did.
    value: Option<V>,
    is_write: bool,
    began: u64,
    began_at: Time,
    outcome: Outcome,
    ended_at: Option<Time>,
}

/// Why a register's history has no explanation, in words, with the operations concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The register.
    pub register: String,
    /// What is impossible.
    pub reason: String,
    /// The operations that show it, in order of their beginnings.
    pub operations: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "register {}: {}", self.register, self.reason)?;
        self.operations.iter().try_for_each(|operation| write!(f, "\n  {operation}"))
    }
}

/// All operations on a set of registers named `R` that hold values `V` and began with the same value.
#[derive(Debug, Clone)]
pub struct RegisterHistory<R, V> {
    initial: V,
    positions: u64,
    operations: Vec<Operation<V>>,
    registers: BTreeMap<R, Vec<usize>>,
}

impl<R: Ord + Clone + Debug, V: Ord + Clone + Debug> RegisterHistory<R, V> {
    /// A history without operations; every register holds `initial`.
    pub fn new(initial: V) -> Self {
        Self { initial, positions: 0, operations: Vec::new(), registers: BTreeMap::new() }
    }

    /// A client begins to write. The value must be new to this register.
    pub fn begin_write(&mut self, at: Time, client: u64, register: R, value: V) -> OperationKey {
        self.begin(at, client, register, Some(value))
    }

    /// A client begins to read.
    pub fn begin_read(&mut self, at: Time, client: u64, register: R) -> OperationKey {
        self.begin(at, client, register, None)
    }

    /// The write was acknowledged.
    pub fn acknowledge_write(&mut self, at: Time, key: OperationKey) {
        assert!(self.operations[key.0].is_write, "a read has a value to give");
        self.end(at, key);
    }

    /// The read came back with this value.
    pub fn finish_read(&mut self, at: Time, key: OperationKey, value: V) {
        assert!(!self.operations[key.0].is_write, "a write has no value to give");
        self.operations[key.0].value = Some(value);
        self.end(at, key);
    }

    /// The operation was refused and certainly has no effect. One whose outcome is unknown is simply never ended.
    pub fn fail(&mut self, at: Time, key: OperationKey) {
        self.end(at, key);
        self.operations[key.0].outcome = Outcome::Failed;
    }

    /// How many operations were begun.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether no operation was begun.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// How many writes were acknowledged.
    pub fn acknowledged_writes(&self) -> usize {
        self.operations.iter().filter(|one| one.is_write && matches!(one.outcome, Outcome::Done(_))).count()
    }

    /// The registers that any operation named, in order.
    pub fn registers(&self) -> impl Iterator<Item = &R> {
        self.registers.keys()
    }

    /// Looks at every register. At most one violation per register is reported: the first found.
    pub fn check(&self) -> Result<(), Vec<Violation>> {
        let found: Vec<Violation> =
            self.registers.iter().filter_map(|(register, members)| self.check_register(register, members)).collect();
        if found.is_empty() { Ok(()) } else { Err(found) }
    }

    /// As [`RegisterHistory::check`], as a panic with all violations in words.
    pub fn assert_linearizable(&self) {
        if let Err(violations) = self.check() {
            let text: Vec<String> = violations.iter().map(Violation::to_string).collect();
            panic!("{} of {} registers have no explanation:\n{}", text.len(), self.registers.len(), text.join("\n"));
        }
    }

    fn begin(&mut self, at: Time, client: u64, register: R, value: Option<V>) -> OperationKey {
        self.positions += 1;
        let (began, is_write) = (self.positions, value.is_some());
        let operation =
            Operation { client, value, is_write, began, began_at: at, outcome: Outcome::Unknown, ended_at: None };
        let key = self.operations.len();
        self.operations.push(operation);
        self.registers.entry(register).or_default().push(key);
        OperationKey(key)
    }

    fn end(&mut self, at: Time, key: OperationKey) {
        self.positions += 1;
        let operation = &mut self.operations[key.0];
        assert_eq!(operation.outcome, Outcome::Unknown, "an operation ends once");
        operation.outcome = Outcome::Done(self.positions);
        operation.ended_at = Some(at);
    }

    fn check_register(&self, register: &R, members: &[usize]) -> Option<Violation> {
        let refuse = |reason: String, concerned: &[usize]| {
            let mut concerned = concerned.to_vec();
            concerned.sort_unstable();
            concerned.dedup();
            let operations = concerned.iter().map(|&key| self.describe(key)).collect();
            Some(Violation { register: format!("{register:?}"), reason, operations })
        };
        let mut clusters: BTreeMap<&V, Cluster> = BTreeMap::new();
        clusters.insert(&self.initial, Cluster { first_end: 0, last_begin: 0, write: None, members: Vec::new() });
        for &key in members.iter().filter(|&&key| self.operations[key].is_write) {
            let write = &self.operations[key];
            let value = write.value.as_ref().expect("a write has its value from the beginning");
            let first_end = if let Outcome::Done(position) = write.outcome { position } else { u64::MAX };
            let cluster = Cluster { first_end, last_begin: write.began, write: Some(key), members: vec![key] };
            match clusters.insert(value, cluster) {
                None => {}
                Some(Cluster { write: None, .. }) => {
                    panic!("register {register:?}: {value:?} is the initial value, so its write cannot be judged")
                }
                Some(_) => panic!("register {register:?}: {value:?} was written twice, so it cannot be judged"),
            }
        }
        for &key in members {
            let read = &self.operations[key];
            let (Outcome::Done(end), false, Some(value)) = (read.outcome, read.is_write, &read.value) else { continue };
            let Some(cluster) = clusters.get_mut(value) else {
                return refuse(format!("{value:?} was read but never written"), &[key]);
            };
            if let Some(write) = cluster.write {
                if self.operations[write].outcome == Outcome::Failed {
                    return refuse(format!("{value:?} was read, but its write had failed"), &[write, key]);
                }
                if end < self.operations[write].began {
                    return refuse(format!("{value:?} was read before its write began"), &[write, key]);
                }
            }
            cluster.first_end = cluster.first_end.min(end);
            cluster.last_begin = cluster.last_begin.max(read.began);
            cluster.members.push(key);
        }
        // Writes without an answer that nobody saw may never have happened.
        clusters.retain(|_, cluster| cluster.first_end != u64::MAX);

        let mut holds: Vec<(&V, &Cluster)> = Vec::new();
        for (&value, cluster) in clusters.iter().filter(|(_, cluster)| cluster.first_end < cluster.last_begin) {
            holds.push((value, cluster));
        }
        holds.sort_by_key(|(_, cluster)| cluster.first_end);
        for neighbours in holds.windows(2) {
            let [(earlier_value, earlier), (later_value, later)] = neighbours else { continue };
            if later.first_end < earlier.last_begin {
                return refuse(
                    format!("{earlier_value:?} and {later_value:?} would both have to be the value at one time"),
                    &[self.extremes(earlier), self.extremes(later)].concat(),
                );
            }
        }
        for (&value, cluster) in clusters.iter().filter(|(_, cluster)| cluster.first_end >= cluster.last_begin) {
            let before = holds.partition_point(|(_, hold)| hold.first_end < cluster.last_begin);
            let Some((holder, hold)) = before.checked_sub(1).map(|index| holds[index]) else { continue };
            if cluster.first_end < hold.last_begin {
                return refuse(
                    format!("{value:?} was in the register for some moment while {holder:?} never left it"),
                    &[self.extremes(cluster), self.extremes(hold)].concat(),
                );
            }
        }
        None
    }

    /// The operations that make a cluster's borders: its write, the one that ended first, the one that began last.
    fn extremes(&self, cluster: &Cluster) -> Vec<usize> {
        let end = |key: &&usize| match self.operations[**key].outcome {
            Outcome::Done(position) => position,
            _ => u64::MAX,
        };
        let first = cluster.members.iter().min_by_key(end);
        let last = cluster.members.iter().max_by_key(|key| self.operations[**key].began);
        cluster.write.iter().chain(first).chain(last).copied().collect()
    }

    fn describe(&self, key: usize) -> String {
        let Operation { client, value, is_write, began_at, outcome, ended_at, .. } = &self.operations[key];
        let what = if *is_write { "write" } else { "read" };
        let value = value.as_ref().map_or(String::new(), |value| format!(" {value:?}"));
        let end = match (outcome, ended_at) {
            (Outcome::Done(_), Some(at)) => format!("to {at}"),
            (Outcome::Failed, Some(at)) => format!("to {at}, failed"),
            _ => "without an answer".to_owned(),
        };
        format!("#{key} client {client}: {what}{value} from {began_at} {end}")
    }
}

/// The write of one value and all reads that returned it.
struct Cluster {
    first_end: u64,
    last_begin: u64,
    write: Option<usize>,
    members: Vec<usize>,
}

#[cfg(test)]
mod tests;
