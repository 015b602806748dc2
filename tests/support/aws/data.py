"""The data planes: OCI distribution, with the habits of ECR and ECR Public."""

import base64
import hashlib
import json
import re
import secrets
import time
import urllib.parse

from state import LOCK, REPOSITORIES, SETTINGS, TOKENS, UPLOADS, Refused, hand_out
from web import Handler


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
            if self.command != "GET":  # clients that would rather send a form ask again
                raise Refused(405, "UNSUPPORTED", "The operation is unsupported.")
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
