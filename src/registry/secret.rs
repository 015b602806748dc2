use std::fmt;

/// A text that is never printed: `Debug` writes `***`, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a text in.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the wire and for masking it elsewhere.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Who we are for a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A name and a password (or an access token in its place).
    Password {
        /// The name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A refresh token, to be exchanged at the registry's token service (`identitytoken` in Docker's config.json).
    IdentityToken(Secret),
    /// A token to be sent as it is (`registrytoken` in Docker's config.json).
    RegistryToken(Secret),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let credential = Credential::Password { username: "ada".to_owned(), password: Secret::new("hunter2") };
        assert_eq!(format!("{credential:?}"), r#"Password { username: "ada", password: *** }"#);
        assert!(!format!("{:?}", Credential::IdentityToken(Secret::new("hunter2"))).contains("hunter2"));
    }
}
