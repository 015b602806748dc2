//! `RUN --mount=`.

use super::values::is_size;

/// A mount, its values expanded.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Mount {
    /// What kind it is.
    pub kind: MountKind,
    /// `from`: a stage, a context or an image.
    pub from: Option<String>,
    /// `source`, as written after expansion.
    pub source: Option<String>,
    /// `target`.
    pub target: Option<String>,
    /// `id`.
    pub id: Option<String>,
    /// `required`.
    pub required: bool,
}

/// `type=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "each is the mount type of its name in Docker's reference")]
pub enum MountKind {
    #[default]
    Bind,
    Cache,
    Tmpfs,
    Secret,
    Ssh,
}

const KEYS: [&str; 19] = [
    "type",
    "from",
    "source",
    "src",
    "target",
    "dst",
    "destination",
    "readonly",
    "ro",
    "readwrite",
    "rw",
    "id",
    "sharing",
    "required",
    "mode",
    "uid",
    "gid",
    "size",
    "env",
];

/// What is wrong with a mount before its variables are known: its form, and a variable in `from`.
pub(super) fn early_fault(value: &str) -> Option<String> {
    let fields = match fields(value) {
        Ok(fields) => fields,
        Err(fault) => return Some(fault),
    };
    for field in fields {
        let Some((key, value)) = field.split_once('=') else {
            let key = field.to_lowercase();
            if ["readonly", "ro", "readwrite", "rw", "required"].contains(&key.as_str()) {
                continue;
            }
            return Some(format!("`{field}` in the mount needs `=` and a value"));
        };
        if key.eq_ignore_ascii_case("from") && value.find('$').is_some_and(|at| at + 1 < value.len()) {
            return Some("`from` of a mount takes no variable: name a stage with FROM and use that".to_owned());
        }
    }
    None
}

/// Reads a mount; `expand` replaces the variables of one value.
///
/// # Errors
/// Why it is no mount, as a phrase.
pub fn parse_mount(value: &str, mut expand: impl FnMut(&str) -> Result<String, String>) -> Result<Mount, String> {
    let mut mount = Mount::default();
    let mut owner = None;
    let mut sharing = false;
    for field in fields(value)? {
        let (key, raw) = match field.split_once('=') {
            Some((key, raw)) => (key.to_lowercase(), Some(raw)),
            None => (field.to_lowercase(), None),
        };
        let value = raw.map(&mut expand).transpose()?;
        let flag = || value.as_deref().map_or(Ok(true), |value| boolean(&key, value));
        let text = || value.clone().ok_or_else(|| format!("`{field}` in the mount needs `=` and a value"));
        match key.as_str() {
            "type" => mount.kind = kind(&text()?)?,
            "from" => mount.from = Some(text()?).filter(|from| !from.is_empty()),
            "source" | "src" => mount.source = Some(text()?),
            "target" | "dst" | "destination" => mount.target = Some(text()?),
            "id" => mount.id = Some(text()?),
            "readonly" | "ro" | "readwrite" | "rw" => {
                flag()?;
            }
            "required" if matches!(mount.kind, MountKind::Secret | MountKind::Ssh) => mount.required = flag()?,
            "required" => {
                return Err("`required` belongs to mounts of type `secret` and `ssh`, after the type".to_owned());
            }
            "sharing" => {
                sharing = true;
                if !["shared", "private", "locked"].contains(&text()?.to_lowercase().as_str()) {
                    return Err(format!("`{}` is not a sharing mode: `shared`, `private` and `locked` are", text()?));
                }
            }
            "mode" | "uid" | "gid" => {
                let radix = if key == "mode" { 8 } else { 10 };
                u32::from_str_radix(&text()?, radix)
                    .map_err(|_| format!("`{}` is not a number for `{key}`", text().unwrap_or_default()))?;
                owner = Some(key);
            }
            "size" if mount.kind != MountKind::Tmpfs => {
                return Err("`size` belongs to mounts of type `tmpfs`, after the type".to_owned());
            }
            "size" => {
                if !is_size(&text()?) {
                    return Err(format!("`{}` is not a size: write for example `64m`", text()?));
                }
            }
            "env" => {
                text()?;
            }
            _ => {
                let help = crate::problem::did_you_mean(&key, KEYS).map(|help| format!(": {help}")).unwrap_or_default();
                return Err(format!("a mount has no `{key}`{help}"));
            }
        }
    }
    check(&mount, owner.as_deref(), sharing)?;
    Ok(mount)
}

/// What holds between the keys of a mount.
fn check(mount: &Mount, owner: Option<&str>, sharing: bool) -> Result<(), String> {
    if let Some(key) = owner.filter(|_| matches!(mount.kind, MountKind::Bind | MountKind::Tmpfs)) {
        return Err(format!("`{key}` belongs to mounts of type `cache`, `secret` and `ssh`"));
    }
    if sharing && mount.kind != MountKind::Cache {
        return Err("`sharing` belongs to mounts of type `cache`".to_owned());
    }
    match mount.kind {
        MountKind::Secret if mount.from.is_some() => Err("a secret has no `from`".to_owned()),
        MountKind::Secret if mount.source.is_none() && mount.target.is_none() && mount.id.is_none() => {
            Err("a secret needs `id`, `source` or `target`".to_owned())
        }
        MountKind::Secret if mount.source.is_some() && mount.id.is_some() => {
            Err("a secret has `source` or `id`, not both".to_owned())
        }
        _ => Ok(()),
    }
}

impl Mount {
    /// Why it cannot stand in `workdir` (none: it is not known): its target, relative to it, is the root.
    ///
    /// Source: BuildKit, `dispatchRunMounts`: secrets and agents have places of their own; a target that is missing is the folder itself.
    pub(super) fn fault_in(&self, workdir: Option<&str>) -> Option<String> {
        if matches!(self.kind, MountKind::Secret | MountKind::Ssh) {
            return None;
        }
        let target = self.target.as_deref().unwrap_or_default();
        let whole = if target.starts_with('/') { target.to_owned() } else { format!("{}/{target}", workdir?) };
        let root = crate::pattern::inside(whole.as_bytes()).is_none_or(|target| target.is_root());
        root.then(|| match target {
            "" => "the mount has no `target`, and WORKDIR is `/`: it would lie on `/`".to_owned(),
            target => format!("the target `{target}` of the mount is `/`"),
        })
    }

    /// The id of a secret or an SSH agent: `id` or `source`, else the last part of the target; `default` for SSH.
    pub fn identity(&self) -> String {
        let given =
            self.source.clone().filter(|id| !id.is_empty()).or_else(|| self.id.clone().filter(|id| !id.is_empty()));
        given.unwrap_or_else(|| match (&self.kind, &self.target) {
            (MountKind::Ssh, _) | (_, None) => "default".to_owned(),
            (_, Some(path)) => path.rsplit('/').find(|part| !part.is_empty()).unwrap_or_default().to_owned(),
        })
    }
}

/// The mount with `from` replaced, in a form of its own for hashing.
pub(super) fn canonical(value: &str, from: Option<&str>) -> String {
    let mut out = String::new();
    for field in fields(value).unwrap_or_else(|_| vec![value.to_owned()]) {
        let is_from = field.split_once('=').is_some_and(|(key, _)| key.eq_ignore_ascii_case("from"));
        let field = match from {
            Some(from) if is_from => format!("from={from}"),
            _ => field,
        };
        out.push_str(&format!("{field:?},"));
    }
    out
}

fn kind(text: &str) -> Result<MountKind, String> {
    Ok(match text.to_lowercase().as_str() {
        "bind" => MountKind::Bind,
        "cache" => MountKind::Cache,
        "tmpfs" => MountKind::Tmpfs,
        "secret" => MountKind::Secret,
        "ssh" => MountKind::Ssh,
        other => {
            return Err(format!("`{other}` is not a type of mount: `bind`, `cache`, `tmpfs`, `secret` and `ssh` are"));
        }
    })
}

/// Go's `strconv.ParseBool`.
fn boolean(key: &str, text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(format!("`{text}` is not true or false for `{key}`")),
    }
}

/// One record of comma-separated values, with `"` around a value that has a comma (RFC 4180).
fn fields(text: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let mut field = String::new();
        if let Some(quoted) = rest.strip_prefix('"') {
            rest = quoted;
            loop {
                let Some(end) = rest.find('"') else { return Err("a quote in the mount is not closed".to_owned()) };
                field.push_str(&rest[..end]);
                rest = &rest[end + 1..];
                if rest.starts_with('"') {
                    field.push('"');
                    rest = &rest[1..];
                } else {
                    break;
                }
            }
            if !rest.is_empty() && !rest.starts_with(',') {
                return Err("a quote in the mount must end before a comma".to_owned());
            }
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            if rest[..end].contains('"') {
                return Err("a quote in the mount must begin after a comma".to_owned());
            }
            field.push_str(&rest[..end]);
            rest = &rest[end..];
        }
        fields.push(field);
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return Ok(fields),
        }
    }
}
