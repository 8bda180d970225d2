#!/bin/sh
# The two roles of mlreg and its database, at the first start of the container `postgres`.
set -eu
psql --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname=postgres \
    --set=owner="$MLREG_OWNER_PASSWORD" --set=app="$MLREG_APP_PASSWORD" <<'END'
CREATE ROLE mlreg_owner LOGIN PASSWORD :'owner';
CREATE ROLE mlreg_app LOGIN PASSWORD :'app';
CREATE DATABASE mlreg OWNER mlreg_owner;
END
