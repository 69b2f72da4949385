use super::*;

#[test]
fn rules_are_whole_and_stand_once() {
    let mut seen = BTreeSet::new();
    for rule in rules() {
        assert!(seen.insert(rule.id), "{} stands twice", rule.id);
        assert!(
            !rule.needs.is_empty() && !rule.threshold.is_empty() && !rule.advice.is_empty(),
            "{}",
            rule.id
        );
        for covered in rule.covers {
            assert!(by_id(covered).is_some(), "{} covers {covered}, which does not exist", rule.id);
        }
    }
}
