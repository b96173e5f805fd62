//! The playbooks that come along.

use std::{collections::BTreeMap, sync::LazyLock};

use super::{Definition, from_yaml};
use crate::strict;

const TEXTS: [&str; 8] = [
    include_str!("../../playbooks/booking.yaml"),
    include_str!("../../playbooks/conference.yaml"),
    include_str!("../../playbooks/general.yaml"),
    include_str!("../../playbooks/meetup.yaml"),
    include_str!("../../playbooks/offsite.yaml"),
    include_str!("../../playbooks/product_launch.yaml"),
    include_str!("../../playbooks/software_release.yaml"),
    include_str!("../../playbooks/wedding.yaml"),
];

/// By name. A test reads and checks each of them.
pub static SHIPPED: LazyLock<BTreeMap<String, Definition>> = LazyLock::new(|| {
    let read = |text: &&str| strict::from_value(from_yaml(text.as_bytes()).ok()?).ok();
    let definitions = TEXTS.iter().filter_map(read);
    definitions
        .map(|definition: Definition| (definition.name.clone(), definition))
        .collect()
});

#[cfg(test)]
mod tests {
    use validator::Validate;

    use super::*;
    use crate::{agents::Directory, playbooks::check};

    #[test]
    fn every_shipped_playbook_holds() {
        for text in TEXTS {
            let value = from_yaml(text.as_bytes()).unwrap();
            let definition: Definition = strict::from_value(value).unwrap();
            definition.validate().unwrap();
            let faults = check::check(&definition, &Directory::default());
            assert_eq!(faults, [], "{}", definition.name);
        }
        assert_eq!(SHIPPED.len(), TEXTS.len());
    }
}
