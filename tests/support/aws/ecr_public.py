"""The API of Amazon ECR Public, which is in us-east-1 alone. What it has in common with ECR is in ecr.py."""

import base64
import time

from state import REPOSITORIES, SECRETS, SETTINGS, Refused, Repository, hand_out


class EcrPublic:
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
