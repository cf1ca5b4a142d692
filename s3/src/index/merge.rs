//! One listing over all shards, in the order of keys.
//!
//! Each shard answers in order. A thing is taken from the front of the shards' answers only while every shard that has
//! more to say has something in front; so nothing that sorts before it can come later. A prefix that several shards
//! name is listed once.

use std::collections::VecDeque;

use client::{ErrorKind, Result};
use futures::future::try_join_all;

use super::{Index, Seen};
use client::classes::s3_index::{CLASS, LIST, ListPage, ListQuery, Listed, PAGE_ITEMS_MAX, Tag, decode, encode};

/// What is asked of each shard beyond its share: keys do not spread evenly, and a second question costs more than a
/// few keys too many.
const SHARE_MORE: u32 = 16;

/// What a listing is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ListingQuery {
    pub prefix: Vec<u8>,
    pub delimiter: Vec<u8>,
    pub after: Vec<u8>,
    pub items_max: u32,
}

/// A page of a bucket's listing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Listing {
    pub items: Vec<Listed>,
    pub more: bool,
}

/// The answers of one shard that were not taken yet.
#[derive(Debug)]
struct Front {
    shard: u32,
    items: VecDeque<Listed>,
    position: Vec<u8>,
    more: bool,
}

enum Fetched {
    Open,
    Closed(Tag),
    Gone,
}

impl Front {
    async fn fetch(&mut self, index: &Index, query: &ListingQuery, items_max: u32) -> Result<Fetched> {
        let query = ListQuery {
            prefix: query.prefix.clone(),
            delimiter: query.delimiter.clone(),
            after: self.position.clone(),
            items_max,
        };
        let page: ListPage = match index.shard(self.shard).call(CLASS, LIST, encode(&query)).await {
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(Fetched::Gone),
            page => decode(&page?)?,
        };
        if let Some(removal) = page.closed {
            return Ok(Fetched::Closed(removal));
        }
        if let Some(last) = page.items.last() {
            self.position = last.position();
        }
        self.more = page.more && !page.items.is_empty();
        self.items.extend(page.items);
        Ok(Fetched::Open)
    }
}

impl Index {
    /// A page of the bucket's listing.
    pub async fn list(&self, query: &ListingQuery) -> Result<Seen<Listing>> {
        let share = (query.items_max / self.shards + SHARE_MORE).saturating_mul(5) / 4;
        let share = share.min(query.items_max).min(PAGE_ITEMS_MAX);
        let mut fronts: Vec<Front> = self
            .shards()
            .map(|shard| Front { shard, items: VecDeque::new(), position: query.after.clone(), more: true })
            .collect();
        let mut listing = Listing::default();
        loop {
            let empty = fronts.iter_mut().filter(|front| front.items.is_empty() && front.more);
            for fetched in try_join_all(empty.map(|front| front.fetch(self, query, share))).await? {
                match fetched {
                    Fetched::Open => {}
                    Fetched::Closed(removal) => return Ok(Seen::Closed(removal)),
                    Fetched::Gone => return Ok(Seen::Gone),
                }
            }
            if take_in_order(&mut fronts, &mut listing, query.items_max) {
                return Ok(Seen::Open(listing));
            }
        }
    }
}

/// Takes what is certain to be next. Says whether the page is complete.
fn take_in_order(fronts: &mut [Front], listing: &mut Listing, items_max: u32) -> bool {
    let items_max = usize::try_from(items_max).expect("a page's items fit usize");
    loop {
        if fronts.iter().any(|front| front.items.is_empty() && front.more) {
            return false;
        }
        let first = fronts.iter().enumerate().filter_map(|(at, front)| Some((front.items.front()?.name(), at))).min();
        let Some((_, at)) = first else { return true };
        let Some(item) = fronts[at].items.pop_front() else { return true };
        if matches!(&item, Listed::Prefix(_)) && listing.items.last() == Some(&item) {
            continue;
        }
        if listing.items.len() == items_max {
            listing.more = true;
            return true;
        }
        listing.items.push(item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(key: &str) -> Listed {
        Listed::Object { key: key.into(), size: 1, etag: String::new(), modified_ms: 0 }
    }

    fn front(items: &[Listed], more: bool) -> Front {
        Front { shard: 0, items: items.iter().cloned().collect(), position: Vec::new(), more }
    }

    #[test]
    fn nothing_is_taken_while_a_shard_may_have_something_smaller() {
        let prefix = || Listed::Prefix(b"c/".to_vec());
        let mut fronts = [front(&[object("a"), prefix()], false), front(&[object("b")], true)];
        let mut listing = Listing::default();
        assert!(!take_in_order(&mut fronts, &mut listing, 10));
        assert_eq!(listing.items, [object("a"), object("b")]);
        fronts[1].items.extend([prefix(), object("d")]);
        fronts[1].more = false;
        assert!(take_in_order(&mut fronts, &mut listing, 10));
        assert_eq!(listing.items, [object("a"), object("b"), prefix(), object("d")]);
        assert!(!listing.more);
    }

    #[test]
    fn a_prefix_in_two_shards_is_no_sign_of_more() {
        let prefix = || Listed::Prefix(b"c/".to_vec());
        let mut fronts = [front(&[prefix()], false), front(&[prefix()], false)];
        let mut listing = Listing::default();
        assert!(take_in_order(&mut fronts, &mut listing, 1));
        assert_eq!((listing.items.len(), listing.more), (1, false));
        let mut fronts = [front(&[prefix()], false), front(&[prefix(), object("d")], false)];
        let mut listing = Listing::default();
        assert!(take_in_order(&mut fronts, &mut listing, 1));
        assert_eq!((listing.items.len(), listing.more), (1, true));
    }
}
