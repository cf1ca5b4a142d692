//! How types become fields: numbers, bytes, lists, maps, records and choices.
//!
//! `record!`, `choice!`, `enumeration!` and `newtype!` are the tables that fix tags. A tag in a table is for ever.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use bytes::Bytes;
use types::{Error, Result};

use super::stream::{Decoder, Encoder, WireType};

/// A value that can be written under a tag, default or not: an element of a list, or a field that is there.
pub(super) trait Element: Sized {
    fn put_one(&self, tag: u32, out: &mut Encoder);
    fn take_one(wire: WireType, input: &mut Decoder<'_>) -> Result<Self>;
}

/// A value as a field: left out when it is the default, gathered when it is a list.
pub(super) trait Field: Sized {
    fn put(&self, tag: u32, out: &mut Encoder);
    fn take(slot: &mut Option<Self>, wire: WireType, input: &mut Decoder<'_>) -> Result<()>;
    /// What the field is when it is not there; `None` when it must be there.
    fn absent() -> Option<Self>;
}

/// A value with fields of its own.
pub(super) trait Record: Sized {
    fn put_fields(&self, out: &mut Encoder);
    fn take_fields(input: &mut Decoder<'_>) -> Result<Self>;
}

/// What a field became, or why the record cannot be.
pub(super) fn finish<T: Field>(slot: Option<T>, name: &str) -> Result<T> {
    match slot.or_else(T::absent) {
        Some(value) => Ok(value),
        None => Err(Error::invalid(format!("{name} is missing"))),
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Element for $type {
            fn put_one(&self, tag: u32, out: &mut Encoder) {
                out.integer(tag, u64::from(*self));
            }
            fn take_one(wire: WireType, input: &mut Decoder<'_>) -> Result<Self> {
                let value = input.integer(wire)?;
                Self::try_from(value)
                    .map_err(|_| Error::invalid(format!("{value} does not fit {}", stringify!($type))))
            }
        }
        impl Field for $type {
            fn put(&self, tag: u32, out: &mut Encoder) {
                if *self != 0 {
                    self.put_one(tag, out);
                }
            }
            fn take(slot: &mut Option<Self>, wire: WireType, input: &mut Decoder<'_>) -> Result<()> {
                *slot = Some(Self::take_one(wire, input)?);
                Ok(())
            }
            fn absent() -> Option<Self> {
                Some(0)
            }
        }
    )*};
}

integers!(u32, u64);

/// A `Field` that is left out when `is_default`, and is that default when left out.
macro_rules! defaulted_field {
    ($type:ty, $self:ident => $is_default:expr, $default:expr) => {
        impl Field for $type {
            fn put(&$self, tag: u32, out: &mut Encoder) {
                if !$is_default {
                    $self.put_one(tag, out);
                }
            }
            fn take(slot: &mut Option<Self>, wire: WireType, input: &mut Decoder<'_>) -> Result<()> {
                *slot = Some(Self::take_one(wire, input)?);
                Ok(())
            }
            fn absent() -> Option<Self> {
                Some($default)
            }
        }
    };
}

impl Element for bool {
    fn put_one(&self, tag: u32, out: &mut Encoder) {
        out.integer(tag, u64::from(*self));
    }
    fn take_one(wire: WireType, input: &mut Decoder<'_>) -> Result<Self> {
        match input.integer(wire)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Error::invalid(format!("{other} is neither false (0) nor true (1)"))),
        }
    }
}
defaulted_field!(bool, self => !*self, false);

impl Element for Vec<u8> {
    fn put_one(&self, tag: u32, out: &mut Encoder) {
        out.delimited(tag, self);
    }
    fn take_one(wire: WireType, input: &mut Decoder<'_>) -> Result<Self> {
        Ok(input.delimited(wire)?.to_vec())
    }
}
defaulted_field!(Vec<u8>, self => self.is_empty(), Self::new());

impl Element for Bytes {
    fn put_one(&self, tag: u32, out: &mut Encoder) {
        out.bulk(tag, self);
    }
    fn take_one(wire: WireType, input: &mut Decoder<'_>) -> Result<Self> {
        input.bulk(wire)
    }
}
defaulted_field!(Bytes, self => self.is_empty(), Self::new());

impl Element for String {
    fn put_one(&self, tag: u32, out: &mut Encoder) {
        out.delimited(tag, self.as_bytes());
    }
    fn take_one(wire: WireType, input: &mut Decoder<'_>) -> Result<Self> {
        let bytes = input.delimited(wire)?;
        let text = std::str::from_utf8(bytes).map_err(|_| Error::invalid("a text is not UTF-8"))?;
        Ok(text.to_owned())
    }
}
defaulted_field!(String, self => self.is_empty(), Self::new());

/// Nanoseconds; 584 years at most, longer ones are cut to that.
impl Element for Duration {
    fn put_one(&self, tag: u32, out: &mut Encoder) {
        out.integer(tag, u64::try_from(self.as_nanos()).unwrap_or(u64::MAX));
    }
    fn take_one(wire: WireType, input: &mut Decoder<'_>) -> Result<Self> {
        Ok(Self::from_nanos(input.integer(wire)?))
    }
}
defaulted_field!(Duration, self => self.is_zero(), Self::ZERO);

/// Text as `127.0.0.1:6800` or `[::1]:6800`.
impl Element for SocketAddr {
    fn put_one(&self, tag: u32, out: &mut Encoder) {
        out.delimited(tag, self.to_string().as_bytes());
    }
    fn take_one(wire: WireType, input: &mut Decoder<'_>) -> Result<Self> {
        let text = String::take_one(wire, input)?;
        text.parse().map_err(|_| Error::invalid(format!("`{}` is not an address with a port", text.escape_debug())))
    }
}

/// A `Field` that must be there.
macro_rules! required_field {
    ($type:ty) => {
        impl $crate::encoding::field::Field for $type {
            fn put(&self, tag: u32, out: &mut $crate::encoding::stream::Encoder) {
                $crate::encoding::field::Element::put_one(self, tag, out);
            }
            fn take(
                slot: &mut Option<Self>,
                wire: $crate::encoding::stream::WireType,
                input: &mut $crate::encoding::stream::Decoder<'_>,
            ) -> types::Result<()> {
                *slot = Some(<Self as $crate::encoding::field::Element>::take_one(wire, input)?);
                Ok(())
            }
            fn absent() -> Option<Self> {
                None
            }
        }
    };
}
required_field!(SocketAddr);

/// A `Record` as element and as field that must be there.
macro_rules! record_field {
    ($type:ty) => {
        impl $crate::encoding::field::Element for $type {
            fn put_one(&self, tag: u32, out: &mut $crate::encoding::stream::Encoder) {
                out.nested(tag, |out| $crate::encoding::field::Record::put_fields(self, out));
            }
            fn take_one(
                wire: $crate::encoding::stream::WireType,
                input: &mut $crate::encoding::stream::Decoder<'_>,
            ) -> types::Result<Self> {
                input.nested(wire, <Self as $crate::encoding::field::Record>::take_fields)
            }
        }
        $crate::encoding::field::required_field!($type);
    };
}

impl<T: Element> Field for Option<T> {
    fn put(&self, tag: u32, out: &mut Encoder) {
        if let Some(value) = self {
            value.put_one(tag, out);
        }
    }
    fn take(slot: &mut Option<Self>, wire: WireType, input: &mut Decoder<'_>) -> Result<()> {
        *slot = Some(Some(T::take_one(wire, input)?));
        Ok(())
    }
    fn absent() -> Option<Self> {
        Some(None)
    }
}

/// A list whose elements are told apart by `Listed`, so that `Vec<u8>` stays bytes.
pub(super) trait Listed: Element {}

impl<T: Listed> Field for Vec<T> {
    fn put(&self, tag: u32, out: &mut Encoder) {
        for element in self {
            element.put_one(tag, out);
        }
    }
    fn take(slot: &mut Option<Self>, wire: WireType, input: &mut Decoder<'_>) -> Result<()> {
        slot.get_or_insert_default().push(T::take_one(wire, input)?);
        Ok(())
    }
    fn absent() -> Option<Self> {
        Some(Self::new())
    }
}

impl Listed for Vec<u8> {}

impl<A: Field, B: Field> Listed for (A, B) {}
impl<A: Field, B: Field> Element for (A, B) {
    fn put_one(&self, tag: u32, out: &mut Encoder) {
        out.nested(tag, |out| {
            self.0.put(1, out);
            self.1.put(2, out);
        });
    }
    fn take_one(wire: WireType, input: &mut Decoder<'_>) -> Result<Self> {
        input.nested(wire, |input| {
            let (mut first, mut second) = (None, None);
            while let Some((tag, wire)) = input.next_key()? {
                match tag {
                    1 => A::take(&mut first, wire, input)?,
                    2 => B::take(&mut second, wire, input)?,
                    _ => input.skip(wire)?,
                }
            }
            Ok((finish(first, "the first of a pair")?, finish(second, "the second of a pair")?))
        })
    }
}

impl<A: Field, B: Field, C: Field> Listed for (A, B, C) {}
impl<A: Field, B: Field, C: Field> Element for (A, B, C) {
    fn put_one(&self, tag: u32, out: &mut Encoder) {
        out.nested(tag, |out| {
            self.0.put(1, out);
            self.1.put(2, out);
            self.2.put(3, out);
        });
    }
    fn take_one(wire: WireType, input: &mut Decoder<'_>) -> Result<Self> {
        input.nested(wire, |input| {
            let (mut first, mut second, mut third) = (None, None, None);
            while let Some((tag, wire)) = input.next_key()? {
                match tag {
                    1 => A::take(&mut first, wire, input)?,
                    2 => B::take(&mut second, wire, input)?,
                    3 => C::take(&mut third, wire, input)?,
                    _ => input.skip(wire)?,
                }
            }
            let first = finish(first, "the first of three")?;
            Ok((first, finish(second, "the second of three")?, finish(third, "the third of three")?))
        })
    }
}

/// Pairs in key order.
impl<K: Field + Ord, V: Field> Field for BTreeMap<K, V> {
    fn put(&self, tag: u32, out: &mut Encoder) {
        for (key, value) in self {
            out.nested(tag, |out| {
                key.put(1, out);
                value.put(2, out);
            });
        }
    }
    fn take(slot: &mut Option<Self>, wire: WireType, input: &mut Decoder<'_>) -> Result<()> {
        let (key, value) = <(K, V)>::take_one(wire, input)?;
        if slot.get_or_insert_default().insert(key, value).is_some() {
            return Err(Error::invalid("a map has one key twice"));
        }
        Ok(())
    }
    fn absent() -> Option<Self> {
        Some(Self::new())
    }
}

impl<T: Record> Element for Box<T> {
    fn put_one(&self, tag: u32, out: &mut Encoder) {
        out.nested(tag, |out| (**self).put_fields(out));
    }
    fn take_one(wire: WireType, input: &mut Decoder<'_>) -> Result<Self> {
        Ok(Self::new(input.nested(wire, T::take_fields)?))
    }
}

impl<T: Record> Field for Box<T> {
    fn put(&self, tag: u32, out: &mut Encoder) {
        self.put_one(tag, out);
    }
    fn take(slot: &mut Option<Self>, wire: WireType, input: &mut Decoder<'_>) -> Result<()> {
        *slot = Some(Self::take_one(wire, input)?);
        Ok(())
    }
    fn absent() -> Option<Self> {
        None
    }
}

/// `record!(Type { 1 field, 2 other } check function)`: the table of a struct's tags, and what its bounds are.
macro_rules! record {
    ($type:ident { $($tag:literal $field:ident),* $(,)? } $(check $check:path)?) => {
        impl $crate::encoding::field::Record for $type {
            fn put_fields(&self, out: &mut $crate::encoding::stream::Encoder) {
                $( $crate::encoding::field::Field::put(&self.$field, $tag, out); )*
            }
            fn take_fields(input: &mut $crate::encoding::stream::Decoder<'_>) -> types::Result<Self> {
                $( let mut $field = None; )*
                while let Some((tag, wire)) = input.next_key()? {
                    match tag {
                        $( $tag => $crate::encoding::field::Field::take(&mut $field, wire, input)?, )*
                        _ => input.skip(wire)?,
                    }
                }
                let value = Self { $(
                    $field: $crate::encoding::field::finish(
                        $field,
                        concat!(stringify!($type), ".", stringify!($field)),
                    )?,
                )* };
                $( $check(&value)?; )?
                Ok(value)
            }
        }
        $crate::encoding::field::record_field!($type);
        impl $crate::encoding::field::Listed for $type {}
    };
}

/// `choice!(Type { 1 Unit, 2 Tuple(1 inner), 3 Struct { 1 field } } check function)`: the table of an enum's
/// variants. On the wire a record with exactly one field, the variant; a variant that is not known refuses.
macro_rules! choice {
    ($type:ident {
        $($tag:literal $variant:ident
            $(( $($inner_tag:literal $inner:ident),* ))?
            $({ $($field_tag:literal $field:ident),* $(,)? })?
        ),* $(,)?
    } $(check $check:path)?) => {
        impl $crate::encoding::field::Record for $type {
            fn put_fields(&self, out: &mut $crate::encoding::stream::Encoder) {
                match self {$(
                    Self::$variant $(( $($inner),* ))? $({ $($field),* })? => out.nested($tag, |_out| {
                        $($( $crate::encoding::field::Field::put($inner, $inner_tag, _out); )*)?
                        $($( $crate::encoding::field::Field::put($field, $field_tag, _out); )*)?
                    }),
                )*}
            }
            fn take_fields(input: &mut $crate::encoding::stream::Decoder<'_>) -> types::Result<Self> {
                let Some((tag, wire)) = input.next_key()? else {
                    return Err(types::Error::invalid(concat!(stringify!($type), " names no variant")));
                };
                let value = match tag {
                    $($tag => input.nested(wire, |input| {
                        $($( let mut $inner = None; )*)?
                        $($( let mut $field = None; )*)?
                        while let Some((tag, wire)) = input.next_key()? {
                            match tag {
                                $($( $inner_tag => $crate::encoding::field::Field::take(&mut $inner, wire, input)?, )*)?
                                $($( $field_tag => $crate::encoding::field::Field::take(&mut $field, wire, input)?, )*)?
                                _ => input.skip(wire)?,
                            }
                        }
                        Ok(Self::$variant $(( $(
                            $crate::encoding::field::finish(
                                $inner,
                                concat!(stringify!($type), "::", stringify!($variant), ".", stringify!($inner)),
                            )?
                        ),* ))? $({ $(
                            $field: $crate::encoding::field::finish(
                                $field,
                                concat!(stringify!($type), "::", stringify!($variant), ".", stringify!($field)),
                            )?
                        ),* })?)
                    })?,)*
                    other => {
                        let name = stringify!($type);
                        return Err(types::Error::invalid(format!("{name} has no variant {other} known here")));
                    }
                };
                if input.next_key()?.is_some() {
                    return Err(types::Error::invalid(concat!(stringify!($type), " names two variants")));
                }
                $( $check(&value)?; )?
                Ok(value)
            }
        }
        $crate::encoding::field::record_field!($type);
        impl $crate::encoding::field::Listed for $type {}
    };
}

/// `enumeration!(Type { 1 Variant, … })`: an enum without content as a number; zero is never given.
macro_rules! enumeration {
    ($type:ident { $($number:literal $variant:ident),* $(,)? }) => {
        impl $crate::encoding::field::Element for $type {
            fn put_one(&self, tag: u32, out: &mut $crate::encoding::stream::Encoder) {
                out.integer(tag, match self { $( Self::$variant => $number, )* });
            }
            fn take_one(
                wire: $crate::encoding::stream::WireType,
                input: &mut $crate::encoding::stream::Decoder<'_>,
            ) -> types::Result<Self> {
                match input.integer(wire)? {
                    $( $number => Ok(Self::$variant), )*
                    other => {
                        let name = stringify!($type);
                        Err(types::Error::invalid(format!("{name} has no value {other} known here")))
                    }
                }
            }
        }
        $crate::encoding::field::required_field!($type);
    };
}

/// `newtype!(Type, …)`: a struct around one number.
macro_rules! newtype {
    ($($type:ident),* $(,)?) => {$(
        impl $crate::encoding::field::Element for $type {
            fn put_one(&self, tag: u32, out: &mut $crate::encoding::stream::Encoder) {
                self.0.put_one(tag, out);
            }
            fn take_one(
                wire: $crate::encoding::stream::WireType,
                input: &mut $crate::encoding::stream::Decoder<'_>,
            ) -> types::Result<Self> {
                Ok(Self($crate::encoding::field::Element::take_one(wire, input)?))
            }
        }
        impl $crate::encoding::field::Field for $type {
            fn put(&self, tag: u32, out: &mut $crate::encoding::stream::Encoder) {
                $crate::encoding::field::Field::put(&self.0, tag, out);
            }
            fn take(
                slot: &mut Option<Self>,
                wire: $crate::encoding::stream::WireType,
                input: &mut $crate::encoding::stream::Decoder<'_>,
            ) -> types::Result<()> {
                *slot = Some(<Self as $crate::encoding::field::Element>::take_one(wire, input)?);
                Ok(())
            }
            fn absent() -> Option<Self> {
                Some(Self(0))
            }
        }
        impl $crate::encoding::field::Listed for $type {}
    )*};
}

pub(super) use {choice, enumeration, newtype, record, record_field, required_field};
