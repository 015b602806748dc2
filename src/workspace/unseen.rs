//! What `git status` does not say: files that the index tells git not to look at, and files that only this person's rules ignore.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::error::Error;
use super::git::{git, git_with};
use super::sparse::is_sparse;

/// Files with the bits `assume-unchanged` and `skip-worktree` that are not as the index has them, relative to `top`. What a sparse
/// checkout left out is not among them: that is a problem of its own.
///
/// Source: git-ls-files(1): with `-v`, `S` is skip-worktree and a small letter is assume-unchanged.
pub(super) fn behind_bits(top: &Path) -> Result<Vec<Vec<u8>>, Error> {
    let Some(listed) = git(top, &["ls-files", "-v", "-z"])? else { return Ok(Vec::new()) };
    let flagged: Vec<&[u8]> = listed
        .split(|byte| *byte == 0)
        .filter_map(|record| Some((*record.first()?, record.get(2..)?)))
        .filter(|(tag, _)| *tag == b'S' || tag.is_ascii_lowercase())
        .map(|(_, path)| path)
        .collect();
    if flagged.is_empty() {
        return Ok(Vec::new());
    }
    let sparse = is_sparse(top);
    let staged = git(top, &["ls-files", "-s", "-z"])?.unwrap_or_default();
    let recorded = recorded(&staged);
    let (mut changed, mut files) = (Vec::new(), Vec::new());
    for path in flagged {
        let Some((mode, object)) = recorded.get(path) else { continue };
        let place = top.join(OsStr::from_bytes(path));
        match place.symlink_metadata() {
            Err(_) if sparse => {}
            // A submodule is a folder with a checkout of its own.
            Ok(metadata) if metadata.is_dir() && *mode == b"160000" => {}
            Ok(metadata) if same_kind(&metadata, mode) && !path.contains(&b'\n') => {
                if metadata.is_symlink() {
                    let target = std::fs::read_link(&place).map_err(Error::io("read", &place))?;
                    let hash = ["hash-object", "--no-filters", "--stdin"];
                    let now = git_with(top, &hash, target.as_os_str().as_bytes())?.unwrap_or_default();
                    if now.trim_ascii_end() != *object {
                        changed.push(path.to_vec());
                    }
                } else {
                    files.push((path, *object));
                }
            }
            _ => changed.push(path.to_vec()),
        }
    }
    if !files.is_empty() {
        let paths: Vec<u8> = files.iter().flat_map(|(path, _)| [*path, b"\n"].concat()).collect();
        // With the filters of each path, so that a file with other line ends on disk than in the commit is the same one.
        let now = git_with(top, &["hash-object", "--stdin-paths"], &paths)?.unwrap_or_default();
        let now: Vec<&[u8]> = now.split(|byte| *byte == b'\n').collect();
        let differs = |(at, (_, object)): &(usize, (&[u8], &[u8]))| now.get(*at) != Some(object);
        changed.extend(files.into_iter().enumerate().filter(differs).map(|(_, (path, _))| path.to_vec()));
    }
    Ok(changed)
}

fn same_kind(metadata: &Metadata, mode: &[u8]) -> bool {
    match mode {
        b"120000" => metadata.is_symlink(),
        b"100755" => metadata.is_file() && metadata.permissions().mode() & 0o100 != 0,
        b"100644" => metadata.is_file() && metadata.permissions().mode() & 0o100 == 0,
        _ => false,
    }
}

/// Mode and object by path. Source: git-ls-files(1), "Output": `mode object stage<tab>path`.
fn recorded(staged: &[u8]) -> HashMap<&[u8], (&[u8], &[u8])> {
    let records = staged.split(|byte| *byte == 0).filter_map(|record| {
        let tab = record.iter().position(|byte| *byte == b'\t')?;
        let mut fields = record[..tab].split(|byte| *byte == b' ');
        Some((&record[tab + 1..], (fields.next()?, fields.next()?)))
    });
    records.collect()
}

/// Untracked files and folders that no `.gitignore` ignores, but the rules of this checkout or of this person do (`.git/info/exclude`,
/// `core.excludesFile`); relative to `top`. Nobody else has these rules, so nobody else knows of the files.
pub(super) fn ignored_by_this_person(top: &Path) -> Result<Vec<Vec<u8>>, Error> {
    if !personal_files(top)?.iter().any(|file| has_rules(file)) {
        return Ok(Vec::new());
    }
    let arguments = ["ls-files", "--others", "--exclude-per-directory=.gitignore", "--directory", "-z"];
    let listed = git(top, &arguments)?.unwrap_or_default();
    Ok(listed.split(|byte| *byte == 0).filter(|path| !path.is_empty()).map(<[u8]>::to_vec).collect())
}

fn has_rules(file: &Path) -> bool {
    let text = std::fs::read(file).unwrap_or_default();
    text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).any(|line| !line.is_empty() && line[0] != b'#')
}

/// Source: gitignore(5): the default of `core.excludesFile` is `$XDG_CONFIG_HOME/git/ignore`, else `~/.config/git/ignore`.
fn personal_files(top: &Path) -> Result<Vec<PathBuf>, Error> {
    let path = |line: Vec<u8>| top.join(OsStr::from_bytes(line.trim_ascii_end()));
    let mut files: Vec<PathBuf> =
        git(top, &["rev-parse", "--git-path", "info/exclude"])?.into_iter().map(path).collect();
    match git(top, &["config", "--type=path", "--get", "core.excludesFile"]) {
        Ok(Some(line)) => files.push(path(line)),
        _ => {
            let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".config"));
            let base =
                std::env::var_os("XDG_CONFIG_HOME").filter(|base| !base.is_empty()).map(PathBuf::from).or_else(home);
            files.extend(base.map(|base| base.join("git/ignore")));
        }
    }
    Ok(files)
}
