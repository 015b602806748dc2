//! The hosts of AWS's registries.

use crate::registry::RepositoryName;

/// The host of Amazon ECR Public.
pub const PUBLIC_HOST: &str = "public.ecr.aws";

/// A registry of Amazon ECR: each account has one in each region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EcrHost {
    /// The account's 12 digits.
    pub account: String,
    /// The region.
    pub region: String,
}

impl EcrHost {
    /// What a host of references names: `<account>.dkr.ecr.<region>.amazonaws.com`, its FIPS form, China's, or the dual-stack form
    /// `<account>.dkr-ecr.<region>.on.aws`.
    ///
    /// Source: "Amazon ECR endpoints and quotas", AWS general reference.
    pub fn parse(host: &str) -> Option<Self> {
        let (account, rest) = host.split_once('.')?;
        let sound = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        let rest =
            ["dkr.ecr.", "dkr.ecr-fips.", "dkr-ecr.", "dkr-ecr-fips."].iter().find_map(|own| rest.strip_prefix(own))?;
        let region = ["amazonaws.com", "amazonaws.com.cn", "on.aws", "on.amazonwebservices.com.cn"]
            .iter()
            .find_map(|domain| rest.strip_suffix(domain)?.strip_suffix('.'))?;
        let sound = sound && !region.is_empty() && !region.contains('.');
        sound.then(|| Self { account: account.to_owned(), region: region.to_owned() })
    }

    /// The ARN of a repository.
    pub fn arn(&self, repository: &str) -> String {
        let Self { account, region } = self;
        format!("arn:{}:ecr:{region}:{account}:repository/{repository}", super::identity::partition(region))
    }
}

/// The repository below the alias: what Amazon ECR Public's own API calls it.
pub(super) fn public_repository(name: &RepositoryName) -> &str {
    name.path.split_once('/').map_or(name.path.as_str(), |(_, repository)| repository)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_name_account_and_region() {
        for host in [
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr.ecr-fips.eu-west-1.amazonaws.com",
            "123456789012.dkr-ecr.eu-west-1.on.aws",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com.cn",
        ] {
            let found = EcrHost::parse(host).unwrap();
            assert_eq!((found.account.as_str(), found.region.as_str()), ("123456789012", "eu-west-1"), "{host}");
        }
        for host in [
            "public.ecr.aws",
            "12345678901.dkr.ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr.ecr.amazonaws.com",
            "123456789012.dkr.ecr.a.b.amazonaws.com",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com.example.com",
        ] {
            assert_eq!(EcrHost::parse(host), None, "{host}");
        }
        let host = EcrHost::parse("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn").unwrap();
        assert_eq!(host.arn("team/app"), "arn:aws-cn:ecr:cn-north-1:123456789012:repository/team/app");
    }
}
