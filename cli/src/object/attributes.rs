//! xattrs and omap, with the words of Ceph's `rados`.

use std::{collections::BTreeMap, io::Read};

use base64::Engine as _;
use bytes::Bytes;
use client::{Error, Object, Pool, Result};
use serde_json::{Value, json};

use crate::{arguments::ObjectCommand, console::Console};

/// Keys in one page of a listing.
const PAGE_KEYS: u32 = 1000;

pub(super) async fn carry_out(pool: &Pool, command: ObjectCommand, console: Console) -> Result<()> {
    match command {
        ObjectCommand::Listxattr { name } => {
            let xattrs = pool.object(name).xattrs().await?;
            let names: Vec<String> = xattrs.keys().map(|name| text(name)).collect();
            console.show(|| lines(&names), || json!(names))
        }
        ObjectCommand::Getxattr { name, attribute } => {
            value_out(&pool.object(name).xattr(&attribute).await?, &attribute, console)
        }
        ObjectCommand::Setxattr { name, attribute, value } => {
            pool.object(name).set_xattr(attribute, value_in(value)?).await
        }
        ObjectCommand::Rmxattr { name, attribute } => pool.object(name).remove_xattr(attribute).await,
        ObjectCommand::Listomapkeys { name } => {
            let entries = all_entries(&pool.object(name)).await?;
            let keys: Vec<String> = entries.iter().map(|(key, _)| text(key)).collect();
            console.show(|| lines(&keys), || json!(keys))
        }
        ObjectCommand::Listomapvals { name } => {
            let entries = all_entries(&pool.object(name)).await?;
            console
                .show(|| entries_text(&entries), || entries.iter().map(|(key, value)| entry_json(key, value)).collect())
        }
        ObjectCommand::Getomapval { name, key } => {
            let object = pool.object(&name);
            let mut values = object.omap_values([key.as_bytes()]).await?;
            let value = values.remove(key.as_bytes());
            let value = value.ok_or_else(|| Error::not_found(format!("`{name}` has no omap key `{key}`")))?;
            value_out(&value, &key, console)
        }
        ObjectCommand::Setomapval { name, key, value } => {
            pool.object(name).omap_set(BTreeMap::from([(key.into_bytes(), value_in(value)?)])).await
        }
        ObjectCommand::Rmomapkey { name, keys } => pool.object(name).omap_remove(keys).await,
        ObjectCommand::Clearomap { name } => pool.object(name).omap_clear().await,
        other => Err(Error::internal(format!("{other:?} is not about attributes"))),
    }
}

async fn all_entries(object: &Object) -> Result<Vec<(Vec<u8>, Bytes)>> {
    let mut entries: Vec<(Vec<u8>, Bytes)> = Vec::new();
    loop {
        let after = entries.last().map(|(key, _)| key.clone()).unwrap_or_default();
        let page = object.omap_page(after, b"", PAGE_KEYS).await?;
        let ends = !page.more || page.entries.is_empty();
        entries.extend(page.entries);
        if ends {
            return Ok(entries);
        }
    }
}

/// The given value, or all of standard input.
fn value_in(value: Option<String>) -> Result<Bytes> {
    if let Some(value) = value {
        return Ok(value.into());
    }
    let mut bytes = Vec::new();
    match std::io::stdin().lock().read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes.into()),
        Err(error) => Err(Error::invalid(format!("read standard input: {error}"))),
    }
}

fn value_out(value: &Bytes, name: &str, console: Console) -> Result<()> {
    if console.format.is_json() {
        return console.json(&entry_json(name.as_bytes(), value));
    }
    // The bytes and nothing else, so that they can be piped.
    console.raw(value)
}

/// Values are bytes: as text where they are text, and always in base64.
fn entry_json(key: &[u8], value: &Bytes) -> Value {
    json!({
        "key": text(key),
        "value": std::str::from_utf8(value).ok(),
        "value_base64": base64::engine::general_purpose::STANDARD.encode(value),
    })
}

fn entries_text(entries: &[(Vec<u8>, Bytes)]) -> String {
    entries
        .iter()
        .map(|(key, value)| format!("{}\nvalue ({} bytes) :\n{}\n\n", text(key), value.len(), hexadecimal(value)))
        .collect()
}

/// Sixteen bytes a line, with their offset and their text, as `hexdump -C` shows them.
fn hexadecimal(bytes: &[u8]) -> String {
    let mut lines = Vec::new();
    for (index, row) in bytes.chunks(16).enumerate() {
        let digits: Vec<String> = row.iter().map(|byte| format!("{byte:02x}")).collect();
        let shown = |byte: &u8| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' };
        let text: String = row.iter().map(shown).collect();
        lines.push(format!("{:08x}  {:47}  |{text}|", index * 16, digits.join(" ")));
    }
    lines.push(format!("{:08x}", bytes.len()));
    lines.join("\n")
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn lines(names: &[String]) -> String {
    names.iter().map(|name| format!("{name}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_dumped_and_encoded() {
        let dump = hexadecimal(b"hello world, 17+\n");
        assert_eq!(
            dump,
            "00000000  68 65 6c 6c 6f 20 77 6f 72 6c 64 2c 20 31 37 2b  |hello world, 17+|\n\
             00000010  0a                                               |.|\n00000011"
        );
        assert_eq!(entry_json(b"k", &Bytes::from_static(b"v"))["value_base64"], "dg==");
        assert_eq!(entry_json(b"k", &Bytes::from_static(b"\xff"))["value"], Value::Null);
    }
}
