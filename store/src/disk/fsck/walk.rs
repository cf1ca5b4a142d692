//! One way through everything that is stored.

use std::sync::Arc;

use bytes::Bytes;
use types::{Error, ObjectId, Result};

use super::{
    FoundBytes, FsckDepth, FsckProgress, FsckReport, FsckStage, HearProgress, JournaledUnits, ObjectHandle, Problem,
    SegmentPlace, UnitPlace, WalkOutcome, cannot_go_on,
};
use crate::{
    device::{AlignedBuffer, BlockDevice},
    disk::{
        allocator::{Allocator, SharedUnits},
        keys::{
            all_config, all_headers, all_omap, all_segments, decode_header_key, decode_omap_number, decode_segment_key,
            segment_range,
        },
        metadata::Metadata,
        object::{Header, SEGMENT_UNITS, Segment, Unit},
        sources::missing_segment,
        staging::UNIT_LENGTH,
        superblock::Layout,
    },
    object_store::UNIT_BYTES,
};

/// Units gathered before they are read in the order of their places: 256 MiB of data, 20 MB of memory.
const BATCH_UNITS: usize = 64 << 10;
/// Neighbours read with one call: 1 MiB.
const READ_UNITS: usize = 256;
/// Things done between two words about the progress.
const PROGRESS_EVERY: u64 = 256;

/// Bit of [`Numbered`] that says that the object has an omap.
const HAS_OMAP: u64 = 1 << 63;

/// An object's number, and in the top bit (never used by numbers: they begin with the record's sequence, which would
/// have to pass 2^47) whether it has an omap.
type Numbered = u64;

/// A unit whose bytes are to be read.
struct Wanted {
    unit: Unit,
    object: ObjectHandle,
    offset: u64,
    segment: SegmentPlace,
}

impl Wanted {
    fn place(&self) -> UnitPlace {
        UnitPlace { object: ObjectId::clone(&self.object), offset: self.offset, segment: self.segment }
    }
}

pub(super) struct Walk<'a, 'b> {
    metadata: &'a Metadata<'a>,
    device: &'a dyn BlockDevice,
    journaled: Option<&'a JournaledUnits<'a>>,
    report: &'a mut FsckReport,
    hear: &'a mut HearProgress<'b>,
    outcome: WalkOutcome,
    numbers: Vec<Numbered>,
}

impl<'a, 'b> Walk<'a, 'b> {
    pub fn new(
        metadata: &'a Metadata<'a>,
        device: &'a dyn BlockDevice,
        layout: &Layout,
        journaled: Option<&'a JournaledUnits<'a>>,
        report: &'a mut FsckReport,
        hear: &'a mut HearProgress<'b>,
    ) -> Self {
        let outcome = WalkOutcome {
            allocator: Allocator::new(layout.first_unit(), layout.data_units),
            shared: SharedUnits::default(),
            is_complete: true,
        };
        Self { metadata, device, journaled, report, hear, outcome, numbers: Vec::new() }
    }

    pub fn run(mut self, depth: FsckDepth) -> Result<WalkOutcome> {
        self.check_objects();
        self.check_orphans();
        self.report.units_used = self.outcome.allocator.unit_count() - self.outcome.allocator.free_units();
        if depth == FsckDepth::Data {
            self.check_data()?;
        }
        Ok(self.outcome)
    }

    fn tell(&mut self, stage: FsckStage, done: u64, total: Option<u64>) {
        if done.is_multiple_of(PROGRESS_EVERY) {
            (self.hear)(FsckProgress { stage, done, total });
        }
    }

    /// What could not be read to its end.
    fn note_range(&mut self, what: &'static str, outcome: Result<()>) {
        if let Err(error) = outcome {
            self.outcome.is_complete = false;
            self.report.add(Problem::Range { what, error });
        }
    }

    fn check_objects(&mut self) {
        let metadata = self.metadata;
        let scanned = metadata.scan(&all_headers(), |key, value| {
            let decoded =
                decode_header_key(key).and_then(|object| Ok((object, Header::decode(Bytes::copy_from_slice(value))?)));
            match decoded {
                Ok((object, header)) => {
                    self.report.objects += 1;
                    self.tell(FsckStage::Objects, self.report.objects, None);
                    self.check_object(&Arc::new(object), header);
                }
                Err(error) => {
                    // Its segments and omap must not be taken for leaks.
                    self.outcome.is_complete = false;
                    self.report.add(Problem::Header { key: key.escape_ascii().to_string(), error });
                }
            }
            Ok(())
        });
        self.note_range("headers of objects", scanned);
    }

    fn check_object(&mut self, object: &ObjectHandle, mut header: Header) {
        let number = header.number;
        self.numbers.push(number | if header.has_omap { HAS_OMAP } else { 0 });
        let metadata = self.metadata;
        let scanned = metadata.scan(&segment_range(number), |key, value| {
            let (_, index) = decode_segment_key(key)?;
            let place = SegmentPlace { number, index };
            if !header.segments.remove(index) {
                self.report.add(Problem::SegmentStray { segment: place, object: Some(ObjectId::clone(object)) });
                return Ok(());
            }
            match Segment::decode(Bytes::copy_from_slice(value)) {
                Ok(segment) => self.check_segment(object, header.size, place, &segment),
                Err(error) => {
                    let object = ObjectId::clone(object);
                    self.report.add(Problem::SegmentLost { object, segment: place, error });
                }
            }
            Ok(())
        });
        self.note_range("segments of an object", scanned);
        for index in header.segments.iter() {
            let segment = SegmentPlace { number, index };
            let error = missing_segment(number, index);
            self.report.add(Problem::SegmentLost { object: ObjectId::clone(object), segment, error });
        }
    }

    fn check_segment(&mut self, object: &ObjectHandle, size: u64, segment: SegmentPlace, content: &Segment) {
        for (offset, unit) in stored_units(segment.index, content) {
            let place = || UnitPlace { object: ObjectId::clone(object), offset, segment };
            if offset >= size {
                self.report.add(Problem::UnitPastEnd { unit: place(), size });
            }
            if !self.outcome.allocator.contains(unit.place) {
                self.report.add(Problem::UnitOutside { unit: place(), place: unit.place });
                continue;
            }
            self.report.unit_references += 1;
            if !self.outcome.allocator.set_used(unit.place) {
                let further = self.outcome.shared.further(unit.place);
                self.outcome.shared.set_further(unit.place, further + 1);
            }
            if unit.damaged {
                self.report.add(Problem::UnitKnownDamaged { unit: place() });
            }
        }
    }

    /// Everything that hangs on a number which no object has.
    fn check_orphans(&mut self) {
        self.numbers.sort_unstable_by_key(|numbered| numbered & !HAS_OMAP);
        for pair in self.numbers.windows(2).filter(|pair| (pair[0] ^ pair[1]) & !HAS_OMAP == 0) {
            // One of the two headers is wrong, so what hangs on no number may be the other's.
            self.outcome.is_complete = false;
            self.report.add(Problem::SharedNumber { number: pair[0] & !HAS_OMAP });
        }
        let metadata = self.metadata;
        let mut done = 0;
        let scanned = metadata.scan(&all_segments(), |key, _| {
            done += 1;
            self.tell(FsckStage::Orphans, done, None);
            let (number, index) = decode_segment_key(key)?;
            if self.find(number).is_none() {
                self.report.add(Problem::SegmentStray { segment: SegmentPlace { number, index }, object: None });
            }
            Ok(())
        });
        self.note_range("segments", scanned);
        let mut told = None;
        let scanned = metadata.scan(&all_omap(), |key, _| {
            done += 1;
            self.tell(FsckStage::Orphans, done, None);
            self.report.omap_entries += 1;
            let number = decode_omap_number(key)?;
            if told != Some(number) && self.find(number).is_none_or(|numbered| numbered & HAS_OMAP == 0) {
                told = Some(number);
                self.report.add(Problem::OmapStray { number });
            }
            Ok(())
        });
        self.note_range("omap entries", scanned);
        let scanned = metadata.scan(&all_config(), |_, _| {
            self.report.config_entries += 1;
            Ok(())
        });
        self.note_range("values of the OSD", scanned);
    }

    fn find(&self, number: u64) -> Option<Numbered> {
        let found = self.numbers.binary_search_by_key(&number, |numbered| numbered & !HAS_OMAP);
        found.ok().map(|index| self.numbers[index])
    }

    /// Reads every unit once, in batches sorted by place.
    fn check_data(&mut self) -> Result<()> {
        let metadata = self.metadata;
        let mut batch: Vec<Wanted> = Vec::new();
        metadata
            .scan(&all_headers(), |key, value| {
                // What does not decode was told in the walk before.
                let Ok(object) = decode_header_key(key).map(Arc::new) else { return Ok(()) };
                let Ok(header) = Header::decode(Bytes::copy_from_slice(value)) else { return Ok(()) };
                let number = header.number;
                let told = metadata.scan(&segment_range(number), |key, value| {
                    let (_, index) = decode_segment_key(key)?;
                    let Ok(content) = Segment::decode(Bytes::copy_from_slice(value)) else { return Ok(()) };
                    if !header.segments.contains(index) {
                        return Ok(());
                    }
                    let segment = SegmentPlace { number, index };
                    let readable = |unit: &Unit| !unit.damaged && self.outcome.allocator.contains(unit.place);
                    for (offset, unit) in stored_units(index, &content).filter(|(_, unit)| readable(unit)) {
                        batch.push(Wanted { unit, object: Arc::clone(&object), offset, segment });
                    }
                    Ok(())
                });
                if batch.len() >= BATCH_UNITS {
                    self.read_batch(&mut batch);
                }
                told
            })
            .map_err(|error| cannot_go_on("walk the objects for their data", &error))?;
        self.read_batch(&mut batch);
        Ok(())
    }

    fn read_batch(&mut self, batch: &mut Vec<Wanted>) {
        batch.sort_by_key(|wanted| wanted.unit.place);
        let mut buffer = AlignedBuffer::zeroed(READ_UNITS * UNIT_LENGTH);
        let mut rest = &batch[..];
        while let Some(first) = rest.first() {
            let first = first.unit.place;
            // Units shared by clones stand in the batch more than once, one behind the other.
            let in_read = rest.iter().take_while(|wanted| wanted.unit.place < first + READ_UNITS as u64);
            let mut last = first;
            let count = in_read.take_while(|wanted| {
                let follows = wanted.unit.place <= last + 1;
                last = last.max(wanted.unit.place);
                follows
            });
            let (wanted, after) = rest.split_at(count.count());
            rest = after;
            let last = wanted.last().map_or(first, |wanted| wanted.unit.place);
            let length = usize::try_from(last - first + 1).expect("at most READ_UNITS") * UNIT_LENGTH;
            let read = self.device.read(first * UNIT_BYTES, &mut buffer[..length]);
            for wanted in wanted {
                let at = usize::try_from(wanted.unit.place - first).expect("at most READ_UNITS") * UNIT_LENGTH;
                let bytes = &mut buffer[at..at + UNIT_LENGTH];
                // One bad sector must not take its neighbours with it: then each is read alone.
                let alone = read.is_err().then(|| self.device.read(wanted.unit.place * UNIT_BYTES, bytes));
                self.check_unit(wanted, alone.unwrap_or(Ok(())), bytes);
            }
        }
        batch.clear();
    }

    fn check_unit(&mut self, wanted: &Wanted, read: Result<(), Error>, bytes: &mut [u8]) {
        self.report.units_read += 1;
        self.tell(FsckStage::Data, self.report.units_read, Some(self.report.unit_references));
        let expected = wanted.unit.crc;
        let found = match read {
            Ok(()) => FoundBytes::Checksum(crc32fast::hash(bytes)),
            Err(error) => FoundBytes::Unreadable(error),
        };
        let in_ring = |bytes: &mut [u8]| {
            self.journaled.is_some_and(|journaled| journaled.holds(wanted.unit.place, expected, bytes))
        };
        if found == FoundBytes::Checksum(expected) {
            return;
        }
        // A scratch of its own: the buffer's bytes may be another reference's as well.
        if in_ring(&mut AlignedBuffer::zeroed(UNIT_LENGTH)) {
            return;
        }
        self.report.add(Problem::UnitDamaged { unit: wanted.place(), expected, found });
    }
}

/// The units of a segment that hold data, with their offsets within the object.
fn stored_units(index: u32, segment: &Segment) -> impl Iterator<Item = (u64, Unit)> + '_ {
    let first = u64::from(index) * SEGMENT_UNITS as u64;
    (first..).map(|unit| unit * UNIT_BYTES).zip(segment.units).filter(|(_, unit)| !unit.is_hole())
}
