//! What steps do beyond the usual, held against what the manifest allows.

use std::collections::BTreeSet;

use crate::dockerfile::Analysis;
use crate::problem::{Code, Problem, Problems};
use crate::project::Image;

/// What steps do that the manifest does not allow them.
pub(super) fn check(image: &Image, analysis: &Analysis, problems: &mut Problems) {
    for (needed, location) in &analysis.entitlements {
        if is_allowed(needed, &image.allow) {
            continue;
        }
        let all: BTreeSet<&str> = image.allow.iter().map(String::as_str).chain([needed.as_str()]).collect();
        let all: Vec<&str> = all.into_iter().collect();
        problems.push(
            Problem::error(Code::NotAllowed, format!("`{}` does not allow this step `{needed}`", image.name))
                .at(location, "")
                .at(&image.location, "for this image")
                .help(format!("if the step may do that, add `allow: [{}]` to the image", all.join(", "))),
        );
    }
}

/// `device` allows every device, `device=KIND` all of the kind `KIND=NAME`.
fn is_allowed(needed: &str, allowed: &BTreeSet<String>) -> bool {
    let Some(device) = needed.strip_prefix("device=") else { return allowed.contains(needed) };
    let kind = device.split('=').next().unwrap_or(device);
    allowed.contains("device") || allowed.contains(needed) || allowed.contains(&format!("device={kind}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_allows_what_it_says_and_no_more() {
        let allows = |allowed: &[&str], needed: &str| {
            is_allowed(needed, &allowed.iter().map(|text| (*text).to_owned()).collect())
        };
        assert!(allows(&["network.host"], "network.host"));
        assert!(!allows(&["network.host", "device"], "security.insecure"));
        assert!(!allows(&[], "device=a.com/b=c"));
        for word in ["device", "device=a.com/b", "device=a.com/b=c"] {
            assert!(allows(&[word], "device=a.com/b=c"), "{word}");
        }
        assert!(!allows(&["device=a.com/b=d"], "device=a.com/b=c"));
        assert!(!allows(&["device=a.com"], "device=a.com/b=c"));
    }
}
