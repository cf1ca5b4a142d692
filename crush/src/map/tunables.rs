//! The constants of the placement function that a map carries, and Ceph's named profiles of them.

/// How hard and in which way placement retries. A map carries its own, so that old maps go on placing as they did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunables {
    /// Retries in the same bucket after a collision, before the descent starts anew.
    pub choose_local_tries: u32,
    /// Retries in the same bucket by permutation, after that.
    pub choose_local_fallback_tries: u32,
    /// How often a descent may be repeated, the first time not counted.
    pub choose_total_tries: u32,
    /// 1: the descent to a device below a chosen domain is tried once, and then the domain is chosen anew.
    pub chooseleaf_descend_once: u32,
    /// Non-zero: the descent to a device starts with the outer attempt's number, shifted right by this minus one.
    pub chooseleaf_vary_r: u8,
    /// 1: the descent to a device does not depend on the position in the result, so fewer devices move.
    pub chooseleaf_stable: u8,
    /// Which of two formulas makes the lengths of `straw` buckets.
    pub straw_calc_version: u8,
    /// Bit n set: bucket algorithm n may be used for new buckets.
    pub allowed_bucket_algorithms: u32,
    /// How often a multi-step-retry rule descends anew (newer Ceph; not in older binary maps).
    pub msr_descents: u32,
    /// How often a multi-step-retry rule retries one collision (newer Ceph; not in older binary maps).
    pub msr_collision_tries: u32,
    /// Whether the binary map has the two values above.
    pub has_msr: bool,
}

/// Ceph's names for sets of tunables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// The original behaviour; also called `legacy`.
    Argonaut,
    /// Ceph 0.56.
    Bobtail,
    /// Ceph 0.80.
    Firefly,
    /// Ceph 0.94.
    Hammer,
    /// Ceph 10.2 and everything after; also called `optimal` and `default`.
    Jewel,
}

impl Profile {
    /// The profile of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        match name {
            "argonaut" | "legacy" => Some(Self::Argonaut),
            "bobtail" => Some(Self::Bobtail),
            "firefly" => Some(Self::Firefly),
            "hammer" => Some(Self::Hammer),
            "jewel" | "optimal" | "default" => Some(Self::Jewel),
            _ => None,
        }
    }

    /// The profile's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Argonaut => "argonaut",
            Self::Bobtail => "bobtail",
            Self::Firefly => "firefly",
            Self::Hammer => "hammer",
            Self::Jewel => "jewel",
        }
    }
}

impl Tunables {
    /// The bit mask of `uniform`, `list` and `straw`, all that old clients know.
    pub const LEGACY_ALGORITHMS: u32 = (1 << 1) | (1 << 2) | (1 << 4);
    /// The same with `straw2`.
    pub const ALGORITHMS_WITH_STRAW2: u32 = Self::LEGACY_ALGORITHMS | (1 << 5);

    /// The tunables of a profile. The straw formula does not belong to profiles before hammer and is left at `0` there.
    #[must_use]
    pub fn of_profile(profile: Profile) -> Self {
        let mut tunables = Self::default();
        tunables.set_profile(profile);
        tunables
    }

    /// Sets what the profile names and leaves the rest.
    pub fn set_profile(&mut self, profile: Profile) {
        (self.choose_local_tries, self.choose_local_fallback_tries, self.choose_total_tries) =
            if profile == Profile::Argonaut { (2, 5, 19) } else { (0, 0, 50) };
        self.chooseleaf_descend_once = u32::from(profile != Profile::Argonaut);
        self.chooseleaf_vary_r = u8::from(!matches!(profile, Profile::Argonaut | Profile::Bobtail));
        self.chooseleaf_stable = u8::from(profile == Profile::Jewel);
        self.allowed_bucket_algorithms = match profile {
            Profile::Argonaut | Profile::Bobtail | Profile::Firefly => Self::LEGACY_ALGORITHMS,
            Profile::Hammer | Profile::Jewel => Self::ALGORITHMS_WITH_STRAW2,
        };
    }

    /// The profile whose behaviour these are, if any. The straw formula does not count.
    #[must_use]
    pub fn profile(&self) -> Option<Profile> {
        [Profile::Jewel, Profile::Hammer, Profile::Firefly, Profile::Bobtail, Profile::Argonaut].into_iter().find(
            |profile| {
                let mut same = self.clone();
                same.set_profile(*profile);
                same == *self
            },
        )
    }
}

impl Default for Tunables {
    /// The argonaut profile, which is what a map without tunables means.
    fn default() -> Self {
        Self {
            choose_local_tries: 2,
            choose_local_fallback_tries: 5,
            choose_total_tries: 19,
            chooseleaf_descend_once: 0,
            chooseleaf_vary_r: 0,
            chooseleaf_stable: 0,
            straw_calc_version: 0,
            allowed_bucket_algorithms: Self::LEGACY_ALGORITHMS,
            msr_descents: 100,
            msr_collision_tries: 100,
            has_msr: false,
        }
    }
}
