//! What ADD fetches from addresses: what it is now.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::digest::Digest;
use crate::dockerfile::git_parts;
use crate::registry::Client;

/// The longest that a repository may take to name its branches and tags.
const LONGEST: Duration = Duration::from_secs(60);

/// Why what ADD fetches cannot be pinned.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The server could not be asked, or refuses.
    #[error("cannot fetch `{url}`: {why}")]
    File {
        /// The address.
        url: String,
        /// Why.
        why: String,
    },
    /// The repository could not be asked.
    #[error("cannot ask `{repository}` for its commits: {why}")]
    Repository {
        /// The repository.
        repository: String,
        /// What git said.
        why: String,
    },
    /// It has no such branch or tag.
    #[error("`{repository}` has no branch or tag `{reference}`")]
    NoReference {
        /// The repository.
        repository: String,
        /// The branch or tag.
        reference: String,
    },
}

/// The digest of the file at an address. It is read whole, and kept nowhere.
///
/// # Errors
/// If it cannot be fetched.
pub async fn pin_of_file(client: &Client, url: &str) -> Result<Digest, RemoteError> {
    client.digest_of_file(url).await.map_err(|why| RemoteError::File { url: url.to_owned(), why })
}

/// The commit that a git address `repository#reference:folder` means.
///
/// # Errors
/// If git is not there, cannot ask, or the repository has no such branch or tag.
pub async fn pin_of_repository(url: &str) -> Result<String, RemoteError> {
    let (repository, reference, _) = git_parts(url);
    let failed = |why: String| RemoteError::Repository { repository: repository.to_owned(), why };
    let mut command = Command::new("git");
    command.args(["ls-remote", "--", repository, reference, &format!("{reference}^{{}}")]);
    command.env("GIT_TERMINAL_PROMPT", "0").stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(LONGEST, command.output()).await;
    let output = output.map_err(|_| failed(format!("no answer in {} s", LONGEST.as_secs())))?;
    let output = output.map_err(|error| failed(format!("git cannot be run: {error}")))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(failed(text.lines().last().unwrap_or("git failed").to_owned()));
    }
    choose(&String::from_utf8_lossy(&output.stdout), reference)
        .ok_or_else(|| RemoteError::NoReference { repository: repository.to_owned(), reference: reference.to_owned() })
}

/// The commit of a reference among the lines `commit\tname` of `git ls-remote`.
///
/// Source: behaviour of BuildKit's git source: a branch comes before a tag of the same name, and an annotated tag means its commit.
fn choose(lines: &str, reference: &str) -> Option<String> {
    let names = [
        reference.to_owned(),
        format!("refs/heads/{reference}"),
        format!("refs/tags/{reference}^{{}}"),
        format!("refs/tags/{reference}"),
    ];
    names.iter().find_map(|wanted| {
        let line = lines.lines().find(|line| line.split_once('\t').is_some_and(|(_, name)| name == wanted))?;
        Some(line.split('\t').next()?.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_itself_is_chosen() {
        let lines = "1\tHEAD\n2\trefs/heads/feature/main\n3\trefs/heads/main\n4\trefs/tags/main\n5\trefs/tags/v1\n6\trefs/tags/v1^{}\n7\trefs/tags/v2\n";
        let commit = |reference: &str| choose(lines, reference);
        assert_eq!(commit("HEAD").as_deref(), Some("1"));
        assert_eq!(commit("main").as_deref(), Some("3"));
        assert_eq!(commit("v1").as_deref(), Some("6"));
        assert_eq!(commit("v2").as_deref(), Some("7"));
        assert_eq!(commit("refs/tags/main").as_deref(), Some("4"));
        assert_eq!(commit("feature"), None);
    }

    #[tokio::test]
    async fn a_repository_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        let script = "git init -q -b main . && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x && git rev-parse HEAD";
        let output =
            std::process::Command::new("sh").args(["-euc", script]).current_dir(folder.path()).output().unwrap();
        let commit = String::from_utf8(output.stdout).unwrap();
        let address = format!("file://{}", folder.path().display());
        assert_eq!(pin_of_repository(&format!("{address}#main:sub")).await.unwrap(), commit.trim());
        assert_eq!(pin_of_repository(&address).await.unwrap(), commit.trim());
        let missing = pin_of_repository(&format!("{address}#nothing")).await.unwrap_err();
        assert!(matches!(missing, RemoteError::NoReference { .. }), "{missing}");
        let nowhere = pin_of_repository("file:///nowhere/at/all").await.unwrap_err();
        assert!(matches!(nowhere, RemoteError::Repository { .. }), "{nowhere}");
    }
}
