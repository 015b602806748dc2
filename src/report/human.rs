//! Events for people on stderr: a live block on a terminal, plain lines elsewhere.

use std::io::Write;

use super::Reporter;
use super::live::Live;
use super::repositories::done_text;
use super::style::Style;
use super::words::{action_word, bytes};
use crate::event::{
    Event, FunctionOutcome, FunctionReceipt, Kind, Outcome, Phase, Receipt, RepositoryOutcome, RepositoryReceipt,
    RunOutcome,
};
use crate::plan::{FunctionAction, RepositoryAction};
use crate::problem::printable;

/// Shows a run.
pub struct Human<W> {
    out: Out<W>,
    style: Style,
    verbose: bool,
}

enum Out<W> {
    Live(Live<W>),
    Lines(W),
}

impl<W: Write> Human<W> {
    /// A reporter for a terminal (`live`) or for a log.
    pub const fn new(out: W, style: Style, live: bool, verbose: bool) -> Self {
        let out = if live { Out::Live(Live::new(out, style)) } else { Out::Lines(out) };
        Self { out, style, verbose }
    }

    fn line(&mut self, text: &str) {
        match &mut self.out {
            Out::Live(live) => live.print(&printable(text)),
            Out::Lines(out) => drop(writeln!(out, "{}", printable(text))),
        }
    }

    /// What an image is doing: a line of its own in a log, its state in the block of a terminal.
    fn state(&mut self, image: &str, text: &str, worth_a_line: bool) {
        match &mut self.out {
            Out::Live(live) => live.set(image, text),
            Out::Lines(out) if worth_a_line => drop(writeln!(out, "{image}: {text}")),
            Out::Lines(_) => {}
        }
    }

    fn finish(&mut self, image: &str, text: &str) {
        match &mut self.out {
            Out::Live(live) => live.finish(image, text),
            Out::Lines(out) => drop(writeln!(out, "{text}")),
        }
    }

    fn function(&mut self, done: &FunctionReceipt) {
        let style = self.style;
        let runs = done.runs.map_or_else(|| "nothing".to_owned(), |digest| digest.short());
        let name = &done.function;
        let text = match done.outcome {
            FunctionOutcome::Deployed | FunctionOutcome::Created => {
                let word = if done.outcome == FunctionOutcome::Created { "made" } else { "deployed" };
                let version = done.version.as_ref().map(|version| format!(", version {version}")).unwrap_or_default();
                let url = done.url.as_ref().map(|url| format!("\n  {url}")).unwrap_or_default();
                format!("{} {name} {word}: runs {runs}{version}{url}", style.good("ok"))
            }
            FunctionOutcome::Kept => format!("{} {name} runs {runs} already", style.good("ok")),
            FunctionOutcome::Left => format!("{} {name}: a newer commit deployed {runs}", style.warn("left")),
            FunctionOutcome::Skipped => format!("{} {name}: interrupted before its turn", style.warn("skipped")),
            FunctionOutcome::Failed => {
                let error = done.error.as_deref().unwrap_or("it is not known why");
                format!("{} {name}, which ran {runs}\n{}", style.bad("failed"), indented(error))
            }
        };
        self.finish(name, &text);
    }

    fn repository(&mut self, done: &RepositoryReceipt) {
        let (style, name) = (self.style, &done.reference);
        let changes: String = done.changes.iter().map(|change| format!("\n  {}", done_text(change))).collect();
        let text = match done.outcome {
            RepositoryOutcome::Created => format!("{} {name} made{changes}", style.good("ok")),
            RepositoryOutcome::Changed => format!("{} {name} changed{changes}", style.good("ok")),
            RepositoryOutcome::Skipped => format!("{} {name}: interrupted before its turn", style.warn("skipped")),
            RepositoryOutcome::Failed => {
                let error = done.error.as_deref().unwrap_or("it is not known why");
                let done = if changes.is_empty() { changes } else { format!("\n  what was done before:{changes}") };
                format!("{} {}{done}", style.bad("failed"), indented(error).trim_start())
            }
        };
        self.finish(name, &text);
    }

    fn receipt(&mut self, receipt: &Receipt) {
        let count = |outcome| receipt.images.iter().filter(|image| image.outcome == outcome).count();
        let counted = [
            (Outcome::Built, "built"),
            (Outcome::Copied, "copied"),
            (Outcome::Adopted, "adopted"),
            (Outcome::Tagged, "tagged"),
            (Outcome::Kept, "kept"),
            (Outcome::Failed, "failed"),
            (Outcome::Skipped, "skipped"),
        ];
        let parts: Vec<String> = counted
            .iter()
            .filter(|(outcome, _)| count(*outcome) > 0)
            .map(|(outcome, word)| format!("{} {word}", count(*outcome)))
            .collect();
        let head = match receipt.outcome {
            RunOutcome::Succeeded => self.style.good("done:"),
            RunOutcome::Failed => self.style.bad("failed:"),
            RunOutcome::Interrupted => self.style.bad("interrupted:"),
        };
        let requests: u64 = receipt.requests.values().sum();
        let moved = Some(receipt.moves.len()).filter(|_| receipt.images.is_empty()).unwrap_or_default();
        let back = match moved {
            0 => None,
            1 => Some("1 tag put back".to_owned()),
            many => Some(format!("{many} tags put back")),
        };
        let images = Some(parts.join(", ")).filter(|text| !text.is_empty());
        let told = [repositories_text(receipt), images.or(back), functions_text(receipt)];
        let told: Vec<String> = told.into_iter().flatten().collect();
        let told = if told.is_empty() { "nothing was touched".to_owned() } else { told.join("; ") };
        self.line(&format!("{head} {told} ({requests} registry requests)"));
        let lost = receipt.repositories.iter().any(|done| done.outcome == RepositoryOutcome::Failed);
        match receipt.outcome {
            RunOutcome::Succeeded => {}
            RunOutcome::Failed if lost => {
                self.line("nothing was built: repositories come first; the next run goes on from there");
            }
            // Functions come last: where one fails, all tags have moved.
            RunOutcome::Failed if count(Outcome::Failed) == 0 && !receipt.functions.is_empty() => {
                self.line("the next run tries the functions that failed again; `apply --rollback` puts all back");
            }
            RunOutcome::Failed => {
                self.line(
                    "no tag was moved for what failed; what is done stays done, and the next run goes on from there",
                );
            }
            RunOutcome::Interrupted => self.line("run the same command again to go on where it stopped"),
        }
    }
}

/// What became of the repositories that had something to do.
fn repositories_text(receipt: &Receipt) -> Option<String> {
    let count = |outcome| receipt.repositories.iter().filter(|done| done.outcome == outcome).count();
    let words = [
        (RepositoryOutcome::Created, "made"),
        (RepositoryOutcome::Changed, "changed"),
        (RepositoryOutcome::Failed, "failed"),
        (RepositoryOutcome::Skipped, "not tried"),
    ];
    let some = words.into_iter().filter(|(outcome, _)| count(*outcome) > 0);
    let parts: Vec<String> = some.map(|(outcome, word)| format!("{} {word}", count(outcome))).collect();
    (!parts.is_empty()).then(|| format!("repositories: {}", parts.join(", ")))
}

/// What became of the functions.
fn functions_text(receipt: &Receipt) -> Option<String> {
    let count = |outcome| receipt.functions.iter().filter(|function| function.outcome == outcome).count();
    let parts: Vec<String> = [
        (FunctionOutcome::Created, "made"),
        (FunctionOutcome::Deployed, "deployed"),
        (FunctionOutcome::Kept, "kept"),
        (FunctionOutcome::Left, "left"),
        (FunctionOutcome::Failed, "failed"),
        (FunctionOutcome::Skipped, "not tried"),
    ]
    .into_iter()
    .filter(|(outcome, _)| count(*outcome) > 0)
    .map(|(outcome, word)| format!("{} {word}", count(outcome)))
    .collect();
    (!parts.is_empty()).then(|| format!("functions: {}", parts.join(", ")))
}

fn phase_text(phase: Phase, at: &str) -> String {
    match phase {
        Phase::Build => format!("building for {at}"),
        Phase::Blobs => format!("sending blobs to {at}"),
        Phase::Manifest => format!("putting the manifest to {at}"),
        Phase::Record => format!("attaching the record in {at}"),
        Phase::Key => format!("publishing the key in {at}"),
        Phase::Verify => format!("verifying {at}"),
        Phase::Tags => format!("moving tags in {at}"),
    }
}

impl<W: Write + Send> Reporter for Human<W> {
    fn event(&mut self, event: &Event) {
        let style = self.style;
        match &event.event {
            Kind::Version { .. } => {}
            Kind::Blocked { message, .. } => self.line(&format!("{} {message}", style.bad("apply would refuse:"))),
            Kind::RunStarted { build, copy, tag, keep, .. } => {
                self.line(&format!("{build} to build, {copy} to copy, {tag} to tag, {keep} to keep"));
            }
            Kind::RepositoryStarted { reference, action, .. } => {
                let word = if *action == RepositoryAction::Create { "making it" } else { "changing it" };
                self.state(reference, word, self.verbose);
            }
            Kind::RepositoryFinished { repository, .. } => self.repository(repository),
            Kind::StepStarted { image, action, .. } => {
                self.state(image.as_str(), &format!("{} starts", action_word(*action)), false);
            }
            Kind::PhaseStarted { image, phase, at } => {
                let worth = self.verbose || matches!(phase, Phase::Build | Phase::Verify);
                self.state(image.as_str(), &phase_text(*phase, at), worth);
            }
            Kind::BuildStep { image, step, done, cached } => {
                let state = if *cached { format!("{step} (cached)") } else { step.clone() };
                // Bookkeeping of the builder, and steps that begin, are worth no line of a log.
                let worth = self.verbose || (*done && !step.starts_with("[internal]") && !step.contains("] FROM "));
                self.state(image.as_str(), &state, worth);
            }
            Kind::Output { image, step, line, .. } => match &mut self.out {
                Out::Live(live) => live.set(image.as_str(), &printable(&format!("{step} | {line}"))),
                Out::Lines(out) => drop(writeln!(out, "{}", printable(&format!("{image} | {line}")))),
            },
            Kind::Size { image, reference, bytes: size, layers } => {
                self.state(image.as_str(), &format!("{} in {layers} layers, to {reference}", bytes(*size)), true);
            }
            Kind::BlobsSent { image, reference, sent, bytes: size, mounted, existing } => {
                let text =
                    format!("{reference}: {sent} blobs sent ({}), {mounted} mounted, {existing} there", bytes(*size));
                self.state(image.as_str(), &text, self.verbose);
            }
            Kind::Adopted { image, digest, .. } => {
                self.line(&format!("{image}: found published as {}; it is taken as it is", digest.short()));
            }
            Kind::StepFinished { image, outcome, digest, milliseconds } => {
                let word = match outcome {
                    Outcome::Built => "built",
                    Outcome::Copied => "copied",
                    Outcome::Adopted => "adopted",
                    _ => "kept",
                };
                #[expect(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
                let seconds = *milliseconds as f64 / 1000.0;
                let text = format!("{} {image} {word} in {seconds:.1}s: {}", style.good("ok"), digest.short());
                self.finish(image.as_str(), &text);
            }
            Kind::StepFailed { image, error } => {
                let text = format!("{} {image}\n{}", style.bad("failed"), indented(error));
                self.finish(image.as_str(), &text);
            }
            Kind::StepSkipped { image, because } => {
                self.finish(image.as_str(), &format!("{} {image}: {because} failed", style.warn("skipped")));
            }
            Kind::TagMoved { reference, from, to, .. } => {
                let from = from.map_or_else(|| "nothing".to_owned(), |digest| digest.short());
                self.line(&format!("{} {reference}: {from} -> {}", style.good("tag"), to.short()));
            }
            Kind::TagLeft { reference, commit, because, .. } => {
                let commit = &commit[..commit.len().min(7)];
                let why = match because {
                    Some(_) => format!("commit {commit} moved it, not a descendant; newer by its commit time"),
                    None => format!("the newer commit {commit} moved it"),
                };
                self.line(&format!("{} {reference}: {why}", style.warn("left")));
            }
            Kind::FunctionStarted { function, region, image, action, .. } => {
                let word = if *action == FunctionAction::Create { "making" } else { "deploying" };
                self.state(function, &format!("{word} {image} in {region}"), self.verbose);
            }
            Kind::FunctionFinished { function, .. } => self.function(function),
            Kind::FunctionLeft { .. } => {}
            Kind::RunFinished { receipt } => self.receipt(receipt),
        }
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
