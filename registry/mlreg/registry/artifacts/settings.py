"""How an S3 endpoint is reached, as plain values: free of boto3, whose import is heavy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class S3Settings:
    """How the S3 endpoint is reached; None leaves it to boto3 (roles, files, variables).

    Attributes:
        endpoint_url: None means AWS.
        public_endpoint_url: where clients reach the endpoint, if elsewhere than the server does.
        direct: whether clients are sent there with large files, by presigned URLs.
    """

    endpoint_url: str | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    public_endpoint_url: str | None = None
    direct: bool = True
