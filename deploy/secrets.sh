#!/bin/sh
# Print new secrets for compose.yaml: `sh deploy/secrets.sh > .env`.
set -eu
umask 077
secret() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
cat <<END
POSTGRES_PASSWORD=$(secret)
MLREG_OWNER_PASSWORD=$(secret)
MLREG_APP_PASSWORD=$(secret)
MLREG_S3_ACCESS_KEY_ID=$(secret)
MLREG_S3_SECRET_ACCESS_KEY=$(secret)
END
