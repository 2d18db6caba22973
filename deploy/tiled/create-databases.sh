#!/bin/sh
# Two databases for Tiled: its catalog, and the tables it stores.
set -eu
for name in tiled_catalog tiled_tables; do
    psql --username "$POSTGRES_USER" --dbname postgres --command "CREATE DATABASE $name"
done
