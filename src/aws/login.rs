//! Logins at AWS's registries, fetched just before they are used and kept in memory alone.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::client::Aws;
use super::ecr::{Ecr, Token};
use super::ecr_public::EcrPublic;
use super::error::Error;
use super::host::{EcrHost, PUBLIC_HOST};
use crate::project::AwsLogin;
use crate::registry::{Credential, CredentialError, Credentials, Need, Secret};

/// A login whose end nobody tells, or that ends before it begins because a clock is wrong, is used this long.
const DEFAULT_LIFE: Duration = Duration::from_secs(10 * 60);
/// A login is fetched anew when this part of its life is over.
const USED_UP: f64 = 0.9;
/// One that is lent to a builder, which keeps it for a build, is no older than this part of its life, and than this.
const LENT: (f64, Duration) = (0.5, Duration::from_secs(60 * 60));
/// A login that is refused is not fetched anew if it is younger: many requests are refused at the same time.
const YOUNG: Duration = Duration::from_secs(2);

/// Docker's credentials, and for AWS's registries logins of their own.
///
/// A registry of the manifest always has ours. Another ECR registry (of a base, say) has ours where Docker knows none; that there are
/// no AWS credentials then means nobody. At `public.ecr.aws`, which everybody may read, a login that cannot be had is nobody too, unless
/// the manifest publishes there.
pub struct AwsCredentials {
    aws: Aws,
    docker: Arc<dyn Credentials>,
    declared: BTreeMap<String, AwsLogin>,
    tokens: Mutex<HashMap<String, Arc<Mutex<Option<Kept>>>>>,
}

struct Kept {
    credential: Credential,
    fetched: Instant,
    life: Duration,
}

impl Kept {
    fn serves(&self, need: Need) -> bool {
        let age = self.fetched.elapsed();
        let limit = match need {
            Need::Request => self.life.mul_f64(USED_UP),
            Need::Loan => self.life.mul_f64(LENT.0).min(LENT.1),
            Need::Another => self.life.mul_f64(USED_UP).min(YOUNG),
        };
        age < limit
    }
}

impl AwsCredentials {
    /// `declared` are the hosts of the manifest's registries, with who we are there.
    pub fn new(aws: &Aws, docker: Arc<dyn Credentials>, declared: BTreeMap<String, AwsLogin>) -> Self {
        Self { aws: aws.clone(), docker, declared, tokens: Mutex::default() }
    }

    async fn find(&self, host: &str, need: Need) -> Result<Option<Credential>, CredentialError> {
        let of_aws = host == PUBLIC_HOST || EcrHost::parse(host).is_some();
        if !of_aws {
            return self.docker.for_host(host, need).await;
        }
        let Some(login) = self.declared.get(host) else {
            let known = self.docker.for_host(host, need).await?;
            if known.is_some() || host == PUBLIC_HOST {
                return Ok(known);
            }
            return Ok(self.token(host, &AwsLogin::default(), need).await.ok());
        };
        match self.token(host, login, need).await {
            Ok(credential) => Ok(Some(credential)),
            // Whoever only reads needs no login there.
            Err(error) if host == PUBLIC_HOST && error.is_of_credentials() => self.docker.for_host(host, need).await,
            Err(error) => {
                Err(CredentialError::Cloud { host: host.to_owned(), why: error.to_string(), help: error.help() })
            }
        }
    }

    /// The login at a host: the one that is kept, unless it is used up or was refused.
    async fn token(&self, host: &str, login: &AwsLogin, need: Need) -> Result<Credential, Error> {
        let slot = Arc::clone(self.tokens.lock().await.entry(host.to_owned()).or_default());
        let mut kept = slot.lock().await;
        if let Some(kept) = kept.as_ref().filter(|kept| kept.serves(need)) {
            return Ok(kept.credential.clone());
        }
        let session = self.aws.session(login).await?;
        let token = match EcrHost::parse(host) {
            Some(host) => Ecr::new(&session, host).token().await?,
            None => EcrPublic::new(&session).token().await?,
        };
        let fetched = Instant::now();
        let credential = credential(&token)
            .ok_or_else(|| super::ecr::nonsense(host, "its token is not base64 of a name and a password"))?;
        *kept = Some(Kept { credential: credential.clone(), fetched, life: life(&token) });
        Ok(credential)
    }
}

impl Credentials for AwsCredentials {
    fn for_host<'a>(&'a self, host: &'a str, need: Need) -> BoxFuture<'a, Result<Option<Credential>, CredentialError>> {
        Box::pin(self.find(host, need))
    }
}

/// The token as name and password.
fn credential(token: &Token) -> Option<Credential> {
    let decoded = String::from_utf8(STANDARD.decode(token.text.expose()).ok()?).ok()?;
    let (username, password) = decoded.split_once(':')?;
    Some(Credential::Password { username: username.to_owned(), password: Secret::new(password) })
}

/// How long a token is good from now on.
fn life(token: &Token) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let until = token.until.and_then(|until| u64::try_from(until).ok()).map(Duration::from_secs);
    until.and_then(|until| until.checked_sub(now)).filter(|life| !life.is_zero()).unwrap_or(DEFAULT_LIFE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_name_and_a_password() {
        let token = |text: &str| Token { text: Secret::new(STANDARD.encode(text)), until: None };
        let Some(Credential::Password { username, password }) = credential(&token("AWS:a:b")) else { panic!() };
        assert_eq!((username.as_str(), password.expose()), ("AWS", "a:b"));
        assert_eq!(credential(&token("AWS")), None);
        assert_eq!(credential(&Token { text: Secret::new("***"), until: None }), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_lent_has_much_of_its_life_left() {
        let credential = Credential::Password { username: "AWS".to_owned(), password: Secret::new("x") };
        let hour = Duration::from_secs(60 * 60);
        let kept = Kept { credential, fetched: Instant::now(), life: 12 * hour };
        let serves = |kept: &Kept| [Need::Request, Need::Loan, Need::Another].map(|need| kept.serves(need));
        assert_eq!(serves(&kept), [true, true, true]);
        tokio::time::advance(YOUNG).await;
        assert_eq!(serves(&kept), [true, true, false]);
        tokio::time::advance(hour).await;
        assert_eq!(serves(&kept), [true, false, false]);
        tokio::time::advance(10 * hour).await;
        assert_eq!(serves(&kept), [false, false, false]);
    }

    #[test]
    fn a_token_that_is_over_before_it_begins_is_of_a_wrong_clock() {
        let token = |until| Token { text: Secret::new(""), until };
        assert_eq!(life(&token(Some(1_420_070_400))), DEFAULT_LIFE);
        assert_eq!(life(&token(None)), DEFAULT_LIFE);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let left = life(&token(Some(i64::try_from(now).unwrap() + 3600)));
        assert!(left > Duration::from_secs(3500) && left <= Duration::from_secs(3600), "{left:?}");
    }
}
