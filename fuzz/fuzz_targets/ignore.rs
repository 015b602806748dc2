//! The ignore matcher must take any text, and a walker that prunes must agree with the plain question.
#![no_main]

use libfuzzer_sys::fuzz_target;
use orchestrate::ignore::{Ignore, State};
use orchestrate::path::RelPath;
use orchestrate::problem::Source;

fuzz_target!(|data: &[u8]| {
    let (text, name) = match data.iter().position(|b| *b == 0) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, b"a/b/c".as_slice()),
    };
    let Ok(file) = Ignore::parse(&Source::new(".dockerignore", String::from_utf8_lossy(text))) else { return };
    let Some(path) = RelPath::new(name).filter(|path| !path.is_root()) else { return };
    let mut state = State::default();
    let mut pruned = false;
    for (at, _) in name.iter().enumerate().filter(|(_, b)| **b == b'/') {
        let folder = RelPath::new(&name[..at]).expect("the start of a path up to a slash is a path");
        let (verdict, inner) = file.folder(&folder, &state);
        pruned |= verdict.is_ignored() && !file.may_keep_below(&folder);
        state = inner;
    }
    let walked = pruned || file.child(&path, &state).is_ignored();
    assert_eq!(walked, file.matched(&path).is_ignored());
});
