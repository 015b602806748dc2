#!/usr/bin/env python3
"""Servers that behave as Amazon ECR, Amazon ECR Public and STS do, with one state behind both of their planes.

  server.py [--private ACCOUNT/REGION]... [--tls FOLDER] [--hosts PREFIX] [--pass URL]

With --hosts (three numbers of a loopback address, as 127.9.9) the registries and services answer with TLS on port 443 of addresses below it,
and call themselves what AWS calls them: `hosts` says which name belongs to which address. A client that resolves the names so needs to be told
of the certificate's authority and of nothing else.

The first line on stdout is JSON: the addresses of the control plane (for AWS_ENDPOINT_URL), of each private registry, and of the public one.
Everything else is asked and changed below /_test/ of the control plane:

  GET  /_test/log       every call and request: [{"plane", "what", "status"}]
  GET  /_test/secrets   every token that was handed out
  GET  /_test/state     repositories with their settings, tags and number of images
  POST /_test/set       {"deny": [ACTION], "only": [ACTION], "throttle": {ACTION: N}, "slow": {ACTION: SECONDS}, "token_life": SECONDS,
                         "expire_tokens": true, ...}
  POST /_test/create    {"registry", "name", "mutability"}: a repository
  POST /_test/token     {"public"}: the password of a login
  POST /_test/forget    {"repository", "tag" or "digest"}: something is deleted behind the client's back

A service that this does not play is passed to the server at --pass (moto), once Lambda has judged its images; passed.py tells.

state.py is what all know, web.py the HTTP server, control.py the services' APIs (sts.py, ecr.py, ecr_public.py, passed.py with images.py; told.py
is /_test/), data.py the registries.

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
import json
import os
import ssl
import sys

sys.dont_write_bytecode = True  # a run of the tests leaves nothing behind

from control import Control
from data import Data
from web import start


# What an account asks besides its registries, and where layers are.
SERVICES = ("sts", "lambda", "cloudformation", "bedrock-agentcore-control", "apigateway")
LAYERS = "prod-us-east-1-starport-layer-bucket.s3.us-east-1.amazonaws.com"


def services(regions):
    names = ["iam.amazonaws.com", "sts.amazonaws.com", "api.ecr-public.us-east-1.amazonaws.com", LAYERS]
    for region in sorted(regions | {"us-east-1"}):
        names.append(f"api.ecr.{region}.amazonaws.com")
        names += [f"{service}.{region}.amazonaws.com" for service in SERVICES]
    return names


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--private", action="append", default=[])
    parser.add_argument("--tls", help="a folder with server.crt and server.key: the registries speak TLS")
    parser.add_argument("--hosts", metavar="PREFIX", help="answer at addresses below it, by AWS's own names; needs --tls")
    parser.add_argument("--pass", dest="passed")
    arguments = parser.parse_args()
    context = None
    if arguments.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(arguments.tls, "server.crt"), os.path.join(arguments.tls, "server.key"))
    hosts = {}

    def serve(handler, name):
        if not arguments.hosts:
            return start(handler, context)
        server = start(handler, context, f"{arguments.hosts}.{len(set(hosts.values())) + 1}", 443)
        hosts[name] = server.server_address[0]
        server.address = f"https://{name}"
        return server

    control = start(Control, None)
    control.passes_to = arguments.passed
    addresses = {"control": control.address, "private": {}}
    private = arguments.private or ["123456789012/us-east-1"]
    storage = control.address
    if arguments.hosts:
        named = serve(Control, LAYERS)
        named.passes_to, storage = arguments.passed, named.address
        regions = {registry.split("/")[1] for registry in private}
        hosts.update({name: named.server_address[0] for name in services(regions)})
    for registry in private:
        server = serve(Data, "{}.dkr.ecr.{}.amazonaws.com".format(*registry.split("/")))
        server.registry, server.storage = registry, storage
        addresses["private"][registry] = server.address
    public = serve(Data, "public.ecr.aws")
    public.registry, public.storage = "public", storage
    addresses["public"] = public.address
    print(json.dumps({**addresses, "hosts": hosts}), flush=True)
    sys.stdin.read()  # ends with whoever started it


if __name__ == "__main__":
    main()
