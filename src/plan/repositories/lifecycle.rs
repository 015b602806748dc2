//! Lifecycle policies of Amazon ECR.
//!
//! Rules age images by the time of their push, which a retag does not refresh, or count them: both can delete what runs. The only rule
//! written here is for images without a tag.
//!
//! Source: "Lifecycle policy properties in Amazon ECR", Amazon ECR user guide.

use serde_json::{Map, Value, json};

use super::model::RepositoryNote;

/// A policy that is no JSON of the known form.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Strange;

/// A policy with the rule that lets untagged images go after `days`, and the days that the policy had; `None` if that is what it says.
pub(super) fn with_untagged(policy: Option<&str>, days: u32) -> Result<Option<(Option<u32>, String)>, Strange> {
    let mut rules = rules(policy)?;
    let mut from = None;
    let position =
        rules.iter().position(|rule| tag_status(rule) == "untagged" && text(rule, &["action", "type"]) == "expire");
    if let Some(rule) = position.and_then(|at| rules.get_mut(at)) {
        let by_age = text(rule, &["selection", "countType"]) == "sinceImagePushed";
        from = number(rule, &["selection", "countNumber"]).filter(|_| by_age).and_then(|days| u32::try_from(days).ok());
        if from == Some(days) {
            return Ok(None);
        }
        rule.insert("selection".to_owned(), selection(days));
    } else {
        let taken: Vec<u64> = rules.iter().filter_map(priority).collect();
        let first_any = rules.iter().filter(|rule| tag_status(rule) == "any").filter_map(priority).min();
        let free = (1..).find(|number| !taken.contains(number)).unwrap_or(1);
        // A rule for any image must come last.
        let ours = if first_any.is_some_and(|any| any < free) {
            for rule in &mut rules {
                let own = priority(rule).unwrap_or(0);
                rule.insert("rulePriority".to_owned(), (own + 1).into());
            }
            1
        } else {
            free
        };
        let rule = json!({
            "rulePriority": ours,
            "description": "untagged images (orchestrate)",
            "selection": selection(days),
            "action": { "type": "expire" },
        });
        rules.extend(rule.as_object().cloned());
    }
    rules.sort_by_key(|rule| priority(rule).unwrap_or(u64::MAX));
    Ok(Some((from, json!({ "rules": rules }).to_string())))
}

/// Rules that delete images that have tags.
pub(super) fn dangers(policy: &str) -> Result<Vec<RepositoryNote>, Strange> {
    let rules = rules(Some(policy))?;
    let deletes = rules
        .iter()
        .filter(|rule| text(rule, &["action", "type"]) == "expire" && matches!(tag_status(rule), "tagged" | "any"));
    let danger = |rule: &Map<String, Value>| {
        let count = number(rule, &["selection", "countNumber"]).unwrap_or_default();
        let keeps = match text(rule, &["selection", "countType"]) {
            "imageCountMoreThan" => format!("the newest {count} images"),
            "sinceImagePulled" => format!("images pulled within {count} days"),
            _ => format!("images pushed within {count} days"),
        };
        let selection = rule.get("selection");
        let prefixes = texts(selection.and_then(|selection| selection.get("tagPrefixList")));
        let patterns = texts(selection.and_then(|selection| selection.get("tagPatternList")));
        let patterns = prefixes.into_iter().map(|prefix| format!("{prefix}*")).chain(patterns).collect();
        RepositoryNote::MayDelete { rule: priority(rule).unwrap_or_default(), keeps, patterns }
    };
    Ok(deletes.map(danger).collect())
}

fn selection(days: u32) -> Value {
    json!({ "tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": days })
}

fn rules(policy: Option<&str>) -> Result<Vec<Map<String, Value>>, Strange> {
    let Some(policy) = policy else { return Ok(Vec::new()) };
    let document: Value = serde_json::from_str(policy).map_err(|_| Strange)?;
    let rules = document.get("rules").and_then(Value::as_array).ok_or(Strange)?;
    rules.iter().map(|rule| rule.as_object().cloned().ok_or(Strange)).collect()
}

fn priority(rule: &Map<String, Value>) -> Option<u64> {
    rule.get("rulePriority")?.as_u64()
}

fn tag_status(rule: &Map<String, Value>) -> &str {
    text(rule, &["selection", "tagStatus"])
}

fn at<'v>(rule: &'v Map<String, Value>, path: &[&str]) -> Option<&'v Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(rule.get(*first)?, |value, name| value.get(*name))
}

fn text<'v>(rule: &'v Map<String, Value>, path: &[&str]) -> &'v str {
    at(rule, path).and_then(Value::as_str).unwrap_or_default()
}

fn number(rule: &Map<String, Value>, path: &[&str]) -> Option<u64> {
    at(rule, path)?.as_u64()
}

fn texts(list: Option<&Value>) -> Vec<String> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF_OTHERS: &str = r#"{"rules":[
        {"rulePriority":1,"selection":{"tagStatus":"tagged","tagPrefixList":["pr-"],"countType":"imageCountMoreThan","countNumber":10},"action":{"type":"expire"}},
        {"rulePriority":2,"selection":{"tagStatus":"any","countType":"sinceImagePushed","countUnit":"days","countNumber":30},"action":{"type":"expire"}}]}"#;

    fn priorities(policy: &str) -> Vec<(u64, String)> {
        let rules = rules(Some(policy)).unwrap();
        rules.iter().map(|rule| (priority(rule).unwrap(), tag_status(rule).to_owned())).collect()
    }

    #[test]
    fn the_rule_is_added_and_then_found() {
        let (from, policy) = with_untagged(None, 14).unwrap().unwrap();
        assert_eq!((from, priorities(&policy)), (None, vec![(1, "untagged".to_owned())]));
        assert_eq!(with_untagged(Some(&policy), 14), Ok(None));
        let (from, changed) = with_untagged(Some(&policy), 30).unwrap().unwrap();
        assert_eq!(from, Some(14));
        assert_eq!(with_untagged(Some(&changed), 30), Ok(None));
    }

    #[test]
    fn the_rules_of_others_stay_and_one_for_any_image_stays_last() {
        let (_, policy) = with_untagged(Some(OF_OTHERS), 14).unwrap().unwrap();
        let order = [(1, "untagged"), (2, "tagged"), (3, "any")].map(|(number, status)| (number, status.to_owned()));
        assert_eq!(priorities(&policy), order);
        let gap = OF_OTHERS.replace(r#""rulePriority":2"#, r#""rulePriority":9"#);
        let (_, policy) = with_untagged(Some(&gap), 14).unwrap().unwrap();
        let order = [(1, "tagged"), (2, "untagged"), (9, "any")].map(|(number, status)| (number, status.to_owned()));
        assert_eq!(priorities(&policy), order);
        assert_eq!(with_untagged(Some("no json"), 14), Err(Strange));
        assert_eq!(with_untagged(Some(r#"{"rules": 1}"#), 14), Err(Strange));
    }

    #[test]
    fn rules_that_delete_what_has_tags_are_dangers() {
        let dangers = dangers(OF_OTHERS).unwrap();
        assert_eq!(
            dangers,
            [
                RepositoryNote::MayDelete {
                    rule: 1,
                    keeps: "the newest 10 images".to_owned(),
                    patterns: vec!["pr-*".to_owned()]
                },
                RepositoryNote::MayDelete {
                    rule: 2,
                    keeps: "images pushed within 30 days".to_owned(),
                    patterns: Vec::new()
                },
            ]
        );
        let (_, ours) = with_untagged(None, 14).unwrap().unwrap();
        assert_eq!(super::dangers(&ours), Ok(Vec::new()));
    }
}
