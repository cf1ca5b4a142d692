//! Which of several values counts.

use types::OsdId;

use super::*;
use crate::sample;

fn set(configuration: &mut Configuration, option: ConfigOption, target: &str, value: &str) {
    let spec = option.spec();
    let canonical = spec.unit.text(spec.unit.parse(value).unwrap());
    configuration.set(spec.name, &target.parse().unwrap(), Some(canonical));
}

#[test]
fn the_most_particular_value_counts() {
    let option = ConfigOption::OsdReportTimeout;
    let mut subject = ConfigSubject::new("osd.3".parse().unwrap());
    subject.class = Some("ssd".to_owned());
    subject.places =
        [("root", "default"), ("rack", "r1"), ("host", "a")].map(|(kind, name)| (kind.into(), name.into())).to_vec();
    let mut configuration = Configuration::default();
    assert_eq!(configuration.effective(&subject).value(option), 30_000);
    assert_eq!(configuration.effective(&subject).set_by(option), None);
    // Set from the most particular to the least, so that the order of setting cannot be what decides.
    let ascending = ["global", "osd", "osd/class:ssd", "osd/root:default", "osd/rack:r1", "osd/host:a", "osd.3"];
    let mut expected = Vec::new();
    for (seconds, target) in (1..).zip(ascending) {
        expected.push((seconds * 1000, target));
    }
    for (milliseconds, target) in &expected {
        set(&mut configuration, option, target, &format!("{milliseconds}ms"));
    }
    for (milliseconds, target) in expected.iter().rev() {
        let effective = configuration.effective(&subject);
        assert_eq!(effective.value(option), *milliseconds, "{target}");
        assert_eq!(effective.set_by(option).map(ToString::to_string).as_deref(), Some(*target));
        configuration.set(option.spec().name, &target.parse().unwrap(), None);
    }
    assert!(configuration.is_empty());
}

#[test]
fn values_for_others_do_not_count() {
    let option = ConfigOption::LogLevel;
    let mut configuration = Configuration::default();
    for target in ["mon", "osd.4", "osd/class:hdd", "osd/host:b", "global/rack:elsewhere"] {
        set(&mut configuration, option, target, "trace");
    }
    let subject = ConfigSubject::new("osd.3".parse().unwrap());
    assert_eq!(configuration.effective(&subject).set_value(option), None);
}

#[test]
fn what_this_program_cannot_read_counts_as_not_set() {
    let mut configuration = Configuration::default();
    configuration.set("of_a_later_release", &ConfigTarget::GLOBAL, Some("7".to_owned()));
    configuration.set("log_level", &ConfigTarget::GLOBAL, Some("whisper".to_owned()));
    let effective = configuration.effective(&ConfigSubject::new("mon.a".parse().unwrap()));
    assert_eq!(effective.set_value(ConfigOption::LogLevel), None);
    assert_eq!(configuration.len(), 2, "but it is kept");
}

#[test]
fn targets_have_one_text_form_and_nonsense_is_refused_with_examples() {
    for text in
        ["global", "mon", "osd", "mgr", "client", "osd.3", "mon.a", "osd/class:ssd", "osd/host:a", "osd/rack:r1"]
    {
        let target: ConfigTarget = text.parse().unwrap();
        assert_eq!(target.to_string(), text);
    }
    assert_eq!("class:ssd".parse::<ConfigTarget>().unwrap().to_string(), "osd/class:ssd");
    for text in ["", "osd.x", "everybody", "osd/", "osd/class:", "osd/:a", "osd/class", "osd.3/"] {
        let refused = text.parse::<ConfigTarget>().unwrap_err().message;
        assert!(refused.contains("would be"), "{text}: {refused}");
    }
}

#[test]
fn an_osds_place_comes_from_the_hierarchy() {
    let map = sample::with_osds(4);
    let subject = map.config_subject(OsdId(2));
    assert_eq!(subject.entity.to_string(), "osd.2");
    let kinds: Vec<&str> = subject.places.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["root", "host"], "from the root down");
}
