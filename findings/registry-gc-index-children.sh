#!/usr/bin/env bash
# distribution (docker-registry) 2.8.2, Debian 12: `garbage-collect --delete-untagged` deletes the platforms of a tagged index.
#
# The index has a tag, its children have none. The collector keeps what a tag names and the blobs of *image* manifests; an
# index that is kept does not keep the manifests it lists. Afterwards the tag and the index still answer 200, and so does a
# HEAD that a deployment would use to ask "is it there?"; only a pull for a platform finds out: 404.
#
# What follows for a tool that publishes: an index whose tag answers is not an image that can be pulled. Give each child a
# tag of its own, or ask for the children too.
#
# Seen (registry 2.8.2+ds1-1):
#   before: index 200, child 200
#   after:  index 200, child 404
#
# Installs with apt-get into a temporary folder; needs curl. Exits 0 while the behaviour is as described.
set -euo pipefail
version=2.8.2+ds1-1
folder=$(mktemp -d)
registry=
trap '[ -z "$registry" ] || kill "$registry" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -q "docker-registry=$version" >/dev/null 2>&1
dpkg -x docker-registry_*.deb root
program=$folder/root/usr/bin/docker-registry
"$program" --version

cat >config.yml <<YAML
version: 0.1
log: { level: info }
storage: { filesystem: { rootdirectory: $folder/data }, delete: { enabled: true } }
http: { addr: 127.0.0.1:0 }
YAML
serve() {
  "$program" serve config.yml >/dev/null 2>log &
  registry=$!
  for _ in $(seq 100); do
    base=$(sed -n 's/.*listening on \(127\.0\.0\.1:[0-9]*\).*/http:\/\/\1\/v2\/app/p' log | head -n 1)
    if [ -n "$base" ]; then return 0; fi
    sleep 0.1
  done
  echo "the registry did not start" >&2
  exit 2
}
digest() { printf 'sha256:%s' "$(sha256sum "$1" | cut -d' ' -f1)"; }
size() { stat -c %s "$1"; }
blob() {
  local to
  to=$(curl -fsS -i -X POST "$base/blobs/uploads/" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
  curl -fsS -o /dev/null -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$1" "$to&digest=$(digest "$1")"
}
put() { curl -fsS -o /dev/null -X PUT -H "Content-Type: $2" --data-binary "@$3" "$base/manifests/$1"; }
status() { curl -s -o /dev/null -w '%{http_code}' -I -H "Accept: $2" "$base/manifests/$1"; }

image=application/vnd.oci.image.manifest.v1+json
index=application/vnd.oci.image.index.v1+json
serve
printf '{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}' >config
blob config
printf '{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"%s","size":%s},"layers":[]}' \
  $image "$(digest config)" "$(size config)" >child
child=$(digest child)
put "$child" $image child
printf '{"schemaVersion":2,"mediaType":"%s","manifests":[{"mediaType":"%s","digest":"%s","size":%s,"platform":{"os":"linux","architecture":"amd64"}}]}' \
  $index $image "$child" "$(size child)" >index
put latest $index index
before="index $(status latest $index), child $(status "$child" $image)"
echo "before: $before"

kill "$registry"; wait "$registry" 2>/dev/null || true; registry=
"$program" garbage-collect --delete-untagged config.yml >collected 2>&1
serve
after="index $(status latest $index), child $(status "$child" $image)"
echo "after:  $after"
[ "$before" = "index 200, child 200" ] && [ "$after" = "index 200, child 404" ]
