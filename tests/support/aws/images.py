"""What Lambda says of an image before it makes a function of it or gives it to one.

  - The image is of a private ECR registry of the function's region, by tag or by digest and not by both; ECR Public is none
    (docs.aws.amazon.com/lambda/latest/dg/images-create.html; github.com/grafana/loki/issues/7218,
    github.com/serverless/serverless/issues/8636, github.com/aws-samples/bedrock-access-gateway/issues/205).
  - It is there (github.com/aws/aws-cdk/issues/24648).
  - It is a single manifest of Docker's or OCI's, with their configurations and with layers that are not compressed or with gzip: an index is
    refused (images-create.html, "Requirements"; github.com/aws/aws-lambda-roadmap/issues/82, github.com/boto/boto3/issues/3255).
  - Lambda may pull it: the repository's policy says so. In the same account Lambda adds that to the policy itself, as whoever calls; of another
    account both the account and lambda.amazonaws.com must be let in (images-create.html, "Amazon ECR permissions" and "Amazon ECR cross-account
    permissions"; repost.aws/knowledge-center/lambda-ecr-image).
  - Its architecture is the function's. Lambda itself does not look at that: it takes the image, and the first call ends with "exec format error"
    (github.com/aws/aws-extensions-for-dotnet-cli/pull/301, github.com/aws/aws-lambda-base-images/issues/26). This refuses it, so that no test
    passes with a function that cannot run.
"""

import fnmatch
import json
import re

from state import LOCK, REPOSITORIES, Refused, may

MANIFESTS = {
    "application/vnd.docker.distribution.manifest.v2+json": "application/vnd.docker.container.image.v1+json",
    "application/vnd.oci.image.manifest.v1+json": "application/vnd.oci.image.config.v1+json",
}
LAYERS = {
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
}
WORDS = {"amd64": "x86_64", "arm64": "arm64"}
PULL = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]


def judge(uri, function, architecture):
    """Refuses an image that a function (its ARN) of an architecture cannot run."""
    with LOCK:
        repository, digest = find(uri, function)
        let_in(repository, function)
        media_type, manifest, _ = repository.manifests[digest]
    document = json.loads(manifest)
    parts = [layer["mediaType"] in LAYERS for layer in document.get("layers", [])]
    if media_type not in MANIFESTS or document["config"]["mediaType"] not in MANIFESTS.values() or not all(parts):
        raise invalid(f"The image manifest, config or layer media type for the source image {uri} is not supported.")
    made_for = WORDS.get(json.loads(repository.blobs[document["config"]["digest"]])["architecture"])
    if made_for != architecture:
        raise invalid(f"The source image {uri} is made for {made_for}, the function runs on {architecture}: it would end with exec format error.")


def invalid(message):
    return Refused(400, "InvalidParameterValueException", message)


def find(uri, function):
    region = function.split(":")[3]
    form = r"(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com/([a-z0-9._/-]+)(?::([\w.-]+)|@(sha256:[0-9a-f]{64}))"
    found = re.fullmatch(form, uri)
    if found is None or found[2] != region:
        raise invalid(f"Source image {uri} is not valid. Provide a valid source image.")
    account, _, name, tag, digest = found.groups()
    repository = REPOSITORIES.get((f"{account}/{region}", name))
    digest = digest or (repository and repository.tags.get(tag))
    if repository is None or digest not in repository.manifests:
        raise invalid(f"Source image {uri} does not exist. Provide a valid source image.")
    return repository, digest


def let_in(repository, function):
    """Whether Lambda may pull for a function. Where it may let itself in, it does."""
    _, _, _, region, account, *_ = function.split(":")
    same = repository.registry.split("/")[0] == account
    service = lets(repository.policy, "Service", {"lambda.amazonaws.com"}, function)
    if same and not service and may("ecr:GetRepositoryPolicy") and may("ecr:SetRepositoryPolicy"):
        document = json.loads(repository.policy or '{"Version": "2008-10-17", "Statement": []}')
        document["Statement"].append({
            "Sid": "LambdaECRImageRetrievalPolicy", "Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": PULL,
            "Condition": {"StringLike": {"aws:sourceArn": f"arn:aws:lambda:{region}:{account}:function:*"}},
        })
        repository.policy = json.dumps(document)
        service = True
    caller = same or lets(repository.policy, "AWS", {account, f"arn:aws:iam::{account}:root"}, function)
    if not (service and caller):
        raise Refused(403, "AccessDeniedException", "Lambda does not have permission to access the ECR image. Check the ECR permissions.")


def lets(policy, kind, names, function):
    """Whether a statement lets one of these principals pull."""
    listed = lambda value: value if isinstance(value, list) else [value]
    for statement in json.loads(policy)["Statement"] if policy else []:
        principal, actions = statement["Principal"], listed(statement["Action"])
        named = principal == "*" or names & set(listed(principal.get(kind, [])))
        pulls = all(any(fnmatch.fnmatchcase(needed, action) for action in actions) for needed in PULL)
        arns = [arn for operator in statement.get("Condition", {}).values() for value in operator.values() for arn in listed(value)]
        held = kind == "AWS" or not arns or any(fnmatch.fnmatchcase(function, arn) for arn in arns)
        if statement["Effect"] == "Allow" and named and pulls and held:
            return True
    return False
