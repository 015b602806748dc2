//! What the fake holds.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::digest::Digest;

/// The account of all that the fake holds.
pub(crate) const ACCOUNT: &str = "123456789012";

/// A function.
#[derive(Clone, Debug)]
pub(crate) struct FakeFunction {
    /// The address of the image that it was given.
    pub(crate) image: String,
    pub(crate) architecture: String,
    pub(crate) zip: bool,
    pub(crate) revision: u64,
    /// How many more questions find it in the middle of its update.
    pub(crate) busy: u32,
    /// Why its last update failed.
    pub(crate) failed: Option<String>,
    /// Its state, where it is not `Active`; an update makes it active, unless it never comes up.
    pub(crate) state: Option<&'static str>,
    pub(crate) never_comes_up: bool,
    /// The image of each version, from 1.
    pub(crate) versions: Vec<String>,
    pub(crate) aliases: BTreeMap<String, String>,
    /// What it was made with.
    pub(crate) made: Value,
    pub(crate) permissions: Vec<Value>,
    pub(crate) tags: Value,
    pub(crate) url: Option<String>,
}

impl FakeFunction {
    /// A function that runs this image.
    pub(crate) fn running(image: &str, architecture: &str) -> Self {
        Self {
            image: image.to_owned(),
            architecture: architecture.to_owned(),
            zip: false,
            revision: 1,
            busy: 0,
            failed: None,
            state: None,
            never_comes_up: false,
            versions: Vec::new(),
            aliases: BTreeMap::new(),
            made: Value::Null,
            permissions: Vec::new(),
            tags: Value::Null,
            url: None,
        }
    }
}

/// Names by name.
type Names = BTreeMap<String, String>;

/// Something that goes wrong.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// Of calls whose line contains this, or ends with it where it ends with `$`.
    pub(crate) on: String,
    /// How often.
    pub(crate) times: u32,
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
}

/// What the fake holds and has seen.
#[derive(Default)]
pub(crate) struct State {
    /// `127.0.0.1:port` of the registry that stands for ECR.
    pub(crate) registry: Option<String>,
    pub(crate) functions: BTreeMap<String, FakeFunction>,
    /// Runtimes by id, as GetAgentRuntime tells them.
    pub(crate) runtimes: BTreeMap<String, Value>,
    /// How many more questions find a runtime in the middle of its update.
    pub(crate) runtime_busy: u32,
    /// HTTP APIs, as GetApis tells them, with what they pass calls to.
    pub(crate) apis: Vec<Value>,
    /// Stacks: logical names of functions to their names, and outputs.
    pub(crate) stacks: BTreeMap<String, (Names, Names)>,
    pub(crate) roles: Vec<String>,
    pub(crate) faults: Vec<Fault>,
    /// How long an update takes: so many questions.
    pub(crate) update_takes: u32,
    /// Why updates fail after they were accepted.
    pub(crate) updates_fail: Option<String>,
    pub(crate) log: Vec<String>,
}

impl State {
    /// From now on this goes wrong, so many times.
    pub(crate) fn fail(&mut self, on: &str, times: u32, status: u16, code: &str, message: &str) {
        self.faults.push(Fault {
            on: on.to_owned(),
            times,
            status,
            code: code.to_owned(),
            message: message.to_owned(),
        });
    }

    pub(super) fn fault(&mut self, line: &str) -> Option<Fault> {
        let fits = |on: &str| on.strip_suffix('$').map_or_else(|| line.contains(on), |end| line.ends_with(end));
        let fault = self.faults.iter_mut().find(|fault| fault.times > 0 && fits(&fault.on))?;
        fault.times -= 1;
        Some(fault.clone())
    }

    /// The digest that a function runs.
    pub(crate) fn runs(&self, function: &str) -> Option<Digest> {
        self.functions.get(function)?.image.split_once('@')?.1.parse().ok()
    }
}
