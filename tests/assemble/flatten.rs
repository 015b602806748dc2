//! An image as a file system and a configuration, from its blobs.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::PathBuf;

use orchestrate::digest::Digest;
use serde_json::Value;

/// What an image is, in a form that can be compared.
pub struct Image {
    /// What stands at each path, in words.
    pub files: BTreeMap<String, String>,
    /// The part of the configuration that must be equal.
    pub config: BTreeMap<String, Value>,
}

/// What the two builders made of one path or field; nothing where it is not there.
pub struct Difference<'a> {
    /// `file` or `field`.
    pub what: &'a str,
    /// The path, or the name of the field.
    pub name: &'a str,
    /// What we made.
    pub ours: Option<String>,
    /// What BuildKit made.
    pub theirs: Option<String>,
}

fn blob(stores: &[&PathBuf], digest: &str) -> Vec<u8> {
    let digest: Digest = digest.parse().unwrap();
    let paths = stores.iter().map(|store| store.join("blobs/sha256").join(digest.hex()));
    let path = paths.into_iter().find(|path| path.exists()).unwrap_or_else(|| panic!("{digest} is nowhere"));
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(Digest::of(&bytes), digest);
    bytes
}

/// Reads the image with this manifest.
pub fn image(stores: &[&PathBuf], digest: Digest) -> Image {
    let json = |digest: &str| serde_json::from_slice::<Value>(&blob(stores, digest)).unwrap();
    let manifest = json(&digest.to_string());
    let config = json(manifest["config"]["digest"].as_str().unwrap());
    let mut files = BTreeMap::new();
    // An image without layers has `null` there.
    let layers = manifest["layers"].as_array().cloned().unwrap_or_default();
    let ids = config["rootfs"]["diff_ids"].as_array().cloned().unwrap_or_default();
    assert_eq!(layers.len(), ids.len());
    for (layer, id) in layers.iter().zip(&ids) {
        let mut tar = Vec::new();
        let bytes = blob(stores, layer["digest"].as_str().unwrap());
        flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut tar).unwrap();
        assert_eq!(Digest::of(&tar).to_string(), id.as_str().unwrap());
        apply(&tar, &mut files);
    }
    Image { files, config: fields(&config, layers.len()) }
}

/// The part of the configuration that must be equal.
fn fields(config: &Value, layers: usize) -> BTreeMap<String, Value> {
    let mut fields = BTreeMap::new();
    for name in ["architecture", "os", "variant", "author", "created"] {
        fields.insert(name.to_owned(), config[name].clone());
    }
    for (name, value) in config["config"].as_object().into_iter().flatten() {
        fields.insert(format!("config.{name}"), value.clone());
    }
    let history = config["history"].as_array().cloned().unwrap_or_default();
    let shape: Vec<Value> = history.iter().map(|entry| (entry["empty_layer"] == true).into()).collect();
    // Go's way to print the structure of a health check is not ours.
    let health = |text: &str| if text.starts_with("HEALTHCHECK") { "HEALTHCHECK".to_owned() } else { text.to_owned() };
    let texts = history.iter().map(|entry| entry["created_by"].as_str().map(health).into()).collect::<Vec<Value>>();
    fields.insert("history: empty".to_owned(), shape.into());
    fields.insert("history: texts".to_owned(), texts.into());
    fields.insert("layers".to_owned(), layers.into());
    fields
}

fn apply(tar: &[u8], files: &mut BTreeMap<String, String>) {
    let mut archive = tar::Archive::new(tar);
    let mut new = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path =
            String::from_utf8_lossy(&entry.path_bytes()).trim_end_matches('/').trim_start_matches("./").to_owned();
        let header = entry.header().clone();
        let link = entry.link_name_bytes().map(|name| String::from_utf8_lossy(&name).into_owned()).unwrap_or_default();
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        if let Some(gone) = name.strip_prefix(".wh.") {
            let gone = if folder.is_empty() { gone.to_owned() } else { format!("{folder}/{gone}") };
            if name == ".wh..wh..opq" {
                remove_below(files, folder);
            } else {
                files.remove(&gone);
                remove_below(files, &gone);
            }
            continue;
        }
        let attributes: Vec<String> = entry
            .pax_extensions()
            .unwrap()
            .into_iter()
            .flatten()
            .map(Result::unwrap)
            .filter(|extension| extension.key_bytes().starts_with(b"SCHILY.xattr."))
            .map(|extension| format!("{:?}={:?}", extension.key(), extension.value()))
            .collect();
        let about = format!(
            "{:o} {}:{} {}",
            header.mode().unwrap() & 0o7777,
            header.uid().unwrap(),
            header.gid().unwrap(),
            attributes.join(" ")
        );
        let text = match header.entry_type() {
            tar::EntryType::Directory => format!("folder {about}"),
            tar::EntryType::Symlink => format!("link {}:{} {link}", header.uid().unwrap(), header.gid().unwrap()),
            tar::EntryType::Link => {
                let first: &String = new.get(&link).or_else(|| files.get(&link)).unwrap_or_else(|| panic!("no {link}"));
                first.clone()
            }
            tar::EntryType::Regular => {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).unwrap();
                format!("file {about} {} {}", bytes.len(), Digest::of(&bytes).short())
            }
            other => {
                format!("{other:?} {about} {:?} {:?}", header.device_major().unwrap(), header.device_minor().unwrap())
            }
        };
        new.insert(path, text);
    }
    for (path, text) in new {
        if !text.starts_with("folder") {
            remove_below(files, &path);
        }
        files.insert(path, text);
    }
    files.remove("");
    files.remove(".");
}

fn remove_below(files: &mut BTreeMap<String, String>, folder: &str) {
    let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    files.retain(|path, _| !path.starts_with(&prefix));
}

/// The differences, a line each, but for those that are `named`.
pub fn compare(ours: &Image, theirs: &Image, named: impl Fn(&Difference<'_>) -> bool) -> Vec<String> {
    let mut found = differing("file", &ours.files, &theirs.files, &named);
    found.extend(differing("field", &ours.config, &theirs.config, &named));
    found
}

fn differing<V: PartialEq + ToString>(
    what: &str,
    ours: &BTreeMap<String, V>,
    theirs: &BTreeMap<String, V>,
    named: &impl Fn(&Difference<'_>) -> bool,
) -> Vec<String> {
    let names: std::collections::BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let unequal = names.into_iter().filter(|name| ours.get(*name) != theirs.get(*name));
    let text = |side: &BTreeMap<String, V>, name: &str| side.get(name).map(ToString::to_string);
    let differences = unequal.map(|name| Difference { what, name, ours: text(ours, name), theirs: text(theirs, name) });
    differences
        .filter(|difference| !named(difference))
        .map(|Difference { what, name, ours, theirs }| {
            format!("{what} {name}\n    ours     {ours:?}\n    BuildKit {theirs:?}")
        })
        .collect()
}
