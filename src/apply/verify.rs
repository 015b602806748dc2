//! `verify:`: a command of the user's must accept an image before any tag moves.

use std::process::Stdio;

use futures::StreamExt as _;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Command;

use super::build::MadeImages;
use super::error::ApplyError;
use super::made::Made;
use super::make::Shared;
use crate::event::{Kind, Phase, Stream};
use crate::name::ImageName;
use crate::plan::Step;
use crate::registry::Repository;

/// Runs the commands of all images of `steps`, as many at once as builds. Gives the images that were not accepted.
pub async fn verify(shared: &Shared, steps: &[&Step], made: &MadeImages, jobs: u32) -> Vec<(ImageName, ApplyError)> {
    let judged = steps.iter().filter_map(|step| {
        let image = shared.work.images.get(&step.name)?;
        let command = image.image.verify.as_ref()?;
        let made = made.get(&step.name)?;
        Some(async move {
            let accepted = accept(shared, step, made, &command.value, image.image.timeout).await;
            accepted.err().map(|error| (step.name.clone(), error))
        })
    });
    let judged = futures::stream::iter(judged.collect::<Vec<_>>()).buffer_unordered(jobs.max(1) as usize);
    judged.filter_map(|failed| async move { failed }).collect().await
}

async fn accept(
    shared: &Shared,
    step: &Step,
    made: &Made,
    command: &[String],
    limit: std::time::Duration,
) -> Result<(), ApplyError> {
    let index = made.held.first().copied().unwrap_or(0);
    let reference = match step.destinations.get(index) {
        Some(publication) => {
            let repository = shared.work.repositories.get(&publication.registry, &publication.repository);
            match &*repository {
                // What skopeo and podman read.
                Repository::Layout(layout) => format!("oci:{}:{}", layout.store().root().display(), step.key.tag()),
                _ => format!("{}@{}", publication.reference, made.digest),
            }
        }
        None => made.digest.to_string(),
    };
    let variables = [
        ("ORCHESTRATE_IMAGE", step.name.to_string()),
        ("ORCHESTRATE_DIGEST", made.digest.to_string()),
        ("ORCHESTRATE_REFERENCE", reference.clone()),
    ];
    shared.events.send(Kind::PhaseStarted { image: step.name.clone(), phase: Phase::Verify, at: reference });
    let words: Vec<String> = command.iter().map(|word| expanded(word, &variables)).collect();
    let failed = |why: String| ApplyError::Verify { command: words.join(" "), why };
    let mut child = Command::new(&words[0])
        .args(&words[1..])
        .envs(variables.iter().map(|(name, value)| (*name, value.as_str())))
        .current_dir(&shared.work.root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(format!("it cannot be started: {error}")))?;
    let out = lines(shared, &step.name, Stream::Stdout, child.stdout.take());
    let err = lines(shared, &step.name, Stream::Stderr, child.stderr.take());
    let ended = async { tokio::join!(out, err, child.wait()).2 };
    let status = tokio::select! {
        () = shared.cancel.cancelled() => return Err(ApplyError::Interrupted),
        ended = tokio::time::timeout(limit, ended) => match ended {
            Ok(status) => status.map_err(|error| failed(error.to_string()))?,
            Err(_) => return Err(failed(format!("it took longer than {} s", limit.as_secs()))),
        },
    };
    if status.success() { Ok(()) } else { Err(failed(format!("{status}"))) }
}

/// The variables stand in words too, so that a command needs no shell for them.
fn expanded(word: &str, variables: &[(&str, String)]) -> String {
    variables.iter().fold(word.to_owned(), |word, (name, value)| word.replace(&format!("${name}"), value))
}

async fn lines(shared: &Shared, image: &ImageName, stream: Stream, from: Option<impl AsyncRead + Unpin>) {
    let Some(from) = from else { return };
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while matches!(from.read_until(b'\n', &mut line).await, Ok(read) if read > 0) {
        let text = shared.work.masks.hide(String::from_utf8_lossy(&line).trim_end());
        shared.events.send(Kind::Output { image: image.clone(), step: "verify".to_owned(), stream, line: text });
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::expanded;

    #[test]
    fn variables_stand_in_words() {
        let variables =
            [("ORCHESTRATE_DIGEST", "sha256:1".to_owned()), ("ORCHESTRATE_REFERENCE", "host/x@sha256:1".to_owned())];
        assert_eq!(expanded("docker://$ORCHESTRATE_REFERENCE", &variables), "docker://host/x@sha256:1");
        assert_eq!(expanded("$HOME", &variables), "$HOME");
    }
}
