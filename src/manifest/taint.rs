//! What a rendered value owes to git: decides whether a tag is fixed, and whether a dirty tree makes it untrue.

use std::collections::BTreeMap;

/// What a name depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taint {
    /// On something that stands for one commit or one content: `git.commit`, `git.short`, `git.tag`, `key`.
    pub fixed: bool,
    /// On something of git that names a commit.
    pub git: bool,
    /// On something that is known only when the image is: `key`, `published`.
    pub late: bool,
}

/// The taints of derived names (`vars.x`, `args.y`, `name`, ...), through which git may come in unseen.
#[derive(Clone, Default)]
pub(crate) struct Taints(BTreeMap<String, Taint>);

impl Taints {
    /// Notes that `name` was made from `sources`.
    pub fn derive(&mut self, name: &str, sources: &[String]) {
        let taint = self.of(sources);
        if taint != Taint::default() {
            self.0.insert(name.to_owned(), taint);
        }
    }

    /// What a text with these names depends on.
    pub fn of(&self, names: &[String]) -> Taint {
        names.iter().fold(Taint::default(), |sum, name| {
            let one = self.of_name(name);
            Taint { fixed: sum.fixed || one.fixed, git: sum.git || one.git, late: sum.late || one.late }
        })
    }

    fn of_name(&self, name: &str) -> Taint {
        match name {
            "git.commit" | "git.short" | "git.tag" => Taint { fixed: true, git: true, late: false },
            "git.date" => Taint { git: true, ..Taint::default() },
            "git" => Taint { fixed: true, git: true, late: false },
            "key" => Taint { fixed: true, late: true, ..Taint::default() },
            "published" => Taint { late: true, ..Taint::default() },
            _ => {
                let parts: Vec<&str> = name.split('.').collect();
                (1..=parts.len()).rev().find_map(|n| self.0.get(&parts[..n].join("."))).copied().unwrap_or_default()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_is_seen_through_other_names() {
        let mut taints = Taints::default();
        taints.derive("vars.release", &["git.tag".to_owned()]);
        taints.derive("args.VERSION", &["vars.release".to_owned()]);
        taints.derive("vars.day", &["git.date".to_owned()]);
        assert!(taints.of(&["args.VERSION".to_owned()]).fixed);
        assert_eq!(taints.of(&["vars.day".to_owned()]), Taint { fixed: false, git: true, late: false });
        assert_eq!(taints.of(&["git.branch".to_owned(), "name".to_owned()]), Taint::default());
        assert!(taints.of(&["published".to_owned()]).late);
    }
}
