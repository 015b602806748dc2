//! What fuzzing found worth keeping, through the functions that the fuzz targets call. `fuzz/run` makes these files.
#![allow(clippy::unwrap_used, reason = "a test ends where something is missing")]

use std::io::Read as _;
use std::panic::catch_unwind;
use std::path::Path;
use std::time::{Duration, Instant};

#[path = "../fuzz/src/lib.rs"]
mod targets;

/// Fewer inputs than this would mean that a corpus was lost.
const FEWEST: usize = 50;
/// The longest that one input may take, without optimizations and beside other tests.
const LONGEST: Duration = Duration::from_secs(20);

/// The inputs of a target, by name.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fuzz/corpus/{target}.tar.gz"));
    let file = std::fs::File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    let mut inputs = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.header().entry_type().is_file() {
            let name = entry.path().unwrap().display().to_string();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            inputs.push((name, bytes));
        }
    }
    inputs
}

#[test]
fn the_corpus_is_replayed() {
    for (name, target) in targets::TARGETS {
        let inputs = corpus(name);
        assert!(inputs.len() >= FEWEST, "the corpus of `{name}` has {} inputs", inputs.len());
        for (input, bytes) in inputs {
            let began = Instant::now();
            let ran = catch_unwind(|| target(&bytes));
            let shown = String::from_utf8_lossy(&bytes);
            assert!(ran.is_ok(), "`{name}` fails on {input}:\n{shown}");
            assert!(began.elapsed() < LONGEST, "`{name}` took {:?} on {input}:\n{shown}", began.elapsed());
        }
    }
}
