//! For whom a value is: Ceph's `who/mask`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use types::{EntityKind, EntityName, Error, OsdId, Result};

use crate::ClusterMap;

/// Who is meant before the mask.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// Everybody: `global`.
    Global,
    /// Everybody of a kind: `osd`.
    Kind(EntityKind),
    /// One: `osd.3`.
    Entity(EntityName),
}

/// Which of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mask {
    /// OSDs on devices of a class: `class:ssd`.
    Class(String),
    /// OSDs below a place of the hierarchy: `host:a`, `rack:r1`, and so for every type of bucket.
    Place {
        /// The bucket's type.
        bucket_type: String,
        /// Its name.
        name: String,
    },
}

/// For whom a value is: `global`, `osd`, `osd.3`, `osd/class:ssd`, `osd/rack:r1`. A mask alone means OSDs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConfigTarget {
    /// Before the slash.
    pub who: Who,
    /// Behind it.
    pub mask: Option<Mask>,
}

/// How particular a value is; the greater one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Global,
    Kind,
    Class,
    /// By how close the place is: the root is 0.
    Place(usize),
    Entity,
}

/// A daemon, with all that a target may speak of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigSubject {
    /// Its name.
    pub entity: EntityName,
    /// Its device's class.
    pub class: Option<String>,
    /// Its places, (type, name) from the root down.
    pub places: Vec<(String, String)>,
}

impl ConfigSubject {
    /// A daemon that has no place in the hierarchy.
    pub fn new(entity: EntityName) -> Self {
        Self { entity, class: None, places: Vec::new() }
    }
}

impl ClusterMap {
    /// What settings may say of an OSD. The hierarchy decides about hosts and racks, not what a host calls itself.
    pub fn config_subject(&self, osd: OsdId) -> ConfigSubject {
        let mut subject = ConfigSubject::new(EntityName::osd(osd));
        if let Ok(item) = i32::try_from(osd.0) {
            subject.class = self.crush.class_of(item).map(str::to_owned);
            subject.places = self.crush.location_of(item);
            subject.places.reverse();
        }
        subject
    }
}

impl ConfigTarget {
    /// Everybody.
    pub const GLOBAL: Self = Self { who: Who::Global, mask: None };

    /// How particularly this speaks of a daemon; nothing when it does not speak of it.
    pub(super) fn rank_for(&self, subject: &ConfigSubject) -> Option<Rank> {
        let who = match &self.who {
            Who::Global => Rank::Global,
            Who::Kind(kind) => (*kind == subject.entity.kind).then_some(Rank::Kind)?,
            Who::Entity(entity) => (*entity == subject.entity).then_some(Rank::Entity)?,
        };
        let mask = match &self.mask {
            None => return Some(who),
            Some(Mask::Class(class)) => (subject.class.as_ref() == Some(class)).then_some(Rank::Class)?,
            Some(Mask::Place { bucket_type, name }) => {
                let is_here = |place: &(String, String)| place.0 == *bucket_type && place.1 == *name;
                Rank::Place(subject.places.iter().position(is_here)?)
            }
        };
        Some(who.max(mask))
    }
}

impl fmt::Display for ConfigTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.who {
            Who::Global => f.write_str("global")?,
            Who::Kind(kind) => f.write_str(kind.name())?,
            Who::Entity(entity) => write!(f, "{entity}")?,
        }
        match &self.mask {
            None => Ok(()),
            Some(Mask::Class(class)) => write!(f, "/class:{class}"),
            Some(Mask::Place { bucket_type, name }) => write!(f, "/{bucket_type}:{name}"),
        }
    }
}

impl TryFrom<String> for ConfigTarget {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<ConfigTarget> for String {
    fn from(target: ConfigTarget) -> Self {
        target.to_string()
    }
}

impl FromStr for ConfigTarget {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (who, mask) = match text.split_once('/') {
            Some((who, mask)) => (who, Some(mask)),
            None if text.contains(':') => ("osd", Some(text)),
            None => (text, None),
        };
        let who = match who {
            "global" => Who::Global,
            "mon" => Who::Kind(EntityKind::Mon),
            "osd" => Who::Kind(EntityKind::Osd),
            "mgr" => Who::Kind(EntityKind::Mgr),
            "client" => Who::Kind(EntityKind::Client),
            other => Who::Entity(other.parse().map_err(|_| {
                Error::invalid(format!(
                    "`{text}` names nobody; it would be global, mon, osd, mgr, client, one of them such as osd.3, or \
                     osd with a mask such as osd/class:ssd, osd/host:a or osd/rack:r1"
                ))
            })?),
        };
        let mask = match mask.map(|mask| mask.split_once(':')) {
            None => None,
            Some(Some(("class", class))) if !class.is_empty() => Some(Mask::Class(class.to_owned())),
            Some(Some((bucket_type, name))) if !bucket_type.is_empty() && !name.is_empty() => {
                Some(Mask::Place { bucket_type: bucket_type.to_owned(), name: name.to_owned() })
            }
            Some(_) => {
                return Err(Error::invalid(format!("the mask of `{text}` would be like class:ssd, host:a or rack:r1")));
            }
        };
        Ok(Self { who, mask })
    }
}
