//! Plain files over HTTP, with the proxies, certificates and limits of time of the client.

use std::time::Duration;

use futures::StreamExt as _;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::client::Client;
use crate::digest::Digest;

/// How often a file is asked for.
const ATTEMPTS: u32 = 3;
/// How many redirects are followed.
const REDIRECTS: usize = 10;

/// Why a file cannot be had, and whether asking again could help.
struct Refused {
    why: String,
    heals: bool,
}

impl Client {
    /// The digest of the file at an HTTP address, read whole and not kept. No credentials are sent.
    ///
    /// # Errors
    /// Why it cannot be had, in words.
    pub async fn digest_of_file(&self, url: &str) -> Result<Digest, String> {
        let url = Url::parse(url).map_err(|error| error.to_string())?;
        let mut attempt = 1;
        loop {
            match self.read_file(url.clone()).await {
                Ok(digest) => return Ok(digest),
                Err(Refused { heals: true, .. }) if attempt < ATTEMPTS => {
                    tokio::time::sleep(Duration::from_millis(500) * attempt).await;
                    attempt += 1;
                }
                Err(refused) => return Err(refused.why),
            }
        }
    }

    async fn read_file(&self, mut url: Url) -> Result<Digest, Refused> {
        for _ in 0..=REDIRECTS {
            let client = self.0.http(&url).map_err(|error| Refused { why: error.to_string(), heals: false })?;
            let failed = |error: reqwest::Error| Refused { why: causes(&error.without_url()), heals: true };
            let patience = self.0.settings.answer_timeout;
            let answer = tokio::time::timeout(patience, client.get(url.clone()).send()).await;
            // Whoever takes a connection and says nothing will do so again.
            let silent = |_| Refused { why: format!("no answer in {} s", patience.as_secs_f32()), heals: false };
            let answer = answer.map_err(silent)?.map_err(failed)?;
            let status = answer.status();
            if status.is_redirection() {
                let to = answer.headers().get(reqwest::header::LOCATION).and_then(|to| to.to_str().ok());
                let next = to.and_then(|to| url.join(to).ok());
                let lost = || Refused { why: format!("{status} without an address"), heals: false };
                url = next.ok_or_else(lost)?;
                continue;
            }
            if !status.is_success() {
                let heals = status.is_server_error() || status == reqwest::StatusCode::TOO_MANY_REQUESTS;
                return Err(Refused { why: format!("the server answers {status}"), heals });
            }
            let mut hash = Sha256::new();
            let mut pieces = answer.bytes_stream();
            loop {
                let piece = tokio::time::timeout(self.0.settings.idle_timeout, pieces.next()).await;
                let silent = |_| Refused { why: "the server fell silent".to_owned(), heals: true };
                let Some(piece) = piece.map_err(silent)? else { break };
                hash.update(&piece.map_err(failed)?);
            }
            return Ok(Digest::from_bytes(hash.finalize().into()));
        }
        Err(Refused { why: format!("more than {REDIRECTS} redirects"), heals: false })
    }
}

/// An error with what it comes from.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
