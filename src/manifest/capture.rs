//! What the wildcards of a pattern matched in a path.

/// The texts that `*`, `**` and `?` of `pattern` matched in `path`, in order; `None` if they do not fit.
pub(crate) fn captures(pattern: &str, path: &str) -> Option<Vec<String>> {
    let pattern: Vec<char> = pattern.chars().collect();
    let path: Vec<char> = path.chars().collect();
    let mut found = Vec::new();
    fit(&pattern, &path, &mut found).then_some(found)
}

fn fit(pattern: &[char], path: &[char], found: &mut Vec<String>) -> bool {
    let wild = |skip: usize, least: usize, most: usize, found: &mut Vec<String>| {
        for length in (least..=most).rev() {
            let depth = found.len();
            found.push(path[..length].iter().collect());
            if fit(&pattern[skip..], &path[length..], found) {
                return true;
            }
            found.truncate(depth);
        }
        false
    };
    let segment = path.iter().position(|c| *c == '/').unwrap_or(path.len());
    match pattern {
        [] => path.is_empty(),
        ['*', '*', '/', ..] => {
            let ends = (0..=path.len()).rev().filter(|end| *end == 0 || path[*end - 1] == '/');
            for end in ends {
                let depth = found.len();
                found.push(path[..end.saturating_sub(1)].iter().collect());
                if fit(&pattern[3..], &path[end..], found) {
                    return true;
                }
                found.truncate(depth);
            }
            false
        }
        ['*', '*', ..] => wild(2, 0, path.len(), found),
        ['*', ..] => wild(1, 0, segment, found),
        ['?', ..] => segment > 0 && wild(1, 1, 1, found),
        [c, ..] => path.first() == Some(c) && fit(&pattern[1..], &path[1..], found),
    }
}

/// The name of a match: its last part if the pattern varies there, else the folder that holds it.
pub(crate) fn name_of(pattern: &str, path: &str) -> String {
    let last = pattern.rsplit('/').next().unwrap_or(pattern);
    let mut parts = path.rsplit('/');
    let name = parts.next().unwrap_or(path);
    let folder = parts.next();
    let varies = last.contains(['*', '?', '[', '{']);
    if varies { name } else { folder.unwrap_or(name) }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_are_captured_in_order() {
        for (pattern, path, expected) in [
            ("*/Dockerfile", "api/Dockerfile", vec!["api"]),
            ("services/*/v?/Dockerfile.*", "services/api/v2/Dockerfile.light", vec!["api", "2", "light"]),
            ("**/Dockerfile", "a/b/Dockerfile", vec!["a/b"]),
            ("**/Dockerfile", "Dockerfile", vec![""]),
        ] {
            assert_eq!(captures(pattern, path).unwrap(), expected, "{pattern}");
        }
        assert_eq!(captures("*/Dockerfile", "a/b/Dockerfile"), None);
        assert_eq!(name_of("*/Dockerfile", "api/Dockerfile"), "api");
        assert_eq!(name_of("lambdas/*", "lambdas/api"), "api");
    }
}
