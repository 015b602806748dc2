//! Where receipts are kept: that of the last run, and that of the last run that moved or deployed something.

use std::path::{Path, PathBuf};

use super::plan::write_whole;
use crate::cli::exit::Failure;
use crate::event::{FunctionOutcome, Receipt};

/// The receipt of the last run.
const LAST: &str = "receipt.json";
/// The receipt of the last run that a rollback can undo: runs that find nothing to do leave it as it is.
const UNDO: &str = "rollback.json";

/// A receipt as JSON.
pub fn receipt_json(receipt: &Receipt) -> String {
    let mut text = serde_json::to_string_pretty(receipt).expect("a receipt has only string keys and plain values");
    text.push('\n');
    text
}

/// Writes a receipt to the state folder, and to `elsewhere`.
///
/// # Errors
/// A file cannot be written.
pub fn keep(state: &Path, receipt: &Receipt, elsewhere: Option<&Path>) -> Result<(), Failure> {
    let text = receipt_json(receipt);
    write_whole(&state.join(LAST), text.as_bytes())?;
    if can_be_undone(receipt) {
        write_whole(&state.join(UNDO), text.as_bytes())?;
    }
    elsewhere.map_or(Ok(()), |path| write_whole(path, text.as_bytes()))
}

/// The receipt that is put back where nobody names one.
pub fn to_undo(state: &Path) -> PathBuf {
    let undo = state.join(UNDO);
    if undo.is_file() { undo } else { state.join(LAST) }
}

/// Whether a receipt could be written to `path`: asked before the first effect.
///
/// # Errors
/// Its folder is not there, or cannot be written.
pub fn writable(path: &Path) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let tried = if path.is_dir() {
        Err(std::io::Error::from(std::io::ErrorKind::IsADirectory))
    } else {
        tempfile::tempfile_in(folder).map(drop)
    };
    tried.map_err(|error| {
        let message = format!("cannot write the receipt to `{}`: {}", path.display(), error.kind());
        Failure::wrong(message, "name a file in a folder that is there and can be written; nothing was touched")
    })
}

fn can_be_undone(receipt: &Receipt) -> bool {
    let tried = [FunctionOutcome::Deployed, FunctionOutcome::Created, FunctionOutcome::Failed];
    !receipt.moves.is_empty() || receipt.functions.iter().any(|function| tried.contains(&function.outcome))
}
