//! A sealed message: session, counter, seal, body.

use bytes::{BufMut, Bytes, BytesMut};

use crate::proof::{PROOF_BYTES, SessionKey};

/// Bytes in front of the body.
pub(super) const SEALED_HEAD_BYTES: usize = 48;
const _: () = assert!(SEALED_HEAD_BYTES == 8 + 8 + PROOF_BYTES, "session, counter and seal fill the head");

/// What a message is for; part of what is sealed, so that one cannot pass for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Call,
    Reply,
    Subscribe,
    /// An item of the subscription that this counter began; the message's own counter is the item's index.
    Share(u64),
}

impl Purpose {
    fn label(self) -> [u8; 9] {
        let (kind, counter) = match self {
            Self::Call => (1, 0),
            Self::Reply => (2, 0),
            Self::Subscribe => (3, 0),
            Self::Share(counter) => (4, counter),
        };
        let mut label = [0; 9];
        label[0] = kind;
        label[1..].copy_from_slice(&u64::to_le_bytes(counter));
        label
    }
}

/// A message as it arrived; not believed before `open`.
#[derive(Debug, Clone)]
pub(super) struct Sealed {
    pub(super) session: u64,
    pub(super) counter: u64,
    seal: [u8; PROOF_BYTES],
    body: Bytes,
}

impl Sealed {
    /// Takes the head off; `None` when there is none.
    pub(super) fn split(mut message: Bytes) -> Option<Self> {
        let head = message.first_chunk::<SEALED_HEAD_BYTES>()?;
        let number = |at: usize| u64::from_le_bytes(*head[at..].first_chunk().expect("inside the head"));
        let (session, counter) = (number(0), number(8));
        let seal = *head[16..].first_chunk().expect("the head ends with the seal");
        let body = message.split_off(SEALED_HEAD_BYTES);
        Some(Self { session, counter, seal, body })
    }

    /// The body, when the seal is of this key and purpose.
    pub(super) fn open(self, key: &SessionKey, purpose: Purpose) -> Option<Bytes> {
        let (session, counter) = (self.session.to_le_bytes(), self.counter.to_le_bytes());
        let parts: [&[u8]; 4] = [&purpose.label(), &session, &counter, &self.body];
        key.is_seal(&parts, &self.seal).then_some(self.body)
    }
}

/// The message with its head.
pub(super) fn seal(key: &SessionKey, purpose: Purpose, session: u64, counter: u64, body: &[u8]) -> Bytes {
    let (session, counter) = (session.to_le_bytes(), counter.to_le_bytes());
    let parts: [&[u8]; 4] = [&purpose.label(), &session, &counter, body];
    let seal = key.seal(&parts);
    let mut message = BytesMut::with_capacity(SEALED_HEAD_BYTES + body.len());
    message.put_slice(&session);
    message.put_slice(&counter);
    message.put_slice(&seal);
    message.put_slice(body);
    message.freeze()
}
