//! Tags of the shared values: ids, versions, object names, cursors, store transactions, errors.

use types::{
    BootNonce, ClientId, Cursor, EntityName, Epoch, Error, ErrorKind, Extent, GENERATION_NONE, LogVersion, ObjectId,
    ObjectName, OmapPage, OsdId, OsdUuid, PgId, PoolId, RequestId, Result, ShardId, SnapshotId, StoreOp, StoreUsage,
    Transaction, Uuid,
};

use super::{
    bounds::{check_object_id, check_object_name, check_omap_page, check_store_op},
    field::{
        Element, Field, Listed, Record, choice, enumeration, finish, newtype, record, record_field, required_field,
    },
    stream::{Decoder, Encoder, WireType},
};

newtype!(OsdId, PoolId, ClientId, SnapshotId, BootNonce, Epoch);

record!(RequestId { 1 client, 2 sequence });
record!(PgId { 1 pool, 2 seed });
record!(LogVersion { 1 epoch, 2 number });
record!(Extent { 1 offset, 2 length });
record!(ObjectName { 1 namespace, 2 key, 3 name } check check_object_name);
record!(StoreUsage { 1 total_bytes, 2 used_bytes, 3 metadata_bytes });
record!(OmapPage { 1 entries, 2 more } check check_omap_page);
record!(Transaction { 1 ops });
record!(Error { 1 kind, 2 message });

enumeration!(ErrorKind {
    1 Retry, 2 RefreshMap, 3 Invalid, 4 Denied, 5 NotFound, 6 Exists, 7 Full, 8 Damaged, 9 Closed, 10 Internal,
});

choice!(Cursor { 1 Start, 2 Before(1 object), 3 End });

choice!(StoreOp {
    1 Touch { 1 object },
    2 Write { 1 object, 2 offset, 3 data },
    3 Zero { 1 object, 2 extent },
    4 Truncate { 1 object, 2 size },
    5 Remove { 1 object },
    6 Clone { 1 source, 2 target },
    7 SetXattrs { 1 object, 2 xattrs },
    8 RemoveXattr { 1 object, 2 name },
    9 OmapSet { 1 object, 2 entries },
    10 OmapRemove { 1 object, 2 keys },
    11 OmapRemoveRange { 1 object, 2 begin, 3 end },
    12 OmapClear { 1 object },
    13 OmapSetHeader { 1 object, 2 header },
} check check_store_op);

/// Written by hand because nearly every object is a live, whole one: what is left out means that.
impl Record for ObjectId {
    fn put_fields(&self, out: &mut Encoder) {
        self.pool.put(1, out);
        out.fixed32(2, self.hash);
        self.name.namespace.put(3, out);
        self.name.key.put(4, out);
        self.name.name.put(5, out);
        if self.snapshot != SnapshotId::HEAD {
            self.snapshot.put_one(6, out);
        }
        if self.generation != GENERATION_NONE {
            self.generation.put_one(7, out);
        }
        if self.shard != ShardId::WHOLE {
            out.integer(8, zigzag(self.shard.0));
        }
    }

    fn take_fields(input: &mut Decoder<'_>) -> Result<Self> {
        let (mut pool, mut hash, mut namespace, mut key, mut name) = (None, None, None, None, None);
        let (mut snapshot, mut generation, mut shard) = (SnapshotId::HEAD, GENERATION_NONE, ShardId::WHOLE);
        while let Some((tag, wire)) = input.next_key()? {
            match tag {
                1 => Field::take(&mut pool, wire, input)?,
                2 => hash = Some(input.fixed32(wire)?),
                3 => Field::take(&mut namespace, wire, input)?,
                4 => Field::take(&mut key, wire, input)?,
                5 => Field::take(&mut name, wire, input)?,
                6 => snapshot = SnapshotId::take_one(wire, input)?,
                7 => generation = u64::take_one(wire, input)?,
                8 => shard = ShardId(unzigzag(input.integer(wire)?)?),
                _ => input.skip(wire)?,
            }
        }
        let name = ObjectName {
            namespace: finish(namespace, "ObjectId.namespace")?,
            key: finish(key, "ObjectId.key")?,
            name: finish(name, "ObjectId.name")?,
        };
        let hash = finish(hash, "ObjectId.hash")?;
        let object = Self { pool: finish(pool, "ObjectId.pool")?, hash, name, snapshot, generation, shard };
        check_object_id(&object)?;
        Ok(object)
    }
}
record_field!(ObjectId);
impl Listed for ObjectId {}

/// 0, -1, 1, -2, … become 0, 1, 2, 3, …
fn zigzag(value: i8) -> u64 {
    let value = i64::from(value);
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> Result<i8> {
    let half = (value >> 1).cast_signed();
    let signed = if value & 1 == 1 { -half - 1 } else { half };
    i8::try_from(signed).map_err(|_| Error::invalid(format!("shard {signed} is outside -128 to 127")))
}

/// A place in an up or acting set: zero is a hole, else the OSD's number plus one.
impl Element for Option<OsdId> {
    fn put_one(&self, tag: u32, out: &mut Encoder) {
        out.integer(tag, self.map_or(0, |osd| u64::from(osd.0) + 1));
    }
    fn take_one(wire: WireType, input: &mut Decoder<'_>) -> Result<Self> {
        match input.integer(wire)? {
            0 => Ok(None),
            number => match u32::try_from(number - 1) {
                Ok(osd) => Ok(Some(OsdId(osd))),
                Err(_) => Err(Error::invalid(format!("{} is not the number of an OSD", number - 1))),
            },
        }
    }
}
impl Listed for Option<OsdId> {}

/// Sixteen bytes.
impl Element for OsdUuid {
    fn put_one(&self, tag: u32, out: &mut Encoder) {
        out.delimited(tag, &self.0.0);
    }
    fn take_one(wire: WireType, input: &mut Decoder<'_>) -> Result<Self> {
        let bytes = input.delimited(wire)?;
        let bytes =
            bytes.try_into().map_err(|_| Error::invalid(format!("a uuid has 16 bytes, not {}", bytes.len())))?;
        Ok(Self(Uuid(bytes)))
    }
}
required_field!(OsdUuid);

/// Text as `osd.3`.
impl Element for EntityName {
    fn put_one(&self, tag: u32, out: &mut Encoder) {
        out.delimited(tag, self.to_string().as_bytes());
    }
    fn take_one(wire: WireType, input: &mut Decoder<'_>) -> Result<Self> {
        String::take_one(wire, input)?.parse()
    }
}
required_field!(EntityName);
