//! Rules: what to take, what to choose and what to emit.

/// What kind of pool a rule is for, as stored in its mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleType(pub u8);

impl RuleType {
    /// For replicated pools.
    pub const REPLICATED: Self = Self(1);
    /// For erasure-coded pools.
    pub const ERASURE: Self = Self(3);
    /// Multi-step retry, shifting result (newer Ceph).
    pub const MSR_FIRSTN: Self = Self(4);
    /// Multi-step retry, holes stay (newer Ceph).
    pub const MSR_INDEP: Self = Self(5);

    /// Whether the rule is run by the multi-step-retry machine.
    #[must_use]
    pub fn is_msr(self) -> bool {
        self == Self::MSR_FIRSTN || self == Self::MSR_INDEP
    }
}

/// One step of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Does nothing.
    Noop,
    /// Start from this item.
    Take {
        /// A bucket (possibly a class's shadow) or device.
        item: i32,
    },
    /// From each item at hand choose this many of a type; gaps close.
    ChooseFirstN {
        /// How many; 0 and below are relative to the number wanted.
        count: i32,
        /// Of which type.
        type_id: i32,
    },
    /// From each item at hand choose this many of a type; gaps stay where they are.
    ChooseIndep {
        /// How many; 0 and below are relative to the number wanted.
        count: i32,
        /// Of which type.
        type_id: i32,
    },
    /// Hand the items at hand to the result.
    Emit,
    /// As `ChooseFirstN`, and then a device below each.
    ChooseLeafFirstN {
        /// How many; 0 and below are relative to the number wanted.
        count: i32,
        /// Of which type.
        type_id: i32,
    },
    /// As `ChooseIndep`, and then a device below each.
    ChooseLeafIndep {
        /// How many; 0 and below are relative to the number wanted.
        count: i32,
        /// Of which type.
        type_id: i32,
    },
    /// Overrides the tunable for this rule, if above 0.
    SetChooseTries(i32),
    /// Overrides the number of attempts to find a device, if above 0.
    SetChooseLeafTries(i32),
    /// Overrides the tunable for this rule, if not negative.
    SetChooseLocalTries(i32),
    /// Overrides the tunable for this rule, if not negative.
    SetChooseLocalFallbackTries(i32),
    /// Overrides the tunable for this rule, if not negative.
    SetChooseLeafVaryR(i32),
    /// Overrides the tunable for this rule, if not negative.
    SetChooseLeafStable(i32),
    /// Overrides the tunable for a multi-step-retry rule.
    SetMsrDescents(i32),
    /// Overrides the tunable for a multi-step-retry rule.
    SetMsrCollisionTries(i32),
    /// One level of a multi-step-retry rule.
    ChooseMsr {
        /// How many; 0 and below are relative to the number wanted.
        count: i32,
        /// Of which type.
        type_id: i32,
    },
    /// A step that this version does not know; it is kept and does nothing.
    Unknown {
        /// The operation's number.
        operation: u32,
        /// Its first argument.
        first: i32,
        /// Its second argument.
        second: i32,
    },
}

impl Step {
    /// The step of these three stored numbers.
    #[must_use]
    pub fn from_stored(operation: u32, first: i32, second: i32) -> Self {
        let unknown = Self::Unknown { operation, first, second };
        match (operation, first, second) {
            (0, 0, 0) => Self::Noop,
            (1, item, 0) => Self::Take { item },
            (2, count, type_id) => Self::ChooseFirstN { count, type_id },
            (3, count, type_id) => Self::ChooseIndep { count, type_id },
            (4, 0, 0) => Self::Emit,
            (6, count, type_id) => Self::ChooseLeafFirstN { count, type_id },
            (7, count, type_id) => Self::ChooseLeafIndep { count, type_id },
            (8, value, 0) => Self::SetChooseTries(value),
            (9, value, 0) => Self::SetChooseLeafTries(value),
            (10, value, 0) => Self::SetChooseLocalTries(value),
            (11, value, 0) => Self::SetChooseLocalFallbackTries(value),
            (12, value, 0) => Self::SetChooseLeafVaryR(value),
            (13, value, 0) => Self::SetChooseLeafStable(value),
            (14, value, 0) => Self::SetMsrDescents(value),
            (15, value, 0) => Self::SetMsrCollisionTries(value),
            (16, count, type_id) => Self::ChooseMsr { count, type_id },
            _ => unknown,
        }
    }

    /// The three numbers that Ceph's binary format stores for the step.
    #[must_use]
    pub fn to_stored(self) -> (u32, i32, i32) {
        match self {
            Self::Noop => (0, 0, 0),
            Self::Take { item } => (1, item, 0),
            Self::ChooseFirstN { count, type_id } => (2, count, type_id),
            Self::ChooseIndep { count, type_id } => (3, count, type_id),
            Self::Emit => (4, 0, 0),
            Self::ChooseLeafFirstN { count, type_id } => (6, count, type_id),
            Self::ChooseLeafIndep { count, type_id } => (7, count, type_id),
            Self::SetChooseTries(value) => (8, value, 0),
            Self::SetChooseLeafTries(value) => (9, value, 0),
            Self::SetChooseLocalTries(value) => (10, value, 0),
            Self::SetChooseLocalFallbackTries(value) => (11, value, 0),
            Self::SetChooseLeafVaryR(value) => (12, value, 0),
            Self::SetChooseLeafStable(value) => (13, value, 0),
            Self::SetMsrDescents(value) => (14, value, 0),
            Self::SetMsrCollisionTries(value) => (15, value, 0),
            Self::ChooseMsr { count, type_id } => (16, count, type_id),
            Self::Unknown { operation, first, second } => (operation, first, second),
        }
    }
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its steps in order.
    pub steps: Vec<Step>,
    /// The number of the rule set. The same as the rule's id in every map of the last ten years.
    pub ruleset: u8,
    /// For which kind of pool.
    pub rule_type: RuleType,
    /// The smallest pool size that the rule was meant for; only stored.
    pub min_size: u8,
    /// The largest pool size that the rule was meant for; only stored.
    pub max_size: u8,
}
