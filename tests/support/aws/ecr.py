"""The API of Amazon ECR. Each operation takes what it is told, the account of the caller and the region."""

import base64
import json
import time

from state import REPOSITORIES, SECRETS, SETTINGS, Refused, Repository, hand_out


class Ecr:
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
        if told.get("tags") and "ecr:TagResource" in SETTINGS["deny"]:
            raise Refused(400, "AccessDeniedException", f"User: arn:aws:iam::{account}:user/test is not authorized to perform: ecr:TagResource on resource: {r.arn()}")
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
        if not json.loads(told["policyText"]).get("Statement"):
            raise Refused(400, "InvalidParameterException", "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'")
        r.policy = told["policyText"]
        return {"policyText": r.policy, "repositoryName": r.name}

    def ecr_DeleteRepositoryPolicy(self, told, account, region):
        r = self.find(told, account, region)
        if r.policy is None:
            raise Refused(400, "RepositoryPolicyNotFoundException", "Repository policy does not exist")
        text, r.policy = r.policy, None
        return {"policyText": text, "repositoryName": r.name}

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
