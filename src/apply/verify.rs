//! `verify:`: a command of the user's must accept an image before anything follows it: tags, functions, `orchestrate tag`.
//!
//! That it did is noted beside the image at its home, so that an image that is kept is not judged again for nothing; another command is.

use std::process::Stdio;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Command;

use super::build::MadeImages;
use super::error::ApplyError;
use super::made::Made;
use super::make::Shared;
use crate::event::{Kind, Phase, Stream};
use crate::name::ImageName;
use crate::plan::{Publication, Step};
use crate::registry::{By, MoveNote, Repository};

/// How long output is waited for once the command has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Runs the commands of all images of `steps`, as many at once as builds. Gives the images that were not accepted.
pub async fn verify(shared: &Shared, steps: &[&Step], made: &MadeImages, jobs: u32) -> Vec<(ImageName, ApplyError)> {
    let judged = steps.iter().filter_map(|step| {
        let image = shared.work.images.get(&step.name)?;
        let command = image.image.verify.as_ref()?;
        let made = made.get(&step.name)?;
        Some(async move {
            let judged = judge(shared, step, made, &command.value, image.image.timeout).await;
            judged.err().map(|error| (step.name.clone(), error))
        })
    });
    let judged = futures::stream::iter(judged.collect::<Vec<_>>()).buffer_unordered(jobs.max(1) as usize);
    judged.filter_map(|failed| async move { failed }).collect().await
}

/// Runs the command unless a note says that it accepted this image before, and notes that it did.
async fn judge(
    shared: &Shared,
    step: &Step,
    made: &Made,
    command: &[String],
    limit: std::time::Duration,
) -> Result<(), ApplyError> {
    let home = made.held.first().and_then(|index| step.destinations.get(*index));
    let Some(home) = home else { return accept(shared, step, made, None, command, limit).await };
    let repository = shared.work.repositories.get(&home.registry, &home.repository);
    let note = MoveNote::accepted(command);
    let asking = ApplyError::registry(format!("asking whether {} was verified", step.name));
    if repository.has_verdict(made.digest, &note).await.map_err(asking)? {
        return Ok(());
    }
    accept(shared, step, made, Some(home), command, limit).await?;
    let noting = || ApplyError::registry(format!("noting that {} was verified", step.name));
    let raw = repository.get_manifest(By::Digest(made.digest)).await.map_err(noting())?;
    let raw = raw.ok_or_else(|| ApplyError::Gone(format!("{} is not in {repository} any more", made.digest)))?;
    repository.attach_verdict(&raw.descriptor(), note).await.map_err(noting())
}

/// Runs the command on the image where `home` has it.
async fn accept(
    shared: &Shared,
    step: &Step,
    made: &Made,
    home: Option<&Publication>,
    command: &[String],
    limit: std::time::Duration,
) -> Result<(), ApplyError> {
    let reference = match home {
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
    let ended = async {
        let reading = async { tokio::join!(out, err) };
        tokio::pin!(reading);
        let mut read = false;
        let status = loop {
            tokio::select! {
                status = child.wait() => break status,
                _ = &mut reading, if !read => read = true,
            }
        };
        // What it printed is read to its end, but a child that it left behind may hold the pipe open for ever.
        if !read {
            let _ = tokio::time::timeout(LAST_WORDS, &mut reading).await;
        }
        status
    };
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
