//! The S3 gateway: buckets and objects of Amazon's protocol on pools of the cluster.
//!
//! ```text
//! server ── the protocol library ── service ── gateway ┬ buckets, users      .s3.meta
//!                                                      ├ index              .s3.index
//!                                                      └ blobs, ledger        .s3.data
//! ```
//! A PUT writes its bytes under a tag that nobody else has, and then tells the bucket's index, in one transaction that
//! also lists the replaced data as garbage. A GET asks the index, then reads. So what is listed is whole, and what
//! nobody lists is either garbage, which is collected, or was left half written by a gateway that died, which a sweep
//! finds by the tags that every gateway writes down before it uses them.
//!
//! Owns: S3's rules, where an object's bytes are, users and their keys. Does not know: how the cluster keeps objects.
//!
//! Invariants
//! 1. What is listed is there, whole, and equal to what was put.
//! 2. A request that was answered with success is durable; changes of one key are linearizable, whichever gateway
//!    makes them.
//! 3. Memory does not grow with the size of an object.
//! 4. Secrets are shown by nothing but the commands that exist to show them.

mod administration;
mod attributes;
mod auth;
mod blobs;
mod body;
mod buckets;
mod checksum;
mod errors;
mod garbage;
mod gateway;
mod index;
mod ledger;
mod metrics;
mod pools;
mod server;
mod service;
mod sweep;
mod times;
mod users;

pub use administration::{Administration, BucketUsage, Collection};
pub use buckets::Bucket;
pub use garbage::Collected;
pub use gateway::{REGION_DEFAULT, Settings};
pub use server::{Server, listen};
pub use sweep::Swept;
pub use users::{User, UserKey, Users};
