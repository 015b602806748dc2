use std::collections::{BTreeMap, BTreeSet};

use super::http::{Head, Response};
use crate::digest::Digest;

/// How the registry is set up.
#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) auth: Auth,
    pub(crate) mounts: Mounts,
    pub(crate) referrers: bool,
    /// Whether a tag can be written only once (400 TAG_INVALID, as ECR says).
    pub(crate) immutable: bool,
    /// Whether a manifest PUT is answered with `Location`.
    pub(crate) location: bool,
    /// How many tags a page has.
    pub(crate) page: usize,
    /// Whether an upload survives a connection that breaks.
    pub(crate) sessions_survive: bool,
    /// Whether the token service gives tokens to nobody in particular.
    pub(crate) anonymous_pull: bool,
    /// How a tag is deleted.
    pub(crate) untag: Untag,
    /// Sent as `Docker-Content-Digest` instead of the truth.
    pub(crate) wrong_digest: bool,
    /// What a manifest that is not there is answered with: 403 and 401 are seen too.
    pub(crate) missing: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            auth: Auth::None,
            mounts: Mounts::Yes,
            referrers: true,
            missing: 404,
            immutable: false,
            location: true,
            page: 100,
            sessions_survive: true,
            anonymous_pull: false,
            untag: Untag::Yes,
            wrong_digest: false,
        }
    }
}

/// Who may do anything.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Auth {
    None,
    /// `ada:hunter2`; the password can be changed later in [`State::password`].
    Basic,
    /// The same for tokens, each good for so many requests.
    Token {
        uses: usize,
    },
}

/// How the deletion of a tag is answered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Untag {
    Yes,
    /// 405, as distribution 2 does.
    Refused,
    /// With the image and all its tags.
    WithTheImage,
}

/// How a mount is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mounts {
    Yes,
    /// 202 with an upload, as ECR does unless told otherwise.
    Upload,
    /// 405.
    Refused,
}

/// Something that goes wrong, so many times, for requests that match.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// Part of `METHOD /path`.
    pub(crate) on: &'static str,
    pub(crate) times: usize,
    pub(crate) action: Action,
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Answer this instead.
    Answer(u16, Vec<(&'static str, String)>, &'static str),
    /// Take so many bytes of the body, then break off.
    BreakRequest(usize),
    /// Do everything, then break off instead of answering.
    BreakBeforeAnswer,
    /// Send so many bytes of the answer's body, then break off.
    BreakAnswer(usize),
    /// Read the body slowly.
    ReadSlowly,
    /// Read nothing and say nothing.
    Hang,
    /// Forget all uploads, then go on.
    ForgetUploads,
}

/// One request that was seen.
#[derive(Clone, Debug)]
pub(crate) struct Logged {
    /// `METHOD /path`.
    pub(crate) line: String,
    pub(crate) authorization: String,
    pub(crate) user_agent: String,
    /// How many bytes of the body arrived.
    pub(crate) body: usize,
}

#[derive(Default)]
pub(crate) struct Repo {
    pub(crate) manifests: BTreeMap<Digest, (String, Vec<u8>)>,
    pub(crate) tags: BTreeMap<String, Digest>,
    pub(crate) blobs: BTreeMap<Digest, Vec<u8>>,
}

/// What a registry holds and has seen.
pub(crate) struct State {
    pub(crate) options: Options,
    pub(crate) password: String,
    pub(crate) repositories: BTreeMap<String, Repo>,
    pub(crate) uploads: BTreeMap<u64, Vec<u8>>,
    pub(crate) log: Vec<Logged>,
    pub(crate) faults: Vec<Fault>,
    /// How many requests are being answered, and the most that ever were.
    pub(crate) busy: (usize, usize),
    /// Tokens with the scopes and the uses that they are good for.
    pub(crate) tokens: BTreeMap<String, (BTreeSet<String>, usize)>,
    next: u64,
}

impl State {
    pub(super) fn new(options: Options) -> Self {
        Self {
            options,
            password: "hunter2".to_owned(),
            repositories: BTreeMap::new(),
            uploads: BTreeMap::new(),
            log: Vec::new(),
            faults: Vec::new(),
            busy: (0, 0),
            tokens: BTreeMap::new(),
            next: 0,
        }
    }

    /// The fault that this request meets, which thereby has happened once more.
    pub(super) fn fault(&mut self, line: &str) -> Option<Action> {
        let fault = self.faults.iter_mut().find(|fault| fault.times > 0 && line.contains(fault.on))?;
        fault.times -= 1;
        Some(fault.action.clone())
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// `None` if the request may go on.
    pub(super) fn refuse(&mut self, head: &Head, body: &[u8]) -> Option<Response> {
        use base64::Engine as _;
        let login = base64::engine::general_purpose::STANDARD.encode(format!("ada:{}", self.password));
        let given = head.header("authorization");
        let host = head.header("host");
        if head.path == "/token" {
            let refreshed = head.method == "POST" && body.ends_with(b"refresh_token=r3fresh");
            return Some(self.token(head, refreshed || given == format!("Basic {login}")));
        }
        let challenge = match self.options.auth {
            Auth::None => return None,
            Auth::Basic if given == format!("Basic {login}") => return None,
            Auth::Basic => "Basic realm=\"test\"".to_owned(),
            Auth::Token { .. } => {
                if let Some((_, uses)) = given
                    .strip_prefix("Bearer ")
                    .and_then(|token| self.tokens.get_mut(token))
                    .filter(|(_, uses)| *uses > 0)
                {
                    *uses -= 1;
                    return None;
                }
                format!("Bearer realm=\"http://{host}/token\",service=\"test, really\"")
            }
        };
        Some(Response::error(401, "UNAUTHORIZED", "authentication required").with("WWW-Authenticate", challenge))
    }

    fn token(&mut self, head: &Head, known: bool) -> Response {
        let Auth::Token { uses } = self.options.auth else { return Response::new(404) };
        let anonymous = self.options.anonymous_pull && head.header("authorization").is_empty() && head.method == "GET";
        if !known && !anonymous {
            return Response::error(401, "UNAUTHORIZED", "who are you");
        }
        let token = format!("t{}", self.number());
        let scopes = head.all("scope").into_iter().collect();
        self.tokens.insert(token.clone(), (scopes, uses));
        Response::new(200).body(serde_json::json!({"token": token, "expires_in": 300}).to_string())
    }
}
