//! No cache and no surroundings change the answer.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::super::*;
use super::support::{Ask, place, project, write};
use crate::fingerprint::FileSet;
use crate::project::Context;

/// A change to a tree of files.
#[derive(Clone, Debug)]
enum Edit {
    Write(usize, u8),
    /// Other bytes of the same length, with the old mtime put back.
    Sneak(usize, u8),
    Touch(usize),
    Mode(usize, bool),
    Rename(usize, usize),
    Remove(usize),
    Link(usize, u8),
    Plan,
}

const NAMES: [&str; 6] = ["a", "b", "c/d", "c/e", "c.x", "f/g/h"];

fn edit() -> impl Strategy<Value = Edit> {
    let file = 0..NAMES.len();
    prop_oneof![
        (file.clone(), 0_u8..4).prop_map(|(file, byte)| Edit::Write(file, byte)),
        (file.clone(), 0_u8..4).prop_map(|(file, byte)| Edit::Sneak(file, byte)),
        file.clone().prop_map(Edit::Touch),
        (file.clone(), any::<bool>()).prop_map(|(file, x)| Edit::Mode(file, x)),
        (file.clone(), file.clone()).prop_map(|(from, to)| Edit::Rename(from, to)),
        file.clone().prop_map(Edit::Remove),
        (file, 0_u8..3).prop_map(|(file, to)| Edit::Link(file, to)),
        Just(Edit::Plan),
    ]
}

fn apply(root: &Path, edit: &Edit) {
    let at = |index: usize| -> PathBuf { root.join(NAMES[index]) };
    let is_file = |path: &Path| fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file());
    match edit {
        Edit::Write(file, byte) => {
            let _ = fs::remove_file(at(*file));
            write(root, &[(NAMES[*file], &format!("{byte}"))]);
        }
        Edit::Sneak(file, byte) if is_file(&at(*file)) => {
            let mtime = fs::metadata(at(*file)).unwrap().modified().unwrap();
            fs::write(at(*file), format!("{byte}")).unwrap();
            fs::File::options().write(true).open(at(*file)).unwrap().set_modified(mtime).unwrap();
        }
        Edit::Touch(file) if is_file(&at(*file)) => {
            let earlier = SystemTime::now() - Duration::from_secs(1000);
            fs::File::options().write(true).open(at(*file)).unwrap().set_modified(earlier).unwrap();
        }
        Edit::Mode(file, x) if is_file(&at(*file)) => {
            fs::set_permissions(at(*file), fs::Permissions::from_mode(if *x { 0o755 } else { 0o644 })).unwrap();
        }
        Edit::Rename(from, to) => {
            fs::create_dir_all(at(*to).parent().unwrap()).unwrap();
            let _ = fs::rename(at(*from), at(*to));
        }
        Edit::Remove(file) => drop(fs::remove_file(at(*file))),
        Edit::Link(file, to) => {
            let _ = fs::remove_file(at(*file));
            fs::create_dir_all(at(*file).parent().unwrap()).unwrap();
            let _ = symlink(format!("to-{to}"), at(*file));
        }
        _ => {}
    }
}

/// What a plan that never saw a cache says.
fn without_cache(root: &Path) -> std::sync::Arc<FileSet> {
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join(STATE_FOLDER), "a file, so that there can be no cache").unwrap();
    let context = Context::Folder(root.to_str().unwrap().to_owned());
    let mut workspace = Workspace::open(other.path()).unwrap();
    workspace.allow_outside(root);
    workspace.leave_out([root.join(STATE_FOLDER).to_str().unwrap()]);
    let ask = Ask { context, ..Ask::default() };
    ask.of(&mut workspace).unwrap().snapshot.shared_files()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn plans_are_equal_with_the_cache_and_without_it(edits in prop::collection::vec(edit(), 1..24), damage in any::<u64>()) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for (step, edit) in edits.iter().enumerate() {
            apply(root, edit);
            if matches!(edit, Edit::Plan) {
                // Old enough to be trusted, most of the time.
                std::thread::sleep(Duration::from_millis(if step % 3 == 0 { 0 } else { 8 }));
            }
            let cached = Ask::default().at(root).unwrap().snapshot.shared_files();
            prop_assert_eq!(&cached, &without_cache(root), "after {:?}", edit);
            let cache = root.join(STATE_FOLDER).join("cache/files");
            if damage % 5 == 0 && let Ok(mut bytes) = fs::read(&cache) {
                let at = (damage as usize / 5 + step) % bytes.len();
                bytes[at] ^= 0x20;
                fs::write(&cache, bytes).unwrap();
            }
        }
    }

    #[test]
    fn order_times_and_masks_do_not_matter(names in prop::collection::vec(0..NAMES.len(), 1..6), seconds in 1_u64..1_000_000, group in 0_u32..0o77) {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for name in &names {
            write(one.path(), &[(NAMES[*name], NAMES[*name])]);
        }
        for name in names.iter().rev() {
            write(two.path(), &[(NAMES[*name], NAMES[*name])]);
            let place = two.path().join(NAMES[*name]);
            fs::set_permissions(&place, fs::Permissions::from_mode(0o600 | (group & 0o77))).unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            fs::File::options().write(true).open(&place).unwrap().set_modified(time).unwrap();
        }
        let files = |root: &Path| Ask::default().at(root).unwrap().snapshot.shared_files();
        prop_assert_eq!(files(one.path()), files(two.path()));
    }
}

#[test]
fn a_warm_plan_reads_no_file_and_a_cold_one_reads_each_once() {
    let folder = project(&[("a", "1"), ("b/c", "2"), ("b/d", "3")]);
    std::thread::sleep(Duration::from_millis(20));
    let plan = || {
        let mut workspace = Workspace::open(folder.path()).unwrap();
        let asks = [Ask::default(), Ask { context: Context::Folder("b".to_owned()), ..Ask::default() }];
        let location = place();
        let requests: Vec<_> = asks.iter().map(|ask| ask.request(&location)).collect();
        let answers = workspace.files(&requests);
        let hashes: Vec<[u8; 32]> =
            answers.into_iter().map(|answer| *answer.unwrap().snapshot.files().hash()).collect();
        (hashes, workspace.files_read())
    };
    let (cold, warm) = (plan(), plan());
    assert_eq!((cold.1, warm.1), (3, 0));
    assert_eq!(cold.0, warm.0);
    write(folder.path(), &[("b/c", "4")]);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!((plan().1, plan().1), (1, 0));
}

#[test]
fn a_read_only_checkout_is_planned_without_a_cache() {
    let folder = project(&[("a", "1")]);
    fs::write(folder.path().join(STATE_FOLDER), "").unwrap();
    assert_eq!(Ask::default().paths(folder.path()), "a");
}

#[test]
fn two_plans_at_once_leave_a_sound_cache() {
    let files: Vec<(String, String)> =
        (0..200).map(|number| (format!("d{}/f{number}", number % 7), number.to_string())).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let folder = project(&files);
    std::thread::sleep(Duration::from_millis(20));
    let expected = without_cache(folder.path());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(Ask::default().at(folder.path()).unwrap().snapshot.files(), &*expected));
        }
    });
    let mut workspace = Workspace::open(folder.path()).unwrap();
    assert_eq!(Ask::default().of(&mut workspace).unwrap().snapshot.files(), &*expected);
    assert_eq!(workspace.files_read(), 0);
}
