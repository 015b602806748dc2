use std::sync::{Arc, Mutex};

use tokio::io::BufReader;
use tokio::net::TcpStream;

use super::http::{Head, Response, body, reset};
use super::state::{Action, Logged, Mounts, State, Untag};
use crate::digest::Digest;

pub(super) async fn connection(stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut stream = BufReader::new(stream);
    while let Some(head) = Head::read(&mut stream).await {
        let line = format!("{} {}", head.method, head.path);
        let fault = state.lock().unwrap().fault(&line);
        let length = match fault {
            Some(Action::BreakRequest(bytes)) => head.length().min(bytes),
            _ => head.length(),
        };
        if matches!(fault, Some(Action::Hang)) {
            state.lock().unwrap().log.push(logged(&line, &head, 0));
            std::future::pending::<()>().await;
        }
        busy(&state, 1);
        let received = body(&mut stream, length, matches!(fault, Some(Action::ReadSlowly))).await;
        busy(&state, -1);
        let whole = received.len() == head.length();
        let response = {
            let mut state = state.lock().unwrap();
            state.log.push(logged(&line, &head, received.len()));
            match &fault {
                Some(Action::Answer(status, headers, text)) => headers
                    .iter()
                    .fold(Response::new(*status).body(*text), |answer, (name, value)| answer.with(name, value)),
                _ => {
                    if matches!(fault, Some(Action::ForgetUploads)) {
                        state.uploads.clear();
                    }
                    let answer = state.refuse(&head, &received).unwrap_or_else(|| state.answer(&head, received, whole));
                    if !whole && !state.options.sessions_survive {
                        state.uploads.clear();
                    }
                    answer
                }
            }
        };
        let cut = match fault {
            Some(Action::BreakAnswer(bytes)) => Some(bytes),
            _ => None,
        };
        if !whole || matches!(fault, Some(Action::BreakBeforeAnswer)) {
            return reset(stream);
        }
        if response.write(&mut stream, head.method == "HEAD", cut).await.is_none() {
            return;
        }
        if cut.is_some() {
            return reset(stream);
        }
    }
}

fn busy(state: &Mutex<State>, change: isize) {
    let mut state = state.lock().unwrap();
    let now = state.busy.0.saturating_add_signed(change);
    state.busy = (now, state.busy.1.max(now));
}

fn logged(line: &str, head: &Head, body: usize) -> Logged {
    Logged {
        line: line.to_owned(),
        authorization: head.header("authorization").to_owned(),
        user_agent: head.header("user-agent").to_owned(),
        body,
    }
}

impl State {
    fn answer(&mut self, head: &Head, body: Vec<u8>, whole: bool) -> Response {
        let Some(rest) = head.path.strip_prefix("/v2/") else { return Response::new(404) };
        for part in ["/manifests/", "/blobs/uploads/", "/blobs/", "/referrers/", "/tags/"] {
            if let Some((repository, what)) = rest.split_once(part) {
                return match part {
                    "/manifests/" => self.manifest(head, (repository, what), body),
                    "/blobs/uploads/" => self.upload(head, (repository, what), body, whole),
                    "/blobs/" => self.blob(head, (repository, what)),
                    "/referrers/" => self.referrers(repository, what),
                    _ => self.tags(head, repository),
                };
            }
        }
        Response::new(404)
    }

    fn manifest(&mut self, head: &Head, (repository, what): (&str, &str), body: Vec<u8>) -> Response {
        let (immutable, location, wrong) = (self.options.immutable, self.options.location, self.options.wrong_digest);
        let (refers, untag) = (self.options.referrers, self.options.untag);
        if head.method == "PUT" {
            let digest = Digest::of(&body);
            if what.starts_with("sha256:") && what != digest.to_string() {
                return Response::error(400, "DIGEST_INVALID", "");
            }
            let parsed: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            let repo = self.repositories.entry(repository.to_owned()).or_default();
            let mut needed: Vec<&serde_json::Value> = parsed["layers"].as_array().into_iter().flatten().collect();
            needed.extend(parsed.get("config"));
            let has = |entry: &serde_json::Value| entry["digest"].as_str().and_then(|text| text.parse::<Digest>().ok());
            if needed.iter().any(|entry| has(entry).is_none_or(|digest| !repo.blobs.contains_key(&digest))) {
                return Response::error(404, "MANIFEST_BLOB_UNKNOWN", "a blob is missing");
            }
            let children = parsed["manifests"].as_array().into_iter().flatten();
            if children.into_iter().any(|entry| has(entry).is_none_or(|digest| !repo.manifests.contains_key(&digest))) {
                return Response::error(404, "MANIFEST_UNKNOWN", "a child is missing");
            }
            if !what.starts_with("sha256:") {
                if immutable && repo.tags.contains_key(what) {
                    return Response::error(400, "TAG_INVALID", "the tag is immutable");
                }
                repo.tags.insert(what.to_owned(), digest);
            }
            repo.manifests.insert(digest, (head.header("content-type").to_owned(), body));
            let told = if wrong { Digest::of(b"wrong") } else { digest };
            let mut answer = Response::new(201).with("Docker-Content-Digest", told);
            if location {
                answer = answer.with("Location", format!("/v2/{repository}/manifests/{digest}"));
            }
            if refers && let Some(subject) = parsed["subject"]["digest"].as_str() {
                answer = answer.with("OCI-Subject", subject);
            }
            return answer;
        }
        let Some(repo) = self.repositories.get_mut(repository) else {
            return Response::error(404, "NAME_UNKNOWN", "");
        };
        let digest = what.parse().ok().or_else(|| repo.tags.get(what).copied());
        let Some((digest, (kind, bytes))) =
            digest.and_then(|digest| Some((digest, repo.manifests.get(&digest)?.clone())))
        else {
            return Response::error(self.options.missing, "MANIFEST_UNKNOWN", "");
        };
        if head.method == "DELETE" {
            let by_digest = what.starts_with("sha256:");
            if !by_digest && untag == Untag::Refused {
                return Response::error(405, "UNSUPPORTED", "the operation is unsupported");
            }
            if by_digest || untag == Untag::WithTheImage {
                repo.manifests.remove(&digest);
                repo.tags.retain(|_, at| *at != digest);
            } else {
                repo.tags.remove(what);
            }
            return Response::new(202);
        }
        let told = if wrong { Digest::of(b"wrong") } else { digest };
        Response::new(200).with("Content-Type", kind).with("Docker-Content-Digest", told).body(bytes)
    }

    fn blob(&self, head: &Head, (repository, what): (&str, &str)) -> Response {
        let blob =
            what.parse().ok().and_then(|digest: Digest| self.repositories.get(repository)?.blobs.get(&digest)).cloned();
        let Some(blob) = blob else { return Response::error(404, "BLOB_UNKNOWN", "") };
        let range = head.header("range").strip_prefix("bytes=").and_then(|range| range.split_once('-'));
        match range.and_then(|(from, to)| Some((from.parse::<usize>().ok()?, to.parse::<usize>().ok()?))) {
            Some((from, to)) => Response::new(206).body(&blob[from..(to + 1).min(blob.len())]),
            None => Response::new(200).body(blob),
        }
    }

    fn upload(&mut self, head: &Head, (repository, what): (&str, &str), body: Vec<u8>, whole: bool) -> Response {
        let place = |number: u64| format!("/v2/{repository}/blobs/uploads/{number}?state=x");
        if head.method == "POST" {
            if let (Some(digest), Some(from)) = (head.query.get("mount"), head.query.get("from")) {
                let found = digest.parse().ok().and_then(|digest: Digest| {
                    Some((digest, self.repositories.get(from)?.blobs.get(&digest)?.clone()))
                });
                match (self.options.mounts, found) {
                    (Mounts::Refused, _) => return Response::error(405, "UNSUPPORTED", "no mounts here"),
                    (Mounts::Yes, Some((digest, blob))) => {
                        self.repositories.entry(repository.to_owned()).or_default().blobs.insert(digest, blob);
                        return Response::new(201).with("Location", format!("/v2/{repository}/blobs/{digest}"));
                    }
                    _ => {}
                }
            }
            let number = self.number();
            self.uploads.insert(number, Vec::new());
            return Response::new(202).with("Location", place(number)).with("Range", "0-0");
        }
        let number = what.parse().unwrap_or(0);
        let Some(data) = self.uploads.get_mut(&number) else {
            return Response::error(404, "BLOB_UPLOAD_UNKNOWN", "");
        };
        let progress = |data: &[u8]| format!("0-{}", data.len().saturating_sub(1));
        match head.method.as_str() {
            "GET" => return Response::new(204).with("Location", place(number)).with("Range", progress(data)),
            "DELETE" => {
                self.uploads.remove(&number);
                return Response::new(204);
            }
            _ => {}
        }
        let start = head.header("content-range").split('-').next().and_then(|start| start.parse().ok()).unwrap_or(0);
        if start != data.len() && !(body.is_empty() && whole) {
            return Response::error(416, "RANGE_INVALID", "").with("Range", progress(data));
        }
        data.extend(body);
        if head.method == "PATCH" || !whole {
            return Response::new(202).with("Location", place(number)).with("Range", progress(data));
        }
        let data = self.uploads.remove(&number).unwrap_or_default();
        let digest = Digest::of(&data);
        if head.query.get("digest") != Some(&digest.to_string()) {
            return Response::error(400, "DIGEST_INVALID", "");
        }
        self.repositories.entry(repository.to_owned()).or_default().blobs.insert(digest, data);
        Response::new(201).with("Docker-Content-Digest", digest)
    }

    fn referrers(&self, repository: &str, subject: &str) -> Response {
        if !self.options.referrers {
            return Response::new(404).body("404 page not found");
        }
        let manifests = self.repositories.get(repository).into_iter().flat_map(|repo| &repo.manifests);
        let found: Vec<serde_json::Value> = manifests
            .filter_map(|(digest, (kind, bytes))| {
                let parsed: serde_json::Value = serde_json::from_slice(bytes).ok()?;
                (parsed["subject"]["digest"] == subject).then(|| {
                    serde_json::json!({"mediaType": kind, "digest": digest, "size": bytes.len(),
                        "artifactType": parsed["artifactType"], "annotations": parsed["annotations"]})
                })
            })
            .collect();
        Response::new(200).body(serde_json::json!({"schemaVersion": 2, "manifests": found}).to_string())
    }

    fn tags(&self, head: &Head, repository: &str) -> Response {
        let Some(repo) = self.repositories.get(repository) else {
            return Response::error(404, "NAME_UNKNOWN", "");
        };
        let after = head.query.get("last").map_or("", String::as_str);
        let page: Vec<&String> = repo.tags.keys().filter(|tag| tag.as_str() > after).take(self.options.page).collect();
        let answer = Response::new(200).body(serde_json::json!({"name": repository, "tags": page}).to_string());
        match page.last() {
            Some(last) if repo.tags.keys().any(|tag| tag > *last) => {
                answer.with("Link", format!("</v2/{repository}/tags/list?n=2&last={last}>; rel=\"next\""))
            }
            _ => answer,
        }
    }
}
