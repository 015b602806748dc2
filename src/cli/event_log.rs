//! The file of a run's events. Runs at the same time in one checkout write to files of their own; the documented name leads to that of the
//! run that began last.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// The name that everybody reads.
const LAST: &str = "events.jsonl";
/// The folder of the runs.
const RUNS: &str = "runs";
/// How many runs keep their events.
const KEPT: usize = 20;

/// Begins the events of a run in the state folder.
///
/// # Errors
/// The folder cannot be written.
pub fn create(state: &Path) -> io::Result<File> {
    let runs = state.join(RUNS);
    fs::create_dir_all(&runs)?;
    let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let file = tempfile::Builder::new()
        .prefix(&format!("{began:015}-"))
        .suffix(".jsonl")
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(&runs)?;
    let (file, path) = file.keep()?;
    // Put in place whole: whoever reads the name finds one run's events.
    let step = runs.join(format!("{began:015}-{}.last", std::process::id()));
    let in_runs = Path::new(RUNS).join(path.file_name().unwrap_or_default());
    fs::hard_link(&path, &step).or_else(|_| std::os::unix::fs::symlink(&in_runs, &step))?;
    fs::rename(&step, state.join(LAST))?;
    forget(&runs, &path)?;
    Ok(file)
}

/// Takes away the events of the oldest runs, never those of this one, whatever the clock says. (A run that still writes goes on writing.)
fn forget(runs: &Path, own: &Path) -> io::Result<()> {
    let entries = fs::read_dir(runs)?.collect::<io::Result<Vec<_>>>()?;
    let mut logs: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    logs.retain(|path| path != own && path.extension().is_some_and(|extension| extension == "jsonl"));
    // Their names begin with the time.
    logs.sort();
    for old in logs.iter().rev().skip(KEPT - 1) {
        match fs::remove_file(old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn logs(state: &Path) -> Vec<String> {
        let mut paths: Vec<_> = fs::read_dir(state.join(RUNS)).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
    }

    #[test]
    fn runs_at_the_same_time_write_to_files_of_their_own() {
        let state = tempfile::tempdir().unwrap();
        let mut one = create(state.path()).unwrap();
        writeln!(one, "one begins").unwrap();
        let mut two = create(state.path()).unwrap();
        writeln!(two, "two begins").unwrap();
        writeln!(one, "one ends").unwrap();
        writeln!(two, "two ends").unwrap();
        let mut found = logs(state.path());
        found.sort();
        assert_eq!(found, ["one begins\none ends\n", "two begins\ntwo ends\n"]);
        assert_eq!(fs::read_to_string(state.path().join(LAST)).unwrap(), "two begins\ntwo ends\n");
    }

    #[test]
    fn the_events_of_old_runs_go() {
        let state = tempfile::tempdir().unwrap();
        for run in 0..KEPT + 5 {
            writeln!(create(state.path()).unwrap(), "{run}").unwrap();
        }
        assert_eq!(logs(state.path()).len(), KEPT);
        assert_eq!(fs::read_to_string(state.path().join(LAST)).unwrap(), format!("{}\n", KEPT + 4));
    }
}
