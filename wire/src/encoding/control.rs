//! Tags of the control plane, and its public encodings: one body without a payload.

use bytes::Bytes;
use types::{Error, Result, limits};

use super::{
    bounds::{check_command, check_forwarded, check_map_share},
    field::{Record, choice, record},
    stream::{Decoder, Encoder},
};
use crate::{
    CommandAnswer, CommandId, CommandRequest, ControlReply, ControlRequest, FailureEvidence, MapShare, OsdBoot,
    OsdFailure,
};

record!(MapShare { 1 newest, 2 full, 3 increments } check check_map_share);
record!(CommandId { 1 asker, 2 sequence });
record!(CommandRequest { 1 id, 2 prefix, 3 arguments, 4 input } check check_command);
record!(CommandAnswer { 1 status, 2 output });
record!(OsdBoot { 1 osd, 2 uuid, 3 nonce, 4 address, 5 host, 6 total_bytes, 7 newest_map });
choice!(FailureEvidence { 1 Silent(1 duration), 2 Refused, 3 Recovered, 80 Closed });
record!(OsdFailure { 1 reporter, 2 target, 3 nonce, 4 evidence });

choice!(ControlRequest {
    1 Command(1 command),
    2 NewClient(1 id),
    3 GetMaps { 1 have },
    4 Boot(1 boot),
    5 Beacon { 1 osd, 2 nonce, 3 epoch, 4 lowest_needed, 5 usage },
    6 Failure(1 failure),
    7 Farewell { 1 osd, 2 nonce },
    8 UpThru { 1 osd, 2 nonce, 3 epoch },
    9 PgTemp { 1 osd, 2 epoch, 3 sets },
    10 PgCreated { 1 pgs },
    11 ManagerBeacon { 1 name, 2 address, 3 nonce, 4 digest },
    12 Statistics(1 report),
    13 Consensus { 1 method, 2 body },
    14 Forwarded { 1 asker, 2 request },
} check check_forwarded);

choice!(ControlReply {
    1 Done,
    2 Answer(1 answer),
    3 Client(1 client),
    4 Maps(1 share),
    5 Consensus(1 body),
    6 Failed(1 error),
});

/// Version of control-plane bodies written here, and the oldest reader that understands them.
const VERSION: u8 = 1;
const OLDEST_READER: u8 = 1;

fn encode(value: &impl Record) -> Bytes {
    let mut out = Encoder::inline(256);
    out.raw_byte(VERSION);
    out.raw_byte(OLDEST_READER);
    value.put_fields(&mut out);
    out.finish().0.into()
}

fn decode<T: Record>(what: &str, bytes: &[u8]) -> Result<T> {
    if bytes.len() > limits::CONTROL_MESSAGE_BYTES_MAX {
        let (length, limit) = (bytes.len(), limits::CONTROL_MESSAGE_BYTES_MAX);
        return Err(Error::invalid(format!("the {what} has {length} bytes; the limit is {limit}")));
    }
    let mut payload = Bytes::new();
    let mut input = Decoder::new(bytes, &mut payload);
    super::message::check_version(what, &mut input, VERSION).map_err(|error| error.context(format!("read {what}")))?;
    T::take_fields(&mut input).map_err(|error| error.context(format!("read {what}")))
}

/// The bytes of a request.
pub fn encode_control_request(request: &ControlRequest) -> Bytes {
    encode(request)
}

/// The request of these bytes, within its limits, or why not.
pub fn decode_control_request(bytes: &[u8]) -> Result<ControlRequest> {
    decode("control request", bytes)
}

/// The bytes of a reply.
pub fn encode_control_reply(reply: &ControlReply) -> Bytes {
    encode(reply)
}

/// The reply of these bytes, within its limits, or why not.
pub fn decode_control_reply(bytes: &[u8]) -> Result<ControlReply> {
    decode("control reply", bytes)
}

/// The bytes of maps for a subscriber.
pub fn encode_map_share(share: &MapShare) -> Bytes {
    encode(share)
}

/// The maps of these bytes, within their limits, or why not.
pub fn decode_map_share(bytes: &[u8]) -> Result<MapShare> {
    decode("map share", bytes)
}
