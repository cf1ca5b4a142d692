//! `--build`: a map of uniform layers.

use super::Stop;
use super::arguments::Arguments;
use super::number::leading_integer;
use super::run::Run;
use crate::edit::Mode;
use crate::map::{Algorithm, CrushMap, Profile, Tunables, WEIGHT_ONE};

/// Ceph's tool cuts names of buckets that it makes to this many bytes.
const NAME_MAX: usize = 19;

/// Devices in buckets, these in buckets of the next layer, and so on; and a rule over the last layer's first bucket.
pub(super) fn build(run: &mut Run<'_>, arguments: &Arguments) -> Result<CrushMap, Stop> {
    let mut map = CrushMap::new();
    map.tunables = Tunables::of_profile(Profile::Jewel);
    map.tunables.straw_calc_version = 1;
    map.max_devices = arguments.device_count.max(0);
    map.type_names.insert(0, "osd".to_owned());
    let mut lower: Vec<(i32, u32)> = Vec::new();
    for device in 0..arguments.device_count {
        map.item_names.insert(device, format!("osd.{device}"));
        lower.push((device, WEIGHT_ONE));
    }
    let mut root = String::new();
    for (type_id, layer) in (1u16..).zip(arguments.rest.chunks_exact(3)) {
        let [name, algorithm, size] = layer else { unreachable!("chunks of three") };
        let size = usize::try_from(leading_integer(size)).unwrap_or(0);
        map.type_names.insert(i32::from(type_id), name.clone());
        let Some(algorithm) = Algorithm::by_name(algorithm) else {
            return run.fail(&format!("unknown bucket type '{algorithm}'"), 1);
        };
        let per_bucket = if size == 0 { lower.len().max(1) } else { size };
        let mut upper = Vec::new();
        for (number, items) in lower.chunks(per_bucket).enumerate() {
            let made = map.add_bucket(None, algorithm, type_id, items);
            let id = run.check(made)?;
            let mut bucket_name = if size == 0 { name.clone() } else { format!("{name}{number}") };
            bucket_name.truncate(NAME_MAX);
            map.item_names.insert(id, bucket_name);
            // What its items weigh, even if a uniform bucket cannot show it.
            upper.push((id, items.iter().fold(0u32, |sum, (_, weight)| sum.wrapping_add(*weight))));
        }
        lower = upper;
        root = if size == 0 { name.clone() } else { format!("{name}0") };
    }
    let roots = map.roots();
    if roots.len() > 1 {
        run.complain(&format!("The crush rulesets will use the root {root}"));
        run.complain("and ignore the others.");
        run.complain(&format!("There are {} roots, they can be", roots.len()));
        run.complain("grouped into a single root by appending something like:");
        run.complain("  root straw 0\n");
    }
    let domain = map.type_names.get(&1).cloned().unwrap_or_default();
    if let Err(error) = map.create_simple_rule("replicated_rule", &root, &domain, Mode::FirstN, None) {
        run.output.stderr.push_str(error.message());
        return Err(Stop(1));
    }
    Ok(map)
}
