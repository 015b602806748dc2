#!/usr/bin/env python3
"""Servers that behave as Amazon ECR, Amazon ECR Public and STS do, with one state behind both of their planes.

  server.py [--private ACCOUNT/REGION]... [--tls FOLDER] [--pass URL]

The first line on stdout is JSON: the addresses of the control plane (for AWS_ENDPOINT_URL), of each private registry, and of the public one.
Everything else is asked and changed below /_test/ of the control plane:

  GET  /_test/log       every call and request: [{"plane", "what", "status"}]
  GET  /_test/secrets   every token that was handed out
  GET  /_test/state     repositories with their settings, tags and number of images
  POST /_test/set       {"deny": [ACTION], "throttle": {ACTION: N}, "token_life": SECONDS, "expire_tokens": true, "broken_tags": ...}
  POST /_test/create    {"registry", "name", "mutability"}: a repository
  POST /_test/token     {"public"}: the password of a login
  POST /_test/forget    {"repository", "tag" or "digest"}: something is deleted behind the client's back

A service that this does not play is passed to the server at --pass (moto), as it came; without one, Lambda and AgentCore have no functions.

What it does and why, with the page that says so (docs.aws.amazon.com/AmazonECR/...):
  - A repository that does not exist: 404 NAME_UNKNOWN on the data plane, RepositoryNotFoundException on the control plane
    (latest/APIReference/API_DescribeRepositories.html).
  - Basic `AWS:<token>`, tokens for 12 hours; an expired one is 403 DENIED "Your authorization token has expired"
    (latest/userguide/registry_auth.html, latest/userguide/common-errors-docker.html).
  - An immutable tag that is put again: 400 TAG_INVALID, with the same digest too; filters exclude tags
    (latest/userguide/image-tag-mutability.html).
  - Images are deleted by BatchDeleteImage alone, 100 at a time; DELETE is 405; the last tag takes its image with it; a manifest
    that an index refers to stays (latest/APIReference/API_BatchDeleteImage.html).
  - A mount is answered 202 with an upload, unless the account has switched mounting on (latest/userguide/blob-mounting.html).
  - Layers come by a redirect to another host, which takes no Authorization (latest/userguide/vpc-endpoints.html: S3).
  - DescribeImages and DescribeRepositories refuse the whole call if one name is unknown; BatchGetImage lists failures instead
    (latest/APIReference/API_BatchGetImage.html).
  - At most 1,000 tags for an image (latest/userguide/service-quotas.html).
  - ECR Public: API in us-east-1 alone, Bearer tokens from /token/, anonymous pulls; a stale login is 403 instead of anonymous
    (latest/public/public-registry-auth.html, latest/public/public-troubleshooting.html).
"""

import argparse
import base64
import fnmatch
import hashlib
import json
import os
import re
import secrets
import ssl
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOCK = threading.RLock()
KEYS = {"AKIDORCHESTRATE": "123456789012", "AKIDOTHERACCOUNT": "210987654321"}
REPOSITORIES = {}  # (registry, name): Repository; a registry is "ACCOUNT/REGION" or "public"
TOKENS = {}  # token: (registry or None for all, ends, may push)
SECRETS = []
LOG = []
SETTINGS = {"deny": [], "throttle": {}, "token_life": 12 * 3600, "mounts": False, "public_account": "123456789012"}
UPLOADS = {}
PASS = None


class Refused(Exception):
    def __init__(self, status, code, message, headers=None):
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers or {}


class Repository:
    def __init__(self, registry, name):
        self.registry, self.name = registry, name
        self.manifests, self.tags, self.blobs = {}, {}, {}
        self.mutability, self.exclusions = "MUTABLE", []
        self.scan, self.encryption, self.resource_tags = False, {"encryptionType": "AES256"}, []
        self.lifecycle = self.policy = self.catalog = None
        self.created = time.time()

    def arn(self):
        if self.registry == "public":
            return f"arn:aws:ecr-public::{SETTINGS['public_account']}:repository/{self.name}"
        account, region = self.registry.split("/")
        return f"arn:aws:ecr:{region}:{account}:repository/{self.name}"

    def children(self):
        found = set()
        for media_type, data, _ in self.manifests.values():
            if "index" in media_type or "list" in media_type:
                found.update(child["digest"] for child in json.loads(data).get("manifests", []))
        return found

    def tags_of(self, digest):
        return sorted(tag for tag, at in self.tags.items() if at == digest)

    def immutable(self, tag):
        excluded = any(fnmatch.fnmatchcase(tag, e["filter"]) for e in self.exclusions)
        return self.mutability.startswith("IMMUTABLE") != ("WITH_EXCLUSION" in self.mutability and excluded)


def hand_out(registry, life, push):
    token = "test-token-" + secrets.token_hex(24)
    TOKENS[token] = (registry, time.time() + life, push)
    SECRETS.append(token)
    return token


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                parts.append(self.rfile.read(size))
                self.rfile.readline()
                if size == 0:
                    return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, status, body=b"", headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if "Content-Length" not in (headers or {}):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do(self):
        data = self.body()
        try:
            self.serve(data)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do

    def note(self, what, status):
        with LOCK:
            LOG.append({"plane": self.plane(), "what": what, "status": status})


class Control(Handler):
    """The services' APIs."""

    def plane(self):
        return "control"

    def serve(self, data):
        path = urllib.parse.urlsplit(self.path)
        if path.path.startswith("/_test/"):
            return self.test(path.path, data)
        if path.path.startswith("/_s3/"):
            return self.storage(path.path)
        auth = re.search(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/", self.headers.get("Authorization", ""))
        key, region, service = auth.groups() if auth else ("", "", "")
        target = self.headers.get("X-Amz-Target", "")
        form = dict(urllib.parse.parse_qsl(data.decode("utf-8", "replace"))) if service == "sts" else {}
        names = {"AmazonEC2ContainerRegistry_V20150921": "ecr", "SpencerFrontendService": "ecr-public"}
        prefix, _, operation = target.partition(".")
        name = names.get(prefix, service)
        operation = operation or form.get("Action", "")
        if PASS is None and name in ("lambda", "bedrock-agentcore"):
            return self.without_functions(name, path.path, key)
        if name not in ("ecr", "ecr-public", "sts"):
            return self.passed(data, service)
        action = f"{name}:{operation}"
        try:
            with LOCK:
                self.admit(action, key)
                result = getattr(self, f"{name.replace('-', '_')}_{operation}")(
                    form or json.loads(data or b"{}"), KEYS[key], region
                )
        except Refused as refused:
            self.note(action, refused.status)
            return self.refuse(refused, name)
        except AttributeError as error:
            self.note(action, 501)
            return self.refuse(Refused(501, "UnknownOperationException", str(error)), name)
        self.note(action, 200)
        if name == "sts":
            return self.answer(200, result.encode(), {"Content-Type": "text/xml"})
        self.answer(200, json.dumps(result).encode(), {"Content-Type": "application/x-amz-json-1.1", "x-amzn-RequestId": "test"})

    def admit(self, action, key):
        if not key:
            raise Refused(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
        if key not in KEYS:
            code = "InvalidClientTokenId" if action.startswith("sts") else "UnrecognizedClientException"
            raise Refused(403, code, "The security token included in the request is invalid.")
        if self.headers.get("X-Amz-Security-Token") == "expired" or SETTINGS.get("expired_credentials"):
            code = "ExpiredToken" if action.startswith("sts") else "ExpiredTokenException"
            raise Refused(403 if action.startswith("sts") else 400, code, "The security token included in the request is expired")
        if SETTINGS["throttle"].get(action, 0) > 0:
            SETTINGS["throttle"][action] -= 1
            raise Refused(400, "ThrottlingException", "Rate exceeded")
        if action in SETTINGS["deny"]:
            raise Refused(400, "AccessDeniedException", f"User: arn:aws:iam::{KEYS[key]}:user/test is not authorized to perform: {action}")

    def refuse(self, refused, name):
        if name == "sts":
            body = f"<ErrorResponse><Error><Type>Sender</Type><Code>{refused.code}</Code><Message>{refused.message}</Message></Error><RequestId>test</RequestId></ErrorResponse>"
            return self.answer(refused.status, body.encode(), {"Content-Type": "text/xml"})
        body = json.dumps({"__type": refused.code, "message": refused.message}).encode()
        self.answer(refused.status, body, {"Content-Type": "application/x-amz-json-1.1", "x-amzn-RequestId": "test"})

    def without_functions(self, name, path, key):
        """Lambda and AgentCore of an account that has no functions."""
        parts = [part for part in path.split("/") if part]
        lists = {"lambda": ("ListFunctions", "Functions"), "bedrock-agentcore": ("ListAgentRuntimes", "agentRuntimes")}
        operation, field = lists[name]
        if name == "lambda" and len(parts) > 2:
            operation, field = "GetFunction", None
        action = f"{name}:{operation}"
        try:
            with LOCK:
                self.admit(action, key)
        except Refused as refused:
            self.note(action, refused.status)
            return self.refuse(refused, name)
        if field is None:
            self.note(action, 404)
            return self.refuse(Refused(404, "ResourceNotFoundException", f"Function not found: {parts[2]}"), name)
        self.note(action, 200)
        self.answer(200, json.dumps({field: []}).encode(), {"Content-Type": "application/json"})

    def passed(self, data, service):
        if PASS is None:
            return self.answer(501, b"no such service here", {})
        request = urllib.request.Request(PASS + self.path, data=data or None, method=self.command)
        for name, value in self.headers.items():
            if name.lower() not in ("host", "content-length", "connection"):
                request.add_header(name, value)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            reply = opener.open(request)
        except urllib.error.HTTPError as error:
            reply = error
        body = reply.read()
        self.note(f"{service} {self.command} {self.path}", reply.status)
        kept = {n: v for n, v in reply.headers.items() if n.lower() not in ("content-length", "transfer-encoding", "connection")}
        self.answer(reply.status, body, kept)

    def storage(self, path):
        if self.headers.get("Authorization"):
            return self.answer(400, b"Only one auth mechanism allowed")
        digest = path.rsplit("/", 1)[1]
        for repository in REPOSITORIES.values():
            if digest in repository.blobs:
                data = repository.blobs[digest]
                span = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
                if span:
                    first, last = int(span[1]), int(span[2] or len(data) - 1)
                    headers = {"Content-Range": f"bytes {first}-{last}/{len(data)}"}
                    return self.answer(206, data[first : last + 1], headers)
                return self.answer(200, data, {"Content-Type": "application/octet-stream"})
        self.answer(404)

    def test(self, path, data):
        with LOCK:
            result = {}
            if path == "/_test/log":
                result = LOG
            elif path == "/_test/secrets":
                result = SECRETS
            elif path == "/_test/state":
                keep = ("mutability", "exclusions", "scan", "encryption", "resource_tags", "lifecycle", "policy", "catalog", "tags")
                result = {f"{r.registry}:{r.name}": {**{k: getattr(r, k) for k in keep}, "images": len(r.manifests)} for r in REPOSITORIES.values()}
            elif path == "/_test/set":
                told = json.loads(data)
                if told.pop("expire_tokens", False):
                    for token, (registry, _, push) in list(TOKENS.items()):
                        TOKENS[token] = (registry, 0, push)
                if told.pop("clear_log", False):
                    LOG.clear()
                SETTINGS.update(told)
            elif path == "/_test/forget":
                told = json.loads(data)
                for repository in REPOSITORIES.values():
                    if repository.name == told["repository"]:
                        digest = told.get("digest") or repository.tags.get(told.get("tag"))
                        repository.manifests.pop(digest, None)
                        repository.tags = {t: d for t, d in repository.tags.items() if d != digest}
            elif path == "/_test/create":
                told = json.loads(data)
                r = REPOSITORIES[(told["registry"], told["name"])] = Repository(told["registry"], told["name"])
                r.mutability = told.get("mutability", "MUTABLE")
            elif path == "/_test/token":
                public = json.loads(data or b"{}").get("public")
                result = {"token": hand_out("public-login" if public else None, SETTINGS["token_life"], True)}
            elif path == "/_test/repository":
                told = json.loads(data)
                for repository in REPOSITORIES.values():
                    if repository.name == told["repository"]:
                        for name, value in told.items():
                            if name == "more_tags":  # stands for a thousand commits
                                digest = repository.tags[value["of"]]
                                repository.tags.update({f"old-{n}": digest for n in range(value["count"])})
                            elif name != "repository":
                                setattr(repository, name, value)
        self.answer(200, json.dumps(result).encode(), {"Content-Type": "application/json"})

    # STS

    def sts_GetCallerIdentity(self, _, account, __):
        return f"<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult><Arn>arn:aws:iam::{account}:user/test</Arn><UserId>AIDTEST</UserId><Account>{account}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"

    def sts_AssumeRole(self, form, _, __):
        account = form["RoleArn"].split(":")[4]
        key = f"ASIAROLE{account}"
        KEYS[key] = account
        secret = "role-secret-" + secrets.token_hex(8)
        SECRETS.append(secret)
        ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
        return f"<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><AssumedRoleUser><Arn>{form['RoleArn']}/orchestrate</Arn><AssumedRoleId>A:orchestrate</AssumedRoleId></AssumedRoleUser><Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{secret}</SessionToken><Expiration>{ends}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"

    # ECR

    def ecr_GetAuthorizationToken(self, _, account, region):
        token = hand_out(None, SETTINGS["token_life"], True)
        text = base64.b64encode(f"AWS:{token}".encode()).decode()
        SECRETS.append(text)
        ends = time.time() + SETTINGS["token_life"]
        return {"authorizationData": [{"authorizationToken": text, "expiresAt": ends, "proxyEndpoint": f"https://{account}.dkr.ecr.{region}.amazonaws.com"}]}

    def registry(self, told, account, region):
        return f"{told.get('registryId') or account}/{region}"

    def find(self, told, account, region, registry=None):
        registry = registry or self.registry(told, account, region)
        repository = REPOSITORIES.get((registry, told["repositoryName"]))
        if repository is None:
            raise Refused(400, "RepositoryNotFoundException", f"The repository with name '{told['repositoryName']}' does not exist in the registry with id '{registry.split('/')[0]}'")
        return repository

    def described(self, r):
        account, _, region = r.registry.partition("/")
        told = {
            "repositoryArn": r.arn(), "registryId": account, "repositoryName": r.name, "createdAt": r.created,
            "repositoryUri": f"{account}.dkr.ecr.{region}.amazonaws.com/{r.name}", "imageTagMutability": r.mutability,
            "imageScanningConfiguration": {"scanOnPush": r.scan}, "encryptionConfiguration": r.encryption,
        }
        if r.exclusions:
            told["imageTagMutabilityExclusionFilters"] = r.exclusions
        return told

    def ecr_DescribeRepositories(self, told, account, region):
        registry = self.registry(told, account, region)
        names = told.get("repositoryNames")
        if names is not None:
            return {"repositories": [self.described(self.find({"repositoryName": n}, account, region, registry)) for n in names]}
        return self.page([self.described(r) for k, r in sorted(REPOSITORIES.items()) if k[0] == registry], told, "repositories")

    def page(self, items, told, name):
        first, size = int(told.get("nextToken") or 0), told.get("maxResults") or 100
        page = {name: items[first : first + size]}
        if first + size < len(items):
            page["nextToken"] = str(first + size)
        return page

    def ecr_CreateRepository(self, told, account, region):
        registry = self.registry(told, account, region)
        if registry.split("/")[0] != account:
            raise Refused(400, "AccessDeniedException", "not in another account")
        if (registry, told["repositoryName"]) in REPOSITORIES:
            raise Refused(400, "RepositoryAlreadyExistsException", "The repository exists")
        r = Repository(registry, told["repositoryName"])
        r.mutability = told.get("imageTagMutability") or "MUTABLE"
        r.exclusions = told.get("imageTagMutabilityExclusionFilters") or []
        r.scan = (told.get("imageScanningConfiguration") or {}).get("scanOnPush", False)
        r.encryption = told.get("encryptionConfiguration") or r.encryption
        r.resource_tags = told.get("tags") or []
        REPOSITORIES[(registry, r.name)] = r
        return {"repository": self.described(r)}

    def ecr_GetLifecyclePolicy(self, told, account, region):
        r = self.find(told, account, region)
        if r.lifecycle is None:
            raise Refused(400, "LifecyclePolicyNotFoundException", "Lifecycle policy does not exist")
        return {"lifecyclePolicyText": r.lifecycle, "repositoryName": r.name}

    def ecr_PutLifecyclePolicy(self, told, account, region):
        r = self.find(told, account, region)
        rules = json.loads(told["lifecyclePolicyText"])["rules"]
        numbers = [rule["rulePriority"] for rule in rules]
        if len(set(numbers)) != len(numbers):
            raise Refused(400, "InvalidParameterException", "two rules have one priority")
        last = [rule["rulePriority"] for rule in rules if rule["selection"]["tagStatus"] == "any"]
        if last and max(numbers) != max(last):
            raise Refused(400, "InvalidParameterException", "a rule for any image must have the highest priority number")
        r.lifecycle = told["lifecyclePolicyText"]
        return {"lifecyclePolicyText": r.lifecycle, "repositoryName": r.name}

    def ecr_GetRepositoryPolicy(self, told, account, region):
        r = self.find(told, account, region)
        if r.policy is None:
            raise Refused(400, "RepositoryPolicyNotFoundException", "Repository policy does not exist")
        return {"policyText": r.policy, "repositoryName": r.name}

    def ecr_SetRepositoryPolicy(self, told, account, region):
        r = self.find(told, account, region)
        json.loads(told["policyText"])
        r.policy = told["policyText"]
        return {"policyText": r.policy, "repositoryName": r.name}

    def ecr_BatchGetImage(self, told, account, region):
        r = self.find(told, account, region)
        if len(told["imageIds"]) > 100:
            raise Refused(400, "InvalidParameterException", "more than 100 images")
        images, failures = [], []
        for asked in told["imageIds"]:
            digest = asked.get("imageDigest") or r.tags.get(asked.get("imageTag"))
            if digest not in r.manifests:
                failures.append({"imageId": asked, "failureCode": "ImageNotFound", "failureReason": "Requested image not found"})
                continue
            if SETTINGS.get("one_for_each_image") and any(i["imageId"]["imageDigest"] == digest for i in images):
                continue
            media_type, data, _ = r.manifests[digest]
            images.append({"imageId": {**asked, "imageDigest": digest}, "imageManifest": data.decode(), "imageManifestMediaType": media_type, "repositoryName": r.name})
        return {"images": images, "failures": failures}

    def details(self, r):
        return [
            {"imageDigest": d, "imageTags": r.tags_of(d), "imagePushedAt": m[2], "imageManifestMediaType": m[0], "repositoryName": r.name}
            for d, m in sorted(r.manifests.items())
        ]

    def ecr_DescribeImages(self, told, account, region):
        r = self.find(told, account, region)
        return self.page(self.details(r), told, "imageDetails")

    def ecr_BatchDeleteImage(self, told, account, region):
        return self.delete_from(self.find(told, account, region), told)

    def delete_from(self, r, told):
        if len(told["imageIds"]) > 100:
            raise Refused(400, "InvalidParameterException", "more than 100 images")
        gone, failures = [], []
        for asked in told["imageIds"]:
            digest = asked.get("imageDigest") or r.tags.get(asked.get("imageTag"))
            if digest not in r.manifests:
                failures.append({"imageId": asked, "failureCode": "ImageNotFound", "failureReason": "Requested image not found"})
                continue
            if "imageTag" in asked and len(r.tags_of(digest)) > 1:
                del r.tags[asked["imageTag"]]
            elif digest in r.children():
                failures.append({"imageId": asked, "failureCode": "ImageReferencedByManifestList", "failureReason": "Requested image referenced by manifest list"})
                continue
            else:
                del r.manifests[digest]
                r.tags = {t: d for t, d in r.tags.items() if d != digest}
            gone.append({**asked, "imageDigest": digest})
        return {"imageIds": gone, "failures": failures}

    # ECR Public

    def ecr_public_GetAuthorizationToken(self, _, __, region):
        self.in_virginia(region)
        if "sts:GetServiceBearerToken" in SETTINGS["deny"]:
            raise Refused(400, "AccessDeniedException", "User is not authorized to perform: sts:GetServiceBearerToken on resource: *")
        token = hand_out("public-login", SETTINGS["token_life"], True)
        text = base64.b64encode(f"AWS:{token}".encode()).decode()
        SECRETS.append(text)
        return {"authorizationData": {"authorizationToken": text, "expiresAt": time.time() + SETTINGS["token_life"]}}

    def in_virginia(self, region):
        if region != "us-east-1":
            raise Refused(400, "UnrecognizedClientException", f"ECR Public has no API in {region}")

    def public_described(self, r):
        return {"repositoryArn": r.arn(), "registryId": SETTINGS["public_account"], "repositoryName": r.name, "repositoryUri": f"public.ecr.aws/a1b2c3d4/{r.name}", "createdAt": r.created}

    def ecr_public_DescribeRepositories(self, told, account, region):
        self.in_virginia(region)
        names = told.get("repositoryNames")
        if names is not None:
            return {"repositories": [self.public_described(self.find({"repositoryName": n}, account, region, "public")) for n in names]}
        return self.page([self.public_described(r) for k, r in sorted(REPOSITORIES.items()) if k[0] == "public"], told, "repositories")

    def ecr_public_CreateRepository(self, told, _, region):
        self.in_virginia(region)
        if ("public", told["repositoryName"]) in REPOSITORIES:
            raise Refused(400, "RepositoryAlreadyExistsException", "The repository exists")
        r = REPOSITORIES[("public", told["repositoryName"])] = Repository("public", told["repositoryName"])
        r.catalog, r.resource_tags = told.get("catalogData"), told.get("tags") or []
        return {"repository": self.public_described(r), "catalogData": r.catalog or {}}

    def ecr_public_DescribeImages(self, told, account, region):
        self.in_virginia(region)
        return self.page(self.details(self.find(told, account, region, "public")), told, "imageDetails")

    def ecr_public_BatchDeleteImage(self, told, account, region):
        self.in_virginia(region)
        return self.delete_from(self.find(told, account, region, "public"), told)


class Data(Handler):
    """A registry's data plane: OCI distribution, with ECR's habits."""

    def plane(self):
        return self.server.registry

    def serve(self, data):
        what = f"{self.command} {urllib.parse.urlsplit(self.path).path}"
        try:
            with LOCK:
                status, body, headers = self.route(data)
        except Refused as refused:
            body = json.dumps({"errors": [{"code": refused.code, "message": refused.message}]}).encode()
            status, headers = refused.status, {"Content-Type": "application/json", **refused.headers}
        self.note(what, status)
        self.answer(status, body, headers)

    def login(self):
        kind, _, text = self.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "basic":
            return base64.b64decode(text).decode().partition(":")[2]
        return text if kind.lower() == "bearer" else None

    def admit(self, push):
        public = self.server.registry == "public"
        token = self.login()
        here = self.server.address
        if token is None:
            challenge = f'Bearer realm="{here}/token/",service="public.ecr.aws",scope="aws"' if public else f'Basic realm="{here}/",service="ecr.amazonaws.com"'
            raise Refused(401, "UNAUTHORIZED", "Not Authorized", {"WWW-Authenticate": challenge})
        known = TOKENS.get(token)
        if known is None or (public and known[0] == "public-login"):
            raise Refused(403, "DENIED", "Your Authorization Token is invalid.")
        if known[1] < time.time():
            raise Refused(403, "DENIED", "Your authorization token has expired. Reauthenticate and try again.")
        if push and not known[2]:
            raise Refused(403, "DENIED", "not authorized to perform: ecr-public:InitiateLayerUpload")

    def token(self):
        push = False
        if self.headers.get("Authorization"):
            known = TOKENS.get(self.login())
            if known is None or known[0] != "public-login" or known[1] < time.time():
                raise Refused(403, "DENIED", "Your authorization token has expired. Reauthenticate and try again.")
            push = True
        return 200, json.dumps({"token": hand_out("public", 3600, push)}).encode(), {"Content-Type": "application/json"}

    def route(self, data):
        path = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(path.query))
        if path.path == "/token/":
            return self.token()
        self.admit(self.command not in ("GET", "HEAD"))
        if path.path in ("/v2", "/v2/"):
            return 200, b"{}", {}
        found = re.fullmatch(r"/v2/(.+)/(manifests|blobs|tags|referrers)/(.+)", path.path)
        found = re.fullmatch(r"/v2/(.+)/(blobs/uploads)/(.*)", path.path) or found
        if not found:
            raise Refused(404, "UNSUPPORTED", "no such path")
        name, part, rest = found.groups()
        if self.server.registry == "public":
            name = name.partition("/")[2]  # the alias
        r = REPOSITORIES.get((self.server.registry, name))
        if r is None:
            raise Refused(404, "NAME_UNKNOWN", f"The repository with name '{name}' does not exist in the registry with id '{self.server.registry.split('/')[0]}'")
        if self.command == "DELETE":
            if part == "blobs/uploads":
                UPLOADS.pop(rest, None)
                return 204, b"", {}
            raise Refused(405, "UNSUPPORTED", "The operation is unsupported.")
        return {"manifests": self.manifest, "blobs": self.blob, "blobs/uploads": self.upload, "tags": self.tags, "referrers": self.referrers}[part](r, rest, query, data)

    def manifest(self, r, reference, _, data):
        digest = reference if reference.startswith("sha256:") else r.tags.get(reference)
        if self.command in ("GET", "HEAD"):
            if digest not in r.manifests:
                raise Refused(404, "MANIFEST_UNKNOWN", "Requested image not found")
            media_type, stored, _ = r.manifests[digest]
            return 200, stored, {"Content-Type": media_type, "Docker-Content-Digest": digest}
        made = "sha256:" + hashlib.sha256(data).hexdigest()
        document = json.loads(data)
        if reference.startswith("sha256:"):
            if reference != made:
                raise Refused(400, "DIGEST_INVALID", "not the digest of what was sent")
        else:
            if reference in r.tags and r.immutable(reference):
                raise Refused(400, "TAG_INVALID", f"The image tag '{reference}' already exists in the '{r.name}' repository and cannot be overwritten because the tag is immutable.")
            if reference not in r.tags and len(r.tags_of(made)) >= 1000:
                raise Refused(403, "DENIED", "The maximum number of tags per image is 1000")
        for blob in [document.get("config")] + document.get("layers", []):
            if blob and blob["digest"] not in r.blobs:
                raise Refused(400, "MANIFEST_BLOB_UNKNOWN", f"the layer {blob['digest']} does not exist")
        for child in document.get("manifests", []):
            if child["digest"] not in r.manifests and "artifactType" not in child:
                raise Refused(404, "MANIFEST_UNKNOWN", f"the image {child['digest']} does not exist")
        old = r.manifests.get(made)
        r.manifests[made] = (self.headers.get("Content-Type") or document.get("mediaType"), data, old[2] if old else time.time())
        if not reference.startswith("sha256:"):
            r.tags[reference] = made
        headers = {"Docker-Content-Digest": made}  # and no Location
        if document.get("subject"):
            headers["OCI-Subject"] = document["subject"]["digest"]
        return 201, b"", headers

    def blob(self, r, digest, _, __):
        if digest not in r.blobs:
            raise Refused(404, "BLOB_UNKNOWN", "blob unknown to registry")
        data = r.blobs[digest]
        if self.command == "HEAD":
            return 200, b"", {"Content-Length": str(len(data)), "Content-Type": "application/octet-stream", "Docker-Content-Digest": digest}
        return 307, b"", {"Location": f"{self.server.storage}/_s3/{digest}?X-Amz-Signature=test"}

    def upload(self, r, identifier, query, data):
        where = lambda i: {"Location": f"{self.server.address}{self.path.split('/blobs/')[0]}/blobs/uploads/{i}", "Docker-Upload-UUID": i, "Range": f"0-{max(len(UPLOADS[i]) - 1, 0)}"}
        if self.command == "POST":
            mounted = REPOSITORIES.get((self.server.registry, query.get("from", "")))
            if SETTINGS["mounts"] and mounted and query.get("mount") in mounted.blobs:
                r.blobs[query["mount"]] = mounted.blobs[query["mount"]]
                return 201, b"", {"Docker-Content-Digest": query["mount"], "Location": f"{self.server.address}/v2/{r.name}/blobs/{query['mount']}"}
            identifier = secrets.token_hex(16)
            UPLOADS[identifier] = b""
            return 202, b"", where(identifier)
        if identifier not in UPLOADS:
            raise Refused(404, "BLOB_UPLOAD_UNKNOWN", "no such upload")
        if self.command == "GET":
            return 204, b"", where(identifier)
        UPLOADS[identifier] += data
        if self.command == "PATCH":
            return 202, b"", where(identifier)
        made = "sha256:" + hashlib.sha256(UPLOADS[identifier]).hexdigest()
        if made != query["digest"]:
            raise Refused(400, "DIGEST_INVALID", "not the digest of what was sent")
        r.blobs[made] = UPLOADS.pop(identifier)
        return 201, b"", {"Docker-Content-Digest": made, "Location": f"{self.server.address}/v2/{r.name}/blobs/{made}"}

    def tags(self, r, _, query, __):
        tags, size = sorted(t for t in r.tags if t > query.get("last", "")), int(query.get("n") or 1000)
        headers = {"Content-Type": "application/json"}
        if len(tags) > size:
            headers["Link"] = f'<{self.server.address}{self.path.split("?")[0]}?n={size}&last={tags[size - 1]}>; rel="next"'
        return 200, json.dumps({"name": r.name, "tags": tags[:size]}).encode(), headers

    def referrers(self, r, digest, query, _):
        found = []
        for own, (media_type, data, _) in sorted(r.manifests.items()):
            document = json.loads(data)
            kind = document.get("artifactType") or (document.get("config") or {}).get("mediaType")
            if (document.get("subject") or {}).get("digest") == digest and query.get("artifactType") in (None, kind):
                found.append({"mediaType": media_type, "digest": own, "size": len(data), "artifactType": kind, "annotations": document.get("annotations") or {}})
        index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": found}
        return 200, json.dumps(index).encode(), {"Content-Type": index["mediaType"]}


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


def start(handler, context, address="127.0.0.1", port=0):
    server = Server((address, port), handler)
    scheme = "http"
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    server.address = f"{scheme}://{address}:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def main():
    global PASS
    parser = argparse.ArgumentParser()
    parser.add_argument("--private", action="append", default=[])
    parser.add_argument("--tls", help="a folder with server.crt and server.key: the registries speak TLS")
    parser.add_argument("--pass", dest="passed")
    arguments = parser.parse_args()
    PASS = arguments.passed
    context = None
    if arguments.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(arguments.tls, "server.crt"), os.path.join(arguments.tls, "server.key"))
    control = start(Control, None)
    addresses = {"control": control.address, "private": {}}
    for registry in arguments.private or ["123456789012/us-east-1"]:
        server = start(Data, context)
        server.registry, server.storage = registry, control.address
        addresses["private"][registry] = server.address
    public = start(Data, context)
    public.registry, public.storage = "public", control.address
    addresses["public"] = public.address
    print(json.dumps(addresses), flush=True)
    sys.stdin.read()  # ends with whoever started it


if __name__ == "__main__":
    main()
