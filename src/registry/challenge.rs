use std::collections::BTreeSet;
use std::fmt;

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// How a registry wants to be told who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Name and password with each request (RFC 7617).
    Basic,
    /// A token from another service (distribution's token authentication specification).
    Bearer {
        /// The address of the token service.
        realm: String,
        /// The registry's name there; may be empty.
        service: String,
        /// The scopes that it asked for.
        scopes: BTreeSet<Scope>,
    },
}

/// What a token is to be good for: `repository:team/app:pull,push`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Scope(String);

impl Scope {
    pub(super) fn pull(repository: &str) -> Self {
        Self(format!("repository:{repository}:pull"))
    }

    pub(super) fn push(repository: &str) -> Self {
        Self(format!("repository:{repository}:pull,push"))
    }

    pub(super) fn delete(repository: &str) -> Self {
        Self(format!("repository:{repository}:delete,pull"))
    }

    /// Whether it is about `repository`.
    pub(super) fn names(&self, repository: &str) -> bool {
        let rest = self.0.strip_prefix("repository:").and_then(|rest| rest.strip_prefix(repository));
        rest.is_some_and(|rest| rest.starts_with(':'))
    }

    pub(super) fn is_pull(&self) -> bool {
        self.0.ends_with(":pull")
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Challenge {
    /// The strongest challenge of an answer that we can meet: a token rather than a password.
    pub(super) fn read(headers: &HeaderMap) -> Option<Self> {
        let mut basic = None;
        for value in headers.get_all(WWW_AUTHENTICATE) {
            let Ok(text) = value.to_str() else { continue };
            let (scheme, parameters) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
            if scheme.eq_ignore_ascii_case("bearer") {
                let (mut realm, mut service, mut scopes) = (String::new(), String::new(), BTreeSet::new());
                for (name, value) in parse_parameters(parameters) {
                    match name.to_ascii_lowercase().as_str() {
                        "realm" => realm = value,
                        "service" => service = value,
                        "scope" => scopes.extend(value.split_whitespace().map(|scope| Scope(scope.to_owned()))),
                        _ => {}
                    }
                }
                if !realm.is_empty() {
                    return Some(Self::Bearer { realm, service, scopes });
                }
            } else if scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Self::Basic);
            }
        }
        basic
    }
}

/// `name=value` or `name="quoted, value"`, separated by commas (RFC 9110, section 11.2).
fn parse_parameters(text: &str) -> Vec<(String, String)> {
    let mut parameters = Vec::new();
    let mut rest = text.trim();
    while let Some((name, tail)) = rest.split_once('=') {
        let name = name.trim().trim_start_matches(',').trim().to_owned();
        let tail = tail.trim_start();
        let mut value = String::new();
        if let Some(quoted) = tail.strip_prefix('"') {
            let mut end = quoted.len();
            let mut escaped = false;
            for (position, c) in quoted.char_indices() {
                match c {
                    _ if escaped => {
                        value.push(c);
                        escaped = false;
                    }
                    '\\' => escaped = true,
                    '"' => {
                        end = position + 1;
                        break;
                    }
                    _ => value.push(c),
                }
            }
            rest = quoted[end..].trim_start().trim_start_matches(',');
        } else {
            let (bare, tail) = tail.split_once(',').unwrap_or((tail, ""));
            bare.trim().clone_into(&mut value);
            rest = tail;
        }
        parameters.push((name, value));
    }
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        Challenge::read(&headers)
    }

    #[test]
    fn challenges_of_real_registries() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        let Some(Challenge::Bearer { realm, service, scopes }) = read(&[hub]) else { panic!("no challenge") };
        assert_eq!((realm.as_str(), service.as_str()), ("https://auth.docker.io/token", "registry.docker.io"));
        assert_eq!(scopes, BTreeSet::from([Scope::push("a/b")]));
        assert_eq!(
            read(&[r#"Basic realm="https://1.dkr.ecr.us-east-1.amazonaws.com/",service="ecr""#]),
            Some(Challenge::Basic)
        );
        assert!(matches!(
            read(&["Basic realm=x", r#"bearer realm="http://r", service=s"#]),
            Some(Challenge::Bearer { .. })
        ));
        for none in [&[][..], &["Negotiate"], &["Bearer"], &["Bearer realm=\"\""]] {
            assert_eq!(read(none), None, "{none:?}");
        }
    }

    #[test]
    fn parameters_with_commas_quotes_and_no_end() {
        assert_eq!(
            parse_parameters(r#"a="x, \"y\"" , b=z,c="open"#),
            [("a", "x, \"y\""), ("b", "z"), ("c", "open")].map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
    }
}
